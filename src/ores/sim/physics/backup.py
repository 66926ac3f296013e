"""The tie between the grid side and the backup side, and life on an island.

The tie opens at once when the grid dies or when it is asked to, and only it closes itself: after the grid
has been healthy for the reconnection time (EN 50549-1), if nobody holds it open and closing is permitted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import HouseConfig

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]


class Tie:
    """The switching state of every home; exact to the step.

    Attributes:
        grid_ok: The utility delivers.
        closed: The tie joins both buses (implies grid_ok).
        forming: The hybrid forms the island's voltage; False while closed.
        hold_open: Somebody asked for the island.
        permit_close: The tie may close itself.
        form_grid: The hybrid is allowed to form the grid when it is open.
        healthy_s: Since the grid came back.
        retry_in_s: Until the next attempt after a black-out.
    """

    def __init__(self, config: HouseConfig, homes: int) -> None:
        self.grid_ok: Bools = np.ones(homes, dtype=bool)
        self.closed: Bools = np.ones(homes, dtype=bool)
        self.forming: Bools = np.zeros(homes, dtype=bool)
        self.hold_open: Bools = np.zeros(homes, dtype=bool)
        self.permit_close: Bools = np.ones(homes, dtype=bool)
        self.form_grid: Bools = np.ones(homes, dtype=bool)
        self.healthy_s: Floats = np.full(homes, np.inf)
        self.retry_in_s: Floats = np.zeros(homes)
        self._hybrid = config.hybrid
        self._restart_wh = config.hybrid.restart_soc_pct / 100.0 * config.hybrid.battery.capacity_wh
        self._gateway_s = config.gateway.reconnect_s
        self._settled_s = max(config.hybrid.reconnect_s, config.gateway.reconnect_s)

    @property
    def backup_live(self) -> Bools:
        """The backup bus is energised."""
        return self.closed | self.forming

    @property
    def micro_connected(self) -> Bools:
        """The micro-inverters have seen a healthy grid for long enough."""
        return self.grid_ok & (self.healthy_s >= self._gateway_s)

    def settled(self) -> bool:
        """Every tie closed, every grid healthy for long enough: nothing of this module matters now."""
        return bool(self.closed.all() and (self.healthy_s >= self._settled_s).all())

    def advance(self, step_s: float, hybrid_energy_wh: Floats) -> None:
        """Move the switches for a step that begins now."""
        self.healthy_s[:] = np.where(self.grid_ok, self.healthy_s + step_s, 0.0)
        opens = self.closed & (~self.grid_ok | self.hold_open)
        may_close = self.grid_ok & (self.healthy_s >= self._hybrid.reconnect_s)
        closes = ~self.closed & may_close & ~self.hold_open & self.permit_close
        self.retry_in_s[:] = np.maximum(self.retry_in_s - step_s, 0.0)
        self.retry_in_s[opens] = 0.0
        self.closed[opens] = False
        self.closed[closes] = True
        waiting = ~self.closed & ~self.forming & self.form_grid & (self.retry_in_s <= 0.0)
        # The first transfer may use the last of the battery; a restart wants some in it.
        self.forming |= waiting & (opens | (hybrid_energy_wh >= self._restart_wh))
        self.forming &= ~self.closed & self.form_grid

    def black_out(self, homes: Ints) -> None:
        """The island broke down."""
        self.forming[homes] = False
        self.retry_in_s[homes] = self._hybrid.retry_s


@dataclass(frozen=True)
class IslandFlow:
    """What the hybrids of some homes do without the grid; power in W, positive into the element.

    Attributes:
        battery_w: Into the battery.
        pv_w: Taken from the strings, >= 0.
        standby_w: Own consumption that could be met.
        inverter_w: At its alternating-current side.
        inverter_dc_w: Drawn from the direct-current side.
        collapsed: Homes whose island just broke down; their loads must be taken as 0.
    """

    battery_w: Floats
    pv_w: Floats
    standby_w: Floats
    inverter_w: Floats
    inverter_dc_w: Floats
    collapsed: Bools


def balance(
    config: HouseConfig,
    forming: Bools,
    *,
    load_w: Floats,
    pv_available_w: Floats,
    charge_max_w: Floats,
    discharge_max_w: Floats,
) -> IslandFlow:
    """Balance islands: the battery follows the load, PV is curtailed when it is full.

    Args:
        config: Of the home.
        forming: Which of these homes are energised.
        load_w: Of the backup bus per conductor, shape (conductors, n).
        pv_available_w: Direct current, all strings, shape (n,).
        charge_max_w: Of the battery now, shape (n,).
        discharge_max_w: Likewise.
    """
    c = config.hybrid
    total = load_w.sum(axis=0)
    needed = pv_available_w - c.standby_w - total / c.efficiency
    overloaded = (total > c.backup_max_w) | (load_w > c.backup_conductor_max_w).any(axis=0)
    # The tolerance is that of the arithmetic: the limit itself may be drawn.
    collapsed = forming & (overloaded | (needed < -discharge_max_w - 1e-9))
    lit = forming & ~collapsed
    supplied = np.where(lit, total, 0.0)
    standby = np.where(lit | (pv_available_w + discharge_max_w >= c.standby_w), c.standby_w, 0.0)
    drawn = supplied / c.efficiency
    spare = pv_available_w - standby - drawn
    battery = np.maximum(np.minimum(spare, charge_max_w), -discharge_max_w)
    # What neither load nor battery takes is not produced.
    pv = np.clip(battery + standby + drawn, 0.0, pv_available_w)
    return IslandFlow(
        battery_w=pv - standby - drawn,
        pv_w=pv,
        standby_w=standby,
        inverter_w=-supplied,
        inverter_dc_w=drawn,
        collapsed=collapsed,
    )
