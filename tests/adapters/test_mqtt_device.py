"""Devices behind a broker: what they say holds for its time, and what they are told is seen to be done."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import pairwise
from math import inf
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from tests.adapters.mqtt_messages import PLUG, esphome, said, zigbee2mqtt

from ores.adapters.mqtt.address import Broker
from ores.adapters.mqtt.device import MqttDevices
from ores.adapters.mqtt.found import Catalogue, assembled
from ores.adapters.mqtt.orders import CONFIRM_S, Order
from ores.adapters.mqtt.shown import Shown, Source, Steering
from ores.adapters.mqtt.template import template
from ores.adapters.mqtt.topic_map import TopicMap, load
from ores.link.clock import Clock, run
from ores.model import ElementState
from ores.module import About, Effective, Module, Refused

START = datetime(2026, 1, 1, tzinfo=UTC)
ABOUT = About(name="MQTT devices", maker="various", model="devices", serial="1")
NOWHERE = Broker("broker.invalid")
THERE = [
    said("zigbee2mqtt/bridge/state", {"state": "online"}),
    said(f"{PLUG}/availability", {"state": "online"}),
]


def elements(*messages: object, control: bool = False, said_of: TopicMap | None = None) -> list[Shown]:
    catalogue = Catalogue()
    for message in messages or zigbee2mqtt():
        catalogue.hear(message)  # type: ignore[arg-type]
    return assembled(catalogue, said_of or TopicMap(), control=control).shown


class Heard(MqttDevices):
    """Devices whose broker is this test."""

    def __init__(self, clock: Clock, shown: list[Shown], directory: Path | None = None) -> None:
        super().__init__(NOWHERE, shown, clock, about=ABOUT, directory=directory)
        self._connection = object()  # type: ignore[assignment]

    def say(self, topic: str, payload: object, *, retained: bool = False) -> None:
        self._take(said(topic, payload, retained=retained))

    def power_w(self, element: str = "washer_plug") -> float | None:
        measure = self.read(element).ac_measure
        assert measure is not UNSET
        return measure.power_w


def told_by(story: Callable[[Clock], Awaitable[None]]) -> None:
    async def main(clock: Clock) -> None:
        await story(clock)

    run(main, start_utc=START)


def test_what_was_never_said_is_unknown_and_not_nothing() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements())
        assert it.power_w() is None
        assert it.read("washer_plug").quality == "bad"
        assert it.measured_at_s("washer_plug") is None

    told_by(story)


def test_a_power_holds_for_its_time_and_is_marked_when_it_is_old() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements())
        it.say(PLUG, {"power": 120, "energy": 5.5, "voltage": 229, "state": "ON"})
        reading = it.read("washer_plug")
        assert reading.quality is UNSET
        assert it.power_w() == 120.0
        assert reading.energy is not UNSET
        assert reading.energy.energy_in_wh == 5500.0
        await clock.sleep(60)
        assert (it.power_w(), it.read("washer_plug").quality) == (120.0, "estimated")
        await clock.sleep(300)
        assert (it.power_w(), it.read("washer_plug").quality) == (None, "bad")

    told_by(story)


def test_what_a_device_itself_declares_is_how_long_it_holds() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(*esphome()))
        it.say("roof/sensor/pv_power/state", "1.5")
        assert it.power_w("roof_solar") == -1500.0
        await clock.sleep(21)
        assert it.power_w("roof_solar") is None

    told_by(story)


def test_a_retained_power_may_be_a_year_old_and_is_not_believed() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(control=True))
        it.say(PLUG, {"power": 120, "energy": 5.5, "state": "ON"}, retained=True)
        reading = it.read("washer_plug")
        assert it.power_w() is None
        assert reading.switch is not UNSET
        assert reading.switch.closed is True
        assert reading.energy is not UNSET
        assert reading.energy.energy_in_wh == 5500.0

    told_by(story)


def test_a_device_that_says_it_is_away_is_unknown_until_it_is_back() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements())
        for message in THERE:
            it.say(message.topic, message.payload)
        it.say(PLUG, {"power": 120})
        assert it.power_w() == 120.0
        it.say(f"{PLUG}/availability", {"state": "offline"})
        assert it.power_w() is None
        it.say(f"{PLUG}/availability", {"state": "online"})
        assert it.power_w() == 120.0

    told_by(story)


def test_a_word_that_is_no_number_is_unknown_and_one_that_says_nothing_changes_nothing() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements())
        it.say(PLUG, {"power": 120})
        it.say(PLUG, {"linkquality": 80})
        assert it.power_w() == 120.0
        for broken in ('{"power": null}', '{"power": "unavailable"}', '{"power": 1e300}', '{"power": "nan"}'):
            it.say(PLUG, {"power": 120})
            it.say(PLUG, broken)
            assert it.power_w() is None, broken

    told_by(story)


def test_a_broker_that_is_gone_for_long_leaves_nothing_known() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(control=True))
        it.say(PLUG, {"power": 120, "state": "ON"})
        it._connection, it._lost_at_s = None, clock.now()
        await clock.sleep(20)
        assert it.power_w() == 120.0
        await clock.sleep(20)
        assert it.power_w() is None
        reading = it.read("washer_plug")
        assert reading.switch is not UNSET
        assert reading.switch.closed is None

    told_by(story)


def test_energy_is_repaired_and_remembered_over_a_restart(tmp_path: Path) -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(), tmp_path)
        for kwh in (5.5, 5.6, 0.0, 5.7):  # one was read wrong
            it.say(PLUG, {"power": 1, "energy": kwh})
            energy = it.read("washer_plug").energy
            assert energy is not UNSET
            assert energy.energy_in_wh == max(5500.0, 1000.0 * kwh, 5600.0 if kwh == 0.0 else 0.0)
        epoch = energy.counter_epoch
        await it.stop()
        again = Heard(clock, elements(), tmp_path)
        for _ in range(4):  # and here it begins anew
            again.say(PLUG, {"power": 1, "energy": 0.1})
        energy = again.read("washer_plug").energy
        assert energy is not UNSET
        assert energy.energy_in_wh == 100.0
        assert energy.counter_epoch > epoch

    told_by(story)


def test_one_in_watch_mode_is_a_module_that_takes_no_commands() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(*zigbee2mqtt(), *esphome()))
        module = Module(it, ABOUT, module_id="m" * 26, clock=clock, policies=it.policies)
        module.start()
        it.say(PLUG, {"power": 120, "state": "ON"})
        await clock.sleep(2)
        assert not [order for part in it._parts.values() for order in part.orders]

    told_by(story)


def sent(it: MqttDevices, clock: Clock) -> list[str]:
    """What would be published now."""
    orders = [order for part in it._parts.values() for order in part.orders]
    return [payload for order in orders if (payload := order.send(clock.now())) is not None]


def test_a_plug_is_left_as_its_owner_has_it_and_returns_to_that() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(control=True))
        module = Module(it, ABOUT, module_id="m" * 26, clock=clock, policies=it.policies)
        module.start()
        await clock.sleep(3)
        assert sent(it, clock) == []  # nobody knows where it stands
        it.say(PLUG, {"power": 0, "state": "OFF"})
        await clock.sleep(3)
        assert sent(it, clock) == []  # it stands where its owner wants it
        assert it.apply("washer_plug", Effective(closed=True)) is None
        assert sent(it, clock) == ["ON"]
        it.say(PLUG, {"power": 9, "state": "ON"})
        assert it.answered("washer_plug") is None
        wishes = it.policies["free"](None)  # type: ignore[arg-type]
        switch = wishes["washer_plug"].switch
        assert switch is not UNSET
        assert switch.closed is False

    told_by(story)


def test_who_switches_at_the_plug_itself_is_followed_where_no_lease_says_otherwise() -> None:
    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(control=True))
        module = Module(it, ABOUT, module_id="m" * 26, clock=clock, policies=it.policies)
        module.start()
        for state in ("ON", "OFF", "ON"):
            it.say(PLUG, {"power": 0, "state": state})
            await clock.sleep(CONFIRM_S * 3)
            assert sent(it, clock) == []
            assert it.read("washer_plug").fault.codes == []  # type: ignore[union-attr]

    told_by(story)


def state_of(point: str, topic: str = "state") -> Source:
    return Source(point=point, topics=(topic,), evaluate=template(""), hold_s=inf, on="ON", off="OFF")


SWITCH = Steering(what="closed", topic="set", on="ON", off="OFF", state=state_of("closed"))
POWER = Steering(what="power_w", topic="set", scale=-1e-3, step=0.1, released="auto", refresh_s=5.0)


def test_what_is_not_confirmed_is_said_and_tried_ever_more_rarely(caplog: pytest.LogCaptureFixture) -> None:
    order, at_s, times = Order("plug", SWITCH, inf), 0.0, []
    order.give(Effective(closed=False), at_s)
    while at_s < 600:
        if order.send(at_s) is not None:
            times.append(at_s)
        at_s += 1.0
    assert times[:4] == [0.0, 10.0, 30.0, 70.0]
    assert len(times) < 15
    assert isinstance(order.answer(), Refused)
    assert order.faults(at_s) == ["command_not_taken"]
    order.heard(0.0, at_s)
    assert order.answer() is None
    assert len([one for one in caplog.records if one.levelno == logging.WARNING]) == 1


def test_who_overrides_a_lease_is_said_and_put_right_after_a_while() -> None:
    order = Order("plug", SWITCH, inf)
    order.give(Effective(closed=False), 0.0)
    assert order.send(0.0) == "OFF"
    order.heard(0.0, 1.0)
    order.heard(1.0, 100.0)
    assert order.send(101.0) is None
    assert order.send(100.0 + CONFIRM_S) == "OFF"
    assert order.faults(111.0) == ["command_overridden"]
    order.heard(0.0, 112.0)
    assert order.faults(500.0) == []


def test_a_power_is_sent_in_the_devices_unit_again_and_given_back_at_the_end() -> None:
    order = Order("battery", POWER, 3000.0)
    order.give(Effective(power_w=1234.0), 0.0)
    assert order.send(0.0) == "-1.2"
    assert order.send(4.9) is None
    assert order.send(5.0) == "-1.2"
    order.give(Effective(power_w=None), 6.0)
    assert order.send(7.0) == "auto"
    assert order.send(1e6) is None


def test_after_the_broker_was_away_a_command_is_said_again() -> None:
    order = Order("plug", SWITCH, inf)
    order.give(Effective(closed=False), 0.0)
    order.send(0.0)
    order.heard(0.0, 1.0)
    order.lost()
    assert order.send(50.0) == "OFF"


def test_a_limit_that_has_ended_is_the_rating() -> None:
    order = Order("roof", Steering(what="produce_max_w", topic="limit"), 5000.0)
    order.give(Effective(produce_max_w=1500.0), 0.0)
    assert order.send(0.0) == "1500"
    order.give(Effective(), 10.0)
    assert order.send(10.0) == "5000"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([None, True, False]), st.sampled_from([None, 0.0, 1.0])), max_size=40)
)
def test_no_relay_is_worn_out_by_what_is_wanted_and_said(
    steps: list[tuple[bool | None, float | None]],
) -> None:
    order, sent_at = Order("plug", SWITCH, inf), []
    for at_s, (wanted, position) in enumerate(steps):
        order.give(Effective(closed=wanted), float(at_s), position)
        order.heard(position, float(at_s))
        sent_at += [at_s + part for part in (0.0, 0.3, 0.6) if order.send(at_s + part) is not None]
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(sent_at))


def test_a_battery_of_a_map_rests_until_it_is_told_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(
        "elements:\n  battery:\n    kind: battery\n    capacity_wh: 10000\n    rating_w: 3000\n"
        "    power_w: {topic: b/power}\n    soc_pct: {topic: b/soc}\n"
        "    setpoint: {topic: b/set, refresh_s: 10}\n"
    )

    async def story(clock: Clock) -> None:
        it = Heard(clock, elements(said_of=load(file), control=True)[:1])
        module = Module(it, ABOUT, module_id="m" * 26, clock=clock, policies=it.policies)
        module.start()
        it.say("b/power", "0")
        it.say("b/soc", "55")
        await clock.sleep(2)
        assert sent(it, clock) == ["0"]
        reading: ElementState = it.read("battery")
        assert reading.storage is not UNSET
        assert reading.storage.soc_pct == 55.0

    told_by(story)
