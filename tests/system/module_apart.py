"""One simulated module in a process of its own, in lock-step with the conductor of a demonstration.

Usage: python module_apart.py NAME DIRECTORY CONDUCTOR. Prints one line: id, port and pairing code.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from ores.link.clock import Clock
from ores.link.lockstep import run_joined
from ores.sim.home import Home, on_sockets
from ores.sim.physics.config import HouseConfig
from ores.sim.sources.household import Household


def main(name: str, directory: str, conductor: str) -> None:
    async def live(clock: Clock) -> None:
        config = HouseConfig()
        home = Home(config, Household(config, 2), clock, only=[name])
        async with on_sockets(home, Path(directory), seed=99) as modules:
            it = modules[name]
            said = {"id": it.identity.id, "port": it.server.port, "code": it.desk.code}
            print(json.dumps(said), flush=True)
            await asyncio.Event().wait()

    run_joined(live, join=conductor, name="apart")


if __name__ == "__main__":
    main(*sys.argv[1:])
