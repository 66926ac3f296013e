"""Proposals that hold now, from whoever made them, each until it expires or is replaced."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import UNSET

from ores.control.offers import Offer, prepare
from ores.link.clock import Clock
from ores.link.errors import InvalidMessage, Unavailable
from ores.model import Proposal

PROPOSALS_MAX = 512
OF_ONE_SOURCE_MAX = 128
"""One app gone mad must not silence the rest."""


@dataclass(frozen=True, slots=True)
class Held:
    """A proposal, the same as the arbiter reads it, and when it ends in s of the process clock."""

    proposal: Proposal
    offer: Offer
    expires_at_s: float


class Proposals:
    """All that hold, at most `PROPOSALS_MAX`.

    Args:
        clock: Ends them.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[tuple[str, str], Held] = {}
        self._numbered = 0
        self.version = 0

    def put(self, proposal: Proposal) -> Proposal:
        """Hold a proposal; the same source and id replaces the one before.

        Returns:
            The proposal with its id, which is made here where its maker gave none.

        Raises:
            InvalidMessage: It proposes nothing, or its subject is not complete.
            Unavailable: There are too many already, in all or of this source.
        """
        check(proposal)
        self.expire()
        if proposal.id is UNSET:
            self._numbered += 1
            proposal = msgspec.structs.replace(proposal, id=f"p{self._numbered}")
        key = (proposal.source, str(proposal.id))
        if key not in self._held and len(self._held) >= PROPOSALS_MAX:
            raise Unavailable(
                f"{PROPOSALS_MAX} proposals are held already; remove one or wait for one to expire",
                code="too_many_proposals",
            )
        of_source = sum(source == proposal.source for source, _ in self._held)
        if key not in self._held and of_source >= OF_ONE_SOURCE_MAX:
            raise Unavailable(
                f"{OF_ONE_SOURCE_MAX} proposals of {proposal.source!r} are held already; withdraw one",
                code="too_many_proposals",
            )
        now_s = self._clock.now()
        self._held[key] = Held(proposal, prepare(proposal, now_s), now_s + proposal.ttl_s)
        self.version += 1
        return proposal

    def remove(self, source: str, proposal_id: str) -> bool:
        """Forget one; returns whether it was there."""
        self.version += 1
        return self._held.pop((source, proposal_id), None) is not None

    def remove_source(self, source: str) -> None:
        """Forget all that somebody has proposed."""
        self.version += 1
        for key in [key for key in self._held if key[0] == source]:
            del self._held[key]

    def get(self, source: str, proposal_id: str) -> Proposal | None:
        """One that holds."""
        self.expire()
        held = self._held.get((source, proposal_id))
        return None if held is None else held.proposal

    def held(self) -> list[Held]:
        """Those that hold, by source and id, so that the order never depends on who came first."""
        self.expire()
        return [self._held[key] for key in sorted(self._held)]

    def expire(self) -> None:
        """Drop what has ended."""
        now_s = self._clock.now()
        for key in [key for key, held in self._held.items() if held.expires_at_s <= now_s]:
            del self._held[key]
            self.version += 1


def check(proposal: Proposal) -> None:
    """Refuse what proposes nothing, or about nothing.

    Raises:
        InvalidMessage: Names the field.
    """
    if proposal.bounds is UNSET and proposal.wish is UNSET:
        raise _invalid("$", "neither bounds nor wish", "bounds, a wish or both")
    subject = proposal.subject
    needs = {
        "module": ("module",),
        "element": ("module", "element"),
        "circuit": ("module", "element"),
        "phase": ("phase",),
        "connection": (),
    }[subject.kind]
    for name in needs:
        if getattr(subject, name) is UNSET:
            raise _invalid(
                f"$.subject.{name}", "nothing", f"a subject of kind {subject.kind} names its {name}"
            )


def _invalid(field: str, found: str, allowed: str) -> InvalidMessage:
    return InvalidMessage(
        f"{field}: found {found}, allowed is {allowed}", field=field, found=found, allowed=allowed
    )
