"""The stream: states in their rhythm, an answer to each frame, and places for those who come back (4.7)."""

from __future__ import annotations

import json
import secrets
from itertools import pairwise
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, NotApplicable, Section, Unreachable, need, not_applicable, short
from ores.conformance.checks.cases import messages
from ores.conformance.checks.moving import Move, a_move, power_w, response_s
from ores.conformance.wire.caller import NotOpened
from ores.conformance.wire.stream import Stream

AT_ONCE_S = 0.5
OPENED = 3
LATE_S = 0.3
PERIODS = 2
RATE_MAX = 10
BURST = 24
BURST_S = 1.3
ANSWER_S = 3.0
PONG_S = 2.0
NOTABLE_S = 0.2
NOTABLE_W = 50.0
FRAME_MAX_BYTES = 4096
TOO_LARGE_BYTES = 5000
MESSAGE_TOO_BIG = 1009
STREAMS_TRIED = 3
CONNECTIONS = 2


section: Section[Bench] = Section(
    "stream",
    "Listens to the module, and sends it frames, good ones and bad ones.",
    begin=Bench.described,
)


@section.check("stream-begins-with-state", timed=True)
async def stream_begins_with_state(bench: Bench) -> None:
    """STREAM-001: the first frame is a state, at once; opened anew just after one, when the next is far."""
    for _ in range(OPENED):
        await bench.close_stream()
        stream = await bench.stream()
        opened_s = bench.elapsed_s
        await stream.until(lambda _: True, timeout_s=2 * bench.period_s, what="the first frame of a stream")
        at_s, frame = stream.frames[0]
        need(
            isinstance(frame.get("state"), dict),
            f"the first frame of a stream is {short(frame)}; a state is demanded",
        )
        need(
            at_s - opened_s <= AT_ONCE_S,
            f"the first state came {at_s - opened_s:.1f} s after the stream was open; it has to come at once",
        )


@section.check("stream-period", timed=True)
async def stream_period(bench: Bench) -> None:
    """STREAM-002: one in each period, with at most half a period of delay."""
    stream = await bench.stream()
    since_s = bench.elapsed_s
    await bench.pause((PERIODS + 0.5) * bench.period_s)
    times = [at_s for at_s, _ in stream.states if at_s >= since_s - 1.5 * bench.period_s]
    gaps = [later - earlier for earlier, later in pairwise([*times, bench.elapsed_s])]
    need(not stream.closed, f"the stream ended by itself, with status {stream.close_code}")
    need(
        len(times) >= PERIODS and max(gaps) <= 1.5 * bench.period_s + LATE_S,
        f"with a report_period_s of {bench.period_s:g} no state came for "
        f"{max(gaps, default=PERIODS * bench.period_s):.1f} s; one and a half periods are the most",
    )


@section.check("stream-rate", timed=True)
async def stream_rate(bench: Bench) -> None:
    """STREAM-004: at most ten in a second, however lively it gets."""
    stream = await bench.stream()
    since_s = bench.elapsed_s
    move = await _move_or_none(bench)
    for number in range(BURST):
        asked_w = 0.0 if move is None or number % 2 else move.power_w
        commands = {} if move is None else {move.id: {"setpoint": {"power_w": asked_w}}}
        await stream.send({"lease": await bench.lease(commands, ttl_s=2)})
        await bench.pause(BURST_S / BURST)
    await bench.calm()
    times = [at_s for at_s, _ in stream.states if at_s >= since_s]
    most = max((sum(start <= at_s < start + 1 for at_s in times) for start in times), default=0)
    need(
        most <= RATE_MAX + 1,  # one more may be moved into the second by the way to the kit
        f"{most} states came within a second; {RATE_MAX} are the most",
    )


async def _move_or_none(bench: Bench) -> Move | None:
    """A set-point that can be followed now; None where there is none, and the states come unprovoked."""
    try:
        return await a_move(bench)
    except NotApplicable:
        return None


@section.check("stream-notable-change", timed=True)
async def stream_notable_change(bench: Bench) -> None:
    """STREAM-003: a change of more than 50 W is told within 0.2 s, and not with the next period."""
    move = await a_move(bench)
    slow_s = response_s(move.element) + NOTABLE_S
    if slow_s > 0.9 * bench.period_s:
        not_applicable(f"{move.id} may take until the next state of the period to change")
    if abs(move.power_w) <= 1.5 * NOTABLE_W:
        not_applicable(f"{move.id} may not be moved by more than {NOTABLE_W:g} W")
    await bench.give({}, ttl_s=20)  # none that ends meanwhile: its end would be told between two periods
    await bench.pause(2 * slow_s)
    before_w = power_w(await bench.next_state(), move.id)
    if before_w is None:
        not_applicable(f"{move.id} measures no power")
    begun_s = bench.elapsed_s
    await bench.give({move.id: {"setpoint": {"power_w": move.power_w}}}, ttl_s=5)
    allowed_s = min(slow_s + LATE_S, 0.9 * bench.period_s)
    stream = await bench.stream()
    await bench.pause(allowed_s - (bench.elapsed_s - begun_s))
    until_s = begun_s + allowed_s
    told = [power_w(state, move.id) for at_s, state in stream.states if begun_s <= at_s <= until_s]
    await bench.calm()
    need(
        any(now_w is not None and abs(now_w - before_w) > NOTABLE_W for now_w in told),
        f"{move.id} had {before_w:g} W and was asked for {move.power_w:g} W; in the {allowed_s:.1f} s after "
        f"it the states told {told or 'nothing'}. Its response_s is {response_s(move.element):g} s, and a "
        f"change of more than {NOTABLE_W:g} W is to be told {NOTABLE_S:g} s later",
    )


@section.check("stream-result-each")
async def stream_result_each(bench: Bench) -> None:
    """STREAM-011: five leases at once, one refused, one of the largest size: five results, in order."""
    stream = await bench.stream()
    since = len(stream.frames)
    sent = [await bench.lease({}, ttl_s=2) for _ in range(5)]
    sent[1]["boot_id"] = "0123456789abcdef"
    texts = [json.dumps({"lease": lease}) for lease in sent]
    texts[3] = texts[3][:-1] + " " * (FRAME_MAX_BYTES - len(texts[3])) + "}"
    for text in texts:
        await stream.send(text)
    try:
        await stream.until(
            lambda _: len(_seqs(stream, since)) >= len(sent),
            timeout_s=ANSWER_S,
            what="the last of five results",
            since=since,
        )
    except Failed as error:
        found = _seqs(stream, since)
        raise Failed(f"of five leases sent at once {len(found)} were answered, with seq {found}") from error
    asked, found = [lease["seq"] for lease in sent], _seqs(stream, since)
    need(
        found == asked, f"leases came with seq {asked}, and were answered with {found}; in order is demanded"
    )


def _seqs(stream: Stream, since: int) -> list[Any]:
    """Of the results from a frame on."""
    results = [frame["result"] for _, frame in stream.frames[since:] if "result" in frame]
    return [result.get("seq") for result in results if isinstance(result, dict)]


@section.check("stream-bad-frame")
async def stream_bad_frame(bench: Bench) -> None:
    """STREAM-012: each frame that is no valid command is answered by a problem, and costs nothing else."""
    for name, text in await messages(bench, "bad_frames", "STREAM-012"):
        stream = await bench.stream()
        since = len(stream.frames)
        await stream.send(text)
        try:
            answer = await stream.until(
                lambda frame: "problem" in frame or "result" in frame,
                timeout_s=ANSWER_S,
                what="a problem",
                since=since,
            )
        except Failed as error:
            raise Failed(f"a frame with {name} ({short(text)}): {error}") from error
        need(
            "problem" in answer,
            f"a frame with {name} ({short(text)}) was answered with {short(answer)}; a problem is demanded",
        )
        need(not stream.closed, f"a frame with {name} cost the stream, which ended with {stream.close_code}")
    await bench.calm()


@section.check("stream-large-frame")
async def stream_large_frame(bench: Bench) -> None:
    """STREAM-013: more than 4096 bytes are answered by a problem, or by the end with status 1009."""
    stream = await bench.stream()
    since = len(stream.frames)
    await stream.send(json.dumps({"lease": "x" * TOO_LARGE_BYTES}))
    try:
        await stream.until(
            lambda frame: "problem" in frame, timeout_s=ANSWER_S, what="a problem", since=since
        )
    except Failed as error:
        ended = await stream.ended(0.5)
        await bench.close_stream()
        need(
            ended and stream.close_code == MESSAGE_TOO_BIG,
            f"a frame of more than {FRAME_MAX_BYTES} bytes: {error}; a problem, or the end with status "
            f"{MESSAGE_TOO_BIG}, is demanded",
        )


@section.check("stream-pong", timed=True)
async def stream_pong(bench: Bench) -> None:
    """STREAM-014: within 2 s, with what the ping carried (RFC 6455, 5.5.3)."""
    stream = await bench.stream()
    took_s = await stream.ping(secrets.token_bytes(8), PONG_S + 1)
    need(took_s is not None, f"a ping was not answered with its pong within {PONG_S + 1:g} s")
    need(
        took_s is not None and took_s <= PONG_S + LATE_S,
        f"a pong came {took_s} s after its ping; {PONG_S:g} s are the most",
    )


@section.check("stream-newer-replaces")
async def stream_newer_replaces(bench: Bench) -> None:
    """STREAM-017: a peer that comes back gets a place, though its earlier streams were never closed."""
    await bench.close_stream()
    await bench.controller.close()
    opened: list[Stream] = []
    try:
        for number in range(1, STREAMS_TRIED + 1):
            try:
                stream = await bench.controller.open_stream()
            except NotOpened as error:
                raise Failed(
                    f"the controller opened {number - 1} streams, which it never closed, and then: {error}; "
                    "the newer stream gets the place of an earlier one"
                ) from error
            except Unreachable:
                need(
                    number > CONNECTIONS, f"the controller could not open a stream while it held {number - 1}"
                )
                break  # a third connection need not be served at all (HTTP-010)
            opened.append(stream)
            await stream.until(
                lambda frame: "state" in frame,
                timeout_s=2 * bench.period_s,
                what="a state on the newest stream",
            )
    finally:
        for stream in opened:
            await stream.close()
    await bench.calm()


@section.check("lease-outlives-stream")
async def lease_outlives_stream(bench: Bench) -> None:
    """STREAM-018: radio links break for seconds."""
    await bench.give({}, ttl_s=20)
    await bench.close_stream()
    await bench.pause(0.2)
    state = await bench.get("/state")
    found = state.get("lease") or {}
    need(
        (found.get("epoch"), found.get("seq")) == (bench.epoch, bench.seq),
        f"lease {bench.epoch}/{bench.seq} was in force when its stream ended, and now {short(found)} is; the "
        "end of a stream ends no lease",
    )
    await bench.calm()
