"""What a person reads of the flexibility of a house."""

from __future__ import annotations

import io
import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from tools import schemas

from ores.cli.flexibility import said, show_flexibility
from ores.cli.show import Modules
from ores.model import ElementFlexibility, HouseFlexibility

EXAMPLES = sorted((schemas.STANDARD / "examples/valid/HouseFlexibility").glob("*.json"))


def shown(house: HouseFlexibility) -> str:
    out = io.StringIO()
    show_flexibility(Console(file=out, width=160, color_system=None), house, Modules(modules=[]))
    return out.getvalue()


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (
            {"power": {"by": "setpoint", "consume_max_w": 3600, "produce_max_w": 3600}},
            "take up to 3.60 kW and give",
        ),
        ({"store": {"holds": "heat", "capacity_wh": 3500, "energy_wh": None}}, "unknown of 3.5 kWh"),
        ({"production": {"available_w": None}}, "produce unknown, cannot be curtailed"),
        ({"vehicle": {"connected": None}}, "vehicle unknown"),
        (
            {"vehicle": {"connected": True, "energy_needed_wh": 900, "departure_in_s": 1800}},
            "900 Wh within 30 min",
        ),
        ({"modes": {"mode": None, "modes": {"on": {}}}}, "now unknown"),
        ({"thermal": {"temperature_c": 20.5}}, "20.5 °C"),
        ({"shed": {"closed": True, "power_w": None, "critical": True}}, "cut off: unknown, critical"),
        ({"job": {"phase": "waiting", "energy_wh": 1210, "latest_end_in_s": 34200}}, "1.2 kWh within 9.5 h"),
        ({"job": {"phase": None}}, "run a job: unknown"),
    ],
)
def test_each_part_is_said_and_unknown_is_never_0(parts: dict[str, object], words: str) -> None:
    [text] = said(msgspec.convert(parts, ElementFlexibility))
    assert words in text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_a_house_is_shown_with_who_says_so(path: Path) -> None:
    house = msgspec.convert(json.loads(path.read_text()), HouseFlexibility)
    text = shown(house)
    if house.modules:
        assert "told" in text
        assert "derived" in text
    else:
        assert text == "No module that is online has any flexibility.\n"
