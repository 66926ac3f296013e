"""Ties and islands: one opening, watched from before it to its end (section 2.5, HOLD-008)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Failed, Section, need, not_applicable, short
from ores.conformance.checks.moving import NOISE_W, declared, point, power_w
from ores.conformance.checks.requests import ask_for, refused_with, served, tie_of, told
from ores.conformance.checks.seen import all_seen, number
from ores.conformance.wire.caller import Answer

OPENS_S: Final = 2.0
"""Beyond the declared transfer time."""
SILENCE_S: Final = 1.0
"""Life of the lease that ends while the tie is open, and for how long the stream is gone."""
CLOSES_S: Final = 6.0
"""How long to wait for the device to close the tie by itself."""
EARLY_S: Final = 0.5
"""How much earlier than told a tie may close: it tells whole seconds, and a reading may be a period old."""
LIMITED_S: Final = 1.2
"""How long the former of an island is asked for what it must not do."""
State = Mapping[str, Any]


async def end(bench: Bench) -> None:
    """Permit every tie to close, and wait a little where it is about to."""
    for tie in bench.having("isolate"):
        if _closed(await bench.state(), tie) is False:
            await ask_for(bench, "permit_close", tie["id"])
            wait_s = number(point(await bench.next_state(), tie["id"], "isolate", "reconnect_in_s"))
            if wait_s is not None and wait_s <= CLOSES_S:
                await bench.pause(wait_s)
            if _closed(await bench.next_state(), tie) is False:
                bench.say(f"{tie['id']} is still open, and may close; it says that it will in {wait_s} s.")
    await bench.calm()


section: Section[Bench] = Section(
    "ties",
    "Opens the tie, if there is one, for some seconds: the house is an island for so long.",
    begin=Bench.at_rest,
    end=end,
)


@dataclass(slots=True)
class Island:
    """What became of a house while its tie was asked to open, and then permitted to close.

    Attributes:
        tie: Which.
        opened: The answer to `open`.
        took_s: From the answer until a state said that it was open; None: it never did.
        held: States from then on until `permit_close`, under a lease, without one, and without a stream.
        formers: States of formers before and under commands that they must not follow, by element.
        permitted: The answer to `permit_close`.
        after: States after it, each with the module's own seconds since the first of them.
    """

    tie: Element
    opened: Answer
    took_s: float | None = None
    held: list[State] = field(default_factory=list)
    formers: dict[str, tuple[State, list[State]]] = field(default_factory=dict)
    permitted: Answer | None = None
    after: list[tuple[float, State]] = field(default_factory=list)


async def islanded(bench: Bench) -> Island:
    """Open the tie, hold it through silence, ask its former for what it must not do, permit it to close."""
    tie = bench.some("isolate")
    await served(bench)
    if _closed(await bench.state(), tie) is not True:
        not_applicable(f"{tie['id']} is not closed, so that it cannot be opened")
    found = Island(tie, await ask_for(bench, "open", tie["id"]))
    if refused_with(found.opened) is not None:
        not_applicable(f"{tie['id']} refuses to open now: {short(found.opened.json)}")
    need(found.opened.status == 200, f"open of {tie['id']} was answered with {told(found.opened)}")
    answered_s = bench.elapsed_s
    transfer_s = float(declared(tie, "isolate").get("transfer_s", 0))
    try:
        await bench.next_state(
            lambda now: _closed(now, tie) is False, timeout_s=transfer_s + OPENS_S + bench.period_s
        )
    except Failed:
        return found
    found.took_s = bench.elapsed_s - answered_s
    await _silence(bench, found)
    for former in bench.having("form_grid"):
        now = found.held[-1]
        if point(now, former["id"], "form_grid", "forming") is True:
            found.formers[former["id"]] = now, await _order(bench, former)
            found.held += found.formers[former["id"]][1]
    await _permit(bench, found)
    return found


async def _silence(bench: Bench, found: Island) -> None:
    """A lease ends, the stream is closed and opened again."""
    stream = await bench.stream()
    begun = len(stream.states) - 1
    await bench.give({}, ttl_s=SILENCE_S)
    await bench.pause(SILENCE_S)
    await bench.next_state(
        lambda now: not now.get("lease"),
        timeout_s=OPENS_S + bench.period_s,
        what="a state without a lease",
    )
    found.held += [state for _, state in stream.states[begun:]]
    await bench.close_stream()
    await bench.pause(SILENCE_S)
    await bench.state()
    found.held.append(await bench.next_state())


async def _order(bench: Bench, former: Element) -> list[State]:
    """Forbid the former of an island all power, and order it to charge; the states of the time after."""
    limit = {
        f"{way}_max_w": 0 for way in ("consume", "produce") if declared(former, "limit").get(way) is True
    }
    most_w = min(float(declared(former, "setpoint").get("consume_max_w", 0)), bench.options.power_max_w)
    commands = {
        **({"limit": limit} if limit else {}),
        **({"setpoint": {"power_w": round(most_w)}} if most_w else {}),
    }
    if not commands:
        return []
    await bench.give({former["id"]: commands}, ttl_s=10)
    stream = await bench.stream()
    begun = len(stream.states)
    await bench.pause(max(LIMITED_S, min(float(declared(former, "setpoint").get("response_s", 0)), 5.0)))
    await bench.next_state()
    await bench.calm()
    return [state for _, state in stream.states[begun:]]


async def _permit(bench: Bench, found: Island) -> None:
    """Permit the tie to close, and see when it does."""
    stream = await bench.stream()
    begun = len(stream.states)
    found.permitted = await ask_for(bench, "permit_close", found.tie["id"])
    began_s = bench.elapsed_s
    while bench.elapsed_s - began_s < CLOSES_S:
        now = await bench.next_state()
        if _closed(now, found.tie) is True:
            break
    states = [state for _, state in stream.states[begun:]]
    found.after = [((state["uptime_ms"] - states[0]["uptime_ms"]) / 1000, state) for state in states]


def _closed(state: State, tie: Element) -> Any:
    return point(state, tie["id"], "isolate", "closed")


async def opened(bench: Bench) -> Island:
    """The same, for who needs a tie that has opened.

    Raises:
        NotApplicable: It did not.
    """
    found = await bench.once(islanded)
    if found.took_s is None:
        not_applicable(f"{found.tie['id']} did not open; see tie-open-holds")
    return found


@section.check("tie-has-no-switch")
async def tie_has_no_switch(bench: Bench) -> None:
    """TIE-002: what a lease can open, its end would close."""
    bench.some("isolate")
    for tie in bench.having("isolate"):
        need("switch" not in tie["capabilities"], f"{tie['id']} has isolate and switch; a tie has no switch")


@section.check("black-start-interlocked")
async def black_start_interlocked(bench: Bench) -> None:
    """TIE-007: refused with `interlocked` while the tie is closed."""
    await served(bench)
    state = await bench.state()
    formers = [one for one in bench.having("form_grid") if tie_of(bench, one, state) is True]
    if not formers:
        not_applicable("no element with form_grid behind a tie that is closed")
    for former in formers:
        answer = await ask_for(bench, "black_start", former["id"])
        need(
            refused_with(answer) == "interlocked",
            f"black_start of {former['id']} while the tie is closed was answered with {told(answer)}; "
            "refused interlocked is demanded",
        )


@section.check("tie-open-holds")
async def tie_open_holds(bench: Bench) -> None:
    """TIE-004: an accepted `open` opens, and holds until `permit_close`."""
    found = await bench.once(islanded)
    name = found.tie["id"]
    transfer_s = float(declared(found.tie, "isolate").get("transfer_s", 0))
    need(
        found.took_s is not None,
        f"open of {name} was accepted; {transfer_s + OPENS_S + bench.period_s:g} s later it is not open",
    )
    for state in found.held:
        need(
            _closed(state, found.tie) is not True,
            f"{name} was opened by request, and closed again without permit_close, at uptime_ms "
            f"{state.get('uptime_ms')}",
        )


@section.check("tie-unmoved-by-silence")
async def tie_unmoved_by_silence(bench: Bench) -> None:
    """TIE-003: neither the end of a lease nor that of a stream moves it, closed or open."""
    bench.some("isolate")
    for tie in bench.having("isolate"):
        was: Any = None
        asked_s = _asked_s(bench, tie["id"])
        for seen in await all_seen(bench):
            now = _closed(seen.state, tie)
            moved = isinstance(was, bool) and isinstance(now, bool) and was != now
            moved = moved and seen.state.get("control_source") in {"lease", "policy"}
            by_request = any(seen.at_s - 600 < at_s < seen.at_s for at_s in asked_s)
            grid_ok = point(seen.state, tie["id"], "isolate", "grid_ok") is not False
            need(
                not moved or by_request or not grid_ok,
                f"{tie['id']} {'closed' if now else 'opened'} at {seen.at_s:.1f} s; nobody had asked, "
                "and the grid is well",
            )
            was = now
    found = await opened(bench)
    unleased = [state for state in found.held if not state.get("lease")]
    for state in unleased:
        need(
            _closed(state, found.tie) is not True,
            f"{found.tie['id']} was held open; with the end of the lease or of the stream it has closed",
        )


def _asked_s(bench: Bench, tie: str) -> list[float]:
    """When the kit has asked anything of a tie."""
    return [
        line.at_s
        for line in bench.transcript.lines
        if line.by == "kit" and isinstance(line.body, dict) and line.body.get("element") == tie
    ]


@section.check("tie-permit-is-no-order")
async def tie_permit_is_no_order(bench: Bench) -> None:
    """TIE-005: `permit_close` ends the hold; the device closes when its own time has come."""
    found = await opened(bench)
    name = found.tie["id"]
    answer = found.permitted
    if answer is None:
        raise Failed(f"{name} could not be permitted to close")
    need(
        answer.status == 200 and answer.json.get("result") == "accepted",
        f"permit_close of {name}, which was held open, was answered with {told(answer)}; "
        "accepted is demanded",
    )
    told_s = 0.0
    for at_s, state in found.after:
        if _closed(state, found.tie) is True:
            need(
                at_s >= told_s - EARLY_S - bench.period_s,
                f"{name} closed {at_s:.1f} s after permit_close, and had told that it would after "
                f"{told_s:.1f} s: a permission orders nothing",
            )
            return
        left_s = number(point(state, name, "isolate", "reconnect_in_s"))
        told_s = max(told_s, at_s + left_s) if left_s is not None else told_s
    grid_ok = [point(state, name, "isolate", "grid_ok") is True for _, state in found.after]
    need(
        told_s > 0 or not all(grid_ok) or _synchronises(found),
        f"{CLOSES_S:g} s after permit_close {name} is open, tells no reconnect_in_s and does not "
        "synchronise, though the grid is well: its hold has not ended",
    )


def _synchronises(found: Island) -> bool:
    return any(
        point(state, found.tie["id"], "isolate", "island_state") == "synchronising"
        for _, state in found.after
    )


@section.check("tie-state-consistent")
async def tie_state_consistent(bench: Bench) -> None:
    """TIE-008: `closed` and `island_state` say the same, in every state so far."""
    bench.some("isolate")
    for seen in await all_seen(bench):
        for tie in bench.having("isolate"):
            points = seen.points(tie["id"], "isolate")
            closed, island = points.get("closed"), points.get("island_state")
            need(
                island is None or closed is None or closed == (island == "grid"),
                f"at {seen.at_s:.1f} s {tie['id']} has closed {closed} and island_state {island}; "
                "closed and grid go together",
            )


@section.check("island-forming-not-limited")
async def island_forming_not_limited(bench: Bench) -> None:
    """HOLD-008: the loads of an island decide the power of what forms it."""
    bench.some("form_grid")
    found = await opened(bench)
    tried = {name: states for name, states in found.formers.items() if states[1]}
    if not tried:
        not_applicable("no element that forms the island has a limit or a set-point")
    for name, (before, states) in tried.items():
        last, was_w = states[-1], power_w(before, name)
        need(
            all(point(state, name, "form_grid", "forming") is not False for state in states)
            and point(last, found.tie["id"], "isolate", "island_state") != "black",
            f"{name} forms the island; under a limit of 0 the island has gone dark",
        )
        for state in states:
            now_w = power_w(state, name)
            need(
                was_w is None or now_w is None or abs(now_w - was_w) <= max(4 * NOISE_W, abs(was_w) / 2),
                f"{name} forms the island with {was_w} W; under a limit of 0 it has {now_w} W: "
                "there the loads decide, and no lease",
            )
