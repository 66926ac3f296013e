"""What a plan says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that no plan could keep, or not without giving up a stronger one.

    Attributes:
        name: Of the field, with the way to it: `batteries[0].reserve_pct`.
        beyond: By how much in each interval, in the unit of the field; >= 0.
    """

    name: str
    beyond: Floats


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do in each of n intervals, and what it is worth.

    Attributes:
        hours: Length of each interval, in h, shape (n,).
        grid_kw: Mean at the connection point, positive import, shape (n,).
        pv_kept_kw: Mean that the PV produces; what is available beyond it is curtailed, shape (n,).
        battery_kw: Mean at the terminals, positive charging, shape (batteries, n).
        soc_pct: At the end of each interval, shape (batteries, n).
        energy_value_per_kwh: What a kWh more of load costs in each interval, shape (n,).
        stored_value_per_kwh: What a kWh more in store is worth in each interval, shape (batteries, n).
        ev_kw: Mean at each charger, positive charging, shape (evs, n).
        ev_soc_pct: At the end of each interval, shape (evs, n).
        ev_stored_value_per_kwh: As for batteries, shape (evs, n).
        appliance_start: Of each appliance the interval at whose beginning it starts; None where it does not.
        appliance_kw: Mean of each appliance, shape (appliances, n).
        heat_kw: Electrical mean of each heat pump or heater, shape (heats, n).
        temperature_c: At the end of each interval, shape (heats, n).
        interval_cost: Energy bought less energy sold in each interval, tiers apart, shape (n,).
        peak_cost: Charges on peaks, beyond what the period had already.
        tier_cost: Of energy beyond the amounts of tiers.
        wear_cost: Of all batteries.
        end_value: Of what is in store at the end.
        objective: What was minimised, penalties included.
        gap: The objective of the best plan there is lies at most this far below `objective`.
        violations: In order of the fields.
    """

    hours: Floats
    grid_kw: Floats
    pv_kept_kw: Floats
    battery_kw: Floats
    soc_pct: Floats
    energy_value_per_kwh: Floats
    stored_value_per_kwh: Floats
    ev_kw: Floats
    ev_soc_pct: Floats
    ev_stored_value_per_kwh: Floats
    appliance_start: tuple[int | None, ...]
    appliance_kw: Floats
    heat_kw: Floats
    temperature_c: Floats
    interval_cost: Floats
    peak_cost: float
    tier_cost: float
    wear_cost: float
    end_value: float
    objective: float
    gap: float
    violations: tuple[Violation, ...]

    @property
    def cost(self) -> float:
        """What the home pays for these intervals, and will have paid with its batteries' life."""
        return float(self.interval_cost.sum()) + self.peak_cost + self.tier_cost + self.wear_cost
