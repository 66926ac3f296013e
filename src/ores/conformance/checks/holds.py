"""What holds: limits, set-points, least times (section 4.9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Failed, NotApplicable, Section, need, not_applicable, short
from ores.conformance.checks.moving import (
    NOISE_W,
    SETTLE_S,
    Move,
    a_move,
    declared,
    point,
    power_w,
    reached,
    response_s,
    tolerance_w,
)
from ores.conformance.checks.seen import Seen, all_seen, number

WAYS = {"consume": "consume_max_w", "produce": "produce_max_w"}
OWN_NEEDS = 0.02
CURRENT = "current_max_a"
CLOUD_EDGE = 1.5
"""Of its peak: what a source gives at most, for seconds, where clouds mirror the sun."""
WATCHED_S = 8.0
"""For what happens now and then: at least so long a part of the stream is looked at."""


async def begin(bench: Bench) -> None:
    """Paired, described, with nothing in force."""
    await bench.described()
    await bench.put("/failsafe", {"elements": {}})
    await bench.calm()


section: Section[Bench] = Section(
    "holds",
    "Moves power, within what you allow: set-points of a few seconds, and limits down to zero.",
    begin=begin,
)


@dataclass(frozen=True, slots=True)
class Followed:
    """One move, from rest to its end.

    Attributes:
        move: What was asked.
        before: The state before.
        seen: Power and seconds after the result, for each state.
        told: The last state that the stream told.
        state: The state when all was over.
    """

    move: Move
    before: Seen
    seen: tuple[tuple[float, float], ...]
    told: Seen
    state: Mapping[str, Any]

    @property
    def before_w(self) -> float:
        """Power before."""
        return power_w(self.before.state, self.move.id) or 0.0


async def followed(bench: Bench) -> Followed:
    """Give a set-point and watch until its response time is over."""
    move = await a_move(bench)
    before = Seen(bench.elapsed_s, await bench.state())
    result = await bench.give({move.id: {"setpoint": {"power_w": move.power_w}}}, ttl_s=20)
    need(
        result["result"] == "applied",
        f"a set-point of {move.power_w:g} W for {move.id}, within its range, was answered with "
        f"{short(result)}",
    )
    stream = await bench.stream()
    begun, asked_s = len(stream.states), bench.elapsed_s
    await bench.pause(response_s(move.element) + SETTLE_S)
    last, told = await bench.state_now(), Seen(*stream.states[-1])
    states = [*stream.states[begun:], (bench.elapsed_s, last)]
    seen = tuple(
        (at_s - asked_s, found) for at_s, state in states if (found := power_w(state, move.id)) is not None
    )
    return Followed(move, before, seen, told, last)


@section.check("setpoint-followed", timed=True)
async def setpoint_followed(bench: Bench) -> None:
    """HOLD-002: the set-point in force is what flows."""
    found = await bench.once(followed)
    if not found.seen:
        not_applicable(f"{found.move.id} measures no power")
    wanted_w, last_w = found.move.power_w, found.seen[-1][1]
    need(
        abs(last_w - wanted_w) <= tolerance_w(found.move.element, wanted_w),
        f"{found.move.id} was asked for {wanted_w:g} W and has {last_w:g} W "
        f"{found.seen[-1][0]:.1f} s later; response_s is {response_s(found.move.element):g} s",
    )


@section.check("setpoint-response", timed=True)
async def setpoint_response(bench: Bench) -> None:
    """CAP-010: 90 % of the change within `response_s`, with the time until a state tells."""
    found = await bench.once(followed)
    if not found.seen:
        not_applicable(f"{found.move.id} measures no power")
    change_w = found.move.power_w - found.before_w
    enough_w = 0.9 * abs(change_w) - NOISE_W
    arrived_s = next((at for at, now_w in found.seen if (now_w - found.before_w) * change_w >= 0
                      and abs(now_w - found.before_w) >= enough_w), None)  # fmt: skip
    allowed_s = response_s(found.move.element) + bench.period_s * 1.5 + 0.2
    need(
        arrived_s is not None and arrived_s <= allowed_s,
        f"{found.move.id} took {'longer' if arrived_s is None else f'{arrived_s:.1f} s'} for 90 % of a "
        "change of "
        f"{change_w:g} W; response_s {response_s(found.move.element):g} s and the report period allow "
        f"{allowed_s:.1f} s",
    )


@section.check("state-effective-values")
async def state_effective_values(bench: Bench) -> None:
    """HOLD-005: the hub sees what is in force, without repeating the arithmetic."""
    if not bench.having("limit") and not bench.having("setpoint"):
        not_applicable("no element has a limit or a set-point")
    for element, way in _ways(bench):
        half_w = round(float(declared(element, "rating").get(way, 0)) / 2)
        await bench.give({element["id"]: {"limit": {way: half_w}}}, ttl_s=5)
        state = await bench.state_now(partial(_limited, name=element["id"], way=way, bound_w=half_w))
        found_w = point(state, element["id"], "limit", way)
        by = point(state, element["id"], "limit", "limited_by")
        need(
            found_w is not None and found_w <= half_w + 1,
            f"{element['id']} was leased {way} {half_w:g}, and its state says {found_w}; what is in force is "
            "demanded",
        )
        need(
            by not in {None, "rating"},
            f"{element['id']} is limited by its lease, and its state says limited_by {by!r}",
        )
    if bench.having("setpoint"):
        found = await bench.once(followed)
        said = point(found.state, found.move.id, "setpoint", "power_w")
        need(
            said is not None and abs(said - found.move.power_w) <= max(1.0, _step_w(found.move.element)),
            f"{found.move.id} follows {found.move.power_w:g} W, and its state says setpoint.power_w {said}",
        )


@section.check("state-setpoint-range")
async def state_setpoint_range(bench: Bench) -> None:
    """HOLD-006: the range is what could be followed now: under a limit, no more than that."""
    for seen in await all_seen(bench):
        for element in bench.having("setpoint"):
            able = declared(element, "setpoint")
            for field in WAYS.values():
                found_w = number(seen.points(element["id"], "setpoint").get(field))
                need(
                    found_w is None or found_w <= float(able.get(field, 0)) + 1,
                    f"{element['id']} declares set-points with {field} {able.get(field)}, and says at "
                    f"{seen.at_s:.1f} s that {found_w} could be followed",
                )
    move = await a_move(bench)
    way = WAYS["consume"] if move.power_w > 0 else WAYS["produce"]
    if way.removesuffix("_max_w") not in declared(move.element, "limit"):
        not_applicable(f"{move.id} has no limit in the direction that could be tried")
    bound_w = _whole(move.element, abs(move.power_w) / 2)
    await bench.give({move.id: {"limit": {way: bound_w}}}, ttl_s=5)
    now = await bench.state_now(lambda now: (point(now, move.id, "setpoint", way) or 0) <= bound_w + 1)
    offered_w = point(now, move.id, "setpoint", way)
    need(
        offered_w is not None and offered_w <= bound_w + 1,
        f"{move.id} is limited to {way} {bound_w:g} and says that set-points up to {offered_w} could be "
        "followed",
    )
    asked_w = offered_w if move.power_w > 0 else -offered_w
    result = await bench.give({move.id: {"limit": {way: bound_w}, "setpoint": {"power_w": asked_w}}}, ttl_s=2)
    need(
        result["result"] == "applied" or offered_w == 0,
        f"{move.id} offers set-points up to {offered_w:g} W and answered one of that size with "
        f"{short(result)}",
    )
    await bench.calm()


@section.check("limit-holds", timed=True)
async def limit_holds(bench: Bench) -> None:
    """HOLD-001: measured power stays within the limit in force."""
    tried = 0
    for element, way, now_w in await flowing(bench):
        bound_w = _whole(element, now_w / 2)
        await bench.give({element["id"]: {"limit": {way: bound_w}}}, ttl_s=20)
        await kept(bench, element, way, bound_w)
        tried += 1
        if tried == 2:
            break
    move = await _move_or_none(bench)
    if move is not None and (way := _way_of(move)) in _limits(move.element):
        bound_w = _whole(move.element, abs(move.power_w) / 2)
        await bench.give(
            {move.id: {"limit": {way: bound_w}, "setpoint": {"power_w": move.power_w}}}, ttl_s=20
        )
        await kept(bench, move.element, way, bound_w)
        tried += 1
    await bench.calm()
    if not tried:
        not_applicable("no element with a limit has power that could be limited now")


@section.check("limit-zero", timed=True)
async def limit_zero(bench: Bench) -> None:
    """CAP-008: a limit of 0 is reached, but for the module's own needs of 2 % of the rating."""
    found = await flowing(bench)
    move = await _move_or_none(bench)
    if move is not None and _way_of(move) in _limits(move.element):
        way = _way_of(move)
        await bench.give({move.id: {"limit": {way: 0}, "setpoint": {"power_w": move.power_w}}}, ttl_s=20)
        await kept(bench, move.element, way, 0.0)
    elif found:
        element, way, _ = found[0]
        await bench.give({element["id"]: {"limit": {way: 0}}}, ttl_s=20)
        await kept(bench, element, way, 0.0)
    else:
        not_applicable("no element with a limit has power that could be limited now")
    await bench.calm()


@section.check("limit-binds-policy", timed=True)
async def limit_binds_policy(bench: Bench) -> None:
    """HOLD-004: a lease that only limits lets the policy decide, within the limit."""
    for element, way, now_w in await flowing(bench):
        bound_w = _whole(element, now_w / 3)
        await bench.give({element["id"]: {"limit": {way: bound_w}}}, ttl_s=20)
        await kept(bench, element, way, bound_w)
        await bench.calm()
        return
    elements = bench.having("limit")
    if not elements:
        not_applicable("no element has a limit")
    element = elements[0]
    way = _way(element)
    await bench.give({element["id"]: {"limit": {way: 0}}}, ttl_s=5)
    state = await bench.state_now(lambda now: point(now, element["id"], "limit", way) == 0)
    found_w = point(state, element["id"], "limit", way)
    need(found_w == 0, f"{element['id']} was leased {way} 0 without a set-point, and says {found_w}")
    await bench.calm()


@section.check("own-bounds-enforced", timed=True)
async def own_bounds_enforced(bench: Bench) -> None:
    """HOLD-009: what the device cannot bear is not done, whatever a lease says."""
    move = await a_move(bench)
    way = _way_of(move)
    rating_w = float(declared(move.element, "rating").get(way, declared(move.element, "setpoint")[way]))
    beyond_w = (1 if move.power_w > 0 else -1) * (2 * rating_w + 1000)
    result = await bench.give(
        {move.id: {"setpoint": {"power_w": beyond_w}, **_held_back(bench, move)}}, ttl_s=5
    )
    outcome = result.get("outcomes", {}).get(move.id, {}).get("setpoint", {})
    need(
        outcome.get("result") == "clipped",
        f"a set-point of {beyond_w:g} W, twice the rating of {move.id}, was answered with {short(result)}; "
        "clipped is demanded",
    )
    await bench.pause(response_s(move.element))
    state = await bench.state_now()
    in_force_w, flows_w = point(state, move.id, "setpoint", "power_w"), power_w(state, move.id)
    await bench.calm()
    for what, found_w in (("setpoint.power_w", in_force_w), ("power_w", flows_w)):
        need(
            found_w is None or abs(found_w) <= rating_w + tolerance_w(move.element, rating_w),
            f"{move.id} has a rating of {rating_w:g} W, and under a set-point of {beyond_w:g} W its {what} "
            f"is {found_w}",
        )


@section.check("produce-available")
async def produce_available(bench: Bench) -> None:
    """CAP-011: what the source could give stays what it is while it is curtailed."""
    state = await bench.state()
    for source in bench.having("produce"):
        told_w, peak_w = (
            point(state, source["id"], "produce", "available_w"),
            declared(source, "produce").get("peak_w"),
        )
        need(
            told_w is None or peak_w is None or told_w <= CLOUD_EDGE * peak_w,
            f"{source['id']} says that {told_w} W could come from a source whose peak is {peak_w} W",
        )
    element = bench.some("produce", "limit", "ac_measure")
    available_w = point(state, element["id"], "produce", "available_w")
    flows_w = power_w(state, element["id"])
    if available_w is None or flows_w is None or available_w < 2 * NOISE_W:
        not_applicable(f"{element['id']} does not know what its source could give, or it gives nothing now")
    bound_w = _whole(element, available_w / 4)
    await bench.give({element["id"]: {"limit": {"produce_max_w": bound_w}}}, ttl_s=20)
    await kept(bench, element, "produce_max_w", bound_w)
    now_w = point(await bench.state(), element["id"], "produce", "available_w")
    await bench.calm()
    need(
        now_w is None or now_w > 0.5 * available_w,
        f"{element['id']} could give {available_w:g} W; limited to {bound_w:g} W it says available_w "
        f"{now_w}, "
        "and that is what is left and not what there is",
    )


@section.check("storage-soc")
async def storage_soc(bench: Bench) -> None:
    """CAP-012: 0 where nothing usable is left, 100 where no more goes in."""
    bench.some("storage")
    stream = await bench.stream()
    await bench.state()
    for element in bench.having("storage", "setpoint"):
        for _, state in stream.states:
            soc_pct = point(state, element["id"], "storage", "soc_pct")
            offers = {way: point(state, element["id"], "setpoint", way) or 0 for way in WAYS.values()}
            need(
                soc_pct != 0 or offers["produce_max_w"] == 0,
                f"{element['id']} says soc_pct 0 and offers to give {offers['produce_max_w']:g} W",
            )
            need(
                soc_pct != 100 or offers["consume_max_w"] == 0,
                f"{element['id']} says soc_pct 100 and offers to take {offers['consume_max_w']:g} W",
            )


@section.check("least-times-kept", timed=True)
async def least_times_kept(bench: Bench) -> None:
    """HOLD-007: a hub that does not care wears out no compressor."""
    for element in bench.having("mode"):
        hold_s = float(declared(element, "mode").get("hold_s", 0))
        modes = list(declared(element, "mode")["modes"])
        if hold_s >= 2 and len(modes) > 1:
            await _hold_of_mode(bench, element, hold_s, modes)
            return
    for element in bench.having("switch"):
        least_s = float(declared(element, "switch").get("min_off_s", 0))
        if least_s >= 2 and not declared(element, "switch").get("critical"):
            await _hold_of_switch(bench, element, least_s)
            return
    not_applicable("no element declares a least time of 2 s or more")


async def _hold_of_mode(bench: Bench, element: Element, hold_s: float, modes: list[str]) -> None:
    """Change the mode, change it back at once, and see when each happens."""
    name = element["id"]
    first = point(await bench.state(), name, "mode", "mode")
    other = next(mode for mode in modes if mode != first)
    long_s = min(hold_s, 20.0) + 10
    await bench.give({name: {"mode": {"mode": other}}}, ttl_s=long_s)
    try:
        await reached(bench, lambda state: point(state, name, "mode", "mode") == other, min(hold_s, 6.0), "")
    except Failed:
        if hold_s > 6:
            not_applicable(f"{name} still holds its mode from before, for up to {hold_s:g} s")
        raise
    changed_s = bench.elapsed_s
    await bench.give({name: {"mode": {"mode": first}}}, ttl_s=long_s)
    await bench.pause(min(hold_s - 1.0, 2.0))
    now = point(await bench.state(), name, "mode", "mode")
    need(now == other, f"{name} declares hold_s {hold_s:g} and changed its mode again within that time")
    if hold_s <= 6:
        await reached(
            bench,
            lambda state: point(state, name, "mode", "mode") == first,
            hold_s - (bench.elapsed_s - changed_s) + 1,
            f"{name} carries out {first}, which its hold_s had held back",
        )
    await bench.calm()


async def _hold_of_switch(bench: Bench, element: Element, least_s: float) -> None:
    """Open it, close it at once: it stays open for its least time."""
    name = element["id"]
    await bench.give({name: {"switch": {"closed": False}}}, ttl_s=20)
    await reached(
        bench, lambda state: point(state, name, "switch", "closed") is False, 3.0, f"{name} is open"
    )
    await bench.give({name: {"switch": {"closed": True}}}, ttl_s=20)
    await bench.pause(min(least_s - 1.0, 2.0))
    now = point(await bench.state(), name, "switch", "closed")
    need(now is False, f"{name} declares min_off_s {least_s:g} and was closed again within that time")
    await bench.calm()


@section.check("maker-side-door")
async def maker_side_door(bench: Bench) -> None:
    """LIFE-006: whoever decides at the device, no limit in force is exceeded, in any state so far."""
    limited = bench.having("limit")
    if not limited:
        not_applicable("no element has a limit")
    stream = await bench.stream()
    since_s = next((at_s for at_s, _ in stream.states), bench.elapsed_s)
    await bench.pause(max(0.0, since_s + WATCHED_S - bench.elapsed_s))
    for _, state in stream.states:
        if state.get("control_source") not in {"local", "protection"}:
            continue
        for element in limited:
            _within(state, element)


def _within(state: Mapping[str, Any], element: Element) -> None:
    flows_w = power_w(state, element["id"])
    for way, sign in (("consume_max_w", 1), ("produce_max_w", -1)):
        bound_w = point(state, element["id"], "limit", way)
        if flows_w is None or bound_w is None:
            continue
        need(
            sign * flows_w <= bound_w + tolerance_w(element, bound_w),
            f"while {state['control_source']} decides, {element['id']} has {flows_w:g} W, and {way} "
            f"{bound_w:g} is in force",
        )


async def kept(bench: Bench, element: Element, way: str, bound_w: float) -> None:
    """The measured power comes below a limit in time, and stays there for the next states."""
    sign = 1 if way == "consume_max_w" else -1
    rating_w = float(declared(element, "rating").get(way, 0))
    allowed_w = bound_w + (
        max(OWN_NEEDS * rating_w, NOISE_W) if bound_w == 0 else tolerance_w(element, bound_w)
    )

    def below(state: Mapping[str, Any]) -> bool:
        found = power_w(state, element["id"])
        return found is None or sign * found <= allowed_w

    within_s = response_s(element)
    await reached(
        bench, below, within_s, f"{element['id']} keeps {way} {bound_w:g} (with {allowed_w:g} W allowed)"
    )
    again = await bench.next_state()
    need(
        below(again),
        f"{element['id']} has {power_w(again, element['id'])} W, and {way} {bound_w:g} is in force",
    )


async def flowing(bench: Bench) -> list[tuple[Element, str, float]]:
    """Elements with a limit in the direction in which power flows by the policy now, and how much, W >= 0."""
    state = await bench.state()
    found = []
    for element in bench.having("limit"):
        now_w = power_w(state, element["id"])
        if now_w is None or abs(now_w) < 4 * NOISE_W:
            continue
        way = "consume_max_w" if now_w > 0 else "produce_max_w"
        if way in _limits(element):
            found.append((element, way, abs(now_w)))
    return found


async def _move_or_none(bench: Bench) -> Move | None:
    """A move where one is possible."""
    try:
        return await a_move(bench)
    except NotApplicable:
        return None


def _limited(state: Mapping[str, Any], name: str, way: str, bound_w: float) -> bool:
    """Whether a limit, and not the rating, is what is told to be in force."""
    found_w, by = point(state, name, "limit", way), point(state, name, "limit", "limited_by")
    return found_w is not None and found_w <= bound_w + 1 and by not in {None, "rating"}


def _limits(element: Element) -> set[str]:
    return {WAYS[way] for way, offered in declared(element, "limit").items() if way in WAYS and offered}


def _ways(bench: Bench) -> list[tuple[Element, str]]:
    """One direction of each of the first few elements that can be limited, and one limit of current."""
    limited = bench.having("limit")
    found = [(element, way) for element in limited if (way := _way(element))][:3]
    amperes = [one for one in limited if declared(one, "limit").get("current") is True]
    return found + [(one, CURRENT) for one in amperes if CURRENT in declared(one, "rating")][:1]


def _way(element: Element) -> str:
    """A direction in which an element can be limited; empty where only its current can."""
    return next(iter(sorted(_limits(element))), "")


def _way_of(move: Move) -> str:
    return "consume_max_w" if move.power_w > 0 else "produce_max_w"


def _whole(element: Element, wanted_w: float) -> float:
    step_w = _step_w(element) or 1.0
    return wanted_w // step_w * step_w


def _step_w(element: Element) -> float:
    return float(declared(element, "setpoint").get("step_w", 0))


def _held_back(bench: Bench, move: Move) -> dict[str, Any]:
    """A limit beside a set-point that is far too high, so that no more flows than the person allows."""
    rating_w = float(declared(move.element, "rating").get(_way_of(move), 0))
    if rating_w <= bench.options.power_max_w or _way_of(move) not in _limits(move.element):
        return {}
    return {"limit": {_way_of(move): bench.options.power_max_w}}
