"""What holds for every plan."""

from __future__ import annotations

import math
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ems.homes_to_plan import homes, terms

from ores.ems.answer import Plan
from ores.ems.inputs import Battery, Home, InputError
from ores.ems.planner import Planner
from ores.ems.weights import dearest
from ores.tariff.terms import PeakTerm, Terms, TierTerm

NEAR = 1e-5


def close(home: Home, *plans: Plan) -> float:
    """How far two optima may differ: the gap that is allowed, and the whims between equal plans."""
    return 1e-4 * max(dearest(home), *(abs(plan.objective) for plan in plans))


def kept_physics(home: Home, plan: Plan) -> None:
    """Energy is nowhere made or lost but in the batteries' losses.

    A battery that charges and discharges at once would lose more than those of its net power.
    """
    hours = home.terms.hours
    load = np.broadcast_to(home.load_kw, hours.shape)
    assert plan.grid_kw + plan.pv_kept_kw - load - plan.battery_kw.sum(axis=0) == pytest.approx(
        np.zeros_like(hours), abs=NEAR
    )
    assert (plan.pv_kept_kw >= -NEAR).all()
    assert (plan.pv_kept_kw <= home.pv_available_kw + NEAR).all()
    if not home.pv_curtailable:
        assert plan.pv_kept_kw == pytest.approx(np.broadcast_to(home.pv_available_kw, hours.shape), abs=NEAR)
    for battery, power, soc in zip(home.batteries, plan.battery_kw, plan.soc_pct, strict=True):
        assert (soc >= 0.0).all()
        assert (soc <= 100.0).all()
        assert (power <= battery.charge_max_kw + NEAR).all()
        assert (power >= -battery.discharge_max_kw - NEAR).all()
        stored = np.where(power > 0, power * battery.charge_efficiency, power / battery.discharge_efficiency)
        before = np.append(battery.soc_pct, soc[:-1])
        assert (soc - before) / 100.0 * battery.capacity_kwh == pytest.approx(stored * hours, abs=NEAR)


@given(home=homes())
@settings(max_examples=60, deadline=None)
def test_there_is_a_plan_and_it_keeps_to_physics(home: Home) -> None:
    plan = Planner().plan(home)
    kept_physics(home, plan)
    assert np.isfinite(plan.objective)
    assert 0.0 <= plan.gap <= close(home, plan)
    for told in plan.violations:
        assert told.beyond.shape == home.terms.hours.shape
        assert told.beyond.max() > 0.0


def test_a_plan_stays_decided_where_the_same_program_has_an_optimum_that_is_open() -> None:
    hours = np.array([1 / 2, 1 / 60, 1 / 60, 1 / 60, 1 / 60])
    unused = TierTerm(0.2, np.zeros(5, dtype=np.bool_), 0.0)
    lossy, large = (
        Battery(
            capacity_kwh=capacity_kwh,
            soc_pct=soc_pct,
            charge_max_kw=charge_max_kw,
            discharge_max_kw=np.array(discharge_max_kw),
            charge_efficiency=0.9,
            discharge_efficiency=discharge_efficiency,
            soc_max_pct=0.0,
        )
        for capacity_kwh, soc_pct, charge_max_kw, discharge_max_kw, discharge_efficiency in (
            (1.0, 0.0, 2.0, [0.0, 1.0, 0.0, 0.0, 0.0], 0.6),
            (6.0, 18.0, 3.0, [2.0, 1.0, 0.0, 0.0, 1.0], 0.95),
        )
    )
    home = Home(
        terms=replace(terms([0.0] * 5, [0.0] * 5), hours=hours, tiers=(unused,)),
        load_kw=np.array([0.0, 0.0, 0.0, 0.0, 1.0]),
        pv_available_kw=np.array([0.0, 2.0, 0.0, 0.0, 1.5]),
        pv_curtailable=False,
        export_max_kw=1.0,
        batteries=(lossy, large),
    )
    plan = Planner().plan(home)
    kept_physics(home, plan)
    assert plan.gap <= close(home, plan)


@given(home=homes(), data=st.data())
@settings(max_examples=50, deadline=None)
def test_more_room_never_costs_more(home: Home, data: st.DataObject) -> None:
    wider = replace(home, import_max_kw=math.inf)
    if data.draw(st.booleans()):
        wider = replace(wider, pv_curtailable=True)
    if home.batteries:
        first, *rest = home.batteries
        stronger = replace(first, charge_max_kw=first.charge_max_kw + 1.0, reserve_pct=0.0, soc_min_pct=0.0)
        wider = replace(wider, batteries=(stronger, *rest))
    before, after = Planner().plan(home), Planner().plan(wider)
    assert after.objective <= before.objective + close(home, before, after)


@given(home=homes(), factor=st.sampled_from([0.01, 8.0, 1000.0]))
@settings(max_examples=30, deadline=None)
def test_a_currency_changes_nothing_but_the_figures(home: Home, factor: float) -> None:
    t = home.terms
    other = replace(
        home,
        terms=Terms(
            t.hours,
            t.import_per_kwh * factor,
            t.export_per_kwh * factor,
            tuple(replace(peak, price_per_kw=peak.price_per_kw * factor) for peak in t.peaks),
            tuple(replace(tier, extra_per_kwh=tier.extra_per_kwh * factor) for tier in t.tiers),
        ),
        batteries=tuple(
            replace(
                battery,
                wear_per_kwh=battery.wear_per_kwh * factor,
                end_value_per_kwh=battery.end_value_per_kwh * factor,
            )
            for battery in home.batteries
        ),
    )
    one, two = Planner().plan(home), Planner().plan(other)
    # in the dearest kWh, as a home in which nothing has a price has no currency
    unit = dearest(home)
    assert two.objective / dearest(other) == pytest.approx(one.objective / unit, abs=close(home, one) / unit)


@given(home=homes(), factor=st.sampled_from([0.1, 10.0]))
@settings(max_examples=25, deadline=None)
def test_a_home_as_large_again_pays_as_much_again(home: Home, factor: float) -> None:
    """As if kW and kWh were of another size."""
    t = home.terms
    larger = replace(
        home,
        terms=replace(
            t,
            peaks=tuple(replace(peak, so_far_kw=peak.so_far_kw * factor) for peak in t.peaks),
            tiers=tuple(replace(tier, left_kwh=tier.left_kwh * factor) for tier in t.tiers),
        ),
        batteries=tuple(
            replace(
                battery,
                capacity_kwh=battery.capacity_kwh * factor,
                charge_max_kw=battery.charge_max_kw * factor,
                discharge_max_kw=battery.discharge_max_kw * factor,
            )
            for battery in home.batteries
        ),
        **{
            name: getattr(home, name) * factor
            for name in ("load_kw", "pv_available_kw", "import_max_kw", "export_max_kw")
        },
    )
    one, two = Planner().plan(home), Planner().plan(larger)
    near = max(close(home, one), close(larger, two) / factor)
    assert two.objective / factor == pytest.approx(one.objective, abs=near)


@given(home=homes())
@settings(max_examples=30, deadline=None)
def test_where_nothing_is_violated_the_objective_is_what_is_paid(home: Home) -> None:
    """Neither what is bought and sold at once nor a price that is not real has a part in it."""
    plan = Planner().plan(home)
    if not plan.violations:
        assert plan.objective == pytest.approx(plan.cost - plan.end_value, abs=close(home, plan))


@given(home=homes(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_one_more_battery_never_costs_more(home: Home, data: st.DataObject) -> None:
    """Nothing is asked of it: it is empty, has no reserve, and may stay so."""
    another = Battery(
        capacity_kwh=data.draw(st.sampled_from([1.0, 13.5])),
        soc_pct=0.0,
        charge_max_kw=3.0,
        discharge_max_kw=3.0,
    )
    before = Planner().plan(home)
    after = Planner().plan(replace(home, batteries=(*home.batteries, another)))
    assert after.objective <= before.objective + close(home, before, after)


@given(home=homes(most=8))
@settings(max_examples=30, deadline=None)
def test_cutting_intervals_in_two_never_costs_more(home: Home) -> None:
    def cut(value: object) -> object:
        return np.repeat(value, 2) if isinstance(value, np.ndarray) else value

    def cut_all(thing: Home | Battery) -> dict[str, object]:
        return {
            f.name: cut(getattr(thing, f.name)) for f in fields(thing) if f.name not in ("terms", "batteries")
        }

    loose = replace(
        home,
        batteries=tuple(
            replace(b, reserve_pct=0.0, soc_min_pct=0.0, soc_max_pct=100.0) for b in home.batteries
        ),
    )
    t = home.terms
    finer = replace(
        loose,
        **cut_all(loose),
        terms=Terms(
            np.repeat(t.hours / 2, 2),
            np.repeat(t.import_per_kwh, 2),
            np.repeat(t.export_per_kwh, 2),
            tuple(replace(peak, block=np.repeat(peak.block, 2)) for peak in t.peaks),
            tuple(replace(tier, counts=np.repeat(tier.counts, 2)) for tier in t.tiers),
        ),
        batteries=tuple(replace(b, **cut_all(b)) for b in loose.batteries),
    )
    one, two = Planner().plan(loose), Planner().plan(finer)
    assert two.objective <= one.objective + close(home, one)


@given(first=homes(), second=homes(), elapsed=st.integers(0, 14))
@settings(max_examples=30, deadline=None)
def test_what_was_planned_before_does_not_count(first: Home, second: Home, elapsed: int) -> None:
    planner = Planner()
    planner.plan(first)
    again = planner.plan(second, elapsed=elapsed)
    assert again.objective == pytest.approx(Planner().plan(second).objective, abs=close(second, again))


PLAIN = Home(
    terms=terms([0.1, 0.2], [0.0, 0.0]),
    load_kw=np.array([1.0, 1.0]),
    batteries=(Battery(capacity_kwh=10.0, soc_pct=50.0, charge_max_kw=5.0, discharge_max_kw=5.0),),
)


@pytest.mark.parametrize("name", ["load_kw", "pv_available_kw", "import_max_kw", "export_max_kw"])
@pytest.mark.parametrize("value", [math.nan, -math.inf, np.array([1.0, math.nan]), np.ones(3)])
def test_a_value_of_the_home_that_is_none_is_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name) as caught:
        Planner().plan(replace(PLAIN, **{name: value}))
    assert caught.value.name.startswith(name)


@pytest.mark.parametrize("name", [f.name for f in fields(Battery)])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_value_of_a_battery_that_is_none_is_named(name: str, value: float) -> None:
    broken = replace(PLAIN, batteries=(PLAIN.batteries[0], replace(PLAIN.batteries[0], **{name: value})))
    with pytest.raises(InputError, match=rf"batteries\[1\]\.{name}"):
        Planner().plan(broken)


@pytest.mark.parametrize("name", ["hours", "import_per_kwh", "export_per_kwh"])
def test_a_price_that_is_none_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"terms\.{name}\[1\] is nan; allowed"):
        Planner().plan(replace(PLAIN, terms=replace(PLAIN.terms, **{name: np.array([0.1, math.nan])})))


@pytest.mark.parametrize("name", ["price_per_kw", "so_far_kw", "begun_kwh", "begun_hours"])
@pytest.mark.parametrize("value", [math.nan, -1.0, math.inf])
def test_a_value_of_a_peak_that_is_none_is_named(name: str, value: float) -> None:
    peak = replace(PeakTerm(1.0, np.array([0, 1])), **{name: value})
    with pytest.raises(InputError, match=rf"terms\.peaks\[0\]\.{name}"):
        Planner().plan(replace(PLAIN, terms=replace(PLAIN.terms, peaks=(peak,))))


@pytest.mark.parametrize("name", ["extra_per_kwh", "left_kwh"])
def test_a_value_of_a_tier_that_is_none_is_named(name: str) -> None:
    tier = replace(TierTerm(0.1, np.array([True, True]), 1.0), **{name: math.nan})
    with pytest.raises(InputError, match=rf"terms\.tiers\[0\]\.{name}"):
        Planner().plan(replace(PLAIN, terms=replace(PLAIN.terms, tiers=(tier,))))
