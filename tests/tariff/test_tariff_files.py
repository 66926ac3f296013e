"""What a file says is what a tariff has; what it says wrongly is named."""

from __future__ import annotations

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from ores import tariff as t

D = Decimal
Make = Callable[..., t.Tariff]


def test_all_published_tariffs_load(document: dict[str, Any], published: dict[str, t.Tariff]) -> None:
    assert len(published) == len(document["tariffs"]) == 9
    for one in document["tariffs"]:
        assert published[one["id"]].currency == one["currency"]
        assert published[one["id"]].time_zone == one["time_zone"]


def test_plain_time_of_use_has_its_rates_and_earns_nothing(published: dict[str, t.Tariff]) -> None:
    sce = published["us-ca-sce-tou-d-prime-citylearn2022"]
    assert [rate.price for rate in sce.charges[0].rates] == [
        D("0.54"),
        D("0.4"),
        D("0.5"),
        D("0.22"),
        D("0.21"),
    ]
    assert sce.export == ()


def test_net_billing_asks_for_the_series_of_its_file(published: dict[str, t.Tariff]) -> None:
    pge = published["us-ca-pge-ev2a-2024+nbt24"]
    expected = t.SeriesSource("export", "prices/pge_nbt24_export_2025_1h.parquet", "usd_per_kwh_export")
    assert pge.series == (expected,)
    assert [charge.series for charge in pge.export] == ["export"]


def test_demand_blocks_are_widths_so_the_last_begins_at_10_kw(published: dict[str, t.Tariff]) -> None:
    srp = published["us-az-srp-e27-2015"]
    winter, summer, peak = srp.demand
    assert winter.prices == ((0, D("3.55")), (3, D("5.68")), (10, D("9.74")))
    assert (len(winter.windows), len(summer.windows)) == (2, 1)
    assert peak.months == {7, 8}
    assert {charge.minutes for charge in srp.demand} == {30}
    assert len(srp.holidays) == 6
    assert [charge.rates for charge in srp.export] == [charge.rates for charge in srp.charges]


def test_demand_on_weekday_afternoons(published: dict[str, t.Tariff]) -> None:
    (demand,) = published["au-vic-jemena-a10d-2019"].demand
    assert demand.prices == ((0, D("5.416675")),)
    assert demand.windows == (t.When(days=frozenset(range(5)), from_s=15 * 3600, to_s=21 * 3600),)


def test_demand_for_each_day_has_a_price_for_each_season(published: dict[str, t.Tariff]) -> None:
    summer, winter = published["au-vic-united-reskw1r-2019"].demand
    assert (summer.months, summer.per) == ({12, 1, 2, 3}, "day")
    assert winter.months == set(range(4, 12))


def test_the_mean_of_the_highest_days_picks_a_fee(published: dict[str, t.Tariff]) -> None:
    tensio = published["no-tensio-2022-tiered-peak"]
    (demand,) = tensio.demand
    assert demand.top_days == 3
    assert demand.steps == ((0, 83), (2, 147), (5, 252), (10, 371), (15, 490))
    assert [(charge.kind, charge.series) for charge in tensio.charges] == [("energy", "spot"), ("grid", None)]


def test_peak_periods_leave_the_rest_of_the_day_to_the_other_price(published: dict[str, t.Tariff]) -> None:
    rates = published["fr-hphc-emhass"].charges[0].rates
    assert [(rate.when.from_s // 60, rate.when.to_s // 60) for rate in rates] == [
        (174, 924),
        (1044, 1224),
        (0, 1440),
    ]


def test_a_dynamic_tariff_buys_and_sells_at_spot(published: dict[str, t.Tariff]) -> None:
    se = published["se-dynamic-se3-se4"]
    assert [charge.series for charge in (*se.charges, *se.export)] == ["spot", "spot"]


def broken(document: dict[str, Any], number: int, path: list[str | int], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document)
    target: Any = changed["tariffs"][number]
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return changed


@pytest.mark.parametrize(
    ("number", "path", "value", "setting"),
    [
        (0, ["currency"], "usd", "tariffs[0].currency"),
        (0, ["time_zone"], "America/Nowhere", "tariffs[0].time_zone"),
        (0, ["time_zone"], "../etc", "tariffs[0].time_zone"),
        (0, ["colour"], "red", "tariffs[0].colour"),
        (0, ["rates", 2, "import"], "0.5", "tariffs[0].rates[2].import"),
        (0, ["rates", 2, "import"], float("nan"), "tariffs[0].rates[2].import"),
        (0, ["rates", 2, "import"], True, "tariffs[0].rates[2].import"),
        (0, ["rates", 2, "export"], 0.5, "tariffs[0].rates[2].export"),
        (0, ["rates", 2, "from"], "25:00", "tariffs[0].rates[2].from"),
        (0, ["rates", 2, "to"], "16:00", "tariffs[0].rates[2].to"),
        (0, ["rates", 2, "days"], "workday", "tariffs[0].rates[2].days"),
        (0, ["rates", 2, "months"], [0], "tariffs[0].rates[2].months"),
        (0, ["rates", 2, "months"], [1, 2, 3], "tariffs[0].rates"),
        (0, ["rates"], [], "tariffs[0].rates"),
        (0, ["rates"], {}, "tariffs[0].rates"),
        (0, ["export"], "sometimes", "tariffs[0].export"),
        (1, ["export", "colunm"], "x", "tariffs[1].export.colunm"),
        (1, ["id"], "us-ca-sce-tou-d-prime-citylearn2022", "tariffs[1].id"),
        (2, ["seasons", "winter"], [11], "tariffs[2].seasons"),
        (2, ["energy", "winter", "on"], None, "tariffs[2].energy.winter.on"),
        (2, ["on_peak", "winter"], [["05:00"]], "tariffs[2].on_peak.winter[0]"),
        (2, ["on_peak", "days"], "some", "tariffs[2].on_peak.days"),
        (2, ["demand", "tiers_kw"], [3, 7], "tariffs[2].demand.tiers_kw"),
        (2, ["demand", "winter"], [3, 2, 1], "tariffs[2].demand.winter"),
        (2, ["fixed_per_month"], "32", "tariffs[2].fixed_per_month"),
        (3, ["demand", "basis"], "a lot", "tariffs[3].demand.basis"),
        (
            2,
            ["demand", "basis"],
            "highest 7-min on-peak average kW in the bill month",
            "tariffs[2].demand.basis",
        ),
        (3, ["demand", "minutes"], 90, "tariffs[3].demand.minutes"),
        (3, ["demand", "value"], -1, "tariffs[3].demand.value"),
        (4, ["demand", "value_per_kw_day"], {"Dec-Mar": 1}, "tariffs[4].demand.value_per_kw_day"),
        (5, ["energy"], "day-behind", "tariffs[5].energy"),
        (5, ["demand", "tier_upper_kw"], [2, 5, 5, 15, 20], "tariffs[5].demand.tier_upper_kw"),
        (6, ["import_peak"], None, "tariffs[6].import_peak"),
        (8, ["import"], {"file": "x"}, "tariffs[8].import.series"),
    ],
)
def test_what_is_wrong_is_named(
    document: dict[str, Any], number: int, path: list[str | int], value: object, setting: str
) -> None:
    with pytest.raises(t.TariffError) as error:
        t.tariffs(broken(document, number, path, value))
    assert error.value.setting == setting
    assert str(error.value).startswith(f"{setting}: found ")
    assert error.value.allowed


@pytest.mark.parametrize(
    ("fields", "setting"),
    [
        ({"demand": [{"minutes": 15}]}, "demand[0]"),
        ({"demand": [{"price": 1, "prices": [{"above_kw": 0, "price": 1}]}]}, "demand[0]"),
        ({"demand": [{"price": 1, "minutes": 7}]}, "demand[0].minutes"),
        ({"demand": [{"price": 1, "minutes": 7.5}]}, "demand[0].minutes"),
        ({"demand": [{"price": 1, "top_days": 0}]}, "demand[0].top_days"),
        ({"demand": [{"price": 1, "ratchet": {"share": 1.5}}]}, "demand[0].ratchet.share"),
        ({"demand": [{"price": 1, "ratchet": {}}]}, "demand[0].ratchet.share"),
        ({"demand": [{"prices": [{"above_kw": 1, "price": 1}]}]}, "demand[0].prices[0].above_kw"),
        (
            {"demand": [{"prices": [{"above_kw": 0, "price": 2}, {"above_kw": 3, "price": 1}]}]},
            "demand[0].prices[1].price",
        ),
        (
            {"demand": [{"steps": [{"above_kw": 0, "fee": 2}, {"above_kw": 0, "fee": 3}]}]},
            "demand[0].steps[1].above_kw",
        ),
        ({"tiers": [{"beyond_kwh": 5}]}, "tiers[0].extra"),
        ({"tiers": [{"extra": 5}]}, "tiers[0].beyond_kwh"),
        ({"tiers": [{"beyond_kwh": 5, "beyond_kwh_per_day": 5, "extra": 1}]}, "tiers[0].beyond_kwh"),
        ({"fixed": [{"amount": 5, "per": "year"}]}, "fixed[0].per"),
        ({"taxes": [{"name": "VAT", "share": 20}]}, "taxes[0].share"),
        ({"taxes": [{"name": "VAT", "share": 0.2, "on": ["all"]}]}, "taxes[0].on"),
        ({"holidays": ["12-32"]}, "holidays[0]"),
        ({"holidays": ["5 thu 11"]}, "holidays[0]"),
        ({"holidays": ["1 thu 13"]}, "holidays[0]"),
        ({"holidays": [1]}, "holidays[0]"),
        (
            {
                "rates": [{"days": "weekday", "import": 1}, {"days": ["sat", "sun"], "import": 1}],
                "holidays": ["12-25"],
            },
            "rates",
        ),
        ({"rates": [{"import": 1}, {"from": "01:00", "import": 1}]}, "rates[1]"),
        ({"rates": [{"days": ["holiday"], "import": 1}, {"import": 1}]}, "rates[0]"),
        ({"on_peak": {}}, "seasons"),
        ({"charges": [{"series": "spot", "floor": 2, "cap": 1}]}, "charges[0].floor"),
        ({"charges": [{"factor": 2, "rates": [{"price": 1}]}]}, "charges[0].factor"),
        ({"charges": [{"name": "x"}]}, "charges[0].rates"),
        ({"charges": [{"kind": "export", "rates": [{"price": 1}]}]}, "charges[0].kind"),
        ({"charges": [{"zone": "A", "rates": [{"price": 1}]}]}, "zone"),
        ({"charges": [{"zone": "A", "rates": [{"price": 1}]}], "zone": "B"}, "zone"),
    ],
)
def test_the_long_form_is_as_strict(make: Make, fields: dict[str, Any], setting: str) -> None:
    with pytest.raises(t.TariffError) as error:
        make(**fields)
    assert error.value.setting == setting


def test_a_tariff_without_a_price_of_import_is_refused() -> None:
    with pytest.raises(t.TariffError, match=r"rates: found 'nothing', allowed is a price of import"):
        t.tariff({"id": "x", "currency": "EUR", "time_zone": "UTC"})


def test_a_file_that_is_no_object_is_refused() -> None:
    with pytest.raises(t.TariffError, match="allowed is an object"):
        t.tariffs([])
