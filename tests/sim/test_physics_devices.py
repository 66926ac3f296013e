"""Each thing in the house behaves as its data sheet says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ores.sim.physics import thermal, world
from ores.sim.physics.actions import Actions
from ores.sim.physics.battery import AC, CAR, HYBRID, derating
from ores.sim.physics.config import (
    Battery,
    Circuit,
    HouseConfig,
    ScenarioError,
    Vehicle,
    Wiring,
    for_conductors,
)
from ores.sim.physics.exogenous import Exogenous
from ores.sim.physics.heatpump import cop
from ores.sim.physics.house import House
from ores.sim.sources.household import Household

Floats = NDArray[np.float64]
CONFIG = HouseConfig()
INDOORS = replace(CONFIG, vehicle=Vehicle(commutes=False))


class Still:
    """Constant load and sun."""

    def __init__(
        self,
        config: HouseConfig,
        *,
        load_w: float = 40.0,
        pv_w: float = 0.0,
        outdoor_c: float = 15.0,
        homes: int = 1,
    ) -> None:
        self.homes = np.arange(homes, dtype=np.int64)
        self.seed = 3
        self._rows = len(config.circuits) + 1
        self._arrays = len(config.arrays)
        self.load_w, self.pv_w, self.outdoor_c = load_w, pv_w, outdoor_c

    def block(self, start_s: float, period_s: float, periods: int) -> Exogenous:
        n = len(self.homes)
        return Exogenous(
            np.full((periods, self._rows, n), self.load_w),
            np.full((periods, self._arrays, n), self.pv_w),
            np.full((periods, n), self.outdoor_c),
            np.full((periods, n), self.pv_w / 4.0),
        )


def still(config: HouseConfig = INDOORS, step_s: float = 1.0, **conditions: float) -> tuple[House, Actions]:
    house = House(config, Still(config, **conditions), step_s)  # type: ignore[arg-type]
    return house, house.actions()


def run(house: House, actions: Actions, seconds: float) -> None:
    for _ in range(round(seconds / house.step_s)):
        house.step(actions)


# ---- batteries


def test_the_ac_battery_follows_its_set_point_to_the_watt() -> None:
    house, actions = still()
    for wish in (2000.0, -3000.0, 0.0):
        actions.ac_battery_w[:] = wish
        house.step(actions)
        assert house.power("ac_battery") == pytest.approx(wish, abs=1e-9)


def test_an_empty_battery_still_draws_its_standby_and_nothing_comes_out() -> None:
    house, actions = still()
    world.set_soc_pct(house, "ac_battery", 0.0)
    actions.ac_battery_w[:] = -5000.0
    house.step(actions)
    assert house.power("ac_battery") == pytest.approx(CONFIG.ac_battery.standby_w)


@pytest.mark.parametrize("row", [AC, HYBRID, CAR])
def test_the_power_limit_falls_towards_full_and_empty_and_never_rises(row: int) -> None:
    house, _ = still()
    charge, discharge = [], []
    for soc in np.linspace(0.0, 100.0, 201):
        house.stores.energy_wh[row] = soc / 100.0 * house.stores.capacity_wh[row]
        house.stores.update_limits()
        charge.append(float(house.stores.limit_w[0, row, 0]))
        discharge.append(float(house.stores.limit_w[1, row, 0]))
    assert (np.diff(charge) <= 1e-9).all()
    assert (np.diff(discharge) >= -1e-9).all()
    assert charge[-1] == 0.0 == discharge[0]
    assert charge[100] == house.stores.nameplate_w[0, row, 0]


def test_a_cold_battery_does_not_charge_and_a_hot_one_rests() -> None:
    charge, discharge = derating(np.array([-25.0, -5.0, 5.0, 25.0, 45.0, 52.5, 60.0]))
    assert charge.tolist() == pytest.approx([0, 0, 0.5, 1, 1, 0.5, 0])
    assert discharge.tolist() == pytest.approx([0, 0.75, 1, 1, 1, 0.5, 0])


def test_a_working_battery_warms_up_and_heat_is_conserved() -> None:
    house, actions = still(step_s=10.0, outdoor_c=20.0)
    world.set_soc_pct(house, "ac_battery", 90.0)
    actions.ac_battery_w[:] = -5000.0
    before = house.temperature_c.copy()
    run(house, actions, 3600.0)
    warmed = house.temperature_c - before
    assert 3.0 < warmed[thermal.AC_BATTERY, 0] < 12.0
    lost = house.energy_in_wh("ac_battery_loss") * 3600.0
    assert warmed[thermal.AC_BATTERY, 0] * CONFIG.ac_battery.heat_capacity_j_k < lost


def test_the_exact_thermal_step_agrees_with_many_small_ones() -> None:
    big, push = thermal.home_network(CONFIG, 3600.0)
    small, shove = thermal.home_network(CONFIG, 1.0)
    start, inputs = (
        np.array([20.0, 21.0, 50.0, 15.0, 25.0]),
        np.array([-5.0, 3000.0, 0.0, 1000.0, 50.0, 80.0]),
    )
    state = start
    for _ in range(3600):
        state = small @ state + shove @ inputs
    np.testing.assert_allclose(big @ start + push @ inputs, state, rtol=1e-9)


# ---- hybrid


def test_the_hybrid_set_point_counts_at_the_grid() -> None:
    house, actions = still(pv_w=2000.0)
    house.step(actions)
    alone = house.power("inverter")
    assert alone == pytest.approx(-(4000.0 - 20.0) * 0.975)
    for wish in (1500.0, -2000.0, 4500.0):
        actions.hybrid_battery_w[:] = wish
        house.step(actions)
        assert house.power("inverter") - alone == pytest.approx(wish, abs=1e-6)


def test_a_produce_limit_curtails_the_strings_and_leaves_the_battery_to_its_set_point() -> None:
    house, actions = still(pv_w=3000.0)
    actions.inverter_produce_max_w[:] = 1000.0
    actions.hybrid_battery_w[:] = 0.0
    house.step(actions)
    assert house.power("inverter") == pytest.approx(-1000.0)
    assert house.power("hybrid_battery") == pytest.approx(0.0, abs=1e-6)
    assert -house.power("string1") - house.power("string2") == pytest.approx(1000.0 / 0.975 + 20.0)
    actions.hybrid_battery_w[:] = 2000.0
    house.step(actions)
    # The sun alone could give more than the limit: what charges is taken from what was curtailed.
    assert house.power("hybrid_battery") == pytest.approx(2000.0 / 0.975, rel=1e-3)
    assert house.power("inverter") == pytest.approx(-1000.0)


# ---- micro-inverters


def test_micro_inverters_clip_at_their_rating_and_at_their_limit() -> None:
    house, actions = still(pv_w=8 * 500.0)
    actions.micro_produce_max_w[3] = 120.0
    house.step(actions)
    assert house.power("micro1") == -400.0
    assert house.power("micro4") == -120.0
    assert house.terminals("micro2") == (0.0, -400.0, 0.0)


def test_micro_inverters_wait_for_a_healthy_minute_after_an_outage() -> None:
    house, actions = still(pv_w=3000.0)
    house.step(actions)
    world.cut_grid(house)
    house.step(actions)
    assert house.power("micro1") == 0.0
    world.restore_grid(house)
    run(house, actions, 58.0)
    assert house.power("micro1") == 0.0
    run(house, actions, 3.0)
    assert house.power("micro1") < -300.0


# ---- the island


def test_an_outage_leaves_the_critical_side_lit_and_the_rest_dark() -> None:
    house, actions = still(load_w=100.0)
    house.step(actions)
    world.cut_grid(house)
    house.step(actions)
    assert not house.tie.closed[0]
    assert house.power("fridge") == 100.0
    assert house.power("oven") == house.power("grid") == house.power("grid_port") == 0.0
    assert house.power("hybrid_battery") < -700.0
    assert house.voltage_v("backup")[0, 0] == 230.0
    assert house.voltage_v("grid")[0, 0] == house.frequency_hz("grid")[0] == 0.0
    assert house.power("ac_battery") == house.power("heat_pump") == house.power("car") == 0.0


def test_a_full_battery_on_an_island_curtails_the_sun() -> None:
    house, actions = still(load_w=100.0, pv_w=3000.0)
    world.set_soc_pct(house, "hybrid_battery", 100.0)
    world.cut_grid(house)
    house.step(actions)
    assert house.power("hybrid_battery") == pytest.approx(0.0, abs=1e-6)
    assert -house.power("string1") - house.power("string2") == pytest.approx(700.0 / 0.975 + 20.0)


def test_an_empty_battery_blacks_out_and_restarts_with_the_sun() -> None:
    house, actions = still(load_w=100.0)
    world.set_soc_pct(house, "hybrid_battery", 0.0)
    world.cut_grid(house)
    house.step(actions)
    assert not house.bus_live("backup")[0]
    assert house.power("fridge") == 0.0
    world.set_soc_pct(house, "hybrid_battery", 20.0)
    run(house, actions, 61.0)
    assert house.bus_live("backup")[0]
    assert house.power("fridge") == 100.0


def test_a_dead_island_draws_nothing_from_an_empty_battery() -> None:
    house, actions = still(load_w=100.0)
    world.set_soc_pct(house, "hybrid_battery", 0.0)
    world.cut_grid(house)
    run(house, actions, 300.0)
    assert house.stores.energy_wh[HYBRID, 0] == 0.0
    assert house.power("hybrid_standby") == house.power("inverter") == 0.0


def test_an_overloaded_island_blacks_out() -> None:
    house, actions = still(load_w=100.0)
    world.cut_grid(house)
    house.step(actions)
    assert house.bus_live("backup")[0]
    world.turn_on(house, "fridge", 4000.0, 600.0)
    house.step(actions)
    assert not house.bus_live("backup")[0]
    assert house.power("inverter") == 0.0


def test_only_the_tie_closes_itself_and_only_when_permitted() -> None:
    house, actions = still()
    world.hold_open(house, True)
    run(house, actions, 5.0)
    assert not house.tie.closed[0]
    assert house.power("oven") == 40.0
    assert house.power("grid_port") == 0.0
    world.permit_close(house, False)
    world.hold_open(house, False)
    run(house, actions, 120.0)
    assert not house.tie.closed[0]
    world.permit_close(house, True)
    run(house, actions, 2.0)
    assert house.tie.closed[0]


def test_without_permission_to_form_the_critical_side_is_dark() -> None:
    house, actions = still()
    world.allow_forming(house, False)
    world.cut_grid(house)
    run(house, actions, 3.0)
    assert not house.bus_live("backup")[0]


# ---- car


@pytest.mark.parametrize(
    ("limit_a", "phases", "wanted"),
    [(5.9, 3, (0.0, 0.0, 0.0)), (6.0, 1, (6.0, 0, 0)), (10.9, 3, (10.0, 10.0, 10.0)), (32.0, 3, (16.0,) * 3)],
)
def test_the_car_draws_whole_amperes_on_the_conductors_it_uses(
    limit_a: float, phases: int, wanted: tuple[float, ...]
) -> None:
    house, actions = still()
    actions.car_current_a[:], actions.car_phases[:] = limit_a, phases
    house.step(actions)
    assert house.car_current_a[:, 0].tolist() == pytest.approx(list(wanted))


def test_the_car_leaves_and_returns_with_less() -> None:
    house = House(CONFIG, Household(CONFIG, seed=4, homes=20), step_s=60.0)
    actions = house.actions()
    actions.car_current_a[:] = 0.0
    seen = []
    for _ in range(7 * 24 * 60):
        house.step(actions)
        seen.append(house.car.present.copy())
    away = 1.0 - np.mean(seen)
    assert 0.25 < away < 0.5
    assert (house.driven_wh > 0.0).all()
    begun = CONFIG.vehicle.battery.capacity_wh * CONFIG.vehicle.battery.start_soc_pct / 100.0
    np.testing.assert_allclose(house.stores.energy_wh[CAR], begun - house.driven_wh, rtol=1e-9)
    assert np.isfinite(house.car.departure_s).mean() > 0.6


def test_a_person_can_take_the_car_away() -> None:
    house, actions = still()
    world.move_car(house, False)
    run(house, actions, 20.0)
    assert house.power("car") == 0.0
    world.move_car(house, True)
    run(house, actions, 1.0)
    assert house.power("car") > 10_000.0


# ---- heat pump


def test_cop_falls_with_the_cold() -> None:
    values = cop(38.0, np.array([-15.0, 0.0, 10.0, 20.0, 30.0]))
    assert (np.diff(values) >= 0.0).all()
    assert 1.8 < values[0] < 2.5
    assert values[-1] < 5.2


def test_the_heat_pump_keeps_the_rooms_warm_in_winter_and_its_minimum_times() -> None:
    house, actions = still(step_s=60.0, outdoor_c=-2.0)
    run(house, actions, 2 * 86_400.0)
    switched, on, rooms = [], house.heat_pump.on[0], []
    for minute in range(3 * 1440):
        house.step(actions)
        rooms.append(house.temperature_c[thermal.AIR, 0])
        if house.heat_pump.on[0] != on:
            switched.append(minute)
            on = house.heat_pump.on[0]
    assert 18.5 < min(rooms) < max(rooms) < 23.0
    assert len(switched) > 4
    assert min(np.diff(switched)) >= 10
    assert house.temperature_c[thermal.TANK, 0] > 40.0


def test_a_tank_without_heat_cools_but_not_below_the_mains() -> None:
    still_pump = replace(INDOORS, heat_pump=replace(CONFIG.heat_pump, rating_w=0.0))
    house, actions = still(still_pump, step_s=900.0, outdoor_c=10.0)
    run(house, actions, 8 * 86_400.0)
    assert 12.0 < house.temperature_c[thermal.TANK, 0] < 25.0


def test_sg_ready_modes_block_and_order() -> None:
    house, actions = still(step_s=10.0, outdoor_c=5.0)
    house.temperature_c[thermal.AIR] = house.temperature_c[thermal.MASS] = 22.5
    house.temperature_c[thermal.TANK] = 51.0
    run(house, actions, 600.0)
    assert house.power("heat_pump") == CONFIG.heat_pump.standby_w
    actions.heat_pump_mode[:] = 4
    run(house, actions, 10.0)
    assert house.power("heat_pump") > 2000.0
    actions.heat_pump_mode[:] = 1
    run(house, actions, 300.0)
    assert house.power("heat_pump") > 2000.0, "ten minutes are its minimum"
    run(house, actions, 360.0)
    assert house.power("heat_pump") == CONFIG.heat_pump.standby_w


# ---- load, wiring, world


def test_the_oven_adds_three_kilowatts_until_it_is_done() -> None:
    house, actions = still()
    run(house, actions, 15.0)
    before = house.power("grid")
    world.turn_on(house, "oven", 3000.0, 60.0)
    house.step(actions)
    assert house.power("grid") - before == pytest.approx(3000.0)
    assert house.power("oven") == 3040.0
    run(house, actions, 70.0)
    assert house.power("oven") == 40.0


def test_an_open_circuit_carries_nothing() -> None:
    house, actions = still()
    actions.circuit_closed[7] = 0.0
    house.step(actions)
    assert house.power("oven") == 0.0


def test_a_cloud_passes() -> None:
    house, actions = still(pv_w=1000.0)
    house.step(actions)
    world.move_cloud(house, 0.25, 30.0)
    house.step(actions)
    assert house.pv_available_w[0, 0] == 250.0
    run(house, actions, 40.0)
    assert house.pv_available_w[0, 0] == 1000.0


def test_load_on_one_conductor_lowers_its_voltage() -> None:
    house, actions = still()
    house.step(actions)
    before = house.voltage_v()[:, 0]
    world.turn_on(house, "oven", 4600.0, 60.0)
    house.step(actions)
    assert (before - house.voltage_v()[:, 0]).tolist() == pytest.approx([0.0, 20.0 * 0.24, 0.0])
    assert house.grid_current_a[1, 0] > 20.0
    assert 49.9 < house.frequency_hz()[0] < 50.1


def test_split_phase_and_single_phase_homes_run() -> None:
    for names in (("l1", "l2"), ("l1",)):
        config = for_conductors(*names, voltage_v=120.0, fuse_a=200.0, frequency_hz=60.0)
        house = House(config, Household(config))
        house.step(house.actions())
        assert len(house.terminals("grid")) == len(names)
        assert sum(house.terminals("car")) == pytest.approx(16.0 * 120.0 * len(names))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Battery(efficiency=1.2), r"Battery.efficiency: found 1.2, allowed: a number from 0.5 to 1"),
        (lambda: Battery(capacity_wh=float("nan")), "Battery.capacity_wh: found nan"),
        (lambda: Wiring(conductors=()), "Wiring.conductors"),
        (lambda: Circuit(name="a", shares=(0.5, 0.4)), "Circuit.shares"),
        (lambda: HouseConfig(wiring=Wiring(conductors=("l1", "l2"))), "2 shares each"),
        (lambda: House(CONFIG, Still(CONFIG), step_s=0.0), "step_s: found 0.0"),
        (lambda: world.turn_on(still()[0], "sauna", 1.0, 1.0), "circuit: found 'sauna', allowed: fridge"),
        (lambda: world.move_cloud(still()[0], float("nan"), 1.0), "factor: found nan"),
        (lambda: world.cut_grid(still()[0], 5), "home: found 5, allowed: 0 to 0"),
    ],
)
def test_an_impossible_home_is_refused_by_name(make: object, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        make()  # type: ignore[operator]


def test_nan_in_the_actions_is_found() -> None:
    actions = still()[1]
    actions.check()
    actions.ac_battery_w[0] = np.nan
    with pytest.raises(ScenarioError, match="ac_battery_w: found NaN"):
        actions.check()


# ---- many homes, many runs


def drive(house: House, actions: Actions, ids: list[int], steps: int) -> Floats:
    """A run with commands and outages that depend on the home's id alone; the whole state of every step."""
    story = []
    for step in range(steps):
        for at, home in enumerate(ids):
            wave = np.sin(step / (7.0 + home))
            actions.ac_battery_w[at], actions.hybrid_battery_w[at] = 4000.0 * wave, -5000.0 * wave
            actions.car_current_a[at] = 16.0 * abs(wave)
            actions.heat_pump_mode[at] = 1 + (step // 50 + home) % 4
            if step % 97 == 13 * (home + 1):
                world.cut_grid(house, at)
            if step % 97 == 13 * (home + 1) + 9:
                world.restore_grid(house, at)
        house.step(actions)
        story.append(np.vstack([house.power_w, house.stores.energy_wh, house.temperature_c]))
    return np.stack(story)


def test_many_homes_at_once_are_the_same_as_one_at_a_time() -> None:
    ids = [0, 1, 5]
    house = House(CONFIG, Household(CONFIG, 9, ids), step_s=10.0)
    together = drive(house, house.actions(), ids, 400)
    assert (together[:, house.layout.row("grid")] == 0.0).any()
    for at, home in enumerate(ids):
        alone = House(CONFIG, Household(CONFIG, 9, [home]), step_s=10.0)
        np.testing.assert_allclose(
            drive(alone, alone.actions(), [home], 400)[:, :, 0], together[:, :, at], rtol=1e-9, atol=1e-6
        )


def test_the_same_seed_gives_the_same_run_and_another_another() -> None:
    def digest(seed: int) -> str:
        house = House(CONFIG, Household(CONFIG, seed, 3), step_s=10.0)
        return hashlib.sha256(drive(house, house.actions(), [0, 1, 2], 300).tobytes()).hexdigest()

    assert digest(1) == digest(1) != digest(2)


def test_counters_are_the_integral_of_what_was_shown() -> None:
    house = House(CONFIG, Household(CONFIG, 2), step_s=10.0)
    actions = house.actions()
    shown_in, shown_out = np.zeros_like(house.power_w[:, 0]), np.zeros_like(house.power_w[:, 0])
    for step in range(2000):
        actions.ac_battery_w[:] = 3000.0 * np.sin(step / 50.0)
        house.step(actions)
        shown_in += np.maximum(house.power_w[:, 0], 0.0) * 10.0 / 3600.0
        shown_out += np.maximum(-house.power_w[:, 0], 0.0) * 10.0 / 3600.0
    for name, element in house.layout.elements.items():
        assert house.energy_in_wh(name) == pytest.approx(shown_in[element.rows].sum(), rel=1e-12), name
        assert house.energy_out_wh(name) == pytest.approx(shown_out[element.rows].sum(), rel=1e-12), name
