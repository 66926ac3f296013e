"""Modules whose elements contradict each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams


def _element(seams: Seams, name: str, change: Callable[[Any], Any]) -> None:
    """Change one element of the description."""

    def page(found: Any) -> Any:
        if "elements" not in found:
            return found
        return {**found, "elements": [change(one) if one["id"] == name else one for one in found["elements"]]}

    seams.on_description(page)


def _capability(seams: Seams, name: str, capability: str, change: Callable[[Any], Any]) -> None:
    """Change one capability of one element of the description."""

    def element(found: Any) -> Any:
        able = found["capabilities"]
        return {**found, "capabilities": {**able, capability: change(able.get(capability, {}))}}

    _element(seams, name, element)


@broken("element-ids-unique")
def has_a_second_string_of_the_same_name(seams: Seams) -> None:
    """Copied, and not renamed."""
    copies: list[Any] = []

    def page(found: Any) -> Any:
        if "elements" not in found:
            return found
        copies[:] = [one for one in found["elements"] if one["id"] == "string"] or copies
        last = [] if "next" in found else copies
        return {
            **found,
            "element_count": found["element_count"] + 1,
            "elements": [*found["elements"], *last],
        }

    seams.on_description(page)


@broken("element-upstream")
def hangs_on_what_is_not_there(seams: Seams) -> None:
    """Its installer took the meter away."""
    _element(seams, "circuit_12", lambda one: {**one, "upstream": "sub_panel"})


@broken("element-upstream", variant="circle")
def hangs_on_itself(seams: Seams) -> None:
    """Two circuits, each behind the other."""
    _element(seams, "circuit_11", lambda one: {**one, "upstream": "circuit_12"})
    _element(seams, "circuit_12", lambda one: {**one, "upstream": "circuit_11"})


@broken("element-terminals")
def does_not_say_on_which_conductors_it_hangs(seams: Seams) -> None:
    """Two conductors feed it, and it names none."""

    def change(one: Any) -> Any:
        rest = {field: value for field, value in one.items() if field != "terminals"}
        return {**rest, "connection": "split_phase"}

    _element(seams, "circuit_12", change)


@broken("element-tie-isolate")
def calls_a_circuit_a_tie(seams: Seams) -> None:
    """It does open something."""
    _element(seams, "circuit_12", lambda one: {**one, "kind": "tie"})


@broken("element-bus-named")
def does_not_say_on_which_side_the_heat_pump_sits(seams: Seams) -> None:
    """It seemed to be plain."""
    _element(seams, "heat", lambda one: {field: value for field, value in one.items() if field != "bus"})


@broken("element-not-counted-twice")
def forgets_that_the_inverter_measures_the_string_as_well(seams: Seams) -> None:
    """The sum of both is twice the sun."""
    _element(
        seams, "string", lambda one: {field: value for field, value in one.items() if field != "upstream"}
    )


@broken("limit-needs-rating")
def limits_what_has_no_rating(seams: Seams) -> None:
    """The current of the battery, say, which nobody has told."""
    _capability(seams, "former", "rating", lambda found: {"produce_max_w": found["produce_max_w"]})


@broken("setpoint-within-rating")
def offers_more_than_it_bears(seams: Seams) -> None:
    """The set-points of the larger model."""
    _capability(seams, "battery", "setpoint", lambda found: {**found, "consume_max_w": 4600})


@broken("ranges-possible")
def charges_with_no_less_than_too_much(seams: Seams) -> None:
    """The least current of the lorry."""
    _capability(seams, "evse", "ev", lambda found: {**found, "current_min_a": found["current_max_a"] + 8})


@broken("ranges-possible", variant="rating")
def forces_more_than_it_bears(seams: Seams) -> None:
    """The mode of the larger heat pump."""

    def larger(found: Any) -> Any:
        return {**found, "modes": {**found["modes"], "forced": {"consume_max_w": 6000}}}

    _capability(seams, "heat", "mode", larger)


@broken("rating-voltage")
def has_the_voltage_of_another_country(seams: Seams) -> None:
    """As the first batch, which went overseas."""
    _capability(seams, "circuit_1", "rating", lambda found: {**found, "voltage_v": 100})


@broken("produce-once")
def tells_the_sun_twice(seams: Seams) -> None:
    """On the string as on the inverter."""
    _capability(seams, "string", "produce", lambda _: {})
    seams.on_state(_tell_at_the_string)


def _tell_at_the_string(state: Any) -> Any:
    elements = state["elements"]
    string = {**elements["string"], "produce": elements["inverter"]["produce"]}
    return {**state, "elements": {**elements, "string": string}}


@broken("form-grid-on-former")
def forms_the_grid_on_the_wrong_side(seams: Seams) -> None:
    """On the bus of the utility."""
    _element(seams, "former", lambda one: {**one, "bus": "grid"})


@broken("fault-on-first-element")
def says_nothing_of_faults_at_its_meter(seams: Seams) -> None:
    """A meter has none, its maker thought."""

    def change(one: Any) -> Any:
        able = {name: what for name, what in one["capabilities"].items() if name != "fault"}
        return {**one, "capabilities": able}

    _element(seams, "mains", change)
