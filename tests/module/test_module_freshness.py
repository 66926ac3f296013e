"""Old readings are told as old, older ones not at all (FRESH-004); no epoch is obeyed that is not kept."""

from __future__ import annotations

import msgspec
import pytest

from ores.link.errors import ConfigError
from ores.model import AcMeasure, ElementState, Storage
from ores.module import MemoryStore, setpoint


def polled(things):
    """A battery behind a bus that somebody polls now and then."""

    class Polled(things.Battery):
        at_s = 0.0

        def measured_at_s(self, element):
            return self.at_s

    return Polled()


def told(bench):
    return bench.module.state().elements["battery"]


def test_a_reading_is_good_for_a_period_stale_for_three_and_then_unknown(things):
    bench = things.Bench(battery := polled(things))
    battery.power_w = -300.0
    for now_s, quality, power_w in (
        (1.0, msgspec.UNSET, -300.0),
        (2.0, "stale", -300.0),
        (3.0, "stale", -300.0),
        (4.0, "bad", None),
    ):
        bench.clock.move(now_s)
        of = told(bench)
        assert (of.quality, of.ac_measure.power_w) == (quality, power_w), now_s
    assert "4 s old" in bench.module.parts[0].faults["read_failed"]
    assert of.storage == Storage(soc_pct=None, reserve_pct=0.0)
    battery.at_s = 4.5
    bench.clock.move(5.0)
    assert (told(bench).quality, told(bench).ac_measure.power_w) == (msgspec.UNSET, -300.0)


def test_a_reading_goes_on_ageing_between_two_periods(things):
    bench = things.Bench(battery := polled(things))
    battery.at_s = 0.5
    bench.clock.move(1.0)
    assert told(bench).quality is msgspec.UNSET
    bench.clock.move(1.6)
    assert told(bench).quality == "stale"
    bench.clock.move(3.4)
    assert told(bench).quality == "stale"
    bench.clock.move(3.6)
    assert (told(bench).quality, told(bench).ac_measure.power_w) == ("bad", None)


def test_a_bad_reading_does_not_get_better_by_ageing(things):
    bench = things.Bench(battery := polled(things))
    battery.readings["battery"] = ElementState(ac_measure=AcMeasure(power_w=None), quality="bad")
    bench.clock.move(2.0)
    assert told(bench).quality == "bad"


@pytest.mark.parametrize("when", [None, float("nan"), "noon"])
def test_what_was_measured_at_no_time_is_unknown(things, when):
    bench = things.Bench(battery := polled(things))
    battery.at_s = when
    bench.clock.move(1.0)
    assert (told(bench).quality, told(bench).ac_measure.power_w) == ("bad", None)


def test_a_device_that_is_read_at_once_is_never_stale(things):
    bench = things.Bench(things.Battery())
    bench.clock.move(100.9)
    assert told(bench).quality is msgspec.UNSET


class Full(MemoryStore):
    full = False
    tries = 0

    def save(self, saved):
        self.tries += 1
        if self.full:
            raise ConfigError("disk", found="full", allowed="room")
        super().save(saved)


def test_an_epoch_that_cannot_be_kept_is_not_obeyed(things):
    store = Full()
    bench = things.Bench(battery := things.Battery(), store=store)
    assert bench.send({"battery": setpoint(1000.0)}, epoch=4, ttl_s=600.0).result == "applied"
    store.full = True
    result = bench.send({"battery": setpoint(2000.0)}, epoch=5)
    assert (result.result, result.code) == ("refused", "storage_failed")
    assert "full" in result.detail
    assert battery.power_w == 1000.0, "the lease before holds on"
    assert bench.module.state().lease.epoch == 4
    assert bench.send({"battery": setpoint(1500.0)}, epoch=4).result == "applied", "what is kept is fenced"
    tries = store.tries
    for _ in range(20):
        assert bench.send({}, epoch=5).code == "storage_failed"
    assert store.tries == tries, "a patient hub does not wear out the store"
    store.full = False
    bench.clock.move(11.0)
    assert bench.send({"battery": setpoint(2000.0)}, epoch=5).result == "applied"
    assert store.load().epoch == 5


def test_an_unknown_hub_is_not_obeyed_either_when_it_cannot_be_kept(things):
    store = Full()
    bench = things.Bench(battery := things.Battery(), store=store)
    store.full = True
    assert bench.send({"battery": setpoint(2000.0)}).code == "storage_failed"
    assert battery.power_w == 0.0
    assert bench.module.state().control_source == "policy"
