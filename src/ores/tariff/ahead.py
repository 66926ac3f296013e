"""The terms of intervals to come, given what the month has seen so far."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np

from ores.tariff import sofar
from ores.tariff.calendar import days_of
from ores.tariff.laid import Flags, Schedule, Stretches, blocks, schedule
from ores.tariff.model import DemandCharge, Prices, Starts, Tariff, TariffError, Tier
from ores.tariff.sofar import PeakSoFar, SoFar
from ores.tariff.terms import DaysTerm, Floats, PeakTerm, Terms, TierTerm, beyond


def terms(
    tariff: Tariff,
    starts: Starts,
    *,
    hours: float | Floats | None = None,
    prices: Prices | None = None,
    so_far: SoFar | None = None,
) -> Terms:
    """What a planner needs to know of a tariff for some intervals on end.

    Args:
        tariff: The tariff.
        starts: As in `schedule`.
        hours: As in `schedule`.
        prices: As in `schedule`.
        so_far: What the month has seen before the first interval; nothing by default.

    Raises:
        TariffError: As `schedule`, and a `so_far` of a later month.
    """
    return terms_of(schedule(tariff, starts, hours=hours, prices=prices), so_far)


def terms_of(laid: Schedule, so_far: SoFar | None = None, first: int = 0, last: int | None = None) -> Terms:
    """The terms of some of the intervals over which a tariff has been laid already.

    A ratchet of a month that begins within these intervals knows the peak of the month under way only so
    far, and what a peak costs through ratchets of later months is not told.

    Args:
        laid: The tariff over intervals.
        so_far: What the month has seen before the first of them; nothing by default.
        first: Number of the first interval.
        last: One beyond the last; all by default.

    Raises:
        TariffError: `so_far` is of a later month, or there is no interval.
    """
    end = len(laid) if last is None else last
    if not 0 <= first < end <= len(laid):
        raise TariffError("first, last", found=(first, end), allowed=f"0 <= first < last <= {len(laid)}")
    state = so_far or sofar.nothing_yet(laid.tariff)
    peaks: list[PeakTerm] = []
    days: list[DaysTerm] = []
    tiers: list[TierTerm] = []
    for period in np.unique(laid.at.period[first:end]).tolist():
        state = sofar.roll(laid.tariff, state, period)
        mine: Flags = laid.at.period[first:end] == period
        for tier, counts, had in zip(laid.tariff.tiers, laid.tiers, state.tier_kwh, strict=True):
            tiers += _tier(laid.tariff, tier, mine & counts[first:end], period, had)
        for stretches, peak in zip(laid.demand, state.peaks, strict=True):
            if period % 12 + 1 in stretches.charge.months:
                chosen = mine & stretches.counts[first:end]
                if chosen.any():
                    one_peaks, one_days = _demand(laid, stretches, peak, first, chosen)
                    peaks += one_peaks
                    days += one_days
    return Terms(
        hours=laid.hours[first:end],
        import_per_kwh=laid.import_per_kwh[first:end],
        export_per_kwh=laid.export_per_kwh[first:end],
        peaks=tuple(peaks),
        tiers=tuple(tiers),
        days=tuple(days),
    )


def threshold_kwh(tier: Tier, period: int) -> Decimal:
    """Beyond what import a tier costs in a month."""
    return tier.beyond_kwh * (days_of(period) if tier.per_day else 1)


def _tier(tariff: Tariff, tier: Tier, counts: Flags, period: int, had_kwh: float) -> list[TierTerm]:
    if not counts.any():
        return []
    left_kwh = max(0.0, float(threshold_kwh(tier, period)) - had_kwh)
    return [TierTerm(float(tier.extra * tariff.with_taxes(tier.kind)), counts, left_kwh)]


def _demand(
    laid: Schedule, stretches: Stretches, state: PeakSoFar, first: int, chosen: Flags
) -> tuple[list[PeakTerm], list[DaysTerm]]:
    """The terms of one demand charge in one month; `chosen` are the intervals that count."""
    charge = stretches.charge
    window = slice(first, first + len(chosen))
    at = first + int(np.flatnonzero(chosen)[0])
    today, period = int(laid.at.day[first]), int(laid.at.period[at])
    state = sofar.finish(charge, state, day=int(laid.at.day[at]), stretch_s=int(stretches.start_s[at]))
    block = blocks(stretches, window, chosen)
    least_kw = sofar.floor_kw(charge, state, period)
    money = laid.tariff.with_taxes("demand") * (days_of(period) if charge.per == "day" else 1)
    prices = [one for one in _rising(charge.prices, money) if one[1] > 0]
    if charge.top_days == 1 and not charge.steps:
        had_kw = max(least_kw, state.day_kw, *state.days_kw)
        return [PeakTerm(one, block, max(had_kw, kw), state.kwh, state.hours) for kw, one in prices], []
    had_kw = max(least_kw, sofar.mean_of_days_kw(charge, _with_today(charge, state)))
    is_today = state.day == today
    common = DaysTerm(
        top=charge.top_days,
        block=block,
        day=laid.at.day[window] - today,
        earlier_kw=state.days_kw if is_today else _with_today(charge, state),
        today_kw=state.day_kw if is_today else 0.0,
        begun_kwh=state.kwh,
        begun_hours=state.hours,
    )
    days = [replace(common, price_per_kw=one, so_far_kw=max(had_kw, kw)) for kw, one in prices]
    steps = tuple(
        (above_kw, extra)
        for above_kw, extra in _rising(charge.steps, money)[1:]
        if extra > 0 and not beyond(had_kw, above_kw)
    )
    if steps:
        days.append(replace(common, steps=steps, so_far_kw=had_kw))
    return [], days


def _with_today(charge: DemandCharge, state: PeakSoFar) -> tuple[float, ...]:
    return tuple(sorted((*state.days_kw, state.day_kw), reverse=True)[: charge.top_days])


def _rising(prices: tuple[tuple[Decimal, Decimal], ...], money: Decimal) -> list[tuple[float, float]]:
    """What each price adds to the one before it."""
    before = [Decimal(0), *(price for _, price in prices)]
    return [
        (float(above_kw), float((price - less) * money))
        for (above_kw, price), less in zip(prices, before, strict=False)
    ]
