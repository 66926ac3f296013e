"""Hubs that weigh proposals wrongly, or do not say why."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web
from msgspec import UNSET

from ores.conformance.broken.hubs.mutants.doors import route
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import callers, proposals
from ores.hub.api import handlers
from ores.hub.api.wire import answer, hub_of, read
from ores.hub.arbiter import Arbiter
from ores.hub.decisions import Decisions
from ores.hub.proposals import Proposals
from ores.model import ElementCommand, Proposal, SetpointCommand

STORY = (
    "hub-proposal-counts",
    "hub-proposal-expires",
    "hub-proposal-replaced",
    "hub-wish-within-bounds",
    "hub-bounds-intersect",
    "hub-bounds-never-widen",
    "hub-strongest-wish",
    "hub-one-arbiter",
    "hub-decision-names-proposal",
    "hub-decision-names-limits",
    "hub-decision-result",
)
"""What looks at one wish and its life: a hub that follows none fails them together."""


def _offers(tools: Tools, change: Any) -> None:
    """Change what the arbiter is offered; `change` takes the held proposals and gives others."""
    right = Proposals.held

    def held(self: Proposals) -> Any:
        return change(self, right(self))

    decide = Arbiter._decide  # noqa: SLF001 - the mutation's place

    def deciding(self: Arbiter, now_s: float) -> Any:
        Proposals.held = held  # type: ignore[method-assign]
        try:
            return decide(self, now_s)
        finally:
            Proposals.held = right  # type: ignore[method-assign]

    tools.attribute(Arbiter, "_decide", deciding)


@broken_hub("hub-proposal-counts", also=STORY)
def takes_its_time(tools: Tools) -> None:
    """A proposal counts after 6 s."""

    def old(self: Proposals, held: list[Any]) -> list[Any]:
        now_s = self._clock.now()
        return [one for one in held if now_s > one.expires_at_s - one.proposal.ttl_s + 6]

    _offers(tools, old)


@broken_hub("hub-proposals-listed")
def lists_the_whole_life(tools: Tools) -> None:
    """What was asked for is what is left."""
    right = handlers._held  # noqa: SLF001

    def whole(held: Any, now_s: float) -> dict[str, object]:
        return {**right(held, now_s), "expires_in_s": 600.0}

    tools.attribute(handlers, "_held", whole)


@broken_hub("hub-proposal-replaced", also=("hub-proposals-listed", "hub-proposal-withdrawn", *STORY))
def piles_proposals_up(tools: Tools) -> None:
    """Each proposal is a new one."""
    right = Proposals.put
    count = iter(range(10**9))

    def pile(self: Proposals, proposal: Proposal) -> Proposal:
        if (str(proposal.source), str(proposal.id)) in self._held:
            proposal = msgspec.structs.replace(proposal, id=f"{proposal.id} {next(count)}")
        return right(self, proposal)

    tools.attribute(Proposals, "put", pile)


@broken_hub("hub-wish-within-bounds", also=STORY)
def drops_wishes_beyond_bounds(tools: Tools) -> None:
    """What cannot be had in full is not had at all."""

    def fitting(_: Proposals, held: list[Any]) -> list[Any]:
        most = min(
            (
                one.proposal.bounds.consume_max_w
                for one in held
                if one.proposal.bounds and one.proposal.bounds.consume_max_w
            ),
            default=1e9,
        )
        return [
            one
            for one in held
            if not one.proposal.wish
            or one.proposal.wish.power_w is UNSET
            or one.proposal.wish.power_w <= most
        ]

    _offers(tools, fitting)


@broken_hub("hub-bounds-intersect")
def takes_the_first_bounds(tools: Tools) -> None:
    """Of several bounds, those of the first source count."""

    def first(_: Proposals, held: list[Any]) -> list[Any]:
        bounds = [
            one for one in held if one.proposal.bounds is not UNSET and one.proposal.rank == "owner_bounds"
        ]
        widest = max(bounds, key=lambda one: one.proposal.bounds.consume_max_w or 0, default=None)
        return [one for one in held if one not in bounds or one is widest]

    _offers(tools, first)


@broken_hub("hub-bounds-never-widen")
def takes_the_newest_bounds(tools: Tools) -> None:
    """Whoever speaks last is right, whatever the rank."""

    def widest(_: Proposals, held: list[Any]) -> list[Any]:
        if not any(one.proposal.bounds is not UNSET and one.proposal.rank == "plan" for one in held):
            return held
        return [one for one in held if one.proposal.rank != "owner_bounds"]

    _offers(tools, widest)


@broken_hub("hub-strongest-wish", also=("hub-one-arbiter",))
def follows_the_weakest(tools: Tools) -> None:
    """A plan is a plan."""

    def planned(_: Proposals, held: list[Any]) -> list[Any]:
        plans = [one for one in held if one.proposal.wish is not UNSET and one.proposal.rank == "plan"]
        return plans + [one for one in held if one.proposal.wish is UNSET] if plans else held

    _offers(tools, planned)


@broken_hub("hub-proposal-withdrawn")
def lets_anybody_withdraw(tools: Tools) -> None:
    """Whoever may propose may withdraw."""
    tools.attribute(handlers, "check_withdrawal", lambda *_: None)


@broken_hub("hub-proposal-withdrawn", variant="stays", also=("hub-one-arbiter", "hub-proposal-expires"))
def keeps_what_was_withdrawn(tools: Tools) -> None:
    """It says yes, and forgets to forget."""
    tools.attribute(Proposals, "remove", lambda *_: True)


@broken_hub("hub-proposal-expires")
def keeps_proposals_for_a_minute(tools: Tools) -> None:
    """A minute is the shortest that it knows."""
    right = Proposals.put

    def longer(self: Proposals, proposal: Proposal) -> Proposal:
        return right(self, msgspec.structs.replace(proposal, ttl_s=max(60.0, proposal.ttl_s)))

    tools.attribute(Proposals, "put", longer)


@broken_hub("hub-proposal-rank")
def lets_anybody_take_any_rank(tools: Tools) -> None:
    """The app knows best."""
    tools.attribute(callers, "_check_rank", lambda *_: None)


@broken_hub("hub-proposal-source")
def lets_anybody_speak_for_others(tools: Tools) -> None:
    """A name is only a name."""
    right = callers.check_proposal

    def nameless(caller: Any, proposal: Proposal, others: Any) -> None:
        del others
        right(caller, msgspec.structs.replace(proposal, source=caller.name), frozenset())

    tools.attribute(handlers, "check_proposal", nameless)


@broken_hub("hub-proposal-empty")
def takes_empty_proposals(tools: Tools) -> None:
    """What asks for nothing does no harm."""
    tools.attribute(proposals, "check", lambda _: None)


@broken_hub("hub-proposals-crowded")
def has_one_pot_for_all(tools: Tools) -> None:
    """First come, first served."""
    tools.attribute(proposals, "PROPOSALS_MAX", 300)
    tools.attribute(proposals, "OF_ONE_SOURCE_MAX", 100_000)


@broken_hub("hub-one-arbiter")
def obeys_each_at_once(tools: Tools) -> None:
    """Whoever wishes is obeyed at once, and the arbiter has its say a moment later."""

    async def at_once(request: web.Request) -> web.Response:
        hub = hub_of(request)
        proposal = await read(request, Proposal)
        made = hub.proposals.put(proposal)
        subject, wish = proposal.subject, proposal.wish
        if wish is not UNSET and wish.power_w is not UNSET and subject.element is not UNSET:
            link = hub.federation.links[str(subject.module)]
            command = ElementCommand(setpoint=SetpointCommand(power_w=wish.power_w))
            if link.leases.offer({str(subject.element): command}):
                link.flush_lease(hub.clock.now())
        return answer(made, 201)

    route(tools, "POST", "/proposals", at_once)


@broken_hub(
    "hub-records-decisions",
    also=(
        "hub-decision-names-proposal",
        "hub-decision-names-limits",
        "hub-decision-result",
        "hub-decision-filters",
        "hub-decision-ids-rise",
    ),
)
def decides_without_a_word(tools: Tools) -> None:
    """It does what is right and keeps quiet."""
    tools.attribute(Decisions, "take", lambda *_: None)


def _decided(tools: Tools, **changes: Any) -> None:
    right = Decisions._begin  # noqa: SLF001

    def begin(self: Decisions, decision: Any) -> None:
        right(self, msgspec.structs.replace(decision, **changes))

    tools.attribute(Decisions, "_begin", begin)


@broken_hub("hub-decision-names-proposal")
def says_that_it_was_the_owner(tools: Tools) -> None:
    """Whoever it was."""
    _decided(tools, source="owner")


@broken_hub("hub-decision-names-limits")
def does_not_say_what_limited(tools: Tools) -> None:
    """Less is less."""
    _decided(tools, limited_by=UNSET)


@broken_hub("hub-decision-result")
def does_not_wait_for_the_answer(tools: Tools) -> None:
    """What was said was done."""
    tools.attribute(Decisions, "answered", lambda *_: None)


@broken_hub("hub-decision-ids-rise", also=("hub-decision-filters",))
def counts_backwards(tools: Tools) -> None:
    """The newest has the lowest number."""
    right = Decisions._begin  # noqa: SLF001

    def begin(self: Decisions, decision: Any) -> None:
        right(self, msgspec.structs.replace(decision, id=10**9 - decision.id))

    tools.attribute(Decisions, "_begin", begin)


@broken_hub("hub-decision-filters")
def ignores_the_limit(tools: Tools) -> None:
    """All or nothing."""
    right = Decisions.page

    def generous(self: Decisions, **how: Any) -> Any:
        return right(self, **{**how, "limit": 200})

    tools.attribute(Decisions, "page", generous)
