"""The house as the hub shows it now: streams, flow, what is stale (sections 6.4 and 3.5)."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from ores.conformance.check import Section, Unreachable, fail, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import house, tries, troubles
from ores.conformance.hubs.checks.proposing import at, settle
from ores.conformance.hubs.parts import Json
from ores.conformance.wire.stream import Stream

FIRST_S: Final = 1.0
PERIOD_S: Final = 2.0
EVENT_S: Final = 2.0
STREAMS: Final = 8
STREAMS_TRIED: Final = 64
SLACK_S: Final = 0.5
"""For the way and a busy machine."""
WATCHED_S: Final = 2.5 * PERIOD_S
SUM_W: Final = 1.0
PARTS: Final = ("pv_w", "battery_w", "ev_w", "heat_w", "load_w")


async def ready(bench: HubBench) -> None:
    """The full house; what takes its time begins, and somebody watches."""
    await house.ready(bench)
    await bench.once(watching)
    bench.early(*troubles.ALL)


async def begin(bench: HubBench) -> None:
    """The same; from now on nobody logs in from outside, so that guessing can begin."""
    await ready(bench)
    bench.early(tries.guessed)


section: Section[HubBench] = Section(
    "live", "Lets modules fall silent and come back, and watches what the hub shows.", begin=begin
)
later: Section[HubBench] = Section("later", "Looks at what the hub has shown of them.", begin=ready)
"""What takes its time runs beside the sections between."""


async def watching(bench: HubBench) -> tuple[Stream, Stream]:
    """Two streams that stay open: the owner's, and that of a display."""
    display, _ = await bench.token("observer")
    return await bench.stream(), await display.open_stream()


@dataclass
class Opened:
    """What came of many streams.

    Attributes:
        first: Of each that was opened: how long the first frame took, and which it was.
        refused: Why the first few were not opened.
        full: How one beyond all places was refused: status and code; None where there was place for all.
    """

    first: list[tuple[float, Json]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    full: tuple[int, str | None] | None = None


async def opened(bench: HubBench) -> Opened:
    """Open eight streams, and then more until there is no place."""
    found = Opened()
    app, _ = await bench.token("observer")
    streams: list[tuple[float, Stream]] = []
    for number in range(STREAMS_TRIED):
        if number == STREAMS:
            await _begun(bench, streams)
        asked_s = bench.elapsed_s
        try:
            streams.append((asked_s, await app.open_stream()))
        except Unreachable as error:
            if number < STREAMS:
                found.refused.append(str(error))
            found.full = await _refusal(bench)
            break
    await _begun(bench, streams[:STREAMS])
    for asked_s, stream in streams[:STREAMS]:
        at_s, frame = stream.frames[0] if stream.frames else (bench.elapsed_s, {})
        found.first.append((at_s - asked_s, frame))
    await app.close()
    return found


async def _begun(bench: HubBench, streams: list[tuple[float, Stream]]) -> None:
    """Wait until each has had a frame, but not for ever."""
    until_s = bench.elapsed_s + 4 * FIRST_S
    while bench.elapsed_s < until_s and not all(stream.frames for _, stream in streams):
        await bench.pause(0.05)


async def _refusal(bench: HubBench) -> tuple[int, str | None]:
    headers = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
    }
    answer = await bench.owner.request("GET", "/stream", headers=headers, timeout_s=3.0)
    return answer.status, answer.code


@section.check("hub-stream-begins-with-live", timed=True)
async def hub_stream_begins_with_live(bench: HubBench) -> None:
    """LIVE-001: a page that opens shows the house."""
    first = (await bench.once(opened)).first
    for _, frame in first:
        need(
            "live" in frame,
            f"the first frame of a stream is {short(frame)}; a `live` is demanded within {FIRST_S:g} s",
        )
    if all(took_s <= FIRST_S for took_s, _ in first):
        return
    app, _ = await bench.token("observer")  # eight at once may have been much for the kit: once more, alone
    asked_s = bench.elapsed_s
    stream = await app.open_stream()
    await stream.until(lambda frame: "live" in frame, timeout_s=4 * FIRST_S, what="a `live`")
    took_s = stream.frames[0][0] - asked_s
    await app.close()
    need(
        took_s <= FIRST_S + SLACK_S,
        f"the first frame of a stream came {took_s:.1f} s after it was asked for; {FIRST_S:g} s are allowed",
    )


@section.check("hub-streams-many")
async def hub_streams_many(bench: HubBench) -> None:
    """LIVE-009: eight at the same time, and a word where there is no place."""
    found = await bench.once(opened)
    need(not found.refused, f"of {STREAMS} streams at the same time one was refused: {short(found.refused)}")
    empty = [frame for _, frame in found.first if not frame]
    need(not empty, f"{len(empty)} of {STREAMS} streams at the same time got no frame")
    if found.full is not None:
        need(
            found.full[1] == "too_many_pages",
            f"a stream too many was refused with {found.full[0]} {found.full[1]}; too_many_pages is demanded",
        )


@section.check("hub-stream-period", timed=True)
async def hub_stream_period(bench: HubBench) -> None:
    """LIVE-002: what stands still is a hub that stands still."""
    streams = await bench.once(watching)
    since_s = max(stream.frames[0][0] if stream.frames else bench.elapsed_s for stream in streams)
    if _longest_s(bench, streams, since_s) > PERIOD_S + SLACK_S or bench.elapsed_s < since_s + WATCHED_S:
        since_s = bench.elapsed_s  # the kit itself may have been busy: once more, with nothing beside
        await bench.pause(WATCHED_S)
    longest_s = _longest_s(bench, streams, since_s)
    need(
        longest_s <= PERIOD_S + SLACK_S,
        f"{longest_s:.1f} s went by without a `live`; {PERIOD_S:g} s are the most",
    )


def _longest_s(bench: HubBench, streams: tuple[Stream, ...], since_s: float) -> float:
    """The longest time without a `live` since some moment, on any of these streams.

    Raises:
        Failed: One of them has ended.
    """
    longest_s = 0.0
    for stream in streams:
        need(not stream.closed, f"the stream ended by itself, with status {stream.close_code}")
        told = [at_s for at_s, frame in stream.frames if "live" in frame and at_s >= since_s - PERIOD_S]
        moments = [max(since_s - PERIOD_S, 0.0), *told, bench.elapsed_s]
        longest_s = max(longest_s, *(b - a for a, b in pairwise(moments)))
    return longest_s


# What is known of the flow


@dataclass
class Blind:
    """The house while parts of it are not known.

    Attributes:
        allowed_w: What the battery was told while all was known.
        narrowed_w: What it was told when the meter had fallen silent; None is nothing.
        no_meter: Flow without the meter.
        no_sun: Flow with an inverter that does not know its power.
        decided: The decision of the wish, as it was listed, and when it was seen first.
    """

    allowed_w: float | None = None
    narrowed_w: float | None = None
    no_meter: Json = field(default_factory=dict)
    no_sun: Json = field(default_factory=dict)
    decided: tuple[float, Json] = (0.0, {})


async def blind(bench: HubBench) -> Blind:
    """Let the battery charge, then take the meter's word away, then the inverter's."""
    found = Blind()
    meter, battery, sun = (bench.players[name] for name in ("Meter", "Battery", "Sun"))
    await bench.once(watching)
    panel = sun.parts["inverter"]
    wish = bench.proposal(battery, "battery", id="kit-blind", wish={"power_w": 1800})
    try:
        panel.available_w = 1500.0
        await bench.prefer(import_max_w=3000)
        await bench.propose(wish)
        found.decided = await _decision(bench, battery.id)
        found.allowed_w = await settle(bench, battery, "battery", at(1800))
        await _meter_silent(bench, found)
        panel.available_w = None
        await sun.tell()
        await bench.pause(1.2)
        found.no_sun = (await bench.owner.get("/live"))["flow"]
    finally:
        meter.ways.silent = False
        panel.available_w = 0.0
        await sun.tell()
        await bench.withdraw(wish)
        await bench.prefer()
    return found


async def _meter_silent(bench: HubBench, found: Blind) -> None:
    meter = bench.players["Meter"]
    meter.ways.silent = True
    began_s = bench.elapsed_s
    await bench.asked_until(
        "/live",
        lambda live: live["modules"].get(meter.id, {}).get("status") != "online",
        5 * meter.period_s + 2.0,
        "the meter has fallen silent, and is still shown as online",
    )
    await bench.pause(max(0.0, began_s + 3 * meter.period_s + 1.0 - bench.elapsed_s))
    found.no_meter = (await bench.owner.get("/live"))["flow"]
    found.narrowed_w = await _lowest(bench, 2.0)
    meter.ways.silent = False
    await bench.online(meter)


async def _decision(bench: HubBench, module: str) -> tuple[float, Json]:
    """The newest decision that our wish has led to, and when it was listed first."""
    found: Json | None = await bench.asked_until(
        f"/decisions?module={module}&limit=1",
        lambda page: next((one for one in page["decisions"] if one.get("source") == bench.name), None),
        3.0,
        "a wish led to no decision that is listed",
    )
    return bench.elapsed_s, found or {}


async def _lowest(bench: HubBench, within_s: float) -> float | None:
    """The least set-point that the battery is told within a while; None where it is told nothing."""
    battery = bench.players["Battery"]
    until_s, lowest_w = bench.elapsed_s + within_s, 1e9
    while bench.elapsed_s < until_s:
        power_w = battery.command("battery").get("setpoint", {}).get("power_w")
        if power_w is None:
            return None
        lowest_w = min(lowest_w, power_w)
        await bench.pause(0.1)
    return lowest_w


@section.check("hub-flow-unknown")
async def hub_flow_unknown(bench: HubBench) -> None:
    """LIVE-004: a sum without one of its parts is null."""
    found = await bench.once(blind)
    for flow, names, what in (
        (found.no_meter, ("grid_w", "load_w"), "the meter is stale"),
        (found.no_sun, ("pv_w", "load_w"), "an inverter's power is null"),
    ):
        for name in names:
            need(
                name in flow and flow[name] is None,
                f"{what}, and flow.{name} is {short(flow.get(name, 'absent'))}; null is demanded",
            )


def flows(bench: HubBench) -> Iterator[Json]:
    """Every flow that the hub has shown."""
    for line in bench.transcript.lines:
        if line.by != "subject" or not isinstance(line.body, dict):
            continue
        live = line.body if line.what == "200 GET /live" else line.body.get("live")
        if isinstance(live, dict) and isinstance(live.get("flow"), dict):
            yield live["flow"]


@section.check("hub-flow-adds-up")
async def hub_flow_adds_up(bench: HubBench) -> None:
    """LIVE-006: a picture that does not add up is not believed in anything."""
    await bench.once(blind)
    known = 0
    for flow in flows(bench):
        values = [flow[name] for name in ("grid_w", *PARTS) if flow.get(name) is not None]
        if len(values) <= len(PARTS):
            continue
        known += bool(flow["pv_w"] and flow["battery_w"])
        off_w = values[0] - sum(values[1:])
        need(abs(off_w) <= SUM_W, f"flow does not add up by {off_w:.1f} W: {short(flow)}")
    need(known, "sun and battery had power, and no `live` showed all of flow known and not 0")


@section.check("hub-stale-narrows")
async def hub_stale_narrows(bench: HubBench) -> None:
    """FRESH-003: the house behind a dead meter may do anything."""
    found = await bench.once(blind)
    need(found.allowed_w is not None, "the battery was told nothing though there was a wish for 1800 W")
    need(
        found.narrowed_w is None or found.narrowed_w < (found.allowed_w or 0.0) - 1,
        f"an import limit held, and the battery was told {found.allowed_w} W; with a stale meter it is told "
        f"{found.narrowed_w} W; less is demanded, as nobody knows what the house takes",
    )


# What modules said


@later.check("hub-stream-events", timed=True)
async def hub_stream_events(bench: HubBench) -> None:
    """LIVE-003: decisions and notices, to every stream."""
    seen_s, decision = (await bench.once(blind)).decided
    fault = await bench.once(troubles.fault)
    streams = await bench.once(watching)
    notice = fault.notice
    need(notice, "no notice about a module's fault was listed")
    acknowledged_s = fault.acknowledged[0][0] if fault.acknowledged else 0.0
    wanted: list[tuple[str, str, float, Any]] = [
        ("decision", "a decision began", seen_s, lambda one: one.get("id") == decision["id"]),
        ("notice", "a notice began", fault.raised_s or 0.0, lambda one: one.get("id") == notice["id"]),
        (
            "notice",
            "a notice was acknowledged",
            acknowledged_s,
            lambda one: one.get("id") == notice["id"] and "acknowledged" in one,
        ),
        (
            "notice",
            "a notice ended",
            fault.ended_s or bench.elapsed_s,
            lambda one: one.get("id") == notice["id"] and "ended" in one,
        ),
    ]
    for key, what, seen_s, fits in wanted:
        for stream in streams:
            at_s = next((at_s for at_s, frame in stream.frames if key in frame and fits(frame[key])), None)
            if at_s is None:
                fail(f"{what}, and a stream that was open got no frame `{key}` of it")
            need(
                at_s <= seen_s + EVENT_S + SLACK_S,
                f"{what}, and the frame of it came {at_s - seen_s:.1f} s later; {EVENT_S:g} s are allowed",
            )


@later.check("hub-live-as-reported", timed=True)
async def hub_live_as_reported(bench: HubBench) -> None:
    """LIVE-007: what the device says, and not what the hub makes of it."""
    found = await bench.once(troubles.steps)
    live = (await bench.owner.get("/live"))["modules"].get(found.player.id, {})
    shown = live.get("elements", {}).get("lamp", {})
    told = found.part.state(bench.house)
    for capability in ("ac_measure", "energy"):
        need(
            shown.get(capability) == told[capability],
            f"a module reported {capability} {short(told[capability])}; "
            f"`live` shows {short(shown.get(capability))}",
        )
    later = bench.players["Later"].parts["vessel"]
    live = (await bench.owner.get("/live"))["modules"].get(bench.players["Later"].id, {})
    shown = live.get("elements", {}).get("vessel", {}).get("storage")
    need(
        shown == later.state(bench.house)["storage"],
        f"a module of a later version reported storage {short(later.state(bench.house)['storage'])}; "
        f"`live` shows {short(shown)}",
    )


@later.check("hub-judges-age", timed=True)
async def hub_judges_age(bench: HubBench) -> None:
    """FRESH-001: by the hub's own clock; the module's says 2001."""
    found = await bench.once(troubles.silence)
    online = [entry for entry in found.before if entry.get("status") == "online"]
    need(
        online,
        "a module that reports each second, with `time` of 2001, is shown as "
        f"{[entry.get('status') for entry in found.before]}; the hub is to judge the age from the receipt",
    )
    ages = [entry["age_s"] for entry in online if entry.get("age_s") is not None]
    need(
        not ages or min(ages) <= troubles.PERIOD_S + SLACK_S,
        f"age_s of a module that reports each second, with `time` of 2001, is {short(ages)}",
    )


@later.check("hub-stale-after-three", timed=True)
async def hub_stale_after_three(bench: HubBench) -> None:
    """FRESH-002: one lost frame is nothing; three are a fault."""
    found = await bench.once(troubles.silence)
    for at_s, entry in found.shown:
        silent_s, status = at_s - found.last_s, entry.get("status")
        if silent_s < 2 * troubles.PERIOD_S:
            need(
                status == "online",
                f"{silent_s:.1f} s after its last state a module that reports each second is {status}; "
                "three periods make it stale",
            )
        if silent_s > 3 * troubles.PERIOD_S + SLACK_S:
            need(
                status != "online",
                f"{silent_s:.1f} s after its last state a module that reports each second is still online; "
                "three periods make it stale",
            )


@later.check("hub-stale-shown")
async def hub_stale_shown(bench: HubBench) -> None:
    """LIVE-005: yesterday's value on today's page is a lie."""
    found = await bench.once(troubles.silence)
    stale = [
        entry for at_s, entry in found.shown if at_s - found.last_s > 3 * troubles.PERIOD_S + 2 * SLACK_S
    ]
    for what, entries in (("that is stale", stale), ("that has never reported", found.never)):
        for entry in entries:
            need(
                entry.get("status") not in {None, "online"},
                f"a module {what} is shown with status {entry.get('status')}",
            )
            need(
                not entry.get("elements"),
                f"a module {what} is shown with elements {short(entry.get('elements'))}; none are demanded",
            )
