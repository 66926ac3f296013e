"""One restart of the hub, which all checks that ask what is kept look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import history, troubles

KEPT: Final = ("/preferences", "/modules", "/decisions?limit=200", "/users", "/tokens", "/status")
SETTLED_S: Final = 3.0
PAST_S: Final = 30.0
BUT_FOR_S: Final = 10.0
"""What of the history a restart may cost."""


@dataclass
class Restarted:
    """Before and after.

    Attributes:
        off_s: When the hub was switched off.
        back_s: When it answered again.
        before: What resources gave before, by path.
        after: The same, a few seconds after.
        past: The history of a lamp up to 10 s before the restart, asked before it.
        past_after: The same, asked after it.
    """

    off_s: float = 0.0
    back_s: float = 0.0
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    past: history.Asked | None = None
    past_after: history.Asked | None = None


async def restarted(bench: HubBench) -> Restarted:
    """Restart the hub, when all that takes its time is over."""
    await bench.settled()
    for scenario in troubles.ALL:
        try:
            await bench.once(scenario)
        except Exception:  # noqa: BLE001, S112 - told by the checks that look at it
            continue
    lamp = bench.players.get("Lamp")
    names = [f"{lamp.id}/{history.POWER}", f"{lamp.id}/{history.COUNTER}"] if lamp else ["flow.grid_w"]
    await bench.prefer(reserve_pct=7.5, export_max_w=15_000.0, main_fuse_a=50.0)
    found = Restarted(before={path: await bench.owner.get(path) for path in KEPT})
    end_s = bench.elapsed_s - BUT_FOR_S
    found.past = await history.ask(bench, names, end_s - PAST_S, end_s)
    found.off_s = bench.elapsed_s
    await bench.restart()
    found.back_s = bench.elapsed_s
    await bench.pause(SETTLED_S)
    found.after = {path: await bench.owner.get(path) for path in KEPT}
    found.past_after = await history.ask(bench, names, end_s - PAST_S, end_s)
    await bench.prefer()
    return found
