"""The answer to a lease: what was applied, cut or refused (section 4.8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Section, fail, need, not_applicable, short
from ores.conformance.checks.leases import OTHER_BOOT, tries
from ores.conformance.checks.limits import WAYS, Limit, acted, limits_now
from ores.conformance.checks.moving import a_move, declared, point
from ores.conformance.wire.caller import Answer

NOWHERE = "no_such_element"
NO_MODE = "no_such_mode"
HARMLESS: Mapping[str, Mapping[str, Any]] = {"switch": {"closed": True}, "setpoint": {"power_w": 0}}
MANY = 8


section: Section[Bench] = Section(
    "results",
    "Gives leases that the module can follow in part only, and looks at its answers.",
    begin=Bench.at_rest,
)


# Whole refusals


@section.check("result-names-lease")
async def result_names_lease(bench: Bench) -> None:
    """LEASE-017: of the lease that it answers, whether that counts or not."""
    for name, found in (await bench.once(tries)).items():
        if "code" not in found.answer:
            continue
        asked = (found.sent["epoch"], found.sent["seq"])
        said = (found.answer.get("epoch"), found.answer.get("seq"))
        need(said == asked, f"a lease {asked} ({name}) was answered by a result for {said}")
    lease = await bench.lease({})
    result = await bench.send(lease)
    asked, said = (lease["epoch"], lease["seq"]), (result.get("epoch"), result.get("seq"))
    need(said == asked, f"the lease {asked} was answered by a result for {said}")


@dataclass(frozen=True, slots=True)
class Whole:
    """A lease that counts no more, sent both ways."""

    on_stream: Mapping[str, Any]
    by_put: Answer


async def whole_refusal(bench: Bench) -> Whole:
    """A lease that answers another boot; where such a one counts, a seq that was accepted before.

    Raises:
        Failed: Both count.
    """
    for what in ("boot", "seq"):
        await bench.give({})
        wrong: dict[str, Any] = {"boot_id": OTHER_BOOT} if what == "boot" else {"seq": bench.seq}
        lease = await bench.lease({}, **wrong)
        on_stream = await bench.send(lease)
        if on_stream.get("result") != "applied":
            return Whole(on_stream, await bench.put("/lease", lease))
    return fail("a lease of another boot was applied, and so was one whose seq was accepted before")


@section.check("result-whole-refusal")
async def result_whole_refusal(bench: Bench) -> None:
    """LEASE-018: `refused`, with the code, and with 200 on a PUT."""
    found = await bench.once(whole_refusal)
    by_put = found.by_put
    need(
        by_put.status == 200,
        f"PUT /lease that does not count was answered with {by_put.status} {by_put.code}; "
        "200 is demanded, for a refusal is an answer",
    )
    for way, result in (("on the stream", found.on_stream), ("by PUT", by_put.json)):
        need(
            isinstance(result, dict) and result.get("result") == "refused" and "code" in result,
            f"{way} a lease that is refused as a whole was answered with {short(result)}; result refused "
            "with a code is demanded",
        )


# Refusals of a part


@dataclass(frozen=True, slots=True)
class Parts:
    """A lease of which some commands cannot be followed, and one can.

    Attributes:
        sent: Its `elements`.
        result: What came of it.
        refusals: What is to be refused, as element, capability and code.
        limit: What is to hold all the same; None where nothing can be limited.
        state: In which it is to hold.
    """

    sent: Mapping[str, Any]
    result: Mapping[str, Any]
    refusals: tuple[tuple[str, str, str], ...]
    limit: Limit | None
    state: Mapping[str, Any]


async def parts(bench: Bench) -> Parts:
    """An element that is not there, a capability and a mode that are not declared, and a limit that is."""
    await bench.calm()
    limit = next(iter(limits_now(bench, await bench.get("/state"))), None)
    elements: dict[str, Any] = {} if limit is None else limit.command(limit.narrow)
    elements[NOWHERE] = {"setpoint": {"power_w": 0}}
    refusals = [(NOWHERE, "setpoint", "unknown_element")]
    for name, able in _able(bench):
        lacking = next((one for one in HARMLESS if one not in able), None)
        if lacking is not None:
            elements[name] = {**elements.get(name, {}), lacking: HARMLESS[lacking]}
            refusals.append((name, lacking, "unknown_capability"))
            break
    for element in bench.having("mode")[:1]:
        name = element["id"]
        elements[name] = {**elements.get(name, {}), "mode": {"mode": NO_MODE}}
        refusals.append((name, "mode", "unknown_mode"))
    result = await bench.send(await bench.lease(elements))
    return Parts(elements, result, tuple(refusals), limit, await bench.get("/state"))


def _able(bench: Bench) -> list[tuple[str, Mapping[str, Any]]]:
    """Ids and capabilities, those with limits first: there the rest of the same element has to hold."""
    found = [(element["id"], element["capabilities"]) for element in bench.elements]
    return sorted(found, key=lambda one: "limit" not in one[1])


@section.check("result-part-refused")
async def result_part_refused(bench: Bench) -> None:
    """LEASE-019: each by itself, with its code, while the rest of the lease holds."""
    found = await bench.once(parts)
    need(
        found.result.get("result") == "refused",
        f"a lease of which a part cannot be followed was answered with {short(dict(found.result))}; the "
        "worst of its outcomes, refused, is demanded",
    )
    for name, capability, code in found.refusals:
        outcome = _outcome(found.result, name, capability)
        need(
            (outcome.get("result"), outcome.get("code")) == ("refused", code),
            f"{capability} of {name} had the outcome {short(outcome)}; refused {code} is demanded",
        )
    named = (found.state.get("lease") or {}).get("seq")
    need(
        named == found.result.get("seq"),
        f"after a lease of which a part was refused the state names seq {named}; the rest of it has to hold",
    )
    limit = found.limit
    if limit is not None:
        await acted(
            bench, limit.holds, f"{limit.id} has {limit.way} {limit.narrow:g}, as the same lease said"
        )
    await bench.calm()


@section.check("result-code-means-whole")
async def result_code_means_whole(bench: Bench) -> None:
    """LEASE-030: a code at the top says that the lease is not in force, and nothing else does."""
    whole, part = await bench.once(whole_refusal), await bench.once(parts)
    need(
        "code" in whole.on_stream,
        f"a lease that was refused as a whole has the result {short(dict(whole.on_stream))}, without a code",
    )
    applied = await bench.give({})
    for what, result in (("of which a part was refused", part.result), ("that was applied", applied)):
        need("code" not in result, f"a lease {what} has the result {short(dict(result))}, with a code")


@section.check("lease-many-refusals")
async def lease_many_refusals(bench: Bench) -> None:
    """LEASE-031: more than eight may cost the whole lease, with the code of one of them."""
    elements = {f"{NOWHERE}_{number}": {"setpoint": {"power_w": 0}} for number in range(MANY + 4)}
    result = await bench.send(await bench.lease(elements))
    codes = {_outcome(result, name, "setpoint").get("code") for name in elements}
    need(
        result.get("result") == "refused"
        and (result.get("code") == "unknown_element" or codes == {"unknown_element"}),
        f"a lease for {len(elements)} elements that do not exist was answered with {short(result)}; each "
        "refused with unknown_element, or the whole with that code, is demanded",
    )
    await bench.calm()


@section.check("limit-number-refused-alone")
async def limit_number_refused_alone(bench: Bench) -> None:
    """LEASE-032: a number that cannot be limited takes nothing away from the one beside it."""
    await bench.calm()
    for limit in limits_now(bench, await bench.get("/state")):
        able = next(one for one in bench.elements if one["id"] == limit.id)["capabilities"]["limit"]
        other = next((way for word, way in WAYS.items() if able.get(word) is not True), None)
        if other is None:
            continue
        result = await bench.give({limit.id: {"limit": {limit.way: limit.narrow, other: 1}}})
        outcome = _outcome(result, limit.id, "limit")
        need(
            (outcome.get("result"), outcome.get("code")) == ("refused", "unknown_capability"),
            f"{other} of {limit.id}, which it does not declare, had the outcome {short(outcome)}; limit "
            "refused with unknown_capability is demanded",
        )
        await acted(
            bench, limit.holds, f"{limit.id} has {limit.way} {limit.narrow:g}, which stood beside {other}"
        )
        await bench.calm()
        return
    not_applicable("no element declares one limit and lacks another")


@section.check("refused-counts-as-absent")
async def refused_counts_as_absent(bench: Bench) -> None:
    """LEASE-020: after a refusal failsafe limit and policy hold, and nothing of the lease before."""
    await bench.calm()
    for limit in limits_now(bench, await bench.get("/state")):
        able = next(one for one in bench.elements if one["id"] == limit.id)["capabilities"]
        other = next((way for word, way in WAYS.items() if able["limit"].get(word) is not True), None)
        if other is None:
            continue
        await bench.give(limit.command(limit.narrow))
        await acted(bench, limit.holds, f"{limit.id} has {limit.way} {limit.narrow:g} by its lease")
        await bench.give({limit.id: {"limit": {other: 1}}})
        await acted(
            bench,
            limit.is_free,
            f"{limit.id} is free of {limit.way} {limit.narrow:g}: the limit that came after it was refused",
        )
        await bench.calm()
        return
    not_applicable("no command that an element has followed could be refused the next time")


def _outcome(result: Mapping[str, Any], element: str, capability: str) -> Mapping[str, Any]:
    found = (result.get("outcomes") or {}).get(element, {}).get(capability, {})
    return found if isinstance(found, dict) else {}


# What is cut


@section.check("result-clipped")
async def result_clipped(bench: Bench) -> None:
    """LEASE-021: with the power that holds instead, and with what cut it."""
    move = await a_move(bench)
    way = "consume_max_w" if move.power_w > 0 else "produce_max_w"
    able = declared(move.element, "limit")
    if able.get(way.removesuffix("_max_w")) is not True:
        not_applicable(f"{move.id} has no limit in the direction that could be tried")
    most_w = abs(move.power_w) / 2
    result = await bench.give({move.id: {"limit": {way: most_w}, "setpoint": {"power_w": move.power_w}}})
    outcome = _outcome(result, move.id, "setpoint")
    need(
        result.get("result") == "clipped" and outcome.get("result") == "clipped",
        f"a set-point of {move.power_w:g} W under a limit of {most_w:g} W was answered with {short(result)}; "
        "clipped is demanded",
    )
    instead_w = outcome.get("power_w")
    need(
        instead_w is not None and 0 <= instead_w * move.power_w <= most_w * abs(move.power_w) + 1,
        f"a set-point of {move.power_w:g} W under a limit of {most_w:g} W was clipped to {instead_w}; the "
        "power that holds instead is demanded",
    )
    need(
        isinstance(outcome.get("limited_by"), str),
        f"a set-point was clipped without `limited_by`: {short(outcome)}; the hub has to be able to say why",
    )
    holds_w = point(await bench.get("/state"), move.id, "setpoint", "power_w")
    need(
        holds_w is not None and abs(holds_w - instead_w) <= 1,
        f"a set-point was clipped to {instead_w} W, and the state says that {holds_w} W is in force",
    )
    await bench.calm()


@section.check("result-limit-clipped")
async def result_limit_clipped(bench: Bench) -> None:
    """LEASE-022: so the hub learns the rating."""
    tried = 0
    for element in bench.having("limit", "rating"):
        for way in _rated(element):
            rating = float(element["capabilities"]["rating"][way])
            result = await bench.give({element["id"]: _above(element, way, rating)}, ttl_s=2)
            outcome = _outcome(result, element["id"], "limit")
            need(
                outcome.get("result") == "clipped" and outcome.get(way) is not None
                and abs(outcome[way] - rating) < 0.001,
                f"{way} {rating + 1:g} of {element['id']}, whose rating is {rating:g}, was answered with "
                f"{short(result)}; clipped to the rating is demanded",
            )  # fmt: skip
            tried += 1
    await bench.calm()
    if not tried:
        not_applicable("no element has a limit")


def _rated(element: Element) -> list[str]:
    """Ways in which it can be limited, and has a rating."""
    able, rating = element["capabilities"]["limit"], element["capabilities"]["rating"]
    return [way for word, way in WAYS.items() if able.get(word) is True and way in rating]


def _above(element: Element, way: str, rating: float) -> dict[str, Any]:
    """One limit above its rating, and all that keeps the power small meanwhile."""
    small = {other: 0 for other in _rated(element) if other != way}
    command: dict[str, Any] = {"limit": {**small, way: rating + 1}}
    if "setpoint" in element["capabilities"]:
        command["setpoint"] = {"power_w": 0}
    return command


@section.check("result-step-applied")
async def result_step_applied(bench: Bench) -> None:
    """LEASE-023: being as fine as its step, a module has clipped nothing."""
    stepped = [one for one in bench.having("setpoint") if declared(one, "setpoint").get("step_w")]
    if not stepped:
        not_applicable("no element with set-points declares a step_w")
    move = await a_move(bench)
    step_w = declared(move.element, "setpoint").get("step_w")
    if not step_w:
        not_applicable(f"{move.id} declares no step_w")
    between_w = move.power_w - 0.4 * step_w * (1 if move.power_w > 0 else -1)
    result = await bench.give({move.id: {"setpoint": {"power_w": between_w}}}, ttl_s=2)
    need(
        result.get("result") == "applied" and not _outcome(result, move.id, "setpoint"),
        f"a set-point of {between_w:g} W, with a step_w of {step_w:g}, was answered with {short(result)}; "
        "applied is demanded",
    )
    await bench.calm()
