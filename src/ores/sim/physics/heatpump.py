"""The SG-Ready heat pump: efficiency, and the control that turns it on and off.

Modes after the SG Ready label of the Bundesverband Wärmepumpe: 1 blocked by the utility, 2 normal, 3
recommended to run (higher set-points), 4 ordered to run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import HeatPump
from ores.sim.physics.thermal import AIR, TANK

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

BLOCKED, NORMAL, RECOMMENDED, ORDERED = 1, 2, 3, 4


def cop(supply_c: Floats | float, outdoor_c: Floats) -> Floats:
    """Coefficient of performance of an air-source heat pump.

    6.81 - 0.121 ΔT + 0.000630 ΔT², ΔT = supply - outdoor, held at its ends outside 15...60 K: Staffell,
    Brett, Brandon, Hawkes, A review of domestic heat pumps, Energy & Environmental Science 5 (2012)
    9291-9306.

    Args:
        supply_c: Temperature of the water that it makes.
        outdoor_c: Of its source.

    Returns:
        Heat out per electricity in, 1.8 to 5.2.
    """
    lift = np.fmax(np.fmin(supply_c - outdoor_c, 60.0), 15.0)
    return np.asarray(6.81 - 0.121 * lift + 0.000630 * lift * lift, dtype=np.float64)


class HeatPumpControl:
    """On or off, and what for; one entry per home, decided once per tick.

    Attributes:
        on: The compressor runs.
        to_tank: Its heat goes to the hot water instead of the rooms.
        since_s: Since it last started or stopped.
        mode: The SG-Ready mode in force, 1 to 4.
    """

    def __init__(self, config: HeatPump, homes: int) -> None:
        self.config = config
        self.on: Bools = np.zeros(homes, dtype=bool)
        self.to_tank: Bools = np.zeros(homes, dtype=bool)
        self.since_s: Floats = np.full(homes, config.min_off_s)
        self.mode: Floats = np.full(homes, float(NORMAL))

    def power_w(self, alive: Bools) -> Floats:
        """Electric power until the next tick, per home; 0 where the bus is dark."""
        running = np.where(self.on, self.config.rating_w, 0.0) + self.config.standby_w
        return np.asarray(np.where(alive, running, 0.0), dtype=np.float64)

    def tick(self, temperature_c: Floats, mode: Floats, alive: Bools, elapsed_s: float) -> None:
        """Decide until the next tick.

        Minimum run and pause times hold in every mode, the blocked one included: the compressor comes
        first. Only a power cut stops it sooner.

        Args:
            temperature_c: Of the nodes of `thermal`, shape (5, n_homes).
            mode: 1 to 4 per home; other values count as 2.
            alive: Its bus is energised.
            elapsed_s: Since the last tick.
        """
        c = self.config
        self.since_s += elapsed_s
        self.mode[:] = np.where((mode >= 1) & (mode <= 4), np.rint(mode), NORMAL)
        boost = (self.mode == RECOMMENDED) * c.boost_k
        ordered = self.mode == ORDERED
        room, tank = temperature_c[AIR], temperature_c[TANK]
        room_goal = np.where(ordered, c.room_max_c - 0.5, c.room_c + boost)
        tank_goal = np.where(ordered, c.tank_max_c, np.fmin(c.tank_c + 2.0 * boost, c.tank_max_c))
        # Hysteresis: what is being heated runs on to the upper edge, what is not starts at the lower one.
        want_room = room < room_goal + np.where(self.on & ~self.to_tank, 0.5, -0.5)
        want_tank = tank < tank_goal - np.where(self.on & self.to_tank, 0.0, 4.0)
        if not c.tank_litres:
            want_tank = np.zeros_like(want_tank)
        want = (want_room | want_tank) & (self.mode != BLOCKED)
        may_stop = self.since_s >= c.min_run_s
        may_start = self.since_s >= c.min_off_s
        on = np.where(self.on, want | ~may_stop, want & may_start) & alive
        self.since_s[on != self.on] = 0.0
        self.on[:] = on
        # While it must run on with nothing left to heat, it stays where it was.
        self.to_tank[:] = np.where(want_tank, True, np.where(want_room, False, self.to_tank))

    def power_cut(self, dark: Bools) -> None:
        """The bus died: it stands still at once and its pause begins."""
        self.since_s[self.on & dark] = 0.0
        self.on[dark] = False


_DRAW_BY_HOUR = np.array(
    [0, 0, 0, 0, 0, 1, 5, 6, 3, 1, 1, 1, 2, 2, 1, 1, 1, 2, 3, 4, 4, 3, 1, 0], dtype=np.float64
)
"""Shape of a day's hot-water draws, after the morning and evening peaks of EN 12831-3's dwelling profiles."""


def hot_water_w(wh_per_day: float, local_hour: float, tank_c: Floats) -> Floats:
    """Heat drawn from the tank at this hour of the local day, per home.

    A tank below 40 °C gives less heat with the same water, and none at the 12 °C of the mains.
    """
    full = wh_per_day * _DRAW_BY_HOUR[int(local_hour) % 24] / _DRAW_BY_HOUR.sum()
    return np.asarray(full * np.fmax(np.fmin((tank_c - 12.0) / 28.0, 1.0), 0.0), dtype=np.float64)
