"""The demonstration as a house is: every device on its own socket, the hub in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ores.cli.demo.hub_process import HubProcess
from ores.cli.demo.options import DemoOptions
from ores.link.clock import Clock, RealClock
from ores.link.errors import OresError
from ores.link.lockstep import Conductor
from ores.module.run import Running
from ores.sim.home import Home, on_sockets
from ores.sim.world_api import serve_world


class Demo:
    """A demonstration that runs.

    Attributes:
        home: The simulated home, in this process.
        modules: Its modules, by name.
        hub: Its hub.
        conductor: Who keeps time at any speed but 1.
        world_url: Where a person acts on the world.
    """

    def __init__(
        self,
        home: Home,
        modules: Mapping[str, Running],
        hub: HubProcess,
        conductor: Conductor | None,
        world_url: str,
        directory: Path,
    ) -> None:
        self.home = home
        self.modules = modules
        self.hub = hub
        self.conductor = conductor
        self.world_url = world_url
        self.directory = directory
        self._began_s = home.clock.now()
        self._wall = RealClock()

    async def summary(self) -> dict[str, object]:
        """End the hub, and say how the run went."""
        # since all were acquainted: what starting up takes is nobody's speed
        speed = (self.home.clock.now() - self._began_s) / max(self._wall.now(), 1e-9)
        hub = await self.hub.end()
        return {
            **self.home.world.ledger.summary(),
            "hub": hub,
            "missed_cycles": hub.get("missed_cycles"),
            "speed": speed,
        }


@asynccontextmanager
async def demo(options: DemoOptions, clock: Clock) -> AsyncIterator[Demo]:
    """A home with its hub, paired and told what its owner wants."""
    config, source = options.scene()
    async with contextlib.AsyncExitStack() as stack:
        directory = options.data
        if directory is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ores-demo-")))
        directory.mkdir(parents=True, exist_ok=True)
        conductor = await _conductor(options, clock, directory, stack)
        home = Home(config, source, clock, agreed=options.agreed(config))
        modules = await stack.enter_async_context(on_sockets(home, directory / "devices", seed=options.seed))
        world_port = await stack.enter_async_context(serve_world(home.world, options.world_port))
        join = None if conductor is None else conductor_address(directory)
        hub = HubProcess(
            clock,
            directory / "hub",
            port=options.port,
            join=join,
            speed=options.speed,
            tariff=options.tariff,
        )
        stack.push_async_callback(_end_if_running, hub, clock)
        await hub.start()
        if conductor is not None:
            await conductor.joined("hub")
        unpaired = {
            name: (f"127.0.0.1:{it.server.port}", it.desk.code)
            for name, it in modules.items()
            if it.pins.controller() is None
        }
        await hub.acquaint(unpaired, options.preferences())
        yield Demo(home, modules, hub, conductor, f"http://127.0.0.1:{world_port}/world", directory)


def conductor_address(directory: Path) -> str:
    """Where the conductor of a demonstration listens."""
    return str(directory / "time.sock")


async def _conductor(
    options: DemoOptions, clock: Clock, directory: Path, stack: contextlib.AsyncExitStack
) -> Conductor | None:
    if options.speed == 1:
        return None
    conductor = await Conductor.start(clock, conductor_address(directory), name="home", speed=options.speed)
    stack.push_async_callback(conductor.close)
    return conductor


async def _end_if_running(hub: HubProcess, clock: Clock) -> None:
    with clock.hold(), contextlib.suppress(RuntimeError):
        hub.kill()
        await hub.died()


async def run(
    options: DemoOptions, clock: Clock, tell: Callable[[Demo], None], stop: asyncio.Event
) -> dict[str, object]:
    """Run to the end of the hours, or until told to stop; the summary.

    Raises:
        OresError: The hub died.
    """
    async with demo(options, clock) as running:
        tell(running)
        began_s = clock.now()
        died = asyncio.create_task(running.hub.died())
        ends: list[asyncio.Task[Any]] = [died, asyncio.create_task(stop.wait())]
        if options.hours is not None:
            ends.append(asyncio.create_task(clock.sleep_until(began_s + options.hours * 3600.0)))
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if died.done():
            raise OresError(f"the hub ended (exit {died.result()}); the modules are on their own policies")
        for end in ends:
            end.cancel()
        return await running.summary()
