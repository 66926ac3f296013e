"""The heat pump takes what neither batteries nor vehicles can: its boost mode, for a while at a time.

Comfort stays the heat pump's own business: a mode asks, it does not force.
"""

from __future__ import annotations

from ores.control.house import House
from ores.control.memory import HeatMemory
from ores.control.offers import POLICY, Offer
from ores.control.units import HeatUnit
from ores.control.words import kilo

START_S = 120.0
STOP_S = 300.0
# Where the boost mode does not declare what it draws at least.
LEAST_W = 500.0


def heat_surplus(house: House) -> list[Offer]:
    """Propose boost or normal for each heat pump, if the owner allows it surplus."""
    if house.preferences.heat_boost is not True or house.island:
        return []
    offers = []
    left_w = _left_w(house)
    for unit in house.heats:
        if not unit.heat.boost or not unit.heat.normal:
            continue
        boosted = _boosted(house, unit, left_w)
        if boosted:
            left_w -= unit.heat.boost_min_w or LEAST_W
        offers.append(
            Offer(
                subject=unit.key,
                rank=POLICY,
                source="owner",
                rule="heat_surplus",
                reason="the surplus lasts" if boosted else f"no lasting surplus ({kilo(max(0.0, left_w))})",
                mode=unit.heat.boost if boosted else unit.heat.normal,
            )
        )
    return offers


def _left_w(house: House) -> float:
    """Export that no battery feeds, and what the sun could give beyond."""
    if house.grid_w is None:
        return 0.0
    discharge_w = sum(min(0.0, unit.power_w or 0.0) for unit in house.batteries)
    return -(house.grid_w - discharge_w) + house.curtailed_w


def _boosted(house: House, unit: HeatUnit, left_w: float) -> bool:
    """Whether it should run in boost, given how long the surplus has lasted."""
    before = house.memory.heats.get(unit.key, HeatMemory())
    need_w = unit.heat.boost_min_w or LEAST_W
    now_s = house.now_s
    if before.boosting:
        # Its own draw would be surplus again if it stopped.
        enough = left_w + max(0.0, unit.power_w or 0.0) >= 0.5 * need_w
        short_since_s = None if enough else _since(before.short_since_s, now_s)
        stop = (
            short_since_s is not None
            and now_s - short_since_s >= STOP_S
            and _passed(before.changed_at_s, now_s, unit.heat.hold_s)
        )
        changed_at_s = now_s if stop else before.changed_at_s
        house.draft.heats[unit.key] = HeatMemory(None, short_since_s, changed_at_s, boosting=not stop)
        return not stop
    room_since_s = _since(before.room_since_s, now_s) if left_w >= need_w else None
    start = (
        room_since_s is not None
        and now_s - room_since_s >= START_S
        and _passed(before.changed_at_s, now_s, unit.heat.hold_s)
    )
    changed_at_s = now_s if start else before.changed_at_s
    house.draft.heats[unit.key] = HeatMemory(room_since_s, None, changed_at_s, boosting=start)
    return start


def _since(before_s: float | None, now_s: float) -> float:
    return now_s if before_s is None else before_s


def _passed(changed_at_s: float | None, now_s: float, hold_s: float) -> bool:
    return changed_at_s is None or now_s - changed_at_s >= hold_s
