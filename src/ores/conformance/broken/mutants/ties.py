"""Modules whose ties move when they should not, or stay when they should move."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ores import model
from ores.conformance.broken import whole
from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.conformance.broken.whole import Tie, Whole
from ores.module import Effective, Refused, description
from ores.module.control import Control


def _requests(seams: Seams, wrong: Callable[[Whole, str, str], bool]) -> None:
    """Do something else with a request; where `wrong` has done it, the request counts as accepted."""

    def bend(device: Whole) -> None:
        ask = device.request

        def request(name: str, asked: str) -> Refused | None:
            return None if wrong(device, name, asked) else ask(name, asked)

        device.request = request  # type: ignore[method-assign]

    seams.devices.append(bend)


@broken("tie-has-no-switch")
def has_a_tie_that_leases_switch(seams: Seams) -> None:
    """It opens, so it is a switch."""

    def switched(one: model.Element) -> model.Element:
        able = msgspec.structs.replace(one.capabilities, switch=model.SwitchCapability(critical=True))
        return msgspec.structs.replace(one, capabilities=able) if one.id == "tie" else one

    def state(found: Any) -> Any:
        elements = found["elements"]
        tie = {**elements["tie"], "switch": {"closed": elements["tie"]["isolate"]["closed"]}}
        return {**found, "elements": {**elements, "tie": tie}}

    seams.attribute(description, "_check_capabilities", lambda _element: None)
    seams.devices.append(
        lambda device: setattr(device, "elements", tuple(switched(one) for one in device.elements))
    )
    seams.on_state(state)


@broken("tie-unmoved-by-silence", also=("tie-open-holds",))
def closes_with_the_end_of_the_lease(seams: Seams) -> None:
    """Whoever wanted it open is gone."""
    ties: list[Tie] = []
    expire = Control.expire

    def ended(self: Control, now_s: float) -> bool:
        found = expire(self, now_s)
        for tie in ties if found else []:
            tie.closed = tie.permitted = True
        return found

    seams.devices.append(lambda device: ties.append(device.tie))
    seams.attribute(Control, "expire", ended)


@broken("tie-open-holds")
def says_that_it_opens(seams: Seams) -> None:
    """The relay is welded, and nobody looks."""
    _requests(seams, lambda _device, name, asked: (name, asked) == ("tie", "open"))


@broken("tie-open-holds", variant="by-itself", also=("tie-unmoved-by-silence",))
def closes_as_soon_as_it_can(seams: Seams) -> None:
    """It opens, and as the grid is well it closes again."""

    def wrong(device: Whole, name: str, asked: str) -> bool:
        if (name, asked) != ("tie", "open"):
            return False
        device.tie.closed, device.tie.permitted, device.tie.opened_at_s = False, True, device.clock.now()
        return True

    _requests(seams, wrong)


@broken("tie-permit-is-no-order")
def closes_on_the_word(seams: Seams) -> None:
    """It counts down for the hub to see, and closes when it is told to."""
    seams.attribute(whole, "RECONNECT_S", 30.0)

    def wrong(device: Whole, name: str, asked: str) -> bool:
        if (name, asked) == ("tie", "permit_close"):
            device.clock.call_at(device.clock.now() + 1.5, lambda: setattr(device.tie, "closed", True))
        return False

    _requests(seams, wrong)


@broken("tie-permit-is-no-order", variant="held")
def keeps_holding(seams: Seams) -> None:
    """The permission is taken, and forgotten."""
    _requests(seams, lambda _device, name, asked: (name, asked) == ("tie", "permit_close"))


@broken("black-start-interlocked", also=("request-interlocked", "request-no-force"))
def starts_what_is_not_dead(seams: Seams) -> None:
    """It looks at the former only, and not at the tie."""
    _requests(seams, lambda _device, name, asked: (name, asked) == ("former", "black_start"))


@broken("tie-state-consistent")
def calls_an_island_the_grid(seams: Seams) -> None:
    """The two words come from two chips."""

    def state(found: Any) -> Any:
        elements = found["elements"]
        isolate = {**elements["tie"]["isolate"], "island_state": "grid"}
        return {**found, "elements": {**elements, "tie": {**elements["tie"], "isolate": isolate}}}

    seams.on_state(state)


@broken("island-forming-not-limited")
def puts_out_the_lights(seams: Seams) -> None:
    """It keeps each limit, whatever the loads may want."""

    def bend(device: Whole) -> None:
        def former_w() -> float:
            if device.tie.closed:
                return 0.0
            command = device.told.get("former", Effective())
            return -min(whole.BACKUP_LOAD_W, command.produce_max_w)

        device.former_w = former_w  # type: ignore[method-assign]

    seams.devices.append(bend)
    seams.attribute(Control, "_hold_islands", lambda _self, **_more: None)
