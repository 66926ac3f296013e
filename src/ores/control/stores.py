"""All stores of a house that can be told a power, seen as one; and one power, dealt out among them."""

from __future__ import annotations

from math import isfinite

from msgspec import UNSET, Struct

from ores.control.house import soc_pct
from ores.control.snapshot import Snapshot, at_ac
from ores.control.topology import Battery
from ores.model import StorageCapability

USUAL_EFFICIENCY = 0.95
"""Each way, where a store does not declare it."""


class Stores(Struct, frozen=True):
    """Facts of all stores together, as a planner takes them.

    Attributes:
        capacity_kwh: Between what is kept for an outage and the highest charge; > 0.
        charge_max_kw: At the terminals; > 0.
        discharge_max_kw: At the terminals; > 0.
        charge_efficiency: Of what enters, the share that is stored.
        discharge_efficiency: Of what is taken from store, the share that leaves.
    """

    capacity_kwh: float
    charge_max_kw: float
    discharge_max_kw: float
    charge_efficiency: float
    discharge_efficiency: float


def stores(snapshot: Snapshot) -> Stores | None:
    """What the house can store; None where nothing can be told a power, or all is kept."""
    ours = _ours(snapshot)
    parts = [(_usable_wh(snapshot, battery) / 1000.0, battery) for battery in ours]
    capacity_kwh = sum(kwh for kwh, _ in parts)
    charge_kw = sum(battery.place.consume_max_w for battery in ours) / 1000.0
    discharge_kw = sum(battery.place.produce_max_w for battery in ours) / 1000.0
    if capacity_kwh <= 0.0 or charge_kw <= 0.0 or discharge_kw <= 0.0:
        return None
    into = sum(kwh * _efficiencies(snapshot, battery)[0] for kwh, battery in parts) / capacity_kwh
    out_of = sum(kwh * _efficiencies(snapshot, battery)[1] for kwh, battery in parts) / capacity_kwh
    return Stores(
        round(capacity_kwh, 3), round(charge_kw, 3), round(discharge_kw, 3), round(into, 4), round(out_of, 4)
    )


def stored_kwh(snapshot: Snapshot) -> float | None:
    """What is in store above what is kept; None where the charge of one is unknown."""
    total_wh = 0.0
    for battery in _ours(snapshot):
        charge_pct = soc_pct(snapshot, battery)
        if charge_pct is None:
            return None
        above_pct = charge_pct - _floor_pct(snapshot, battery)
        total_wh += min(max(above_pct / 100.0 * battery.capacity_wh, 0.0), _usable_wh(snapshot, battery))
    return total_wh / 1000.0


def charge_kwh(snapshot: Snapshot) -> tuple[float, float] | None:
    """What is in the same stores in all, and what they hold; None where the charge of one is unknown."""
    total_wh = capacity_wh = 0.0
    for battery in _ours(snapshot):
        charge_pct = soc_pct(snapshot, battery)
        if charge_pct is None:
            return None
        total_wh += charge_pct / 100.0 * battery.capacity_wh
        capacity_wh += battery.capacity_wh
    return (total_wh / 1000.0, capacity_wh / 1000.0) if capacity_wh else None


def dealt_w(snapshot: Snapshot, power_w: float) -> dict[tuple[str, str], float] | None:
    """One power of all stores, as the set-point of each, by module and element.

    Each takes its part by what it can do. Where the set-point is that of a whole inverter, its sun is added.

    Args:
        snapshot: The house.
        power_w: Of all stores together, positive charging.

    Returns:
        None where the sun behind an inverter is unknown.
    """
    ours = [battery for battery in _ours(snapshot) if _has_room(snapshot, battery, power_w)] or _ours(
        snapshot
    )
    ratings_w = [b.place.consume_max_w if power_w > 0.0 else b.place.produce_max_w for b in ours]
    total_w = sum(ratings_w)
    dealt = {}
    for battery in _ours(snapshot):
        share_w = (
            power_w * ratings_w[ours.index(battery)] / total_w if battery in ours and total_w > 0.0 else 0.0
        )
        place = battery.place
        if battery.whole_inverter:
            parts = at_ac(snapshot, place.module_id, place.element_id)
            if parts is None:
                return None
            share_w += parts[0]
        dealt[place.module_id, place.element_id] = share_w
    return dealt


def _ours(snapshot: Snapshot) -> list[Battery]:
    """Those that we may command, of known capacity and power, whether they answer now or not."""
    return [
        battery
        for battery in snapshot.topology.batteries
        if (module := snapshot.modules.get(battery.place.module_id)) is not None
        and module.controllable
        and battery.capacity_wh > 0.0
        and isfinite(battery.place.consume_max_w)
        and isfinite(battery.place.produce_max_w)
    ]


def _has_room(snapshot: Snapshot, battery: Battery, power_w: float) -> bool:
    charge_pct = soc_pct(snapshot, battery)
    if charge_pct is None:
        return False
    if power_w > 0.0:
        return charge_pct < battery.soc_max_pct
    return charge_pct > _floor_pct(snapshot, battery)


def _floor_pct(snapshot: Snapshot, battery: Battery) -> float:
    return max(battery.soc_min_pct, snapshot.preferences.reserve_pct)


def _usable_wh(snapshot: Snapshot, battery: Battery) -> float:
    part = (battery.soc_max_pct - _floor_pct(snapshot, battery)) / 100.0
    return max(0.0, part) * battery.capacity_wh


def _efficiencies(snapshot: Snapshot, battery: Battery) -> tuple[float, float]:
    """Of the first of its stores; both ways."""
    elements = snapshot.modules[battery.place.module_id].description.elements
    found = [e.capabilities.storage for e in elements if e.id in battery.stores]
    storage = next((one for one in found if isinstance(one, StorageCapability)), None)
    if storage is None:
        return USUAL_EFFICIENCY, USUAL_EFFICIENCY
    given = storage.charge_efficiency_pct, storage.discharge_efficiency_pct
    into, out_of = (USUAL_EFFICIENCY if one is UNSET or one <= 0.0 else one / 100.0 for one in given)
    return into, out_of
