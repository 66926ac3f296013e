"""Power through the house, for people: what is known, and None for what is not."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from ores.control.snapshot import Snapshot, at_ac, power_w
from ores.control.topology import Place
from ores.model import Flow


def flow(snapshot: Snapshot) -> Flow:
    """Sum up the house.

    The sum closes at the connection point: grid = pv + battery + ev + heat + load. Where sun and battery
    share an inverter, the battery is what the inverter gives or takes beyond what the sun alone makes it.
    """
    topology = snapshot.topology
    grid = None if topology.meter is None or topology.rivals else _power(snapshot, topology.meter)
    pv = _sum(_power(snapshot, place) for place in topology.suns)
    behind = {
        f"{key.split('/')[0]}/{store}" for key, (_, stores) in topology.inverters.items() for store in stores
    }
    battery = _sum(_power(snapshot, place) for place in topology.stores if place.key not in behind)
    for key in topology.inverters:
        sun_w, store_w = _hybrid(snapshot, key)
        pv, battery = _add(pv, sun_w), _add(battery, store_w)
    ev = _sum(_power(snapshot, charger.place) for charger in topology.chargers)
    heat = _sum(_power(snapshot, unit.place) for unit in topology.heats)
    load = unmetered = None
    if grid is not None and pv is not None and battery is not None and ev is not None and heat is not None:
        load = grid - pv - battery - ev - heat
        metered = _sum(_power(snapshot, place) for place in topology.boundary)
        unmetered = None if metered is None else grid - metered
    return Flow(
        grid_w=grid,
        pv_w=pv,
        battery_w=battery,
        ev_w=ev,
        heat_w=heat,
        load_w=load,
        unmetered_w=unmetered,
        soc_pct=_soc_pct(snapshot) if topology.stores else UNSET,
        island=_island(snapshot) if topology.ties else UNSET,
    )


def _power(snapshot: Snapshot, place: Place) -> float | None:
    return power_w(snapshot.element(place.module_id, place.element_id))


def _add(left: float | None, right: float | None) -> float | None:
    return None if left is None or right is None else left + right


def _sum(values: Iterable[float | None]) -> float | None:
    """The sum, None as soon as one part is unknown."""
    total = 0.0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def _hybrid(snapshot: Snapshot, key: str) -> tuple[float | None, float | None]:
    """AC power of sun and battery behind one inverter."""
    module_id, inverter = key.split("/")
    parts = at_ac(snapshot, module_id, inverter)
    return (None, None) if parts is None else (parts[0], sum(parts[1].values()))


def _soc_pct(snapshot: Snapshot) -> float | None:
    stored = total_wh = 0.0
    for place in snapshot.topology.stores:
        state = snapshot.element(place.module_id, place.element_id)
        if state is None or state.storage is UNSET or state.storage.soc_pct is None:
            return None
        capacity_wh = snapshot.topology.capacities[place.key]
        stored += capacity_wh * state.storage.soc_pct
        total_wh += capacity_wh
    return min(100.0, stored / total_wh) if total_wh > 0.0 else None  # the quotient may round above it


def _island(snapshot: Snapshot) -> bool:
    for tie in snapshot.topology.ties:
        state = snapshot.element(tie.place.module_id, tie.place.element_id)
        if state is not None and state.isolate is not UNSET:
            isolate = state.isolate
            if isolate.closed is False or isolate.island_state in {"island", "black"}:
                return True
    return False
