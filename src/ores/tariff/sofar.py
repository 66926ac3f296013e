"""What a month has seen so far, and the peaks of the months before: what terms need beside the future."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ores.tariff.calendar import label
from ores.tariff.check import energies
from ores.tariff.laid import Schedule
from ores.tariff.model import DemandCharge, Tariff, TariffError
from ores.tariff.terms import Floats


@dataclass(frozen=True, slots=True)
class PeakSoFar:
    """One demand charge in the month.

    Attributes:
        days_kw: Highest days before `day`, highest first; at most as many as the charge averages.
        day: The day under way, in local days since 1970.
        day_kw: Its highest finished stretch.
        stretch_s: The stretch under way, by its start in s since 1970 UTC; None before the first.
        kwh: Its import until now.
        hours: Its length until now.
        earlier: `(period, peak_kw)` of the months before, as far as a ratchet looks back.
    """

    days_kw: tuple[float, ...] = ()
    day: int = 0
    day_kw: float = 0.0
    stretch_s: int | None = None
    kwh: float = 0.0
    hours: float = 0.0
    earlier: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class SoFar:
    """The billing period under way.

    Attributes:
        period: Local months since year 0; None before the first interval.
        tier_kwh: For each tier of the tariff, the import that counted.
        peaks: For each demand charge of the tariff.
    """

    period: int | None
    tier_kwh: tuple[float, ...]
    peaks: tuple[PeakSoFar, ...]


def nothing_yet(tariff: Tariff) -> SoFar:
    """Before the first interval."""
    return SoFar(None, (0.0,) * len(tariff.tiers), (PeakSoFar(),) * len(tariff.demand))


def so_far(
    laid: Schedule,
    import_kwh: Floats,
    *,
    before: SoFar | None = None,
    first: int = 0,
    last: int | None = None,
) -> SoFar:
    """Count intervals that have passed.

    Args:
        laid: The tariff over intervals.
        import_kwh: From the grid in each of the intervals that are counted; >= 0.
        before: What had been counted until then.
        first: Number of the first interval to count.
        last: One beyond the last; all by default.

    Raises:
        TariffError: Energy that is NaN or negative, or intervals of a month before the one of `before`.
    """
    end = len(laid) if last is None else last
    energy = energies("import_kwh", import_kwh, end - first)
    state = before or nothing_yet(laid.tariff)
    for at, kwh in zip(range(first, end), energy.tolist(), strict=True):
        state = _count(laid, roll(laid.tariff, state, int(laid.at.period[at])), at, kwh)
    return state


def roll(tariff: Tariff, state: SoFar, period: int) -> SoFar:
    """The state at the start of a period, or as it is when that is under way.

    Raises:
        TariffError: The period is over already.
    """
    if state.period == period:
        return state
    if state.period is None:
        return replace(state, period=period)
    if state.period > period:
        raise TariffError("so_far", found=label(state.period), allowed=f"{label(period)} or a month before")
    peaks = []
    for charge, peak in zip(tariff.demand, state.peaks, strict=True):
        earlier = (*peak.earlier, (state.period, peak_kw(charge, peak)))
        kept = tuple(one for one in earlier if one[0] >= period - charge.ratchet_months)
        peaks.append(PeakSoFar(earlier=kept))
    return SoFar(period, (0.0,) * len(state.tier_kwh), tuple(peaks))


def floor_kw(charge: DemandCharge, state: PeakSoFar, period: int) -> float:
    """What is billed at least in a period: the minimum, or the ratchet."""
    since = period - charge.ratchet_months
    highest = max((kw for when, kw in state.earlier if since <= when < period), default=0.0)
    return max(float(charge.minimum_kw), float(charge.ratchet_share) * highest)


def peak_kw(charge: DemandCharge, state: PeakSoFar) -> float:
    """The peak of the month so far, with what is under way."""
    return mean_of_days_kw(charge, finish(charge, state, day=state.day + 1).days_kw)


def mean_of_days_kw(charge: DemandCharge, days_kw: tuple[float, ...]) -> float:
    """The peak that these days make; days that are missing are 0."""
    return sum(days_kw[: charge.top_days]) / charge.top_days


def finish(charge: DemandCharge, state: PeakSoFar, *, day: int, stretch_s: int | None = None) -> PeakSoFar:
    """Close the stretch and the day under way, unless they are these."""
    if state.stretch_s is not None and (state.stretch_s != stretch_s or state.day != day):
        reached = max(state.day_kw, state.kwh / state.hours)
        state = replace(state, day_kw=reached, stretch_s=None, kwh=0.0, hours=0.0)
    if state.day != day:
        days = sorted((*state.days_kw, state.day_kw), reverse=True)[: charge.top_days]
        state = replace(state, days_kw=tuple(days), day=day, day_kw=0.0)
    return state


def _count(laid: Schedule, state: SoFar, at: int, kwh: float) -> SoFar:
    tiers = tuple(
        had + kwh if counts[at] else had for had, counts in zip(state.tier_kwh, laid.tiers, strict=True)
    )
    peaks = []
    for stretches, was in zip(laid.demand, state.peaks, strict=True):
        if not stretches.counts[at]:
            peaks.append(was)
            continue
        start_s = int(stretches.start_s[at])
        now = finish(stretches.charge, was, day=int(laid.at.day[at]), stretch_s=start_s)
        hours = now.hours + float(laid.hours[at])
        peaks.append(replace(now, stretch_s=start_s, kwh=now.kwh + kwh, hours=hours))
    return SoFar(state.period, tiers, tuple(peaks))
