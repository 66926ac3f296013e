"""What a module tells of its flexibility, as a hub may use it: chapter 5.5.

A module's word stands in place of what would be derived, but for three things: what its description does not
allow it to have is left out, what the newest state says is newer, and nothing that is told widens a bound.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import inf
from typing import TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from ores.control.flexibility import Known
from ores.model import (
    Capabilities,
    ElementFlexibility,
    FillPoint,
    JobFlexibility,
    PowerFlexibility,
    PowerSlot,
    Rating,
    StoreFlexibility,
    StoreLevel,
    StoreTarget,
)

T = TypeVar("T", bound=Struct)

_LIVE = {
    "power": ("consume_now_w", "produce_now_w"),
    "production": ("available_w",),
    "vehicle": ("connected", "energy_needed_wh", "departure_in_s"),
    "modes": ("mode", "next_change_in_s"),
    "thermal": ("temperature_c", "outdoor_temperature_c"),
    "shed": ("closed", "power_w"),
    "job": ("phase", "energy_wh", "duration_s", "earliest_start_in_s", "latest_end_in_s"),
}
"""The fields that the table of 5.3 takes from the state; those of a store are in `_store`."""


def taken(
    told: ElementFlexibility, derived: ElementFlexibility, able: Capabilities, at: Capabilities
) -> ElementFlexibility:
    """An element's flexibility as it is to be used, both counted from the same moment.

    Args:
        told: By the module.
        derived: From its newest state.
        able: What the element can do.
        at: The same of the element that commands its store; of itself where none does.
    """
    parts = {
        name: _newer(getattr(told, name), getattr(derived, name), fields) for name, fields in _LIVE.items()
    }
    return ElementFlexibility(
        power=_bounded(parts["power"], derived.power),
        store=_store(told.store, derived.store, able, at),
        production=_if(able.produce, parts["production"]),
        vehicle=_if(able.ev, parts["vehicle"]),
        modes=_if(able.mode, parts["modes"]),
        thermal=_if(able.thermal, parts["thermal"]),
        shed=_if(able.switch, parts["shed"]),
        job=_same_phase(_if(able.job, parts["job"]), told.job, derived.job),
    )


def later(flexibility: ElementFlexibility, by_s: float) -> ElementFlexibility:
    """The same, counted from a later moment: what was "in 60 s" is then sooner, and never below 0 (FLEX-002).

    Args:
        flexibility: As it was said.
        by_s: How much later, >= 0.
    """
    if by_s <= 0.0:
        return flexibility
    store, production, job = flexibility.store, flexibility.production, flexibility.job
    if not isinstance(store, UnsetType):
        store = replace(store, usage=_slots(store.usage, by_s), targets=_targets(store.targets, by_s))
    if not isinstance(production, UnsetType):
        production = replace(production, forecast=_slots(production.forecast, by_s))
    if not isinstance(job, UnsetType):
        job = _sooner(job, by_s, "earliest_start_in_s", "latest_end_in_s")
        if job.phase == "running":
            job = replace(_sooner(job, by_s, "duration_s"), profile=_slots(job.profile, by_s))
    return replace(
        flexibility,
        store=store,
        production=production,
        job=job,
        vehicle=_sooner_if(flexibility.vehicle, by_s, "departure_in_s"),
        modes=_sooner_if(flexibility.modes, by_s, "next_change_in_s"),
    )


# ---- newer, and no wider --------------------------------------------------------------------------------


def _newer(told: T | UnsetType, derived: T | UnsetType, fields: tuple[str, ...]) -> T | UnsetType:
    """What was told, with each of these fields as the newest state has it, where that knows it."""
    if isinstance(told, UnsetType) or isinstance(derived, UnsetType):
        return told
    known = {name: value for name in fields if _is_known(value := getattr(derived, name))}
    return replace(told, **known)


def _is_known(value: object) -> bool:
    return value is not None and value is not UNSET


def _if(able: object, part: T | UnsetType) -> T | UnsetType:
    """A part that no capability of the element stands for means nothing (FLEX-007)."""
    return UNSET if able is UNSET else part


def _bounded(
    told: PowerFlexibility | UnsetType, derived: PowerFlexibility | UnsetType
) -> PowerFlexibility | UnsetType:
    """Power that is told, within what the description allows; nobody can be asked for what it does not."""
    if isinstance(told, UnsetType) or isinstance(derived, UnsetType):
        return UNSET
    return replace(
        told,
        by=derived.by,
        consume_max_w=_narrower(told.consume_max_w, derived.consume_max_w),
        produce_max_w=_narrower(told.produce_max_w, derived.produce_max_w),
    )


def _narrower(told_w: float | UnsetType, bound_w: float | UnsetType) -> float | UnsetType:
    """The least of both; a direction in which nothing can be commanded stays so."""
    if isinstance(told_w, UnsetType) or isinstance(bound_w, UnsetType):
        return UNSET
    return min(told_w, bound_w)


def _store(
    told: StoreFlexibility | UnsetType,
    derived: StoreFlexibility | UnsetType,
    able: Capabilities,
    at: Capabilities,
) -> StoreFlexibility | UnsetType:
    if isinstance(told, UnsetType) or (able.storage is UNSET and able.thermal is UNSET and able.ev is UNSET):
        return UNSET
    told = replace(told, levels=_levels(told, at))
    if isinstance(derived, UnsetType) or told.holds != derived.holds:
        return told
    newest = _newer(told, derived, ("capacity_wh", "energy_wh"))
    if isinstance(newest, UnsetType):  # it cannot be: both are there
        return UNSET
    return replace(
        newest,
        energy_min_wh=_extreme(max, told.energy_min_wh, derived.energy_min_wh),
        energy_max_wh=_extreme(min, told.energy_max_wh, derived.energy_max_wh),
        energy_reserve_wh=_reserve(told.energy_reserve_wh, derived.energy_reserve_wh),
    )


def _extreme(
    of: Callable[[float, float], float], told_wh: float | UnsetType, derived_wh: float | UnsetType
) -> float | UnsetType:
    if isinstance(told_wh, UnsetType) or isinstance(derived_wh, UnsetType):
        return derived_wh if isinstance(told_wh, UnsetType) else told_wh
    return of(told_wh, derived_wh)


def _reserve(told_wh: Known, derived_wh: Known) -> Known:
    """The greater of both; one that is not known leaves the other."""
    if told_wh is None or isinstance(told_wh, UnsetType):
        return told_wh if isinstance(derived_wh, UnsetType) else derived_wh
    if derived_wh is None or isinstance(derived_wh, UnsetType):
        return told_wh
    return max(told_wh, derived_wh)


def _same_phase(
    job: JobFlexibility | UnsetType, told: JobFlexibility | UnsetType, derived: JobFlexibility | UnsetType
) -> JobFlexibility | UnsetType:
    """A course that was told for another phase is over; until there is a new one, the state's has to do."""
    if isinstance(told, UnsetType) or isinstance(derived, UnsetType) or derived.phase is None:
        return job
    return job if told.phase == derived.phase else derived


# ---- levels ---------------------------------------------------------------------------------------------


def _levels(store: StoreFlexibility, at: Capabilities) -> list[StoreLevel] | UnsetType:
    """Levels that make sense (FLEX-011 to 013), each cut to the rating; a list with any other is left out."""
    if isinstance(store.levels, UnsetType):
        return UNSET
    rating = Rating() if isinstance(at.rating, UnsetType) else at.rating
    low_w = -inf if isinstance(rating.produce_max_w, UnsetType) else -rating.produce_max_w
    high_w = inf if isinstance(rating.consume_max_w, UnsetType) else rating.consume_max_w
    ends_wh: float | None = None
    for level in store.levels:
        follows = ends_wh is None or level.energy_from_wh == ends_wh
        if not follows or level.energy_to_wh <= level.energy_from_wh or not _sound(level, store.holds):
            return UNSET
        ends_wh = level.energy_to_wh
    return [_cut(level, low_w, high_w) for level in store.levels]


def _sound(level: StoreLevel, holds: str) -> bool:
    points = [] if isinstance(level.points, UnsetType) else level.points
    rising = all(a.power_w < b.power_w and a.fill_w <= b.fill_w for a, b in pairwise(points))
    return rising and (holds != "electricity" or all(point.fill_w <= point.power_w for point in points))


def _cut(level: StoreLevel, low_w: float, high_w: float) -> StoreLevel:
    if isinstance(level.points, UnsetType):
        return level
    points = level.points
    inside = [point for point in points if low_w <= point.power_w <= high_w]
    edges = [_on_line(points, edge_w) for edge_w in (low_w, high_w)]
    cut = {point.power_w: point for point in (*inside, *edges) if point is not None}
    return replace(level, points=[cut[power_w] for power_w in sorted(cut)] if len(cut) > 1 else UNSET)


def _on_line(points: list[FillPoint], power_w: float) -> FillPoint | None:
    """The point of the curve at this power; None outside it."""
    for a, b in pairwise(points):
        if a.power_w <= power_w <= b.power_w:
            part = (power_w - a.power_w) / (b.power_w - a.power_w)
            return FillPoint(power_w=power_w, fill_w=a.fill_w + part * (b.fill_w - a.fill_w))
    return None


# ---- later ----------------------------------------------------------------------------------------------


def _sooner(part: T, by_s: float, *fields: str) -> T:
    known = {name: value for name in fields if isinstance(value := getattr(part, name), int | float)}
    return replace(part, **{name: max(0.0, value - by_s) for name, value in known.items()})


def _sooner_if(part: T | UnsetType, by_s: float, field: str) -> T | UnsetType:
    return UNSET if isinstance(part, UnsetType) else _sooner(part, by_s, field)


def _targets(targets: list[StoreTarget] | UnsetType, by_s: float) -> list[StoreTarget] | UnsetType:
    return UNSET if isinstance(targets, UnsetType) else [_sooner(one, by_s, "due_in_s") for one in targets]


def _slots(slots: list[PowerSlot] | UnsetType, by_s: float) -> list[PowerSlot] | UnsetType:
    """What is left of a list of slots."""
    if isinstance(slots, UnsetType):
        return UNSET
    left: list[PowerSlot] = []
    for slot in slots:
        passed_s = min(by_s, slot.duration_s)
        by_s -= passed_s
        if slot.duration_s > passed_s:
            left.append(replace(slot, duration_s=slot.duration_s - passed_s))
    return left
