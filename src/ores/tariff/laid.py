"""A tariff laid over intervals: which price holds when, what counts where. Bills and terms are read from it.

Within an interval, power counts as constant: where a price changes inside, each part takes its share of
the energy. For what belongs to a day, a month, a tier or a stretch of the clock, an interval belongs to the
one in which it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from ores.tariff import calendar
from ores.tariff.calendar import Local
from ores.tariff.model import (
    DAY_S,
    DemandCharge,
    EnergyCharge,
    Prices,
    PriceSeries,
    Starts,
    Tariff,
    TariffError,
    When,
    utc_seconds,
)
from ores.tariff.terms import Floats, Ints

NANO = 10**9
LONGEST_S = DAY_S

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Parts:
    """The intervals, cut wherever a price may change; in order, at least one part for each interval.

    Attributes:
        interval: Number of the interval.
        from_s: Start, in s after the start of the interval.
        to_s: End, likewise.
        first: Of each interval, the number of its first part.
    """

    interval: Ints
    from_s: Ints
    to_s: Ints
    first: Ints


@dataclass(frozen=True, slots=True)
class Priced:
    """A charge on every part.

    Attributes:
        rate: Number of the rate; -1 where the charge has none.
        price: In 1e-9 of the currency per kWh.
    """

    charge: EnergyCharge
    rate: Ints
    price: Ints


@dataclass(frozen=True, slots=True)
class Stretches:
    """Where the import of an interval counts towards a peak.

    Attributes:
        start_s: Start of the stretch of each interval, in s since 1970 UTC.
        counts: Whether any of the interval lies in a window of the charge.
    """

    charge: DemandCharge
    start_s: Ints
    counts: Flags


@dataclass(frozen=True, slots=True)
class Schedule:
    """A tariff over n intervals; made by `schedule`.

    Attributes:
        tariff: The tariff.
        start_s: Starts, in s since 1970 UTC.
        seconds: Lengths.
        hours: Lengths.
        at: The local clock at the starts.
        parts: The intervals, cut.
        charges: Those of import on each part.
        export: Those of export on each part.
        import_per_kwh: With taxes, in the lowest tier, mean of each interval.
        export_per_kwh: With taxes, mean of each interval.
        tiers: For each tier, which intervals count.
        demand: For each demand charge, where the intervals count.
    """

    tariff: Tariff
    start_s: Ints
    seconds: Ints
    hours: Floats
    at: Local
    parts: Parts
    charges: tuple[Priced, ...]
    export: tuple[Priced, ...]
    import_per_kwh: Floats
    export_per_kwh: Floats
    tiers: tuple[Flags, ...]
    demand: tuple[Stretches, ...]

    def __len__(self) -> int:
        return len(self.start_s)


def schedule(
    tariff: Tariff, starts: Starts, *, hours: float | Floats | None = None, prices: Prices | None = None
) -> Schedule:
    """Lay a tariff over intervals.

    Args:
        tariff: The tariff.
        starts: Of the intervals: aware datetimes, or numpy datetime64 in UTC; rising, at least one. Gaps are
            allowed where `hours` is given.
        hours: Length of the intervals, or of each, in h, a whole number of seconds, at most 24 h. Without it,
            the starts have to be evenly spaced.
        prices: The series that the tariff names.

    Raises:
        TariffError: Starts or hours that are not as above, or prices that are missing.
    """
    start_s = utc_seconds("starts", starts)
    seconds = _lengths(start_s, hours)
    at = calendar.local(tariff.time_zone, start_s, tariff.holidays)
    parts, part_s = _cut(tariff, start_s, seconds, prices or {})
    part_at = calendar.local(tariff.time_zone, part_s, tariff.holidays)
    charges = tuple(_price(c, parts, part_s, part_at, prices or {}) for c in tariff.charges)
    export = tuple(_price(c, parts, part_s, part_at, prices or {}) for c in tariff.export)
    return Schedule(
        tariff=tariff,
        start_s=start_s,
        seconds=seconds,
        hours=seconds / 3600,
        at=at,
        parts=parts,
        charges=charges,
        export=export,
        import_per_kwh=_mean(tariff, parts, seconds, charges),
        export_per_kwh=_mean(tariff, parts, seconds, export),
        tiers=tuple(calendar.within(tier.when, at) for tier in tariff.tiers),
        demand=tuple(_stretches(charge, start_s, at, parts, part_at) for charge in tariff.demand),
    )


def _lengths(start_s: Ints, hours: float | Floats | None) -> Ints:
    steps = np.diff(start_s)
    if len(start_s) == 0:
        raise TariffError("starts", found="none", allowed="at least one interval")
    if hours is None:
        if len(steps) == 0 or (steps != steps[0]).any():
            raise TariffError(
                "hours", found=None, allowed="a length in h, where starts are not evenly spaced"
            )
        given = np.full(len(start_s), steps[0] / 3600)
    else:
        given = np.asarray(hours, dtype=np.float64)
        if given.ndim and given.shape != start_s.shape:
            raise TariffError("hours", found=f"{given.size} values", allowed=f"one, or {len(start_s)}")
        given = np.broadcast_to(given, start_s.shape)
    exact = given * 3600
    bad = ~(
        np.isfinite(exact) & (exact > 0.5) & (exact <= LONGEST_S) & (np.abs(exact - np.rint(exact)) < 1e-3)
    )
    if bad.any():
        worst = float(given[np.flatnonzero(bad)[0]])
        raise TariffError("hours", found=worst, allowed="a whole number of seconds, at most 24 h")
    seconds: Ints = np.rint(exact).astype(np.int64)
    over = np.flatnonzero(seconds[:-1] > steps)
    if over.size:
        at = int(over[0])
        found = f"{seconds[at] / 60:g} min until the next start {steps[at] / 60:g} min later"
        raise TariffError(f"hours[{at}]", found=found, allowed="intervals that do not overlap")
    return seconds


def _cut(tariff: Tariff, start_s: Ints, seconds: Ints, prices: Prices) -> tuple[Parts, Ints]:
    """The parts of the intervals, and when each starts."""
    first_s, last_s = int(start_s[0]), int(start_s[-1] + seconds[-1])
    cuts = [calendar.clock_cuts(tariff.time_zone, _clock_times(tariff), first_s, last_s)]
    for charge in (*tariff.charges, *tariff.export):
        if charge.series is not None and charge.series in prices:
            times = prices[charge.series].start_s
            cuts.append(times[(times > first_s) & (times < last_s)])
    every = np.unique(np.concatenate(cuts))
    owner = np.searchsorted(start_s, every, side="right") - 1
    inside = (every > start_s[owner]) & (every < start_s[owner] + seconds[owner])
    part_s = np.sort(np.concatenate([start_s, every[inside]]))
    interval = np.searchsorted(start_s, part_s, side="right") - 1
    first = np.searchsorted(part_s, start_s)
    to_s = np.append(part_s[1:], 0) - start_s[interval]
    ends = np.append(first[1:], len(part_s)) - 1
    to_s[ends] = seconds
    return Parts(interval, part_s - start_s[interval], to_s, first), part_s


def _clock_times(tariff: Tariff) -> set[int]:
    whens: list[When] = [rate.when for charge in (*tariff.charges, *tariff.export) for rate in charge.rates]
    whens += [window for charge in tariff.demand for window in charge.windows]
    return {second for when in whens for second in (when.from_s, when.to_s)}


def _price(charge: EnergyCharge, parts: Parts, part_s: Ints, part_at: Local, prices: Prices) -> Priced:
    rate = np.full(len(part_s), -1, dtype=np.int64)
    for number, one in enumerate(charge.rates):
        rate[(rate < 0) & calendar.within(one.when, part_at)] = number
    table = np.array([nano(one.price) for one in charge.rates] + [0], dtype=np.int64)
    added = table[rate]
    if charge.series is None:
        return Priced(charge, rate, _held(charge, added))
    if charge.series not in prices:
        found = ", ".join(sorted(prices)) or "none"
        raise TariffError("prices", found=found, allowed=f"the series {charge.series!r} among them")
    followed = _follow(charge.series, prices[charge.series], part_s, parts)
    return Priced(
        charge,
        rate,
        _held(charge, np.rint(followed * (float(charge.factor) * NANO)).astype(np.int64) + added),
    )


def _held(charge: EnergyCharge, price: Ints) -> Ints:
    low = None if charge.floor is None else nano(charge.floor)
    high = None if charge.cap is None else nano(charge.cap)
    return price if low is None and high is None else np.clip(price, low, high)


def _follow(name: str, series: PriceSeries, part_s: Ints, parts: Parts) -> Floats:
    number = np.searchsorted(series.start_s, part_s, side="right") - 1
    held = np.maximum(number, 0)
    values = series.per_kwh[held]
    part_end_s = part_s + parts.to_s - parts.from_s
    bad = (number < 0) | (part_end_s > series.end_s[held]) | ~np.isfinite(values)
    if bad.any():
        moment = np.datetime64(int(part_s[np.flatnonzero(bad)[0]]), "s")
        found = f"no price at {moment}Z ({int(bad.sum())} such)"
        raise TariffError(
            f"prices[{name!r}]", found=found, allowed="a price for every moment of the intervals"
        )
    return values


def _mean(tariff: Tariff, parts: Parts, seconds: Ints, charges: tuple[Priced, ...]) -> Floats:
    """Sum of the charges with taxes, per kWh, mean of each interval."""
    total = np.zeros(len(parts.interval))
    for priced in charges:
        total += priced.price * (float(tariff.with_taxes(priced.charge.kind)) / NANO)
    share = (parts.to_s - parts.from_s) / seconds[parts.interval]
    answer: Floats = np.add.reduceat(total * share, parts.first)
    return answer


def _stretches(charge: DemandCharge, start_s: Ints, at: Local, parts: Parts, part_at: Local) -> Stretches:
    inside = np.zeros(len(parts.interval), dtype=np.bool_)
    for window in charge.windows:
        inside |= calendar.within(window, part_at)
    counts: Flags = np.logical_or.reduceat(inside, parts.first)
    return Stretches(charge, start_s - (start_s + at.offset_s) % (charge.minutes * 60), counts)


def nano(price: Decimal) -> int:
    """A price in 1e-9 of the currency, to which prices are exact."""
    return int((price * NANO).to_integral_value())


def blocks(stretches: Stretches, window: slice, chosen: Flags) -> Ints:
    """Number the stretches of the chosen intervals of a window from 0; -1 for the others."""
    block = np.full(len(chosen), -1, dtype=np.int64)
    mine = stretches.start_s[window][chosen]
    if len(mine):
        block[chosen] = np.concatenate([[0], np.cumsum(np.diff(mine) != 0)])
    return block
