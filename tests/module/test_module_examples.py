"""The standard's own examples are modules that the SDK would make."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from ores.model import Description, Element, ModuleInfo, ModuleList, State
from ores.module import reading
from ores.module.description import check_elements

VALID = Path(__file__).parents[2] / "standard/examples/valid"
_POINTS = ("ac_measure", "dc_measure", "energy", "limit", "setpoint", "produce", "storage", "switch")


def described() -> list[tuple[str, list[Element]]]:
    """Every element of every example, by its file."""
    found = []
    for kind in (Element, Description, ModuleInfo, ModuleList):
        for path in sorted((VALID / kind.__name__).glob("*.json")):
            message = msgspec.json.decode(path.read_bytes(), type=kind)
            if isinstance(message, Element):
                elements = [message]
            elif isinstance(message, Description):
                elements = message.elements
            else:
                infos = message.modules if isinstance(message, ModuleList) else [message]
                elements = [
                    one
                    for info in infos
                    if info.description is not msgspec.UNSET
                    for one in info.description.elements
                ]
            found.append((f"{kind.__name__}/{path.stem}", elements))
    return [row for row in found if row[1]]


@pytest.mark.parametrize(
    ("name", "elements"), described(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_an_example_of_a_description_would_pass_the_maker_s_desk(name: str, elements: list[Element]) -> None:
    here = {one.id for one in elements}  # an element alone, or a page, may name one that is elsewhere
    check_elements(
        [
            one if one.upstream in here else msgspec.structs.replace(one, upstream=msgspec.UNSET)
            for one in elements
        ]
    )


def test_the_state_of_the_example_tells_all_that_its_description_declares() -> None:
    battery = msgspec.json.decode((VALID / "Element/battery.json").read_bytes(), type=Element)
    state = msgspec.json.decode((VALID / "State/battery_under_lease.json").read_bytes(), type=State)
    told = state.elements["battery"]
    for point in _POINTS:
        declared = getattr(battery.capabilities, point) is not msgspec.UNSET
        assert (getattr(told, point) is not msgspec.UNSET) == declared, point
    rating = battery.capabilities.rating
    assert told.setpoint.consume_max_w <= rating.consume_max_w
    assert reading.is_sound(told)
