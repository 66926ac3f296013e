"""The commands that run something: a hub, one simulated module, the demonstration."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from rich.console import Console

from ores.cli.until import asked_to_end
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.lockstep import run_joined

if TYPE_CHECKING:
    from ores.cli.demo.options import DemoOptions
    from ores.hub.config import HubConfig
    from ores.hub.run import RunningHub


def hub(
    config: HubConfig, *, join: str | None, start_utc: datetime | None, end_with_input: bool, as_json: bool
) -> None:
    """Run a hub until it is interrupted or terminated.

    Args:
        config: Of the hub.
        join: Address of a conductor; real time when None.
        start_utc: What its clock shows at the start; the machine's time when None.
        end_with_input: Stop when standard input ends: whoever started it is gone.
        as_json: For programs.
    """
    from ores.hub.run import run_hub

    def ready(running: RunningHub) -> None:
        if as_json:
            told = {"url": running.url}
            if running.sunspec_port:
                told["sunspec"] = f"port {running.sunspec_port}"
            _print_json(told)
        else:
            Console(stderr=True).print(f"The hub runs. Page: [bold]{running.url}[/]   (Ctrl-C stops it)")

    async def main(clock: Clock) -> None:
        stop = asked_to_end()
        if end_with_input:
            asyncio.get_running_loop().add_reader(sys.stdin, stop.set)
        summary = await run_hub(config, clock, on_ready=ready, stop=stop)
        if as_json:
            _print_json(msgspec.to_builtins(summary))

    if join is not None:
        run_joined(main, join=join, name="hub")
    else:
        clocks.run(main, start_utc=start_utc, speed=1)


def module(name: str, directory: Path | None, port: int, *, as_json: bool) -> None:
    """Run one simulated module, in a home of its own, in real time."""
    from ores.sim.home import Home, on_sockets
    from ores.sim.physics.config import HouseConfig
    from ores.sim.sources.household import Household

    async def main(clock: Clock) -> None:
        config = HouseConfig()
        home = Home(config, Household(config), clock, only=[name])
        with tempfile.TemporaryDirectory(prefix="ores-module-") as scratch:
            where = directory or Path(scratch)
            async with on_sockets(home, where, host=None, port=port, announced=True) as modules:
                it = modules[name]
                code = it.desk.code if it.pins.controller() is None else None
                if as_json:
                    _print_json({"id": it.identity.id, "port": it.server.port, "code": code})
                else:
                    paired = "paired" if code is None else f"pairing code [bold]{code}[/]"
                    console = Console(stderr=True)
                    console.print(f"{name} {it.identity.id} listens on port {it.server.port}, {paired}")
                await asked_to_end().wait()

    clocks.run(main, speed=1)


def demo(options: DemoOptions, *, as_json: bool) -> None:
    """Run the demonstration; a headless one ends with its summary."""
    options.check()
    console = Console(stderr=True)
    config, _ = options.scene()
    if options.link == "memory":
        from ores.cli.demo import in_memory

        def main(clock: Clock) -> Coroutine[None, None, dict[str, object]]:
            return in_memory.run(options, clock, lambda _: None)

        speed = None if options.speed == 1 else options.speed
        summary = clocks.run(main, start_utc=config.site.start, speed=speed)
    else:
        from ores.cli.demo import on_sockets

        def tell(running: on_sockets.Demo) -> None:
            if not options.headless:
                invitation = _invitation(running.hub.url, running.world_url)
                console.print(invitation, highlight=False, soft_wrap=True)  # a command is copied whole

        async def on_wire(clock: Clock) -> dict[str, object]:
            return await on_sockets.run(options, clock, tell, asked_to_end())

        summary = clocks.run(on_wire, start_utc=config.site.start, speed=options.speed)
    if as_json:
        _print_json(summary)
    elif options.headless:
        console.print_json(data=summary)


def _invitation(url: str, world_url: str) -> str:
    example = """-d '{"circuit": "oven", "power_w": 3000}'"""
    return (
        f"A simulated home runs, with a hub of its own.\n\n"
        f"  page   [bold]{url}[/]\n"
        f"  oven   curl {world_url}/turn_on {example}\n"
        f"  ask    ores status --url {url.rstrip('/')}\n\n"
        f"Ctrl-C stops it."
    )


def _print_json(message: object) -> None:
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")
    sys.stdout.flush()
