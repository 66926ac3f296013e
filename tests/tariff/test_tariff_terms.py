"""What a planner is told is what the bill will say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ores import tariff as t
from ores.tariff.terms import block_means_kw

Floats = NDArray[np.float64]
Make = Callable[..., t.Tariff]
FromLocal = Callable[..., NDArray[np.datetime64]]

RATES = [
    {"from": "02:54", "to": "15:24", "import": 0.1907, "name": "day"},
    {"days": "weekend", "import": 0.1},
    {"import": 0.1419},
]
VAT = [{"name": "VAT", "share": 0.21}]
TARIFFS: dict[str, dict[str, Any]] = {
    "clock": {"rates": RATES, "export": 0.065, "taxes": VAT},
    "dynamic": {
        "charges": [
            {"series": "spot", "factor": 1.1, "cap": 0.3},
            {"kind": "grid", "rates": [{"price": 0.03}]},
        ],
        "export": "spot",
        "taxes": VAT,
    },
    "tiers": {
        "rates": RATES,
        "tiers": [
            {"beyond_kwh": 60, "extra": 0.08},
            {"beyond_kwh_per_day": 1, "extra": -0.03, "days": "weekday", "from": "08:00", "to": "20:00"},
        ],
        "taxes": VAT,
    },
    "demand": {
        "rates": RATES,
        "demand": [
            {"price": 3.5, "minutes": 15, "minimum_kw": 2.5},
            {
                "minutes": 60,
                "per": "day",
                "windows": [{"days": "weekday", "from": "15:00", "to": "21:00"}],
                "prices": [
                    {"above_kw": 0, "price": 0.1},
                    {"above_kw": 3, "price": 0.3},
                    {"above_kw": 5, "price": 0.9},
                ],
            },
            {"price": 2, "minutes": 30, "months": [3]},
        ],
        "taxes": [{"name": "VAT", "share": 0.21, "on": ["demand"]}],
    },
    "days": {
        "rates": RATES,
        "demand": [
            {
                "top_days": 3,
                "steps": [
                    {"above_kw": 0, "fee": 83},
                    {"above_kw": 2, "fee": 147},
                    {"above_kw": 5, "fee": 252},
                    {"above_kw": 6, "fee": 371},
                ],
            },
            {
                "top_days": 2,
                "minutes": 30,
                "prices": [{"above_kw": 0, "price": 1}, {"above_kw": 4, "price": 2}],
            },
        ],
        "taxes": VAT,
    },
}
ZONE = "Europe/Berlin"
FIRST = np.datetime64(
    "2025-03-27T23:00", "s"
)  # Friday 28 March, 00:00 in Berlin; the clock changes on the 30th
DAYS = 6


def starts(minutes: int) -> NDArray[np.datetime64]:
    return FIRST + np.arange(DAYS * 1440 // minutes) * np.timedelta64(minutes, "m")


@cache
def laid(name: str, minutes: int) -> t.Schedule:
    one = t.tariff({"id": name, "currency": "EUR", "time_zone": ZONE} | TARIFFS[name])
    hours = FIRST + np.arange(DAYS * 24) * np.timedelta64(1, "h")
    spot = 0.1 + 0.3 * np.sin(np.arange(DAYS * 24))
    return t.schedule(one, starts(minutes), prices={"spot": t.PriceSeries.of(hours, spot)})


def energies(count: int) -> st.SearchStrategy[Floats]:
    """Whole Wh, in runs, so that a step is either reached or missed by more than rounding."""
    runs = st.lists(st.tuples(st.integers(0, 4000), st.integers(1, 40)), min_size=1, max_size=12)
    return runs.map(lambda found: np.resize(np.repeat(*np.array(found).T), count) / 1000)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(TARIFFS)), minutes=st.sampled_from([15, 30, 60]))
def test_terms_cost_what_the_bill_changes_by(data: st.DataObject, name: str, minutes: int) -> None:
    over = laid(name, minutes)
    first = data.draw(st.integers(0, len(over) - 1), "first")
    last = data.draw(st.integers(first + 1, len(over)), "last")
    past = data.draw(energies(len(over)), "past") * (minutes / 60)
    bought = data.draw(energies(last - first), "import") * (minutes / 60)
    sold = data.draw(energies(last - first), "export")
    terms = t.terms_of(over, t.so_far(over, past[:first], last=first), first, last)
    assert_bill_agrees(over, terms, past[:first], bought, sold)


def assert_bill_agrees(
    over: t.Schedule,
    terms: t.Terms,
    past: Floats,
    bought: Floats,
    sold: Floats,
    *,
    before: t.SoFar | None = None,
) -> None:
    first, last = len(past), len(past) + len(bought)
    some = t.schedule(over.tariff, as_dates(over, 0, last), hours=over.hours[:last], prices=prices_of(over))
    none = np.zeros(len(bought))

    def billed(imported: Floats, exported: Floats) -> float:
        whole = np.concatenate([past, imported])
        return float(t.bill_of(some, whole, np.concatenate([np.zeros(first), exported]), before=before).exact)

    changed = billed(bought, sold) - billed(none, none)
    assert t.cost(terms, bought, sold) - t.cost(terms, none, none) == pytest.approx(changed, abs=2e-4)


def as_dates(over: t.Schedule, first: int, last: int) -> NDArray[np.datetime64]:
    return over.start_s[first:last].astype("datetime64[s]")


def prices_of(over: t.Schedule) -> dict[str, t.PriceSeries]:
    hours = FIRST + np.arange(DAYS * 24) * np.timedelta64(1, "h")
    return {"spot": t.PriceSeries.of(hours, 0.1 + 0.3 * np.sin(np.arange(DAYS * 24)))}


@settings(max_examples=60, deadline=None)
@given(data=st.data(), earlier=st.integers(0, 12), first=st.integers(0, 71))
def test_terms_know_the_ratchet(data: st.DataObject, earlier: int, first: int) -> None:
    demand = {"price": 7, "minutes": 30, "ratchet": {"share": 0.5, "months": 2}}
    one = t.tariff({"id": "r", "currency": "EUR", "time_zone": ZONE, "rates": RATES, "demand": [demand]})
    january = t.schedule(one, np.array(["2025-01-15T10:00"], dtype="datetime64[s]"), hours=0.5)
    before = t.so_far(january, np.array([earlier / 2]))
    over = t.schedule(one, starts(60)[:72])
    past = data.draw(energies(first))[:first]
    bought = data.draw(energies(72 - first))
    terms = t.terms_of(over, t.so_far(over, past, before=before, last=first), first, 72)
    assert_bill_agrees(over, terms, past, bought, np.zeros(72 - first), before=before)


@pytest.mark.parametrize("name", sorted(TARIFFS))
def test_terms_of_a_window_are_the_terms_of_its_intervals(name: str) -> None:
    over = laid(name, 15)
    past = np.full(100, 0.7)
    had = t.so_far(over, past, last=100)
    here = t.terms_of(over, had, 100, 200)
    there = t.terms(over.tariff, as_dates(over, 100, 200), prices=prices_of(over), so_far=had)
    for one, other in zip(flattened(here), flattened(there), strict=True):
        np.testing.assert_allclose(one, other)


def flattened(terms: t.Terms) -> Sequence[Any]:
    many = (*terms.peaks, *terms.tiers, *terms.days)
    fields = [getattr(one, name) for one in many for name in one.__slots__ if name != "steps"]
    return [terms.hours, terms.import_per_kwh, terms.export_per_kwh, *fields]


def test_counting_one_by_one_is_counting_at_once() -> None:
    over = laid("days", 15)
    energy = np.linspace(0, 2, len(over))
    state: t.SoFar | None = None
    for at, kwh in enumerate(energy):
        state = t.so_far(over, np.array([kwh]), before=state, first=at, last=at + 1)
    assert state == t.so_far(over, energy)


def test_a_month_that_is_over_is_refused() -> None:
    over = laid("demand", 60)
    had = t.so_far(over, np.ones(len(over)))
    with pytest.raises(t.TariffError, match="so_far: found '2025-04', allowed is 2025-03 or a month before"):
        t.terms_of(over, had, 0, 10)


def test_a_peak_so_far_is_free_to_reach(make: Make, from_local: FromLocal) -> None:
    tariff = make(demand=[{"price": 10, "minutes": 60}])
    hours = from_local("2025-01-01", ZONE, 48)
    over = t.schedule(tariff, hours)
    (peak,) = t.terms_of(over, t.so_far(over, np.array([3.0, 5, 1]), last=3), 3).peaks
    assert (peak.so_far_kw, peak.price_per_kw, peak.begun_hours) == (5, 10, 0)
    assert peak.block[:3].tolist() == [0, 1, 2]


def test_an_hour_under_way_remembers_its_beginning(make: Make, from_local: FromLocal) -> None:
    tariff = make(demand=[{"price": 10, "minutes": 60}])
    over = t.schedule(tariff, from_local("2025-01-01", ZONE, 12, 15))
    (peak,) = t.terms_of(over, t.so_far(over, np.array([3.0, 1]), last=2), 2).peaks
    assert (peak.begun_kwh, peak.begun_hours, peak.so_far_kw) == (4, 0.5, 0)
    assert peak.block.tolist() == [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_an_hour_under_way_can_still_be_the_peak() -> None:
    over = t.schedule(hourly_demand(), as_dates(laid("demand", 15), 0, 11))
    past, bought = np.array([0.0, 0, 0, 0, 1, 1.5]), np.array([2.0, 0, 0.5, 0.5, 0])
    terms = t.terms_of(over, t.so_far(over, past, last=6), 6)
    np.testing.assert_allclose(block_means_kw(terms.peaks[0], terms.hours, bought), [4.5, 4 / 3])
    assert t.cost(terms, bought, np.zeros(5)) - float(terms.import_per_kwh @ bought) == pytest.approx(4.5 * 3)
    assert_bill_agrees(over, terms, past, bought, np.zeros(5))


def hourly_demand() -> t.Tariff:
    one = {"id": "h", "currency": "EUR", "time_zone": ZONE, "rates": RATES}
    return t.tariff(one | {"demand": [{"price": 3, "minutes": 60}]})


def test_two_months_have_a_term_each(make: Make, from_local: FromLocal) -> None:
    tariff = make(demand=[{"price": 10, "minutes": 60}], tiers=[{"beyond_kwh": 9, "extra": 0.1}])
    over = t.schedule(tariff, from_local("2025-01-31T20:00", ZONE, 8))
    terms = t.terms_of(over, t.so_far(over, np.array([4.0]), last=1), 1)
    assert [peak.block.tolist() for peak in terms.peaks] == [
        [0, 1, 2, -1, -1, -1, -1],
        [-1, -1, -1, 0, 1, 2, 3],
    ]
    assert [peak.so_far_kw for peak in terms.peaks] == [4, 0]
    assert [tier.left_kwh for tier in terms.tiers] == [5, 9]
    assert [int(tier.counts.sum()) for tier in terms.tiers] == [3, 4]


def test_steps_that_are_climbed_are_left_out(published: dict[str, t.Tariff], from_local: FromLocal) -> None:
    hours = from_local("2022-03-01", "Europe/Oslo", 96)
    spot = {"spot": t.PriceSeries.of(hours, np.zeros(96))}
    over = t.schedule(published["no-tensio-2022-tiered-peak"], hours, prices=spot)
    past = np.zeros(60)
    past[[5, 30, 50, 51]] = [9, 4, 5, 6]
    (days,) = t.terms_of(over, t.so_far(over, past, last=60), 60).days
    assert days.earlier_kw == (9, 4, 0)[:3]
    assert days.today_kw == 6
    assert days.so_far_kw == pytest.approx(19 / 3)
    assert days.steps == ((10, 119), (15, 119))
    assert days.day[[0, 11, 12, 35]].tolist() == [0, 0, 1, 1]
