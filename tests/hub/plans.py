"""A tariff with cheap and dear hours, planners that misbehave, and how a hub plans with them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from ores.hub.hub import Hub
from ores.hub.plan.planning import Planning
from ores.hub.plan.process import COMMAND, DEADLINE_S
from ores.model import Notice, Proposal

CHEAP, DEAR = 0.09, 0.54

CRASHES = (sys.executable, "-c", "import sys; sys.exit(3)")
HANGS = (sys.executable, "-c", "import sys; sys.stdin.buffer.read()")
BURNS = (sys.executable, "-c", "while True: pass")
TALKS_NONSENSE = (sys.executable, "-c", "import os; os.write(1, b'\\0\\0\\0\\5hello'); input()")


def tariff_document(dear_from: str = "15:00", dear_to: str = "21:00") -> str:
    """One tariff by the clock of Greenwich; selling earns nothing."""
    rates = [
        {"from": dear_from, "to": dear_to, "import": DEAR},
        {"from": dear_to, "to": dear_from, "import": CHEAP},
    ]
    one = {"id": "two", "currency": "EUR", "time_zone": "UTC", "rates": rates, "export": 0}
    return json.dumps({"tariffs": [one]})


def tariff_file(directory: Path, **hours: str) -> str:
    """The same as `--tariff` takes it."""
    path = directory / "tariffs.json"
    path.write_text(tariff_document(**hours))
    return f"{path}:two"


@asynccontextmanager
async def planning(
    hub: Hub, command: Sequence[str] = COMMAND, deadline_s: float = DEADLINE_S, **hours: str
) -> AsyncIterator[Planning]:
    """A hub plans inside the block, for a house that has used 2 kW all day."""
    remember(hub)
    one = Planning(hub, (tariff_document(**hours), "two"), command=command, deadline_s=deadline_s)
    task = asyncio.create_task(one.run())
    try:
        yield one
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def remember(hub: Hub, load_w: float = 2000.0) -> None:
    """The house has used as much for a day, all from the grid."""
    now_s = hub.clock.utc().timestamp()
    for at_s in range(int(now_s) - 86_400, int(now_s), 3):
        hub.history.record("flow", float(at_s), ("grid_w", "battery_w"), [load_w, 0.0])


def proposed(hub: Hub) -> list[Proposal]:
    return [held.proposal for held in hub.proposals.held() if held.proposal.source == "planner"]


def no_plan(hub: Hub) -> Notice | None:
    return next((notice for notice in hub.notices.active() if notice.code == "no_plan"), None)
