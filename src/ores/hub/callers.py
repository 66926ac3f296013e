"""Who asks the hub for something, and what such a person or app may propose."""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from ores.link.errors import Forbidden
from ores.model import Proposal

Role = Literal["owner", "installer", "resident", "observer", "guest", "utility"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

RANKS_OF: Final[dict[Role, tuple[str, ...]]] = {
    "owner": ("owner_bounds", "owner_wish", "plan"),
    "installer": ("grid_obligation", "owner_wish", "plan"),
    "resident": ("owner_wish", "plan"),
    "observer": (),
    "guest": (),
    "utility": ("grid_obligation", "programme_event"),
}
"""The other ranks speak for the equipment or the hub itself (chapter 6.7)."""

SUBJECTS_OF_UTILITY: Final = ("connection", "phase")


class Caller(msgspec.Struct, frozen=True):
    """Who asks.

    Attributes:
        name: Of the user or app; empty where this machine's own user asks.
        role: What it may do.
        by: What it was known by: a session, the token of an app, or being on this machine.
    """

    name: str
    role: Role
    by: Literal["session", "token", "machine"]


OWN_USER: Final = Caller(name="", role="owner", by="machine")
"""Whoever sits at this machine while there is no owner, or can read the hub's own files."""


def check_proposal(caller: Caller, proposal: Proposal, others: frozenset[str]) -> None:
    """Refuse what this caller has no right to propose.

    Args:
        caller: Who proposes.
        proposal: What it proposes.
        others: The names of all users and apps.

    Raises:
        Forbidden: Names the field, what was found and what is allowed.
    """
    _check_rank(caller, proposal)
    if caller.role == "utility" and proposal.subject.kind not in SUBJECTS_OF_UTILITY:
        allowed = " and ".join(SUBJECTS_OF_UTILITY)
        raise Forbidden(
            f"$.subject.kind: found {proposal.subject.kind}, allowed for a utility are {allowed}",
            code="rank_not_allowed",
        )
    if caller.role != "owner" and proposal.source != caller.name:
        raise Forbidden(
            f"$.source: found {proposal.source!r}, allowed is your own name, {caller.name!r}",
            code="source_not_allowed",
        )
    if proposal.source != caller.name and proposal.source in others:
        raise Forbidden(
            f"$.source: {proposal.source!r} is the name of another user or app", code="source_not_allowed"
        )


def check_withdrawal(caller: Caller, proposal: Proposal) -> None:
    """Refuse to take back what is not the caller's; an owner takes back what an owner could have said.

    Raises:
        Forbidden: Says why.
    """
    _check_rank(caller, proposal)
    if caller.role != "owner" and proposal.source != caller.name:
        raise Forbidden(
            f"this proposal is of {proposal.source!r}; you may withdraw your own", code="source_not_allowed"
        )


def _check_rank(caller: Caller, proposal: Proposal) -> None:
    if proposal.rank not in RANKS_OF[caller.role]:
        allowed = " and ".join(RANKS_OF[caller.role]) or "none"
        raise Forbidden(
            f"$.rank: found {proposal.rank}, allowed for {caller.role} are {allowed}: "
            "the other ranks speak for the grid, the equipment or the hub itself",
            code="rank_not_allowed",
        )
