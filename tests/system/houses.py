"""Whole homes for the system tests: a home and its hub, in one process or over sockets in lock-step."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TypeVar

import aiohttp
import msgspec
import pytest

from ores.cli.demo import in_memory, on_sockets
from ores.cli.demo.in_memory import MemoryDemo
from ores.cli.demo.on_sockets import Demo
from ores.cli.demo.options import DemoOptions
from ores.hub.history import History
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.model import Live, ModuleInfo
from ores.sim.home import Home
from ores.sim.world_api import Act, act

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("ORES_DATA", ROOT.parent / "shared" / "data"))
FONTANA = DATA / "homes" / "fontana10_1h.parquet"
needs_data = pytest.mark.skipif(not FONTANA.is_file(), reason=f"no recorded homes in {DATA} (set ORES_DATA)")

CYCLE_S = 1.0
AS_FAST_AS_POSSIBLE = 1e9


def replayed(**how) -> DemoOptions:
    """The recorded home of the issue."""
    return DemoOptions(headless=True, hours=1.0, replay=FONTANA, home="h03", **how)


def generated(**how) -> DemoOptions:
    """The home that needs no files."""
    return DemoOptions(headless=True, hours=1.0, **how)


def in_one_process(options: DemoOptions, story: Callable[[Clock, MemoryDemo], Awaitable[T]]) -> T:
    """Tell a story in a home without a socket, as fast as the machine can."""

    async def main(clock: Clock) -> T:
        async with in_memory.demo(options, clock) as demo:
            return await story(clock, demo)

    return clocks.run(main, start_utc=options.scene()[0].site.start)


def in_lock_step(options: DemoOptions, directory: Path, story: Callable[[Clock, Demo], Awaitable[T]]) -> T:
    """The same over sockets with mutual TLS, the hub in a process of its own; state stays in `directory`."""
    options = msgspec.structs.replace(
        options, data=directory, speed=AS_FAST_AS_POSSIBLE, port=0, world_port=0
    )

    async def main(clock: Clock) -> T:
        async with on_sockets.demo(options, clock) as demo:
            return await story(clock, demo)

    return clocks.run(main, start_utc=options.scene()[0].site.start, speed=options.speed)


def do(home: Home, wish: Act) -> None:
    """What a person does to the world."""
    act(home.world, wish)


def power_w(home: Home, name: str) -> float:
    """The truth about one element now, over all conductors."""
    return sum(home.plant.power_w[home.plant.rows(name)])


def batteries_w(home: Home) -> float:
    """What both batteries take at their terminals; positive charges."""
    return power_w(home, "ac_battery") + power_w(home, "hybrid_battery")


def witness(home: Home, see: Callable[[], None]) -> None:
    """Look at the world after each of its steps."""
    record = home.world.ledger.record

    def both() -> None:
        record()
        see()

    home.world.ledger.record = both


def history_hash(directory: Path) -> str:
    """Of all that a hub which has ended remembers: series, events and decisions."""
    history = History(directory / "hub" / "history.sqlite")
    try:
        return history.hash()
    finally:
        history.close()


class Api:
    """A hub's API as an app sees it; simulated time stands still while it is asked.

    Args:
        clock: Held.
        url: Of the hub, with a slash at its end.
    """

    def __init__(self, clock: Clock, url: str) -> None:
        self._clock = clock
        self._base = f"{url}ores/v1"

    async def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        text = None if body is None else body if isinstance(body, bytes) else msgspec.json.encode(body)
        with self._clock.hold():
            async with aiohttp.ClientSession() as http:
                headers = {"Content-Type": "application/json"}
                async with http.request(method, self._base + path, data=text, headers=headers) as answer:
                    return answer.status, await answer.read()

    async def get(self, path: str, kind: type[T]) -> T:
        status, text = await self.ask("GET", path)
        assert status == 200, text
        return msgspec.json.decode(text, type=kind)

    async def live(self) -> Live:
        return await self.get("/live", Live)

    async def modules(self) -> list[ModuleInfo]:
        return (await self.get("/modules", dict[str, list[ModuleInfo]]))["modules"]


def control_sources(modules: Mapping[str, object]) -> dict[str, str]:
    """Who steers each module now, as the module itself says."""
    return {name: it.module.state().control_source for name, it in modules.items()}
