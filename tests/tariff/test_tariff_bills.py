"""Bills against sums done by hand, written beside them."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from ores import tariff as t

D = Decimal
Make = Callable[..., t.Tariff]
FromLocal = Callable[..., NDArray[np.datetime64]]

PACIFIC, OSLO, MELBOURNE, PHOENIX = (
    "America/Los_Angeles",
    "Europe/Oslo",
    "Australia/Melbourne",
    "America/Phoenix",
)


def flat(starts: NDArray[np.datetime64], kwh: float) -> NDArray[np.float64]:
    return np.full(len(starts), kwh)


def at(starts: NDArray[np.datetime64], **kwh: float) -> NDArray[np.float64]:
    """Nothing but at these numbers: n5=1.5."""
    energy = np.zeros(len(starts))
    for number, value in kwh.items():
        energy[int(number[1:])] = value
    return energy


def lines(bill: t.Bill, month: str | None = None) -> dict[str, Decimal]:
    chosen = [period for period in bill.periods if month in {None, period.month}]
    return {line.name: line.amount for period in chosen for line in period.lines}


@pytest.mark.parametrize(
    ("day", "hours", "total"),
    [
        ("2024-07-01", 24, "6.88"),  # a Monday: 19 × 0.22 + 5 × 0.54
        ("2024-07-06", 24, "6.18"),  # a Saturday: 19 × 0.22 + 5 × 0.40
        ("2024-01-15", 24, "6.49"),  # 19 × 0.21 + 5 × 0.50
        ("2024-03-10", 23, "6.28"),  # the clock goes forward: 18 × 0.21 + 5 × 0.50
        ("2024-11-03", 25, "6.70"),  # and back: 20 × 0.21 + 5 × 0.50
    ],
)
def test_a_day_of_one_kw(
    published: dict[str, t.Tariff], from_local: FromLocal, day: str, hours: int, total: str
) -> None:
    starts = from_local(day, PACIFIC, hours)
    bill = t.bill(published["us-ca-sce-tou-d-prime-citylearn2022"], starts, flat(starts, 1), flat(starts, 5))
    assert bill.total == D(total)
    assert len(bill.periods) == 1


def test_a_price_that_changes_inside_an_interval_takes_its_share(
    published: dict[str, t.Tariff], from_local: FromLocal
) -> None:
    # 02:45 to 03:00: 9 of 15 min at 0.1419, 6 at 0.1907
    starts = from_local("2024-05-01T02:45", "Europe/Paris", 2, 15)
    bill = t.bill(published["fr-hphc-emhass"], starts, [1, 0], [0, 2])
    assert bill.exact == D("0.6") * D("0.1419") + D("0.4") * D("0.1907") - 2 * D("0.065")
    assert [(line.name, line.quantity, line.amount) for line in bill.periods[0].lines] == [
        ("energy, peak", D("0.4"), D("0.08")),
        ("energy, off-peak", D("0.6"), D("0.09")),
        ("export", D(2), D("-0.13")),
    ]


def test_parts_of_an_interval_add_up_to_it(published: dict[str, t.Tariff], from_local: FromLocal) -> None:
    starts = from_local("2024-05-01T02:45", "Europe/Paris", 2, 7)
    bill = t.bill(published["fr-hphc-emhass"], starts, [0.000000001, 0.333333333], [0, 0])
    assert sum(line.quantity or 0 for line in bill.periods[0].lines) == D("0.333333334")


def test_blocks_of_demand_on_peak(published: dict[str, t.Tariff], from_local: FromLocal) -> None:
    # Friday 2025-08-01. On-peak from 13:00, half hours: 4 + 2 kWh make 12 kW; 20 kW at noon do not count.
    starts = from_local("2025-08-01", PHOENIX, 96, 15)
    bill = t.bill(published["us-az-srp-e27-2015"], starts, at(starts, n48=5, n52=4, n53=2), at(starts, n0=10))
    assert lines(bill) == {
        "energy, summer_peak on-peak": D("0.38"),  # 6 × 0.0633
        "energy, summer_peak off-peak": D("0.21"),  # 5 × 0.0423
        "demand, summer_peak": D("221.89"),  # 3 × 9.59 + 7 × 17.82 + 2 × 34.19
        "fixed": D("32.44"),
        "export, summer_peak off-peak": D("-0.42"),  # 10 × 0.0423
    }
    assert bill.total == D("254.50")


def test_a_holiday_has_no_peak(published: dict[str, t.Tariff], from_local: FromLocal) -> None:
    starts = from_local("2025-07-04", PHOENIX, 48, 30)
    bill = t.bill(published["us-az-srp-e27-2015"], starts, at(starts, n30=6), flat(starts, 0))
    assert lines(bill) == {
        "energy, summer_peak off-peak": D("0.25"),  # 6 × 0.0423
        "demand, summer_peak": D("0.00"),
        "fixed": D("32.44"),
    }


def test_either_of_two_peaks_of_a_winter_day_counts(
    published: dict[str, t.Tariff], from_local: FromLocal
) -> None:
    # Monday 2025-01-13, on-peak 05:00 to 09:00 and 17:00 to 21:00
    starts = from_local("2025-01-13", PHOENIX, 24)
    for energy, demand in [(at(starts, n6=2, n12=9), "7.10"), (at(starts, n12=9, n20=4), "16.33")]:
        bill = t.bill(published["us-az-srp-e27-2015"], starts, energy, flat(starts, 0))
        assert lines(bill)["demand, winter"] == D(demand)  # 2 × 3.55; 3 × 3.55 + 1 × 5.68


def test_an_hour_that_a_window_begins_in_counts(make: Make, from_local: FromLocal) -> None:
    tariff = make(rates=[{"import": 0}], demand=[{"price": 1, "minutes": 30, "windows": [{"from": "17:30"}]}])
    starts = from_local("2025-01-13", "Europe/Berlin", 24)
    assert t.bill(tariff, starts, at(starts, n16=5, n17=3), flat(starts, 0)).total == 3


def test_demand_of_a_month_and_fees_of_its_days(
    published: dict[str, t.Tariff], from_local: FromLocal
) -> None:
    # January 2019: 5 kW on Tuesday 1st at 15:00 count; 8 kW at 14:30, at 21:00 and on Saturday do not
    starts = from_local("2019-01-01", MELBOURNE, 31 * 48, 30)
    energy = at(starts, n30=2.5, n29=4, n42=4, n222=4)
    bill = t.bill(published["au-vic-jemena-a10d-2019"], starts, energy, flat(starts, 0))
    assert lines(bill) == {
        "energy": D("0.60"),  # 14.5 × 0.041107 = 0.5960515
        "demand": D("27.08"),  # 5 × 5.416675
        "fixed": D("4.79"),  # 31 × 0.154627
    }


def test_demand_for_each_day_of_the_month_and_season(
    published: dict[str, t.Tariff], from_local: FromLocal
) -> None:
    # 31 March 2025 is a Monday and 1 April a Tuesday; the clock goes back on 6 April.
    starts = from_local("2025-03-31", MELBOURNE, (7 * 24 + 1), 60)
    bill = t.bill(published["au-vic-united-reskw1r-2019"], starts, at(starts, n16=2, n40=3), flat(starts, 0))
    assert [period.month for period in bill.periods] == ["2025-03", "2025-04"]
    assert lines(bill, "2025-03")["demand, Dec-Mar"] == D("21.55")  # 31 × 2 × 0.3476
    assert lines(bill, "2025-04") == {"energy": D("0.11"), "demand, Apr-Nov": D("13.51")}  # 30 × 3 × 0.15015


@pytest.mark.parametrize(("third", "fee"), [(3.0, "147.00"), (6.0, "252.00")])
def test_the_mean_of_three_days_picks_the_fee(
    published: dict[str, t.Tariff], from_local: FromLocal, third: float, fee: str
) -> None:
    # days of 4, 8 and 3 kW have a mean of exactly 5 kW; with 6 kW it is 6. A second hour of a day is left out
    starts = from_local("2022-03-01", OSLO, 31 * 24 - 1)
    bill = t.bill(
        published["no-tensio-2022-tiered-peak"],
        starts,
        at(starts, n12=4, n36=8, n37=7, n60=third),
        flat(starts, 0),
        prices={"spot": t.PriceSeries.of(starts, flat(starts, 0.5))},
    )
    kwh = 19 + D(third)
    assert lines(bill) == {
        "spot": (kwh * D("0.5")).quantize(D("0.01")),
        "grid energy": (kwh * D("0.302")).quantize(D("0.01")),
        "demand": D(fee),
    }


def test_more_beyond_an_amount_even_inside_an_interval(make: Make, from_local: FromLocal) -> None:
    # 12 kWh: all at 0.20, the 2 beyond 10 at 0.05 more; the interval in which the tenth falls has 3
    tariff = make(tiers=[{"beyond_kwh": 10, "extra": 0.05}])
    starts = from_local("2025-06-30", "Europe/Berlin", 4)
    bill = t.bill(tariff, starts, [4, 4, 3, 1], flat(starts, 0))
    assert [(line.quantity, line.price, line.amount) for line in bill.periods[0].lines] == [
        (D(12), D("0.2"), D("2.40")),
        (D(2), D("0.05"), D("0.10")),
    ]


def test_an_amount_for_each_day_of_the_month_at_some_hours(make: Make, from_local: FromLocal) -> None:
    # February 2025: 28 × 0.5 = 14 kWh between 16:00 and 21:00; 20 counted, 6 beyond get 0.10 less
    tariff = make(tiers=[{"beyond_kwh_per_day": 0.5, "extra": -0.1, "from": "16:00", "to": "21:00"}])
    starts = from_local("2025-02-03", "Europe/Berlin", 24)
    bill = t.bill(tariff, starts, at(starts, n3=7, n16=9, n20=11, n21=30), flat(starts, 0))
    assert bill.total == D("11.40") - D("0.60")


def test_a_month_begins_by_the_local_clock(make: Make, from_local: FromLocal) -> None:
    tariff = make(fixed_per_month=10, fixed_per_day=0.5, time_zone="Australia/Melbourne")
    starts = from_local("2025-10-31T22:00", MELBOURNE, 4)
    bill = t.bill(tariff, starts, [1, 1, 2, 2], flat(starts, 0))
    assert [(period.month, period.total) for period in bill.periods] == [
        ("2025-10", D("10.90")),
        ("2025-11", D("11.30")),
    ]


def test_a_composed_price(make: Make, from_local: FromLocal) -> None:
    fields: dict[str, Any] = {
        "charges": [
            {"name": "spot", "series": "spot", "factor": 1.02, "rates": [{"price": 0.01}]},
            {
                "name": "grid",
                "kind": "grid",
                "zone": "north",
                "rates": [{"from": "17:00", "to": "20:00", "price": 0.12, "name": "peak"}, {"price": 0.04}],
            },
            {"name": "grid", "kind": "grid", "zone": "south", "rates": [{"price": 0.08}]},
            {"name": "electricity tax", "kind": "levy", "rates": [{"price": 0.02}]},
        ],
        "fixed_per_month": 4,
        "taxes": [
            {"name": "VAT", "share": 0.25},
            {"name": "city", "share": 0.1, "on": ["energy"]},
        ],
        "export": [{"series": "spot", "rates": [{"price": -0.005}]}],
    }
    starts = from_local("2025-01-10T16:00", "Europe/Berlin", 2)
    prices = {"spot": t.PriceSeries.of(starts, [0.1, 0.2])}
    bill = t.bill(make(**fields, zone="north"), starts, [10, 10], [0, 4], prices=prices)
    assert lines(bill) == {
        "spot": D("3.26"),  # 10 × (0.102 + 0.01) + 10 × (0.204 + 0.01)
        "grid, peak": D("1.20"),
        "grid": D("0.40"),
        "electricity tax": D("0.40"),
        "fixed": D("4.00"),
        "export": D("-0.78"),  # 4 × 0.195
        "VAT": D("2.32"),  # 0.25 × 9.26 = 2.315
        "city": D("0.33"),  # 0.1 × 3.26
    }
    terms = t.terms(make(**fields, zone="south"), starts, prices=prices)
    # (spot + grid + tax) × 1.25 + 0.1 × spot
    np.testing.assert_allclose(terms.import_per_kwh, [0.212 * 1.25 + 0.0112, 0.314 * 1.25 + 0.0214])
    np.testing.assert_allclose(terms.export_per_kwh, [0.095, 0.195])


def test_a_formula_with_a_cap_and_a_floor(make: Make, from_local: FromLocal) -> None:
    # 2.2 × wholesale, 0.12 more from 16:00 to 19:00, never above 0.35
    rates = [{"from": "16:00", "to": "19:00", "price": 0.12}, {"price": 0}]
    tariff = make(charges=[{"series": "wholesale", "factor": 2.2, "cap": 0.35, "floor": 0, "rates": rates}])
    starts = from_local("2025-01-10T14:00", "Europe/Berlin", 4)
    terms = t.terms(tariff, starts, prices={"wholesale": t.PriceSeries.of(starts, [-0.05, 0.1, 0.1, 0.2])})
    np.testing.assert_allclose(terms.import_per_kwh, [0, 0.22, 0.34, 0.35])


def test_the_least_demand_and_the_ratchet(make: Make, from_local: FromLocal) -> None:
    demand = {"price": 10, "minutes": 60, "minimum_kw": 2.5, "ratchet": {"share": 0.8, "months": 2}}
    tariff = make(rates=[{"import": 0}], demand=[demand])
    starts = from_local("2025-01-01", "Europe/Berlin", 120 * 24 - 1)
    february_15 = at(starts, n5=1, n1080=10)
    bill = t.bill(tariff, starts, february_15, flat(starts, 0))
    assert [period.total for period in bill.periods] == [25, 100, 80, 80]
    later = from_local("2025-05-01", "Europe/Berlin", 24)
    had = t.so_far(t.schedule(tariff, starts), february_15)
    assert t.bill(tariff, later, flat(later, 0), flat(later, 0), before=had).total == 25
    april = from_local("2025-04-01", "Europe/Berlin", 24)
    had = t.so_far(t.schedule(tariff, starts), february_15[: 90 * 24 - 1], last=90 * 24 - 1)
    assert t.bill(tariff, april, flat(april, 0), flat(april, 0), before=had).total == 80
    with pytest.raises(t.TariffError, match="before: found '2025-03'"):
        t.bill(tariff, starts, february_15, flat(starts, 0), before=had)


def test_stretches_of_the_clock_are_not_windows_that_slide(make: Make, from_local: FromLocal) -> None:
    # 8 kW from 10:45 to 11:15 are 2 kW in either hour
    tariff = make(rates=[{"import": 0}], demand=[{"price": 1, "minutes": 60}])
    starts = from_local("2025-01-01", "Europe/Berlin", 96, 15)
    assert t.bill(tariff, starts, at(starts, n43=2, n44=2), flat(starts, 0)).total == 2


def test_both_hours_of_two_o_clock_count_by_themselves(make: Make, from_local: FromLocal) -> None:
    tariff = make(rates=[{"import": 0}], demand=[{"price": 1, "minutes": 60}])
    starts = from_local("2025-10-26", "Europe/Berlin", 50, 30)
    assert t.bill(tariff, starts, at(starts, n4=1, n5=1, n6=1, n7=1), flat(starts, 0)).total == 2


def test_hours_of_half_hour_zones_begin_at_the_full_hour(make: Make, from_local: FromLocal) -> None:
    tariff = make(rates=[{"import": 0}], demand=[{"price": 1, "minutes": 60}], time_zone="Asia/Kolkata")
    starts = from_local("2025-01-01", "Asia/Kolkata", 48, 30)
    assert t.bill(tariff, starts, at(starts, n20=2, n21=1), flat(starts, 0)).total == 3


def test_a_line_is_rounded_once_and_half_away_from_zero(make: Make, from_local: FromLocal) -> None:
    starts = from_local("2025-01-01", "Europe/Berlin", 1000)
    tariff = make(rates=[{"import": 0.1}], export=0.1)
    bill = t.bill(tariff, starts, flat(starts, 0.00005), flat(starts, 0.00015))
    assert bill.exact == D("-0.010")
    assert lines(bill, "2025-01") == {"energy": D("0.00"), "export": D("-0.01")}
    half = t.bill(tariff, starts[:1], [0.05], [0.15], hours=1)
    assert lines(half) == {"energy": D("0.01"), "export": D("-0.02")}


def test_net_billing_pays_each_hour_its_value(
    published: dict[str, t.Tariff], data: Path, from_local: FromLocal
) -> None:
    pge = published["us-ca-pge-ev2a-2024+nbt24"]
    (source,) = pge.series
    assert source.file is not None
    assert source.column is not None
    table = pq.read_table(data / source.file)
    starts = table["start_utc"].to_numpy()
    value = table[source.column].to_numpy().astype(float)
    prices = {"export": t.PriceSeries.of(starts, value)}
    hours = from_local("2025-09-10T17:00", PACIFIC, 3)
    first = int(np.searchsorted(starts, hours[0]))
    bill = t.bill(pge, hours, [0, 0, 0], [1, 2, 3], prices=prices)
    expected = value[first] + 2 * value[first + 1] + 3 * value[first + 2]
    assert float(-bill.exact) == pytest.approx(expected, abs=1e-8)
    assert expected > 3  # the evenings of September are what this tariff is known for
    quarters = from_local("2025-09-10T17:00", PACIFIC, 12, 15)
    same = t.bill(pge, quarters, flat(quarters, 0), np.repeat([0.25, 0.5, 0.75], 4), prices=prices)
    assert same.exact == bill.exact


def test_a_dynamic_year_from_its_file(published: dict[str, t.Tariff], data: Path) -> None:
    table = pq.read_table(data / "prices" / "se3_se4_dayahead_15min_2024_2025.parquet")
    chosen = table["zone"].to_numpy() == "SE3"
    starts = table["start_utc"].to_numpy()[chosen]
    spot = table["EUR_per_kWh"].to_numpy()[chosen].astype(float)
    series = {"spot": t.PriceSeries.of(starts, spot)}
    bill = t.bill(
        published["se-dynamic-se3-se4"], starts, flat(starts, 0.5), flat(starts, 0.25), prices=series
    )
    assert [period.month for period in bill.periods][::23] == ["2024-01", "2025-12"]
    assert float(bill.exact) == pytest.approx(spot.sum() * 0.25, abs=1e-4)
    assert bill.total == sum((period.total for period in bill.periods), D(0))


@pytest.mark.parametrize("bad", [float("nan"), -0.001, float("inf"), 10_001.0])
@pytest.mark.parametrize("which", ["import_kwh", "export_kwh"])
def test_energy_that_no_meter_says_is_refused(
    make: Make, from_local: FromLocal, bad: float, which: str
) -> None:
    starts = from_local("2025-01-01", "Europe/Berlin", 3)
    energies: dict[str, Any] = {"import_kwh": [1.0, 1.0, 1.0], "export_kwh": [0.0, 0.0, 0.0]}
    energies[which] = [0.0, bad, 0.0]
    with pytest.raises(t.TariffError) as error:
        t.bill(make(), starts, **energies)
    assert error.value.setting == f"{which}[1]"


def test_prices_that_are_missing_are_named(make: Make, from_local: FromLocal) -> None:
    tariff = make(charges=[{"series": "spot"}])
    starts = from_local("2025-01-01", "UTC", 3)
    with pytest.raises(t.TariffError, match="prices: found 'none', allowed is the series 'spot'"):
        t.terms(tariff, starts)
    short = {"spot": t.PriceSeries.of(starts[:2], [1, 2])}
    with pytest.raises(t.TariffError, match=r"prices\['spot'\]: found 'no price at 2025-01-01T02:00:00Z"):
        t.terms(tariff, starts, prices=short)
    holes = {"spot": t.PriceSeries.of(starts, [1, float("nan"), 2])}
    with pytest.raises(t.TariffError, match="2025-01-01T01:00:00Z"):
        t.terms(tariff, starts, prices=holes)


def test_an_hour_costs_the_mean_of_its_quarters(make: Make, from_local: FromLocal) -> None:
    tariff = make(charges=[{"series": "spot", "cap": 4}])
    starts = from_local("2025-01-01", "UTC", 2)
    quarters = from_local("2025-01-01", "UTC", 8, 15)
    prices = {"spot": t.PriceSeries.of(quarters, [1, 2, 3, 6, -1, -1, -1, 2])}
    assert t.terms(tariff, starts, prices=prices).import_per_kwh.tolist() == [2.5, -0.25]
    assert t.bill(tariff, starts, [4, 4], [0, 0], prices=prices).total == 9


def test_a_price_that_is_missing_is_not_the_one_before(make: Make, from_local: FromLocal) -> None:
    tariff = make(charges=[{"series": "spot"}])
    starts = from_local("2025-01-01", "UTC", 4)
    prices = {"spot": t.PriceSeries.of(starts[[0, 1, 3]], [1, 2, 3], hours=1)}
    with pytest.raises(t.TariffError, match="no price at 2025-01-01T02:00:00Z \\(1 such\\)"):
        t.terms(tariff, starts, prices=prices)
    held = {"spot": t.PriceSeries.of(starts[[0, 1, 3]], [1, 2, 3])}
    with pytest.raises(t.TariffError, match="hours: found 0"):
        t.PriceSeries.of(starts, [1, 2, 3, 4], hours=0)
    assert t.terms(tariff, starts, prices=held).import_per_kwh.tolist() == [1, 2, 2, 3]
