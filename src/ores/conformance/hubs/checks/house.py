"""The house in which a hub is judged: who is there when it is driven."""

from __future__ import annotations

import asyncio

from ores.conformance.hubs import parts
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.doors import owned
from ores.conformance.hubs.checks.joining import furnished
from ores.conformance.hubs.parts import Json
from ores.conformance.hubs.player import Player


async def full(bench: HubBench) -> None:
    """Beside meter and battery: sun, a vehicle, a module of a later version, and one that is only watched."""
    await bench.once(furnished)
    await asyncio.gather(
        bench.player("Sun", parts.sun(), profiles=("micro_inverter",)),
        bench.player("Charger", parts.charger(), profiles=("ev_charger",)),
        later(bench),
        watched(bench),
    )
    await bench.prefer()
    await bench.online(*(bench.players[name] for name in ("Meter", "Battery", "Sun", "Charger", "Later")))


async def ready(bench: HubBench) -> None:
    """There are an owner and the full house."""
    await owned(bench)
    await bench.once(full)


async def later(bench: HubBench) -> Player:
    """A store of an unknown kind that can do more than 1.0 knows, and what is only called a battery."""
    store = parts.store("vessel", kind="flow_cell")
    store.capabilities["levitate"] = {"height_m": 3}
    store.capabilities["storage"]["chemistry"] = "iron"
    store.extra["levitate"] = {"height_m": 1.5}
    store.extra["x-ores.energy"] = {"mood": "calm"}
    box = parts.Part("box", "battery", {"ac_measure": {}}, power_w=0.0)  # called a battery, and is none
    made = await bench.player("Later", store, box, paired=False, profiles=("storage",), page=1)

    def described(found: Json) -> Json:
        return {**found, "colour": "green"}

    def state(found: Json) -> Json:
        return {**found, "colour": "green", "time": "2001-01-01T00:00:00Z"}

    made.ways.other_description, made.ways.other_state = described, state
    await bench.pair(made)
    return made


async def watched(bench: HubBench) -> Player:
    """A battery that its owner allows to be read only."""
    made = await bench.player("Watched", parts.store("aside"))
    await bench.watch(made, watch_only=True)
    return made
