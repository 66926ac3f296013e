"""The local clock over many instants: months, kinds of day, time of day, and where ranges of it begin."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from ores.tariff.model import DAY_S, HOLIDAY, TariffError, When
from ores.tariff.terms import Ints

_EPOCH = date(1970, 1, 1)
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE = re.compile(
    r"(?P<year>\d{4})-(?P<full>\d\d-\d\d)"
    r"|(?P<fixed>\d\d-\d\d)(?P<moved>\+mon)?"
    r"|(?P<nth>[1-4]|last) (?P<weekday>mon|tue|wed|thu|fri|sat|sun) (?P<month>\d\d)"
    r"|easter(?P<offset>[+-]\d{1,3})?"
)
HOLIDAY_FORMS = (
    '"2026-12-24", "12-25", "07-04+mon" (and the Monday after, when it is a Sunday), '
    '"4 thu 11" (fourth Thursday of November), "last mon 05", "easter", "easter+1"'
)


@dataclass(frozen=True, slots=True)
class Local:
    """Instants by the local clock; every array has one value for each instant.

    Attributes:
        offset_s: Local clock less UTC.
        second: Of the local day.
        day: Local days since 1970.
        period: Local months since year 0.
        month: 1 to 12.
        kind: 0 Monday to 6 Sunday, 7 a holiday.
    """

    offset_s: Ints
    second: Ints
    day: Ints
    period: Ints
    month: Ints
    kind: Ints


def local(zone: str, utc_s: Ints, holidays: tuple[str, ...] = ()) -> Local:
    """Read the local clock at these instants."""
    changes, offsets = _offsets_for(zone, utc_s)
    offset_s = offsets[np.searchsorted(changes, utc_s, side="right") - 1]
    day, second = np.divmod(utc_s + offset_s, DAY_S)
    months = day.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) + 1970 * 12
    kind = (day + 3) % 7
    if holidays and len(day):
        first, last = int(months.min()) // 12, int(months.max()) // 12
        kind = np.where(np.isin(day, holiday_days(holidays, first, last)), HOLIDAY, kind)
    return Local(offset_s, second, day, months, months % 12 + 1, kind)


def within(when: When, at: Local) -> NDArray[np.bool_]:
    """Which of these instants lie in these hours."""
    if when.from_s < when.to_s:
        clock = (at.second >= when.from_s) & (at.second < when.to_s)
    else:
        clock = (at.second >= when.from_s) | (at.second < when.to_s)
    months = np.isin(np.arange(13), list(when.months))
    days = np.isin(np.arange(8), list(when.days))
    answer: NDArray[np.bool_] = clock & months[at.month] & days[at.kind]
    return answer


def clock_cuts(zone: str, clock_s: Iterable[int], first_s: int, last_s: int) -> Ints:
    """All instants between two at which the local clock shows one of these times, or is put forward or back.

    Some more may be among them; between two neighbours, the answer of `within` never changes.

    Args:
        zone: IANA name.
        clock_s: Times of the clock, in s of the day.
        first_s: In s since 1970 UTC.
        last_s: In s since 1970 UTC.
    """
    changes, offsets = _offsets_for(zone, np.array([first_s, last_s], dtype=np.int64))
    days = np.arange(first_s // DAY_S - 2, last_s // DAY_S + 3, dtype=np.int64) * DAY_S
    times = np.array(sorted({second % DAY_S for second in clock_s} | {0}), dtype=np.int64)
    wall = (days[:, None] + times[None, :]).ravel()
    instants = np.concatenate([changes, *(wall - offset for offset in np.unique(offsets))])
    return np.unique(instants[(instants > first_s) & (instants < last_s)])


def days_of(period: int) -> int:
    """How many days the month has that is `period` months after the beginning of year 0."""
    return calendar.monthrange(period // 12, period % 12 + 1)[1]


def label(period: int) -> str:
    """A period as people write it: `2026-03`."""
    return f"{period // 12:04d}-{period % 12 + 1:02d}"


@lru_cache(maxsize=64)
def holiday_days(rules: tuple[str, ...], first_year: int, last_year: int) -> Ints:
    """Holidays as local days since 1970."""
    found: set[int] = set()
    for rule in rules:
        for year in range(first_year, last_year + 1):
            found.update((day - _EPOCH).days for day in _holidays(rule, year))
    return np.array(sorted(found), dtype=np.int64)


def check_holiday(setting: str, rule: str) -> None:
    """Whether a rule is one of `HOLIDAY_FORMS`.

    Raises:
        TariffError: It is not.
    """
    try:
        if _RULE.fullmatch(rule) is not None:
            _holidays(rule, 2000)  # a leap year: 02-29 is a date
            return
    except ValueError:
        pass
    raise TariffError(setting, found=rule, allowed=HOLIDAY_FORMS)


def _holidays(rule: str, year: int) -> list[date]:
    parts = _RULE.fullmatch(rule)
    if parts is None:
        raise ValueError(rule)
    if parts["full"]:
        day = date.fromisoformat(rule)
        return [day] if day.year == year else []
    if parts["fixed"]:
        return _fixed(parts["fixed"], year, moved=parts["moved"] is not None)
    if parts["nth"]:
        return [_nth_weekday(year, int(parts["month"]), _WEEKDAYS.index(parts["weekday"]), parts["nth"])]
    return [_easter(year) + timedelta(days=int(parts["offset"] or 0))]


def _fixed(month_day: str, year: int, *, moved: bool) -> list[date]:
    if month_day == "02-29" and not calendar.isleap(year):
        return []
    day = date.fromisoformat(f"{year:04d}-{month_day}")
    return [day, day + timedelta(days=1)] if moved and day.weekday() == 6 else [day]


def _nth_weekday(year: int, month: int, weekday: int, nth: str) -> date:
    if nth == "last":
        end = date(year, month, calendar.monthrange(year, month)[1])
        return end - timedelta(days=(end.weekday() - weekday) % 7)
    start = date(year, month, 1)
    return start + timedelta(days=(weekday - start.weekday()) % 7 + 7 * (int(nth) - 1))


def _easter(year: int) -> date:
    """Easter Sunday of the Gregorian calendar: Meeus, Astronomical Algorithms, chapter 8."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    ell = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * ell) // 451
    month, day = divmod(h + ell - 7 * m + 114, 31)
    return date(year, month, day + 1)


def _offsets_for(zone: str, utc_s: Ints) -> tuple[Ints, Ints]:
    if len(utc_s) == 0:
        return np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)
    years = (
        np.array([utc_s.min() - DAY_S, utc_s.max() + DAY_S]).astype("datetime64[s]").astype("datetime64[Y]")
    )
    first, last = (years.astype(np.int64) + 1970).tolist()
    return _offsets(zone, first, last)


@lru_cache(maxsize=256)
def _offsets(zone: str, first_year: int, last_year: int) -> tuple[Ints, Ints]:
    """When the offset of a zone changes in these years, and what it is from then on; first, the start."""
    tz = ZoneInfo(zone)

    def offset_s(utc_s: int) -> int:
        shift = datetime.fromtimestamp(utc_s, tz).utcoffset()
        return 0 if shift is None else int(shift.total_seconds())

    start = (date(first_year, 1, 1) - _EPOCH).days
    end = (date(last_year + 1, 1, 1) - _EPOCH).days
    changes, offsets = [start * DAY_S], [offset_s(start * DAY_S)]
    for day in range(start, end):
        low, high = day * DAY_S, (day + 1) * DAY_S
        after = offset_s(high)
        if after == offsets[-1]:
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if offset_s(middle) == after else (middle, high)
        changes.append(high)
        offsets.append(after)
    return np.array(changes, dtype=np.int64), np.array(offsets, dtype=np.int64)
