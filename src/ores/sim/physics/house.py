"""The house: all devices of all homes in one step.

`House.step` is some sixty array operations without a temporary. What changes every step (electricity) is done
every step; load, sun, phases and SG-Ready modes are taken up once per tick of 10 s, temperatures, compressor,
comings and goings once per minute, from the energies counted since. What happens without the grid is computed
only while some home is without it.

Order of a step: tick if due, loads and sun, limits of the stores, tie, set-points, hybrid, islands, storage,
sums per conductor of both buses, counters. `ores.sim.physics.world` is what people and the utility do to it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from numpy import add, divide, dot, fmax, fmin, multiply, negative, subtract
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
MINUTE_S = 60.0
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
        hot_water_w, heat_w: Heat drawn from the tank, and heat made by the heat pump, over the last minute.
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
        self._ticks_per_minute = max(1, round(MINUTE_S / self.tick_s))
        self._network = thermal.home_network(config, self._ticks_per_minute * self.tick_s)
        self._mode_seen, self._phases_seen, self._current_seen, self._pump_seen_s = b"", b"", b"", 0.0
        self._left_in_tick = 0
        self._block: Exogenous
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
        self._summed, self._closed_rows = p[:top], p[top : top + 3 * phases + 1]
        self._circuits, self._loads, self._unmetered = p[: loads - 1], p[:loads], p[loads - 1]
        self._micro = p[loads : loads + c.gateway.count]
        self._ac_terminal, self._ac_standby = p[row("ac_battery")][0], p[row("ac_battery_standby")][0]
        self._hp = p[row("heat_pump")][0]
        self._car, self._inverter = p[row("car")], p[row("inverter")][0]
        self._backup_port, self._grid_port, self._grid = (
            p[row(k)] for k in ("backup_port", "grid_port", "grid")
        )
        self._grid_net = p[row("grid_net")][0]
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
        self.driven_wh, self.hot_water_w, self.heat_w = np.zeros((3, n))
        # Prepared per tick for the steps within it.
        self._load_now, self._base_load, self._by_hand_w = np.zeros((3, loads, n))
        self._by_hand_until = np.zeros((loads, n))
        self._cloud, self._cloud_until = np.ones(n), np.zeros(n)
        self._any_by_hand = self._clouded = False
        self._micro_gain = np.array(c.gateway.efficiency / max(c.gateway.count, 1))
        self._micro_rating, self._micro_w = np.array(c.gateway.rating_w), np.zeros(n)
        self._string_part = np.zeros((len(c.hybrid.strings), n))
        self._sun, self._need, self._alone = np.zeros((3, n))
        self._car_volts, self._car_wish = np.zeros((2, n))
        self._car_shares = np.zeros((phases, n))
        self._frequency, self._volts = c.wiring.frequency_hz, np.full(n, c.wiring.voltage_v)
        # Scratch and constants of the step; zero-dimensional arrays are faster than Python floats.
        self._a, self._b, self._c, self._produce = np.zeros((4, n))
        self._micro_part = np.zeros_like(self._micro)
        self._nothing, self._rating = np.zeros_like(p), np.array(c.hybrid.rating_w)
        self._eta, self._inverse = np.array(c.hybrid.efficiency), np.array(1.0 / c.hybrid.efficiency)
        self._ac_standby[:] = c.ac_battery.standby_w
        self._standby[:] = c.hybrid.standby_w

    def actions(self) -> Actions:
        """Arrays to write commands into, as they stand at rest."""
        return idle(self.config, self.homes)

    @property
    def now_s(self) -> float:
        """Simulated time since the start of the run."""
        return self.steps * self.step_s

    @property
    def time(self) -> datetime:
        """Simulated wall time, UTC."""
        return self.config.site.start.astimezone(UTC) + timedelta(seconds=self.now_s)

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
        multiply(self._load_now[:-1], actions.circuit_closed, self._circuits)
        fmin(actions.micro_produce_max_w, self._micro_w, self._micro_part)
        negative(self._micro_part, self._micro)
        stores.update_limits()
        if self._disturbed:
            self._switch()
        self._wish(actions)
        stores.clip(want)
        self._convert()
        if self._disturbed:
            self._islands()
        stores.move()
        add(self._want_ac, self._ac_standby, self._ac_terminal)
        multiply(self._want_car, self._car_shares, self._car)
        add(self._inverter, self._inverter_dc, self._inverter_loss)
        self._pack[:] = self._want_hybrid
        dot(self.layout.closing, self._summed, self._closed_rows)
        if self._disturbed:
            self._part_buses()
        fmax(self.power_w, self._nothing, self._part)
        add(self._in, self._part, self._in)
        subtract(self._part, self.power_w, self._part)
        add(self._out, self._part, self._out)
        self.steps += 1

    def _wish(self, actions: Actions) -> None:
        """What the stores are asked for, before their own limits.

        No operation writes into one of its inputs: numpy takes a slow path for that when there is one home.
        """
        a, b, c = self._a, self._b, self._c
        fmin(actions.ac_battery_w, actions.ac_battery_consume_max_w, a)
        negative(actions.ac_battery_produce_max_w, b)
        fmax(a, b, c)
        subtract(c, self._ac_standby, self._want_ac)
        # The hybrid: what the sun alone would give at AC, plus the wish, within the inverter's limits; from
        # that the direct-current side, from that the battery.
        fmin(actions.inverter_produce_max_w, self._rating, self._produce)
        negative(self._produce, a)
        fmin(a, self._alone, b)
        add(self._alone, actions.hybrid_battery_w, a)
        fmin(a, actions.inverter_consume_max_w, c)
        fmin(c, self._rating, a)
        fmax(a, b, c)
        multiply(c, self._eta, a)
        multiply(c, self._inverse, b)
        fmin(a, b, c)
        subtract(c, self._need, self._want_hybrid)
        # Whole amperes change rarely, and comparing bytes costs a tenth of working them out.
        if actions.car_current_a.tobytes() != self._current_seen:
            self._throttle_car(actions)
        self._want_car[:] = self._car_wish

    def _throttle_car(self, actions: Actions) -> None:
        """Power that the charger's limit allows: whole amperes, nothing below the smallest."""
        self._current_seen = actions.car_current_a.tobytes()
        amperes = np.floor(np.fmin(actions.car_current_a, self.config.vehicle.max_a))
        enough = amperes >= self.config.vehicle.min_a
        self._car_wish = np.where(enough, amperes, 0.0) * self._car_volts

    def _convert(self) -> None:
        """The hybrid's strings and inverter around what its battery does."""
        a, b, c = self._a, self._b, self._c
        multiply(self._produce, self._inverse, a)
        add(a, self._standby, b)
        add(b, self._want_hybrid, a)
        fmin(a, self._sun, b)
        multiply(self._string_part, b, self._strings)
        add(self._want_hybrid, self._standby, a)
        subtract(a, b, c)
        negative(c, self._inverter_dc)
        multiply(c, self._eta, a)
        multiply(c, self._inverse, b)
        fmax(a, b, self._inverter)

    # ---- readings

    def element_w(self, name: str) -> Floats:
        """Power of an element over all its conductors, shape (homes,); `layout.elements` has the names."""
        return np.asarray(self.power_w[self.layout.row(name)].sum(axis=0))

    def terminal_w(self, name: str) -> Floats:
        """Power of an element per conductor, shape (conductors, homes); zeros for what has no AC terminal."""
        element = self.layout.elements[name]
        rows = self.power_w[element.rows]
        if name == "inverter":
            # On an island it serves each conductor as loaded; with the grid it is symmetric.
            return np.where(self.tie.closed, rows / len(self._grid), self._backup_port)
        if element.bus in ("dc", "loss", "meter"):
            return np.zeros_like(self._grid)
        return rows.copy() if element.shares is None else np.array(element.shares)[:, None] * rows

    def terminals(self, name: str, home: int = 0) -> tuple[float, ...]:
        """Power of an AC element of one home per conductor, W."""
        element = self.layout.elements[name]
        if name == "inverter" and not self.tie.closed[home]:
            element = self.layout.elements["backup_port"]
        rows = self.power_w[element.rows, home].tolist()
        if element.shares is None:
            return tuple(rows)
        return tuple(share * rows[0] for share in element.shares)

    def power(self, name: str, home: int = 0) -> float:
        """Power of an element of one home, W."""
        return float(sum(self.power_w[self.layout.row(name), home].tolist()))

    def energy_in_wh(self, name: str, home: int = 0) -> float:
        """Energy that went into an element since the start, monotonic.

        Rows per conductor (car, ports, grid) count each for itself; `grid_net` nets them.
        """
        return float(sum(self._in[self.layout.row(name), home].tolist())) * self.step_s / 3600.0

    def energy_out_wh(self, name: str, home: int = 0) -> float:
        """Energy that came out of an element since the start, monotonic.

        Rows per conductor (car, ports, grid) count each for itself; `grid_net` nets them.
        """
        return float(sum(self._out[self.layout.row(name), home].tolist())) * self.step_s / 3600.0

    def bus_live(self, bus: str) -> Bools:
        """Whether "grid" or "backup" is energised, shape (homes,)."""
        return self.tie.grid_ok if bus == "grid" else self.tie.backup_live

    def voltage_v(self, bus: str = "grid") -> Floats:
        """Per conductor to neutral, shape (conductors, homes); 0 on a dark bus.

        With the grid: its own, less the drop over the source resistance. On an island: nominal.
        """
        nominal = self.config.wiring.voltage_v
        drop = self.config.wiring.source_ohm * self._grid / nominal
        grid = np.where(self.tie.grid_ok, self._volts - drop, 0.0)
        if bus == "grid":
            return grid
        return np.where(self.tie.closed, grid, np.where(self.tie.forming, nominal, 0.0))

    def frequency_hz(self, bus: str = "grid") -> Floats:
        """Shape (homes,); 0 on a dark bus, nominal on an island."""
        grid = np.where(self.tie.grid_ok, self._frequency, 0.0)
        if bus == "grid":
            return grid
        return np.where(
            self.tie.closed, grid, np.where(self.tie.forming, self.config.wiring.frequency_hz, 0.0)
        )

    @property
    def grid_current_a(self) -> Floats:
        """At the connection point per conductor, positive is import, shape (conductors, homes)."""
        volts = self.voltage_v()
        return divide(self._grid, volts, out=np.zeros_like(volts), where=volts > 0.0)

    @property
    def micro_available_w(self) -> Floats:
        """Alternating current that each micro-inverter could give, shape (homes,)."""
        return np.where(self.tie.micro_connected, self._micro_w, 0.0)

    @property
    def inverter_available_w(self) -> Floats:
        """Alternating current that the hybrid could give from the sun alone, shape (homes,)."""
        return np.clip(-self._alone, 0.0, self.config.hybrid.rating_w)

    @property
    def car_current_a(self) -> Floats:
        """Drawn per conductor, at nominal voltage, shape (conductors, homes)."""
        return self._car / self.config.wiring.voltage_v

    def set_cloud(self, at: slice, factor: float, duration_s: float) -> None:
        """Scale the sun of some homes for a while; see `world.move_cloud`."""
        self._cloud[at], self._cloud_until[at] = factor, self.now_s + duration_s
        self._clouded = True
        self.refresh()

    def set_by_hand(self, row: int, at: slice, power_w: float, duration_s: float) -> None:
        """Turn on a load on a circuit of some homes; see `world.turn_on`."""
        self._by_hand_w[row, at], self._by_hand_until[row, at] = power_w, self.now_s + duration_s
        self._any_by_hand = True
        self.refresh()

    def refresh(self) -> None:
        """Take up at once what the world changed: load, sun, presence, the grid."""
        self._disturbed = self._disturbed or not self.tie.settled() or bool(self.tie.hold_open.any())
        if self.steps:
            self._refresh_load()
            self._refresh_sun()
            self._refresh_ratings()

    # ---- without the grid
    # ------------------------------------------------------------------------------------

    def _switch(self) -> None:
        """Move the tie and take from dark buses what hung on them."""
        tie, stores, c = self.tie, self.stores, self.config
        tie.advance(self.step_s, stores.energy_wh[HYBRID])
        live = tie.micro_connected.astype(np.float64)
        bus = np.where(self.layout.on_backup[:, None], tie.backup_live, tie.grid_ok)
        multiply(self._circuits, bus[:-1], self._circuits)
        multiply(self._load_now[-1], bus[-1], self._unmetered)
        multiply(self._micro, live, self._micro)
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
        np.copyto(self._grid, self.layout.grid_side @ self._summed, where=~tie.closed)
        self._grid_port *= tie.closed
        self._grid *= tie.grid_ok
        np.sum(self._grid, axis=0, out=self._grid_net)
        self._disturbed = not tie.settled()

    # ---- once per tick
    # ---------------------------------------------------------------------------------------

    def _tick(self, actions: Actions) -> None:
        self._left_in_tick = self._steps_per_tick
        tick = self.steps // self._steps_per_tick
        if tick >= self._block_start + self._block_ticks:
            self._fetch(tick)
        at = tick - self._block_start
        slow = tick % self._ticks_per_minute == 0
        if slow and self.steps:
            self._warm()
        block = self._block
        self._base_load, self.outdoor_c[:] = block.load_w[at], block.outdoor_c[at]
        self._block_pv, self._irradiance = block.pv_dc_w[at], block.irradiance_w_m2[at]
        self._frequency, self._volts = float(self._frequencies[at]), self._voltages[at]
        self._refresh_load()
        self._refresh_sun()
        if slow:
            self.car.tick(self.now_s, self.stores.energy_wh[CAR], self.driven_wh)
            self._refresh_ratings()
        if slow or actions.heat_pump_mode.tobytes() != self._mode_seen:
            self._run_heat_pump(actions)
        if actions.car_phases.tobytes() != self._phases_seen:
            self._switch_phases(actions)

    def _run_heat_pump(self, actions: Actions) -> None:
        now, grid_ok = self.now_s, self.tie.grid_ok
        self._mode_seen = actions.heat_pump_mode.tobytes()
        self.heat_pump.tick(self.temperature_c, actions.heat_pump_mode, grid_ok, now - self._pump_seen_s)
        self._pump_seen_s = now
        self._hp[:] = self.heat_pump.power_w(grid_ok)

    def _switch_phases(self, actions: Actions) -> None:
        """The conductors that the charger uses."""
        phases = self.config.vehicle.phases
        self._phases_seen, self._current_seen = actions.car_phases.tobytes(), b""
        used = np.where(actions.car_phases >= phases, phases, 1)
        self._car_volts[:] = used * self.config.wiring.voltage_v
        self._car_shares[:] = (np.arange(len(self._car_shares))[:, None] < used) / used

    def _fetch(self, tick: int) -> None:
        """Get the next block of weather and load, and of the grid's small wanderings."""
        rows = len(self.config.circuits) + len(self.config.arrays) + 3
        ticks = int(np.clip(_BLOCK_VALUES // (rows * self.homes), 6, 360))
        self._block = self.source.block(tick * self.tick_s, self.tick_s, ticks)
        self._block_start, self._block_ticks = tick, (ticks := len(self._block.load_w))
        time_s = self._utc_start_s + np.arange(tick, tick + ticks, dtype=np.float64) * self.tick_s
        seed, everyone = self.source.seed, np.zeros(1, dtype=np.int64)
        wander = smooth(seed, _FREQUENCY, everyone, time_s, 45.0)[:, 0] - 0.5
        # ± 0.04 Hz covers all but rare minutes of the continental grid; ± 1 % is a quiet feeder.
        self._frequencies = self.config.wiring.frequency_hz + 0.08 * wander
        drift = smooth(seed, _VOLTAGE, self.source.homes, time_s, 900.0) - 0.5
        self._voltages = self.config.wiring.voltage_v * (1.0 + 0.02 * drift)

    def _refresh_load(self) -> None:
        """Load as recorded or generated, plus what people have turned on."""
        if self._any_by_hand:
            self._by_hand_w[self._by_hand_until <= self.now_s] = 0.0
            self._any_by_hand = bool(self._by_hand_w.any())
        add(self._base_load, self._by_hand_w, self._load_now)
        if not self._disturbed:
            self._unmetered[:] = self._load_now[-1]

    def _refresh_sun(self) -> None:
        """What the arrays could give, and what the hybrid would do with it alone."""
        hybrid, a, b = self.config.hybrid, self._a, self._b
        if self._clouded:
            self._cloud[self._cloud_until <= self.now_s] = 1.0
            self._clouded = bool((self._cloud != 1.0).any())
        multiply(self._block_pv, self._cloud, self.pv_available_w)
        multiply(self.pv_available_w[0], self._micro_gain, a)
        fmin(a, self._micro_rating, self._micro_w)
        np.add.reduce(self.pv_available_w[1:], axis=0, out=self._sun)
        fmax(self._sun, 1e-300, a)
        divide(self.pv_available_w[1:], a, self._string_part)
        negative(self._string_part, self._string_part)
        subtract(hybrid.standby_w, self._sun, self._need)
        multiply(self._need, self._eta, a)
        multiply(self._need, self._inverse, b)
        fmax(a, b, self._alone)

    def _refresh_ratings(self) -> None:
        """What temperature and presence leave of the stores' ratings."""
        stores, packs = self.stores, slice(thermal.AC_BATTERY, thermal.HYBRID_BATTERY + 1)
        charge, discharge = derating(self.temperature_c[packs])
        multiply(stores.nameplate_w[0, :CAR], charge, out=stores.rated_w[0, :CAR])
        multiply(stores.nameplate_w[1, :CAR], discharge, out=stores.rated_w[1, :CAR])
        multiply(stores.nameplate_w[0, CAR], self.car.present, out=stores.rated_w[0, CAR])

    def _warm(self) -> None:
        """Move the temperatures over the minute that ended, by the energy counted in it."""
        c = self.config
        counted = self._in[self._heating_rows]
        mean = (counted - self._heat_mark) / (self._steps_per_tick * self._ticks_per_minute)
        self._heat_mark = counted
        pump, ac_loss, ac_standby, pack_loss, inverter_loss, standby = mean
        supply = np.where(self.heat_pump.to_tank, c.heat_pump.tank_c, c.heat_pump.supply_c)
        running = fmax(pump - c.heat_pump.standby_w, 0.0)
        multiply(running, cop(supply, self.outdoor_c), self.heat_w)
        hour = ((self._local_start_s + self.now_s) % DAY_S) / 3600.0
        if c.heat_pump.tank_litres:
            self.hot_water_w[:] = hot_water_w(
                c.heat_pump.hot_water_wh, hour, self.temperature_c[thermal.TANK]
            )
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
        self.temperature_c[:] = step @ self.temperature_c + drive @ inputs
