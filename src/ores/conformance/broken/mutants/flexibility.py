"""Modules that tell an optimiser what is not so."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams


def _message(seams: Seams, change: Callable[[Any], Any]) -> None:
    """Change what is told as a whole."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        return (status, change(body)) if asked.path == "/flexibility" and status == 200 else None

    seams.answers.append(answer)


def _told(seams: Seams, name: str, change: Callable[[Any], Any]) -> None:
    """Change what is told of one element."""
    _message(
        seams, lambda body: {**body, "elements": {**body["elements"], name: change(body["elements"][name])}}
    )


def _part(seams: Seams, name: str, part: str, **fields: Any) -> None:
    """Change fields of one part of one element."""
    _told(seams, name, lambda told: {**told, part: {**told[part], **fields}})


def _first_level(seams: Seams, change: Callable[[Any], Any]) -> None:
    """Change the first level of the battery."""

    def levels(told: Any) -> Any:
        first, *rest = told["store"]["levels"]
        return {**told, "store": {**told["store"], "levels": [change(first), *rest]}}

    _told(seams, "battery", levels)


def _points(*powers: tuple[float, float]) -> Callable[[Any], Any]:
    """Other points for a level: power at the terminal and into the store."""
    points = [{"power_w": power_w, "fill_w": fill_w} for power_w, fill_w in powers]
    return lambda level: {**level, "points": points}


@broken("flexibility-served")
def has_not_built_it_yet(seams: Seams) -> None:
    """The resource is there, and nothing behind it."""

    def answer(asked: Asked, status: int, _body: Any) -> tuple[int, Any] | None:
        if asked.path != "/flexibility" or status != 200:
            return None
        return 501, {"title": "Not built yet", "status": 501, "code": "not_built", "detail": "next year"}

    seams.answers.append(answer)


@broken("flexibility-valid")
def tells_of_an_element_that_it_does_not_have(seams: Seams) -> None:
    """The larger model has a second battery."""
    _message(
        seams,
        lambda body: {**body, "elements": {**body["elements"], "battery_2": body["elements"]["battery"]}},
    )


@broken("flexibility-valid", variant="part")
def tells_what_cannot_be_asked_for(seams: Seams) -> None:
    """A battery that can be shed, and has no switch."""
    _told(seams, "battery", lambda told: {**told, "shed": {"closed": True, "power_w": 0}})


@broken("flexibility-whole")
def tells_a_part_of_it(seams: Seams) -> None:
    """The rest stands in the description, does it not?"""
    _told(seams, "battery", lambda told: {"store": told["store"]})


@broken("flexibility-whole", variant="mode")
def tells_of_the_modes_it_likes(seams: Seams) -> None:
    """Being blocked is not among them."""

    def fewer(told: Any) -> Any:
        modes = {name: of for name, of in told["modes"]["modes"].items() if name != "blocked"}
        return {**told, "modes": {**told["modes"], "modes": modes}}

    _told(seams, "heat", fewer)


@broken("flexibility-agrees-with-state")
def has_two_truths_about_one_battery(seams: Seams) -> None:
    """Two estimators, one for each message."""

    def other(told: Any) -> Any:
        store = told["store"]
        return {**told, "store": {**store, "energy_wh": store["energy_wh"] + 0.05 * store["capacity_wh"]}}

    _told(seams, "battery", other)


@broken("flexibility-agrees-with-state", variant="mode")
def tells_the_mode_of_yesterday(seams: Seams) -> None:
    """Nobody has refreshed it."""
    _part(seams, "heat", "modes", mode="forced")


@broken("flexibility-agrees-with-state", variant="temperature")
def tells_another_temperature(seams: Seams) -> None:
    """That of the water, in place of the room's."""
    _part(seams, "heat", "thermal", temperature_c=35.0)


@broken("flexibility-within-rating")
def promises_more_than_it_bears(seams: Seams) -> None:
    """The power of the cells, not that of the inverter."""
    _part(seams, "battery", "power", consume_max_w=4600)


@broken("flexibility-within-rating", variant="mode")
def takes_more_in_a_mode_than_it_declares(seams: Seams) -> None:
    """Blocked is blocked, but for the pumps."""

    def more(told: Any) -> Any:
        modes = {**told["modes"]["modes"], "blocked": {"consume_max_w": 140}}
        return {**told, "modes": {**told["modes"], "modes": modes}}

    _told(seams, "heat", more)


@broken("flexibility-within-rating", variant="profile")
def runs_hotter_than_it_may(seams: Seams) -> None:
    """Half the time with twice the power."""

    def hotter(told: Any) -> Any:
        job = told["job"]
        slots = [
            {"duration_s": slot["duration_s"] / 2, "power_w": power_w}
            for slot in job.get("profile", [])
            for power_w in (2 * slot["power_w"], 0)
        ]
        return {**told, "job": {**job, "profile": slots}} if slots else told

    _told(seams, "washer", hotter)


@broken("flexibility-levels-ascend")
def leaves_a_gap_between_levels(seams: Seams) -> None:
    """From 8 to 9 kWh nobody knows."""
    _first_level(seams, lambda level: {**level, "energy_to_wh": 8000})


@broken("flexibility-points-ascend")
def turns_back_in_the_middle(seams: Seams) -> None:
    """Full power fills less than nearly full power."""
    _first_level(seams, _points((0, 0), (3500, 3400), (4000, 3300)))


@broken("flexibility-points-ascend", variant="twice")
def has_two_answers_for_one_power(seams: Seams) -> None:
    """Two rows of a table, joined."""
    _first_level(seams, _points((0, 0), (2000, 1900), (2000, 1950), (4000, 3800)))


@broken("flexibility-makes-no-energy")
def makes_energy(seams: Seams) -> None:
    """Its efficiency was divided where it is multiplied."""
    _first_level(seams, _points((0, 0), (4000, 4160)))


@broken("flexibility-profile-adds-up")
def tells_the_course_of_another_programme(seams: Seams) -> None:
    """The short one, with the sums of the long one."""

    def shorter(told: Any) -> Any:
        slots = [{**slot, "duration_s": slot["duration_s"] * 0.6} for slot in told["job"].get("profile", [])]
        return {**told, "job": {**told["job"], "profile": slots}} if slots else told

    _told(seams, "washer", shorter)


@broken("flexibility-lasts")
def tells_what_is_possible_now(seams: Seams) -> None:
    """Less at each look, and valid for ten minutes each time."""
    most_w = itertools.count(4000, -900)
    _told(seams, "battery", lambda told: {**told, "power": {**told["power"], "consume_max_w": next(most_w)}})


@broken("flexibility-counts-from-its-moment")
def counts_from_the_boot(seams: Seams) -> None:
    """What it was told once, it tells again."""
    _part(seams, "evse", "vehicle", departure_in_s=29_999)


@broken("flexibility-counts-from-its-moment", variant="boot")
def names_no_boot_of_its_own(seams: Seams) -> None:
    """A name from the factory."""
    _message(seams, lambda body: {**body, "boot_id": "00000000deadbeef"})


@broken("flexibility-counts-from-its-moment", variant="state")
def tells_a_departure_that_comes_no_nearer(seams: Seams) -> None:
    """In the state: the time that the driver typed."""

    def state(found: Any) -> Any:
        elements = found["elements"]
        vehicle = {**elements["evse"]["ev"], "departure_in_s": 29_999}
        return {**found, "elements": {**elements, "evse": {**elements["evse"], "ev": vehicle}}}

    seams.on_state(state)


@broken("flexibility-overdue-is-now", also=("message-numbers-in-range",))
def goes_below_zero(seams: Seams) -> None:
    """It subtracts, and does not look."""

    def overdue(told: Any) -> Any:
        targets = [
            {**target, "due_in_s": target["due_in_s"] or -3} for target in told["store"].get("targets", [])
        ]
        return {**told, "store": {**told["store"], "targets": targets}}

    _told(seams, "battery", overdue)
