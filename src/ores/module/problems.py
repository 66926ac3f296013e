"""What a module answers when a message is no valid command, or asks for what there is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from ores.link import problems as link_problems
from ores.link.endpoint import Reply
from ores.link.errors import InvalidMessage
from ores.model import Problem

TITLES: Final[dict[str, tuple[int, str]]] = {
    **link_problems.TITLES,
    "invalid_message": (400, "Message not allowed by its schema"),
    "unknown_element": (404, "No such element"),
    "unknown_capability": (409, "Not among the element's capabilities"),
    "unknown_policy": (409, "Policy not offered"),
    "setting_refused": (409, "Setting refused"),
    "lease_old_epoch": (409, "Past epoch"),
    "out_of_range": (409, "Outside what the element allows"),
}
"""Code to HTTP status and title; a test compares them with the registry."""


class Refusal(Exception):
    """A request that is answered by a problem."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        found: str | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.problem = make(code, detail, field=field, found=found)
        self.allow = tuple(allow)


def make(
    code: str, detail: str, *, field: str | None = None, found: str | None = None, allowed: str | None = None
) -> Problem:
    """A problem; texts are shortened to what the schema takes."""
    status, title = TITLES[code]
    return Problem(
        title=title,
        status=status,
        code=code,
        detail=detail[:2048],
        field_=UNSET if field is None else field[:256],
        found=UNSET if found is None else found[:256],
        allowed=UNSET if allowed is None else allowed[:512],
    )


def of_invalid(error: InvalidMessage) -> Problem:
    """The problem of a message that its schema does not allow."""
    code = error.code if error.code in TITLES else "invalid_message"
    return make(code, error.detail, field=error.field, found=error.found, allowed=error.allowed)


def reply(problem: Problem, allow: tuple[str, ...] = ()) -> Reply:
    """The problem as an answer; `allow` as for `Reply`."""
    return Reply(problem.status, msgspec.json.encode(problem), allow)
