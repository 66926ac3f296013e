"""Devices behind a bus: they are told at once, and learn later what has become of it."""

from __future__ import annotations

import pytest

from ores.model import ElementCommand, Limits, SetpointCommand
from ores.module import Answer, Clipped, Refused, Saved
from ores.module.store import MemoryStore


@pytest.fixture
def bus(things):
    """A bench with a battery whose bus answers later."""

    class OnABus(things.Battery):
        def __init__(self) -> None:
            super().__init__()
            self.later: Answer = None
            self.failsafes: list[float] = []

        def answered(self, element: str) -> Answer:
            if isinstance(self.later, Exception):
                raise self.later
            return self.later

        def fall_back(self, element: str, failsafe) -> None:
            self.failsafes.append(failsafe.produce_max_w)

    device = OnABus()
    store = MemoryStore(Saved(failsafe={"battery": Limits(produce_max_w=700.0)}, clean=True))
    bench = things.Bench(device, store=store)
    bench.device = device
    return bench


CHARGE = {"battery": ElementCommand(setpoint=SetpointCommand(power_w=1000.0))}


def test_what_is_refused_later_is_not_in_force_and_is_told_again_each_period(bus):
    assert bus.send(CHARGE).result == "applied"
    bus.device.later = bus.device.answer = Refused("it does not hold it")
    bus.clock.move(1.0)
    assert bus.state.elements["battery"].setpoint.power_w is None
    told = len(bus.device.applied)
    bus.clock.move(3.0)
    assert len(bus.device.applied) == told + 2
    assert bus.send(CHARGE).outcomes["battery"].setpoint.code == "device_refused"


def test_what_is_taken_at_last_is_in_force_again(bus):
    bus.send(CHARGE)
    bus.device.later = bus.device.answer = Refused("it does not hold it")
    bus.clock.move(1.0)
    bus.device.later = bus.device.answer = None
    bus.clock.move(2.0)
    assert bus.state.elements["battery"].setpoint.power_w == 1000.0


def test_what_is_clipped_later_is_told_as_it_is(bus):
    bus.send(CHARGE)
    bus.device.later = Clipped("temperature", power_w=400.0)
    bus.clock.move(1.0)
    assert bus.state.elements["battery"].setpoint.power_w == 400.0


def test_a_driver_that_fails_to_say_it_has_refused(bus):
    bus.send(CHARGE)
    bus.device.later = OSError("bus off")
    bus.device.answer = Refused("bus off")
    bus.clock.move(1.0)
    assert bus.state.elements["battery"].setpoint.power_w is None


def test_a_device_learns_its_failsafe_limits_at_boot_and_when_they_change(bus):
    assert bus.device.failsafes == [700.0]
    bus.ask("PUT", "/failsafe", {"epoch": 1, "elements": {"battery": {"produce_max_w": 300.0}}})
    assert bus.device.failsafes[-1] == 300.0
