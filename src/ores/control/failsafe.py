"""Limits that keep what was agreed when the hub is dead."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from msgspec import UNSET, UnsetType

from ores.control.topology import NOMINAL_V, Place, Topology
from ores.model import Failsafe, Limits, Preferences

# Of the import limit and the main fuse, this part is left to what nobody steers.
HOUSE_PART = 0.5

MOST_W = 1e6
"""What an element that declares no rating is taken for."""


def failsafe_limits(
    topology: Topology, preferences: Preferences, kept: Mapping[str, Failsafe] | None = None
) -> dict[str, Failsafe]:
    """Limits for each module such that the agreed limits hold without a hub.

    Nobody sees the meter then, so the house may use nothing: all that may produce shares the export limit,
    pro rata of what it could give, and all that charges shares the part of the import limit that is not left
    to the house. What a module that cannot be told keeps beyond its own share is taken from the others.

    Args:
        topology: Of the house.
        preferences: With the agreed limits; where none is agreed, ratings alone bind.
        kept: What modules that cannot be told now keep meanwhile, by module id; what they keep no limit of
            may come to its rating.

    Returns:
        By module id; elements that need no failsafe limit are left out, modules without any too. For a module
        of `kept` it is its share once it can be told.
    """
    kept = kept or {}
    limits: dict[str, dict[str, float]] = {}
    if preferences.export_max_w is not UNSET:
        _produce(_outputs(topology), preferences.export_max_w, kept, limits)
    _consume(topology, preferences, kept, limits)
    modules: dict[str, dict[str, Limits]] = {}
    for key, values in limits.items():
        place = topology.places[key]
        modules.setdefault(place.module_id, {})[place.element_id] = Limits(
            consume_max_w=values.get("consume", UNSET),
            produce_max_w=values.get("produce", UNSET),
            current_max_a=values.get("current", UNSET),
        )
    return {module_id: Failsafe(elements=elements) for module_id, elements in modules.items()}


def _outputs(topology: Topology) -> list[Place]:
    """All that may be limited in producing, each output once."""
    outputs = {unit.place.key for unit in topology.producers}
    places = [unit.place for unit in topology.producers]
    places += [
        battery.place
        for battery in topology.batteries
        # Behind an output that is limited itself, the battery needs no limit of its own.
        if battery.place.can_produce and battery.place.key not in outputs and battery.producer not in outputs
    ]
    return places + [place for place in topology.plain if place.can_produce]


def _produce(
    places: list[Place], max_w: float, kept: Mapping[str, Failsafe], limits: dict[str, dict[str, float]]
) -> None:
    shares = _share({place.key: min(place.produce_max_w, MOST_W) for place in places}, max_w)
    absent = [place for place in places if place.module_id in kept]
    held_w = sum(_produce_held_w(kept, place) for place in absent)
    if held_w > sum(shares[place.key] for place in absent):
        peaks = {p.key: min(p.produce_max_w, MOST_W) for p in places if p.module_id not in kept}
        shares |= _less(shares, _share(peaks, max(0.0, max_w - held_w)))
    for key, share_w in shares.items():
        limits.setdefault(key, {})["produce"] = share_w


def _consume(
    topology: Topology,
    preferences: Preferences,
    kept: Mapping[str, Failsafe],
    limits: dict[str, dict[str, float]],
) -> None:
    left_w = import_max_w(topology, preferences) * HOUSE_PART
    if left_w == inf:
        return
    chargers = {charger.place.key: charger for charger in topology.chargers}
    most_w = {key: charger.current_max_a * charger.place.watt_per_a for key, charger in chargers.items()}
    most_w |= {b.place.key: b.place.consume_max_w for b in topology.batteries if b.place.can_consume}
    places = {key: topology.places[key] for key in most_w}
    bearing = frozenset(
        k for k, c in chargers.items() if _conductors_bear(topology, preferences, c.current_min_a)
    )
    shares = _share_consuming(topology, left_w, bearing, frozenset(places))
    # what takes no limit keeps none, and is no wider for it
    absent = [p for p in places.values() if p.module_id in kept and (p.can_consume or p.can_current)]
    held_w = sum(_consume_held_w(kept, place, min(most_w[place.key], MOST_W)) for place in absent)
    beyond_w = held_w - sum(shares[place.key] for place in absent)
    if beyond_w > 0.0:
        gone = frozenset(key for key, place in places.items() if place.module_id in kept)
        rest_w = max(0.0, left_w - beyond_w - sum(shares[key] for key in gone))
        shares |= _less(shares, _share_consuming(topology, rest_w, bearing, frozenset(places) - gone))
    for key, share_w in shares.items():
        if key in chargers and places[key].can_current:
            current_a = chargers[key].current_min_a if share_w > 0.0 else 0.0
            limits.setdefault(key, {})["current"] = current_a
        elif places[key].can_consume:
            limits.setdefault(key, {})["consume"] = share_w


def _share_consuming(
    topology: Topology, left_w: float, bearing: frozenset[str], among: frozenset[str]
) -> dict[str, float]:
    """A vehicle gets its least or nothing, batteries share the rest; in W by key."""
    shares: dict[str, float] = {}
    for charger in topology.chargers:
        place = charger.place
        if place.key in among:
            least_w = charger.current_min_a * place.watt_per_a
            shares[place.key] = least_w if least_w <= left_w and place.key in bearing else 0.0
            left_w -= shares[place.key]
    batteries = [b.place for b in topology.batteries if b.place.can_consume and b.place.key in among]
    return shares | _share({place.key: min(place.consume_max_w, MOST_W) for place in batteries}, left_w)


def _share(peaks: Mapping[str, float], left_w: float) -> dict[str, float]:
    """Whole watts pro rata of the peaks, none above its own."""
    total_w = sum(peaks.values())
    parts = {key: left_w * peak_w / total_w if total_w > 0.0 else 0.0 for key, peak_w in peaks.items()}
    return {key: float(int(min(part_w, peaks[key]))) for key, part_w in parts.items()}


def _less(ordinary: Mapping[str, float], others: Mapping[str, float]) -> dict[str, float]:
    return {key: min(ordinary[key], share_w) for key, share_w in others.items()}


def _produce_held_w(kept: Mapping[str, Failsafe], place: Place) -> float:
    """What a module that cannot be told lets this element produce at most, >= 0."""
    return min(place.produce_max_w, MOST_W, or_inf(_limits_kept(kept, place).produce_max_w))


def _consume_held_w(kept: Mapping[str, Failsafe], place: Place, most_w: float) -> float:
    """What a module that cannot be told lets this element consume at most, >= 0."""
    limits = _limits_kept(kept, place)
    return min(most_w, or_inf(limits.consume_max_w), or_inf(limits.current_max_a) * place.watt_per_a)


def _limits_kept(kept: Mapping[str, Failsafe], place: Place) -> Limits:
    return kept[place.module_id].elements.get(place.element_id, Limits())


def or_inf(limit: float | UnsetType) -> float:
    """A limit as a number: where there is none, infinity."""
    return inf if limit is UNSET else limit


def import_max_w(topology: Topology, preferences: Preferences) -> float:
    """What may be imported: the agreed limit and what the main fuse bears; infinity where neither is."""
    agreed_w = inf if preferences.import_max_w is UNSET else preferences.import_max_w
    fuse_a = fuse_of(topology, preferences)
    return min(agreed_w, fuse_a * (NOMINAL_V if topology.meter is None else topology.meter.watt_per_a))


def fuse_of(topology: Topology, preferences: Preferences) -> float:
    """The main fuse of each conductor: the owner's word, else the meter's rating, else infinity."""
    if preferences.main_fuse_a is not UNSET:
        return preferences.main_fuse_a
    return topology.meter.current_max_a if topology.meter is not None else inf


def _conductors_bear(topology: Topology, preferences: Preferences, current_a: float) -> bool:
    return current_a <= HOUSE_PART * fuse_of(topology, preferences)
