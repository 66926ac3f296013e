"""Chargers: from a wanted power to whole steps of current, with pauses that last.

A charger is lowered at once where a limit demands it; where only the surplus shrinks it waits a little. What
was remembered only ever permits more: without it, charging falls at once.
"""

from __future__ import annotations

from math import floor

from msgspec import UNSET

from ores.control.bounds import Asked, limit_of, sources_below
from ores.control.house import House
from ores.control.memory import ChargerMemory
from ores.control.units import ChargerUnit

STOP_S = 60.0
FALL_S = 5.0


def wish_chargers(house: House, asked: Asked) -> None:
    """Give each charger what it may want: its wish, bounded, in whole steps, falling only when it must."""
    for unit in house.chargers:
        bounds_on = asked.on(unit.key, unit.place.module_id)
        for bounds in bounds_on:
            unit.high_w = min(
                unit.high_w, limit_of(bounds.consume), limit_of(bounds.current) * unit.watt_per_a
            )
        wish = asked.power.get(unit.key) or asked.power.get(unit.place.module_id)
        if wish is None:
            unit.command_w = to_steps(unit, held_w(unit))
            unit.say("none", unit.rank, "hub", "nobody asks for anything else")
            continue
        wanted_w = max(0.0, wish.power_w or 0.0)
        unit.say(wish.rule, wish.rank, wish.source, wish.reason)
        for bounds in bounds_on:
            for source in sources_below(bounds.consume, wanted_w):
                unit.limit_by(source)
            for source in sources_below(bounds.current, wanted_w / unit.watt_per_a):
                unit.limit_by(source)
        if unit.connected is False:
            # Ready for a vehicle, with the least that it can take.
            wanted_w = min(wanted_w, unit.charger.current_min_a * unit.watt_per_a)
        unit.command_w = to_steps(unit, _fall_slowly(house, unit, to_steps(unit, wanted_w)))


def _fall_slowly(house: House, unit: ChargerUnit, target_w: float) -> float:
    held = min(to_steps(unit, held_w(unit)), to_steps(unit, unit.high_w))
    before = house.memory.chargers.get(unit.key)
    if target_w >= held or unit.rule != "ev_surplus" or house.preferences.ev_mode == "off":
        house.draft.chargers[unit.key] = ChargerMemory()
        return target_w
    now_s = house.now_s
    if before is None:
        house.draft.chargers[unit.key] = ChargerMemory(None, now_s - STOP_S)
        return target_w
    since_s = now_s if before.short_since_s is None else before.short_since_s
    house.draft.chargers[unit.key] = ChargerMemory(None, since_s)
    if target_w <= 0.0 and now_s - since_s < STOP_S:
        # A cloud passes: the least current goes on for a while before it pauses.
        least_w = unit.charger.current_min_a * unit.watt_per_a
        return held if now_s - since_s < FALL_S else min(held, least_w)
    return held if now_s - since_s < FALL_S else target_w


def held_w(unit: ChargerUnit) -> float:
    """What the charger may draw now, as it reports it: a limit in force, else what it draws; unknown is 0."""
    state = unit.state
    if state is None:
        return 0.0
    if unit.charger.by_setpoint:
        point = state.setpoint.power_w if state.setpoint is not UNSET else UNSET
        return max(0.0, point) if point is not UNSET and point is not None else max(0.0, unit.power_w or 0.0)
    if state.limit is not UNSET:
        if unit.place.can_current and state.limit.current_max_a is not UNSET:
            return state.limit.current_max_a * unit.watt_per_a
        if state.limit.consume_max_w is not UNSET:
            return state.limit.consume_max_w
    return max(0.0, unit.power_w or 0.0)


def to_steps(unit: ChargerUnit, power_w: float) -> float:
    """The largest power of whole current steps that is no more than this; below the least current it is 0."""
    charger = unit.charger
    current_a = min(power_w, unit.high_w) / unit.watt_per_a
    steps_a = floor(current_a / charger.step_a + 1e-6) * charger.step_a
    steps_a = min(steps_a, charger.current_max_a)
    return steps_a * unit.watt_per_a if steps_a >= charger.current_min_a - 1e-6 else 0.0


def current_a(unit: ChargerUnit) -> float:
    """The current that goes with what the charger is told."""
    return round((unit.command_w or 0.0) / unit.watt_per_a, 6)
