"""Perfect foresight: what nobody can beat, by the planner that sees all that will happen.

In one linear program where that is one. Where selling pays more than buying (then a plan needs decisions), or
the highest days of a month are charged, month by month, each with the first days of the next one.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ores import tariff
from ores.backtest.case import Case, Told
from ores.ems.answer import Plan
from ores.ems.course import after
from ores.ems.inputs import Floats, Home
from ores.ems.planner import Planner
from ores.tariff.terms import Terms, cost

AT_ONCE: Final = 20_000
"""Intervals: a program beyond takes longer than its months."""
OVERLAP_H: Final = 4 * 24
GAP: Final = 1e-3


def oracle(case: Case, told: Told) -> Floats:
    """The powers of a battery that knows what will happen."""
    planner = Planner(presolve=True, gap=GAP)
    powers = np.zeros(len(case.laid))
    stored = case.battery.soc_pct / 100.0 * case.battery.capacity_kwh
    state = tariff.nothing_yet(case.laid.tariff)
    for part in _parts(case):
        terms = tariff.terms_of(case.laid, state, part.first, part.end)
        kept = part.kept - part.first
        made = _planned(planner, case, part, terms, stored)
        powers[part.first : part.kept] = made.battery_kw[0, :kept]
        for power in powers[part.first : part.kept].tolist():
            stored = after(case.battery, stored, power, case.home.hours)
        bought = np.maximum(made.grid_kw[:kept], 0.0) * case.home.hours
        state = tariff.so_far(case.laid, bought, before=state, first=part.first, last=part.kept)
        told(kept)
    return powers


@dataclass(frozen=True, slots=True)
class _Part:
    """Intervals that are planned together: those from `first` to `end`; what is done up to `kept` stays."""

    first: int
    kept: int
    end: int


def _parts(case: Case) -> list[_Part]:
    laid = case.laid
    count = len(laid)
    whole = count <= AT_ONCE and (laid.export_per_kwh <= laid.import_per_kwh).all()
    if whole and not tariff.terms_of(laid).days:
        return [_Part(0, count, count)]
    months = [0, *(np.flatnonzero(np.diff(laid.at.period)) + 1).tolist(), count]
    overlap = round(OVERLAP_H / case.home.hours)
    cuts = [0]
    for first, end in itertools.pairwise(months):  # in steps of a minute, a month is too long as well
        pieces = -(-(end - first) // AT_ONCE)
        cuts += [first + (end - first) * (piece + 1) // pieces for piece in range(pieces)]
    return [_Part(first, kept, min(kept + overlap, count)) for first, kept in itertools.pairwise(cuts)]


def _planned(planner: Planner, case: Case, part: _Part, terms: Terms, stored: float) -> Plan:
    home = Home(
        terms=replace(terms, days=()),
        load_kw=case.home.load_kwh[part.first : part.end] / case.home.hours,
        pv_available_kw=case.home.pv_kwh[part.first : part.end] / case.home.hours,
        batteries=(replace(case.battery, soc_pct=min(100.0, stored / case.battery.capacity_kwh * 100.0)),),
    )
    if not terms.days:
        return planner.plan(home)
    # each day below one of the steps, or all of them free: the cheapest of these
    lines = sorted({above_kw for term in terms.days for above_kw, _ in term.steps})
    plans = [planner.plan(replace(home, import_max_kw=line)) for line in (*lines, np.inf)]
    return min(plans, key=lambda plan: _cost(terms, plan))


def _cost(terms: Terms, plan: Plan) -> float:
    return cost(
        terms, np.maximum(plan.grid_kw, 0.0) * plan.hours, np.maximum(-plan.grid_kw, 0.0) * plan.hours
    )
