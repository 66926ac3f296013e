"""What a kW more of import costs where a month is charged for its highest, when the rest of it is not known.

One interval sets the peak of a month. A kW more in an interval costs the price of a kW times the chance that
no other interval of the month goes higher: nothing below the peak so far, little at a level that some later
day will pass anyway, all of it above. That chance is taken from the days of the last weeks: how low could the
battery have held each of them?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ores.ems.inputs import Battery, Floats
from ores.tariff.terms import DaysTerm, PeakTerm

CHANCES: Final = (0.02, 0.1, 0.25, 0.5, 0.75, 0.95)
"""At which the cost of a kW more rises, between nothing and all of it."""
NEAR: Final = ((0.7, 0.01), (0.85, 0.02), (1.0, 0.15))
"""Of the line below a step: from which share of it on a kW more costs which part of the step.

One day beyond the line rarely costs a step, as others stay below it; chosen on three of ten recorded homes.
"""
_HALVINGS: Final = 18


@dataclass(frozen=True, slots=True)
class Steps:
    """Import of an interval beyond a mean of `above_kw` costs `per_kwh` more.

    Attributes:
        at: Which intervals it is for, shape (n,).
        above_kw: >= 0.
        per_kwh: > 0; of an interval that is a part of the stretch that is charged, its share.
    """

    at: NDArray[np.bool_]
    above_kw: float
    per_kwh: float


def shaved_kw(net_kw: Floats, hours: float, battery: Battery) -> Floats:
    """The lowest peak to which a battery could have held each day, full at its beginning.

    Args:
        net_kw: Load less PV of each interval that counts, in order; shape (days, intervals).
        hours: Length of an interval.
        battery: Its powers have to be numbers.

    Returns:
        Shape (days,); >= 0.
    """
    low = np.zeros(len(net_kw))
    high: Floats = np.maximum(net_kw.max(axis=1), 0.0)
    for _ in range(_HALVINGS):
        middle: Floats = (low + high) / 2.0
        holds = _holds(net_kw, middle, hours, battery)
        high = np.where(holds, middle, high)
        low = np.where(holds, low, middle)
    return high


def _holds(net_kw: Floats, level_kw: Floats, hours: float, battery: Battery) -> NDArray[np.bool_]:
    stored = np.full(len(net_kw), battery.capacity_kwh)
    fine: NDArray[np.bool_] = np.ones(len(net_kw), dtype=np.bool_)
    for net in net_kw.T:
        over = net - level_kw
        taken = np.maximum(over, 0.0) * hours / battery.discharge_efficiency
        put = np.minimum(np.maximum(-over, 0.0), battery.charge_max_kw) * hours * battery.charge_efficiency
        fine = fine & (over <= battery.discharge_max_kw) & (taken <= stored + 1e-9)
        stored = np.clip(stored - taken + put, 0.0, battery.capacity_kwh)
    return fine


def stretch_h(term: PeakTerm | DaysTerm, hours: Floats) -> float:
    """How long the stretches are whose mean is charged, in h."""
    used = term.block >= 0
    return float(np.bincount(term.block[used], hours[used]).max())


def peak_steps(
    term: PeakTerm, hours: Floats, at: NDArray[np.bool_], days_kw: Floats, days_left: int
) -> list[Steps]:
    """What a kW more costs in intervals of one day.

    Args:
        term: The charge, with the peak so far.
        hours: Of all intervals, shape (n,).
        at: The intervals, shape (n,); those that do not count are left out.
        days_kw: How low days of this kind could be held, shape (days,).
        days_left: Further days of the month that may go higher.
    """
    counted = at & (term.block >= 0)
    if term.price_per_kw <= 0.0 or not counted.any():
        return []
    per_kwh = term.price_per_kw / stretch_h(term, hours)
    rungs = [(level, share * per_kwh) for level, share in _rising(days_kw, days_left)]
    so_far = term.so_far_kw
    begun = sum(rise for level, rise in rungs if level <= so_far)
    steps = [Steps(counted, so_far, begun)] if begun > 0.0 else []
    return steps + [Steps(counted, level, rise) for level, rise in rungs if level > so_far]


def _rising(days_kw: Floats, days_left: int) -> list[tuple[float, float]]:
    """Levels, and by how much the chance rises there that no other day goes higher."""
    if len(days_kw) == 0:
        return [(0.0, 1.0 / (1.0 + days_left))]
    held = np.sort(days_kw)
    below = (np.arange(len(held)) + 0.5) / len(held)
    wanted = np.asarray(CHANCES) ** (1.0 / (1.0 + days_left))
    # beyond the highest day that was seen, a higher one is as likely as the number of days says
    slope = held[-1] - held[int(0.75 * len(held))]
    levels = np.interp(wanted, np.append(below, 1.0), np.append(held, held[-1] + 0.25 * slope))
    rises = np.diff([0.0, *CHANCES[:-1], 1.0])
    return [(float(level), float(rise)) for level, rise in zip(levels, rises, strict=True)]


def days_steps(
    term: DaysTerm, hours: Floats, at: NDArray[np.bool_], days_kw: Floats, days_left: int
) -> list[Steps]:
    """The same where the mean of the highest days is charged, and where it climbs steps.

    Of a price, a day carries its share. Of steps, the month aims at the lowest that it can hold: where the
    days so far leave as much for each of those to come as these will need. What a day takes beyond that, or
    near to it, is missing on a day on which it cannot be helped: it costs a part of the step.
    """
    counted = at & (term.block >= 0)
    if not counted.any():
        return []
    length_h = stretch_h(term, hours)
    earlier = sorted(term.earlier_kw, reverse=True)[: term.top]
    least = min(earlier) if len(earlier) == term.top else 0.0  # a day below it is none of the highest
    steps: list[Steps] = []
    if term.price_per_kw > 0.0:
        share = term.price_per_kw / term.top / length_h
        rungs = _rising(days_kw, max(0, days_left // term.top))
        steps += [Steps(counted, max(level, least, term.today_kw), rise * share) for level, rise in rungs]
    needed = _needed_kw(days_kw, days_left, term.top)
    for above_kw, extra in term.steps:
        line = line_kw(sorted([*earlier, term.today_kw], reverse=True), above_kw, term.top)
        if line > 0.0 and line >= needed:
            steps += [Steps(counted, share * line, part * extra / length_h) for share, part in NEAR]
    return steps


def line_kw(reached_kw: list[float], above_kw: float, top: int) -> float:
    """How high every day to come may go, so that the mean of the highest stays at `above_kw`; 0 for none.

    Args:
        reached_kw: Days of the month so far, highest first.
        above_kw: What the mean may be.
        top: How many days are averaged.
    """
    for fixed in range(top):
        line = (top * above_kw - sum(reached_kw[:fixed])) / (top - fixed)
        if line <= 0.0:
            return 0.0
        if fixed >= len(reached_kw) or reached_kw[fixed] <= line:
            return line
    return 0.0


def _needed_kw(days_kw: Floats, days_left: int, top: int) -> float:
    """To what the highest of the days to come can probably be held."""
    if len(days_kw) == 0:
        return 0.0
    return float(np.quantile(days_kw, max(0.5, 1.0 - top / (1.0 + days_left))))
