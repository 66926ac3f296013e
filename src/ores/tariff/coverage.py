"""Whether rates by the clock leave no hour without a price, and none that never counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ores.tariff.model import DAY_S, DAYS, HOLIDAY, MONTHS, Rate, TariffError, When

_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "a holiday")


def check_rates(setting: str, rates: Sequence[Rate], *, with_holidays: bool) -> None:
    """Check the rates of one charge.

    Args:
        setting: Where they stand.
        rates: The first that fits a moment counts.
        with_holidays: Whether the tariff has any.

    Raises:
        TariffError: An hour has no rate, or a rate has no hour of its own.
    """
    if not rates:
        raise TariffError(setting, found="nothing", allowed="at least one rate")
    times = sorted({0, DAY_S, *(t for rate in rates for t in (rate.when.from_s, rate.when.to_s))})
    kinds = sorted(DAYS if with_holidays else DAYS - {HOLIDAY})
    open_hours = np.ones((len(MONTHS), len(kinds), len(times) - 1), dtype=np.bool_)
    for number, rate in enumerate(rates):
        mine = np.zeros_like(open_hours)
        months = [month - 1 for month in sorted(rate.when.months)]
        days = [at for at, kind in enumerate(kinds) if kind in rate.when.days]
        hours = [at for at, start_s in enumerate(times[:-1]) if clock_within(rate.when, start_s)]
        mine[np.ix_(months, days, hours)] = True
        if not (mine & open_hours).any():
            allowed = "hours that no earlier rate has taken" if mine.any() else "hours that occur"
            raise TariffError(f"{setting}[{number}]", found="no hour of its own", allowed=allowed)
        open_hours &= ~mine
    if open_hours.any():
        month, kind, hour = (int(one) for one in np.argwhere(open_hours)[0])
        clock = f"{times[hour] // 3600:02d}:{times[hour] // 60 % 60:02d}"
        found = f"no rate in month {month + 1}, {_NAMES[kinds[kind]]}, at {clock}"
        raise TariffError(setting, found=found, allowed="rates that cover every hour of the year")


def clock_within(when: When, second: int) -> bool:
    """Whether a time of the clock lies in the range."""
    if when.from_s < when.to_s:
        return when.from_s <= second < when.to_s
    return second >= when.from_s or second < when.to_s
