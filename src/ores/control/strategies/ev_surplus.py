"""The vehicle: not at all, from surplus, or as fast as limits allow.

Who comes first: batteries below their reserve, then the vehicle, then the other batteries, then heat. A
battery is not discharged into the vehicle in surplus mode, but for the minute that charging goes on after a
cloud.
"""

from __future__ import annotations

from msgspec import UNSET

from ores.control.house import House, settled
from ores.control.offers import OWNER_WISH, POLICY, Offer
from ores.control.units import Unit
from ores.control.words import kilo


def ev_surplus(house: House) -> list[Offer]:
    """Propose a power for each charger according to the owner's mode."""
    if not house.chargers:
        return []
    match house.preferences.ev_mode:
        case "off":
            return [
                _offer(unit, 0.0, OWNER_WISH, "the owner wants no charging now") for unit in house.chargers
            ]
        case "fast":
            return [
                _offer(unit, unit.high_w, OWNER_WISH, "the owner wants it charged fast")
                for unit in house.chargers
            ]
        case "surplus":
            return _surplus(house)


def _surplus(house: House) -> list[Offer]:
    left_w = surplus_w(house)
    if left_w is None:
        return [_offer(unit, 0.0, POLICY, f"paused: {house.unknown}") for unit in house.chargers]
    offers = []
    reason = f"{kilo(max(0.0, left_w))} of surplus"
    for unit in house.chargers:
        power_w = min(max(0.0, left_w), unit.high_w) if unit.connected is not False else 0.0
        offers.append(_offer(unit, power_w, POLICY, reason))
        if power_w:
            left_w -= power_w
            reason = f"{kilo(max(0.0, left_w))} of surplus"
    return offers


def surplus_w(house: House) -> float | None:
    """What chargers may take of the sun (negative where the house needs more), None is unknown.

    It is what the house without batteries and chargers leaves of the sun, less what batteries below their
    reserve can take.
    """
    if house.grid_w is None:
        return None
    units: list[tuple[Unit, float]] = [(unit, 1.0) for unit in (*house.batteries, *house.chargers)]
    before_w = house.memory.fixed.get("surplus")
    plain_w, settled_w = settled(house.grid_w - house.curtailed_w, units, before_w, house.held_back)
    house.draft.fixed["surplus"] = settled_w
    target_w = 0.0 if house.preferences.grid_target_w is UNSET else house.preferences.grid_target_w
    # What the owner wants to draw from the grid is no surplus of the sun.
    target_w = min(0.0, target_w)
    needed_w = sum(
        unit.high_w
        for unit in house.batteries
        if unit.soc_pct is not None and unit.soc_pct < house.preferences.reserve_pct
    )
    # What was remembered may only show more room than the plain reading, never less.
    return target_w - min(plain_w, settled_w) - needed_w


def _offer(unit: Unit, power_w: float, rank: int, reason: str) -> Offer:
    return Offer(
        subject=unit.key, rank=rank, source="owner", rule="ev_surplus", reason=reason, power_w=power_w
    )
