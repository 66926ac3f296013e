"""The demonstration in one process, without a socket: for long replays."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from ores.cli.demo.options import DemoOptions
from ores.hub.config import HubConfig
from ores.hub.module_link import Connect
from ores.hub.run import RunningHub, open_hub
from ores.link import memory
from ores.link.clock import Clock, RealClock
from ores.link.endpoint import Endpoint, Peer, Session
from ores.sim.home import Home, in_memory

HUB = Peer(id="hub", role="controller")


class MemoryDemo(msgspec.Struct, frozen=True):
    """A home and its hub in this process."""

    home: Home
    running: RunningHub


@asynccontextmanager
async def demo(options: DemoOptions, clock: Clock) -> AsyncIterator[MemoryDemo]:
    """A home with its hub."""
    config, source = options.scene()
    with contextlib.ExitStack() as stack:
        directory = options.data
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ores-demo-")))
        home = Home(config, source, clock, agreed=options.agreed(config))
        sessions = {
            module_id: _connector(module, clock)
            for module_id, module in in_memory(home, options.seed).items()
        }
        hub = HubConfig(
            data=directory / "hub",
            port=None,
            discover=False,
            simulated=True,
            speed=options.speed,
            commit_every_s=60.0,  # one process: whatever kills the hub ends the run as well
            preferences=options.preferences(),
            tariff=options.tariff,
        )
        async with open_hub(hub, clock, sessions=sessions) as running:
            yield MemoryDemo(home, running)


def _connector(module: Endpoint, clock: Clock) -> Connect:
    async def connect() -> Session:
        return memory.connect(module, HUB, clock)

    return connect


async def run(options: DemoOptions, clock: Clock, tell: Callable[[MemoryDemo], None]) -> dict[str, object]:
    """Run to the end of the hours; the summary."""
    async with demo(options, clock) as it:
        tell(it)
        began_s, wall = clock.now(), RealClock()
        hours = options.hours or 0.0
        await clock.sleep_until(began_s + hours * 3600.0)
        hub = it.running.hub.summary()
        return {
            **it.home.world.ledger.summary(),
            "hub": msgspec.to_builtins(hub),
            "missed_cycles": hub.missed_cycles,
            "speed": hours * 3600.0 / max(1e-9, wall.now()),
        }
