"""What a driver or a policy does at a bad moment must not leave a device on an old command."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from ores.link.clock import RealClock
from ores.model import AcMeasure, ElementSettings, ElementState, Lease, Settings, StorageSettings
from ores.module import About, Refused, run, setpoint


def test_an_apply_that_failed_halfway_is_undone_when_the_lease_ends(things):
    class Bus(things.Battery):
        def apply(self, element, command):
            super().apply(element, command)
            if command.power_w:
                raise OSError("written, but not acknowledged")

    bench = things.Bench(Bus())
    bench.send({"battery": setpoint(2000.0)}, ttl_s=3.0)
    assert bench.module.device.power_w == 2000.0
    bench.clock.move(5.0)
    assert bench.module.device.power_w == 0.0
    assert bench.state.elements["battery"].fault is UNSET


def test_a_refusal_when_the_lease_ends_is_not_the_last_word(things):
    battery = things.Battery()
    bench = things.Bench(battery)
    bench.send({"battery": setpoint(2000.0)}, ttl_s=3.0)
    battery.answer = Refused("busy")
    bench.clock.move(4.0)
    assert battery.power_w == 2000.0
    battery.answer = None
    bench.clock.move(6.0)
    assert battery.power_w == 0.0


def test_what_a_device_does_is_not_said_twice(things):
    battery = things.Battery()
    bench = things.Bench(battery)
    bench.send({"battery": setpoint(2000.0)})
    told = len(battery.applied)
    bench.clock.move(5.0)
    assert len(battery.applied) == told


def test_a_policy_that_returns_nothing_idles_for_as_long_as_it_does(things):
    says = {"now": {"battery": setpoint(1500.0)}}
    bench = things.Bench(things.Battery(), policies={"mine": lambda _situation: says["now"]})
    assert bench.module.device.power_w == 1500.0
    says["now"] = None
    bench.clock.move(3.0)
    assert bench.module.device.power_w == 0.0


@pytest.mark.parametrize("wrong", ["much", None, [1.0]])
def test_a_policy_whose_set_point_is_no_number_idles(things, wrong):
    says = {"now": {"battery": setpoint(1500.0)}}
    bench = things.Bench(things.Battery(), policies={"mine": lambda _situation: says["now"]})
    says["now"] = {"battery": setpoint(wrong)}
    bench.clock.move(2.0)
    assert bench.module.device.power_w == 0.0


def test_a_reserve_holds_while_the_store_says_nothing_of_itself(things):
    battery = things.Battery()
    bench = things.Bench(battery)
    reserve = ElementSettings(storage=StorageSettings(reserve_pct=20.0))
    assert bench.ask("PUT", "/settings", Settings(elements={"battery": reserve})).status == 200
    battery.readings["battery"] = ElementState(ac_measure=AcMeasure(power_w=0.0))
    bench.clock.move(1.0)
    bench.send({"battery": setpoint(-1000.0)})
    assert battery.told.power_w == 0.0


def test_a_module_that_was_stopped_and_started_again_ends_leases_on_time(things):
    battery = things.Battery()
    bench = things.Bench(battery, report_period_s=60.0)
    bench.clock.move(1.0)
    bench.send({"battery": setpoint(2000.0)}, ttl_s=2.0)
    bench.module.stop()
    bench.module.start()
    bench.clock.move(5.0)
    bench.send({"battery": setpoint(2000.0)}, ttl_s=2.0)
    bench.clock.move(7.0)
    assert battery.power_w == 0.0


async def test_a_module_that_ends_badly_still_ends_its_lease(things, tmp_path, monkeypatch):
    class Unreachable:
        async def close(self):
            raise OSError("the network is gone")

    async def announced(*_what):
        return Unreachable()

    monkeypatch.setattr(run, "_announced", announced)
    battery = things.Battery()
    about = About(name="Battery", maker="Maker", model="One", serial="1")
    ending = run.running(
        lambda _clock: battery, tmp_path, about, clock=RealClock(), host="127.0.0.1", boot_id="00000001"
    )
    it = await ending.__aenter__()
    asked = Lease(
        epoch=1, seq=1, boot_id="00000001", uptime_ms=0, ttl_s=600.0, elements={"battery": setpoint(2000.0)}
    )
    it.module.take_lease(things.hub, asked)
    assert battery.power_w == 2000.0
    with pytest.raises(OSError, match="the network is gone"):
        await ending.__aexit__(None, None, None)
    assert battery.power_w == 0.0
