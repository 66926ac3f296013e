"""Whatever a description lets a hub ask fits one frame to the module (DESC-007)."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.link.errors import ConfigError
from ores.model import (
    Element,
    ElementCommand,
    Lease,
    LimitCapability,
    Limits,
    ModeCapability,
    ModeCommand,
    ModeRange,
    Rating,
    SetpointCapability,
    SetpointCommand,
    SwitchCapability,
    SwitchCommand,
    ToModule,
)
from ores.module import element
from ores.module.description import check_elements
from ores.module.lease_size import largest_lease_bytes

RATING = Rating(consume_max_w=1e6, produce_max_w=1e6, current_max_a=100.0, voltage_v=230.0)
LONGEST = 2**53 - 1


def circuit(id_: str, *, current: bool = False) -> Element:
    limit = LimitCapability(current=True) if current else msgspec.UNSET
    return element(id_, "circuit", bus="grid", rating=RATING, switch=SwitchCapability(), limit=limit)


def circuits(count: int, *, current: bool = False) -> list[Element]:
    return [circuit(f"circuit_{number}", current=current) for number in range(1, count + 1)]


def everything(one: Element) -> ElementCommand:
    """All that one element can be told, in the longest words."""
    able = one.capabilities
    limit = setpoint = switch = mode = msgspec.UNSET
    if able.limit is not msgspec.UNSET:
        limit = Limits(
            consume_max_w=999_999.9 if able.limit.consume else msgspec.UNSET,
            produce_max_w=1e6 if able.limit.produce else msgspec.UNSET,
            current_max_a=9999.999 if able.limit.current else msgspec.UNSET,
        )
    if able.setpoint is not msgspec.UNSET:
        setpoint = SetpointCommand(power_w=-1e6)
    if able.switch is not msgspec.UNSET:
        switch = SwitchCommand(closed=False)
    if able.mode is not msgspec.UNSET:
        mode = ModeCommand(mode=max(able.mode.modes, key=lambda each: len(msgspec.json.encode(each))))
    return ElementCommand(limit=limit, setpoint=setpoint, switch=switch, mode=mode)


def lease_bytes(elements: list[Element]) -> int:
    lease = Lease(
        epoch=LONGEST,
        seq=LONGEST,
        boot_id="f" * 32,
        uptime_ms=LONGEST,
        ttl_s=12345678.5,
        elements={one.id: everything(one) for one in elements if msgspec.to_builtins(everything(one))},
    )
    return len(msgspec.json.encode(ToModule(lease=lease)))


one_element = st.builds(
    lambda limits, setpoint, switch, modes: {
        "limit": LimitCapability(**limits) if limits is not None else msgspec.UNSET,
        "setpoint": SetpointCapability(consume_max_w=1.0, produce_max_w=1.0, response_s=1.0)
        if setpoint
        else msgspec.UNSET,
        "switch": SwitchCapability() if switch else msgspec.UNSET,
        "mode": ModeCapability(modes=dict.fromkeys(modes, ModeRange())) if modes else msgspec.UNSET,
    },
    st.none() | st.fixed_dictionaries(dict.fromkeys(("consume", "produce", "current"), st.booleans())),
    st.booleans(),
    st.booleans(),
    st.lists(st.text(min_size=1, max_size=64), max_size=3, unique=True),
)


@given(
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True), one_element, max_size=8),
)
def test_no_lease_gets_larger_than_it_is_counted(made: dict[str, dict[str, object]]) -> None:
    elements = [element(id_, "load", bus="grid", rating=RATING, **how) for id_, how in made.items()]  # type: ignore[arg-type]
    assert lease_bytes(elements) <= largest_lease_bytes(elements)


def test_the_figures_of_the_chapter_are_right() -> None:
    assert largest_lease_bytes(circuits(32)) == 1501
    assert largest_lease_bytes(circuits(32, current=True)) == 2717
    assert largest_lease_bytes(circuits(93)) == 4063
    assert largest_lease_bytes(circuits(94)) == 4105
    assert largest_lease_bytes(circuits(128)) == 5562


def test_the_count_is_not_much_larger_than_the_lease() -> None:
    elements = circuits(32, current=True)
    assert lease_bytes(elements) > largest_lease_bytes(elements) - 32 * 5


def test_a_panel_that_no_lease_could_command_is_two_modules() -> None:
    check_elements(circuits(32, current=True))
    with pytest.raises(ConfigError, match=r"up to 5562 bytes.*4096"):
        check_elements(circuits(128))


def test_what_takes_no_command_costs_nothing() -> None:
    meters = [element(f"meter_{number}", "meter", bus="grid") for number in range(200)]
    check_elements(meters)
    assert largest_lease_bytes(meters) == 166
