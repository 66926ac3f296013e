"""The local clock and its holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ores.tariff import calendar

ZONES = [
    "Europe/Berlin",
    "America/Phoenix",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Pacific/Apia",
]


@settings(max_examples=150, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    seconds=st.lists(st.integers(946_684_800, 1_893_456_000), min_size=1, max_size=3),
)
def test_the_clock_of_many_is_the_clock_of_each(zone: str, seconds: list[int]) -> None:
    found = calendar.local(zone, np.array(seconds))
    for at, second in enumerate(seconds):
        local = datetime.fromtimestamp(second, ZoneInfo(zone))
        assert found.second[at] == local.hour * 3600 + local.minute * 60 + local.second
        assert found.day[at] == (local.date() - date(1970, 1, 1)).days
        assert (found.month[at], found.kind[at]) == (local.month, local.weekday())
        assert calendar.label(int(found.period[at])) == local.strftime("%Y-%m")


def test_the_clock_changes_to_the_second() -> None:
    change = int(datetime(2025, 3, 30, 1, tzinfo=UTC).timestamp())
    found = calendar.local("Europe/Berlin", np.array([change - 1, change]))
    assert found.offset_s.tolist() == [3600, 7200]


@pytest.mark.parametrize(
    ("rule", "year", "days"),
    [
        ("12-25", 2025, ["2025-12-25"]),
        ("07-04+mon", 2021, ["2021-07-04", "2021-07-05"]),
        ("07-04+mon", 2026, ["2026-07-04"]),
        ("last mon 05", 2025, ["2025-05-26"]),
        ("1 mon 09", 2025, ["2025-09-01"]),
        ("4 thu 11", 2025, ["2025-11-27"]),
        ("easter", 2000, ["2000-04-23"]),
        ("easter-2", 2024, ["2024-03-29"]),
        ("easter+39", 2038, ["2038-06-03"]),
        ("02-29", 2025, []),
        ("02-29", 2024, ["2024-02-29"]),
        ("2024-06-21", 2025, []),
        ("2024-06-21", 2024, ["2024-06-21"]),
    ],
)
def test_holidays(rule: str, year: int, days: list[str]) -> None:
    calendar.check_holiday("holidays[0]", rule)
    found = calendar.holiday_days((rule,), year, year)
    assert [str(date(1970, 1, 1) + timedelta(days=int(day))) for day in found] == days
