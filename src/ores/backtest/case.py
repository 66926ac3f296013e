"""One home, one tariff, one battery; and what the battery can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ores import tariff
from ores.backtest.homes import Recording
from ores.ems.inputs import Battery, Floats
from ores.ems.rolling import Clock
from ores.tariff.calendar import days_of

Told = Callable[[int], None]
"""Is called with how many intervals more are done."""


@dataclass(frozen=True, slots=True)
class Case:
    """One home, one tariff, one battery.

    Attributes:
        home: What happened.
        laid: The tariff over its intervals.
        battery: With the SoC in which the year begins.
    """

    home: Recording
    laid: tariff.Schedule
    battery: Battery

    @property
    def net_kwh(self) -> Floats:
        """Load less PV of each interval."""
        return self.home.load_kwh - self.home.pv_kwh

    def clock(self, at: int) -> tuple[int, int, bool]:
        """The local day of an interval, the slot of the day, and whether it is a day off."""
        where = self.laid.at
        slot = int(where.second[at]) // round(self.home.hours * 3600)
        return int(where.day[at]), slot, bool(where.kind[at] >= 5)

    def clocks(self, first: int, last: int) -> Clock:
        """The local clock of some intervals."""
        at = self.laid.at
        step_s = round(self.home.hours * 3600)
        lengths = np.array([days_of(period) for period in at.period[first:last].tolist()])
        days = at.day[first:last].astype("datetime64[D]")
        month = days.astype("datetime64[M]").astype("datetime64[D]")
        left = lengths - (days - month).astype(np.int64) - 1
        return Clock(at.day[first:last], at.second[first:last] // step_s, at.kind[first:last] >= 5, left)


def held(battery: Battery, stored_kwh: float, power_kw: float, hours: float) -> float:
    """What a battery does when it is told so, mean over the interval; positive charging."""
    most = min(
        float(battery.charge_max_kw), (battery.capacity_kwh - stored_kwh) / battery.charge_efficiency / hours
    )
    least = min(float(battery.discharge_max_kw), stored_kwh * battery.discharge_efficiency / hours)
    return min(max(power_kw, -least), most)


def after(battery: Battery, stored_kwh: float, power_kw: float, hours: float) -> float:
    """What is in store after an interval at a power that it can do."""
    energy = power_kw * hours
    energy = energy * battery.charge_efficiency if energy > 0.0 else energy / battery.discharge_efficiency
    return min(max(stored_kwh + energy, 0.0), battery.capacity_kwh)
