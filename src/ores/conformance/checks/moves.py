"""Signs, counters and freshness: judged by how a power that the kit moves shows elsewhere (3.2, 3.3, 3.5)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Failed, NotApplicable, Section, need, not_applicable
from ores.conformance.checks.holds import followed
from ores.conformance.checks.moving import NOISE_W, SETTLE_S, declared, response_s
from ores.conformance.checks.readings import at_connection_point
from ores.conformance.checks.seen import Seen, all_seen, flow_w, number, steps

LIVELY_W: Final = 4 * NOISE_W
"""A move that no noise of a home hides."""
ONE_WAY: Final = frozenset({"load", "heat", "evse"})
SEEN_OFTEN: Final = 2.5
"""In report periods: what lies between two states that are further apart nobody knows."""
COUNTED_WRONG: Final = 0.25
"""How far a counter may be from the integral of a few minutes; over an hour it is 5 %."""
DIGITS: Final = 3.0
"""In resolutions of the counter: what it has not told yet, or had not told before."""

section: Section[Bench] = Section(
    "moves",
    "Moves power to and fro for a few seconds, within what you allow, and looks where it shows.",
    begin=Bench.described,
)


@dataclass(frozen=True, slots=True)
class Swing:
    """One set-point, and what was seen of it.

    Attributes:
        element: Whose.
        wanted_w: Positive into it.
        before: The state before.
        after: A state of when the response time was over.
    """

    element: Element
    wanted_w: float
    before: Seen
    after: Seen


async def swung(bench: Bench) -> tuple[Swing, ...]:
    """A set-point in each direction that an element can follow now; the first element that can."""
    seen = await _seen_before(bench)
    for element in bench.having("setpoint"):
        found = [one for one in seen if one.element["id"] == element["id"]]
        known = {one.wanted_w > 0 for one in found}
        wanted = _both_ways(bench, element, await bench.state())
        found += [await _swing(bench, element, power_w) for power_w in wanted if (power_w > 0) not in known]
        await bench.calm()
        if found:
            return tuple(found)
    return ()


async def _seen_before(bench: Bench) -> list[Swing]:
    """The move of another scenario, where it was one of those that are wanted here."""
    try:
        found = await bench.once(followed)
    except (Failed, NotApplicable):
        return []
    late = found.told.at_s >= found.before.at_s + response_s(found.move.element)
    if not late or abs(found.move.power_w) < LIVELY_W:
        return []
    return [Swing(found.move.element, found.move.power_w, found.before, found.told)]


def _both_ways(bench: Bench, element: Element, state: dict[str, object]) -> list[float]:
    """What it can follow now, in the person's bounds, a whole number of its steps."""
    able, now = declared(element, "setpoint"), Seen(0, state).points(element["id"], "setpoint")
    step_w = float(able.get("step_w", 0)) or 1.0
    found = []
    for sign, field in ((1.0, "consume_max_w"), (-1.0, "produce_max_w")):
        most_w = min(number(now.get(field)) or 0.0, float(able.get(field, 0)), bench.options.power_max_w)
        wanted_w = most_w // step_w * step_w
        least_w = float(able.get("consume_min_w", 0)) if sign > 0 else 0.0
        if wanted_w >= max(LIVELY_W, least_w):
            found.append(sign * wanted_w)
    return found


async def _swing(bench: Bench, element: Element, power_w: float) -> Swing:
    before = Seen(bench.elapsed_s, await bench.state())
    await bench.give({element["id"]: {"setpoint": {"power_w": power_w}}}, ttl_s=response_s(element) + 10)
    stream = await bench.stream()
    await bench.pause(response_s(element))
    begun = len(stream.states)
    await bench.pause(SETTLE_S)
    if len(stream.states) == begun:
        await bench.next_state()
    return Swing(element, power_w, before, Seen(*stream.states[-1]))


async def swings(bench: Bench) -> tuple[Swing, ...]:
    """The scenario, run once for all who look at it."""
    return await bench.once(swung)


@section.check("sign-of-power", timed=True)
async def sign_of_power(bench: Bench) -> None:
    """QTY-001: charging is positive and discharging negative; the sun never flows into a panel."""
    for swing in await swings(bench):
        found_w = flow_w(swing.after, swing.element["id"])
        need(
            found_w is None or abs(found_w) <= LIVELY_W or found_w * swing.wanted_w > 0,
            f"{swing.element['id']} was asked for {swing.wanted_w:g} W and tells {found_w} W; "
            "power is positive into the element",
        )
    for seen in await all_seen(bench):
        for element in bench.elements:
            _one_way(seen, element)


def _one_way(seen: Seen, element: Element) -> None:
    """What can only take is never negative, and what can only give never positive."""
    found_w, able = flow_w(seen, element["id"]), element["capabilities"]
    if found_w is None:
        return
    rating = able.get("rating", {})
    own_w = LIVELY_W + 0.02 * max(rating.get("consume_max_w", 0), rating.get("produce_max_w", 0))
    takes = element.get("kind") in ONE_WAY and not rating.get("produce_max_w") and "storage" not in able
    gives = element.get("kind") == "pv" or ("produce" in able and not rating.get("consume_max_w"))
    where = f"in the state at {seen.at_s:.1f} s {element['id']} of kind {element.get('kind')}"
    need(not takes or found_w >= -own_w, f"{where} has {found_w:g} W; what it takes is positive")
    need(not gives or found_w <= own_w, f"{where} has {found_w:g} W; what it produces is negative")


@section.check("sign-at-connection-point", timed=True)
async def sign_at_connection_point(bench: Bench) -> None:
    """QTY-002: what the module itself takes from the house makes the import rise."""
    meter = at_connection_point(bench)
    against = along = 0
    for swing in await swings(bench):
        moved = _change_w(swing, swing.element["id"]), _change_w(swing, meter["id"])
        if None in moved or swing.element["id"] == meter["id"]:
            continue
        own_w, house_w = (found or 0.0 for found in moved)
        if abs(own_w) > LIVELY_W and abs(house_w) > abs(own_w) / 2:
            along += own_w * house_w > 0
            against += own_w * house_w < 0
    need(
        along >= against,
        f"{meter['id']}, the grid connection point, moved against the module's own power each time; "
        "import is positive",
    )
    if along + against == 0:
        await _counted_as_told(bench, meter)


async def _counted_as_told(bench: Bench, meter: Element) -> None:
    """Where the kit can move nothing: energy is counted in while power is positive."""
    flows = _flows(await all_seen(bench), meter["id"], bench.period_s)
    told = sum(abs(flow.energy_wh) for flow in flows)
    if told < DIGITS * _resolution_wh(meter):
        not_applicable("the module can move no power, and too little flows for its meter to count")
    wrong = sum(flow.out_wh if flow.energy_wh > 0 else flow.in_wh for flow in flows)
    need(
        wrong <= told / 2 + _resolution_wh(meter),
        f"{meter['id']} counted {wrong:.1f} Wh against the direction of its power, of {told:.1f} Wh; "
        "import is positive, and counted in",
    )


def _change_w(swing: Swing, element: str) -> float | None:
    before, after = flow_w(swing.before, element), flow_w(swing.after, element)
    return None if before is None or after is None else after - before


@section.check("state-values-fresh", timed=True)
async def state_values_fresh(bench: Bench) -> None:
    """FRESH-004: when power has moved, all that hangs on it has moved in the state as well."""
    found = await swings(bench)
    if not found:
        not_applicable("no element can follow a set-point now, so that nothing shows how old a value is")
    for swing in found:
        name = swing.element["id"]
        first, last = swing.before.points(name, "ac_measure"), swing.after.points(name, "ac_measure")
        power_w = number(last.get("power_w"))
        if power_w is None or not last.get("terminals"):
            continue
        apparent_va = _apparent_va(last)
        need(
            apparent_va is None or apparent_va >= 0.8 * abs(power_w) - LIVELY_W,
            f"{name} tells {power_w:g} W and currents of {apparent_va or 0:g} VA, "
            f"{response_s(swing.element) + SETTLE_S:g} s after its power changed: they are old",
        )
        frozen = first.get("power_w") == power_w and abs(power_w - swing.wanted_w) > abs(swing.wanted_w) / 2
        need(not frozen, f"{name} tells {power_w:g} W before and after a set-point of {swing.wanted_w:g} W")


def _apparent_va(measured: object) -> float | None:
    """Of all conductors; None where one is not known."""
    terminals = measured.get("terminals", {}) if isinstance(measured, dict) else {}
    total_va = 0.0
    for one in terminals.values():
        volts, amperes = number(one.get("voltage_v")), number(one.get("current_a"))
        if volts is None or amperes is None:
            return None
        total_va += abs(volts * amperes)
    return total_va


# Counters


@dataclass(frozen=True, slots=True)
class Flow:
    """What was counted while the direction of power was known.

    Attributes:
        energy_wh: The integral of power, positive into the element.
        in_wh: By which `energy_in_wh` rose.
        out_wh: By which `energy_out_wh` rose.
    """

    energy_wh: float
    in_wh: float
    out_wh: float


def _flows(seen: list[Seen], element: str, period_s: float) -> list[Flow]:
    """Between states that follow each other closely, with power in one direction at both."""
    found = []
    for before, after in steps(seen):
        first_w, last_w = flow_w(before, element), flow_w(after, element)
        length_s = after.uptime_s - before.uptime_s
        counted = _counted(before, after, element)
        if first_w is None or last_w is None or counted is None or length_s > SEEN_OFTEN * period_s:
            continue
        if first_w * last_w > 0 and min(abs(first_w), abs(last_w)) > 2 * NOISE_W:
            found.append(Flow((first_w + last_w) / 2 * length_s / 3600, *counted))
    return found


def _counted(before: Seen, after: Seen, element: str) -> tuple[float, float] | None:
    """By how much both counters rose; None where that is not known."""
    first, last = before.points(element, "energy"), after.points(element, "energy")
    if not first or first.get("counter_epoch") != last.get("counter_epoch"):
        return None
    rises = []
    for field in ("energy_in_wh", "energy_out_wh"):
        start, end = number(first.get(field)), number(last.get(field))
        if start is None or end is None:
            return None
        rises.append(end - start)
    return rises[0], rises[1]


def _resolution_wh(element: Element) -> float:
    return float(declared(element, "energy").get("resolution_wh", 0)) or 1.0


@section.check("counter-monotonic")
async def counter_monotonic(bench: Bench) -> None:
    """CAP-003: no counter falls within a boot while its epoch stays."""
    bench.some("energy")
    for before, after in steps(await all_seen(bench)):
        for element in bench.having("energy"):
            _not_fallen(before, after, element["id"], "between two states")


def _not_fallen(before: Seen, after: Seen, name: str, when: str) -> None:
    first, last = before.points(name, "energy"), after.points(name, "energy")
    if not first or first.get("counter_epoch") != last.get("counter_epoch"):
        return
    for field in ("energy_in_wh", "energy_out_wh"):
        start, end = number(first.get(field)), number(last.get(field))
        need(
            start is None or end is None or end >= start,
            f"{name}.{field} fell from {start} to {end} {when}, with counter_epoch "
            f"{first.get('counter_epoch')} as before",
        )


@section.check("counter-epoch")
async def counter_epoch(bench: Bench) -> None:
    """CAP-004: over a restart a counter goes on, or begins anew under another epoch."""
    bench.some("energy")
    boots = _boots(await all_seen(bench))
    if len(boots) < 2:
        await bench.restart()
        boots = _boots(await all_seen(bench))
    for before, after in pairwise(boots):
        for element in bench.having("energy"):
            _not_fallen(before[-1], after[0], element["id"], "over a restart")


def _boots(seen: list[Seen]) -> list[list[Seen]]:
    return [list(boot) for _, boot in groupby(seen, key=lambda one: one.boot)]


def _judged(seen: list[Seen], bench: Bench) -> Iterator[tuple[Element, list[Flow], float]]:
    """Each counter through which enough has flowed to see how it counts."""
    for element in bench.having("energy"):
        flows = _flows(seen, element["id"], bench.period_s)
        told_wh = sum(abs(flow.energy_wh) for flow in flows)
        if told_wh > DIGITS * _resolution_wh(element):
            yield element, flows, told_wh


@section.check("counter-directions")
async def counter_directions(bench: Bench) -> None:
    """CAP-005: what flows in is counted in, what flows out is counted out, and never both."""
    bench.some("energy")
    await swings(bench)
    for element, flows, told_wh in _judged(await all_seen(bench), bench):
        wrong_wh = sum(flow.out_wh if flow.energy_wh > 0 else flow.in_wh for flow in flows)
        need(
            wrong_wh <= COUNTED_WRONG * told_wh + _resolution_wh(element),
            f"{element['id']} counted {wrong_wh:.2f} Wh in the direction in which nothing flowed, "
            f"while {told_wh:.2f} Wh flowed in the other",
        )


@section.check("counter-matches-power")
async def counter_matches_power(bench: Bench) -> None:
    """CAP-006: the counters' rise is the integral of power; coarsely, for minutes are no hour."""
    bench.some("energy")
    for element, flows, told_wh in _judged(await all_seen(bench), bench):
        counted_wh = sum(flow.in_wh + flow.out_wh for flow in flows)
        need(
            abs(counted_wh - told_wh) <= COUNTED_WRONG * told_wh + DIGITS * _resolution_wh(element),
            f"{element['id']} counted {counted_wh:.2f} Wh while its power came to {told_wh:.2f} Wh",
        )


# What stays


@section.check("element-ids-stable")
async def element_ids_stable(bench: Bench) -> None:
    """ELEM-002: over a restart the elements are called as before."""
    if len(_boots(await all_seen(bench))) < 2:
        await bench.restart()
    last_s = _boots(await all_seen(bench))[0][-1].at_s
    before = {name for at_s, name in _described(bench) if at_s <= last_s}
    after = {element["id"] for element in (await bench.read_description())["elements"]}
    need(
        before == after,
        f"before a restart there were elements {', '.join(sorted(before - after)) or 'less'}, and afterwards "
        f"{', '.join(sorted(after - before)) or 'none in their place'}; ids stay the same",
    )


def _described(bench: Bench) -> Iterator[tuple[float, str]]:
    """Each element of each page that the controller has read, with the moment."""
    for line in bench.transcript.lines:
        told = line.what.startswith("200 GET /description") and isinstance(line.body, dict)
        for element in line.body.get("elements", []) if told else []:
            yield line.at_s, element["id"]
