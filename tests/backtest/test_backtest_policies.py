"""What each policy may know, and what the ladder looks like."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.backtest.made_homes import BATTERY, DAYS, DEMAND, TOU, case, recording

from ores import tariff
from ores.backtest.case import Case
from ores.backtest.homes import coarser
from ores.backtest.ladder import check_physics
from ores.backtest.money import bill
from ores.backtest.policies import POLICIES, none, oracle, plan, rule, slots


def nobody(_: int) -> None:
    """Is told."""


def cost(one: Case, policy: str) -> float:
    powers = POLICIES[policy](one, nobody)
    check_physics(one, policy, powers)
    return float(bill(one.laid, one.net_kwh + powers * one.home.hours).exact)


@pytest.mark.parametrize("document", [TOU, DEMAND, DAYS], ids=["tou", "demand", "days"])
@pytest.mark.parametrize("altered_from", [31, 100, 168])
def test_altering_the_future_changes_no_decision(document: dict[str, object], altered_from: int) -> None:
    home = recording(10)
    other = np.random.default_rng(9).uniform(0.0, 6.0, (2, len(home.load_kwh)))
    later = np.arange(len(home.load_kwh)) >= altered_from
    altered = replace(
        home,
        load_kwh=np.where(later, other[0], home.load_kwh),
        pv_kwh=np.where(later, other[1], home.pv_kwh),
    )
    as_it_was, as_altered = (plan(case(document, one), nobody) for one in (home, altered))
    assert np.array_equal(as_it_was[:altered_from], as_altered[:altered_from])
    assert not np.array_equal(as_it_was, as_altered)  # and the altered ones do count when they come


def test_slots_know_even_less() -> None:
    """A mode is told before its slot: what comes in it changes only what the device does."""
    home = recording(8)
    load = home.load_kwh.copy()
    load[138] += 2.0
    quiet, loud = (slots(case(TOU, one), nobody) for one in (home, replace(home, load_kwh=load)))
    assert np.array_equal(quiet[:138], loud[:138])


def test_prices_that_are_not_published_change_no_decision() -> None:
    home = recording(6)
    starts = home.start_s.astype("datetime64[s]")
    noise = np.random.default_rng(4)
    document = {
        "id": "spot",
        "currency": "EUR",
        "time_zone": "UTC",
        "import": {"series": "x"},
        "export": "spot",
    }
    one = tariff.tariff(document)
    first = noise.uniform(0.0, 0.5, len(starts))
    known = 3 * 24  # of the third day at noon, nothing beyond its midnight is known
    other = np.where(np.arange(len(starts)) >= known, noise.uniform(0.0, 0.5, len(starts)), first)
    powers = [
        plan(
            Case(
                home,
                tariff.schedule(
                    one, starts, hours=1, prices={"spot": tariff.PriceSeries.of(starts, prices, hours=1)}
                ),
                BATTERY,
                day_ahead=True,
            ),
            nobody,
        )
        for prices in (first, other)
    ]
    assert np.array_equal(powers[0][: known - 11], powers[1][: known - 11])  # until 13:00 of the third day
    assert not np.array_equal(powers[0][known - 11 : known], powers[1][known - 11 : known])


def test_an_interval_is_seen_in_itself_only() -> None:
    """The kettle that is on now is met now; no decision before it knew."""
    home = recording(8)
    load = home.load_kwh.copy()
    load[138] += 2.0  # 18:00 of the sixth day
    kettle = replace(home, load_kwh=load)
    quiet, loud = (plan(case(TOU, one), nobody) for one in (home, kettle))
    assert np.array_equal(quiet[:138], loud[:138])
    assert loud[138] < quiet[138] - 0.5


@pytest.mark.parametrize("document", [TOU, DEMAND], ids=["tou", "demand"])
def test_the_ladder_is_in_order(document: dict[str, object]) -> None:
    one = case(document, recording(33))
    costs = {policy: cost(one, policy) for policy in ("none", "rule", "plan", "oracle")}
    assert costs["oracle"] <= costs["plan"] < costs["rule"] < costs["none"]


def test_slots_lose_little_where_power_is_not_charged() -> None:
    one = case(TOU, recording(30))
    costs = {policy: cost(one, policy) for policy in ("none", "slots", "plan")}
    assert costs["slots"] == pytest.approx(costs["plan"], abs=0.01 * costs["none"])


def test_a_charge_on_the_highest_days_is_planned_for() -> None:
    one = case(DAYS, recording(33))
    assert cost(one, "plan") < cost(one, "rule") < cost(one, "none")


def test_a_tier_that_the_month_will_come_to_makes_every_kwh_dearer() -> None:
    """At 0.2 for what is bought, selling at 0.19 would pay; not where each kWh costs 0.3 more in the end."""
    flat = TOU | {"rates": [{"import": 0.2}], "export": 0.19}
    tiered = flat | {"tiers": [{"name": "more", "beyond_kwh": 1, "extra": 0.3}]}
    home = replace(recording(6), load_kwh=recording(6).load_kwh * 3.0)
    cheap, dear = (case(document, home) for document in (flat, tiered))
    assert cost(dear, "plan") < cost(dear, "none")
    stored = [float(np.maximum(plan(one, nobody), 0.0).sum()) for one in (cheap, dear)]
    assert stored[0] < 0.5 * stored[1]


def test_without_a_battery_nothing_is_moved() -> None:
    one = case(TOU, recording(3))
    assert not none(one, nobody).any()


def test_the_rule_stores_surplus_and_meets_need() -> None:
    one = case(TOU, recording(3))
    grid = one.net_kwh + rule(one, nobody)
    assert (np.abs(grid) <= np.abs(one.net_kwh) + 1e-12).all()
    assert (grid * one.net_kwh >= -1e-12).all()  # never beyond the meter's zero


def test_plan_and_oracle_begin_and_end_alike() -> None:
    one = case(TOU, recording(20), replace(BATTERY, soc_pct=50.0))
    ends = [check_physics(one, name, POLICIES[name](one, nobody)) for name in ("plan", "oracle")]
    assert ends == pytest.approx([0.0, 0.0], abs=0.3)  # what is left when the recording ends earns nothing


def test_a_quarter_of_an_hour_is_planned_like_an_hour() -> None:
    hourly, quarters = (case(TOU, recording(15, hours=hours)) for hours in (1.0, 0.25))
    for one in (hourly, quarters):
        free = cost(one, "none") - cost(one, "oracle")
        assert cost(one, "none") - cost(one, "plan") > 0.85 * free


def test_an_oracle_knows_it_all_at_once_and_by_months() -> None:
    one = case(TOU, recording(70))
    powers = oracle(one, nobody)
    assert check_physics(one, "oracle", powers) == pytest.approx(0.0, abs=1e-6)


def test_days_on_which_the_clock_changes_are_planned_like_any_other() -> None:
    """A recording in UTC, by the clock of Berlin: its last March Sunday has 23 hours."""
    home = recording(8)
    march = int(np.datetime64("2017-03-22T23:00", "s").astype(np.int64))
    home = replace(home, utc=True, start_s=home.start_s - home.start_s[0] + march)
    one = tariff.tariff(TOU)
    laid = tariff.schedule(one, home.start_s.astype("datetime64[s]"), hours=1)
    assert (np.bincount(laid.at.day - laid.at.day[0]) == 23).any()
    made = Case(home, laid, BATTERY)
    assert cost(made, "oracle") <= cost(made, "plan") < cost(made, "none")


def test_minutes_are_acted_on_and_cost_little_more_than_quarters() -> None:
    """Within a quarter the load swings about its mean: bought and sold where the quarter nets to nothing."""
    quarters = recording(3, hours=0.25)
    swing = np.tile([0.2, 1.8, 1.0, 0.4, 1.6], 3) / 15.0
    minutes = replace(
        quarters,
        hours=1.0 / 60.0,
        start_s=quarters.start_s[0] + 60 * np.arange(len(quarters.load_kwh) * 15),
        load_kwh=(quarters.load_kwh[:, None] * swing).ravel(),
        pv_kwh=np.repeat(quarters.pv_kwh / 15.0, 15),
    )
    coarse = case(TOU, quarters)
    fine = replace(case(TOU, minutes), planned=coarse)
    assert np.allclose(coarser(minutes, 15).load_kwh, quarters.load_kwh)
    assert cost(fine, "plan") == pytest.approx(cost(coarse, "plan"), abs=0.02 * cost(fine, "none"))
