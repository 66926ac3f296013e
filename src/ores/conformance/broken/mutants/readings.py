"""Modules whose states contradict their description, or themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams


def told(seams: Seams, element: str, change: Callable[[Any], Any]) -> None:
    """Change what each state says of one element."""

    def state(found: Any) -> Any:
        elements = found["elements"]
        if element not in elements:
            return found
        return {**found, "elements": {**elements, element: change(elements[element])}}

    seams.on_state(state)


def point(seams: Seams, element: str, capability: str, **points: Any) -> None:
    """Change points of one capability in each state."""
    told(seams, element, lambda found: {**found, capability: {**found[capability], **points}})


@broken("state-has-declared-capabilities")
def forgets_the_temperature(seams: Seams) -> None:
    """Declared, and never told."""
    told(seams, "heat", lambda found: {key: value for key, value in found.items() if key != "thermal"})


@broken("state-has-only-declared")
def tells_what_it_never_declared(seams: Seams) -> None:
    """A temperature of a charger, which its description does not have."""
    told(seams, "evse", lambda found: {**found, "thermal": {"temperature_c": 31}})


@broken("state-has-only-declared", variant="element")
def tells_of_an_element_that_it_never_declared(seams: Seams) -> None:
    """A meter for the workshop."""

    def state(found: Any) -> Any:
        return {**found, "elements": {**found["elements"], "debug": {"quality": "stale"}}}

    seams.on_state(state)


@broken("quality-only-when-not-good")
def says_that_all_is_well(seams: Seams) -> None:
    """In each state, of each circuit."""
    told(seams, "circuit_12", lambda found: {**found, "quality": "good"})


@broken("unknown-is-null")
def reads_a_dead_sensor_as_zero(seams: Seams) -> None:
    """It knows that the sensor is dead, and says 0 W."""
    nothing = {"power_w": 0, "current_a": 0, "voltage_v": 0}
    told(seams, "string", lambda found: {**found, "dc_measure": nothing, "quality": "bad"})


@broken("unknown-is-null", variant="conductor")
def adds_up_what_it_does_not_know(seams: Seams) -> None:
    """A sum over nothing is 0."""
    point(seams, "circuit_12", "ac_measure", power_w=0, terminals={"L1": {"power_w": None}})


@broken("measure-sums")
def forgets_a_conductor(seams: Seams) -> None:
    """Its total has what its conductor has not."""
    point(seams, "circuit_12", "ac_measure", power_w=90)


@broken("measure-accuracy")
def measures_a_third_too_much(seams: Seams) -> None:
    """A factor that somebody forgot in the factory."""

    def change(found: Any) -> Any:
        measured = found["dc_measure"]
        return {**found, "dc_measure": {**measured, "power_w": measured["power_w"] * 1.3 - 60}}

    told(seams, "string", change)


@broken("meter-report-period")
def tells_no_power_of_a_conductor(seams: Seams) -> None:
    """The sum is enough, its maker thought."""
    point(seams, "mains", "ac_measure", terminals={"L1": {"voltage_v": 230}})


@broken("storage-capacity", also=("flexibility-agrees-with-state",))
def declares_what_is_on_the_sticker(seams: Seams) -> None:
    """A fifth of it never comes out."""
    point(seams, "battery", "storage", capacity_wh=8000)


@broken("mode-declared", also=("flexibility-agrees-with-state",))
def runs_in_a_mode_of_its_own(seams: Seams) -> None:
    """Defrosting, which nobody has heard of."""
    told(seams, "heat", _defrosting)


def _defrosting(found: Any) -> Any:
    normal = found["mode"]["mode"] == "normal"
    return {**found, "mode": {**found["mode"], "mode": "defrost"}} if normal else found


@broken("ev-unknown-need")
def guesses_the_need_of_no_vehicle(seams: Seams) -> None:
    """The same as yesterday, perhaps."""

    def unplug(device: Any) -> None:
        device.plugged = False

    seams.devices.append(unplug)
    point(seams, "evse", "ev", energy_needed_wh=20_000)


@broken("hazard-declared")
def lists_a_hazard_that_is_none(seams: Seams) -> None:
    """A detector that is well, among those that are not."""
    point(seams, "battery", "hazard", hazards={"smoke": {"active": False, "latched": False}})


@broken("hazard-declared", variant="input")
def tells_of_an_input_that_it_does_not_have(seams: Seams) -> None:
    """Something is torn off that was never there."""
    point(seams, "battery", "hazard", hazards={"flood": {"active": None, "latched": False}})


@broken("faults-agree")
def tells_a_fault_in_the_state_alone(seams: Seams) -> None:
    """Who asks for its faults hears of none."""
    told(seams, "heat", lambda found: {**found, "fault": {"codes": ["fan"]}})
