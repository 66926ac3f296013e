"""Chargers are given more only after there has been room for a while, and only where it will stay.

What was remembered only ever permits more: without it, charging does not rise yet.
"""

from __future__ import annotations

from ores.control.chargers import current_a, held_w, to_steps
from ores.control.house import House
from ores.control.limits import Limit
from ores.control.memory import ChargerMemory
from ores.control.units import ChargerUnit
from ores.control.words import kilo

START_S = 30.0
RISE_S = 10.0
# After a limit has lowered it, this long; and never so close below a limit that noise lowers it again.
CALM_S = 60.0
FIT_PART = 0.25


def rise_slowly(house: House, limits: list[Limit]) -> None:
    """After the limits have cut: give more only if there has been room for long enough.

    Args:
        house: With what each charger may have.
        limits: With what is spare below each then.
    """
    for unit in house.chargers:
        target_w = unit.command_w = to_steps(unit, unit.command_w or 0.0)
        held = to_steps(unit, held_w(unit))
        before = house.memory.chargers.get(unit.key, ChargerMemory())
        short_since_s = house.draft.chargers.get(unit.key, ChargerMemory()).short_since_s
        if target_w > held + 1.0 and not _fits_well(unit, limits):
            target_w = unit.command_w = max(held, to_steps(unit, target_w - _step_w(unit)))
        room_since_s = None
        if target_w > held + 1.0:
            room_since_s = _past(before.room_since_s, house.now_s)
            delay_s = _delay_s(house, before, held)
            if house.now_s - room_since_s < delay_s:
                unit.command_w = held
                unit.reason = f"{unit.reason}; more from {delay_s:.0f} s of room on"
        lowered = target_w < held - 1.0 and bool(unit.limited)
        calm_since_s = house.now_s if lowered else _past(before.calm_since_s, house.now_s)
        house.draft.chargers[unit.key] = ChargerMemory(room_since_s, short_since_s, calm_since_s)
        _explain(unit)


def _past(since_s: float | None, now_s: float) -> float:
    return now_s if since_s is None or since_s > now_s else since_s


def _delay_s(house: House, before: ChargerMemory, held: float) -> float:
    """How long there must have been room. Where a limit has just lowered it, it would soon do so again."""
    if held <= 0.0:
        return START_S
    calm_since_s = _past(before.calm_since_s, house.now_s)
    return RISE_S if house.now_s - calm_since_s >= CALM_S else CALM_S


def _step_w(unit: ChargerUnit) -> float:
    return unit.charger.step_a * unit.watt_per_a


def _fits_well(unit: ChargerUnit, limits: list[Limit]) -> bool:
    """Whether every limit would still leave a part of a step: readings are never still."""
    return all(
        limit.spare >= FIT_PART * _step_w(unit) * per_w
        for limit in limits
        for member, per_w in limit.members
        if member is unit
    )


def _explain(unit: ChargerUnit) -> None:
    power_w = unit.command_w or 0.0
    if unit.connected is False:
        unit.reason = f"no vehicle: {unit.reason}"
    elif power_w > 0.0:
        unit.reason = f"up to {current_a(unit):.0f} A ({kilo(power_w)}): {unit.reason}"
    elif not unit.reason.startswith("paused"):
        unit.reason = f"paused: {unit.reason}"
