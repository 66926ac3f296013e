"""What a hub does first when it starts, what it leaves behind when it dies, what outlives a power cut."""

from __future__ import annotations

import math
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from ores.conformance.check import Section, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import again
from ores.conformance.hubs.checks.doors import certificate_at
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.preferences import same
from ores.conformance.hubs.parts import Json
from ores.conformance.hubs.player import Player

EXPORT_MAX_W: Final = 1000.0
TAKEN_S: Final = 12.0
BACK_S: Final = 20.0

section: Section[HubBench] = Section(
    "restarts", "Looks at what the hub did after its restart, and what it leaves behind.", begin=ready
)


def reporting(bench: HubBench) -> list[Player]:
    """The modules that were there all the time, and in order."""
    names = ("Meter", "Battery", "Sun", "Charger")
    return [bench.players[name] for name in names if name in bench.players]


def back_s(player: Player, found: again.Restarted) -> float:
    """When the hub that was restarted came back to a module; never, where it has not."""
    return min((one.opened_s for one in player.connections if one.opened_s > found.off_s), default=math.inf)


@section.check("hub-epoch-rises")
async def hub_epoch_rises(bench: HubBench) -> None:
    """LEASE-013: two runs of one epoch could not be told apart."""
    found = await bench.once(again.restarted)
    leases = [(one, heard) for one in bench.all_players for heard in one.leases]
    before = [heard.body["epoch"] for _, heard in leases if heard.at_s < found.off_s]
    after = [heard.body["epoch"] for one, heard in leases if heard.at_s > back_s(one, found)]
    need(before and after, f"before its restart the hub sent {len(before)} leases, after it {len(after)}")
    need(
        max(before) < min(after),
        f"before a restart epochs of leases go up to {max(before)}, after it they begin at {min(after)}",
    )


@section.check("hub-reads-before-it-commands")
async def hub_reads_before_it_commands(bench: HubBench) -> None:
    """MODE-005: the description and a fresh state."""
    found = await bench.once(again.restarted)
    leased = 0
    for player in reporting(bench):
        heard = [one for one in player.heard if one.at_s >= back_s(player, found)]
        first = next((place for place, one in enumerate(heard) if one.what == "lease"), None)
        if first is None:
            continue
        leased += 1
        asked = [one.what for one in heard[:first]]
        need(
            any(what.startswith("GET /description") for what in asked),
            f"after its restart the hub leased {player.name} something before it asked for the description; "
            f"it had asked for {short(asked)}",
        )
        now_s = bench.elapsed_s
        state_s = now_s - (player.uptime_ms - heard[first].body["uptime_ms"]) / 1000
        need(
            state_s > found.off_s,
            f"the first lease to {player.name} after a restart answers a state of before it",
        )
    need(leased, "after its restart the hub sent no module a lease")


def blind_export_w(bench: HubBench) -> tuple[float, Json]:
    """What modules may give when the hub is dead, by what they keep; and each of them."""
    found: Json = {}
    for player in bench.players.values():
        if player.name == "Watched" or not player.hub:
            continue
        for part in player.parts.values():
            if part.capabilities.get("limit", {}).get("produce"):
                rated_w = part.capabilities.get("rating", {}).get("produce_max_w", 0.0)
                found[f"{player.name}/{part.id}"] = min(rated_w, part.failsafe.get("produce_max_w", rated_w))
    return sum(found.values()), found


@section.check("hub-failsafe-covers-limits")
async def hub_failsafe_covers_limits(bench: HubBench) -> None:
    """MODE-004: what is left after the last lease is all there is."""
    await bench.prefer(export_max_w=EXPORT_MAX_W)
    deadline_s = bench.elapsed_s + TAKEN_S
    while bench.elapsed_s < deadline_s and blind_export_w(bench)[0] > EXPORT_MAX_W + 1:
        await bench.pause(0.2)
    total_w, each = blind_export_w(bench)
    await bench.prefer()
    need(
        total_w <= EXPORT_MAX_W + 1,
        f"export_max_w is {EXPORT_MAX_W:g} W; failsafe limits allow {total_w:g} W: {short(each)}",
    )


@section.check("hub-preferences-kept")
async def hub_preferences_kept(bench: HubBench) -> None:
    """HUB-019: a limit that a power cut undoes was never agreed."""
    found = await bench.once(again.restarted)
    before, after = found.before["/preferences"], found.after["/preferences"]
    need(
        same(after, before), f"before a restart preferences were {short(before)}, and after it {short(after)}"
    )


@section.check("certificate-stays")
async def certificate_stays(bench: HubBench) -> None:
    """IDENT-009: some TLS libraries know a peer by the whole certificate, and so does the kit's."""
    await bench.once(again.restarted)
    for name in ("Meter", "Battery"):
        player = bench.players[name]
        await bench.until(
            lambda player=player: player.streams,  # type: ignore[misc]
            BACK_S,
            f"after a restart the hub has not come back to the module {name}, which knows it by its "
            "whole certificate",
        )
    shown = {der for player in bench.all_players for der in player.certificates}
    need(len(shown) < 2, f"the hub has shown modules {len(shown)} different certificates; one is demanded")
    if bench.options.network is not None:
        door = (await certificate_at(bench.options.network)).public_bytes(Encoding.DER)
        need(door in shown, "the certificate in the hub's HTTPS is not the one that modules know")
