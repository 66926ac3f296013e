"""What a tariff consists of. A file is read into these by `ores.tariff.parse.tariff`.

Prices are in the tariff's currency, before taxes that are a share (`Tax`). Clock times are those of the
tariff's time zone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ores.tariff.terms import Floats, Ints

Kind = Literal["energy", "grid", "levy", "demand", "fixed", "export"]
Per = Literal["day", "month"]

DAY_S = 86_400
HOLIDAY = 7
MONTHS = frozenset(range(1, 13))
DAYS = frozenset(range(8))


class TariffError(ValueError):
    """A human must act: a tariff, or what is to be billed by it, is not as it must be.

    Args:
        setting: The field, as the person wrote it: `demand[0].minutes`.
        found: What was found there.
        allowed: What is allowed.
    """

    def __init__(self, setting: str, *, found: object, allowed: str) -> None:
        super().__init__(f"{setting}: found {found!r}, allowed is {allowed}")
        self.setting = setting
        self.found = found
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class When:
    """Some of the hours of a year, by the local clock.

    A range past midnight (22:00 to 06:00) is 00:00 to 06:00 and 22:00 to 24:00 of each day by itself: what
    counts is the month and the day of the moment, not those of the evening before.

    Attributes:
        months: 1 to 12.
        days: 0 Monday to 6 Sunday, 7 a holiday of the tariff, whatever its weekday.
        from_s: Start, in seconds of the clock; included; 0 to 86399.
        to_s: End, in seconds of the clock; excluded; 1 to 86400; before `from_s` where it passes midnight.
    """

    months: frozenset[int] = MONTHS
    days: frozenset[int] = DAYS
    from_s: int = 0
    to_s: int = DAY_S


@dataclass(frozen=True, slots=True)
class Rate:
    """A price per kWh at some hours."""

    when: When
    price: Decimal
    name: str = ""


@dataclass(frozen=True, slots=True)
class EnergyCharge:
    """One part of what a kWh costs, or of what it earns.

    The price is `factor` × series + rate, held between `floor` and `cap`. The charges of a tariff add up.

    Attributes:
        name: On the bill.
        kind: What it is, for `Tax.on`.
        rates: The first that fits the moment counts; together they cover every hour, or there are none.
        series: Name of the series of prices that it follows, if any.
        factor: On the series.
        floor: The price is never below.
        cap: The price is never above.
    """

    name: str
    kind: Kind
    rates: tuple[Rate, ...] = ()
    series: str | None = None
    factor: Decimal = Decimal(1)
    floor: Decimal | None = None
    cap: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Tier:
    """Import that costs more, or less, beyond an amount in a month.

    Attributes:
        beyond_kwh: The amount; > 0.
        per_day: Whether the amount is for each day of the calendar month.
        extra: For each kWh beyond, on top of the charges.
        when: What counts towards the amount.
    """

    name: str
    kind: Kind
    beyond_kwh: Decimal
    extra: Decimal
    per_day: bool = False
    when: When = When()


@dataclass(frozen=True, slots=True)
class DemandCharge:
    """A charge on the highest mean import in a month.

    The mean is that of fixed stretches of the clock. The *peak* of a month is the mean of its `top_days`
    highest days, a day standing for its highest stretch; days that are missing count as 0. Billed is the
    peak, or `minimum_kw` or the ratchet if that is more.

    Attributes:
        minutes: Length of a stretch; divides an hour, so that no change of the clock cuts one.
        windows: Only import within any of these counts.
        months: Billed in these.
        prices: `(above_kw, price)` from 0 up, prices rising: for each kW of the peak beyond `above_kw`, up
            to the next one. Empty where there are steps only.
        steps: `(above_kw, fee)` rising: the fee of the highest step that the peak is beyond; the first is
            due always.
        per: Whether prices and fees are for a month or for each day of the calendar month.
        top_days: >= 1.
        minimum_kw: >= 0.
        ratchet_share: Of the highest peak of the `ratchet_months` before; 0 to 1.
        ratchet_months: >= 0.
    """

    name: str
    minutes: int
    windows: tuple[When, ...] = (When(),)
    months: frozenset[int] = MONTHS
    prices: tuple[tuple[Decimal, Decimal], ...] = ()
    steps: tuple[tuple[Decimal, Decimal], ...] = ()
    per: Per = "month"
    top_days: int = 1
    minimum_kw: Decimal = Decimal(0)
    ratchet_share: Decimal = Decimal(0)
    ratchet_months: int = 0


@dataclass(frozen=True, slots=True)
class FixedCharge:
    """Due for each local day with an interval, or once for each month with one."""

    name: str
    amount: Decimal
    per: Per


@dataclass(frozen=True, slots=True)
class Tax:
    """A share of other lines of the bill; a tax per kWh is an `EnergyCharge` of kind `levy`."""

    name: str
    share: Decimal
    on: frozenset[Kind] = frozenset({"energy", "grid", "levy", "demand", "fixed"})


@dataclass(frozen=True, slots=True)
class SeriesSource:
    """A series of prices that the tariff needs, and where its file says that they are.

    Attributes:
        name: As in `EnergyCharge.series` and in the `prices` of `bill`.
        file: Beside the tariff's own file, if given there.
        column: Of that file.
    """

    name: str
    file: str | None = None
    column: str | None = None


@dataclass(frozen=True, slots=True)
class Tariff:
    """What energy costs one home. Billed by the calendar month of `time_zone`."""

    id: str
    currency: str
    time_zone: str
    charges: tuple[EnergyCharge, ...]
    export: tuple[EnergyCharge, ...] = ()
    tiers: tuple[Tier, ...] = ()
    demand: tuple[DemandCharge, ...] = ()
    fixed: tuple[FixedCharge, ...] = ()
    taxes: tuple[Tax, ...] = ()
    holidays: tuple[str, ...] = ()
    series: tuple[SeriesSource, ...] = field(default=())

    def with_taxes(self, kind: Kind) -> Decimal:
        """What 1 of this kind costs with all taxes on it."""
        return 1 + sum((tax.share for tax in self.taxes if kind in tax.on), Decimal(0))


Starts = NDArray[np.datetime64] | Sequence[datetime]


@dataclass(frozen=True, slots=True)
class PriceSeries:
    """Prices over time: each holds from its start to its end, or to the next start.

    Attributes:
        start_s: In s since 1970 UTC, rising.
        per_kwh: Shape as `start_s`; NaN where it is not known.
        end_s: Until when each holds; shape as `start_s`.
    """

    start_s: Ints
    per_kwh: Floats
    end_s: Ints

    @classmethod
    def of(
        cls, starts: Starts, per_kwh: Sequence[float] | Floats, *, hours: float | None = None
    ) -> PriceSeries:
        """A series from the starts of its prices.

        Args:
            starts: Aware, or numpy datetime64 in UTC; rising.
            per_kwh: One price for each; NaN where it is not known.
            hours: How long a price holds at most, > 0, so that one that is missing is noticed. By default,
                each holds until the next start, and the last as long as the one before.

        Raises:
            TariffError: Starts that do not rise or are naive, or another number of prices.
        """
        start_s = utc_seconds("starts", starts)
        values = np.asarray(per_kwh, dtype=np.float64)
        if len(start_s) == 0 or values.shape != start_s.shape:
            raise TariffError("per_kwh", found=f"{values.size} prices", allowed=f"{len(start_s)}, at least 1")
        if np.isinf(values).any():
            raise TariffError("per_kwh", found="inf", allowed="finite prices, NaN where one is not known")
        if hours is None and len(start_s) == 1:
            raise TariffError("hours", found=None, allowed="a length in hours, where there is only one price")
        if hours is not None and not 0 < hours < 1e6:
            raise TariffError("hours", found=hours, allowed="a length in hours, > 0")
        steps = np.diff(start_s)
        most_s = int(steps[-1]) if hours is None else round(hours * 3600)
        held = np.append(steps if hours is None else np.minimum(steps, most_s), most_s)
        return cls(start_s, values, start_s + held)


Prices = Mapping[str, PriceSeries]


def utc_seconds(setting: str, starts: Starts) -> Ints:
    """Instants as whole seconds since 1970 UTC.

    Raises:
        TariffError: One that is naive or not a time, or that does not lie after the one before.
    """
    if isinstance(starts, np.ndarray) and np.issubdtype(starts.dtype, np.datetime64):
        if np.isnat(starts).any():
            raise TariffError(setting, found="NaT", allowed="instants")
        seconds = starts.astype("datetime64[s]").astype(np.int64)
    else:
        seconds = np.array(
            [_instant_s(setting, at, moment) for at, moment in enumerate(starts)], dtype=np.int64
        )
    late = np.flatnonzero(np.diff(seconds) <= 0)
    if late.size:
        at = int(late[0]) + 1
        raise TariffError(f"{setting}[{at}]", found=str(starts[at]), allowed=f"later than {starts[at - 1]}")
    return seconds


def _instant_s(setting: str, at: int, moment: datetime) -> int:
    if moment.tzinfo is None:
        raise TariffError(f"{setting}[{at}]", found=moment, allowed="a datetime with its time zone")
    return round(moment.timestamp())
