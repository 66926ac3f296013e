"""Silence: what holds when a lease ends, and what a module keeps for it (sections 4.10 to 4.12)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.checks.holds import flowing, kept
from ores.conformance.checks.moving import (
    declared,
    point,
    power_w,
    reached,
    response_s,
    tolerance_w,
)

TTL_S = 2.0
BRIEF_S = 0.5
LATE_S = 1.0
DAY_S = 86_400
FEW = 8
NAMES = {"consume": "consume_max_w", "produce": "produce_max_w", "current": "current_max_a"}


section: Section[Bench] = Section(
    "failsafe",
    "Sets failsafe limits, policies and settings, lets leases end, and puts back what was there.",
    begin=Bench.at_rest,
    end=Bench.put_back,
)


def limitable(bench: Bench) -> list[tuple[Element, str, float]]:
    """Elements with a limit, one way in which it limits, and the rating for it."""
    found = []
    for element in bench.having("limit"):
        for way, offered in declared(element, "limit").items():
            rating = declared(element, "rating").get(NAMES.get(way, ""))
            if offered and rating:
                found.append((element, NAMES[way], float(rating)))
                break
    return found


def a_limit(bench: Bench) -> tuple[Element, str, float]:
    """One of them.

    Raises:
        NotApplicable: Nothing can be limited.
    """
    found = limitable(bench)
    return found[0] if found else not_applicable("no element has a limit with a rating")


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease from its receipt to after its end, under failsafe limits.

    Attributes:
        element: Whose limit was leased and has a failsafe, or None where nothing can be limited.
        way: Which limit.
        failsafe: What holds without a lease.
        leased: What the lease gave, more than the failsafe.
        states: Every state from the result on.
    """

    element: Element | None
    way: str
    failsafe: float
    leased: float
    states: tuple[Mapping[str, Any], ...]


async def ended(bench: Bench) -> Ended:
    """A lease of 2 s that allows more than the failsafe limits; nothing is sent after it."""
    found = limitable(bench)
    element, way, rating = found[0] if found else (None, "", 0.0)
    failsafe, leased = round(rating / 4), round(rating / 2)
    commands: dict[str, Any] = {}
    if element is not None:
        answer = await bench.put("/failsafe", {"elements": {element["id"]: {way: failsafe}}})
        need(
            answer.status == 200,
            f"PUT /failsafe with {way} {failsafe} was answered with {answer.status} {answer.code}",
        )
        commands = {element["id"]: {"limit": {way: leased}}}
    stream = await bench.stream()
    await bench.next_state()
    begun = len(stream.states)
    await bench.give(commands, ttl_s=TTL_S)
    at_once = await bench.get("/state")  # a stream with a long period may say nothing while it holds
    await bench.pause(TTL_S + LATE_S + bench.period_s * 1.5 + 0.3)
    told = [at_once, *(state for _, state in stream.states[begun:])]
    states = tuple(sorted(told, key=lambda state: int(state["uptime_ms"])))
    await bench.put("/failsafe", {"elements": {}})
    return Ended(element, way, failsafe, leased, states)


@section.check("lease-expires", timed=True)
async def lease_expires(bench: Bench) -> None:
    """SAFE-001: `ttl_s` after its receipt, at most 1 s later, by the module's own clock."""
    states = (await bench.once(ended)).states
    under = [state["uptime_ms"] for state in states if state.get("lease")]
    after = [
        state["uptime_ms"]
        for state in states
        if not state.get("lease") and under and state["uptime_ms"] > under[0]
    ]
    need(under, "no state named the lease that had been accepted")
    need(
        after, f"a lease with ttl_s {TTL_S:g} was still in force {TTL_S + LATE_S + bench.period_s:g} s later"
    )
    lasted_s = (under[-1] - under[0]) / 1000
    need(
        lasted_s <= TTL_S + LATE_S,
        f"a lease with ttl_s {TTL_S:g} was in force for {lasted_s:.1f} s; {TTL_S + LATE_S:g} s are the most",
    )
    gap_s = (after[0] - under[0]) / 1000
    need(
        gap_s >= TTL_S - bench.period_s - 0.3,
        f"a lease with ttl_s {TTL_S:g} was over {gap_s:.1f} s after its first state",
    )


@section.check("expiry-to-failsafe", timed=True)
async def expiry_to_failsafe(bench: Bench) -> None:
    """SAFE-002: then limits are the failsafe limits, and the policy decides."""
    found = await bench.once(ended)
    last = found.states[-1]
    need(last.get("lease") is None, "the lease is still in force")
    need(
        last.get("control_source") != "lease",
        f"without a lease control_source is {last.get('control_source')!r}; policy is demanded",
    )
    if found.element is not None:
        now = point(last, found.element["id"], "limit", found.way)
        need(
            now is not None and now <= found.failsafe,
            f"after the end of a lease {found.element['id']} has {found.way} {now}; "
            f"its failsafe limit of {found.failsafe:g} is demanded",
        )
    for element in bench.having("setpoint"):
        leased = point(last, element["id"], "setpoint", "power_w")
        if last.get("policy") == "idle":
            need(not leased, f"under the policy idle {element['id']} follows a set-point of {leased} W")


@section.check("module-works-alone")
async def module_works_alone(bench: Bench) -> None:
    """ARCH-001: without a hub it does what its policy says, and goes on telling."""
    last = (await bench.once(ended)).states[-1]
    need(
        last.get("control_source") in {"policy", "local", "protection"}
        and last.get("policy") in _policies(bench),
        f"alone, its state says control_source {last.get('control_source')!r}, policy {last.get('policy')!r}",
    )


@section.check("absent-limit-is-failsafe")
async def absent_limit_is_failsafe(bench: Bench) -> None:
    """HOLD-003: a lease that gives no limit leaves the failsafe limit in force."""
    element, way, rating = a_limit(bench)
    failsafe = round(rating / 4)
    await bench.put("/failsafe", {"elements": {element["id"]: {way: failsafe}}})
    await bench.give({}, ttl_s=4)
    state = await bench.state_now(
        lambda told: (point(told, element["id"], "limit", way) or math.inf) <= failsafe
    )
    now, by = point(state, element["id"], "limit", way), point(state, element["id"], "limit", "limited_by")
    await bench.put("/failsafe", {"elements": {}})
    need(
        now is not None and now <= failsafe,
        f"under a lease without a limit {element['id']} has {way} {now} (limited_by {by}); "
        f"its failsafe limit of {failsafe:g} is demanded",
    )


@section.check("failsafe-binds-policy", timed=True)
async def failsafe_binds_policy(bench: Bench) -> None:
    """SAFE-004: a dead hub must not let a home export that must not."""
    await bench.pause(0.2)
    await bench.give({}, ttl_s=BRIEF_S)
    await bench.next_state(lambda found: not found.get("lease"), timeout_s=5, what="a state without a lease")
    for element, way, now_w in (await flowing(bench))[:1]:
        bound_w = round(now_w / 3)
        await bench.put("/failsafe", {"elements": {element["id"]: {way: bound_w}}})
        await kept(bench, element, way, bound_w)
        await bench.put("/failsafe", {"elements": {}})
        return
    element, way, _ = a_limit(bench)
    await bench.put("/failsafe", {"elements": {element["id"]: {way: 0}}})
    state = await bench.state_now(lambda told: point(told, element["id"], "limit", way) == 0)
    now = point(state, element["id"], "limit", way)
    await bench.put("/failsafe", {"elements": {}})
    need(now == 0, f"without a lease {element['id']} has {way} {now}; its failsafe limit of 0 is demanded")


@section.check("put-holds-at-once")
async def put_holds_at_once(bench: Bench) -> None:
    """MODE-001: what was put holds from the answer on."""
    element, way, rating = a_limit(bench)
    wanted = round(rating / 5)
    answer = await bench.put("/failsafe", {"elements": {element["id"]: {way: wanted}}})
    need(answer.status == 200, f"PUT /failsafe was answered with {answer.status} {answer.code}")
    state = (await bench.controller.request("GET", "/state")).json
    await bench.put("/failsafe", {"elements": {}})
    now = point(state, element["id"], "limit", way)
    need(
        now is not None and now <= wanted,
        f"right after PUT /failsafe with {way} {wanted:g} the state of {element['id']} says {now}",
    )


@section.check("put-reads-back")
async def put_reads_back(bench: Bench) -> None:
    """SAFE-007: read back is the only proof that it was understood."""
    tried: list[tuple[str, Any]] = [("/policy", {"kind": _policies(bench)[-1]})]
    if bounds := _thirds(bench):
        tried.append(("/failsafe", {"elements": bounds}))
    stores = reservable(bench)
    if stores:
        tried.append(("/settings", {"elements": {stores[0]["id"]: {"storage": {"reserve_pct": 12}}}}))
    for path, body in tried:
        answer = await bench.put(path, body)
        need(
            answer.status == 200,
            f"PUT {path} with {short(body)} was answered with {answer.status} {answer.code}",
        )
        now = await bench.get(path)
        need(
            answer.json == now,
            f"PUT {path} was answered with {short(answer.json)}, and GET then says {short(now)}",
        )
        need(_holds(now, body), f"PUT {path} with {short(body)} was answered with {short(answer.json)}")
    await bench.put_back()


def _thirds(bench: Bench) -> dict[str, dict[str, int]]:
    """A third of the rating, for the first few elements and in every way in which they can be limited."""
    found: dict[str, dict[str, int]] = {}
    for element in bench.having("limit")[:FEW]:
        rating = declared(element, "rating")
        for way, offered in declared(element, "limit").items():
            rated = rating.get(NAMES.get(way, ""))
            if offered and rated:
                found.setdefault(element["id"], {})[NAMES[way]] = round(rated / 3)
    return found


@section.check("failsafe-replaced-whole")
async def failsafe_replaced_whole(bench: Bench) -> None:
    """SAFE-006: all are replaced, or when one of them is refused, none."""
    element, way, rating = a_limit(bench)
    first = {"elements": {element["id"]: {way: round(rating / 3)}}}
    await bench.put("/failsafe", first)
    bad = {"elements": {element["id"]: {way: round(rating / 6)}, "no_such_element": {"produce_max_w": 1}}}
    refused = await bench.put("/failsafe", bad)
    kept = await bench.get("/failsafe")
    need(
        refused.status >= 400,
        f"PUT /failsafe for an element that does not exist was answered with {refused.status}",
    )
    need(
        _holds(kept, first),
        f"PUT /failsafe was refused in one part, and then {short(kept)} is there in place of {short(first)}",
    )
    await bench.put("/failsafe", {"elements": {}})
    cleared = await bench.get("/failsafe")
    need(
        element["id"] not in cleared.get("elements", {}),
        f"PUT /failsafe without elements left {short(cleared)}; all limits are replaced by it",
    )


@section.check("failsafe-refused")
async def failsafe_refused(bench: Bench) -> None:
    """SAFE-008: a limit that binds nothing must not be believed in."""
    element, way, rating = a_limit(bench)
    above = await bench.put("/failsafe", {"elements": {element["id"]: {way: rating * 2 + 1}}})
    need(
        above.code == "out_of_range",
        f"a failsafe {way} of twice the rating was answered with {above.status} {above.code}; out_of_range "
        "is demanded",
    )
    for other in bench.elements:
        if "limit" not in other["capabilities"]:
            answer = await bench.put("/failsafe", {"elements": {other["id"]: {"consume_max_w": 1}}})
            need(
                answer.code == "unknown_capability",
                f"a failsafe limit for {other['id']}, which has none, was answered with {answer.status} "
                f"{answer.code}; "
                "unknown_capability is demanded",
            )
            return


@section.check("policy-first-is-default")
async def policy_first_is_default(bench: Bench) -> None:
    """POL-001: what it does without a hub is known before it is bought."""
    policies = _policies(bench)
    kind = (await bench.get("/policy")).get("kind")
    need(policies, "the description offers no policy; one is the least")
    need(kind in policies, f"GET /policy says {kind!r}; the description offers {policies}")
    said = (await bench.state_now(lambda told: told.get("policy") == kind)).get("policy")
    need(said == kind, f"GET /policy says {kind!r}, and the state says {said!r}")


@section.check("policy-unknown")
async def policy_unknown(bench: Bench) -> None:
    """POL-003: a guess would be a behaviour that nobody has chosen."""
    before = await bench.get("/policy")
    answer = await bench.put("/policy", {"kind": "no_such_policy"})
    need(
        answer.code == "unknown_policy",
        f"a policy that is not offered was answered with {answer.status} {answer.code}; unknown_policy is "
        "demanded",
    )
    need(await bench.get("/policy") == before, "a policy that was refused is in force")


@section.check("policy-idles-without-input")
async def policy_idles_without_input(bench: Bench) -> None:
    """POL-004: without what it needs a policy is as idle."""
    if "schedule" not in _policies(bench) or not bench.having("setpoint"):
        not_applicable("no policy that the kit can starve: it offers no schedule")
    answer = await bench.put("/policy", {"kind": "schedule", "schedule": []})
    if answer.status >= 400:
        return  # a schedule without slots is refused: that is as safe
    await bench.give({}, ttl_s=BRIEF_S)
    state = await reached(bench, lambda found: not found.get("lease"), 5, "no lease is in force")
    await bench.put_back()
    for element in bench.having("setpoint"):
        now = point(state, element["id"], "setpoint", "power_w")
        need(not now, f"by a schedule without slots {element['id']} follows {now} W; 0 is demanded")


@section.check("policy-schedule", timed=True)
async def policy_schedule(bench: Bench) -> None:
    """POL-005: slots repeat each day in UTC, and the last one of a day lasts until the first of the next."""
    if "schedule" not in _policies(bench):
        not_applicable("it offers no schedule")
    await bench.give({}, ttl_s=BRIEF_S)
    state = await reached(bench, lambda found: not found.get("lease"), 5, "no lease is in force")
    now = _utc(state)
    now_s = now.hour * 3600 + now.minute * 60 + now.second
    power = min(500.0, bench.options.power_max_w)
    # both slots are later in the day, so that the day's last one, of yesterday, still holds
    first_s = now_s + 600 if now_s + 1200 < DAY_S else now_s - 1200
    slots: list[dict[str, float]] = [
        {"start_s": first_s, "power_w": 0},
        {"start_s": first_s + 600, "power_w": power},
    ]
    wanted = {"kind": "schedule", "schedule": slots}
    answer = await bench.put("/policy", wanted)
    need(answer.status == 200, f"PUT /policy with a schedule was answered with {answer.status} {answer.code}")
    need(
        _holds(answer.json, wanted),
        f"PUT /policy with {short(wanted)} was answered with {short(answer.json)}",
    )
    found = await bench.next_state(
        lambda one: _any_setpoint(bench, one, power),
        timeout_s=4,
        what=f"a state in which an element follows the schedule's {power:g} W",
    )
    await bench.put_back()
    need(
        found.get("control_source") == "policy",
        f"by its schedule, and control_source is {found.get('control_source')!r}",
    )


def _any_setpoint(bench: Bench, state: Mapping[str, Any], power: float) -> bool:
    for element in bench.having("setpoint"):
        found = point(state, element["id"], "setpoint", "power_w")
        if found is not None and abs(found - power) <= max(
            10.0, float(declared(element, "setpoint").get("step_w", 0))
        ):
            return True
    return False


@section.check("settings-all-or-nothing")
async def settings_all_or_nothing(bench: Bench) -> None:
    """SET-001: all the settings that a PUT names, or none."""
    store = _a_store(bench)
    await bench.put("/settings", {"elements": {store["id"]: {"storage": {"reserve_pct": 10}}}})
    bad = {
        "elements": {
            store["id"]: {"storage": {"reserve_pct": 30}},
            "no_such_element": {"storage": {"reserve_pct": 1}},
        }
    }
    refused = await bench.put("/settings", bad)
    kept = await bench.get("/settings")
    await bench.put_back()
    need(
        refused.status >= 400,
        f"PUT /settings for an element that does not exist was answered with {refused.status}",
    )
    now = kept.get("elements", {}).get(store["id"], {}).get("storage", {}).get("reserve_pct")
    need(now == 10, f"PUT /settings was refused in one part, and then reserve_pct is {now} in place of 10")


@section.check("reserve-kept", timed=True)
async def reserve_kept(bench: Bench) -> None:
    """SET-003: a store gives nothing below its reserve, by lease or by policy."""
    store = _a_store(bench)
    state = await bench.state()
    soc_pct = point(state, store["id"], "storage", "soc_pct")
    if "setpoint" not in store["capabilities"] or soc_pct is None or soc_pct > 98:
        not_applicable(f"{store['id']} is full, or follows no set-point")
    await bench.put(
        "/settings", {"elements": {store["id"]: {"storage": {"reserve_pct": min(100, soc_pct + 1)}}}}
    )
    asked_w = -min(bench.options.power_max_w, float(declared(store, "setpoint")["produce_max_w"]) / 2)
    await bench.give({store["id"]: {"setpoint": {"power_w": asked_w}}}, ttl_s=15)
    await bench.pause(response_s(store))
    after = await bench.state_now()
    flows_w, in_force_w = power_w(after, store["id"]), point(after, store["id"], "setpoint", "power_w")
    await bench.calm()
    await bench.put_back()
    need(
        (flows_w is None or flows_w >= -tolerance_w(store, 0)) and (in_force_w or 0) >= 0,
        f"{store['id']} is below its reserve, and asked for {asked_w:g} W it gives {flows_w} W "
        f"(set-point {in_force_w})",
    )


@section.check("protection-not-settable")
async def protection_not_settable(bench: Bench) -> None:
    """SET-005: grid codes and trip settings are not for the network."""
    for body in (
        {"elements": {bench.elements[0]["id"]: {"grid_code": {"code": "none", "reconnect_s": 0}}}},
        {"elements": {bench.elements[0]["id"]: {"rating": {"produce_max_w": 1e5}}}},
    ):
        answer = await bench.put("/settings", body)
        need(
            answer.status >= 400,
            f"PUT /settings with {short(body)} was answered with {answer.status}; a refusal is demanded",
        )


def _policies(bench: Bench) -> list[str]:
    return list(bench.description.get("policies", []))


def reservable(bench: Bench) -> list[Element]:
    """Stores that take the setting `reserve_pct`."""
    return [
        element for element in bench.having("storage") if declared(element, "storage").get("reserve_setting")
    ]


def _a_store(bench: Bench) -> Element:
    stores = reservable(bench)
    return stores[0] if stores else not_applicable("no store takes the setting reserve_pct")


def _holds(found: Any, wanted: Any) -> bool:
    """Whether everything wanted stands in what was found."""
    if isinstance(wanted, dict):
        return isinstance(found, dict) and all(
            key in found and _holds(found[key], value) for key, value in wanted.items()
        )
    return bool(found == wanted)


def _utc(state: Mapping[str, Any]) -> datetime:
    """The module's own time; without one it could not follow a schedule."""
    said = state.get("time")
    if said is None:
        not_applicable("its clock is not synchronised, and without the time it idles")
    return datetime.fromisoformat(str(said)).astimezone(UTC)
