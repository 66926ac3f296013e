"""The textbook's self-consumption, written without the simulator: one battery, the same losses, nothing else.

Charge with what is left of the sun, discharge for what is missing, within power and energy. Losses are the
battery's: a one-way efficiency each way and a constant standby from the AC side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass
class Result:
    """Energy over the run, in Wh."""

    load: float = 0.0
    pv: float = 0.0
    grid_import: float = 0.0
    grid_export: float = 0.0
    stored: float = 0.0

    @property
    def self_consumption(self) -> float:
        """Part of the sun that was used in the house."""
        return 1.0 - self.grid_export / self.pv if self.pv else 1.0

    @property
    def self_sufficiency(self) -> float:
        """Part of the load that was not bought."""
        return 1.0 - self.grid_import / self.load if self.load else 1.0


def self_consume(
    load_and_pv_w: Iterable[tuple[float, float]],
    *,
    step_s: float,
    capacity_wh: float,
    power_w: float,
    efficiency: float,
    start_wh: float = 0.0,
    standby_w: float = 0.0,
    taper: float = 0.0,
) -> Result:
    """Run the rule over a series.

    Args:
        load_and_pv_w: Load and AC output of the sun per step, both >= 0.
        step_s: Length of a step.
        capacity_wh: Usable.
        power_w: At AC, both ways, standby excluded.
        efficiency: One way.
        start_wh: Stored at the start.
        standby_w: Drawn always.
        taper: Last part of charging and first part of discharging over which the power falls linearly to 0.
    """
    hours = step_s / 3600.0
    energy = start_wh
    result = Result()
    for load, pv in load_and_pv_w:
        surplus = pv - load - standby_w
        if surplus > 0.0:
            room = capacity_wh - energy
            bound = power_w if not taper else min(power_w, power_w * room / (taper * capacity_wh))
            flow = min(surplus, bound, room / (efficiency * hours))
            energy += flow * efficiency * hours
        else:
            bound = power_w if not taper else min(power_w, power_w * energy / (taper * capacity_wh))
            flow = -min(-surplus, bound, energy * efficiency / hours)
            energy += flow / efficiency * hours
        grid = flow - surplus
        result.load += load * hours
        result.pv += pv * hours
        result.grid_import += max(grid, 0.0) * hours
        result.grid_export += max(-grid, 0.0) * hours
    result.stored = energy - start_wh
    return result
