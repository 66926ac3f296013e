"""The house under the simplest rule does what the textbook says; the generator makes a plausible home."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ores.sim.physics.config import Gateway, HouseConfig, PvArray, Site
from ores.sim.physics.house import House
from ores.sim.sources.household import Household
from ores.sim.sources.replay import without_car_and_heat


def load_textbook() -> ModuleType:
    """Test folders are no packages; the textbook is a file beside this one."""
    spec = importlib.util.spec_from_file_location("ores_textbook", Path(__file__).with_name("textbook.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


textbook = load_textbook()
SUN_ON_THE_ROOF = PvArray(peak_w=6000.0, tilt_deg=30.0, azimuth_deg=180.0)
NO_SUN = PvArray(peak_w=0.0, tilt_deg=30.0, azimuth_deg=180.0)


def battery_only() -> HouseConfig:
    config = without_car_and_heat(HouseConfig())
    hybrid = replace(config.hybrid, strings=(NO_SUN,), standby_w=0.0)
    gateway = Gateway(array=SUN_ON_THE_ROOF, rating_w=900.0)
    return replace(config, gateway=gateway, hybrid=hybrid)


def test_a_house_under_the_textbook_rule_gives_the_textbook_result() -> None:
    config, step_s = battery_only(), 10.0
    house = House(config, Household(config, 5), step_s)
    actions = house.actions()
    loads = [c.name for c in (*config.circuits, config.unmetered)]
    series = []
    for _ in range(2 * 8640):
        # The rule looks ahead by nothing: it cancels what the meter showed without the battery a step ago.
        actions.ac_battery_w[:] = house.element_w("ac_battery") - house.element_w("grid")
        house.step(actions)
        load = float(sum(house.element_w(n)[0] for n in loads))
        pv = -sum(house.power(f"micro{i + 1}") for i in range(8))
        series.append((load, pv))
    battery = config.ac_battery
    book = textbook.self_consume(
        series,
        step_s=step_s,
        capacity_wh=battery.capacity_wh,
        power_w=battery.discharge_w,
        efficiency=battery.efficiency,
        start_wh=battery.capacity_wh * battery.start_soc_pct / 100.0,
        standby_w=battery.standby_w,
        taper=battery.taper,
    )
    bought, sold = house.energy_in_wh("grid_net"), house.energy_out_wh("grid_net")
    begun = battery.capacity_wh * battery.start_soc_pct / 100.0
    # One step behind, the house buys and sells a little more than the book; never less.
    assert book.grid_import - 1.0 <= bought <= book.grid_import + 0.03 * book.load
    assert book.grid_export - 1.0 <= sold <= book.grid_export + 0.03 * book.pv
    assert 1.0 - sold / book.pv >= 0.995 * book.self_consumption
    assert house.stores.energy_wh[0, 0] - begun == pytest.approx(book.stored, abs=0.01 * battery.capacity_wh)
    assert 0.3 < book.self_consumption < 0.95
    assert book.pv == pytest.approx(sum(house.energy_out_wh(f"micro{i + 1}") for i in range(8)), rel=1e-6)


def test_the_textbook_itself_balances() -> None:
    rng = np.random.default_rng(3)
    series = [(float(a), float(b)) for a, b in rng.uniform(0, 6000, (500, 2))]
    result = textbook.self_consume(
        series,
        step_s=900.0,
        capacity_wh=8000.0,
        power_w=3000.0,
        efficiency=1.0,
        start_wh=4000.0,
        standby_w=20.0,
    )
    standby = 20.0 * 500 * 900.0 / 3600.0
    assert result.pv + result.grid_import == pytest.approx(
        result.load + result.grid_export + result.stored + standby, rel=1e-9
    )


@pytest.mark.parametrize(("month", "low_kwh", "high_kwh"), [(1, 2.0, 30.0), (6, 20.0, 70.0)])
def test_the_sun_of_the_season_shines(month: int, low_kwh: float, high_kwh: float) -> None:
    site = replace(Site(), start=Site().start.replace(month=month, day=10))
    config = HouseConfig(site=site)
    block = Household(config, 1, 10).block(0.0, 900.0, 96)
    daily_kwh = block.pv_dc_w.sum(axis=(0, 1)) * 0.25 / 1000.0
    assert low_kwh < daily_kwh.mean() < high_kwh
    assert (block.pv_dc_w[:16] == 0.0).all(), "at night there is none"
    assert daily_kwh.std() > 0.5, "homes see different clouds"


def test_a_household_uses_what_households_use() -> None:
    block = Household(HouseConfig(), 1, 20).block(0.0, 900.0, 7 * 96)
    daily_kwh = block.load_w.sum(axis=(0, 1)) * 0.25 / 1000.0 / 7.0
    assert 6.0 < daily_kwh.mean() < 14.0
    assert daily_kwh.min() > 3.0
    by_hour = block.load_w.sum(axis=(1, 2)).reshape(7, 24, 4).mean(axis=(0, 2))
    # The run starts at local midnight.
    assert by_hour[18:21].mean() > 1.5 * by_hour[2:5].mean()


def test_a_block_does_not_depend_on_how_it_is_asked_for() -> None:
    config = HouseConfig()
    whole = Household(config, 8, 2).block(0.0, 10.0, 9000)
    source = Household(config, 8, 2)
    late = source.block(86_400.0 - 600.0, 10.0, 120)
    np.testing.assert_allclose(late.load_w[:60], whole.load_w[8580:8640], rtol=0, atol=0)
    np.testing.assert_allclose(late.pv_dc_w, whole.pv_dc_w[8580:8700], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(late.outdoor_c, whole.outdoor_c[8580:8700], rtol=1e-12)
    minute = source.block(43_200.0, 60.0, 10)
    fine = whole.load_w[4320:4380].reshape(10, 6, *whole.load_w.shape[1:]).mean(axis=1)
    np.testing.assert_allclose(minute.load_w, fine, rtol=1e-12)
