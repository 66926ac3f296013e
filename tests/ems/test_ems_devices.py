"""Cars, appliances and heat in the plan: cases that a person can work out, and what always holds."""

from __future__ import annotations

import itertools
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ems.homes_to_plan import PRICES, SHARES, arrays, homes, terms

from ores.ems.answer import Plan
from ores.ems.inputs import Appliance, Battery, Ev, Heat, Home, InputError
from ores.ems.planner import Planner
from ores.ems.weights import dearest


def here(count: int) -> np.ndarray:
    return np.full(count, fill_value=True)


def car(**changes: object) -> Ev:
    """10 kWh, empty, without losses, at home for four intervals, to be full after the third."""
    fields: dict[str, object] = {
        "capacity_kwh": 10.0,
        "soc_pct": 0.0,
        "connected": np.array([True, True, True, False]),
        "charge_max_kw": 7.0,
        "target_pct": np.array([0.0, 0.0, 100.0, 0.0]),
        "charge_efficiency": 1.0,
        "discharge_efficiency": 1.0,
    }
    return Ev(**(fields | changes))  # type: ignore[arg-type]


def test_a_car_charges_in_the_cheapest_hours_before_it_leaves() -> None:
    plan = Planner().plan(Home(terms=terms([0.3, 0.1, 0.2, 0.0], [0.0] * 4), load_kw=0.0, evs=(car(),)))
    assert plan.ev_kw == pytest.approx(np.array([[0.0, 7.0, 3.0, 0.0]]))
    assert plan.ev_soc_pct[0, 2] == pytest.approx(100.0)
    assert not plan.violations


def test_a_car_that_leaves_too_soon_takes_what_it_can() -> None:
    soon = car(connected=np.array([True, False, False, False]), target_pct=np.array([100.0, 0.0, 0.0, 0.0]))
    plan = Planner().plan(Home(terms=terms([0.3] * 4, [0.0] * 4), load_kw=0.0, evs=(soon,)))
    (told,) = plan.violations
    assert told.name == "evs[0].target_pct"
    assert told.beyond == pytest.approx(np.array([30.0, 0.0, 0.0, 0.0]))


def test_a_charger_does_not_charge_with_less_than_its_least() -> None:
    sun = np.array([3.0, 3.0, 5.0, 0.0])
    least = car(capacity_kwh=20.0, charge_min_kw=4.0, target_pct=0.0, end_value_per_kwh=0.15)
    home = Home(terms=terms([0.4] * 4, [0.1] * 4), load_kw=0.0, pv_available_kw=sun, evs=(least,))
    plan = Planner().plan(home)
    # 4 kW with 3 kW of sun cost 0.4 + 0.3 and are worth 0.6
    assert plan.ev_kw == pytest.approx(np.array([[0.0, 0.0, 5.0, 0.0]]))
    worth = replace(home, evs=(replace(least, end_value_per_kwh=0.2),))
    assert Planner().plan(worth).ev_kw == pytest.approx(np.array([[4.0, 4.0, 5.0, 0.0]]))


def test_loads_of_one_power_may_be_cut_in_many_parts_and_the_plan_is_as_good_as_it_says() -> None:
    hour = np.arange(96) / 4.0
    noise = np.random.default_rng(0)
    price = np.where((hour >= 16.0) & (hour < 21.0), 0.5, np.where(hour < 6.0, 0.15, 0.21))
    boiler, pump = (
        car(
            capacity_kwh=energy_kwh,
            connected=here(96),
            charge_max_kw=power_kw,
            charge_min_kw=power_kw,
            target_pct=np.append(np.zeros(95), 100.0),
        )
        for power_kw, energy_kwh in ((3.0, 12.0), (0.75, 1.5))
    )
    home = Home(
        terms=terms(price.tolist(), [0.08] * 96, 0.25),
        load_kw=0.5 + 1.5 * np.exp(-((hour - 19.0) ** 2) / 4.0) + noise.uniform(0.0, 0.1, 96),
        pv_available_kw=5.0
        * np.maximum(0.0, np.sin((hour - 6.0) / 12.0 * np.pi))
        * noise.uniform(0.8, 1.0, 96),
        batteries=(Battery(capacity_kwh=13.5, soc_pct=40.0, charge_max_kw=5.0, discharge_max_kw=5.0),),
        evs=(boiler, pump),
    )
    plan = Planner().plan(home)
    assert not plan.violations
    for power, load in zip(plan.ev_kw, home.evs, strict=True):
        running = power > 1e-6
        assert power[running] == pytest.approx(load.charge_max_kw)
        assert power.sum() * 0.25 == pytest.approx(load.capacity_kwh)
    assert plan.gap <= 1e-4 * max(dearest(home), abs(plan.objective))


def test_a_car_supplies_the_home_in_the_dear_hour_and_leaves_full() -> None:
    v2h = car(soc_pct=50.0, discharge_max_kw=5.0)
    plan = Planner().plan(Home(terms=terms([0.5, 0.1, 0.1, 0.1], [0.0] * 4), load_kw=2.0, evs=(v2h,)))
    assert plan.ev_kw[0, 0] == pytest.approx(-2.0)
    assert plan.ev_kw[0].sum() == pytest.approx(5.0)


def test_what_is_driven_is_charged_before_or_told() -> None:
    away = np.array([True, False, True, True])
    driver = car(connected=away, driven_kwh=np.array([0.0, 9.0, 0.0, 0.0]), target_pct=0.0)
    plan = Planner().plan(Home(terms=terms([0.3] * 4, [0.0] * 4), load_kw=0.0, evs=(driver,)))
    assert plan.ev_kw[0, 0] == pytest.approx(7.0)
    (told,) = plan.violations
    assert told.name == "evs[0].driven_kwh"
    assert told.beyond == pytest.approx(np.array([0.0, 2.0, 0.0, 0.0]))


def washer(**changes: object) -> Appliance:
    """2 kW for an hour, then 0.5 kW for another."""
    fields: dict[str, object] = {"profile_kw": np.array([2.0, 0.5]), "step_h": 1.0, "may_start": here(4)}
    return Appliance(**(fields | changes))  # type: ignore[arg-type]


def test_an_appliance_starts_where_its_run_is_cheapest() -> None:
    plan = Planner().plan(
        Home(terms=terms([0.3, 0.2, 0.1, 0.6], [0.0] * 4), load_kw=0.0, appliances=(washer(),))
    )
    assert plan.appliance_start == (1,)
    assert plan.appliance_kw == pytest.approx(np.array([[0.0, 2.0, 0.5, 0.0]]))
    assert plan.cost == pytest.approx(0.45)


def test_an_appliance_that_cannot_run_is_told() -> None:
    late = washer(may_start=np.array([False, False, False, True]))
    plan = Planner().plan(Home(terms=terms([0.3] * 4, [0.0] * 4), load_kw=0.0, appliances=(late,)))
    assert plan.appliance_start == (None,)
    assert [told.name for told in plan.violations] == ["appliances[0]"]


def test_a_run_may_be_finer_and_longer_than_the_intervals() -> None:
    fine = washer(profile_kw=np.array([4.0, 0.0, 0.0, 2.0, 1.0]), step_h=0.5)
    plan = Planner().plan(Home(terms=terms([0.1, 0.2, 0.3, 0.4], [0.0] * 4), load_kw=0.0, appliances=(fine,)))
    assert plan.appliance_kw == pytest.approx(np.array([[2.0, 1.0, 0.5, 0.0]]))


@given(
    price=arrays(PRICES, 8),
    sun=arrays(st.floats(0.0, 4.0), 8),
    powers=st.lists(st.floats(0.1, 3.0), min_size=1, max_size=3),
    limit=st.sampled_from([2.0, 4.0, np.inf]),
)
@settings(max_examples=12, deadline=None)
def test_two_appliances_start_where_trying_all_starts_finds_the_best(
    price: np.ndarray, sun: np.ndarray, powers: list[float], limit: float
) -> None:
    pair = (washer(profile_kw=np.array(powers), may_start=here(8)), washer(may_start=here(8)))
    home = Home(
        terms=terms(list(price), [0.05] * 8),
        load_kw=0.5,
        pv_available_kw=sun,
        import_max_kw=limit,
        appliances=pair,
    )
    plan = Planner().plan(home)
    best = np.inf
    for starts in itertools.product(range(9 - len(powers)), range(7)):
        load = np.full(8, 0.5)
        for start, appliance in zip(starts, pair, strict=True):
            load[start : start + len(appliance.profile_kw)] += appliance.profile_kw
        best = min(best, Planner().plan(replace(home, load_kw=load, appliances=())).objective)
    assert plan.objective <= best + 1e-4 * max(3.0, abs(best))


def tank(**changes: object) -> Heat:
    """0.1 kWh/K, so well insulated that it hardly counts."""
    fields: dict[str, object] = {
        "capacity_kwh_per_k": 0.1,
        "loss_kw_per_k": 1e-5,
        "temperature_c": 50.0,
        "ambient_c": 20.0,
        "cop": 3.0,
        "power_max_kw": 2.0,
        "comfort_min_c": 45.0,
        "comfort_max_c": 60.0,
    }
    return Heat(**(fields | changes))  # type: ignore[arg-type]


def test_a_tank_is_heated_when_it_is_cheap_for_what_is_drawn_later() -> None:
    drawn = tank(gain_kw=np.array([0.0, 0.0, -1.5]))  # 15 K
    plan = Planner().plan(Home(terms=terms([0.3, 0.1, 0.3], [0.0] * 3), load_kw=0.0, heats=(drawn,)))
    assert plan.heat_kw == pytest.approx(np.array([[0.0, 1 / 3, 0.0]]), abs=1e-3)
    assert plan.temperature_c == pytest.approx(np.array([[50.0, 60.0, 45.0]]), abs=0.05)


def test_a_house_cools_as_the_formula_says() -> None:
    house = tank(
        capacity_kwh_per_k=5.0, loss_kw_per_k=0.2, temperature_c=21.0, ambient_c=1.0, power_max_kw=0.0
    )
    home = Home(terms=terms([0.3] * 3, [0.0] * 3, 0.5), load_kw=0.0, heats=(house,))
    plan = Planner().plan(home)
    cooled = 1.0 + 20.0 * np.exp(-0.2 / 5.0 * np.array([0.5, 1.0, 1.5]))
    assert plan.temperature_c[0] == pytest.approx(cooled)
    assert "heats[0].comfort_min_c" in [told.name for told in plan.violations]


def test_a_compressor_does_not_run_below_its_least() -> None:
    cool = tank(temperature_c=45.0, power_min_kw=1.0, gain_kw=np.array([0.0, -1.0, -1.0, -1.0]))
    plan = Planner().plan(Home(terms=terms([0.3, 0.3, 0.2, 0.3], [0.0] * 4), load_kw=0.0, heats=(cool,)))
    running = plan.heat_kw[plan.heat_kw > 1e-6]
    assert (running >= 1.0 - 1e-6).all()
    assert len(running) == 1


@st.composite
def equipped(draw: st.DrawFn) -> Home:
    """Any home with any devices."""
    home = draw(homes(most=8))
    count = len(home.terms.hours)
    bools = arrays(st.booleans(), count)
    low, high = sorted((draw(st.floats(10.0, 60.0)), draw(st.floats(10.0, 60.0))))
    vehicle = Ev(
        capacity_kwh=draw(st.sampled_from([5.0, 60.0])),
        soc_pct=draw(SHARES),
        connected=draw(bools),
        charge_max_kw=draw(st.sampled_from([0.0, 3.7, 11.0])),
        charge_min_kw=draw(st.sampled_from([0.0, 1.4, 4.1])),
        discharge_max_kw=draw(st.sampled_from([0.0, 5.0])),
        target_pct=draw(arrays(SHARES, count)),
        driven_kwh=draw(arrays(st.sampled_from([0.0, 0.0, 8.0]), count)),
        soc_min_pct=draw(st.sampled_from([0.0, 20.0])),
    )
    appliance = Appliance(
        profile_kw=draw(arrays(st.floats(0.0, 3.0), 3)),
        step_h=draw(st.sampled_from([0.25, 0.4])),
        may_start=draw(bools),
    )
    heat = tank(
        temperature_c=draw(st.floats(-10.0, 90.0)),
        loss_kw_per_k=draw(st.sampled_from([1e-4, 0.01, 5.0])),
        comfort_min_c=low,
        comfort_max_c=high,
        gain_kw=draw(st.floats(-2.0, 2.0)),
        cop=draw(arrays(st.floats(1.0, 5.0), count)),
        power_min_kw=draw(st.sampled_from([0.0, 0.5, 3.0])),
        discomfort_per_kh=draw(st.sampled_from([None, 0.0, 0.2])),
        end_value_per_k=draw(st.sampled_from([0.0, 0.5])),
    )
    return replace(home, evs=(vehicle,), appliances=(appliance,), heats=(heat,))


def device_limits(home: Home, plan: Plan) -> None:
    (ev,), (heat,) = home.evs, home.heats
    charging = plan.ev_kw[0][plan.ev_kw[0] > 1e-4]
    assert (charging >= min(ev.charge_min_kw, float(np.max(ev.charge_max_kw))) - 1e-4).all()
    assert (plan.ev_kw[0][~ev.connected] == 0.0).all()
    assert (plan.ev_soc_pct >= 0.0).all()
    heating = plan.heat_kw[0][plan.heat_kw[0] > 1e-4]
    assert (heating >= min(heat.power_min_kw, float(np.max(heat.power_max_kw))) - 1e-4).all()


def kept_in_car(home: Home, plan: Plan) -> None:
    """What is charged and driven is what its store gains and loses."""
    (ev,) = home.evs
    power, soc, hours = plan.ev_kw[0], plan.ev_soc_pct[0], home.terms.hours
    stored = np.where(power > 0, power * ev.charge_efficiency, power / ev.discharge_efficiency) * hours
    missing = next(
        (told.beyond for told in plan.violations if told.name == "evs[0].driven_kwh"), np.zeros_like(hours)
    )
    gained = np.diff(soc, prepend=ev.soc_pct) / 100.0 * ev.capacity_kwh
    assert gained == pytest.approx(stored - ev.driven_kwh + missing, abs=1e-5)


@given(home=equipped())
@settings(max_examples=40, deadline=None)
def test_with_any_devices_there_is_a_plan(home: Home) -> None:
    plan = Planner().plan(home)
    hours = home.terms.hours
    used = np.concatenate([plan.battery_kw, plan.ev_kw, plan.appliance_kw, plan.heat_kw]).sum(axis=0)
    assert plan.grid_kw + plan.pv_kept_kw == pytest.approx(home.load_kw + used, abs=1e-4)
    assert 0.0 <= plan.gap <= 1e-4 * max(dearest(home), abs(plan.objective))
    assert plan.hours is hours
    device_limits(home, plan)
    kept_in_car(home, plan)


@given(home=equipped(), data=st.data())
@settings(max_examples=20, deadline=None)
def test_devices_that_may_do_more_never_cost_more(home: Home, data: st.DataObject) -> None:
    (ev,), (appliance,), (heat,) = home.evs, home.appliances, home.heats
    freer = (
        {"evs": (replace(ev, charge_min_kw=0.0, discharge_max_kw=ev.discharge_max_kw + 1.0),)},
        {"evs": (replace(ev, target_pct=0.0, soc_min_pct=0.0),)},
        {"appliances": (replace(appliance, may_start=here(len(home.terms.hours))),)},
        {"heats": (replace(heat, power_min_kw=0.0, power_max_kw=heat.power_max_kw + 1.0),)},
        {"heats": (replace(heat, comfort_min_c=0.0, comfort_max_c=99.0),)},
    )
    before = Planner().plan(home)
    after = Planner().plan(replace(home, **data.draw(st.sampled_from(freer))))
    near = 1e-4 * max(dearest(home), abs(before.objective), abs(after.objective))
    assert after.objective <= before.objective + near


@pytest.mark.parametrize("kind", ["evs", "heats"])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_no_number_of_a_device_may_be_none(kind: str, value: float) -> None:
    home = Home(terms=terms([0.1] * 4, [0.0] * 4), load_kw=0.0)
    device: Ev | Heat = car() if kind == "evs" else tank(discomfort_per_kh=1.0)
    for number in fields(device):
        if number.name != "connected":
            with pytest.raises(InputError) as caught:
                Planner().plan(replace(home, **{kind: (replace(device, **{number.name: value}),)}))
            assert caught.value.name.startswith(f"{kind}[0].{number.name}")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"evs": (car(soc_pct=np.nan),)}, "evs[0].soc_pct"),
        ({"evs": (car(connected=here(3)),)}, "evs[0].connected"),
        ({"appliances": (washer(step_h=np.nan),)}, "appliances[0].step_h"),
        ({"appliances": (washer(step_h=0.0),)}, "appliances[0].step_h"),
        ({"appliances": (washer(profile_kw=np.array([1.0, np.nan])),)}, "appliances[0].profile_kw[1]"),
        ({"heats": (tank(cop=0.0),)}, "heats[0].cop"),
        ({"heats": (tank(temperature_c=np.nan),)}, "heats[0].temperature_c"),
    ],
)
def test_a_value_of_a_device_that_is_none_is_named(changes: dict[str, object], name: str) -> None:
    home = Home(terms=terms([0.1] * 4, [0.0] * 4), load_kw=0.0)
    with pytest.raises(InputError) as caught:
        Planner().plan(replace(home, **changes))
    assert caught.value.name == name
