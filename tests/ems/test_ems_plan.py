"""Plans whose optimum a person can work out."""

from __future__ import annotations

import numpy as np
import pytest
from tests.ems.homes_to_plan import terms

from ores.ems.inputs import Battery, Home, InputError
from ores.ems.planner import Planner
from ores.tariff.terms import DaysTerm, PeakTerm, Terms, TierTerm


def ideal(**changes: object) -> Battery:
    """10 kWh, 5 kW, empty and without losses."""
    fields: dict[str, object] = {
        "capacity_kwh": 10.0,
        "soc_pct": 0.0,
        "charge_max_kw": 5.0,
        "discharge_max_kw": 5.0,
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
    }
    return Battery(**(fields | changes))  # type: ignore[arg-type]


def test_cheap_energy_is_bought_for_the_dear_hour() -> None:
    plan = Planner().plan(Home(terms=terms([0.10, 0.40], [0.0, 0.0]), load_kw=2.0, batteries=(ideal(),)))
    assert plan.battery_kw == pytest.approx(np.array([[2.0, -2.0]]))
    assert plan.grid_kw == pytest.approx(np.array([4.0, 0.0]))
    assert plan.cost == pytest.approx(0.40)
    assert plan.soc_pct == pytest.approx(np.array([[20.0, 0.0]]))


def test_losses_have_to_be_earned() -> None:
    lossy = ideal(charge_efficiency=0.8, discharge_efficiency=0.8)
    dear = Home(terms=terms([0.10, 0.17], [0.0, 0.0]), load_kw=1.0, batteries=(lossy,))
    dearer = Home(terms=terms([0.10, 0.15], [0.0, 0.0]), load_kw=1.0, batteries=(lossy,))
    assert Planner().plan(dear).battery_kw == pytest.approx(np.array([[1 / 0.64, -1.0]]))
    assert Planner().plan(dearer).battery_kw == pytest.approx(np.zeros((1, 2)))


def test_wear_has_to_be_earned() -> None:
    worn = ideal(wear_per_kwh=0.31)
    plan = Planner().plan(Home(terms=terms([0.10, 0.40], [0.0, 0.0]), load_kw=2.0, batteries=(worn,)))
    assert plan.battery_kw == pytest.approx(np.zeros((1, 2)))


def test_sun_is_kept_where_it_is_worth_nothing_and_curtailed_where_it_costs() -> None:
    home = Home(
        terms=terms([0.3, 0.3, 0.3], [0.1, 0.0, -0.1]), load_kw=1.0, pv_available_kw=np.array([4.0, 4.0, 4.0])
    )
    plan = Planner().plan(home)
    assert plan.pv_kept_kw == pytest.approx(np.array([4.0, 4.0, 1.0]))
    assert plan.grid_kw == pytest.approx(np.array([-3.0, -3.0, 0.0]))
    assert plan.interval_cost == pytest.approx(np.array([-0.3, 0.0, 0.0]), abs=1e-12)


def test_an_export_limit_leaves_room_in_the_battery_for_noon() -> None:
    home = Home(
        terms=terms([0.3] * 3, [0.2, 0.05, 0.05]),
        load_kw=0.0,
        pv_available_kw=np.array([3.0, 6.0, 3.0]),
        export_max_kw=3.0,
        batteries=(ideal(capacity_kwh=3.0, end_value_per_kwh=0.1),),
    )
    plan = Planner().plan(home)
    assert plan.pv_kept_kw == pytest.approx(np.array([3.0, 6.0, 3.0]))
    assert plan.battery_kw == pytest.approx(np.array([[0.0, 3.0, 0.0]]))
    assert not plan.violations


def test_what_is_stored_is_worth_what_it_saves_later() -> None:
    home = Home(
        terms=terms([0.10, 0.40], [0.0, 0.0]),
        load_kw=6.0,
        batteries=(ideal(charge_max_kw=2.0, discharge_efficiency=0.9),),
    )
    plan = Planner().plan(home)
    assert plan.stored_value_per_kwh == pytest.approx(np.array([[0.36, 0.36]]), abs=1e-5)
    assert plan.energy_value_per_kwh == pytest.approx(np.array([0.10, 0.40]), abs=1e-5)


def test_a_negative_price_is_not_earned_by_burning_energy_in_a_full_battery() -> None:
    full = ideal(soc_pct=100.0, charge_efficiency=0.9, discharge_efficiency=0.9)
    home = Home(terms=terms([-0.1, 0.3], [-0.2, 0.0]), load_kw=1.0, batteries=(full,))
    plan = Planner().plan(home)
    assert plan.battery_kw == pytest.approx(np.array([[0.0, -1.0]]), abs=1e-6)
    assert plan.cost == pytest.approx(-0.1)


def test_before_negative_hours_the_battery_is_emptied() -> None:
    half = ideal(soc_pct=50.0)
    home = Home(terms=terms([0.2, -0.3, -0.3], [0.0, -0.4, -0.4]), load_kw=1.0, batteries=(half,))
    plan = Planner().plan(home)
    assert plan.battery_kw[0, 0] == pytest.approx(-5.0)
    assert plan.grid_kw == pytest.approx(np.array([-4.0, 6.0, 6.0]))
    assert plan.cost == pytest.approx(-3.6)


def test_energy_is_not_bought_and_sold_at_once_where_selling_pays_more() -> None:
    home = Home(
        terms=terms([0.2, 0.2], [0.1, 3.0]),
        load_kw=1.0,
        batteries=(ideal(),),
    )
    plan = Planner().plan(home)
    assert plan.battery_kw == pytest.approx(np.array([[5.0, -5.0]]))
    assert plan.cost == pytest.approx(6 * 0.2 - 4 * 3.0)


def test_a_reserve_is_filled_before_the_storm_at_the_cheapest_hour() -> None:
    home = Home(
        terms=terms([0.3, 0.1, 0.3, 0.3], [0.0] * 4),
        load_kw=0.0,
        batteries=(ideal(reserve_pct=np.array([0.0, 0.0, 0.0, 50.0])),),
    )
    plan = Planner().plan(home)
    assert plan.battery_kw == pytest.approx(np.array([[0.0, 5.0, 0.0, 0.0]]))
    assert not plan.violations


def test_a_reserve_out_of_reach_is_told_and_neared_at_once() -> None:
    home = Home(terms=terms([0.3, 0.1, 0.3], [0.0] * 3), load_kw=0.0, batteries=(ideal(reserve_pct=80.0),))
    plan = Planner().plan(home)
    assert plan.soc_pct == pytest.approx(np.array([[50.0, 80.0, 80.0]]))
    (told,) = plan.violations
    assert told.name == "batteries[0].reserve_pct"
    assert told.beyond == pytest.approx(np.array([30.0, 0.0, 0.0]))


def test_a_limit_that_the_load_breaks_is_told() -> None:
    home = Home(terms=terms([0.3, 0.3], [0.0, 0.0]), load_kw=np.array([2.0, 5.0]), import_max_kw=4.0)
    plan = Planner().plan(home)
    (told,) = plan.violations
    assert told.name == "import_max_kw"
    assert told.beyond == pytest.approx(np.array([0.0, 1.0]))
    assert plan.cost == pytest.approx(2.1)


def test_the_better_of_two_batteries_works_first() -> None:
    good, poor = ideal(), ideal(charge_efficiency=0.7)
    home = Home(terms=terms([0.10, 0.40], [0.0, 0.0]), load_kw=2.0, batteries=(poor, good))
    plan = Planner().plan(home)
    assert plan.battery_kw == pytest.approx(np.array([[0.0, 0.0], [2.0, -2.0]]))


def test_intervals_may_differ_in_length() -> None:
    prices = terms([0.40, 0.10, 0.40], [0.0] * 3)
    home = Home(
        terms=type(prices)(np.array([0.25, 0.5, 1.0]), prices.import_per_kwh, prices.export_per_kwh),
        load_kw=1.0,
        batteries=(ideal(),),
    )
    plan = Planner().plan(home)
    assert plan.battery_kw == pytest.approx(np.array([[0.0, 2.0, -1.0]]))
    assert plan.cost == pytest.approx(0.25 * 0.4 + 1.5 * 0.1)


def test_solving_again_gives_what_a_new_planner_gives() -> None:
    rng = np.random.default_rng(3)
    price, load, sun = rng.uniform(-0.05, 0.4, 60), rng.uniform(0, 3, 60), rng.uniform(0, 5, 60)
    planner, soc = Planner(), 40.0
    for first in range(20):
        window = slice(first, first + 40)
        home = Home(
            terms=terms(list(price[window]), [0.03] * 40, 0.25),
            load_kw=load[window],
            pv_available_kw=sun[window],
            batteries=(ideal(soc_pct=soc, charge_efficiency=0.95),),
        )
        plan = planner.plan(home, elapsed=1 if first else 0)
        assert plan.objective == pytest.approx(Planner().plan(home).objective, abs=1e-4)
        soc = plan.soc_pct[0, 0]


def charged(
    price: list[float],
    *,
    peaks: tuple[PeakTerm, ...] = (),
    tiers: tuple[TierTerm, ...] = (),
    hours: float = 1.0,
) -> Terms:
    """Prices for import, with charges, and nothing for export."""
    return Terms(np.full(len(price), hours), np.array(price), np.zeros(len(price)), peaks, tiers)


def test_a_peak_is_shaved_from_the_battery_as_far_as_it_pays() -> None:
    home = Home(
        terms=charged([0.2] * 4, peaks=(PeakTerm(5.0, np.arange(4)),)),
        load_kw=np.array([1.0, 1.0, 5.0, 1.0]),
        batteries=(ideal(),),
    )
    plan = Planner().plan(home)
    assert plan.grid_kw[:3] == pytest.approx(np.full(3, 7 / 3))  # what is stored after the third is too late
    assert plan.peak_cost == pytest.approx(5.0 * 7 / 3)
    assert plan.cost == pytest.approx(8 * 0.2 + 5.0 * 7 / 3)
    assert plan.objective == pytest.approx(plan.cost, abs=1e-3)


def test_a_peak_that_the_month_had_already_costs_nothing_more() -> None:
    peak = PeakTerm(5.0, np.arange(2), so_far_kw=3.0)
    plan = Planner().plan(Home(terms=charged([0.1, 0.4], peaks=(peak,)), load_kw=2.0, batteries=(ideal(),)))
    assert plan.grid_kw == pytest.approx(np.array([3.0, 1.0]))
    assert plan.peak_cost == 0.0


def test_the_mean_of_a_block_counts_not_its_highest_interval() -> None:
    peak = PeakTerm(5.0, np.array([0, 0, 0, 0, 1, 1, 1, 1]))
    prices = charged([0.4, 0.1, *[0.4] * 6], peaks=(peak,), hours=0.25)
    plan = Planner().plan(Home(terms=prices, load_kw=1.0, batteries=(ideal(),)))
    assert plan.grid_kw[:4].mean() == pytest.approx(1.0)
    assert plan.grid_kw[0] == pytest.approx(1.0)  # nothing is stored yet
    assert plan.grid_kw[1] == pytest.approx(3.0)
    assert plan.peak_cost == pytest.approx(5.0)


def test_hours_that_do_not_count_for_the_peak_take_the_charging() -> None:
    peak = PeakTerm(5.0, np.array([-1, 0, 1]))
    plan = Planner().plan(Home(terms=charged([0.2] * 3, peaks=(peak,)), load_kw=2.0, batteries=(ideal(),)))
    assert plan.grid_kw == pytest.approx(np.array([6.0, 0.0, 0.0]), abs=1e-6)
    assert plan.peak_cost == pytest.approx(0.0, abs=1e-6)


def test_beyond_a_tier_energy_costs_more_and_is_worth_more() -> None:
    tier = TierTerm(0.1, np.array([True, True, False]), left_kwh=3.0)
    plan = Planner().plan(Home(terms=charged([0.2] * 3, tiers=(tier,)), load_kw=2.0))
    assert plan.tier_cost == pytest.approx(0.1)
    assert plan.cost == pytest.approx(6 * 0.2 + 0.1)
    assert plan.energy_value_per_kwh == pytest.approx(np.array([0.3, 0.3, 0.2]), abs=1e-5)


def test_a_tier_that_is_cheaper_beyond_is_paid_in_its_order() -> None:
    tier = TierTerm(-0.1, np.full(2, fill_value=True), left_kwh=3.0)
    plan = Planner().plan(Home(terms=charged([0.2] * 2, tiers=(tier,)), load_kw=2.0))
    assert plan.tier_cost == pytest.approx(-0.1)
    assert plan.objective == pytest.approx(0.7, abs=1e-4)


def test_a_plan_with_peaks_made_again_is_what_a_new_planner_gives() -> None:
    rng = np.random.default_rng(4)
    price, load = rng.uniform(0.1, 0.4, 60), rng.uniform(0, 3, 60)
    planner, soc = Planner(), 40.0
    for first in range(20):
        window = slice(first, first + 40)
        peak = PeakTerm(2.0, np.arange(first, first + 40) // 4, 1.0)
        home = Home(
            terms=charged(list(price[window]), peaks=(peak,), hours=0.25),
            load_kw=load[window],
            batteries=(ideal(soc_pct=soc, charge_efficiency=0.95),),
        )
        plan = planner.plan(home, elapsed=1 if first else 0)
        assert plan.objective == pytest.approx(Planner().plan(home).objective, abs=1e-4)
        soc = plan.soc_pct[0, 0]


def test_what_the_quarters_before_have_drawn_counts_in_the_hour_under_way() -> None:
    peak = PeakTerm(5.0, np.array([0, 0, 1, 1, 1, 1]), so_far_kw=1.0, begun_kwh=0.8, begun_hours=0.5)
    prices = charged([0.2] * 6, peaks=(peak,), hours=0.25)
    plan = Planner().plan(Home(terms=prices, load_kw=1.0, batteries=(ideal(soc_pct=5.0),)))
    # 0.8 kWh are gone of the one that is free; the 0.5 kWh in store spare at least 0.3 of it
    assert plan.grid_kw[:2].sum() * 0.25 <= 0.2 + 1e-6
    assert plan.peak_cost == pytest.approx(0.0, abs=1e-6)
    without = Planner().plan(Home(terms=prices, load_kw=1.0))
    assert without.peak_cost == pytest.approx(5.0 * 0.3)


def test_a_charge_that_the_planner_does_not_know_is_refused() -> None:
    days = (DaysTerm(3, np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), price_per_kw=5.0),)
    with pytest.raises(InputError, match=r"terms\.days"):
        Planner().plan(Home(terms=Terms(np.ones(1), np.ones(1), np.zeros(1), days=days), load_kw=1.0))


def test_a_year_of_hours_is_one_program() -> None:
    hour = np.arange(8760) % 24
    price = np.where((hour >= 16) & (hour < 21), 0.5, 0.2)
    home = Home(terms=charged(list(price)), load_kw=1.0, batteries=(ideal(),))
    plan = Planner(presolve=True).plan(home)
    # each evening 5 kWh, bought for 0.2 and worth 0.5
    assert plan.cost == pytest.approx(365 * (24 * 0.2))
    assert plan.gap == pytest.approx(0.0, abs=1e-6)
