"""One home, one tariff, one battery; and what the battery can do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ores import tariff
from ores.backtest.homes import Recording
from ores.ems.forecast import Clock
from ores.ems.inputs import Battery, Floats
from ores.tariff.calendar import days_of
from ores.tariff.terms import Terms

PUBLISHED_S: Final = 13 * 3600
"""By the local clock; European day-ahead prices come out about an hour earlier."""

Told = Callable[[int], None]
"""Is called with how many intervals more are done."""


@dataclass(frozen=True, slots=True)
class Case:
    """One home, one tariff, one battery.

    Attributes:
        home: What happened.
        laid: The tariff over its intervals.
        battery: With the SoC in which the year begins.
        day_ahead: Whether prices of the next local day are known from 13:00 on, and no later ones.
        planned: The same in the longer intervals for which plans are made; None where these are the same.
    """

    home: Recording
    laid: tariff.Schedule
    battery: Battery
    day_ahead: bool = False
    planned: Case | None = None

    @property
    def net_kwh(self) -> Floats:
        """Load less PV of each interval."""
        return self.home.load_kwh - self.home.pv_kwh

    def clock(self, at: int) -> tuple[int, int, bool]:
        """The local day of an interval, the slot of the day, and whether it is a day off."""
        where = self.laid.at
        slot = int(where.second[at]) // round(self.home.hours * 3600)
        return int(where.day[at]), slot, bool(where.kind[at] >= 5)

    def terms(self, state: tariff.SoFar, first: int, last: int) -> Terms:
        """What is known of the tariff at the beginning of the first of some intervals.

        Prices that are not published yet are those of the same time of day, mean of a week.
        """
        terms = tariff.terms_of(self.laid, state, first, last)
        known = self.published(first)
        if known >= last:
            return terms
        per_day = round(24.0 / self.home.hours)
        slots = self.laid.at.second // round(self.home.hours * 3600)
        past = slice(max(0, known - 7 * per_day), known)
        seen = np.bincount(slots[past], minlength=per_day)

        def guessed(prices: Floats) -> Floats:
            mean = np.bincount(slots[past], prices[past], per_day) / np.maximum(seen, 1)
            mean = np.where(seen > 0, mean, prices[past].mean())
            return np.concatenate([prices[first:known], mean[slots[known:last]]])

        return replace(
            terms,
            import_per_kwh=guessed(self.laid.import_per_kwh),
            export_per_kwh=guessed(self.laid.export_per_kwh),
        )

    def published(self, at: int) -> int:
        """Number of the first interval whose price is not known at the beginning of this one."""
        where = self.laid.at
        if not self.day_ahead:
            return len(self.laid)
        last_day = int(where.day[at]) + (int(where.second[at]) >= PUBLISHED_S)
        return int(np.searchsorted(where.day, last_day, side="right"))

    def clocks(self, first: int, last: int) -> Clock:
        """The local clock of some intervals."""
        at = self.laid.at
        step_s = round(self.home.hours * 3600)
        lengths = np.array([days_of(period) for period in at.period[first:last].tolist()])
        days = at.day[first:last].astype("datetime64[D]")
        month = days.astype("datetime64[M]").astype("datetime64[D]")
        left = lengths - (days - month).astype(np.int64) - 1
        return Clock(at.day[first:last], at.second[first:last] // step_s, at.kind[first:last] >= 5, left)


def grid_kwh(case: Case, powers: Floats, *, curtails: bool) -> Floats:
    """What the meter counts in each interval, positive import.

    Args:
        case: The home.
        powers: Of the battery, in kW, positive charging.
        curtails: Whether the sun is held back where selling costs, and wholly where buying pays.
    """
    grid = case.net_kwh + powers * case.home.hours
    if not curtails:
        return grid
    idle = np.where(case.laid.export_per_kwh < 0.0, np.clip(-grid, 0.0, case.home.pv_kwh), 0.0)
    idle = np.where(case.laid.import_per_kwh < 0.0, case.home.pv_kwh, idle)
    return grid + idle
