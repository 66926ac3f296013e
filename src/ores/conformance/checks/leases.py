"""Which lease counts, and which is refused (section 4.8)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, Section, need, not_applicable, short
from ores.conformance.checks.cases import messages
from ores.conformance.checks.limits import Limit, acted, limits_now
from ores.conformance.wire.caller import Answer

OTHER_BOOT = "0123456789abcdef"
TOO_OLD_MS = 5500
OLD_ENOUGH_MS = 4000
FUTURE_MS = 10_000
SAME_END_MS = 400
FIRST_SEQ: Mapping[str, Any] = {"seq": 0}

section: Section[Bench] = Section(
    "leases",
    "Gives the module leases of a few seconds, and some that it has to refuse.",
    begin=Bench.at_rest,
)


# Leases that do not count


@dataclass(frozen=True, slots=True)
class Try:
    """One lease that does not count, tried under one that does.

    Attributes:
        sent: The lease that was tried.
        answer: Its result, or the problem.
        before: The state under the lease that counts.
        after: The state after the try.
    """

    sent: Mapping[str, Any]
    answer: Mapping[str, Any]
    before: Mapping[str, Any]
    after: Mapping[str, Any]

    @property
    def refused_with(self) -> str | None:
        """The code of the refusal; None where it was none."""
        return self.answer.get("code") if self.answer.get("result") == "refused" else None


async def tries(bench: Bench) -> dict[str, Try]:
    """Each lease that does not count, under a fresh one of 20 s that does."""
    bench.epoch += 1
    uptime_ms = (await bench.get("/state"))["uptime_ms"]
    if uptime_ms < TOO_OLD_MS:
        await bench.pause((TOO_OLD_MS - uptime_ms) / 1000 + 0.1)
    limit = _limit_or_none(bench, await bench.state())
    return {
        "boot": await _try(bench, limit, lambda _: {"boot_id": OTHER_BOOT}),
        "old": await _try(bench, limit, lambda state: {"uptime_ms": state["uptime_ms"] - TOO_OLD_MS}),
        "future": await _try(bench, limit, lambda state: {"uptime_ms": state["uptime_ms"] + FUTURE_MS}),
        "epoch": await _try(bench, limit, lambda _: {"epoch": bench.epoch - 1}),
        "same seq": await _try(bench, limit, lambda state: {"seq": state["lease"]["seq"]}),
        "lower seq": await _try(bench, limit, lambda state: {"seq": state["lease"]["seq"] - 1}),
    }


async def _try(
    bench: Bench, limit: Limit | None, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]
) -> Try:
    await bench.give({} if limit is None else limit.command(limit.narrow), ttl_s=20)
    before = await bench.get("/state")
    wide = {} if limit is None else limit.command(limit.free)
    fields = {"boot_id": before["boot_id"], "uptime_ms": before["uptime_ms"], **change(before)}
    sent = await bench.lease(wide, ttl_s=1, **fields)
    answer = await bench.send(sent)
    return Try(sent, answer, before, await bench.get("/state"))


def _limit_or_none(bench: Bench, state: Mapping[str, Any]) -> Limit | None:
    return next(iter(limits_now(bench, state)), None)


def _refused(found: Try, code: str, what: str) -> None:
    need(
        found.refused_with == code,
        f"{what} was answered with {short(dict(found.answer))}; refused {code} is demanded",
    )


@section.check("lease-other-boot")
async def lease_other_boot(bench: Bench) -> None:
    """LEASE-004: a lease that answers a state of another boot is refused."""
    found = (await bench.once(tries))["boot"]
    _refused(found, "lease_other_boot", "a lease with the boot_id of another boot")


@section.check("lease-stale", timed=True)
async def lease_stale(bench: Bench) -> None:
    """LEASE-005: one that answers a state of more than 5000 ms ago, or of the future; not one of 4 s ago."""
    found = await bench.once(tries)
    _refused(found["old"], "lease_stale", f"a lease that answers a state of {TOO_OLD_MS} ms ago")
    _refused(found["future"], "lease_stale", f"a lease that answers a state {FUTURE_MS} ms in the future")
    state = await bench.get("/state")
    result = await bench.send(
        await bench.lease({}, boot_id=state["boot_id"], uptime_ms=state["uptime_ms"] - OLD_ENOUGH_MS)
    )
    need(
        result.get("result") == "applied",
        f"a lease that answers a state of {OLD_ENOUGH_MS} ms ago was answered with {short(result)}; up to "
        "5000 ms it counts",
    )


@section.check("lease-old-epoch")
async def lease_old_epoch(bench: Bench) -> None:
    """LEASE-006: a hub restored from a backup must not command beside the living one."""
    found = (await bench.once(tries))["epoch"]
    _refused(found, "lease_old_epoch", f"a lease of epoch {found.sent['epoch']} after one of a higher epoch")


@section.check("lease-old-seq")
async def lease_old_seq(bench: Bench) -> None:
    """LEASE-007: no seq twice, and none that is lower; of the highest epoch, by what was accepted."""
    found = await bench.once(tries)
    _refused(found["same seq"], "lease_old_seq", "a lease with the seq of the lease before it")
    _refused(found["lower seq"], "lease_old_seq", "a lease with a lower seq than that of the lease before it")
    wrong: dict[str, Any] = (
        {"boot_id": OTHER_BOOT} if found["boot"].refused_with else {"epoch": bench.epoch - 1}
    )
    far = {**await bench.lease({}), "seq": bench.seq + 1000, **wrong}
    await bench.send(far)
    lease = await bench.lease({})
    result = await bench.send(lease)
    bench.seq = far["seq"]
    need(
        result.get("code") != "lease_old_seq",
        f"after a lease was refused with seq {far['seq']}, one with seq {lease['seq']} was answered with "
        f"{short(result)}; only accepted leases count",
    )
    bench.epoch += 1
    result = await bench.send(await bench.lease({}, **FIRST_SEQ))
    need(
        result.get("result") == "applied",
        f"the first lease of a higher epoch, with seq 0, was answered with {short(result)}; seq rises within "
        "an epoch only",
    )


@section.check("lease-refusal-changes-nothing")
async def lease_refusal_changes_nothing(bench: Bench) -> None:
    """LEASE-009: the lease in force, its end and its limits are what they were."""
    for found in (await bench.once(tries)).values():
        if found.refused_with is None:
            continue
        before, after = found.before.get("lease") or {}, found.after.get("lease") or {}
        need(
            [before.get(name) for name in ("epoch", "seq")] == [after.get(name) for name in ("epoch", "seq")],
            f"lease {short(before)} was in force, one was refused with {found.refused_with}, and then "
            f"{short(after)} was",
        )
        moved_ms = _end_ms(found.after) - _end_ms(found.before)
        need(
            abs(moved_ms) <= SAME_END_MS,
            f"the end of the lease in force was moved by {moved_ms:.0f} ms when another was refused with "
            f"{found.refused_with}; it has to stay",
        )
        limits = [
            {name: points.get("limit") for name, points in state.get("elements", {}).items()}
            for state in (found.before, found.after)
        ]
        need(
            limits[0] == limits[1],
            f"the limits in force were {short(limits[0])} before a lease was refused with "
            f"{found.refused_with}, and {short(limits[1])} after it",
        )


def _end_ms(state: Mapping[str, Any]) -> float:
    """When the lease in force ends, by the module's uptime."""
    return float(state["uptime_ms"] + 1000 * state["lease"]["expires_in_s"])


# Leases of a form that is refused


async def _ask_all(bench: Bench, demands: str) -> None:
    """Send each case of a requirement, on the stream and by PUT, under a lease of 20 s.

    Raises:
        Failed: One is answered with something else than the problem `invalid_message`, or something is done.
    """
    limit = _limit_or_none(bench, await bench.state())
    await bench.give({} if limit is None else limit.command(limit.narrow), ttl_s=20)
    counted = bench.seq
    found: list[tuple[str, Mapping[str, Any], Answer]] = []
    for name, text in await messages(bench, "refused_leases", demands):
        bench.seq = counted + 1
        on_stream = await _send_text(bench, f'{{"lease":{text}}}')
        found.append((name, on_stream, await bench.put("/lease", text.encode())))
    state = await bench.get("/state")
    need(found, f"the kit has no cases of {demands}")
    named = (state.get("lease") or {}).get("seq")
    for name, on_stream, by_put in found:
        problem = on_stream.get("problem") or {}
        need(
            problem.get("code") == "invalid_message",
            f"a lease with {name} was answered with {short(dict(on_stream))}; the problem invalid_message is "
            "demanded",
        )
        need(
            (by_put.status, by_put.code) == (400, "invalid_message"),
            f"PUT /lease with {name} was answered with {by_put.status} {short(by_put.raw)}; 400 "
            "invalid_message is demanded",
        )
    need(
        named == counted,
        f"after leases that have to be refused lease {named} is in force; {counted} is demanded",
    )


async def _send_text(bench: Bench, text: str) -> Mapping[str, Any]:
    """Send a frame as it is; the frame that answers it."""
    stream = await bench.stream()
    since = len(stream.frames)
    await stream.send(text)
    return await stream.until(
        lambda frame: "result" in frame or "problem" in frame,
        timeout_s=3,
        what=f"the answer to {short(text)}",
        since=since,
    )


@section.check("lease-unknown-field")
async def lease_unknown_field(bench: Bench) -> None:
    """LEASE-010: a command half understood is a command misunderstood."""
    await _ask_all(bench, "LEASE-010")


@section.check("lease-number-out-of-range")
async def lease_number_out_of_range(bench: Bench) -> None:
    """LEASE-011: refused, and never clamped."""
    await _ask_all(bench, "LEASE-011")


@section.check("message-doubled-key")
async def message_doubled_key(bench: Bench) -> None:
    """MSG-004: two readers may disagree on which of the two counts."""
    await _ask_all(bench, "MSG-004")


# Leases that count


@section.check("lease-by-put")
async def lease_by_put(bench: Bench) -> None:
    """LEASE-001: the same lease, with the same result, on the stream and by PUT."""
    commands = _commands(bench, await bench.state())
    on_stream = await bench.send(await bench.lease(commands))
    answer = await bench.put("/lease", await bench.lease(commands))
    need(answer.status == 200, f"PUT /lease was answered with {answer.status} {answer.code}; 200 is demanded")
    by_put = answer.json
    need(
        isinstance(by_put, dict) and by_put.get("seq") == bench.seq,
        f"PUT /lease of seq {bench.seq} was answered with {short(by_put)}; its LeaseResult is demanded",
    )
    apart = [{**result, "seq": None, "detail": None} for result in (on_stream, by_put)]
    need(
        apart[0] == apart[1],
        f"the same lease had the result {short(on_stream)} on the stream and {short(by_put)} by PUT",
    )
    state = await bench.get("/state")
    need(
        (state.get("lease") or {}).get("seq") == bench.seq,
        f"after PUT /lease of seq {bench.seq} the state names {short(state.get('lease'))}",
    )


def _commands(bench: Bench, state: Mapping[str, Any]) -> dict[str, Any]:
    """Something that holds, something that is cut, and something that is refused."""
    found: dict[str, Any] = {"no_such_element": {"limit": {"consume_max_w": 0}}}
    for limit in limits_now(bench, state):
        found |= limit.command(limit.narrow)
        break
    for limit in limits_now(bench, state):
        if limit.id not in found:
            found |= limit.command(limit.rating + 1)
            break
    return found


@section.check("lease-controller-only")
async def lease_controller_only(bench: Bench) -> None:
    """LEASE-002: of whoever has not paired, or is not known, no lease counts."""
    await bench.give({}, ttl_s=20)
    counted = bench.seq
    lease = await bench.lease({})
    await bench.close_stream()
    await bench.controller.close()
    for peer in (bench.stranger, bench.unknown):
        try:
            answer = await peer.request("PUT", "/lease", lease)
        except Failed:
            continue
        finally:
            await peer.close()
        need(
            answer.status >= 400,
            f"PUT /lease of a {peer.name} was answered with {answer.status} {short(answer.raw)}; the "
            "controller alone gives leases",
        )
    state = await bench.state()
    found = state.get("lease") or {}
    need(
        (found.get("epoch"), found.get("seq")) == (bench.epoch, counted),
        f"after others than the controller sent leases, {short(found)} is in force; {bench.epoch}/{counted} "
        "is demanded",
    )


@section.check("lease-replaces-whole")
async def lease_replaces_whole(bench: Bench) -> None:
    """LEASE-003: what the lease before gave, and this one does not, holds no longer."""
    await bench.calm()
    limits = limits_now(bench, await bench.get("/state"))
    if not limits:
        not_applicable("no element has a limit that could be narrowed now")
    limit = limits[0]
    await bench.give(limit.command(limit.narrow))
    await acted(bench, limit.holds, f"{limit.id} has {limit.way} {limit.narrow:g} by its lease")
    other = next((one["id"] for one in bench.elements if one["id"] != limit.id), None)
    nothing: list[dict[str, Any]] = [{}, {other: {}} if other else {limit.id: {}}]
    for commands in nothing:
        await bench.give(limit.command(limit.narrow))
        await bench.give(commands)
        await acted(
            bench,
            limit.is_free,
            f"{limit.id} is free of {limit.way} {limit.narrow:g}, which the lease before had given and "
            f"{json.dumps(commands)} does not",
        )
    await bench.calm()


@section.check("lease-acted-on", timed=True)
async def lease_acted_on(bench: Bench) -> None:
    """LEASE-012: at the latest 1 s after its receipt, and before the next one is acted on."""
    await bench.calm()
    limits = {limit.id: limit for limit in limits_now(bench, await bench.get("/state"))}
    if not limits:
        not_applicable("no element has a limit that could be narrowed now")
    stream = await bench.stream()
    since = len(stream.frames)
    for share in (0.75, 0.5):
        await stream.send({"lease": await bench.lease(_all_at(limits, share))})
    await stream.until(
        lambda frame: frame.get("result", {}).get("seq") == bench.seq,
        timeout_s=3,
        what="the results of two leases",
        since=since,
    )
    await acted(
        bench,
        lambda state: all(limit.holds(state) for limit in limits.values()),
        f"the limits of the newest lease hold: {short(_all_at(limits, 0.5))}",
    )
    await bench.calm()


def _all_at(limits: Mapping[str, Limit], share: float) -> dict[str, Any]:
    """A share of what was free, for all."""
    found: dict[str, Any] = {}
    for limit in limits.values():
        found |= limit.command(limit.free * share)
    return found
