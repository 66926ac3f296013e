"""What the home did, slot by slot, from the hub's history."""

from __future__ import annotations

from typing import Final

from ores.ems.standing import SLOT_S
from ores.hub.history import History
from ores.hub.plan.messages import Past
from ores.hub.record import HOUSE

DAYS: Final = 42
"""Of the past; as many as forecasts look at."""
_LEAST_SAMPLES: Final = SLOT_S // 3
"""Of a slot; one with fewer is unknown."""


def past(history: History, since_s: int, until_s: int) -> Past:
    """Slots from one start to another; both multiples of `SLOT_S`.

    Load less PV is what the house would take from the grid without its stores: that is what they can meet.

    Raises:
        Unavailable: The history cannot be read.
    """
    if since_s >= until_s:
        return Past([], [], [], [])
    edges = [float(at) for at in range(since_s, until_s + 1, SLOT_S)]
    asked = [(HOUSE, "grid_w"), (HOUSE, "battery_w"), (HOUSE, "pv_w")]
    grid, battery, sun = history.totals(asked, edges).series
    hours = SLOT_S / 3600.0
    net: list[float | None] = []
    bought: list[float | None] = []
    for count, grid_w, stores, battery_w in zip(grid.n, grid.mean, battery.n, battery.mean, strict=True):
        if grid_w is None or count < _LEAST_SAMPLES:
            bought.append(None)
            net.append(None)
            continue
        bought.append(max(0.0, grid_w) * hours / 1000.0)
        known = battery_w is not None and stores >= _LEAST_SAMPLES
        net.append((grid_w - battery_w) * hours / 1000.0 if known and battery_w is not None else None)
    pv = [
        None if pv_w is None or count < _LEAST_SAMPLES else max(0.0, -pv_w) * hours / 1000.0
        for count, pv_w in zip(sun.n, sun.mean, strict=True)
    ]
    return Past([int(at) for at in edges[:-1]], net, bought, pv)
