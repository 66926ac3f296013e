"""Flexibility derived from what a module declares and reports: the table of chapter 5.3, and nothing else.

Each function makes one part of one element. `d` of the table is the element's description, `s` its state; an
element whose state is not known has an empty one, and then whatever is required is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

from msgspec import UNSET, UnsetType

from ores.model import (
    Description,
    Element,
    ElementFlexibility,
    ElementState,
    EvCapability,
    JobFlexibility,
    LimitCapability,
    ModeFlexibility,
    ModesFlexibility,
    PowerFlexibility,
    PowerSlot,
    ProductionFlexibility,
    Rating,
    ShedFlexibility,
    State,
    StoreFlexibility,
    ThermalFlexibility,
    VehicleFlexibility,
)

Known = float | None | UnsetType
"""A point of a state: its value, null where it is unknown, absent where there is none."""

_NOTHING = ElementState()
_DISTRUSTED = frozenset({"stale", "bad"})
_BETWEEN_CONDUCTORS_V = 200.0
"""Above it, a split-phase rating names the voltage between its two conductors."""
_LINE_V = 300.0
"""Above it, a three-phase rating names the voltage between two of its conductors."""
_POWER_MAX_W = 1e6


def derive(description: Description, state: State) -> dict[str, ElementFlexibility]:
    """What the elements of one module could do, by element id; those without any flexibility are absent.

    Args:
        description: What the module is.
        state: Its newest one; the caller has found it fresh (FLEX-005).
    """
    elements = {element.id: element for element in description.elements}
    found = {
        name: _element(element, _trusted(state.elements.get(name)), elements)
        for name, element in elements.items()
    }
    return {name: flexibility for name, flexibility in found.items() if flexibility != ElementFlexibility()}


def commander(element: Element, elements: Mapping[str, Element], what: str) -> Element | None:
    """Who can be commanded: the element, or the first upstream of it that can; None where nobody can.

    Args:
        element: Where the search begins.
        elements: Of its module, by id.
        what: `setpoint`, or `produce` for a limit on producing.
    """
    step: Element | None = element
    for _ in range(len(elements)):  # a module's circle must not hold the hub
        if step is None:
            break
        able = step.capabilities
        limit = LimitCapability() if isinstance(able.limit, UnsetType) else able.limit
        if (what == "setpoint" and able.setpoint is not UNSET) or (
            what == "produce" and limit.produce is True
        ):
            return step
        step = None if isinstance(step.upstream, UnsetType) else elements.get(step.upstream)
    return None


def watt_per_ampere(element: Element) -> tuple[float, int] | None:
    """Power of one ampere in each conductor of an element, and how many conductors there are.

    Returns:
        None where voltage or conductors are not declared.
    """
    rating = element.capabilities.rating
    if isinstance(rating, UnsetType) or isinstance(rating.voltage_v, UnsetType):
        return None
    voltage_v, conductors = rating.voltage_v, _conductors(element)
    if conductors == 2:
        return (2.0 * voltage_v if voltage_v < _BETWEEN_CONDUCTORS_V else voltage_v), 2
    if conductors == 3:
        return (3.0 * voltage_v if voltage_v < _LINE_V else sqrt(3.0) * voltage_v), 3
    return (voltage_v, 1) if conductors == 1 else None


def _conductors(element: Element) -> int:
    known = {"single_phase": 1, "split_phase": 2, "three_phase": 3}
    if not isinstance(element.connection, UnsetType):
        return known.get(element.connection, 0)
    terminals = [] if isinstance(element.terminals, UnsetType) else element.terminals
    return sum(terminal.startswith("L") for terminal in terminals)


def _trusted(state: ElementState | None) -> ElementState:
    return _NOTHING if state is None or state.quality in _DISTRUSTED else state


def _element(element: Element, state: ElementState, elements: Mapping[str, Element]) -> ElementFlexibility:
    return ElementFlexibility(
        power=_power(element, state),
        store=_store(element, state, elements),
        production=_production(element, state, elements),
        vehicle=_vehicle(element, state),
        modes=_modes(element, state),
        thermal=_thermal(element, state),
        shed=_shed(element, state),
        job=_job(element, state),
    )


def _power(element: Element, state: ElementState) -> PowerFlexibility | UnsetType:
    able = element.capabilities
    rating = Rating() if isinstance(able.rating, UnsetType) else able.rating
    setpoint = able.setpoint
    if isinstance(setpoint, UnsetType):
        return _by_limit(element, rating)
    now = state.setpoint
    return PowerFlexibility(
        by="setpoint",
        consume_max_w=_least(setpoint.consume_max_w, rating.consume_max_w),
        produce_max_w=_least(setpoint.produce_max_w, rating.produce_max_w),
        consume_now_w=UNSET if isinstance(now, UnsetType) else now.consume_max_w,
        produce_now_w=UNSET if isinstance(now, UnsetType) else now.produce_max_w,
        consume_min_w=setpoint.consume_min_w,
        step_w=setpoint.step_w,
        response_s=setpoint.response_s,
        ramp_w_per_s=setpoint.ramp_w_per_s,
        hold_s=setpoint.hold_s,
    )


def _by_limit(element: Element, rating: Rating) -> PowerFlexibility | UnsetType:
    limit = element.capabilities.limit
    if isinstance(limit, UnsetType):
        return UNSET
    in_watts = limit.consume is True or limit.produce is True
    if not in_watts and limit.current is not True:
        return UNSET
    ev, factor = element.capabilities.ev, watt_per_ampere(element)
    vehicle = None if isinstance(ev, UnsetType) else ev
    consumes = limit.consume is True or not in_watts
    return PowerFlexibility(
        by="limit" if in_watts else "current",
        consume_max_w=_consume_max_w(rating, vehicle, factor) if consumes else UNSET,
        produce_max_w=rating.produce_max_w if limit.produce is True else UNSET,
        consume_min_w=UNSET if vehicle is None or factor is None else _charge_min_w(vehicle, *factor),
        step_w=UNSET if vehicle is None or factor is None else _times(vehicle.step_a, factor[0]),
    )


def _consume_max_w(
    rating: Rating, ev: EvCapability | None, factor: tuple[float, int] | None
) -> float | UnsetType:
    if factor is None:
        return rating.consume_max_w
    charge_w = UNSET if ev is None else _times(ev.current_max_a, factor[0])
    return _least(rating.consume_max_w, _times(rating.current_max_a, factor[0]), charge_w)


def _charge_min_w(ev: EvCapability, watt_per_a: float, conductors: int) -> float | UnsetType:
    return _watts(ev.current_min_a * watt_per_a / (conductors if ev.phase_switching is True else 1))


def _store(
    element: Element, state: ElementState, elements: Mapping[str, Element]
) -> StoreFlexibility | UnsetType:
    able, now = element.capabilities.storage, state.storage
    if isinstance(able, UnsetType):
        return UNSET
    capacity_wh: Known = UNSET if isinstance(now, UnsetType) else now.capacity_wh
    if capacity_wh is None or isinstance(capacity_wh, UnsetType):
        capacity_wh = able.capacity_wh
    at = commander(element, elements, "setpoint")
    content_wh = None if isinstance(now, UnsetType) else _part(now.soc_pct, capacity_wh)
    return StoreFlexibility(
        holds="electricity",
        capacity_wh=capacity_wh,
        energy_wh=None if isinstance(content_wh, UnsetType) else content_wh,
        energy_min_wh=_declared_part(able.soc_min_pct, capacity_wh),
        energy_max_wh=_declared_part(able.soc_max_pct, capacity_wh),
        energy_reserve_wh=UNSET if isinstance(now, UnsetType) else _part(now.reserve_pct, capacity_wh),
        commanded_at=UNSET if at is None else at.id,
        charge_efficiency_pct=able.charge_efficiency_pct,
        discharge_efficiency_pct=able.discharge_efficiency_pct,
    )


def _production(
    element: Element, state: ElementState, elements: Mapping[str, Element]
) -> ProductionFlexibility | UnsetType:
    able, now = element.capabilities.produce, state.produce
    if isinstance(able, UnsetType):
        return UNSET
    at = commander(element, elements, "produce")
    return ProductionFlexibility(
        available_w=None if isinstance(now, UnsetType) else now.available_w,
        peak_w=able.peak_w,
        commanded_at=UNSET if at is None else at.id,
    )


def _vehicle(element: Element, state: ElementState) -> VehicleFlexibility | UnsetType:
    now = state.ev
    if isinstance(element.capabilities.ev, UnsetType):
        return UNSET
    if isinstance(now, UnsetType):
        return VehicleFlexibility(connected=None)
    if now.connected is False:
        return VehicleFlexibility(connected=False)
    return VehicleFlexibility(
        connected=now.connected, energy_needed_wh=now.energy_needed_wh, departure_in_s=now.departure_in_s
    )


def _modes(element: Element, state: ElementState) -> ModesFlexibility | UnsetType:
    able, now = element.capabilities.mode, state.mode
    if isinstance(able, UnsetType):
        return UNSET
    return ModesFlexibility(
        mode=None if isinstance(now, UnsetType) else now.mode,
        modes={
            name: ModeFlexibility(consume_min_w=of.consume_min_w, consume_max_w=of.consume_max_w)
            for name, of in able.modes.items()
        },
        hold_s=able.hold_s,
        next_change_in_s=UNSET if isinstance(now, UnsetType) else now.next_change_in_s,
    )


def _thermal(element: Element, state: ElementState) -> ThermalFlexibility | UnsetType:
    able, now = element.capabilities.thermal, state.thermal
    if isinstance(able, UnsetType):
        return UNSET
    return ThermalFlexibility(
        temperature_c=None if isinstance(now, UnsetType) else now.temperature_c,
        temperature_min_c=able.temperature_min_c,
        temperature_max_c=able.temperature_max_c,
        outdoor_temperature_c=UNSET if isinstance(now, UnsetType) else now.outdoor_temperature_c,
        heat_max_w=able.heat_max_w,
    )


def _shed(element: Element, state: ElementState) -> ShedFlexibility | UnsetType:
    able = element.capabilities.switch
    if isinstance(able, UnsetType):
        return UNSET
    power_w = None
    if not isinstance(state.ac_measure, UnsetType):
        power_w = state.ac_measure.power_w
    elif not isinstance(state.dc_measure, UnsetType):
        power_w = state.dc_measure.power_w
    return ShedFlexibility(
        closed=None if isinstance(state.switch, UnsetType) else state.switch.closed,
        power_w=power_w,
        critical=able.critical,
        min_on_s=able.min_on_s,
        min_off_s=able.min_off_s,
    )


def _job(element: Element, state: ElementState) -> JobFlexibility | UnsetType:
    now = state.job
    if isinstance(element.capabilities.job, UnsetType):
        return UNSET
    if isinstance(now, UnsetType):
        return JobFlexibility(phase=None)
    return JobFlexibility(
        phase=now.phase,
        energy_wh=now.energy_wh,
        duration_s=now.duration_s,
        earliest_start_in_s=now.earliest_start_in_s,
        latest_end_in_s=now.latest_end_in_s,
        profile=_even(now.energy_wh, now.duration_s),
    )


def _even(energy_wh: Known, duration_s: Known) -> list[PowerSlot] | UnsetType:
    """One slot of mean power."""
    if not isinstance(energy_wh, float | int) or not isinstance(duration_s, float | int) or duration_s <= 0:
        return UNSET
    power_w = _watts(energy_wh * 3600.0 / duration_s)
    return UNSET if isinstance(power_w, UnsetType) else [PowerSlot(duration_s=duration_s, power_w=power_w)]


def _least(*bounds: float | UnsetType) -> float | UnsetType:
    declared = [bound for bound in bounds if not isinstance(bound, UnsetType)]
    return min(declared) if declared else UNSET


def _times(current_a: float | UnsetType, watt_per_a: float) -> float | UnsetType:
    return UNSET if isinstance(current_a, UnsetType) else _watts(current_a * watt_per_a)


def _watts(power_w: float) -> float | UnsetType:
    """A power that a message can carry; absent beyond that (rule 5)."""
    return power_w if power_w <= _POWER_MAX_W else UNSET


def _part(share_pct: Known, whole_wh: float) -> Known:
    return (
        share_pct if share_pct is None or isinstance(share_pct, UnsetType) else share_pct / 100.0 * whole_wh
    )


def _declared_part(share_pct: float | UnsetType, whole_wh: float) -> float | UnsetType:
    return UNSET if isinstance(share_pct, UnsetType) else share_pct / 100.0 * whole_wh
