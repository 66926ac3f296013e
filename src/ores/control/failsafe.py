"""Limits that keep what was agreed when the hub is dead."""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.topology import NOMINAL_V, Place, Topology
from ores.model import Failsafe, Limits, Preferences

# Of the import limit and the main fuse, this part is left to what nobody steers.
HOUSE_PART = 0.5


def failsafe_limits(topology: Topology, preferences: Preferences) -> dict[str, Failsafe]:
    """Limits for each module such that the agreed limits hold without a hub.

    Nobody sees the meter then, so the house may use nothing: all that may produce shares the export limit,
    pro rata of what it could give, and all that charges shares the part of the import limit that is not left
    to the house.

    Args:
        topology: Of the house.
        preferences: With the agreed limits; where none is agreed, ratings alone bind.

    Returns:
        By module id; elements that need no failsafe limit are left out, modules without any too.
    """
    limits: dict[str, dict[str, float]] = {}
    _produce(topology, preferences, limits)
    _consume(topology, preferences, limits)
    modules: dict[str, dict[str, Limits]] = {}
    for key, values in limits.items():
        place = topology.places[key]
        modules.setdefault(place.module_id, {})[place.element_id] = Limits(
            consume_max_w=values.get("consume", UNSET),
            produce_max_w=values.get("produce", UNSET),
            current_max_a=values.get("current", UNSET),
        )
    return {module_id: Failsafe(elements=elements) for module_id, elements in modules.items()}


def _produce(topology: Topology, preferences: Preferences, limits: dict[str, dict[str, float]]) -> None:
    if preferences.export_max_w is UNSET:
        return
    outputs = {unit.place.key for unit in topology.producers}
    places = [unit.place for unit in topology.producers]
    places += [
        battery.place
        for battery in topology.batteries
        # Behind an output that is limited itself, the battery needs no limit of its own.
        if battery.place.can_produce and battery.place.key not in outputs and battery.producer not in outputs
    ]
    places += [place for place in topology.plain if place.can_produce]
    peaks = [min(place.produce_max_w, 1e6) for place in places]
    total_w = sum(peaks)
    for place, peak_w in zip(places, peaks, strict=True):
        part_w = preferences.export_max_w * peak_w / total_w if total_w > 0.0 else 0.0
        limits.setdefault(place.key, {})["produce"] = float(int(min(part_w, peak_w)))


def _consume(topology: Topology, preferences: Preferences, limits: dict[str, dict[str, float]]) -> None:
    left_w = import_max_w(topology, preferences) * HOUSE_PART
    if left_w == inf:
        return
    for charger in topology.chargers:
        place = charger.place
        least_w = charger.current_min_a * place.watt_per_a
        bears = least_w <= left_w and _conductors_bear(topology, preferences, charger.current_min_a)
        current_a = charger.current_min_a if bears else 0.0
        left_w -= current_a * place.watt_per_a
        if place.can_current:
            limits.setdefault(place.key, {})["current"] = current_a
        elif place.can_consume:
            limits.setdefault(place.key, {})["consume"] = current_a * place.watt_per_a
    batteries = [b.place for b in topology.batteries if b.place.can_consume]
    total_w = sum(min(place.consume_max_w, 1e6) for place in batteries)
    for place in batteries:
        _share_consume(place, left_w, total_w, limits)


def _share_consume(place: Place, left_w: float, total_w: float, limits: dict[str, dict[str, float]]) -> None:
    max_w = min(place.consume_max_w, 1e6)
    part_w = left_w * max_w / total_w if total_w > 0.0 else 0.0
    limits.setdefault(place.key, {})["consume"] = float(int(min(part_w, max_w)))


def import_max_w(topology: Topology, preferences: Preferences) -> float:
    """What may be imported: the agreed limit and what the main fuse bears; infinity where neither is."""
    agreed_w = inf if preferences.import_max_w is UNSET else preferences.import_max_w
    fuse_a = fuse_of(topology, preferences)
    lines = len(topology.meter.conductors) if topology.meter is not None else 1
    return min(agreed_w, fuse_a * NOMINAL_V * max(1, lines))


def fuse_of(topology: Topology, preferences: Preferences) -> float:
    """The main fuse of each conductor: the owner's word, else the meter's rating, else infinity."""
    if preferences.main_fuse_a is not UNSET:
        return preferences.main_fuse_a
    return topology.meter.current_max_a if topology.meter is not None else inf


def _conductors_bear(topology: Topology, preferences: Preferences, current_a: float) -> bool:
    return current_a <= HOUSE_PART * fuse_of(topology, preferences)
