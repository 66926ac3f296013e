"""What is shown of an MQTT device: elements, where their values are told, and how they are commanded."""

from __future__ import annotations

from typing import Final

import msgspec

from ores.adapters.mqtt.template import MISSING, Evaluate, Payload, number
from ores.model import Element

HOLD_S: Final = 300.0
"""How long a value is taken to hold where nobody says: Tasmota tells its energy every 300 s by default."""
HOLD_METER_S: Final = 15.0
"""The same at the grid connection point, by which limits are kept."""
HOLD_SLOW_S: Final = 3600.0
"""The same for what changes slowly: energy, and what is in a store."""
SLOW: Final = frozenset({"energy_in_wh", "energy_out_wh", "soc_pct"})
RANGES: Final = {
    "power_w": (-1e6, 1e6),
    "energy_in_wh": (0.0, 1e12),
    "energy_out_wh": (0.0, 1e12),
    "soc_pct": (0.0, 100.0),
    "voltage_v": (0.0, 2_000.0),
    "current_a": (-10_000.0, 10_000.0),
    "frequency_hz": (40.0, 70.0),
}
"""What a value may be at all; what is beyond is not known."""
UNITS: Final = {
    "power_w": {"W": 1.0, "kW": 1e3, "MW": 1e6, "mW": 1e-3},
    "energy_in_wh": {"Wh": 1.0, "kWh": 1e3, "MWh": 1e6},
    "energy_out_wh": {"Wh": 1.0, "kWh": 1e3, "MWh": 1e6},
    "soc_pct": {"%": 1.0},
    "voltage_v": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "current_a": {"A": 1.0, "mA": 1e-3},
    "frequency_hz": {"Hz": 1.0, "kHz": 1e3, "mHz": 1e-3},
}
"""By what a number is to be multiplied."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """Where a point is told.

    Attributes:
        point: Of `RANGES`, or `closed` of a switch.
        topics: The newest word on any of them counts.
        evaluate: Finds the value in a payload.
        scale: Times this it has our unit and sign.
        offset: Added after that.
        hold_s: For so long a value holds; then it is not known.
        on: Of `closed`: the word for closed; empty for another point.
        off: Of `closed`: the word for open.
    """

    point: str
    topics: tuple[str, ...]
    evaluate: Evaluate
    scale: float = 1.0
    offset: float = 0.0
    hold_s: float = HOLD_S
    on: str = ""
    off: str = ""

    def value(self, payload: Payload) -> Heard:
        """What a payload says."""
        found = self.evaluate(payload)
        if found is MISSING:
            return NOTHING
        if self.point == "closed":
            word = str(found).lower()
            return Heard({self.on.lower(): 1.0, self.off.lower(): 0.0}.get(word))
        told = number(found)
        if told is None:
            return Heard(None)
        value = told * self.scale + self.offset
        least, most = RANGES[self.point]
        return Heard(value if least <= value <= most else None)


class Heard(msgspec.Struct, frozen=True):
    """What a message says of a point.

    Attributes:
        value: In our unit; a position is 1 or 0; None where the device does not know it.
        anything: Whether it says anything of it.
    """

    value: float | None
    anything: bool = True


NOTHING: Final = Heard(None, anything=False)


class There(msgspec.Struct, frozen=True):
    """Where a device says whether it is there."""

    topics: tuple[str, ...]
    evaluate: Evaluate
    online: str
    offline: str


class Steering(msgspec.Struct, frozen=True, kw_only=True):
    """How an element is commanded.

    Attributes:
        what: `closed`, `power_w`, `produce_max_w` or `consume_max_w`.
        topic: Of the command.
        on: Payload that closes a switch.
        off: Payload that opens it.
        scale: Number that is sent for each W.
        step: To which that number is rounded.
        released: Payload that gives the device back to itself; empty where there is none.
        refresh_s: A command is sent again after so long; None where it stands until another comes.
        state: Where the device says what holds; None where it does not.
        tolerance_w: So far from what was sent that may be.
    """

    what: str
    topic: str
    on: str = ""
    off: str = ""
    scale: float = 1.0
    step: float = 1.0
    released: str = ""
    refresh_s: float | None = None
    state: Source | None = None
    tolerance_w: float = 50.0


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One element, and what is behind it.

    Attributes:
        element: As it is described.
        sources: Of its points.
        there: Where its device says whether it is there.
        any_is_enough: Whether one of these suffices.
        steering: How it is commanded; empty where it is only read.
        conductor: Whose voltage and current are told; empty for none.
    """

    element: Element
    sources: tuple[Source, ...]
    there: tuple[There, ...] = ()
    any_is_enough: bool = False
    steering: tuple[Steering, ...] = ()
    conductor: str = ""

    def topics(self) -> set[str]:
        """All that has to be heard."""
        states = [steering.state.topics for steering in self.steering if steering.state is not None]
        heard = [*(one.topics for one in self.sources), *(one.topics for one in self.there), *states]
        return {topic for topics in heard for topic in topics}


def hold_s(point: str, *, connection_point: bool) -> float:
    """How long a value holds where nobody says."""
    if point in SLOW:
        return HOLD_SLOW_S
    return HOLD_METER_S if connection_point and point == "power_w" else HOLD_S
