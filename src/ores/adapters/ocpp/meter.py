"""What a charger's meter says, in the units and signs of ORES. Pure.

A point that is not told, is not a number, or is more than the equipment could carry, is unknown and never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Final

import msgspec

BELIEVED_SHARE: Final = 2.0
"""Times the rating; a power or a current beyond it was not measured."""
ENERGY_MAX_WH: Final = 1e12
VOLTAGE_MAX_V: Final = 1000.0
LINES: Final = ("L1", "L2", "L3")
MEASURANDS: Final = (
    "Power.Active.Import,Energy.Active.Import.Register,Current.Import,Voltage,SoC",
    "Power.Active.Import,Energy.Active.Import.Register,Current.Import,Voltage",
    "Power.Active.Import,Energy.Active.Import.Register,Current.Import",
    "Power.Active.Import,Energy.Active.Import.Register",
    "Energy.Active.Import.Register",
)
"""A charger refuses a list with one that it does not know (1.6, 9.1.20): then a shorter one."""
NOW: Final = frozenset({"Sample.Periodic", "Sample.Clock", "Trigger", "Other", "Transaction.Begin", ""})
"""Contexts of what flows; the others tell of an instant at which something ended."""
_UNITS: Final = {
    "W": 1.0,
    "kW": 1e3,
    "Wh": 1.0,
    "kWh": 1e3,
    "A": 1.0,
    "V": 1.0,
    "Percent": 1.0,
    "Hertz": 1.0,
    "Hz": 1.0,
}
_USUAL: Final = {"Power": "W", "Energy": "Wh", "Current": "A", "Voltage": "V", "SoC": "Percent"}


class Sample(msgspec.Struct, frozen=True):
    """One sampled value, the same for both versions.

    Attributes:
        value: As told.
        measurand: Of OCPP.
        phase: Such as `L1` or `L1-N`; empty for all together.
        unit: Empty for the usual one.
        context: Why it was told.
        location: Where it was measured.
    """

    value: float
    measurand: str = "Energy.Active.Import.Register"
    phase: str = ""
    unit: str = ""
    context: str = "Sample.Periodic"
    location: str = "Outlet"

    def amount(self) -> float | None:
        """In W, Wh, A, V or %; None in a unit that is none of these."""
        unit = self.unit or _USUAL.get(self.measurand.partition(".")[0], "")
        factor = _UNITS.get(unit)
        value = None if factor is None else self.value * factor
        return value if value is not None and isfinite(value) else None


def number(text: str) -> float | None:
    """The value of OCPP 1.6, which is text; None for what is no number."""
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
    return value if value is not None and isfinite(value) else None


class Bounds(msgspec.Struct, frozen=True):
    """What can be measured at all.

    Attributes:
        lines: Conductors of the charger.
        current_max_a: Rating per conductor.
        power_max_w: Rating of all together.
        voltage_v: Nominal, of one conductor.
    """

    lines: tuple[str, ...]
    current_max_a: float
    power_max_w: float
    voltage_v: float


def points(samples: Sequence[Sample], bounds: Bounds) -> dict[str, float]:
    """What is known after these samples, by point: `power_w`, `current_a.L1`, `energy_in_wh`, `soc_pct`, …

    Args:
        samples: Of one instant.
        bounds: Of this charger.

    Returns:
        Positive into the car; only what was told and can be.
    """
    found: dict[str, float] = {}
    for one in samples:
        value = one.amount()
        if value is None or (one.location != "Outlet" and one.measurand != "SoC"):
            continue
        line = one.phase.removesuffix("-N")
        match one.measurand:
            case "Power.Active.Import" | "Power.Active.Export":
                place = f"{'in' if one.measurand.endswith('Import') else 'out'}.{line}"
                found[place] = value
            case "Energy.Active.Import.Register" if not line and 0 <= value < ENERGY_MAX_WH:
                found["energy_in_wh"] = value
            case "Energy.Active.Export.Register" if not line and 0 <= value < ENERGY_MAX_WH:
                found["energy_out_wh"] = value
            case "Current.Import" if abs(value) <= BELIEVED_SHARE * bounds.current_max_a:
                found[f"current_a.{line}"] = abs(value)
            case "Voltage" if 0 <= value <= VOLTAGE_MAX_V and one.phase in {"", line, f"{line}-N"}:
                found[f"voltage_v.{line}"] = value
            case "SoC" if 0 <= value <= 100:
                found["soc_pct"] = value
            case _:
                pass
    if not any(one.context in NOW for one in samples):
        found = {place: value for place, value in found.items() if place.startswith("energy")}
    return _assembled(found, bounds)


def _assembled(found: dict[str, float], bounds: Bounds) -> dict[str, float]:
    """Power of all conductors together, and what belongs to one that the charger has."""
    told = {
        place: value
        for place, value in found.items()
        if "." not in place or place.rpartition(".")[2] in bounds.lines
    }
    told = {place: value for place, value in told.items() if not place.startswith(("in.", "out."))}
    for line in bounds.lines:
        power_w = _net(found, line)
        if power_w is not None and abs(power_w) <= BELIEVED_SHARE * bounds.power_max_w:
            told[f"power_w.{line}"] = power_w
    if len(bounds.lines) == 1:  # of one conductor, all together is that one
        (line,) = bounds.lines
        for place in ("current_a", "voltage_v"):
            if f"{place}." in found:
                told.setdefault(f"{place}.{line}", found[f"{place}."])
    power_w = _power(found, told, bounds)
    if power_w is not None and abs(power_w) <= BELIEVED_SHARE * bounds.power_max_w:
        told["power_w"] = power_w
    return told


def _power(found: dict[str, float], told: dict[str, float], bounds: Bounds) -> float | None:
    whole_w = _net(found, "")
    if whole_w is not None:
        return whole_w
    each_w = [told.get(f"power_w.{line}") for line in bounds.lines]
    known_w = [power_w for power_w in each_w if power_w is not None]
    if len(known_w) == len(each_w):
        return sum(known_w)
    currents_a = [told.get(f"current_a.{line}") for line in bounds.lines]
    if known_w or any(current_a is None for current_a in currents_a):
        return None
    volts = [told.get(f"voltage_v.{line}", bounds.voltage_v) for line in bounds.lines]
    return sum((a or 0.0) * v for a, v in zip(currents_a, volts, strict=True))


def _net(found: dict[str, float], line: str) -> float | None:
    """Import less export of one conductor, or of all (empty)."""
    into_w, out_w = found.get(f"in.{line}"), found.get(f"out.{line}")
    if into_w is None and out_w is None:
        return None
    return (into_w or 0.0) - (out_w or 0.0)
