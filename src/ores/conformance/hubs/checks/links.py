"""The hub's connections to modules: whom it trusts, whom it finds, and who may keep it waiting."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf

from ores.conformance.check import Failed, Section, need, short
from ores.conformance.hubs import parts
from ores.conformance.hubs.bench import HubBench, own_address
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.proposing import COUNTS_S, SLACK_S, at, settle
from ores.conformance.hubs.parts import Json
from ores.conformance.hubs.player import Player
from ores.conformance.wire.browse import SERVICE
from ores.conformance.wire.identity import fingerprint_of, new_identity

BACK_S: Final = 12.0
"""For a hub to come back to a module that has closed its connections."""
HEARD_S: Final = 8.0
"""For an announcement to be heard."""
PAST: Final = datetime(2001, 1, 1, tzinfo=UTC)
DELAY_MAX_S: Final = 1.0


section: Section[HubBench] = Section(
    "links", "Changes keys, loses connections, announces what is not so, and is slow.", begin=ready
)


@dataclass
class Keys:
    """What the hub made of modules that showed something else after pairing.

    Attributes:
        renewed: Whether it came back to another certificate of the same key.
        expired: The same, with a certificate that ran out long ago.
        impostor: What it asked of who showed another key.
    """

    renewed: bool
    expired: bool
    impostor: list[str]


async def keys(bench: HubBench) -> Keys:
    """Three modules lose their connections; two come back with another certificate, one with another key."""
    renewed, expired, impostor = await asyncio.gather(
        *(
            bench.player(name, parts.store(f"key_{name.lower()}"))
            for name in ("Renewed", "Expired", "Impostor")
        )
    )
    everybody = (renewed, expired, impostor)
    await bench.until(lambda: all(one.streams for one in everybody), BACK_S, "the hub opened no streams")
    renewed.swap_key(renewed.identity.renewed())
    expired.swap_key(new_identity(key=expired.identity.key, not_before=PAST, not_after=PAST))
    right = impostor.identity
    impostor.swap_key(new_identity())
    for one in everybody:
        one.cut()
    await bench.pause(0.3)  # what was under way to the right key when it was cut is heard until then
    since = len(impostor.heard)
    connections = len(impostor.connections)
    deadline_s = bench.elapsed_s + BACK_S
    while bench.elapsed_s < deadline_s and not (
        renewed.streams and expired.streams and len(impostor.connections) > connections
    ):
        await bench.pause(0.1)
    await bench.pause(0.5)
    asked = [heard.what for heard in impostor.heard[since:]]
    found = Keys(bool(renewed.streams), bool(expired.streams), asked)
    impostor.swap_key(right)
    await asyncio.gather(*(bench.remove(one) for one in everybody))
    return found


@section.check("hub-refuses-wrong-key")
async def hub_refuses_wrong_key(bench: HubBench) -> None:
    """TLS-005: somebody else answers at this address."""
    asked = (await bench.once(keys)).impostor
    need(not asked, f"the key at a module's address was another one, and the hub sent {short(asked)}")


@section.check("peer-known-by-key")
async def peer_known_by_key(bench: HubBench) -> None:
    """IDENT-007: a certificate can be made anew; the key stays."""
    need(
        (await bench.once(keys)).renewed,
        f"a module showed another certificate of its key; the hub did not come back within {BACK_S:g} s",
    )


@section.check("certificate-dates-ignored")
async def certificate_dates_ignored(bench: HubBench) -> None:
    """IDENT-008: a device without a clock must still get in."""
    need(
        (await bench.once(keys)).expired,
        f"a module's certificate ran out in 2001; the hub did not come back within {BACK_S:g} s",
    )


@dataclass
class Announced:
    """What the hub made of announcements.

    Attributes:
        listed: `GET /modules` when all had been heard.
        stranger: The id of a module that was announced rightly and is not paired.
        forged: The id that did not follow from the fingerprint.
        forged_met: How many connections it made there.
        asked: What it asked where a paired module was announced falsely.
        held: Whether it stayed in touch with that module.
    """

    listed: list[Json]
    stranger: str
    forged: str
    forged_met: int
    asked: list[str]
    held: bool


@contextlib.asynccontextmanager
async def announcing(*services: AsyncServiceInfo) -> AsyncIterator[None]:
    """Say on the network that these are there."""
    zeroconf = AsyncZeroconf()
    try:
        for info in services:
            await (await zeroconf.async_register_service(info, allow_name_change=True))
        yield
    finally:
        for info in services:
            await (await zeroconf.async_unregister_service(info))
        await zeroconf.async_close()


def service(player: Player, *, identity: str = "", fingerprint: str = "") -> AsyncServiceInfo:
    """An announcement of a player, true but for what is given."""
    name = identity or player.id
    return AsyncServiceInfo(
        SERVICE,
        f"Kit {player.name} {name}.{SERVICE}",
        port=player.relay.port,
        addresses=[socket.inet_aton(player.listens)],
        server=f"ores-{name}.local.",
        properties={
            "v": "1",
            "id": name,
            "path": "/ores/v1",
            "fp": fingerprint or fingerprint_of(player.identity.certificate),
        },
    )


async def announced(bench: HubBench) -> Announced:
    """A stranger announced rightly, one whose id is made up, and a paired module announced elsewhere."""
    stranger, forged, false = await asyncio.gather(
        *(
            bench.player(name, paired=False, reached_by=own_address())
            for name in ("Stranger", "Forged", "False")
        )
    )
    target = await bench.player("Target", parts.store("target"))
    await bench.until(lambda: target.streams, BACK_S, "the hub opened no stream")
    made_up = "a" * 26
    services = (
        service(stranger),
        service(forged, identity=made_up),
        service(false, identity=target.id, fingerprint=target.identity.fingerprint),
    )
    async with announcing(*services):
        deadline_s, listed = bench.elapsed_s + HEARD_S, []
        while bench.elapsed_s < deadline_s:
            listed = (await bench.owner.get("/modules", quiet=True))["modules"]
            if any(one["id"] == stranger.id for one in listed):
                break
            await bench.pause(0.2)
        target.cut()  # so that the hub looks where it is now
        await bench.pause(3.0)
        listed = (await bench.owner.get("/modules"))["modules"]
        deadline_s = bench.elapsed_s + BACK_S
        while bench.elapsed_s < deadline_s and not target.streams:
            await bench.pause(0.2)
        asked = [heard.what for heard in false.heard]
        held = bool(target.streams)
    met = len(forged.connections)
    await bench.remove(target)
    for one in (stranger, forged, false):
        await bench.drop(one)
    return Announced(listed, stranger.id, made_up, met, asked, held)


@section.check("hub-lists-modules")
async def hub_lists_modules(bench: HubBench) -> None:
    """HUB-012: paired and announced."""
    found = await bench.once(announced)
    by_id = {one["id"]: one for one in found.listed}
    for name in ("Meter", "Battery"):
        row = by_id.get(bench.players[name].id)
        need(row is not None and row["paired"] is True, f"the paired module {name} is listed as {short(row)}")
    row = by_id.get(found.stranger)
    need(
        row is not None and row["paired"] is False,
        f"a module was announced for {HEARD_S:g} s and is not paired; GET /modules has {short(row)} of it",
    )


@section.check("hub-ignores-forged-announcement")
async def hub_ignores_forged_announcement(bench: HubBench) -> None:
    """DISC-005: an id that does not follow from its `fp`."""
    found = await bench.once(announced)
    need(
        all(one["id"] != found.forged for one in found.listed),
        "an announcement whose id does not follow from its fp is listed in GET /modules",
    )
    need(
        not found.forged_met,
        "the hub connected to an announcement with an id that is not of its fp",
    )


@section.check("hub-trusts-tls-not-dns")
async def hub_trusts_tls_not_dns(bench: HubBench) -> None:
    """DISC-006: anybody on the network can announce anything."""
    found = await bench.once(announced)
    need(not found.asked, f"a false announcement of a paired module was sent {short(found.asked)}")
    need(found.held, "a false announcement of a paired module kept the hub away from the true one")


async def updated(bench: HubBench) -> tuple[list[str], str]:
    """A module is away for a moment and comes back as another: what the hub reads, and what it shows then."""
    player = await bench.player("Updated", parts.store("changing"))
    await bench.until(lambda: player.streams, BACK_S, "the hub opened no stream")
    player.ways.other_description = lambda found: {**found, "firmware_version": "2"}
    since_s = bench.elapsed_s
    player.reboot()
    await bench.pause(0.3)
    await bench.until(lambda: player.streams, BACK_S, "the hub did not come back to a module that was away")
    await bench.pause(1.0)
    asked = [heard.what for heard in player.heard if heard.at_s > since_s]
    shown = await bench.owner.get(f"/modules/{player.id}")
    await bench.remove(player)
    return asked, str(shown.get("description", {}).get("firmware_version"))


@section.check("hub-rereads-description")
async def hub_rereads_description(bench: HubBench) -> None:
    """DESC-006: it may have been updated meanwhile."""
    asked, shown = await bench.once(updated)
    need(
        any(what.startswith("GET /description") for what in asked),
        f"a module came back after a reboot, and the hub asked for {short(asked)}, and no description",
    )
    need(
        shown == "2",
        f"the module's firmware_version is 2 since its reboot; GET /modules/{{id}} shows {shown}",
    )


@section.check("hub-slow-module-alone", timed=True)
async def hub_slow_module_alone(bench: HubBench) -> None:
    """ARCH-005: one dead device does not darken the others."""
    slow, mad, quiet = await asyncio.gather(
        bench.player("Slow", parts.store("slow"), paired=False),
        bench.player("Mad", parts.store("mad")),
        bench.player("Quiet", parts.store("quiet")),
    )
    try:
        await bench.pair(slow)
        slow.ways.answer_after_s, mad.ways.garbled, quiet.ways.silent = 4.0, True, True
        for one in (slow, mad):
            one.cut()
        await bench.pause(2.0)
        took_s = await _reaction_s(bench)
        need(
            took_s <= COUNTS_S + DELAY_MAX_S + SLACK_S,
            f"beside a slow, a mad and a silent module the battery was told a new wish after {took_s:.1f} s; "
            f"{COUNTS_S + DELAY_MAX_S:g} s are the most",
        )
    finally:
        slow.ways.answer_after_s = 0.0
        for one in (slow, mad, quiet):
            with contextlib.suppress(Failed):
                await bench.remove(one)


EARLY: Final = (keys, announced, updated)
"""What takes its time and disturbs nothing."""


async def _reaction_s(bench: HubBench) -> float:
    """From the answer to a new wish to the battery's lease."""
    battery = bench.players["Battery"]
    wish: dict[str, Any] = bench.proposal(battery, "battery", id="kit-quick", wish={"power_w": 1100})
    await bench.propose(wish)
    began_s = bench.elapsed_s
    for _ in range(3):
        if at(1100)(await settle(bench, battery, "battery", at(1100))):
            break
    took_s = bench.elapsed_s - began_s
    await bench.withdraw(wish)
    return took_s
