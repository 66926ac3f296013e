"""What a hub sends to modules, read once more as it was on the wire (chapter 4)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.proposing import at, settle
from ores.conformance.hubs.door import hello_in
from ores.conformance.hubs.parts import Json, Part, store, sun
from ores.conformance.hubs.player import Player

RECORD_MAX_BYTES: Final = 4096
BODY_MAX_BYTES: Final = 4096
HEAD_MAX_BYTES: Final = 1024
CONNECTIONS_MAX: Final = 2
DEPTH_MAX: Final = 6
NUMBER_MAX: Final = 10
TTL_S: Final = 10.0
AES_128_GCM_SHA256, SECP256R1, ECDSA_SHA256 = 0x1301, 0x0017, 0x0403
TEXT, CLOSE = 1, 8
CELLS: Final = 70
ROOFS: Final = 12
LATE_S: Final = 0.7
STEADY_S: Final = 6.5


async def wide(bench: HubBench) -> Player:
    """A module of many elements, slow to answer: messages to it are long, and wait for each other.

    It wants preferences of its own: nothing that depends on them runs beside it.
    """
    cells = [cell(f"cell_in_the_cellar_number_{number:02}") for number in range(CELLS)]
    roofs = [sun(f"inverter_on_the_barn_number_{number:02}", peak_w=300) for number in range(ROOFS)]
    for part in roofs:
        part.available_w = 10.0
    player = await bench.player("Wide", *roofs, *cells, paired=False)
    player.ways.answer_after_s = 0.3
    player.ways.flexibility = lambda: {
        "boot_id": player.boot_id,
        "uptime_ms": player.uptime_ms,
        "valid_s": 600,
        "elements": {},
    }
    await bench.prefer(export_max_w=500.0, reserve_pct=37.5)
    await bench.pair(player)
    try:
        for what in ("PUT /failsafe", "PUT /settings"):
            await bench.until(
                lambda what=what: player.told(what),  # type: ignore[misc]
                10.0,
                f"a module with stores and limits was not sent {what} in 10 s",
            )
        await bench.pause(1.5)
    finally:
        await bench.remove(player)
        await bench.prefer()
    return player


def cell(name: str) -> Part:
    """A store that is commanded at its inverter, and keeps a reserve of its own."""
    return Part(name, "battery", {"storage": {"capacity_wh": 100, "reserve_setting": True}}, bus="dc")


async def gathered(bench: HubBench) -> None:
    """There is something to read: leases, limits, settings."""
    await ready(bench)
    await bench.once(wide)
    await bench.once(steady)


section: Section[HubBench] = Section(
    "sending", "Reads once more all that the hub has sent to modules.", begin=gathered
)


@section.check("hub-tls-records-small")
async def hub_tls_records_small(bench: HubBench) -> None:
    """TLS-009: a small device has one small buffer for a record."""
    for player in bench.all_players:
        for connection in player.connections:
            size = max(connection.records, default=0)
            need(
                size <= RECORD_MAX_BYTES,
                f"a TLS record to {player.name} had {size} bytes of content; {RECORD_MAX_BYTES} are the most",
            )


@section.check("tls-suite")
async def tls_suite(bench: HubBench) -> None:
    """TLS-002: the one suite, curve and signature that all have."""
    seen = 0
    for player in bench.all_players:
        for connection in player.connections:
            hello = hello_in(bytes(connection.hello))
            if hello is None:
                continue
            seen += 1
            need(AES_128_GCM_SHA256 in hello.suites, "the hub does not offer TLS_AES_128_GCM_SHA256")
            need(SECP256R1 in hello.groups, "the hub does not offer key exchange on secp256r1")
            need(ECDSA_SHA256 in hello.signatures, "the hub does not offer ecdsa_secp256r1_sha256")
    need(seen, "the hub has opened no TLS connection to a module")


@section.check("hub-body-size")
async def hub_body_size(bench: HubBench) -> None:
    """HTTP-006: `Content-Length`, and 4096 bytes at most."""
    for player in bench.all_players:
        for asked in player.requests():
            need(
                "transfer-encoding" not in asked.headers,
                f"{asked.line} has Transfer-Encoding {asked.headers.get('transfer-encoding')}; "
                "Content-Length is demanded",
            )
            need(
                asked.body_bytes <= BODY_MAX_BYTES,
                f"the body of {asked.line} has {asked.body_bytes} bytes; {BODY_MAX_BYTES} are the most",
            )


@section.check("hub-header-size")
async def hub_header_size(bench: HubBench) -> None:
    """HTTP-007: request line and headers below 1024 bytes."""
    for player in bench.all_players:
        for asked in player.requests():
            need(
                asked.head_bytes < HEAD_MAX_BYTES,
                f"request line and headers of {asked.line} have {asked.head_bytes} bytes; "
                f"less than {HEAD_MAX_BYTES} is demanded",
            )


@section.check("hub-two-connections")
async def hub_two_connections(bench: HubBench) -> None:
    """HTTP-011: there may be no memory for a third."""
    for player in bench.all_players:
        most = player.relay.most_at_once()
        need(
            most <= CONNECTIONS_MAX,
            f"the hub held {most} connections to {player.name} at once; {CONNECTIONS_MAX} are the most",
        )


@section.check("hub-plain-frames")
async def hub_plain_frames(bench: HubBench) -> None:
    """STREAM-015: one message, one text frame."""
    seen = 0
    for player in bench.all_players:
        for frame in player.frames():
            if frame.opcode >= CLOSE:
                continue
            seen += 1
            need(
                frame.opcode == TEXT,
                f"a frame of type {frame.opcode} went to {player.name}; text is demanded",
            )
            need(frame.final, f"a message to {player.name} was fragmented")
            need(not frame.reserved, f"a message to {player.name} was compressed")
    need(seen, "the hub has sent no lease on any stream")


def messages(bench: HubBench) -> Iterator[tuple[Player, str, Json]]:
    """Every message to a module that has a body: to whom, what, and the body."""
    for player in bench.all_players:
        for heard in player.heard:
            if isinstance(heard.body, dict):
                yield player, heard.what, {"lease": heard.body} if heard.what == "lease" else heard.body


@section.check("hub-nesting")
async def hub_nesting(bench: HubBench) -> None:
    """SIZE-001: a parser without a heap has a stack of fixed depth."""
    for player, what, body in messages(bench):
        depth = _depth(body)
        need(depth <= DEPTH_MAX, f"{what} to {player.name} nests {depth} levels; allowed are {DEPTH_MAX}")


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@section.check("hub-lease-numbers-short")
async def hub_lease_numbers_short(bench: HubBench) -> None:
    """LEASE-025: each number in `elements`, and `ttl_s`, in ten characters."""
    battery = bench.players["Battery"]
    wish = bench.proposal(battery, "battery", id="kit-long", wish={"power_w": 1234.567890123}, ttl_s=5)
    await bench.propose(wish)
    await settle(bench, battery, "battery", at(1234.5))
    await bench.withdraw(wish)
    for line in bench.transcript.lines:
        if line.by != "subject" or line.what != "frame":
            continue
        text = line.raw.decode("utf-8", "replace")
        elements = text[text.find('"elements"') :]
        ttl = re.search(r'"ttl_s"\s*:\s*([-+0-9.eE]+)', text)
        for number in [*re.findall(r"(?<=[:\s])-?[0-9][0-9.eE+-]*(?=[,}\s])", elements), ttl and ttl[1]]:
            need(
                len(number or "") <= NUMBER_MAX,
                f"a lease to {line.peer} has the number {number}; {NUMBER_MAX} characters are the most",
            )


@section.check("hub-commands-the-declared")
async def hub_commands_the_declared(bench: HubBench) -> None:
    """LEASE-029: elements, capabilities and modes of the description."""
    for player in bench.all_players:
        for heard in player.leases:
            for name, command in heard.body.get("elements", {}).items():
                part = player.parts.get(name)
                if part is None:
                    need(
                        False, f"a lease to {player.name} names the element {short(name)}, which there is not"
                    )
                    continue
                for capability in command:
                    need(
                        capability in part.capabilities,
                        f"a lease to {player.name} commands {capability} of {name}, which has none",
                    )
                mode = command.get("mode", {}).get("mode")
                known = part.capabilities.get("mode", {}).get("modes", {})
                need(mode is None or mode in known, f"a lease to {player.name} names the mode {short(mode)}")


@section.check("hub-epoch-everywhere")
async def hub_epoch_everywhere(bench: HubBench) -> None:
    """LEASE-028: failsafe limits, policy, settings, requests."""
    seen = 0
    for player, what, body in messages(bench):
        if what in {"PUT /failsafe", "PUT /policy", "PUT /settings", "POST /requests"}:
            seen += 1
            need(isinstance(body.get("epoch"), int), f"{what} to {player.name} has no epoch: {short(body)}")
    need(seen, "the hub has sent no failsafe limits, policy or settings to any module")


@section.check("hub-ttl-short")
async def hub_ttl_short(bench: HubBench) -> None:
    """LEASE-016: for that long a dead hub's last word holds."""
    for player in bench.all_players:
        most_s = max(TTL_S, 3 * player.period_s)
        for heard in player.leases:
            need(
                heard.body["ttl_s"] <= most_s,
                f"a lease to {player.name}, which reports each {player.period_s:g} s, has ttl_s "
                f"{heard.body['ttl_s']}; {most_s:g} is the most",
            )


async def steady(bench: HubBench) -> Player:
    """A wish that lasts, so that its lease has to be sent again."""
    player = await bench.player("Steady", store("steady"))
    wish = bench.proposal(player, "steady", id="kit-steady", wish={"power_w": 250})
    try:
        await bench.propose(wish)
        await bench.until(lambda: player.leases, 10.0, "a wish for a store was not leased to it within 10 s")
        await bench.pause(STEADY_S)
    finally:
        await bench.withdraw(wish)
        await bench.remove(player)
    return player


@section.check("hub-renews-lease", timed=True)
async def hub_renews_lease(bench: HubBench) -> None:
    """LEASE-014: at half of its life at the latest."""
    player = await bench.once(steady)
    leases = player.leases
    for before, after in pairwise(leases):
        if not before.body.get("elements") or before.boot_id != after.boot_id:
            continue
        waited_s = after.at_s - before.at_s
        if _away(player, before.at_s, after.at_s):
            continue
        need(
            waited_s <= before.body["ttl_s"] / 2 + LATE_S,
            f"a lease of {before.body['ttl_s']:g} s came again after {waited_s:.1f} s; half is the most",
        )
    shortest_s = min((heard.body["ttl_s"] for heard in leases), default=0.0)
    need(
        len(leases) >= 2 or shortest_s / 2 > STEADY_S,
        "the hub has sent the lease of a wish that lasted only once",
    )


def _away(player: Player, begin_s: float, end_s: float) -> bool:
    """Whether the connection that carries the stream was another one at both times."""
    return any(
        one.closed_s is not None and begin_s < one.closed_s < end_s and one.session is not None
        for one in player.connections
    )


@section.check("hub-is-the-only-door")
async def hub_is_the_only_door(bench: HubBench) -> None:
    """ARCH-007: no pin for anybody behind the hub."""
    certificates: set[str] = set()
    for player in bench.all_players:
        starts = [heard.body for heard in player.heard if heard.what == "POST /pairing/start"]
        for start in starts:
            certificates.add(start.get("hub_certificate", ""))
            need(
                start.get("role") == "controller",
                f"the hub asked {player.name} for the role {start.get('role')}",
            )
    need(
        len(certificates) == 1,
        f"modules were asked to pin {len(certificates)} keys; the hub's alone is allowed, and it stays",
    )


@section.check("hub-speaks-module-version")
async def hub_speaks_module_version(bench: HubBench) -> None:
    """VER-003: no field that version 1.0 does not have, to modules of 1.0."""
    schemas = {
        "lease": ("stream", "ToModule"),
        "PUT /failsafe": ("control", "Failsafe"),
        "PUT /policy": ("control", "Policy"),
        "PUT /settings": ("control", "Settings"),
        "POST /requests": ("control", "Request"),
        "POST /pairing/start": ("pairing", "PairingStart"),
        "POST /pairing/confirm": ("pairing", "PairingConfirm"),
    }
    for player, what, body in messages(bench):
        if what not in schemas or not player.ores.startswith("1."):
            continue
        for error in bench.standard.errors_in(json.loads(json.dumps(body)), *schemas[what]):
            need(
                error.validator != "additionalProperties",
                f"{what} to {player.name}, of {player.ores}: {error.json_path} {short(error.message)}",
            )
