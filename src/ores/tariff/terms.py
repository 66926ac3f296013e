"""What a planner needs to know of a tariff: prices for each interval, and what depends on more than one.

Money is in the tariff's currency, taxes included; energy in kWh; power in kW. An interval is one of those for
which the terms were asked, counted from 0. Only what the intervals themselves change is told: fixed fees and
what the month so far has cost already are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PeakTerm:
    """A charge on the highest mean import of a period: demand charge, monthly capacity peak.

    A charge whose price rises with the peak is several of these, each with its own floor in `so_far_kw`.

    Attributes:
        price_per_kw: For each kW of the peak; >= 0.
        block: Of each interval, the number of the stretch whose mean counts; -1 where none does. The
            blocks of one term belong to one billing period.
        so_far_kw: The peak of the period before the first interval, or the least that is billed anyway;
            >= 0. Only what goes beyond it costs.
        begun_kwh: Import of block 0 before the first interval, when that stretch is under way; >= 0.
        begun_hours: How much of block 0 has passed before the first interval, in h; >= 0.
    """

    price_per_kw: float
    block: Ints
    so_far_kw: float = 0.0
    begun_kwh: float = 0.0
    begun_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class DaysTerm:
    """A charge on the mean of the highest days of a period, where a day stands for its highest mean import.

    Days without import count as 0 kW, so the mean never falls while the month goes on.

    Attributes:
        top: How many days are averaged; >= 1.
        block: As in `PeakTerm`.
        day: Of each interval, the number of its local day, from 0 at the first interval.
        earlier_kw: Highest days of the period before day 0, highest first; at most `top`.
        today_kw: What day 0 has reached before the first interval.
        so_far_kw: The mean before the first interval, or the least that is billed anyway.
        price_per_kw: For each kW of the mean beyond `so_far_kw`; >= 0.
        steps: `(above_kw, extra)`, rising: a mean beyond `above_kw` costs `extra` once; > 0. Steps that
            the month has climbed already are left out.
        begun_kwh: As in `PeakTerm`.
        begun_hours: As in `PeakTerm`.
    """

    top: int
    block: Ints
    day: Ints
    earlier_kw: tuple[float, ...] = ()
    today_kw: float = 0.0
    so_far_kw: float = 0.0
    price_per_kw: float = 0.0
    steps: tuple[tuple[float, float], ...] = ()
    begun_kwh: float = 0.0
    begun_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class TierTerm:
    """Energy that costs more, or less, beyond an amount in a billing period.

    Attributes:
        extra_per_kwh: On top of `Terms.import_per_kwh`, for each kWh beyond; negative where more is cheaper.
        counts: Of each interval, whether its import counts towards this amount.
        left_kwh: Until the amount is reached, from the first interval on; 0 where it has been.
    """

    extra_per_kwh: float
    counts: NDArray[np.bool_]
    left_kwh: float


@dataclass(frozen=True, slots=True)
class Terms:
    """A tariff, for some intervals on end.

    Attributes:
        hours: Length of each interval, in h; > 0.
        import_per_kwh: What a kWh from the grid costs in each interval, in the lowest tier; may be negative.
        export_per_kwh: What a kWh to the grid earns in each interval; may be negative.
        peaks: Charges on power.
        tiers: Charges on amounts.
        days: Charges on the mean of the highest days.
    """

    hours: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    peaks: tuple[PeakTerm, ...] = field(default=())
    tiers: tuple[TierTerm, ...] = field(default=())
    days: tuple[DaysTerm, ...] = field(default=())


def cost(terms: Terms, import_kwh: Floats, export_kwh: Floats) -> float:
    """What these intervals cost by the terms: the meaning of each term, in one place.

    Args:
        terms: A tariff, for n intervals.
        import_kwh: From the grid in each interval, shape (n,); >= 0.
        export_kwh: To the grid in each interval, shape (n,); >= 0.

    Returns:
        Money; what export earns is taken off.
    """
    energy = float(terms.import_per_kwh @ import_kwh - terms.export_per_kwh @ export_kwh)
    peaks = sum(_peak_cost(term, terms.hours, import_kwh) for term in terms.peaks)
    tiers = sum(_tier_cost(term, import_kwh) for term in terms.tiers)
    return energy + peaks + tiers + sum(_days_cost(term, terms.hours, import_kwh) for term in terms.days)


def block_means_kw(term: PeakTerm | DaysTerm, hours: Floats, import_kwh: Floats) -> Floats:
    """Mean import of each block, with what had begun before; shape (n_blocks,)."""
    used = term.block >= 0
    if not used.any():
        return np.zeros(0)
    energy = np.bincount(term.block[used], weights=import_kwh[used])
    length = np.bincount(term.block[used], weights=hours[used])
    energy[0] += term.begun_kwh
    length[0] += term.begun_hours
    return energy / length


def beyond(mean_kw: float, above_kw: float) -> bool:
    """Whether a peak climbs a step: peaks are billed to the milliwatt, so that rounding climbs none."""
    return round(mean_kw, 6) > above_kw


def _peak_cost(term: PeakTerm, hours: Floats, import_kwh: Floats) -> float:
    means = block_means_kw(term, hours, import_kwh)
    return term.price_per_kw * max(0.0, float(means.max(initial=0.0)) - term.so_far_kw)


def _tier_cost(term: TierTerm, import_kwh: Floats) -> float:
    return term.extra_per_kwh * max(0.0, float(import_kwh[term.counts].sum()) - term.left_kwh)


def _days_cost(term: DaysTerm, hours: Floats, import_kwh: Floats) -> float:
    used = term.block >= 0
    means = block_means_kw(term, hours, import_kwh)
    day_kw = np.zeros(int(term.day.max(initial=0)) + 1)
    np.maximum.at(day_kw, term.day[used], means[term.block[used]])
    day_kw[0] = max(day_kw[0], term.today_kw)
    highest = sorted([*term.earlier_kw, *day_kw.tolist()], reverse=True)[: term.top]
    mean = sum(highest) / term.top
    extras = sum(extra for above_kw, extra in term.steps if beyond(mean, above_kw))
    return term.price_per_kw * max(0.0, mean - term.so_far_kw) + extras
