"""Least times that a device declares are kept, whatever a hub asks, and what is still asked is not lost."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ores.model import (
    ElementCommand,
    ElementState,
    LimitCapability,
    Limits,
    Mode,
    ModeCapability,
    ModeCommand,
    ModeRange,
    Rating,
    SetpointCapability,
    SetpointCommand,
    Switch,
    SwitchCapability,
    SwitchCommand,
)
from ores.module import Refused, element


def things_with_least_times():
    return [
        element("relay", "circuit", switch=SwitchCapability(min_on_s=20.0, min_off_s=60.0)),
        element(
            "pump",
            "heat",
            mode=ModeCapability(modes={"normal": ModeRange(), "boost": ModeRange()}, hold_s=600.0),
        ),
        element(
            "store",
            "battery",
            rating=Rating(consume_max_w=3000.0, produce_max_w=3000.0),
            limit=LimitCapability(consume=True, produce=True),
            setpoint=SetpointCapability(
                consume_max_w=3000.0, produce_max_w=3000.0, response_s=1.0, hold_s=30.0
            ),
        ),
    ]


class Slow:
    """Does what it is told, and tells where it is."""

    def __init__(self) -> None:
        self.elements = things_with_least_times()
        self.closed, self.mode = True, "normal"
        self.moves: list[tuple[float, bool]] = []
        self.clock = None
        self.told = {}
        self.answer = None

    def read(self, name):
        match name:
            case "relay":
                return ElementState(switch=Switch(closed=self.closed))
            case "pump":
                return ElementState(mode=Mode(mode=self.mode))
            case _:
                return ElementState()

    def apply(self, name, command):
        if self.answer is not None:
            return self.answer
        if name == "relay" and command.closed is not None and command.closed != self.closed:
            self.closed = command.closed
            self.moves.append((self.clock.now(), self.closed))
        if name == "pump" and command.mode is not None:
            self.mode = command.mode
        self.told[name] = command
        return None


@pytest.fixture
def bench(things):
    return made(things)


def made(things):
    bench = things.Bench(Slow())
    bench.module.device.clock = bench.clock
    return bench


def switch(closed):
    return {"relay": ElementCommand(switch=SwitchCommand(closed=closed))}


def mode(name):
    return {"pump": ElementCommand(mode=ModeCommand(mode=name))}


def power(power_w, **limits):
    limit = Limits(**limits) if limits else UNSET
    return {"store": ElementCommand(setpoint=SetpointCommand(power_w=power_w), limit=limit)}


def test_a_relay_that_has_opened_stays_open_for_its_time_and_then_closes_if_it_is_still_asked(bench):
    bench.clock.move(100.0)
    assert bench.send(switch(False), ttl_s=900.0).result == "applied"
    assert bench.module.device.closed is False
    bench.clock.move(110.3)
    result = bench.send(switch(True), ttl_s=900.0)
    assert (result.result, result.outcomes["relay"].switch.limited_by) == ("clipped", "hold")
    bench.clock.move(159.9)
    assert bench.module.device.closed is False
    bench.clock.move(160.0)
    assert bench.module.device.closed is True


def test_the_end_of_a_lease_does_not_shorten_a_least_time(bench):
    bench.clock.move(100.0)
    bench.send(switch(False), ttl_s=10.0)
    bench.clock.move(159.0)
    assert bench.module.device.closed is False
    bench.clock.move(160.0)
    assert bench.module.device.closed is True


def test_what_is_no_longer_asked_when_the_time_is_over_is_not_done(bench):
    bench.clock.move(100.0)
    bench.send(switch(False), ttl_s=900.0)
    bench.clock.move(110.0)
    bench.send(switch(True), ttl_s=900.0)
    bench.clock.move(120.0)
    assert bench.send(switch(False), ttl_s=900.0).result == "applied"
    bench.clock.move(500.0)
    assert bench.module.device.moves == [(100.0, False)]


def test_a_contact_that_was_moved_by_hand_rests_as_well(bench):
    bench.clock.move(100.0)
    bench.module.device.closed = False
    bench.clock.move(101.0)
    bench.send(switch(False), ttl_s=900.0)
    bench.clock.move(110.0)
    assert bench.send(switch(True), ttl_s=900.0).result == "clipped"
    bench.clock.move(161.0)
    assert bench.module.device.closed is True


def test_a_mode_is_kept_for_its_time(bench):
    bench.clock.move(10.0)
    assert bench.send(mode("boost"), ttl_s=100.0).result == "applied"
    bench.clock.move(609.9)
    assert bench.module.device.mode == "boost"
    assert bench.module.state().control_source == "policy"
    bench.clock.move(610.0)
    assert bench.module.device.mode == "normal"


def test_a_set_point_that_waits_is_cut_to_a_limit_at_once(bench):
    bench.clock.move(10.0)
    bench.send(power(2000.0), ttl_s=900.0)
    bench.clock.move(15.0)
    outcome = bench.send(power(-1000.0, consume_max_w=500.0), ttl_s=900.0).outcomes["store"].setpoint
    assert (outcome.power_w, outcome.limited_by) == (500.0, "hold")
    assert bench.module.device.told["store"].power_w == 500.0
    assert bench.module.state().elements["store"].setpoint.power_w == 500.0
    bench.clock.move(45.0)
    assert bench.module.device.told["store"].power_w == -1000.0


def test_a_command_that_was_refused_has_changed_nothing_and_is_tried_again(bench):
    bench.clock.move(100.0)
    bench.module.device.answer = Refused("busy")
    assert bench.send(switch(False), ttl_s=900.0).result == "refused"
    bench.module.device.answer = None
    assert bench.send(switch(False), ttl_s=900.0).result == "applied"
    assert bench.module.device.closed is False


def test_a_module_that_ends_leaves_nothing_waiting(bench):
    bench.clock.move(100.0)
    bench.send(switch(False), ttl_s=900.0)
    bench.module.stop()
    assert bench.module.device.closed is True


def test_a_module_that_ends_after_its_lease_leaves_nothing_waiting_either(bench):
    bench.clock.move(100.0)
    bench.send(switch(False), ttl_s=5.0)
    bench.clock.move(110.0)
    assert bench.module.device.closed is False
    bench.module.stop()
    assert bench.module.device.closed is True


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.1, 40.0), st.booleans()), min_size=1, max_size=25))
def test_however_a_hub_flaps_no_least_time_is_broken_and_its_last_word_is_done(things, asked):
    bench = made(things)
    device, clock = bench.module.device, bench.clock
    clock.move(100.0)
    for wait_s, closed in asked:
        clock.move(clock.now() + wait_s)
        bench.send(switch(closed), ttl_s=900.0)
    clock.move(clock.now() + 61.0)
    for (at_s, closed), (next_s, _) in pairwise(device.moves):
        assert next_s - at_s >= (20.0 if closed else 60.0) - 1e-3
    assert device.closed is asked[-1][1]
