"""What becomes of proposals: bounds, wishes, ranks (section 6.7), and what the hub says of it (6.8)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.app import App
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.parts import Json, store
from ores.conformance.hubs.player import Player
from ores.conformance.wire.caller import Answer

COUNTS_S: Final = 2.0
SLACK_S: Final = 0.5
"""For the way and a busy machine."""
HELD: Final = 64
SOURCES: Final = 4
TRIED_MAX: Final = 2000

section: Section[HubBench] = Section(
    "proposing", "Proposes, narrows and withdraws, and looks at what modules are told.", begin=ready
)


def wish_w(player: Player, element: str) -> float | None:
    """The set-point that an element has been leased."""
    found: float | None = player.command(element).get("setpoint", {}).get("power_w")
    return found


@dataclass
class Story:
    """A wish for the battery, and all that happened to it.

    Attributes:
        followed_s: How long after the answer the module was told.
        listed: `GET /proposals` while it held.
        decided: The newest decision about the battery then.
        replaced_w: What the module was told after the same id wished something else.
        listed_after: The list after that.
        odd_w: After a wish that was not a round number.
        bounded_w: With bounds of the owner below the wish.
        bounded: The newest decision then.
        intersected_w: With narrower bounds of another source.
        widened_w: With wider bounds of a weaker rank on top.
        weaker_w: With a wish of a weaker rank beside it.
        withdrawn: The answer to the withdrawal, and what the module was told after it.
        before: Ids of the decisions that were listed before.
        decisions: Those that are listed after all of it.
    """

    followed_s: float = 0.0
    listed: list[Json] = field(default_factory=list)
    decided: Json = field(default_factory=dict)
    replaced_w: float | None = None
    listed_after: list[Json] = field(default_factory=list)
    bounded_w: float | None = None
    bounded: Json = field(default_factory=dict)
    intersected_w: float | None = None
    widened_w: float | None = None
    weaker_w: float | None = None
    withdrawn: tuple[Answer, float | None] | None = None
    before: frozenset[int] = frozenset()
    decisions: list[Json] = field(default_factory=list)

    @property
    def begun(self) -> list[Json]:
        """The decisions about the battery that began meanwhile."""
        return [one for one in self.decisions if one["element"] == "battery" and one["id"] not in self.before]


async def newest(bench: HubBench, player: Player, element: str) -> Json:
    """The newest decision about an element; empty where there is none."""
    found = (await bench.owner.get(f"/decisions?module={player.id}&element={element}&limit=1"))["decisions"]
    return dict(found[0]) if found else {}


async def settle(bench: HubBench, player: Player, element: str, wanted: Any) -> float | None:
    """Give the hub its two seconds to bring a set-point about; returns what holds then."""
    deadline_s = bench.elapsed_s + COUNTS_S + SLACK_S
    while bench.elapsed_s < deadline_s and not wanted(wish_w(player, element)):
        await bench.pause(0.05)
    return wish_w(player, element)


def at(power_w: float) -> Any:
    """Whether a set-point is this one."""
    return lambda found: found is not None and abs(found - power_w) < 1


async def story(bench: HubBench) -> Story:
    """One wish from its beginning to its end."""
    battery, found = bench.players["Battery"], Story()
    wish = bench.proposal(battery, "battery", wish={"power_w": 1000})
    found.before = frozenset(one["id"] for one in await decisions(bench))
    await bench.propose(wish)
    began_s = bench.elapsed_s
    for _ in range(2):  # what comes too late can still be looked at
        if at(1000)(await settle(bench, battery, "battery", at(1000))):
            break
    found.followed_s = bench.elapsed_s - began_s
    found.listed = (await bench.owner.get("/proposals"))["proposals"]
    await bench.pause(0.3)
    found.decided = await newest(bench, battery, "battery")
    wish["wish"] = {"power_w": 500.123456789}
    await bench.propose(wish)
    found.replaced_w = await settle(bench, battery, "battery", at(500))
    found.listed_after = (await bench.owner.get("/proposals"))["proposals"]
    bounds = bench.proposal(battery, "battery", id="kit-bounds", rank="owner_bounds")
    await bench.propose({**bounds, "bounds": {"consume_max_w": 300}})
    found.bounded_w = await settle(bench, battery, "battery", at(300))
    found.bounded = await newest(bench, battery, "battery")
    other = {**bounds, "id": "kit-other", "source": "Kit two"}
    await bench.propose({**other, "bounds": {"consume_max_w": 200}})
    found.intersected_w = await settle(bench, battery, "battery", at(200))
    wider = {**bounds, "id": "kit-wider", "rank": "plan"}
    await bench.propose({**wider, "bounds": {"consume_max_w": 2500}})
    await bench.pause(1.5)
    found.widened_w = wish_w(battery, "battery")
    for one in (bounds, other, wider):
        await bench.withdraw(one)
    weaker = {**bounds, "id": "kit-weaker", "rank": "plan", "wish": {"power_w": 2000}}
    await bench.propose(weaker)
    await settle(bench, battery, "battery", at(500))
    await bench.pause(1.2)
    found.weaker_w = wish_w(battery, "battery")
    await bench.withdraw(weaker)
    answer = await bench.withdraw(wish)
    left_w = await settle(bench, battery, "battery", lambda power_w: power_w in {None, 0})
    found.withdrawn = (answer, left_w)
    found.decisions = await decisions(bench)
    return found


async def decisions(bench: HubBench) -> list[Json]:
    """The newest of all decisions."""
    listed: list[Json] = (await bench.owner.get("/decisions?limit=200"))["decisions"]
    return listed


@section.check("hub-proposal-counts", timed=True)
async def hub_proposal_counts(bench: HubBench) -> None:
    """PROP-004: within 2 s."""
    took_s = (await bench.once(story)).followed_s
    need(
        took_s < COUNTS_S + SLACK_S,
        f"a wish of 1000 W was not leased to the battery within {COUNTS_S:g} s of the answer to it",
    )


def of_story(bench: HubBench, listed: list[Json]) -> list[Json]:
    """Those of a list that are the wish of the story, however the hub may have altered its id."""
    return [
        one
        for one in listed
        if one["source"] == bench.name and str(one.get("id", "")).startswith("kit-battery")
    ]


@section.check("hub-proposals-listed")
async def hub_proposals_listed(bench: HubBench) -> None:
    """PROP-012: with what is left of their lives."""
    listed = of_story(bench, (await bench.once(story)).listed)
    need(
        len(listed) == 1,
        f"one proposal of {bench.name} about the battery was in force, GET /proposals lists {len(listed)}",
    )
    left_s = listed[0].get("expires_in_s")
    need(
        isinstance(left_s, int | float) and 30 < left_s <= 60,
        f"expires_in_s of a proposal with ttl_s 60 is {short(left_s)} a few seconds later",
    )


@section.check("hub-proposal-replaced")
async def hub_proposal_replaced(bench: HubBench) -> None:
    """PROP-006: the same source and id."""
    found = await bench.once(story)
    mine = of_story(bench, found.listed_after)
    need(
        len(mine) == 1,
        f"the same id was proposed twice, GET /proposals lists {len(mine)}; one is demanded",
    )
    need(
        at(500)(found.replaced_w),
        f"the wish was replaced by 500 W; the battery was told {found.replaced_w}",
    )


@section.check("hub-wish-within-bounds")
async def hub_wish_within_bounds(bench: HubBench) -> None:
    """PROP-010: as far as the bounds allow."""
    found_w = (await bench.once(story)).bounded_w
    need(
        at(300)(found_w),
        f"a wish of 500 W with bounds of 300 W: the battery was told {found_w} W; 300 W is demanded",
    )


@section.check("hub-bounds-intersect")
async def hub_bounds_intersect(bench: HubBench) -> None:
    """PROP-008: everybody may narrow."""
    found_w = (await bench.once(story)).intersected_w
    need(
        found_w is not None and found_w <= 200.5,
        f"with bounds of 300 W and of 200 W the battery was told {found_w} W; 200 W are the most",
    )


@section.check("hub-bounds-never-widen")
async def hub_bounds_never_widen(bench: HubBench) -> None:
    """PROP-009: otherwise a limit is a suggestion."""
    found_w = (await bench.once(story)).widened_w
    need(
        found_w is not None and found_w <= 300.5,
        f"after weaker bounds of 2500 W the battery was told {found_w} W; 300 W of a stronger rank hold",
    )


@section.check("hub-strongest-wish")
async def hub_strongest_wish(bench: HubBench) -> None:
    """PROP-011: somebody has to come first."""
    found_w = (await bench.once(story)).weaker_w
    need(
        at(500)(found_w),
        f"owner_wish 500 W, plan 2000 W: the battery was told {found_w} W; the stronger is to be followed",
    )


@section.check("hub-proposal-withdrawn")
async def hub_proposal_withdrawn(bench: HubBench) -> None:
    """PROP-007: one's own, and nobody else's."""
    withdrawn = (await bench.once(story)).withdrawn
    if withdrawn is not None:
        answer, left_w = withdrawn
        need(answer.status == 204, f"DELETE of a proposal: {answer.status} {answer.code}; 204 is demanded")
        need(left_w in {None, 0}, f"2 s after its only wish was withdrawn the battery is told {left_w} W")
    resident, _ = await bench.token("resident")
    mine = bench.proposal(bench.players["Battery"], "battery", id="kit-mine", wish={"power_w": 0}, ttl_s=20)
    await bench.propose(mine)
    foreign = await bench.withdraw(mine, by=resident)
    await bench.withdraw(mine)
    need(
        foreign.code in {"source_not_allowed", "rank_not_allowed"},
        f"a resident's withdrawal of the owner's proposal: {foreign.status} {foreign.code}; "
        "source_not_allowed or rank_not_allowed is demanded",
    )


@section.check("hub-records-decisions")
async def hub_records_decisions(bench: HubBench) -> None:
    """ARCH-006: what was asked, by whom, and what limited it."""
    found = await bench.once(story)
    about = found.begun
    need(
        len(about) >= 3,
        f"the battery's lease changed its reason five times; {len(about)} decisions tell of it",
    )
    need(
        any(one.get("command") for one in about) and any(one.get("source") for one in about),
        f"no decision about the battery has command and source: {short(about[:2])}",
    )


@section.check("hub-decision-names-proposal")
async def hub_decision_names_proposal(bench: HubBench) -> None:
    """DEC-001: who said so."""
    found = (await bench.once(story)).decided
    wish = bench.proposal(bench.players["Battery"], "battery")
    for name in ("rank", "source", "reason"):
        need(
            found.get(name) == wish[name],
            f"{name} of a decision after a wish: {short(found.get(name))}; {wish[name]!r} is demanded",
        )


@section.check("hub-decision-names-limits")
async def hub_decision_names_limits(bench: HubBench) -> None:
    """DEC-002: why so little."""
    found = (await bench.once(story)).bounded
    need(
        bench.name in found.get("limited_by", []),
        f"bounds of {bench.name!r} cut a wish; limited_by is {short(found.get('limited_by'))}",
    )


@section.check("hub-decision-result")
async def hub_decision_result(bench: HubBench) -> None:
    """DEC-003: what was asked and what was done are two things."""
    found = (await bench.once(story)).decided
    need(
        found.get("result") == "applied",
        f"the module answered `applied`; result of the newest decision is {short(found.get('result'))}",
    )


@section.check("hub-decision-ids-rise")
async def hub_decision_ids_rise(bench: HubBench) -> None:
    """DEC-005: each new one has a higher id."""
    ids: list[Any] = [one.get("id") for one in (await bench.once(story)).decisions]
    need(
        all(isinstance(one, int) for one in ids), f"ids of decisions: {short(ids[:5])}; integers are demanded"
    )
    need(ids == sorted(set(ids), reverse=True), f"ids of decisions, newest first, are {short(ids[:12])}")


@section.check("hub-decision-filters")
async def hub_decision_filters(bench: HubBench) -> None:
    """DEC-006: module, element, before, limit."""
    everything = (await bench.once(story)).decisions
    battery = bench.players["Battery"]
    some = (await bench.owner.get("/decisions?limit=2"))["decisions"]
    need(len(some) == 2, f"limit=2 gave {len(some)} decisions of {len(everything)}")
    one = (await bench.owner.get(f"/decisions?module={battery.id}&element=battery"))["decisions"]
    need(
        one and all((it["module"], it["element"]) == (battery.id, "battery") for it in one),
        "module and element were asked for, and decisions of others came",
    )
    none = (await bench.owner.get(f"/decisions?module={battery.id}&element=nothing"))["decisions"]
    need(not none, "decisions came for an element that there is not")
    border = everything[min(2, len(everything) - 1)]["id"]
    older = (await bench.owner.get(f"/decisions?before={border}"))["decisions"]
    need(
        all(it["id"] < border for it in older),
        f"before={border} gave ids {short([it['id'] for it in older][:3])}",
    )


async def brief(bench: HubBench) -> str:
    """A wish for 3 s, for a store of its own: what was wrong with it; empty is nothing."""
    player = await bench.player("Brief", store("brief"))
    try:
        return await _life(bench, player, "brief")
    finally:
        await bench.remove(player)


async def _life(bench: HubBench, player: Player, element: str) -> str:
    """Wish for 3 s, and look for how long it is followed."""
    wish = bench.proposal(player, element, id="kit-brief", wish={"power_w": 800}, ttl_s=3)
    await bench.propose(wish)
    began_s = bench.elapsed_s
    try:
        if not at(800)(await settle(bench, player, element, at(800))):
            return "a wish for 3 s was never followed"
        await bench.pause(max(0.0, began_s + 2.3 - bench.elapsed_s))
        if not at(800)(wish_w(player, element)):
            return "a wish for 3 s was followed no longer after 2.3 s"
        while at(800)(wish_w(player, element)):
            if bench.elapsed_s > began_s + 5 + SLACK_S:
                return "a wish with ttl_s 3 was still leased 5 s after the answer"
            await bench.pause(0.05)
    finally:
        await bench.withdraw(wish)
    return ""


@section.check("hub-proposal-expires", timed=True)
async def hub_proposal_expires(bench: HubBench) -> None:
    """PROP-005: `ttl_s` after its receipt, at most 2 s later."""
    if await bench.once(brief):  # beside others the kit itself may have been busy: once more, alone
        wrong = await _life(bench, bench.players["Battery"], "battery")
        need(not wrong, wrong)


@section.check("hub-proposal-rank")
async def hub_proposal_rank(bench: HubBench) -> None:
    """PROP-001: the strongest word is not had by whoever takes it."""
    battery = bench.players["Battery"]
    resident, _ = await bench.token("resident")
    tries: list[tuple[App, str, Json]] = [
        (bench.owner, "protection", {}),
        (bench.owner, "equipment", {}),
        (bench.owner, "grid_obligation", {}),
        (bench.owner, "policy", {}),
        (resident, "owner_bounds", {"source": resident.name}),
        (resident, "grid_obligation", {"source": resident.name}),
    ]
    for who, rank, more in tries:
        wanted = bench.proposal(
            battery, "battery", rank=rank, bounds={"consume_max_w": 90_000}, ttl_s=2, **more
        )
        found = await who.request("POST", "/proposals", wanted)
        need(
            found.code == "rank_not_allowed",
            f"rank {rank} as {who.name}: {found.status} {found.code}; rank_not_allowed is demanded",
        )


@section.check("hub-proposal-source")
async def hub_proposal_source(bench: HubBench) -> None:
    """PROP-002: nobody speaks in another's name."""
    battery = bench.players["Battery"]
    resident, _ = await bench.token("resident")
    for who, source in ((resident, bench.name), (resident, "Somebody"), (bench.owner, resident.name)):
        wanted = bench.proposal(battery, "battery", source=source, bounds={"consume_max_w": 90_000}, ttl_s=2)
        found = await who.request("POST", "/proposals", wanted)
        need(
            found.code == "source_not_allowed",
            f"source {source} from {who.name}: {found.status} {found.code}; source_not_allowed is demanded",
        )


@section.check("hub-proposal-empty")
async def hub_proposal_empty(bench: HubBench) -> None:
    """PROP-003: what asks for nothing is a mistake."""
    battery = bench.players["Battery"]
    for wanted in (
        bench.proposal(battery, "battery"),
        bench.proposal(battery, "battery", subject={"kind": "element"}, wish={"power_w": 1}),
        bench.proposal(battery, "battery", subject={"kind": "phase"}, bounds={"current_max_a": 60}),
        bench.proposal(battery, "battery", subject={"kind": "module"}, bounds={"consume_max_w": 90_000}),
    ):
        found = await bench.owner.request("POST", "/proposals", {**wanted, "ttl_s": 2})
        need(
            found.code == "invalid_message",
            f"a proposal with subject {wanted['subject']} and "
            f"{[name for name in ('bounds', 'wish') if name in wanted] or 'neither bounds nor wish'}: "
            f"{found.status} {found.code}; invalid_message is demanded",
        )


@section.check("hub-proposals-crowded")
async def hub_proposals_crowded(bench: HubBench) -> None:
    """PROP-013: 64 of each of four, and one gone mad silences nobody."""
    ttl_s = 20

    async def put(source: str, number: int) -> Answer:
        wanted = {
            "id": f"crowd-{number}",
            "subject": {"kind": "connection"},
            "rank": "plan",
            "source": source,
            "bounds": {"consume_max_w": 90_000},
            "reason": "one of many",
            "ttl_s": ttl_s,
        }
        return await bench.owner.request("POST", "/proposals", wanted, quiet=True)

    try:
        for source in (f"Kit crowd {number}" for number in range(1, SOURCES)):
            answers = await asyncio.gather(*(put(source, number) for number in range(HELD)))
            refused = [answer for answer in answers if answer.status != 201]
            need(
                not refused,
                f"{len(refused)} of {HELD} proposals of one of four sources were refused: "
                f"{refused[0].status if refused else ''} {refused[0].code if refused else ''}",
            )
        mad = "Kit crowd mad"
        for began in range(0, TRIED_MAX, HELD):
            answers = await asyncio.gather(*(put(mad, number) for number in range(began, began + HELD)))
            codes = {answer.code for answer in answers if answer.status != 201}
            need(began or not codes, f"the first {HELD} proposals of the fourth source were refused: {codes}")
            if codes:
                need(
                    codes == {"too_many_proposals"},
                    f"a source that holds too many was refused with {codes}; too_many_proposals is demanded",
                )
                break
        sane = await put("Kit crowd sane", 0)
        need(
            sane.status == 201,
            f"after one source had sent too many, another one was refused: {sane.status} {sane.code}",
        )
    finally:
        for source in ("mad", "sane", *(str(number) for number in range(1, SOURCES))):
            listed = await _of(bench, f"Kit crowd {source}")
            await asyncio.gather(*(bench.withdraw(one) for one in listed))


async def _of(bench: HubBench, source: str) -> list[Json]:
    listed = (await bench.owner.get("/proposals", quiet=True))["proposals"]
    return [one for one in listed if one["source"] == source]


async def two_voices(bench: HubBench) -> list[float | None]:
    """Two apps that want different things of one element, again and again; what it was told meanwhile."""
    battery = bench.players["Battery"]
    resident, _ = await bench.token("resident")
    mine = bench.proposal(battery, "battery", id="kit-voice", wish={"power_w": 900}, ttl_s=6)
    theirs = {**mine, "source": resident.name, "rank": "plan", "wish": {"power_w": -600}}
    await bench.propose(mine)
    await settle(bench, battery, "battery", at(900))
    since_s = bench.elapsed_s
    for _ in range(8):
        await bench.propose(theirs, by=resident)
        await bench.pause(0.2)
    told = [one.body for one in battery.told("lease", since_s)]
    await bench.withdraw(mine)
    await bench.withdraw(theirs, by=resident)
    return [one["elements"].get("battery", {}).get("setpoint", {}).get("power_w") for one in told]


@section.check("hub-one-arbiter")
async def hub_one_arbiter(bench: HubBench) -> None:
    """ARCH-004: all proposals are decided about in one place."""
    told = await bench.once(two_voices)
    others = [power_w for power_w in told if not at(900)(power_w)]
    need(
        not others,
        f"while an owner_wish of 900 W and a plan of -600 W held, leases said {others} W as well: "
        "they are not decided about in one place",
    )
