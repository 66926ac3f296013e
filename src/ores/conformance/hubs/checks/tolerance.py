"""What a hub bears of modules: words and fields of later versions, too much, and not to be let near."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

from ores.conformance.check import Section, need, short
from ores.conformance.hubs import parts
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready
from ores.conformance.hubs.checks.people import table
from ores.conformance.hubs.parts import Json
from ores.conformance.hubs.player import Player

TOO_MUCH_BYTES: Final = 70_000
CLOSED_S: Final = 5.0
WATCHED_S: Final = 4.0
ONLINE_S: Final = 6.0


section: Section[HubBench] = Section(
    "tolerance", "Plays modules of later versions, one that says too much, and some that leave.", begin=ready
)


async def shown(bench: HubBench, player: Player, element: str) -> Json:
    """What the hub shows of an element of a module, once it has heard it."""
    await bench.online(player, timeout_s=ONLINE_S)
    found: Json = await bench.asked_until(
        "/live",
        lambda live: live["modules"].get(player.id, {}).get("elements", {}).get(element),
        ONLINE_S,
        f"{player.name} reports the element {element}, and the hub does not show it",
    )
    return found


async def fields(bench: HubBench) -> None:
    """A module that says more than version 1.0 knows."""
    part = parts.store("talker", soc=51.0)
    part.capabilities["storage"]["chemistry"] = "iron"
    part.described["colour"] = "green"
    part.extra["storage"] = {"soc_pct": 51.0, "cells": [1, 2, 3]}
    player = await bench.player("Fields", part, paired=False)
    player.ways.other_description = lambda found: {**found, "colour": "green", "nested": {"a": [{}]}}
    player.ways.other_state = lambda found: {**found, "mood": {"calm": True}}
    player.ways.result = {"mood": "calm"}
    await bench.pair(player)
    await _obeys(bench, player, "talker", 51.0)


async def words(bench: HubBench) -> None:
    """A module with words that version 1.0 does not have in its lists."""
    part = parts.store("novelty", kind="flow_cell", soc=52.0)
    part.capabilities["levitate"] = {}
    part.described |= {"connection": "quantum", "terminals": ["L1", "Q"]}
    part.extra |= {"quality": "excellent", "levitate": {"height_m": 1}}
    player = await bench.player("Words", part, paired=False, profiles=("anti_gravity",))
    player.policies = ("idle", "dream")
    player.ways.other_state = lambda found: {**found, "control_source": "telepathy", "policy": "dream"}
    await bench.pair(player)
    await _obeys(bench, player, "novelty", 52.0)


async def minor(bench: HubBench) -> None:
    """A module of version 1.7, and nothing else new about it."""
    player = await bench.player("Minor", parts.store("younger", soc=53.0), ores="1.7")
    await _obeys(bench, player, "younger", 53.0)


async def _obeys(bench: HubBench, player: Player, element: str, soc_pct: float) -> None:
    """The hub shows such a module, and commands it.

    Raises:
        Failed: It does not.
    """
    wish = bench.proposal(player, element, id=f"kit-{element}", wish={"power_w": 40})
    try:
        state = await shown(bench, player, element)
        found_pct = state.get("storage", {}).get("soc_pct")
        need(
            found_pct == soc_pct, f"{player.name} reports soc_pct {soc_pct}; the hub shows {short(found_pct)}"
        )
        await bench.propose(wish)
        await bench.until(
            lambda: player.command(element).get("setpoint"),
            4.0,
            f"{player.name} was wished 40 W, told nothing",
        )
    finally:
        await bench.withdraw(wish)
        await bench.remove(player)


@section.check("unknown-fields-ignored")
async def unknown_fields_ignored(bench: HubBench) -> None:
    """VER-001: version 1.1 adds fields."""
    await bench.once(fields)


@section.check("unknown-words-kept")
async def unknown_words_kept(bench: HubBench) -> None:
    """VER-002: one new kind of element must not hide all the others."""
    await bench.once(words)


@section.check("hub-any-minor-version")
async def hub_any_minor_version(bench: HubBench) -> None:
    """VER-006: the battery of tomorrow comes to the hub of today."""
    await bench.once(minor)


async def flooded(bench: HubBench) -> bool:
    """A message of 70 000 bytes: whether its stream is closed."""
    player = await bench.player("Flood", parts.store("flood"))
    await bench.online(player, timeout_s=ONLINE_S)
    state = {**player.state(), "x-ores.energy": {"padding": "x" * TOO_MUCH_BYTES}}
    streams = player.opened
    await player.say(json.dumps({"state": state}))
    deadline_s = bench.elapsed_s + CLOSED_S
    while bench.elapsed_s < deadline_s and player.streams and player.opened == streams:
        await bench.pause(0.1)
    closed = not player.streams or player.opened != streams
    await bench.remove(player)
    return closed


@section.check("hub-bounds-messages")
async def hub_bounds_messages(bench: HubBench) -> None:
    """SEC-006: one module must not fill the memory that serves fifty."""
    need(
        await bench.once(flooded),
        f"a message of {TOO_MUCH_BYTES} bytes arrived on a stream, and it was open {CLOSED_S:g} s later",
    )


async def watched(bench: HubBench) -> list[str]:
    """A module in watch mode of which everybody wants something: what the hub sent it."""
    player = await bench.player("Private", parts.store("private"))
    await bench.watch(player, watch_only=True)
    await bench.pause(1.0)
    since_s = bench.elapsed_s
    wish = bench.proposal(player, "private", id="kit-private", wish={"power_w": 30}, ttl_s=5)
    await bench.propose(wish)
    await bench.pause(WATCHED_S)
    written = ("lease", "PUT", "POST", "DELETE")
    found = [one.what for one in player.heard if one.at_s > since_s and one.what.startswith(written)]
    await bench.remove(player)
    return found


@section.check("hub-watch-mode")
async def hub_watch_mode(bench: HubBench) -> None:
    """LEASE-015: no lease, setting or request."""
    found = await bench.once(watched)
    need(not found, f"a module in watch mode was sent {short(found)}")


async def released(bench: HubBench) -> tuple[Json, Json, list[str]]:
    """One module gives up its pin when it is removed, one refuses: what the hub says and asks."""
    good, bad = await asyncio.gather(
        bench.player("Leaving", parts.store("leaving")), bench.player("Clinging", parts.store("clinging"))
    )
    bad.ways.refuses_release = True
    said: list[Any] = [await bench.remove(one) for one in (good, bad)]
    return said[0], said[1], [one.what for one in good.heard]


@section.check("hub-releases-module")
async def hub_releases_module(bench: HubBench) -> None:
    """PAIR-031: and says whether it could."""
    good, bad, asked = await bench.once(released)
    need("DELETE /pairing" in asked, "a module was removed from the hub, and was never asked for its release")
    need(good.get("released") is True, f"the module released the hub; the hub says {short(good)}")
    need(bad.get("released") is False, f"the module refused its release; the hub says {short(bad)}")


@section.check("hub-resources")
async def hub_resources(bench: HubBench) -> None:
    """HUB-001: every resource that is not called extended."""
    for method, path, _ in table(bench):
        if path == "/stream":
            continue
        found = await bench.owner.request("PATCH", path)
        need(
            found.status == 405,
            f"PATCH {path}: {found.status} {found.code}; 405 is demanded of a path that is served",
        )
        allow = {word.strip() for word in found.headers.get("allow", method).split(",")}
        need(method in allow, f"{path} is served for {sorted(allow)}; {method} is missing")


EARLY: Final = (watched, fields, words, minor, flooded, released)
"""What takes its time and disturbs nothing."""
