"""Nothing is made of nothing: both buses, the direct-current side and every store, whatever is done."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ores.sim.physics import world
from ores.sim.physics.actions import Actions
from ores.sim.physics.config import HouseConfig, for_conductors
from ores.sim.physics.exogenous import Exogenous
from ores.sim.physics.house import House

Floats = NDArray[np.float64]
TOLERANCE = 1e-9


class Wild:
    """A source without manners: any load, any sun, within what a home may see."""

    def __init__(self, config: HouseConfig, seed: int, homes: int = 3, load_max_w: float = 1500.0) -> None:
        self.homes = np.arange(homes, dtype=np.int64)
        self.seed = seed
        self._config = config
        self._load_max_w = load_max_w

    def block(self, start_s: float, period_s: float, periods: int) -> Exogenous:
        rng = np.random.default_rng([self.seed, int(start_s)])
        n, c = len(self.homes), self._config
        return Exogenous(
            load_w=rng.uniform(0, self._load_max_w, (periods, len(c.circuits) + 1, n))
            * (rng.random((periods, len(c.circuits) + 1, n)) < 0.5),
            pv_dc_w=rng.uniform(0, 9000, (periods, len(c.arrays), n)) * (rng.random((periods, 1, n)) < 0.7),
            outdoor_c=rng.uniform(-15, 35, (periods, n)),
            irradiance_w_m2=rng.uniform(0, 1000, (periods, n)),
        )


def shake(rng: np.random.Generator, actions: Actions) -> None:
    """Command anything."""
    shape = actions.ac_battery_w.shape
    actions.circuit_closed[:] = rng.random(actions.circuit_closed.shape) < 0.8
    actions.micro_produce_max_w[:] = rng.uniform(0, 500, actions.micro_produce_max_w.shape)
    actions.ac_battery_w[:] = rng.uniform(-9000, 9000, shape)
    actions.hybrid_battery_w[:] = rng.uniform(-12000, 12000, shape)
    for limit in (
        actions.ac_battery_consume_max_w,
        actions.ac_battery_produce_max_w,
        actions.inverter_consume_max_w,
        actions.inverter_produce_max_w,
    ):
        limit[:] = rng.uniform(0, 9000, shape) * (rng.random(shape) < 0.8)
    actions.car_current_a[:] = rng.uniform(0, 20, shape)
    actions.car_phases[:] = rng.choice([1.0, 3.0], shape)
    actions.heat_pump_mode[:] = rng.integers(1, 5, shape)


def bus_residual(house: House) -> tuple[Floats, Floats]:
    """Σ power and Σ |power| per bus, conductor and home, from what the elements say of themselves."""
    count = len(house.config.wiring.conductors)
    total, size = np.zeros((3, count, house.homes)), np.zeros((3, count, house.homes))
    for element in house.layout.elements.values():
        power = house.terminal_w(element.name)
        if element.bus in ("grid", "utility"):
            sign = -1.0 if element.bus == "utility" else 1.0
            total[0] += sign * power
            size[0] += np.abs(power)
        elif element.bus == "backup":
            total[1] += power
            size[1] += np.abs(power)
    for port in ("grid_port", "backup_port"):
        total[2] += house.terminal_w(port)
        size[2] += np.abs(house.terminal_w(port))
    total[2] -= house.terminal_w("inverter")
    size[2] += np.abs(house.terminal_w("inverter"))
    return total, size


def check_balance(house: House) -> None:
    total, size = bus_residual(house)
    assert (np.abs(total) <= TOLERANCE * size + 1e-12).all()
    direct = [house.element_w(name) for name, e in house.layout.elements.items() if e.bus == "dc"]
    assert (np.abs(sum(direct)) <= TOLERANCE * sum(np.abs(d) for d in direct) + 1e-12).all()


def disturb(rng: np.random.Generator, house: House) -> None:
    """Cut, restore and island at random."""
    home = int(rng.integers(house.homes))
    match int(rng.integers(12)):
        case 0:
            world.cut_grid(house, home)
        case 1 | 2:
            world.restore_grid(house, home)
        case 3:
            world.hold_open(house, True, home)
        case 4 | 5:
            world.hold_open(house, False, home)
        case 6:
            world.move_car(house, bool(rng.random() < 0.5), home)
        case 7:
            world.move_cloud(house, float(rng.uniform(0, 1.2)), 300.0, home)
        case 8:
            world.turn_on(house, "oven", 3000.0, 600.0, home)
        case _:
            pass


def check_stores(house: House, before_wh: Floats, hours: float, driven_wh: Floats) -> None:
    """What is stored more is what came in at the terminal, less the named losses and the driving."""
    gained = house.stores.energy_wh - before_wh
    flows = {
        0: house.element_w("ac_battery")
        - house.element_w("ac_battery_standby")
        - house.element_w("ac_battery_loss"),
        1: house.element_w("hybrid_battery") - house.element_w("hybrid_battery_loss"),
        2: house.element_w("car") - house.element_w("car_loss") - driven_wh / hours,
    }
    for row, flow in flows.items():
        np.testing.assert_allclose(gained[row], flow * hours, rtol=1e-9, atol=1e-8)
    for loss in ("ac_battery_loss", "hybrid_battery_loss", "car_loss", "inverter_loss", "ac_battery_standby"):
        assert (house.element_w(loss) >= -1e-9).all(), loss
    assert (house.stores.energy_wh >= -1e-6).all()
    assert (house.stores.energy_wh <= house.stores.capacity_wh + 1e-6).all()


def check_limits(house: House, actions: Actions) -> None:
    """What was commanded is kept, but for what physics must draw."""
    c, tie = house.config, house.tie
    for index in range(c.gateway.count):
        produced = -house.element_w(f"micro{index + 1}")
        assert (produced <= np.minimum(actions.micro_produce_max_w[index], c.gateway.rating_w) + 1e-9).all()
        assert (produced[~tie.micro_connected] == 0.0).all()
    inverter = house.element_w("inverter")[tie.closed]
    assert (-inverter <= actions.inverter_produce_max_w[tie.closed] + 1e-6).all()
    must = c.hybrid.standby_w / c.hybrid.efficiency
    assert (inverter <= np.maximum(actions.inverter_consume_max_w[tie.closed], must) + 1e-6).all()
    battery = house.element_w("ac_battery")
    assert (-battery <= actions.ac_battery_produce_max_w + 1e-9).all()
    assert (battery <= np.maximum(actions.ac_battery_consume_max_w, c.ac_battery.standby_w) + 1e-9).all()
    current = house.car_current_a
    allowed = np.where(actions.car_current_a >= c.vehicle.min_a, np.floor(actions.car_current_a), 0.0)
    assert (current <= np.minimum(allowed, c.vehicle.max_a) + 1e-9).all()
    for row, circuit in enumerate(c.circuits):
        assert (house.element_w(circuit.name)[actions.circuit_closed[row] == 0.0] == 0.0).all()
    dark = ~tie.grid_ok
    for element in house.layout.elements.values():
        if element.bus in ("grid", "utility"):
            assert (house.terminal_w(element.name)[:, dark] == 0.0).all(), element.name
        if element.bus == "backup":
            assert (house.terminal_w(element.name)[:, ~tie.backup_live] == 0.0).all(), element.name


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**31),
    step_s=st.sampled_from([1.0, 10.0, 60.0, 900.0]),
    phases=st.sampled_from([1, 2, 3]),
    load_max_w=st.sampled_from([300.0, 1500.0, 6000.0]),
)
def test_every_bus_and_every_store_balances_whatever_happens(
    seed: int, step_s: float, phases: int, load_max_w: float
) -> None:
    config = HouseConfig() if phases == 3 else for_conductors(*("l1", "l2")[:phases])
    house = House(config, Wild(config, seed, load_max_w=load_max_w), step_s=step_s)
    rng, actions = np.random.default_rng(seed), house.actions()
    stored_wh, hours = house.stores.energy_wh.copy(), step_s / 3600.0
    for _ in range(60):
        shake(rng, actions)
        disturb(rng, house)
        driven = house.driven_wh.copy()
        house.step(actions)
        check_balance(house)
        check_stores(house, stored_wh, hours, house.driven_wh - driven)
        check_limits(house, actions)
        stored_wh = house.stores.energy_wh.copy()
