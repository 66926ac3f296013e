"""A hub writes numbers that a small module has room for (LEASE-025)."""

from __future__ import annotations

import re

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ores.hub.leases import LeaseCounts, LeaseKeeper
from ores.model import ElementCommand, Limits, SetpointCommand, State, ToModule

STATE = State(boot_id="00000001", uptime_ms=0, control_source="policy", elements={})
WATT = st.floats(-1e6, 1e6)
LIMIT = st.floats(0, 1e6)
NUMBER = re.compile(rb"[-+.eE0-9]+(?=[,}])")


def written(command: ElementCommand) -> tuple[bytes, ElementCommand]:
    frames: list[bytes] = []
    keeper = LeaseKeeper(1, LeaseCounts(), frames.append)  # type: ignore[arg-type]
    keeper.offer({"a": command})
    keeper.flush(STATE, 0.0, 0.0, frames.append)
    return frames[0], msgspec.json.decode(frames[0], type=ToModule).lease.elements["a"]


@given(WATT, LIMIT, LIMIT, st.floats(0, 1e4))
def test_no_number_has_more_than_ten_characters_or_allows_more(
    power_w: float, consume_w: float, produce_w: float, current_a: float
) -> None:
    limit = Limits(consume_max_w=consume_w, produce_max_w=produce_w, current_max_a=current_a)
    frame, read = written(ElementCommand(limit=limit, setpoint=SetpointCommand(power_w=power_w)))
    assert all(len(number) <= 10 for number in NUMBER.findall(frame)), frame
    for asked, told, step in (
        (consume_w, read.limit.consume_max_w, 0.1),
        (produce_w, read.limit.produce_max_w, 0.1),
        (current_a, read.limit.current_max_a, 0.001),
        (power_w, read.setpoint.power_w, 0.1),
    ):
        assert abs(told) <= abs(asked) + 1e-6
        assert abs(asked - told) <= step + 1e-6


def test_a_number_that_is_short_already_stays_as_it_is() -> None:
    limit = Limits(current_max_a=0.3, produce_max_w=1234.7)
    asked = ElementCommand(limit=limit, setpoint=SetpointCommand(power_w=-2000.3))
    assert written(asked)[1] == asked
