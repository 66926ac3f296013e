"""All policies on a home: costs, and the share of the oracle's saving that each captures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ores.backtest.case import Case, Told, grid_kwh
from ores.backtest.errors import BacktestError
from ores.backtest.forecasts import scores
from ores.backtest.homes import PLAN_STEP_S, Recording, coarser
from ores.backtest.money import Source, bill, lay
from ores.backtest.policies import POLICIES, RULES
from ores.ems.course import after, held
from ores.ems.inputs import Battery, Floats
from ores.ems.scores import Score
from ores.tariff import Tariff

SPOT: Final = "spot"
"""A series of this name is a day-ahead price: it is known for the next day from the afternoon on."""


@dataclass(frozen=True, slots=True)
class Rung:
    """One policy on one home.

    Attributes:
        cost: The bill of the recording, in the tariff's currency, before rounding to cents.
        months: The bill of each month, `2026-03`.
        end_soc_pct: At its end.
        charged_kwh: At the terminals.
        cpu_s: Processor time that the policy took.
    """

    cost: float
    months: tuple[tuple[str, float], ...]
    end_soc_pct: float
    charged_kwh: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Ladder:
    """All policies on one home.

    Attributes:
        home: Its name.
        intervals: How many.
        hours: Length of each.
        filled: Intervals of the recording that were unknown.
        rungs: By policy.
        forecasts: Scores of load and PV, where a plan was made.
        notes: What a reader of the figures has to know.
    """

    home: str
    intervals: int
    hours: float
    filled: int
    rungs: dict[str, Rung]
    forecasts: dict[str, Score]
    notes: tuple[str, ...]

    def share(self, policy: str) -> float | None:
        """Of the oracle's saving; None where that is not known, or nothing."""
        if not {"none", "oracle", policy} <= self.rungs.keys():
            return None
        free = self.rungs["none"].cost - self.rungs["oracle"].cost
        return None if free <= 0.0 else (self.rungs["none"].cost - self.rungs[policy].cost) / free


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of each home.

    Attributes:
        tariff: What energy costs.
        series: Where its series of prices are.
        zone: Rows of these to keep, where a file has several zones.
        battery: With the SoC in which the recording begins.
        policies: Names of `POLICIES`.
    """

    tariff: Tariff
    series: dict[str, Source]
    zone: str | None
    battery: Battery
    policies: Sequence[str]


def climb(home: Recording, question: Question, told: Told | None = None) -> Ladder:
    """Run all policies on a home.

    Args:
        home: What happened.
        question: What is asked.
        told: Is called with how many intervals a policy has done.

    Raises:
        BacktestError, TariffError, InputError: Name what has to be put right.
    """
    laid, notes = lay(question.tariff, home, question.series, question.zone)
    day_ahead = any(one.name == SPOT for one in question.tariff.series)
    times = max(1, round(PLAN_STEP_S / 3600.0 / home.hours)) if len(laid) > 1 else 1
    planned = None
    if times > 1:
        coarse = coarser(home, times)
        planned = Case(
            coarse,
            lay(question.tariff, coarse, question.series, question.zone)[0],
            question.battery,
            day_ahead,
        )
    case = Case(home, laid, question.battery, day_ahead, planned)
    if home.filled:
        notes.append(f"{home.filled} of {len(laid)} intervals were unknown, and taken from the day before")
    rungs = {name: _rung(case, name, told or _nobody) for name in question.policies}
    forecasts = scores(planned or case) if "plan" in rungs else {}
    return Ladder(home.name, len(laid), home.hours, home.filled, rungs, forecasts, tuple(notes))


def _rung(case: Case, policy: str, told: Told) -> Rung:
    begin = os.times()
    powers = POLICIES[policy](case, told)
    end = os.times()
    stored = check_physics(case, policy, powers)
    made = bill(case.laid, grid_kwh(case, powers, curtails=policy not in RULES))
    hours = case.home.hours
    return Rung(
        cost=float(made.exact),
        months=tuple((period.month, float(period.total)) for period in made.periods),
        end_soc_pct=stored / case.battery.capacity_kwh * 100.0,
        charged_kwh=float(np.maximum(powers, 0.0).sum()) * hours,
        cpu_s=end.user + end.system - begin.user - begin.system,
    )


def check_physics(case: Case, policy: str, powers: Floats) -> float:
    """Whether the battery can do this; returns what is in store at the end, in kWh.

    Raises:
        BacktestError: It cannot: a defect of the policy.
    """
    battery, hours = case.battery, case.home.hours
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    for at, power in enumerate(powers.tolist()):
        if abs(held(battery, stored, power, hours) - power) > 1e-4:
            raise BacktestError(f"policy {policy}", found=f"{power} kW in interval {at}", allowed="physics")
        stored = after(battery, stored, power, hours)
    return stored


def _nobody(_: int) -> None:
    """Is told, and says nothing."""
