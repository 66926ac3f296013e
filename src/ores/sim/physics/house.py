"""The house: all devices of all homes in one step.

`House.step` is a few dozen in-place array operations. What changes every step (electricity) is done every
step; what changes slowly (temperatures, compressor, weather, comings and goings) is done once per tick,
by default every 10 s, from the energies counted since. What happens without the grid is done only while
some home is without it.

Order of a step: tick if due, switches of the tie, loads and sun, limits of the stores, set-points,
hybrid, islands, storage, sums per conductor of both buses, counters.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics import backup, thermal
from ores.sim.physics.actions import Actions, idle
from ores.sim.physics.battery import AC, CAR, HYBRID, Stores, derating
from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.exogenous import Exogenous, Source
from ores.sim.physics.heatpump import HeatPumpControl, cop, hot_water_w
from ores.sim.physics.noise import smooth
from ores.sim.physics.vehicle import DAY_S, Comings
from ores.sim.physics.wiring import lay_out

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

TICK_S = 10.0
_FREQUENCY, _VOLTAGE = range(60, 62)
_BLOCK_VALUES = 400_000
_HEATING = ("heat_pump", "ac_battery_loss", "ac_battery_standby", "hybrid_battery_loss", "inverter_loss",
            "hybrid_standby")  # fmt: skip


class House:
    """A group of homes of one configuration.

    Attributes:
        config: Of every home.
        layout: Rows of the elements in `power_w`.
        homes: Number of homes.
        step_s: Length of a step.
        tick_s: Length of a tick.
        steps: Done so far.
        power_w: Every element of every home as of the last step, shape (layout.rows, homes); read only.
        stores: Energy, limits and losses of the AC battery, the hybrid's battery and the car.
        tie: Switching state; use `cut_grid`, `hold_open`... to change it.
        heat_pump: Its control.
        car: Presence and plan.
        temperature_c: Rows as in `thermal`, shape (5, homes).
        outdoor_c: Shape (homes,).
        pv_available_w: Direct current per array (gateway's first), shape (n_arrays, homes).
        driven_wh: Cumulative energy that driving took from each car.
        hot_water_w, heat_w: Heat drawn from the tank, and heat made by the heat pump over the last tick.
    """

    def __init__(self, config: HouseConfig, source: Source, step_s: float = 1.0) -> None:
        if not 0.01 <= step_s <= 3600.0:
            raise ScenarioError(f"step_s: found {step_s!r}, allowed: 0.01 to 3600 s")
        self.config = config
        self.source = source
        self.homes = n = len(source.homes)
        self.step_s = step_s
        self._steps_per_tick = max(1, round(TICK_S / step_s))
        self.tick_s = self._steps_per_tick * step_s
        self.steps = 0
        self.layout = lay_out(config)
        self._allocate(n)
        self.tie = backup.Tie(config, n)
        self.heat_pump = HeatPumpControl(config.heat_pump, n)
        self._utc_start_s = config.site.start.timestamp()
        self._local_start_s = self._utc_start_s + config.site.utc_offset_h * 3600.0
        self.car = Comings(config.vehicle, source.seed, source.homes, self._local_start_s)
        self._car_away: Bools = np.zeros(n, dtype=bool)
        self._network = thermal.home_network(config, self.tick_s)
        self._left_in_tick = 0
        self._block: Exogenous | None = None
        self._block_start = 0
        self._block_ticks = 0
        self._disturbed = False

    def _allocate(self, n: int) -> None:
        c, layout = self.config, self.layout
        phases, loads = len(c.wiring.conductors), len(c.circuits) + 1
        self.power_w = p = np.zeros((layout.rows, n))
        self._in, self._out, self._part = np.zeros_like(p), np.zeros_like(p), np.zeros_like(p)
        row = layout.row
        top = layout.summed
        self._summed, self._closed_rows = p[:top], p[top : top + 3 * phases]
        self._circuits, self._loads, self._unmetered = p[: loads - 1], p[:loads], p[loads - 1]
        self._micro = p[loads : loads + c.gateway.count]
        self._ac_terminal, self._ac_standby = p[row("ac_battery")][0], p[row("ac_battery_standby")][0]
        self._hp = p[row("heat_pump")][0]
        self._car, self._inverter = p[row("car")], p[row("inverter")][0]
        self._backup_port, self._grid_port, self._grid = (
            p[row(k)] for k in ("backup_port", "grid_port", "grid")
        )
        first = row("string1").start
        self._strings = p[first : first + len(c.hybrid.strings)]
        self._pack, self._inverter_dc = p[row("hybrid_battery")][0], p[row("inverter_dc")][0]
        self._standby, self._inverter_loss = p[row("hybrid_standby")][0], p[row("inverter_loss")][0]
        at = row("ac_battery_loss").start
        batteries = (c.ac_battery, c.hybrid.battery, c.vehicle.battery)
        self.stores = Stores(batteries, n, self.step_s, p[at : at + 3])
        self._want = self.stores.power_w
        self._want_ac, self._want_hybrid, self._want_car = self._want
        self._heating_rows = [row(name).start for name in _HEATING]
        self._heat_mark = np.zeros((len(_HEATING), n))
        self.temperature_c = np.full((5, n), c.building.start_c)
        self.temperature_c[thermal.TANK] = c.heat_pump.tank_c - 2.0
        self.outdoor_c, self._irradiance = np.zeros(n), np.zeros(n)
        self.pv_available_w = np.zeros((len(c.arrays), n))
        self.driven_wh, self.hot_water_w, self.heat_w = np.zeros(n), 0.0, np.zeros(n)
        # Prepared per tick for the steps within it.
        self._load_now, self._base_load, self._by_hand_w = np.zeros((3, loads, n))
        self._by_hand_until = np.zeros((loads, n))
        self._cloud, self._cloud_until = np.ones(n), np.zeros(n)
        self._micro_w = np.zeros(n)
        self._string_part = np.zeros((len(c.hybrid.strings), n))
        self._sun, self._need, self._alone = np.zeros((3, n))
        self._car_volts, self._car_shares = np.zeros(n), np.zeros((phases, n))
        self._nominal_hz, self._frequency, self._volts = (
            c.wiring.frequency_hz,
            c.wiring.frequency_hz,
            np.zeros(n),
        )
        # Scratch and constants of the step; zero-dimensional arrays are faster than Python floats.
        self._a, self._b, self._d, self._lo, self._hi = np.zeros((5, n))
        self._enough: Bools = np.zeros(n, dtype=bool)
        self._zero, self._rating = np.zeros(()), np.array(c.hybrid.rating_w)
        self._eta, self._inverse = np.array(c.hybrid.efficiency), np.array(1.0 / c.hybrid.efficiency)
        self._min_a, self._max_a = np.array(c.vehicle.min_a), np.array(c.vehicle.max_a)
        self._ac_standby[:] = c.ac_battery.standby_w
        self._standby[:] = c.hybrid.standby_w

    def actions(self) -> Actions:
        """Arrays to write commands into, as they stand at rest."""
        return idle(self.config, self.homes)

    @property
    def now_s(self) -> float:
        """Simulated time since the start of the run."""
        return self.steps * self.step_s

    def step(self, actions: Actions) -> None:
        """Move every home by `step_s`.

        Args:
            actions: What is asked of the devices; only read.

        Raises:
            ScenarioError: The source has no data for this time.
        """
        if not self._left_in_tick:
            self._tick(actions)
        self._left_in_tick -= 1
        stores, want = self.stores, self._want
        np.multiply(self._load_now[:-1], actions.circuit_closed, self._circuits)
        np.fmin(actions.micro_produce_max_w, self._micro_w, self._micro)
        np.negative(self._micro, self._micro)
        stores.update_limits()
        if self._disturbed:
            self._switch()
        self._wish(actions)
        stores.clip(want)
        self._convert(actions)
        if self._disturbed:
            self._islands()
        stores.move()
        np.add(self._want_ac, self._ac_standby, self._ac_terminal)
        np.multiply(self._want_car, self._car_shares, self._car)
        np.add(self._inverter, self._inverter_dc, self._inverter_loss)
        self._pack[:] = self._want_hybrid
        np.dot(self.layout.closing, self._summed, self._closed_rows)
        if self._disturbed:
            self._part_buses()
        np.fmax(self.power_w, self._zero, self._part)
        np.add(self._in, self._part, self._in)
        np.subtract(self._part, self.power_w, self._part)
        np.add(self._out, self._part, self._out)
        self.steps += 1

    def _wish(self, actions: Actions) -> None:
        """What the stores are asked for, before their own limits."""
        a, b = self._a, self._b
        want_ac, want_hybrid, want_car = self._want_ac, self._want_hybrid, self._want_car
        np.fmin(actions.ac_battery_w, actions.ac_battery_consume_max_w, want_ac)
        np.negative(actions.ac_battery_produce_max_w, a)
        np.fmax(want_ac, a, want_ac)
        np.subtract(want_ac, self._ac_standby, want_ac)
        # The hybrid: what the sun alone would give at AC, plus the wish, within the inverter's limits;
        # from that the direct-current side, from that the battery.
        np.fmin(actions.inverter_produce_max_w, self._rating, self._hi)
        np.negative(self._hi, self._lo)
        np.fmin(self._lo, self._alone, self._lo)
        np.add(self._alone, actions.hybrid_battery_w, a)
        np.fmin(a, actions.inverter_consume_max_w, a)
        np.fmin(a, self._rating, a)
        np.fmax(a, self._lo, a)
        np.multiply(a, self._eta, b)
        np.multiply(a, self._inverse, a)
        np.fmin(a, b, a)
        np.subtract(a, self._need, want_hybrid)
        np.fmin(actions.car_current_a, self._max_a, a)
        np.floor(a, a)
        np.greater_equal(a, self._min_a, self._enough)
        np.multiply(a, self._enough, a)
        np.multiply(a, self._car_volts, want_car)

    def _convert(self, actions: Actions) -> None:
        """The hybrid's strings and inverter around what its battery does."""
        a, d, hi = self._a, self._d, self._hi
        del actions
        np.multiply(hi, self._inverse, hi)
        np.add(hi, self._standby, hi)
        np.add(hi, self._want_hybrid, hi)
        np.fmin(hi, self._sun, hi)
        np.multiply(self._string_part, hi, self._strings)
        np.add(self._want_hybrid, self._standby, d)
        np.subtract(d, hi, d)
        np.negative(d, self._inverter_dc)
        np.multiply(d, self._eta, a)
        np.multiply(d, self._inverse, d)
        np.fmax(a, d, self._inverter)

    # ---- without the grid
    # ------------------------------------------------------------------------------------

    def _switch(self) -> None:
        """Move the tie and take from dark buses what hung on them."""
        tie, stores, c = self.tie, self.stores, self.config
        tie.advance(self.step_s, stores.energy_wh[HYBRID])
        live = tie.micro_connected.astype(np.float64)
        bus = np.where(self.layout.on_backup[:, None], tie.backup_live, tie.grid_ok)
        np.multiply(self._circuits, bus[:-1], self._circuits)
        np.multiply(self._load_now[-1], bus[-1], self._unmetered)
        np.multiply(self._micro, live, self._micro)
        stores.limit_w[:, AC] *= live
        stores.limit_w[:, CAR] *= tie.grid_ok
        self._ac_standby[:] = c.ac_battery.standby_w * live
        self._standby[:] = c.hybrid.standby_w
        self.heat_pump.power_cut(~tie.grid_ok)
        self._hp[:] = self.heat_pump.power_w(tie.grid_ok)

    def _islands(self) -> None:
        """Replace what the hybrids of the open ties do."""
        tie, stores = self.tie, self.stores
        at = np.flatnonzero(~tie.closed)
        if not len(at):
            return
        load = self.layout.backup_shares @ self._loads[:, at]
        flow = backup.balance(
            self.config,
            tie.forming[at],
            load_w=load,
            pv_available_w=self._sun[at],
            charge_max_w=stores.limit_w[0, HYBRID, at],
            discharge_max_w=stores.limit_w[1, HYBRID, at],
        )
        fallen = at[flow.collapsed]
        tie.black_out(fallen)
        self._loads[np.ix_(self.layout.on_backup, fallen)] = 0.0
        self._want_hybrid[at] = flow.battery_w
        self._strings[:, at] = self._string_part[:, at] * flow.pv_w
        self._standby[at] = flow.standby_w
        self._inverter[at] = flow.inverter_w
        self._inverter_dc[at] = flow.inverter_dc_w

    def _part_buses(self) -> None:
        """Open ties carry nothing, dead grids give nothing."""
        tie = self.tie
        self._grid -= self._grid_port * ~tie.closed
        self._grid_port *= tie.closed
        self._grid *= tie.grid_ok
        self._disturbed = not tie.settled()

    # ---- once per tick
    # ---------------------------------------------------------------------------------------

    def _tick(self, actions: Actions) -> None:
        self._left_in_tick = self._steps_per_tick
        if self.steps:
            self._warm()
        tick = self.steps // self._steps_per_tick
        if tick >= self._block_start + self._block_ticks:
            self._fetch(tick)
        block = self._block
        assert block is not None  # noqa: S101 - fetched above
        at = tick - self._block_start
        self._base_load, self.outdoor_c = block.load_w[at], block.outdoor_c[at]
        self._block_pv, self._irradiance = block.pv_dc_w[at], block.irradiance_w_m2[at]
        self._frequency, self._volts = float(self._frequencies[at]), self._voltages[at]
        self._refresh_load()
        self._refresh_sun()
        self.heat_pump.tick(
            self.temperature_c, actions.heat_pump_mode, self.tie.grid_ok, self.tick_s if self.steps else 0.0
        )
        self._hp[:] = self.heat_pump.power_w(self.tie.grid_ok)
        self._refresh_car(actions)

    def _fetch(self, tick: int) -> None:
        """Get the next block of weather and load, and of the grid's small wanderings."""
        rows = len(self.config.circuits) + len(self.config.arrays) + 3
        ticks = int(np.clip(_BLOCK_VALUES // (rows * self.homes), 6, 360))
        self._block = self.source.block(tick * self.tick_s, self.tick_s, ticks)
        self._block_start, self._block_ticks = tick, ticks
        time_s = self._utc_start_s + np.arange(tick, tick + ticks, dtype=np.float64) * self.tick_s
        seed, everyone = self.source.seed, np.zeros(1, dtype=np.int64)
        wander = smooth(seed, _FREQUENCY, everyone, time_s, 45.0)[:, 0] - 0.5
        # ± 0.04 Hz covers all but rare minutes of the continental grid; ± 1 % is a quiet feeder.
        self._frequencies = self.config.wiring.frequency_hz + 0.08 * wander
        drift = smooth(seed, _VOLTAGE, self.source.homes, time_s, 900.0) - 0.5
        self._voltages = self.config.wiring.voltage_v * (1.0 + 0.02 * drift)

    def _refresh_load(self) -> None:
        """Load as recorded or generated, plus what people have turned on."""
        over = self._by_hand_until <= self.now_s
        self._by_hand_w[over] = 0.0
        np.add(self._base_load, self._by_hand_w, self._load_now)
        if not self._disturbed:
            self._unmetered[:] = self._load_now[-1]

    def _refresh_sun(self) -> None:
        """What the arrays could give, and what the hybrid would do with it alone."""
        gateway, hybrid = self.config.gateway, self.config.hybrid
        self._cloud[self._cloud_until <= self.now_s] = 1.0
        np.multiply(self._block_pv, self._cloud, self.pv_available_w)
        each = self.pv_available_w[0] * (gateway.efficiency / max(gateway.count, 1))
        np.minimum(each, gateway.rating_w, out=self._micro_w)
        strings = self.pv_available_w[1:]
        np.sum(strings, axis=0, out=self._sun)
        np.divide(strings, -np.maximum(self._sun, 1e-300), out=self._string_part)
        np.subtract(hybrid.standby_w, self._sun, out=self._need)
        np.maximum(self._need * hybrid.efficiency, self._need / hybrid.efficiency, out=self._alone)

    def _refresh_car(self, actions: Actions) -> None:
        """Presence, and the conductors that the charger uses."""
        car, stores, c = self.car, self.stores, self.config
        car.tick(self.now_s, stores.energy_wh[CAR], self.driven_wh)
        charge, discharge = derating(self.temperature_c[[thermal.AC_BATTERY, thermal.HYBRID_BATTERY]])
        stores.rated_w[0, :2] = stores.nameplate_w[0, :2] * charge
        stores.rated_w[1, :2] = stores.nameplate_w[1, :2] * discharge
        stores.rated_w[0, CAR] = stores.nameplate_w[0, CAR] * car.present
        used = np.where(actions.car_phases >= c.vehicle.phases, c.vehicle.phases, 1)
        self._car_volts[:] = used * c.wiring.voltage_v
        self._car_shares[:] = (np.arange(len(self._car_shares))[:, None] < used) / used

    def _warm(self) -> None:
        """Move the temperatures over the tick that ended, by the energy counted in it."""
        c = self.config
        counted = self._in[self._heating_rows]
        mean = (counted - self._heat_mark) / self._steps_per_tick
        self._heat_mark = counted
        pump, ac_loss, ac_standby, pack_loss, inverter_loss, standby = mean
        supply = np.where(self.heat_pump.to_tank, c.heat_pump.tank_c, c.heat_pump.supply_c)
        running = np.maximum(pump - c.heat_pump.standby_w, 0.0)
        self.heat_w = running * cop(supply, self.outdoor_c)
        hour = ((self._local_start_s + self.now_s) % DAY_S) / 3600.0
        litres = c.heat_pump.tank_litres
        self.hot_water_w = hot_water_w(c.heat_pump.hot_water_wh, hour) if litres else 0.0
        inputs = np.zeros((6, self.homes))
        inputs[0] = self.outdoor_c
        into = inputs[1:]
        sun = self._irradiance * self._cloud * c.building.window_m2
        into[thermal.AIR] = c.building.internal_w + sun + inverter_loss + standby
        into[thermal.AIR] += np.where(self.heat_pump.to_tank, 0.0, self.heat_w)
        into[thermal.TANK] = np.where(self.heat_pump.to_tank, self.heat_w, 0.0) - self.hot_water_w
        into[thermal.AC_BATTERY] = ac_loss + ac_standby
        into[thermal.HYBRID_BATTERY] = pack_loss
        step, drive = self._network
        self.temperature_c = step @ self.temperature_c + drive @ inputs
