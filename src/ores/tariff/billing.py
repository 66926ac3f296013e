"""Bills from metered intervals, to the cent.

Energy is counted in whole 1e-9 kWh, prices in 1e-9 of the currency, peaks in milliwatts, all as integers; a
line is rounded to the cent once, at its end (half away from zero), and a bill is the sum of its lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

import numpy as np

from ores.tariff.ahead import threshold_kwh
from ores.tariff.calendar import days_of, label
from ores.tariff.check import energies
from ores.tariff.laid import NANO, Flags, Priced, Schedule, Stretches, blocks, schedule
from ores.tariff.model import DemandCharge, Kind, Prices, Starts, Tariff, TariffError, Tier
from ores.tariff.sofar import SoFar, roll
from ores.tariff.terms import Floats, Ints

CENT = Decimal("0.01")
_MILLIWATT = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill.

    Attributes:
        kind: What it is for.
        name: For people.
        quantity: How much, in `unit`; None for a tax.
        unit: `kWh`, `kW`, `days` or `months`.
        price: For one unit, where all of it has one price.
        exact: Before rounding; negative where the home earns.
    """

    kind: Kind | Literal["tax"]
    name: str
    quantity: Decimal | None
    unit: str
    price: Decimal | None
    exact: Decimal

    @property
    def amount(self) -> Decimal:
        """To the cent."""
        return self.exact.quantize(CENT, ROUND_HALF_UP)


@dataclass(frozen=True, slots=True)
class Period:
    """One month of a bill.

    Attributes:
        month: `2026-03`, by the tariff's clock.
        lines: In the order energy, tiers, demand, fixed, export, taxes.
    """

    month: str
    lines: tuple[Line, ...]

    @property
    def total(self) -> Decimal:
        """What is to pay, to the cent; negative where the home earns."""
        return sum((line.amount for line in self.lines), Decimal("0.00"))


@dataclass(frozen=True, slots=True)
class Bill:
    """What metered intervals cost."""

    tariff_id: str
    currency: str
    periods: tuple[Period, ...]

    @property
    def total(self) -> Decimal:
        """What is to pay, to the cent; negative where the home earns."""
        return sum((period.total for period in self.periods), Decimal("0.00"))

    @property
    def exact(self) -> Decimal:
        """The same without any rounding to cents, to compare bills by."""
        return sum((line.exact for period in self.periods for line in period.lines), Decimal(0))


def bill(
    tariff: Tariff,
    starts: Starts,
    import_kwh: Floats | Sequence[float],
    export_kwh: Floats | Sequence[float],
    *,
    hours: float | Floats | None = None,
    prices: Prices | None = None,
    before: SoFar | None = None,
) -> Bill:
    """Bill metered intervals.

    A month of which only a part is given pays its monthly fees in full, and daily ones for the days given;
    amounts of tiers per day are for all its days. A mean over a stretch is over what is given of it.

    Args:
        tariff: The tariff.
        starts: As in `schedule`.
        import_kwh: From the grid in each interval; >= 0.
        export_kwh: To the grid in each interval; >= 0.
        hours: As in `schedule`.
        prices: As in `schedule`.
        before: Of the months before the first interval, for ratchets only.

    Raises:
        TariffError: As `schedule`; energy that is NaN or negative; a `before` that is not before.
    """
    return bill_of(
        schedule(tariff, starts, hours=hours, prices=prices), import_kwh, export_kwh, before=before
    )


def bill_of(
    laid: Schedule,
    import_kwh: Floats | Sequence[float],
    export_kwh: Floats | Sequence[float],
    *,
    before: SoFar | None = None,
) -> Bill:
    """Bill the intervals over which a tariff has been laid already; see `bill`."""
    bought = _whole(energies("import_kwh", import_kwh, len(laid)))
    sold = _whole(energies("export_kwh", export_kwh, len(laid)))
    earlier = _earlier(laid, before)
    periods = []
    for period in np.unique(laid.at.period).tolist():
        lines = _lines(laid, period, bought, sold, earlier)
        periods.append(Period(label(period), (*lines, *_taxes(laid.tariff, lines))))
    return Bill(laid.tariff.id, laid.tariff.currency, tuple(periods))


def _whole(kwh: Floats) -> Ints:
    return np.rint(kwh * NANO).astype(np.int64)


def _earlier(laid: Schedule, before: SoFar | None) -> list[dict[int, Decimal]]:
    """For each demand charge, the peaks of the months before, which the months of the bill will join."""
    if before is None:
        return [{} for _ in laid.demand]
    first = int(laid.at.period[0])
    if before.period is not None and before.period >= first:
        raise TariffError("before", found=label(before.period), allowed=f"a month before {label(first)}")
    state = roll(laid.tariff, before, first)
    return [{when: _milliwatts(Decimal(kw)) for when, kw in peak.earlier} for peak in state.peaks]


def _lines(
    laid: Schedule, period: int, bought: Ints, sold: Ints, earlier: list[dict[int, Decimal]]
) -> list[Line]:
    mine: Flags = laid.at.period == period
    lines = [line for priced in laid.charges for line in _energy(laid, priced, mine, bought, 1)]
    for tier, counts in zip(laid.tariff.tiers, laid.tiers, strict=True):
        lines += _tier(tier, int(bought[mine & counts].sum()), period)
    for stretches, peaks in zip(laid.demand, earlier, strict=True):
        peak_kw = _peak_kw(laid, stretches, mine & stretches.counts, bought)
        lines += _demand(stretches.charge, peak_kw, period, peaks)
    days = len(np.unique(laid.at.day[mine]))
    for fixed in laid.tariff.fixed:
        quantity = Decimal(days if fixed.per == "day" else 1)
        lines.append(
            Line("fixed", fixed.name, quantity, f"{fixed.per}s", fixed.amount, quantity * fixed.amount)
        )
    lines += [line for priced in laid.export for line in _energy(laid, priced, mine, sold, -1)]
    return lines


def _energy(laid: Schedule, priced: Priced, mine: Flags, energy: Ints, sign: int) -> list[Line]:
    """A line for each rate of a charge that was used; one for all where it follows a series."""
    parts, charge = laid.parts, priced.charge
    whole, seconds = energy[parts.interval], laid.seconds[parts.interval]
    # differences of whole shares of the running sum: the parts of an interval add up to it exactly
    kwh = whole * parts.to_s // seconds - whole * parts.from_s // seconds
    chosen = mine[parts.interval] & (kwh > 0)
    if charge.series is not None or charge.floor is not None or charge.cap is not None:
        return (
            [Line(charge.kind, charge.name, *_priced(kwh, priced.price, chosen, sign))]
            if chosen.any()
            else []
        )
    lines: list[Line] = []
    for number, rate in enumerate(charge.rates):
        used = chosen & (priced.rate == number)
        if used.any():
            name = f"{charge.name}, {rate.name}" if rate.name else charge.name
            line = Line(charge.kind, name, *_priced(kwh, priced.price, used, sign))
            lines.append(replace(line, price=rate.price))
    return _merged(lines)


def _priced(kwh: Ints, price: Ints, used: Flags, sign: int) -> tuple[Decimal, str, None, Decimal]:
    """Quantity, unit, price and amount of a line."""
    money = sum(a * b for a, b in zip(kwh[used].tolist(), price[used].tolist(), strict=True))
    return Decimal(int(kwh[used].sum())) / NANO, "kWh", None, Decimal(sign * money).scaleb(-18)


def _merged(lines: list[Line]) -> list[Line]:
    """Ranges of the clock with one name and one price are one line."""
    found: dict[tuple[str, Decimal | None], Line] = {}
    for line in lines:
        was = found.get((line.name, line.price))
        if was is not None and was.quantity is not None and line.quantity is not None:
            found[line.name, line.price] = replace(
                was, quantity=was.quantity + line.quantity, exact=was.exact + line.exact
            )
        else:
            found[line.name, line.price] = line
    return list(found.values())


def _tier(tier: Tier, counted: int, period: int) -> list[Line]:
    over = Decimal(counted) / NANO - threshold_kwh(tier, period)
    return [Line(tier.kind, tier.name, over, "kWh", tier.extra, over * tier.extra)] if over > 0 else []


def _demand(charge: DemandCharge, peak_kw: Decimal, period: int, peaks: dict[int, Decimal]) -> list[Line]:
    """The line of a demand charge in a month; its peak joins those of the months before."""
    since = period - charge.ratchet_months
    highest = max((kw for when, kw in peaks.items() if since <= when < period), default=Decimal(0))
    peaks[period] = peak_kw
    if period % 12 + 1 not in charge.months:
        return []
    billed = _milliwatts(max(peak_kw, charge.minimum_kw, charge.ratchet_share * highest))
    times = days_of(period) if charge.per == "day" else 1
    fees = [fee for above_kw, fee in charge.steps if billed > above_kw] or [
        fee for _, fee in charge.steps[:1]
    ]
    exact = times * (_through(charge, billed) + (fees[-1] if fees else Decimal(0)))
    price = charge.prices[0][1] * times if len(charge.prices) == 1 and not charge.steps else None
    return [Line("demand", charge.name, billed, "kW", price, exact)]


def _through(charge: DemandCharge, billed_kw: Decimal) -> Decimal:
    """A peak at the prices of the blocks that it fills."""
    ends = [*(above_kw for above_kw, _ in charge.prices[1:]), billed_kw]
    return sum(
        (price * max(Decimal(0), min(end, billed_kw) - above_kw))
        for (above_kw, price), end in zip(charge.prices, ends, strict=False)
    ) or Decimal(0)


def _peak_kw(laid: Schedule, stretches: Stretches, chosen: Flags, bought: Ints) -> Decimal:
    """Mean of the highest days; a day is its highest stretch."""
    if not chosen.any():
        return Decimal(0)
    block = blocks(stretches, slice(None), chosen)[chosen]
    begins = np.flatnonzero(np.diff(block, prepend=-1))
    energy = np.add.reduceat(bought[chosen], begins)
    seconds = np.add.reduceat(laid.seconds[chosen], begins)
    milliwatts = (energy * 72 + seconds * 10) // (seconds * 20)  # e / 1e9 kWh * 3600 / s * 1e6, half up
    day = laid.at.day[chosen][begins]
    highest = np.maximum.reduceat(milliwatts, np.flatnonzero(np.diff(day, prepend=day[0] - 1)))
    top = np.sort(highest)[::-1][: stretches.charge.top_days]
    return _milliwatts(Decimal(int(top.sum())) / 1_000_000 / stretches.charge.top_days)


def _milliwatts(kw: Decimal) -> Decimal:
    return kw.quantize(_MILLIWATT, ROUND_HALF_UP)


def _taxes(tariff: Tariff, lines: list[Line]) -> list[Line]:
    taxed: list[Line] = []
    for tax in tariff.taxes:
        base = sum((line.exact for line in lines if line.kind in tax.on), Decimal(0))
        taxed.append(Line("tax", tax.name, None, "", tax.share, base * tax.share))
    return taxed
