"""What a hub makes of what modules know about themselves (chapter 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from ores.conformance.check import Failed, Section, need, not_applicable, short
from ores.conformance.hubs.able import HEATING, KNOWN, VAGUE, differs, part
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.parts import Json, Part
from ores.conformance.hubs.player import Player

ASKED_S: Final = 12.0
"""For a hub to ask a module that it has just met."""
VALID_S: Final = 14.0
BRIEF_S: Final = 4.0
LEAST_S: Final = 10.0
"""Between two questions to one module."""
LATE_S: Final = 1.0
"""The first of two may have been on its way for longer."""
NEWS_S: Final = 10.0
SLACK_S: Final = 0.7
"""For the way and a busy machine."""
AGE_S: Final = 5.0
PATH: Final = "GET /flexibility"
CAPACITY_WH: Final = 10_000.0
RATING_W: Final = 3000.0

section: Section[HubBench] = Section(
    "flexibility", "Lets modules tell what they expect, and looks at what the hub makes of it.", begin=ready
)


@dataclass
class Picture:
    """What the hub showed at a moment: module, element, and what is in use."""

    at_s: float
    modules: dict[str, dict[str, Json]]

    def of(self, player: Player, element: str) -> Json:
        """An element's flexibility, and its source; empty where it shows none."""
        return self.modules.get(player.id, {}).get(element, {})

    def parts(self, player: Player, element: str) -> Json:
        """Its flexibility alone."""
        found: Json = self.of(player, element).get("flexibility", {})
        return found


@dataclass
class Shown:
    """All that came of it.

    Attributes:
        first: When all had been asked, or should have been.
        aged: A few seconds later, when what is overdue was told, and one module has long been silent.
        expired: After the end of what was told for a short time; None where it was asked for again.
        changed_s: When a mode changed.
        receipt_s: When the long-lived was told.
    """

    able: Player
    told: Player
    brief: Player
    elsewhere: Player
    moved: Player
    silent: Player
    first: Picture = field(default_factory=lambda: Picture(0.0, {}))
    aged: Picture = field(default_factory=lambda: Picture(0.0, {}))
    expired: Picture | None = None
    changed_s: float = 0.0
    receipt_s: float = 0.0

    @property
    def everybody(self) -> tuple[Player, ...]:
        """All modules of this story."""
        return (self.able, self.told, self.brief, self.elsewhere, self.moved, self.silent)


def asked_s(player: Player) -> list[float]:
    """When a module was asked for its flexibility."""
    return [heard.at_s for heard in player.told(PATH)]


async def look(bench: HubBench) -> Picture:
    """What the hub shows now."""
    answer = await bench.owner.request("GET", "/flexibility")
    if answer.status == 404:
        not_applicable("the hub does not serve GET /flexibility")
    need(answer.status == 200, f"GET /flexibility was answered with {answer.status} {answer.code}")
    modules = answer.json.get("modules", {})
    return Picture(bench.elapsed_s, {name: of.get("elements", {}) for name, of in modules.items()})


def cell(name: str) -> Part:
    """A store that can do more than its module tells of it."""
    return part(
        name,
        {
            "ac_measure": {},
            "rating": {"consume_max_w": RATING_W, "produce_max_w": RATING_W},
            "setpoint": {"consume_max_w": RATING_W, "produce_max_w": RATING_W, "response_s": 1},
            "storage": {"capacity_wh": CAPACITY_WH, "charge_efficiency_pct": 96, "soc_min_pct": 5},
            "thermal": {"temperature_max_c": 60},
        },
        {
            "setpoint": {"power_w": None, "consume_max_w": RATING_W, "produce_max_w": RATING_W},
            "storage": {"soc_pct": 40, "reserve_pct": 20},
            "thermal": {"temperature_c": 30},
        },
    )


LEVELS: Final[list[Json]] = [
    {
        "energy_from_wh": 0,
        "energy_to_wh": CAPACITY_WH,
        "points": [{"power_w": 0, "fill_w": 0}, {"power_w": 2000, "fill_w": 1800}],
    }
]
WORD: Final[Json] = {
    "power": {"by": "setpoint", "consume_max_w": 50_000, "produce_max_w": 2500, "response_s": 3},
    "store": {
        "holds": "electricity",
        "capacity_wh": CAPACITY_WH,
        "energy_wh": 1000,
        "energy_min_wh": 0,
        "energy_reserve_wh": 0,
        "commanded_at": "word",
        "levels": LEVELS,
        "usage": [{"duration_s": 2, "power_w": -100}, {"duration_s": 3600, "power_w": -200}],
        "targets": [{"due_in_s": 2, "energy_wh": 4000}, {"due_in_s": 600, "energy_wh": 8000}],
    },
}
"""What a module tells of its store: its content is old, a target is soon due, and its power is too much."""


def tells(player: Player, valid_s: float, boot_id: str = "") -> None:
    """Let a module tell this of its element `word`."""
    player.ways.flexibility = lambda: {
        "boot_id": boot_id or player.boot_id,
        "uptime_ms": player.uptime_ms,
        "valid_s": valid_s,
        "elements": {"word": WORD},
    }


async def shown(bench: HubBench) -> Shown:
    """Six modules that are watched only: for a quarter of a minute, what the hub asks and shows of them."""
    await look(bench)
    parts = {**{name: of for name, (of, _) in KNOWN.items()}, **{name: of for name, (of, _) in VAGUE.items()}}
    heat = part("heat", HEATING, {"mode": {"mode": "normal"}, "thermal": {"temperature_c": 40}})
    given: dict[str, tuple[Part, ...]] = {
        "Able": tuple(parts.values()),
        "Word": (cell("word"), cell("other")),
        "Brief": (cell("word"),),
        "Elsewhere": (cell("word"),),
        "Moved": (heat,),
        "Still": (cell("still"),),
    }
    made = {name: await bench.player(name, *of, paired=False) for name, of in given.items()}
    found = Shown(
        able=made["Able"],
        told=made["Word"],
        brief=made["Brief"],
        elsewhere=made["Elsewhere"],
        moved=made["Moved"],
        silent=made["Still"],
    )
    found.able.ways.other_state = without("silent_circuit")
    tells(found.told, VALID_S)
    tells(found.brief, BRIEF_S)
    tells(found.elsewhere, 600, boot_id="f" * 16)
    found.moved.ways.flexibility = lambda: {
        "boot_id": found.moved.boot_id,
        "uptime_ms": found.moved.uptime_ms,
        "valid_s": 86_400,
        "elements": {},
    }
    try:
        await asyncio.gather(*(bench.pair(one, control=False) for one in found.everybody))
        await bench.online(*found.everybody)
        await _follow(bench, found, heat)
    finally:
        for one in found.everybody:
            await bench.remove(one)
    return found


def without(element: str) -> Any:
    """A state that does not hold an element."""

    def change(state: Json) -> Json:
        elements = {name: of for name, of in state["elements"].items() if name != element}
        return {**state, "elements": elements}

    return change


async def _follow(bench: HubBench, found: Shown, heat: Part) -> None:
    telling = (found.told, found.brief, found.elsewhere, found.moved)
    deadline_s = bench.elapsed_s + ASKED_S
    while bench.elapsed_s < deadline_s and not all(asked_s(one) for one in telling):
        await bench.pause(0.05)
    await bench.pause(SLACK_S)
    found.first = await look(bench)
    found.receipt_s = next(iter(asked_s(found.told)), bench.elapsed_s)
    found.silent.ways.silent = True
    found.changed_s = bench.elapsed_s
    found.elsewhere.cut()  # a new session is no reason to ask again at once
    for mode in ("boost", "normal", "boost"):  # nor is the third piece of news
        heat.extra["mode"] = {"mode": mode}
        await found.moved.tell()
        await bench.pause(0.3)
    ends_s = max([found.receipt_s, *asked_s(found.brief)]) + AGE_S
    await bench.pause(max(0.0, ends_s - bench.elapsed_s))
    asked = len(asked_s(found.brief))
    found.aged = await look(bench)
    found.expired = found.aged if asked == len(asked_s(found.brief)) < 2 else None
    ends_s = max(found.receipt_s + VALID_S, found.changed_s + NEWS_S) + SLACK_S
    while bench.elapsed_s < ends_s and not all(len(asked_s(one)) > 1 for one in (found.told, found.moved)):
        await bench.pause(0.1)


@section.check("hub-flexibility-derived")
async def hub_flexibility_derived(bench: HubBench) -> None:
    """FLEX-003: by the table of 5.3."""
    found = await bench.once(shown)
    _by_table(found, {name: wanted for name, (_, wanted) in KNOWN.items()})


@section.check("hub-flexibility-unknown")
async def hub_flexibility_unknown(bench: HubBench) -> None:
    """FLEX-004: neither full nor empty."""
    found = await bench.once(shown)
    _by_table(found, {name: wanted for name, (_, wanted) in VAGUE.items()})


def _by_table(found: Shown, table: dict[str, Json]) -> None:
    for name, wanted in table.items():
        parts = found.first.parts(found.able, name)
        said = differs(parts, wanted)
        need(not said, f"derived for the element {name}: {said}")


@section.check("hub-flexibility-stale")
async def hub_flexibility_stale(bench: HubBench) -> None:
    """FLEX-005: what it could do a minute ago is not what it can be counted on for now."""
    found = await bench.once(shown)
    need(
        found.first.of(found.silent, "still"),
        "nothing was derived of a store that reports twice a second",
    )
    left = {
        name: of
        for name, of in found.aged.modules.get(found.silent.id, {}).items()
        if of.get("source") != "told"
    }
    need(
        not left,
        f"a module has been silent for {found.aged.at_s - found.changed_s:.1f} s, with a report period of "
        f"{found.silent.period_s:g} s, and GET /flexibility still derives {short(left)}",
    )


@section.check("hub-flexibility-told")
async def hub_flexibility_told(bench: HubBench) -> None:
    """FLEX-016: the device knows itself best."""
    found = await bench.once(shown)
    of = found.first.parts(found.told, "word")
    need(
        set(of) == {"power", "store"},
        f"a module tells of an element power and store, and shown are {', '.join(of) or 'none'}; what is "
        "told stands in place of all that would be derived",
    )
    need(
        "charge_efficiency_pct" not in of["store"] and of["store"].get("levels") == LEVELS,
        f"the store that is told has levels and no charge_efficiency_pct; shown is {short(of['store'])}",
    )
    response_s = of["power"].get("response_s")
    need(response_s == 3, f"response_s is told as 3, shown is {response_s}")


@section.check("hub-flexibility-expires", timed=True)
async def hub_flexibility_expires(bench: HubBench) -> None:
    """FLEX-017: neither in another boot, nor for longer than `valid_s`."""
    found = await bench.once(shown)
    other = found.first.of(found.elsewhere, "word")
    need(
        other.get("source") == "derived" and "levels" not in other["flexibility"].get("store", {}),
        f"what was told names another boot than the state, and is shown: {short(other)}",
    )
    if found.expired is None:
        raise Failed("the hub has asked a module again within 10 s, so that its word could not grow old")
    old = found.expired.of(found.brief, "word")
    need(
        old.get("source") == "derived" and "levels" not in old["flexibility"].get("store", {}),
        f"valid_s was {BRIEF_S:g}, and {found.expired.at_s - asked_s(found.brief)[0]:.1f} s after its "
        f"receipt shown is {short(old)}",
    )


@section.check("hub-flexibility-newest-state")
async def hub_flexibility_newest_state(bench: HubBench) -> None:
    """FLEX-022: what is in a store moves every second."""
    found = await bench.once(shown)
    energy_wh = found.first.parts(found.told, "word").get("store", {}).get("energy_wh")
    need(
        isinstance(energy_wh, int | float) and abs(energy_wh - 4000) < 1,
        f"the newest state says 40 % of {CAPACITY_WH:g} Wh, told were 1000 Wh; shown are {energy_wh} Wh, and "
        "4000 Wh are demanded",
    )


@section.check("hub-flexibility-asked-again", timed=True)
async def hub_flexibility_asked_again(bench: HubBench) -> None:
    """FLEX-018: before it ends, and where a mode has changed."""
    found = await bench.once(shown)
    again = asked_s(found.told)[1:]
    need(
        again and again[0] <= found.receipt_s + VALID_S + SLACK_S,
        f"valid_s was {VALID_S:g}, and the hub has not asked again before its end",
    )
    news = [at_s for at_s in asked_s(found.moved) if at_s > found.changed_s]
    need(
        news and news[0] <= found.changed_s + NEWS_S + SLACK_S,
        f"the state shows another mode, and the hub has not asked again within {NEWS_S:g} s",
    )


@section.check("hub-flexibility-rate", timed=True)
async def hub_flexibility_rate(bench: HubBench) -> None:
    """FLEX-019: a small device has other things to do than to describe itself."""
    found = await bench.once(shown)
    for player in found.everybody:
        for before, after in pairwise(asked_s(player)):
            need(
                after - before >= LEAST_S - LATE_S,
                f"{player.name} was asked for its flexibility twice within {after - before:.1f} s; "
                f"{LEAST_S:g} s are the least",
            )


@section.check("hub-flexibility-widens-nothing")
async def hub_flexibility_widens_nothing(bench: HubBench) -> None:
    """FLEX-020: limits are agreed."""
    found = await bench.once(shown)
    of = found.first.parts(found.told, "word")
    power, store = of.get("power", {}), of.get("store", {})
    for name, most in (("consume_max_w", RATING_W), ("produce_max_w", RATING_W)):
        need(
            power.get(name, 0) <= most,
            f"{name} is told as {WORD['power'][name]}, rated are {most:g} W; shown is {power.get(name)}",
        )
    for name, least, why in (
        ("energy_reserve_wh", 2000, "reserve_pct is 20"),
        ("energy_min_wh", 500, "soc_min_pct is 5"),
    ):
        shown_wh = store.get(name)
        need(
            isinstance(shown_wh, int | float) and shown_wh >= least - 1,
            f"{name} is told as 0, and {why} of {CAPACITY_WH:g} Wh; shown is {shown_wh}",
        )


@section.check("hub-flexibility-source")
async def hub_flexibility_source(bench: HubBench) -> None:
    """FLEX-021: who finds a wrong number has to know whom to ask."""
    found = await bench.once(shown)
    for player, element, source in _sources(found):
        said = found.first.of(player, element).get("source")
        need(
            said == source,
            f"the element {element} of {player.name} is {source}, and its source is shown as {said}",
        )


def _sources(found: Shown) -> Iterator[tuple[Player, str, str]]:
    yield found.told, "word", "told"
    yield found.brief, "word", "told"
    yield found.told, "other", "derived"
    yield found.able, "cell", "derived"
    yield found.silent, "still", "derived"


@section.check("flexibility-counts-from-its-moment", timed=True)
async def flexibility_counts_from_its_moment(bench: HubBench) -> None:
    """FLEX-001: from the moment that the message names; what was told a while ago is nearer now."""
    found = await bench.once(shown)
    store = found.aged.parts(found.told, "word").get("store", {})
    age_s = found.aged.at_s - found.receipt_s
    due = [target.get("due_in_s") for target in store.get("targets", [])]
    need(
        due and isinstance(due[-1], int | float) and abs(due[-1] - (600 - age_s)) < 2 * SLACK_S,
        f"{age_s:.1f} s ago something was due in 600 s; shown is due_in_s {short(due)}",
    )
    left_s = sum(slot.get("duration_s", 0) for slot in store.get("usage", []))
    need(
        abs(left_s - (3602 - age_s)) < 2 * SLACK_S,
        f"{age_s:.1f} s ago slots of 3602 s in all were told; shown are {left_s:g} s from now on",
    )


@section.check("flexibility-overdue-is-now", timed=True)
async def flexibility_overdue_is_now(bench: HubBench) -> None:
    """FLEX-002: what is overdue is due now."""
    found = await bench.once(shown)
    targets = found.aged.parts(found.told, "word").get("store", {}).get("targets", [])
    overdue = [target for target in targets if target.get("energy_wh") == 4000]
    need(
        all(target.get("due_in_s") == 0 for target in overdue) and len(targets) - len(overdue) == 1,
        f"{found.aged.at_s - found.receipt_s:.1f} s ago 4000 Wh were due in 2 s; shown is {short(targets)}",
    )
