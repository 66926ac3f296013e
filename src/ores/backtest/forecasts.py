"""Scores of the forecasts that the planner made: each midnight for the day, from the past alone."""

from __future__ import annotations

from typing import Final

import numpy as np

from ores.backtest.case import Case
from ores.ems.forecast import OUTCOMES, Forecaster
from ores.ems.inputs import Floats
from ores.ems.scores import Score, Tally

SHARES: Final = np.array([0.05, 0.25, 0.5, 0.75, 0.95])


def scores(case: Case) -> dict[str, Score]:
    """Of load and PV, for all whole days but the first."""
    per_day = round(24.0 / case.home.hours)
    usual = np.linspace(0.14, 1.0, OUTCOMES) * case.home.hours
    found: dict[str, Score] = {}
    for name, kwh, prior in (
        ("load", case.home.load_kwh, usual),
        ("pv", case.home.pv_kwh, np.zeros(OUTCOMES)),
    ):
        score = _scored(case, kwh, Forecaster(per_day, prior), per_day)
        if score is not None and kwh.any():
            found[name] = score
    return found


def _scored(case: Case, kwh: Floats, forecaster: Forecaster, per_day: int) -> Score | None:
    tally = Tally()
    for at in range(len(kwh)):
        day, slot, off = case.clock(at)
        end = at + per_day
        if slot == 0 and at >= per_day and end <= len(kwh):
            made = forecaster.forecast(case.clocks(at, end), SHARES)
            before = at - (7 * per_day if at >= 7 * per_day else per_day)
            tally.add(made, kwh[at:end], float(kwh[at - 1]), kwh[before : before + per_day])
        forecaster.observe(day, slot, off=off, kwh=float(kwh[at]))
    return tally.score()
