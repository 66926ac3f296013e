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
from ores.hub.api.wire import hub_of, read
from ores.hub.arbiter import Arbiter
from ores.hub.decisions import Decisions
from ores.hub.proposals import Proposals
from ores.model import ElementCommand, Proposal, SetpointCommand

ROUND_AFTER_S = 3.6
WITHDRAWN_AFTER_S = 4.0
GRACE_S = 4.0
SHORT_S = 5.0
OLD_S = 3.0


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


def _is_round(proposal: Proposal) -> bool:
    """Whether it wishes whole kilowatts, and some."""
    wish = proposal.wish
    return wish is not UNSET and wish.power_w is not UNSET and wish.power_w > 0 and wish.power_w % 1000 == 0


@broken_hub("hub-proposal-counts")
def takes_its_time(tools: Tools) -> None:
    """Whole kilowatts are slept on for a moment: who wishes them has hardly thought about it."""

    def old(self: Proposals, held: list[Any]) -> list[Any]:
        now_s = self._clock.now()
        return [
            one
            for one in held
            if not _is_round(one.proposal) or now_s > one.expires_at_s - one.proposal.ttl_s + ROUND_AFTER_S
        ]

    _offers(tools, old)


@broken_hub("hub-proposals-listed")
def lists_the_whole_life(tools: Tools) -> None:
    """What was asked for is what is left."""
    right = handlers._held  # noqa: SLF001

    def whole(held: Any, now_s: float) -> dict[str, object]:
        return {**right(held, now_s), "expires_in_s": 600.0}

    tools.attribute(handlers, "_held", whole)


@broken_hub("hub-proposal-replaced")
def piles_proposals_up(tools: Tools) -> None:
    """What was there before stays for a moment, under another id."""
    right = Proposals.put
    count = iter(range(10**9))

    def pile(self: Proposals, proposal: Proposal) -> Proposal:
        before = self._held.get((str(proposal.source), str(proposal.id)))
        if before is not None:
            old = f"{proposal.id} {next(count)}"  # of equals the first id counts, which is the new one's
            right(self, msgspec.structs.replace(before.proposal, id=old, ttl_s=OLD_S))
        return right(self, proposal)

    tools.attribute(Proposals, "put", pile)


@broken_hub(
    "hub-wish-within-bounds",
    also=("hub-bounds-intersect", "hub-bounds-never-widen", "hub-decision-names-limits"),
)
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


@broken_hub("hub-proposal-withdrawn", variant="stays")
def keeps_what_was_withdrawn(tools: Tools) -> None:
    """It says yes; but what somebody has asked for twice is kept a little."""
    right_put, right_remove = Proposals.put, Proposals.remove
    again: set[tuple[str, str]] = set()

    def put(self: Proposals, proposal: Proposal) -> Proposal:
        key = (str(proposal.source), str(proposal.id))
        if key in self._held:
            again.add(key)
        return right_put(self, proposal)

    def remove(self: Proposals, source: str, proposal_id: str) -> bool:
        if (source, proposal_id) not in again:
            return right_remove(self, source, proposal_id)

        def late() -> None:
            right_remove(self, source, proposal_id)

        self._clock.call_at(self._clock.now() + WITHDRAWN_AFTER_S, late)
        return True

    tools.attribute(Proposals, "put", put)
    tools.attribute(Proposals, "remove", remove)


@broken_hub("hub-proposal-expires")
def keeps_proposals_longer(tools: Tools) -> None:
    """A few seconds are no time at all: what is short lasts longer."""
    right = Proposals.put

    def longer(self: Proposals, proposal: Proposal) -> Proposal:
        grace_s = GRACE_S if proposal.ttl_s <= SHORT_S else 0.0
        return right(self, msgspec.structs.replace(proposal, ttl_s=proposal.ttl_s + grace_s))

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
        given = await handlers.post_proposal(request)
        hub = hub_of(request)
        proposal = await read(request, Proposal)
        subject, wish = proposal.subject, proposal.wish
        if wish is not UNSET and wish.power_w is not UNSET and subject.element is not UNSET:
            link = hub.federation.links[str(subject.module)]
            command = ElementCommand(setpoint=SetpointCommand(power_w=wish.power_w))
            if link.leases.offer({str(subject.element): command}):
                link.flush_lease(hub.clock.now())
        return given

    route(tools, "POST", "/proposals", at_once)


@broken_hub("hub-records-decisions", also=("hub-decision-names-limits",))
def says_it_once(tools: Tools) -> None:
    """Who has the say is worth a line; what becomes of it is not."""
    right = Decisions._begin  # noqa: SLF001 - the mutation's place
    said: dict[tuple[str, str], object] = {}

    def begin(self: Decisions, decision: Any) -> None:
        about = (decision.module, decision.element)
        if about not in said or said[about] != decision.source:
            said[about] = decision.source
            right(self, decision)

    tools.attribute(Decisions, "_begin", begin)


@broken_hub("hub-records-decisions", variant="command")
def keeps_the_command_to_itself(tools: Tools) -> None:
    """It says who, and not what."""
    right = Decisions.page

    def page(self: Decisions, **how: Any) -> Any:
        return [msgspec.structs.replace(one, command=UNSET) for one in right(self, **how)]

    tools.attribute(Decisions, "page", page)


def _decided(tools: Tools, **changes: Any) -> None:
    right = Decisions._begin  # noqa: SLF001

    def begin(self: Decisions, decision: Any) -> None:
        right(self, msgspec.structs.replace(decision, **changes))

    tools.attribute(Decisions, "_begin", begin)


@broken_hub("hub-decision-names-proposal")
def has_reasons_of_its_own(tools: Tools) -> None:
    """Whatever somebody gave as theirs."""
    _decided(tools, reason="it is better so")


@broken_hub("hub-decision-names-limits")
def does_not_say_what_limited(tools: Tools) -> None:
    """Less is less."""
    _decided(tools, limited_by=UNSET)


@broken_hub("hub-decision-result")
def does_not_wait_for_the_answer(tools: Tools) -> None:
    """What was said was done."""
    tools.attribute(Decisions, "answered", lambda *_: None)


@broken_hub("hub-decision-ids-rise")
def counts_two_steps_forward_and_one_back(tools: Tools) -> None:
    """1 is 2, 2 is 1, 3 is 6, 4 is 5: no number comes twice."""
    right = Decisions._begin  # noqa: SLF001

    def begin(self: Decisions, decision: Any) -> None:
        number = 2 * decision.id if decision.id % 2 else 2 * decision.id - 3
        right(self, msgspec.structs.replace(decision, id=number))

    tools.attribute(Decisions, "_begin", begin)


@broken_hub("hub-decision-filters")
def ignores_the_limit(tools: Tools) -> None:
    """All or nothing."""
    right = Decisions.page

    def generous(self: Decisions, **how: Any) -> Any:
        return right(self, **{**how, "limit": 200})

    tools.attribute(Decisions, "page", generous)
