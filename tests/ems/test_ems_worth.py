"""The value of stored energy, held against the plan of the linear program where nothing is uncertain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ores.ems.inputs import Battery, Home, InputError
from ores.ems.planner import Planner
from ores.ems.worth import Outlook, worth
from ores.tariff.terms import Terms

BATTERY = Battery(capacity_kwh=10.0, soc_pct=0.0, charge_max_kw=4.0, discharge_max_kw=4.0)


def outlook(buy: np.ndarray, sell: np.ndarray, net: np.ndarray) -> Outlook:
    return Outlook(
        hours=np.ones(len(buy)),
        import_per_kwh=buy,
        export_per_kwh=sell,
        net_kwh=net,
        chain=np.full((net.shape[1],) * 2, 1.0 / net.shape[1]),
        steps_kwh=np.zeros((0, len(buy))),
        steps_per_kwh=np.zeros(0),
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), soc_pct=st.sampled_from([0.0, 30.0, 100.0]))
def test_with_one_outcome_it_is_what_the_plan_costs(seed: int, soc_pct: float) -> None:
    noise = np.random.default_rng(seed)
    buy = noise.uniform(0.1, 0.6, 24)
    sell = buy * noise.uniform(0.0, 0.9, 24)
    net = noise.uniform(-3.0, 3.0, (24, 1))
    made = worth(outlook(buy, sell, net), BATTERY, levels=201)
    home = Home(
        terms=Terms(np.ones(24), buy, sell),
        load_kw=np.maximum(net[:, 0], 0.0),
        pv_available_kw=np.maximum(-net[:, 0], 0.0),
        batteries=(replace(BATTERY, soc_pct=soc_pct),),
    )
    exact = Planner().plan(home).cost
    curve = made.before(0, np.ones(1))
    found = -float(np.interp(soc_pct / 100.0 * 10.0, curve.levels_kwh, curve.value))
    assert found >= exact - 1e-6  # a grid of levels can only be dearer
    assert found == pytest.approx(exact, abs=0.02 * abs(exact) + 0.05)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_more_in_store_is_never_worth_less(seed: int) -> None:
    noise = np.random.default_rng(seed)
    buy, sell = noise.uniform(0.0, 0.6, 12), noise.uniform(0.0, 0.6, 12)
    made = worth(outlook(buy, sell, noise.uniform(-3.0, 3.0, (12, 3))), BATTERY)
    assert (np.diff(made.value, axis=2) >= -1e-9).all()


def test_waiting_has_a_value_where_the_sun_may_come() -> None:
    """Half of all days the sun fills the store at noon: what is bought at night is worth only half."""
    buy = np.array([0.2, 0.2, 0.5])
    net = np.array([[0.0, 0.0], [-4.0, 0.0], [4.0, 4.0]])
    small = replace(BATTERY, capacity_kwh=4.0, charge_efficiency=1.0, discharge_efficiency=1.0)
    curve = worth(outlook(buy, np.zeros(3), net), small).before(1, np.array([0.5, 0.5]))
    assert curve.value[-1] - curve.value[0] == pytest.approx(0.5 * 4.0 * 0.2, abs=0.05)


def test_import_beyond_a_step_costs_more() -> None:
    plain = outlook(np.full(4, 0.2), np.zeros(4), np.array([[0.0], [0.0], [0.0], [4.0]]))
    stepped = replace(plain, steps_kwh=np.full((1, 4), 2.0), steps_per_kwh=np.array([5.0]))
    before = [worth(one, BATTERY).before(0, np.ones(1)) for one in (plain, stepped)]
    # 2 kWh kept below the step: bought before it, at 0.2 and its losses, and not at 5
    assert before[0].value[0] - before[1].value[0] == pytest.approx(2.0 * 0.2 * (1 / 0.95**2 - 1), abs=0.06)


def test_a_power_that_changes_is_refused_by_name() -> None:
    one = outlook(np.ones(2), np.ones(2), np.zeros((2, 1)))
    battery = replace(BATTERY, charge_max_kw=np.ones(2))
    with pytest.raises(InputError, match=r"battery\.charge_max_kw"):
        worth(one, battery)


@pytest.mark.parametrize("name", ["import_per_kwh", "export_per_kwh", "net_kwh", "hours"])
def test_what_is_not_a_number_is_refused_by_name(name: str) -> None:
    one = outlook(np.ones(3), np.ones(3), np.ones((3, 1)))
    value = getattr(one, name).copy()
    value.flat[1] = np.nan
    with pytest.raises(InputError, match=rf"outlook\.{name}\[1\] is nan"):
        worth(replace(one, **{name: value}), BATTERY)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), unit=st.sampled_from([0.01, 7.5, 400.0]))
def test_another_currency_changes_values_and_nothing_else(seed: int, unit: float) -> None:
    noise = np.random.default_rng(seed)
    buy, sell = noise.uniform(-0.2, 0.6, 12), noise.uniform(-0.2, 0.6, 12)
    net = noise.uniform(-3.0, 3.0, (12, 3))
    one, other = (worth(outlook(buy * by, sell * by, net), BATTERY) for by in (1.0, unit))
    assert other.value == pytest.approx(one.value * unit, rel=1e-9, abs=1e-9 * unit)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_outcomes_that_stay_together_are_futures_that_are_known(seed: int) -> None:
    noise = np.random.default_rng(seed)
    buy, net = noise.uniform(0.1, 0.6, 8), noise.uniform(-3.0, 3.0, (8, 2))
    together = replace(outlook(buy, np.zeros(8), net), chain=np.eye(2))
    mixed = worth(together, BATTERY).before(0, np.full(2, 0.5)).value
    alone = [worth(outlook(buy, np.zeros(8), net[:, [k]]), BATTERY).value[0, 0] for k in (0, 1)]
    assert mixed == pytest.approx(np.mean(alone, axis=0), abs=1e-9)
