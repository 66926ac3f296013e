"""Modules whose appliances run when they should not, or do not when they should."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import msgspec

from ores import model
from ores.conformance.broken.appliance import Appliance
from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.conformance.broken.whole import Whole
from ores.module import Refused, description
from ores.module.control import Control


def _start(seams: Seams, start: Callable[[Appliance], Refused | None]) -> None:
    """Start its appliances in another way."""
    seams.attribute(Appliance, "start", start)


def _job(seams: Seams, change: Callable[[Any], Any]) -> None:
    """Change what the states say of jobs."""

    def element(points: Any) -> Any:
        return {**points, "job": change(points["job"])} if "job" in points else points

    seams.on_state(
        lambda state: {**state, "elements": {name: element(one) for name, one in state["elements"].items()}}
    )


@broken("job-not-leased")
def can_be_limited_in_the_middle(seams: Seams) -> None:
    """A dryer that follows limits."""

    def limited(one: model.Element) -> model.Element:
        able = msgspec.structs.replace(one.capabilities, limit=model.LimitCapability(consume=True))
        return msgspec.structs.replace(one, capabilities=able) if one.id == "dryer" else one

    seams.attribute(description, "_check_job", lambda _element: None)
    seams.devices.append(
        lambda device: setattr(device, "elements", tuple(limited(one) for one in device.elements))
    )


@broken("job-start-not-before")
def wakes_the_house(seams: Seams) -> None:
    """It is armed, and that was thought to be enough."""

    def start(machine: Appliance) -> Refused | None:
        machine.earliest_in_s = 0
        return right(machine)

    right = Appliance.start
    _start(seams, start)


@broken("job-start-runs")
def takes_its_time(seams: Seams) -> None:
    """It accepts, and looks for water for half a minute."""

    def start(machine: Appliance) -> Refused | None:
        refused = right(machine)
        if refused is None:
            machine.due_s = machine.now_s + 30
            began.append(machine)
        return refused

    right, began = Appliance.start, list[Appliance]()
    seams.attribute(Appliance, "starting", property(lambda machine: machine in began))
    _start(seams, start)


@broken("job-start-once")
def starts_whenever_it_is_asked(seams: Seams) -> None:
    """It does not remember that it has been asked."""
    seams.attribute(Appliance, "starting", False)


@broken("job-start-only-armed", also=("request-interlocked",))
def accepts_a_start_while_it_runs(seams: Seams) -> None:
    """There is nothing to do, so there is nothing to refuse."""

    def start(machine: Appliance) -> Refused | None:
        return right(machine) if machine.phase == "waiting" else None

    right = Appliance.start
    _start(seams, start)


@broken("job-has-an-end")
def may_wait_for_ever(seams: Seams) -> None:
    """It keeps to itself by when it has to be done."""

    def change(job: Any) -> Any:
        if job["phase"] != "waiting":
            return job
        return {name: value for name, value in job.items() if name != "latest_end_in_s"}

    _job(seams, change)


@broken("job-starts-itself")
def waits_for_a_hub(seams: Seams) -> None:
    """Its people find it as they left it."""

    def forget(machine: Appliance) -> None:
        right(machine)
        machine.due_s = inf

    right = Appliance.arm
    seams.attribute(Appliance, "arm", forget)


@broken("job-runs-through")
def stops_with_the_lease(seams: Seams) -> None:
    """Whoever started it is gone."""
    houses: list[Whole] = []
    expire = Control.expire

    def ended(self: Control, now_s: float) -> bool:
        found = expire(self, now_s)
        for house in houses if found else []:
            machine = house.appliances["dishwasher"]
            if machine.phase == "running":
                machine.phase, machine.due_s = "idle", inf
        return found

    seams.devices.append(houses.append)
    seams.attribute(Control, "expire", ended)


@broken("job-counts-down")
def tells_of_the_whole_programme(seams: Seams) -> None:
    """From the beginning to the end, the same numbers."""
    seams.attribute(Appliance, "rest_s", property(lambda machine: machine.duration_s))
