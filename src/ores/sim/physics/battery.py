"""Storage: what may flow, what is stored, what is lost. All stores of all homes lie in one stack.

Rows: the AC battery, the hybrid's battery, the car. Positive power charges.
"""

from __future__ import annotations

import numpy as np
from numpy import add, fmax, fmin, multiply, negative, subtract
from numpy.typing import NDArray

from ores.sim.physics.config import Battery

Floats = NDArray[np.float64]

AC, HYBRID, CAR = range(3)
"""Rows of the stack."""


def derating(temperature_c: Floats) -> tuple[Floats, Floats]:
    """Part of the rated power that a lithium-ion pack allows at its temperature, for charging and
    discharging.

    Charging falls from 10 °C to nothing at 0 °C, where metallic lithium would plate (Waldmann et al., J.
    Power Sources 262, 2014); discharging falls from 0 °C to nothing at -20 °C; both fall from 45 °C to
    nothing at 60 °C.
    """
    # fmin and fmax cost a fraction of what clip does on small arrays.
    hot = fmin((60.0 - temperature_c) / 15.0, 1.0)
    charge = fmax(fmin(hot, temperature_c / 10.0), 0.0)
    discharge = fmax(fmin(hot, (temperature_c + 20.0) / 20.0), 0.0)
    return charge, discharge


class Stores:
    """The stack of stores of all homes.

    Attributes:
        energy_wh: Stored, shape (3, n_homes).
        capacity_wh: Shape (3, n_homes).
        power_w: At each store's terminal, behind its standby; shape (3, n_homes).
        loss_w: Lost in conversion, >= 0, shape (3, n_homes); the caller's array, written in place.
        limit_w: Largest charging [0] and discharging [1] power now, shape (2, 3, n_homes), >= 0 but for
            rounding.
        rated_w: The same by rating, temperature and presence; the part that changes slowly.
    """

    def __init__(
        self, batteries: tuple[Battery, Battery, Battery], homes: int, step_s: float, loss_w: Floats
    ) -> None:
        def column(values: list[float]) -> Floats:
            return np.repeat(np.array(values)[:, None], homes, axis=1)

        hours = step_s / 3600.0
        self.hours = np.array(hours)
        self.capacity_wh = column([b.capacity_wh for b in batteries])
        self.energy_wh = column([b.capacity_wh * b.start_soc_pct / 100.0 for b in batteries])
        self.efficiency = column([b.efficiency for b in batteries])
        self.inverse = 1.0 / self.efficiency
        self.nameplate_w = np.stack(
            [column([b.charge_w for b in batteries]), column([b.discharge_w for b in batteries])]
        )
        self.rated_w = self.nameplate_w.copy()
        # One straight line per direction: the taper, or where it is steeper than what fits into one step,
        # that.
        charge = [
            min(b.charge_w / (b.taper * b.capacity_wh), 1.0 / (b.efficiency * hours)) for b in batteries
        ]
        discharge = [min(b.discharge_w / (b.taper * b.capacity_wh), b.efficiency / hours) for b in batteries]
        self._slope = np.stack([column(charge), -column(discharge)])
        self._edge = np.stack([self.capacity_wh, np.zeros_like(self.capacity_wh)])
        self.limit_w = np.zeros((2, 3, homes))
        self.floor_w = np.zeros((3, homes))
        self.power_w = np.zeros((3, homes))
        self.loss_w = loss_w
        self._stored_w = np.zeros((3, homes))
        self._charge_w, self._discharge_w = self.limit_w
        self.update_limits()

    def update_limits(self) -> None:
        """Refresh `limit_w` from the energy stored."""
        limit = self.limit_w
        subtract(self._edge, self.energy_wh, limit)
        multiply(limit, self._slope, limit)
        fmin(limit, self.rated_w, limit)

    def clip(self, want_w: Floats) -> None:
        """Bring the wanted powers, shape (3, n_homes), within `limit_w`, in place."""
        negative(self._discharge_w, self.floor_w)
        fmin(want_w, self._charge_w, want_w)
        fmax(want_w, self.floor_w, want_w)

    def move(self) -> None:
        """Let `power_w` flow for one step: the store gains η P when charging and P / η when discharging."""
        multiply(self.power_w, self.efficiency, self._stored_w)
        multiply(self.power_w, self.inverse, self.loss_w)
        fmin(self._stored_w, self.loss_w, self._stored_w)
        subtract(self.power_w, self._stored_w, self.loss_w)
        multiply(self._stored_w, self.hours, self._stored_w)
        add(self.energy_wh, self._stored_w, self.energy_wh)

    def soc_pct(self, row: int, home: int) -> float:
        """State of charge of one store of one home."""
        return float(100.0 * self.energy_wh[row, home] / self.capacity_wh[row, home])
