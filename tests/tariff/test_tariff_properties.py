"""What holds of any bill, whoever writes the times and however finely the meter counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ores import tariff as t

Floats = NDArray[np.float64]

ZONES = [
    "Europe/Berlin",
    "America/Los_Angeles",
    "Australia/Melbourne",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "UTC",
]
FIELDS: dict[str, Any] = {
    "id": "any",
    "currency": "EUR",
    "rates": [
        {"days": "weekday", "from": "21:00", "to": "06:00", "import": 0.11, "name": "night"},
        {"months": [1, 2, 3, 10, 11, 12], "from": "16:00", "to": "21:00", "import": 0.37},
        {"days": ["holiday"], "import": 0.05},
        {"import": 0.23},
    ],
    "holidays": ["easter+1", "10-26", "01-01"],
    "export": 0.08,
    "tiers": [{"beyond_kwh_per_day": 2.5, "extra": 0.04}],
    "demand": [
        {"price": 4, "minutes": 60, "windows": [{"days": "weekday", "from": "15:00", "to": "21:00"}]},
        {"top_days": 3, "minutes": 60, "steps": [{"above_kw": 0, "fee": 5}, {"above_kw": 2, "fee": 9}]},
    ],
    "fixed_per_day": 0.3,
    "fixed_per_month": 7.5,
    "taxes": [{"name": "VAT", "share": 0.19}],
}


def tariff(zone: str) -> t.Tariff:
    return t.tariff(FIELDS | {"time_zone": zone})


def midnight(zone: str, year: int, month: int, day: int = 1) -> np.datetime64:
    local = datetime(year, month, day, tzinfo=ZoneInfo(zone))
    return np.datetime64(local.astimezone(UTC).replace(tzinfo=None), "s")


def grid(first: np.datetime64, last: np.datetime64, minutes: int) -> NDArray[np.datetime64]:
    return np.arange(first, last, np.timedelta64(minutes, "m"))


def metered(seed: int, count: int) -> Floats:
    return np.random.default_rng(seed).integers(0, 3000, count) / 1000


@settings(max_examples=40, deadline=None)
@given(zone=st.sampled_from(ZONES), month=st.integers(1, 12), seed=st.integers(0, 9999))
def test_a_bill_is_the_sum_of_its_months(zone: str, month: int, seed: int) -> None:
    one = tariff(zone)
    first, middle = midnight(zone, 2025, month, 20), midnight(zone, 2025 + month // 12, month % 12 + 1)
    early, late = grid(first, middle, 30), grid(middle, middle + np.timedelta64(9, "D"), 30)
    starts = np.concatenate([early, late])
    bought, sold = metered(seed, len(starts)), metered(seed + 1, len(starts))
    cut = len(early)
    whole = t.bill(one, starts, bought, sold, hours=0.5)
    parts = [
        t.bill(one, early, bought[:cut], sold[:cut], hours=0.5),
        t.bill(one, late, bought[cut:], sold[cut:], hours=0.5),
    ]
    assert whole.periods == (*parts[0].periods, *parts[1].periods)
    assert whole.total == parts[0].total + parts[1].total


@settings(max_examples=25, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    shown=st.sampled_from(ZONES),
    day=st.integers(0, 364),
    seed=st.integers(0, 9999),
)
def test_how_an_instant_is_written_changes_nothing(zone: str, shown: str, day: int, seed: int) -> None:
    one = tariff(zone)
    first = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=day)
    instants = [first + timedelta(minutes=30 * at) for at in range(100)]
    bought, sold = metered(seed, 100), metered(seed + 1, 100)
    plain = np.array([moment.replace(tzinfo=None) for moment in instants], dtype="datetime64[ns]")
    local = [moment.astimezone(ZoneInfo(shown)) for moment in instants]
    bills = [t.bill(one, plain, bought, sold, hours=0.5), t.bill(one, local, bought, sold, hours=0.5)]
    assert bills[0] == bills[1]


@settings(max_examples=40, deadline=None)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/Los_Angeles", "UTC"]),
    day=st.integers(0, 364),
    seed=st.integers(0, 9999),
    minutes=st.sampled_from([1, 5, 15, 30]),
)
def test_constant_power_costs_the_same_at_any_interval(zone: str, day: int, seed: int, minutes: int) -> None:
    one = tariff(zone)
    first = midnight(zone, 2025, 1) + np.timedelta64(day, "D")
    hours = grid(first, first + np.timedelta64(3, "D"), 60)
    fine = grid(first, first + np.timedelta64(3, "D"), minutes)
    times = 60 // minutes
    bought, sold = metered(seed, 72) * 60 / 1000, metered(seed + 1, 72) * 60 / 1000
    coarse = t.bill(one, hours, bought, sold)
    finer = t.bill(one, fine, np.repeat(bought, times) / times, np.repeat(sold, times) / times)
    assert finer.exact == coarse.exact
    assert [line.name for line in finer.periods[0].lines] == [line.name for line in coarse.periods[0].lines]


@settings(max_examples=30, deadline=None)
@given(zone=st.sampled_from(ZONES), month=st.integers(1, 12))
def test_every_moment_has_the_price_of_its_own_clock(zone: str, month: int) -> None:
    """The rates once more, moment by moment, from the standard library's own calendar."""
    one = tariff(zone)
    first = np.datetime64(f"2025-{month:02d}-20", "s")
    starts = grid(first, first + np.timedelta64(15, "D"), 30)
    prices = t.terms(one, starts).import_per_kwh / 1.19
    for start, price in zip(starts, prices, strict=True):
        local = start.item().replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
        holiday = (local.month, local.day) in {(1, 1), (10, 26), (4, 21)}
        if local.weekday() < 5 and not holiday and (local.hour >= 21 or local.hour < 6):
            expected = 0.11
        elif local.month in {1, 2, 3, 10, 11, 12} and 16 <= local.hour < 21:
            expected = 0.37
        else:
            expected = 0.05 if holiday else 0.23
        assert price == pytest.approx(expected), local


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 9999), at=st.integers(0, 99), bad=st.sampled_from([float("nan"), -1e-9, float("inf")])
)
def test_bad_energy_is_named_wherever_it_stands(seed: int, at: int, bad: float) -> None:
    starts = grid(midnight("UTC", 2025, 5), midnight("UTC", 2025, 6), 60)[:100]
    energy = metered(seed, 100)
    energy[at] = bad
    with pytest.raises(t.TariffError) as error:
        t.bill(tariff("UTC"), starts, energy, np.zeros(100))
    assert error.value.setting == f"import_kwh[{at}]"
    over = t.schedule(tariff("UTC"), starts)
    with pytest.raises(t.TariffError, match=rf"import_kwh\[{at}\]"):
        t.so_far(over, energy)


def test_more_import_never_costs_less_and_a_dearer_month_is_dearer() -> None:
    starts = grid(midnight("UTC", 2025, 5), midnight("UTC", 2025, 6), 60)
    low = t.bill(tariff("UTC"), starts, metered(1, len(starts)), np.zeros(len(starts)))
    high = t.bill(tariff("UTC"), starts, metered(1, len(starts)) + 0.5, np.zeros(len(starts)))
    assert high.total > low.total > Decimal(0)


@pytest.mark.parametrize(
    ("starts", "hours", "setting"),
    [
        ([datetime(2025, 1, 1, tzinfo=UTC).replace(tzinfo=None)], 1, "starts[0]"),
        ([datetime(2025, 1, 1, tzinfo=UTC)] * 2, 1, "starts[1]"),
        ([], 1, "starts"),
        ([datetime(2025, 1, 1, tzinfo=UTC)], None, "hours"),
        ([datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (0, 1, 3)], None, "hours"),
        ([datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (0, 1, 3)], 1.5, "hours[0]"),
        ([datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (0, 1, 3)], float("nan"), "hours"),
        ([datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (0, 1, 3)], np.ones(2), "hours"),
        ([datetime(2025, 1, 1, hour, tzinfo=UTC) for hour in (0, 1, 3)], 0.0001, "hours"),
        (np.array(["NaT"], dtype="datetime64[s]"), 1, "starts"),
    ],
)
def test_intervals_that_cannot_be_billed_are_named(starts: Any, hours: Any, setting: str) -> None:
    with pytest.raises(t.TariffError) as error:
        t.terms(tariff("UTC"), starts, hours=hours)
    assert error.value.setting == setting


def test_intervals_may_have_lengths_of_their_own_and_gaps() -> None:
    starts = [datetime(2025, 1, 1, 12, minute, tzinfo=UTC) for minute in (0, 5, 10, 15, 45)]
    terms = t.terms(tariff("UTC"), starts, hours=np.array([5, 5, 5, 15, 60]) / 60)
    np.testing.assert_allclose(terms.hours * 60, [5, 5, 5, 15, 60])
