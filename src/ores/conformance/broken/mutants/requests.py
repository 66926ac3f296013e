"""Modules that take requests wrongly, or what persists from a hub that is over."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.conformance.broken.whole import Whole
from ores.conformance.checks import memory, restart
from ores.module import Refused

RESTARTING = (
    *(check.name for section in (restart.section, memory.section) for check in section.checks),
    *("counter-epoch", "element-ids-stable"),
)
"""What nobody can judge where nobody is there to switch the module off and on."""


def _results(seams: Seams, change: Callable[[Any], Any]) -> None:
    """Change the results of requests."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        return (status, change(body)) if asked.path == "/requests" and status == 200 else None

    seams.answers.append(answer)


def _without(seams: Seams, path: str, field: str) -> None:
    """It does not read a field of what is sent to a resource."""

    def change(asked: Asked) -> Asked:
        if asked.path != path or not isinstance(asked.body, dict):
            return asked
        return replace(asked, body={name: value for name, value in asked.body.items() if name != field})

    seams.requests.append(change)


def _coded(seams: Seams, right: str, wrong: str) -> None:
    _results(seams, lambda body: {**body, "code": wrong} if body.get("code") == right else body)


@broken("request-answered")
def refuses_without_a_word(seams: Seams) -> None:
    """A code was thought to be enough."""
    _results(seams, lambda body: {name: value for name, value in body.items() if name != "detail"})


@broken("request-answered", variant="word", also=("tie-permit-is-no-order",))
def answers_with_a_word_of_its_own(seams: Seams) -> None:
    """It says `ok`."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        if asked.path != "/requests" or asked.body.get("request") != "permit_close":
            return None
        return status, {**body, "result": "ok"} if body.get("result") == "accepted" else body

    seams.answers.append(answer)


@broken("request-interlocked")
def does_later_what_it_has_refused(seams: Seams) -> None:
    """Who asks twice means it: it keeps the order, and carries it out as soon as it has a moment."""

    def keep(device: Whole) -> None:
        ask = device.request
        times = itertools.count(1)

        def request(name: str, asked: str) -> Refused | None:
            refused = ask(name, asked)
            if refused is not None and name == "washer" and next(times) > 1:
                device.clock.call_at(device.clock.now() + 1, begin)
            return refused

        def begin() -> None:
            machine = device.appliances["washer"]
            machine.due_s = min(machine.due_s, machine.now_s)

        device.request = request  # type: ignore[method-assign]

    seams.devices.append(keep)


@broken("request-unknown")
def calls_interlocked_what_it_does_not_know(seams: Seams) -> None:
    """There was one code for all refusals."""
    _coded(seams, "unknown_request", "interlocked")


@broken("request-unknown-element")
def refuses_requests_of_nobody(seams: Seams) -> None:
    """As if there were somebody to refuse them."""

    def answer(asked: Asked, _status: int, body: Any) -> tuple[int, Any] | None:
        if asked.path != "/requests" or body.get("code") != "unknown_element":
            return None
        return 200, {"result": "refused", "code": "unknown_request", "detail": "nobody knows it"}

    seams.answers.append(answer)


@broken("request-no-force")
def can_be_forced(seams: Seams) -> None:
    """For the people in the field."""

    def change(asked: Asked) -> Asked:
        if asked.path != "/requests" or not isinstance(asked.body, dict) or "force" not in asked.body:
            return asked
        forced.append(True)
        return replace(asked, body={name: value for name, value in asked.body.items() if name != "force"})

    def answer(asked: Asked, _status: int, _body: Any) -> tuple[int, Any] | None:
        if asked.path == "/requests" and forced:
            forced.clear()
            return 200, {"result": "accepted"}
        return None

    forced: list[bool] = []
    seams.requests.append(change)
    seams.answers.append(answer)


@broken("restart-offered", also=RESTARTING)
def offers_no_restart(seams: Seams) -> None:
    """It never needs one, and so nobody has built it."""
    seams.on_description(lambda page: {name: value for name, value in page.items() if name != "requests"})


@broken("persistent-old-epoch", variant="failsafe")
def takes_limits_from_a_hub_that_is_over(seams: Seams) -> None:
    """It looks at epochs of leases only."""
    _without(seams, "/failsafe", "epoch")


@broken("persistent-old-epoch", variant="policy")
def takes_a_policy_from_a_hub_that_is_over(seams: Seams) -> None:
    """As above."""
    _without(seams, "/policy", "epoch")


@broken("persistent-old-epoch", variant="settings")
def takes_settings_from_a_hub_that_is_over(seams: Seams) -> None:
    """As above."""
    _without(seams, "/settings", "epoch")


@broken("persistent-old-epoch", variant="requests")
def takes_requests_from_a_hub_that_is_over(seams: Seams) -> None:
    """As above."""
    _without(seams, "/requests", "epoch")
