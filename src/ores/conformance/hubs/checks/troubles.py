"""Modules with which something is the matter, played beside all other checks.

What the hub says of them is judged later. Their elements take a watt or two, and disturb nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.parts import Json, Part
from ores.conformance.hubs.player import Player
from ores.conformance.wire.caller import Answer

PERIOD_S: Final = 1.0
PLATEAU_S: Final = 12.0
STEPS: Final = ((1.25, 1000.0), (7.5, 1250.0), (2.5, 1300.0))
AWAY_S: Final = 33.0
SILENT_S: Final = 24.0
NOTICE_S: Final = 15.0
FAULT_S: Final = 5.0
SLACK_S: Final = 1.0
FAULTS: Final = ("overheated", "kit_fan_stuck")
POLL_S: Final = 0.2


def small(name: str, **capabilities: Json) -> Part:
    """An element that consumes a little, and that nobody commands."""
    capability: Json = {"ac_measure": {}, "energy": {"resolution_wh": 1}, **capabilities}
    return Part(name, "load", capability, power_w=1.0)


def about(notice: Json, player: Player) -> bool:
    """Whether a notice is about a module."""
    text = str(notice.get("text", ""))
    return notice.get("module") == player.id or player.id in text or player.name in text


@dataclass
class Watched:
    """What was seen of the notices about one module.

    Attributes:
        player: The module.
        began_s: When it began to be silent, or to have a fault.
        over_s: When that was over.
        raised_s: When a notice was seen first.
        ended_s: When it was gone from those that hold.
        held: Each picture of the notices about it that held.
        after: Those about it afterwards, with those that have ended.
    """

    player: Player
    began_s: float = 0.0
    over_s: float = 0.0
    raised_s: float | None = None
    ended_s: float | None = None
    held: list[list[Json]] = field(default_factory=list)
    after: list[Json] = field(default_factory=list)

    async def look(self, bench: HubBench) -> list[Json]:
        """The notices about it that hold now."""
        notices = (await bench.owner.get("/notices", quiet=True))["notices"]
        mine = [notice for notice in notices if about(notice, self.player)]
        self.held.append(mine)
        if mine and self.raised_s is None:
            self.raised_s = bench.elapsed_s
        if not mine and self.raised_s is not None and self.ended_s is None:
            self.ended_s = bench.elapsed_s
        return mine

    async def look_until(
        self, bench: HubBench, until_s: float, enough: Callable[[], Any] = lambda: False
    ) -> None:
        """Look again and again."""
        while bench.elapsed_s < until_s and not enough():
            await self.look(bench)
            await bench.pause(POLL_S)

    async def end(self, bench: HubBench, within_s: float) -> None:
        """The cause is over: wait for the end of the notice, and look back."""
        self.over_s = bench.elapsed_s
        await self.look_until(
            bench, self.over_s + within_s, lambda: self.raised_s is None or self.ended_s is not None
        )
        notices = (await bench.owner.get("/notices?ended=true"))["notices"]
        self.after = [notice for notice in notices if about(notice, self.player)]

    @property
    def notice(self) -> Json:
        """The first that was seen; empty where there was none."""
        return next((mine[0] for mine in self.held if mine), {})


@dataclass
class Silence(Watched):
    """A module that says nothing for a while, though it is connected; its clock is wrong all the time.

    Attributes:
        last_s: When its last state was sent.
        shown: What `live` showed of it: moment and entry.
        never: What `live` showed of a module that has never reported.
        before: What `live` showed before.
        back_s: When it spoke again.
    """

    last_s: float = 0.0
    before: list[Json] = field(default_factory=list)
    shown: list[tuple[float, Json]] = field(default_factory=list)
    never: list[Json] = field(default_factory=list)
    back_s: float = 0.0


async def silence(bench: HubBench) -> Silence:
    """One that falls silent, and one that has never spoken."""
    player, mute = await asyncio.gather(
        bench.player("Silent", small("silent"), paired=False, period_s=PERIOD_S),
        bench.player("Mute", small("mute"), paired=False),
    )
    mute.ways.silent = True
    player.ways.other_state = lambda state: {**state, "time": "2001-01-01T00:00:00Z"}
    await asyncio.gather(bench.pair(player), bench.pair(mute))
    found = Silence(player)
    await bench.online(player)
    for _ in range(6):
        await bench.pause(0.4 * PERIOD_S)
        found.before.append((await bench.owner.get("/live"))["modules"].get(player.id, {}))
    seen = len(player.sent)
    while len(player.sent) == seen:  # to fall silent right after a state
        await bench.pause(0.02)
    player.ways.silent = True
    found.last_s = player.sent[-1]
    while bench.elapsed_s < found.last_s + 3 * PERIOD_S + 2 * SLACK_S:
        asked_s = bench.elapsed_s
        modules = (await bench.owner.get("/live", quiet=True))["modules"]
        found.shown.append((asked_s, modules.get(player.id, {})))
        found.never.append(modules.get(mute.id, {}))
        await bench.pause(POLL_S)
    found.began_s = found.last_s + 3 * PERIOD_S
    await bench.remove(mute)
    await found.look_until(bench, found.last_s + SILENT_S)
    found.back_s = bench.elapsed_s
    player.ways.silent = False
    await found.end(bench, NOTICE_S + SLACK_S)
    return found


async def absence(bench: HubBench) -> Watched:
    """One that is gone from the network for a while."""
    found = Watched(await bench.player("Gone", small("gone")))
    await bench.online(found.player)
    await found.player.vanish()
    found.began_s = bench.elapsed_s
    await found.look_until(bench, found.began_s + AWAY_S)
    await found.player.return_()
    await found.end(bench, NOTICE_S + SLACK_S)
    return found


@dataclass
class Fault(Watched):
    """A module with a fault, which two people acknowledge.

    Attributes:
        acknowledged: The answers, in order, and when they came.
        by: Who the second was.
        later: The notice after both, as it is listed.
        told: What the module heard between, leases apart.
    """

    acknowledged: list[tuple[float, Answer]] = field(default_factory=list)
    by: str = ""
    later: Json = field(default_factory=dict)
    told: list[str] = field(default_factory=list)


async def fault(bench: HubBench) -> Fault:
    """From the fault to its end."""
    part = small("faulty", fault={})
    found = Fault(await bench.player("Faulty", part))
    resident = (await bench.token("resident"))[0]
    found.by = resident.name
    await bench.online(found.player)
    await bench.pause(1.0)
    await found.look(bench)
    part.faults = FAULTS
    await found.player.tell()
    found.began_s = bench.elapsed_s
    await found.look_until(bench, found.began_s + FAULT_S + SLACK_S, lambda: found.raised_s is not None)
    await found.look_until(bench, bench.elapsed_s + 3.0)
    mark = len(found.player.heard)
    if notice := found.notice:
        for app in (bench.owner, resident):
            answer = await app.request("PUT", f"/notices/{notice['id']}/acknowledged")
            found.acknowledged.append((bench.elapsed_s, answer))
            await bench.pause(1.1)  # times may be in whole seconds: the second one would show
    mine = await found.look(bench)
    found.later = mine[0] if mine else {}
    await found.look_until(bench, bench.elapsed_s + 1.0)
    found.told = [heard.what for heard in found.player.heard[mark:] if heard.what != "lease"]
    part.faults = ()
    await found.player.tell()
    await found.end(bench, FAULT_S + SLACK_S)
    return found


@dataclass
class Steps:
    """What a lamp has reported: steps of power and of its counter.

    Attributes:
        player: The lamp.
        part: Its element.
        plateaus: From, to, power in W, counter in Wh.
    """

    player: Player
    part: Part
    plateaus: list[tuple[float, float, float, float]] = field(default_factory=list)


async def steps(bench: HubBench) -> Steps:
    """A lamp that is dim, then bright, then dim again."""
    part = small("lamp")
    part.extra["x-ores.energy"] = {"mood": "calm"}
    part.power_w = STEPS[0][0]
    found = Steps(await bench.player("Lamp", part), part)
    await bench.online(found.player)
    for power_w, energy_wh in STEPS:
        part.power_w, part.energy_wh = power_w, energy_wh
        await found.player.tell()
        began_s = bench.elapsed_s
        await bench.pause(PLATEAU_S)
        found.plateaus.append((began_s, bench.elapsed_s, power_w, energy_wh))
    return found


ALL: Final = (steps, silence, absence, fault)
