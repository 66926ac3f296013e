"""One home of the physical world, as the devices in it see it: scalars to read, hardware to move.

The physics works on arrays over many homes; a device belongs to one. `Plant` steps the house, keeps this
home's powers as plain numbers (an array element costs ten times as much to read), and moves commands into the
hardware as slowly as the hardware is.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ores.module.response import ramped_w
from ores.sim.physics.house import House

SECONDS_PER_HOUR = 3600.0


class Moving(Protocol):
    """Something that moves with the physics."""

    def advance(self, now_s: float, step_s: float) -> bool:
        """Move for one step; False once there is nothing left to do."""
        ...


class Actuator:
    """A command on its way into the hardware: it starts after a delay, then moves no faster than a ramp.

    Args:
        plant: Moves it with every step.
        cell: Where the physics reads the command; an array of one value.
        delay_s: From the command until anything happens, >= 0.
        ramp_per_s: Fastest change, in units of the command per second, > 0.
    """

    def __init__(
        self, plant: Plant, cell: NDArray[np.float64], *, delay_s: float = 0.0, ramp_per_s: float = inf
    ) -> None:
        self._plant = plant
        self._cell = cell
        self._delay_s = delay_s
        self._ramp_per_s = ramp_per_s
        self._coming: list[tuple[float, float]] = []
        self._target = self._value = float(cell[0])

    def aim(self, value: float) -> None:
        """Go to this value."""
        newest = self._coming[-1][1] if self._coming else self._target
        if value != newest:
            self._coming.append((self._plant.now_s + self._delay_s, value))
            self._plant.moving[self] = None

    def advance(self, now_s: float, step_s: float) -> bool:
        """Move for one step; False once there is nothing left to do."""
        while self._coming and self._coming[0][0] <= now_s + 1e-9:
            self._target = self._coming.pop(0)[1]
        if self._value != self._target:
            self._value = ramped_w(self._value, self._target, step_s, self._ramp_per_s)
            self._cell[0] = self._value
        return bool(self._coming) or self._value != self._target


class Detector:
    """What a device watches for around it, and what somebody makes it see.

    Args:
        inputs: What it knows.
    """

    def __init__(self, *inputs: str) -> None:
        self.inputs = inputs
        self.active: set[str] = set()
        self.on_seen: Callable[[], None] = lambda: None

    def see(self, danger: str, *, active: bool) -> None:
        """A danger begins, or ends."""
        (self.active.add if active else self.active.discard)(danger)
        self.on_seen()


class Plant:
    """One home of a house.

    Args:
        house: Stepped here, and nowhere else.
        home: Which of its homes.

    Attributes:
        actions: What is asked of the hardware.
        power_w: Every row of the house's power matrix as of the last step; see `House.layout`.
        moving: What has something left to do, such as actuators, in the order in which they were told.
        on_tie_moved: Called after a step in which the tie has opened or closed.
        detectors: Of the devices that have one, by name.
    """

    def __init__(self, house: House, home: int = 0) -> None:
        self.house = house
        self.home = home
        self.actions = house.actions()
        self.moving: dict[Moving, None] = {}
        self.power_w: list[float] = [0.0] * house.layout.rows
        self.on_tie_moved: list[Callable[[], None]] = []
        self.detectors: dict[str, Detector] = {}
        self._net: dict[str, _Net] = {}
        self._volts: dict[str, list[float]] = {}
        self._column = house.power_w[:, home]

    @property
    def now_s(self) -> float:
        """Simulated time of the physics."""
        return self.house.now_s

    def cell(self, array: NDArray[np.float64], row: int | None = None) -> NDArray[np.float64]:
        """This home's value in an array of actions."""
        return array[self.home : self.home + 1] if row is None else array[row, self.home : self.home + 1]

    def step(self) -> None:
        """Move hardware and physics by one step."""
        step_s = self.house.step_s
        for one in tuple(self.moving):
            if not one.advance(self.now_s, step_s):
                del self.moving[one]
        closed = self.house.tie.closed[self.home]
        self.house.step(self.actions)
        self.power_w = power_w = self._column.tolist()
        self._volts.clear()
        for net in self._net.values():
            net.count(sum(power_w[net.rows]))
        if self.house.tie.closed[self.home] != closed:
            for moved in self.on_tie_moved:
                moved()

    def rows(self, name: str) -> slice:
        """Where an element stands in `power_w`."""
        return self.house.layout.row(name)

    def shares(self, name: str) -> tuple[float, ...] | None:
        """How an element of one row loads the conductors; None where it has a row per conductor."""
        return self.house.layout.elements[name].shares

    def net_energy(self, name: str) -> _Net:
        """Counters of an element's power over all conductors together, as a balancing meter counts."""
        if name not in self._net:
            self._net[name] = _Net(self.rows(name), self.house.step_s)
        return self._net[name]

    def volts(self, bus: str) -> list[float]:
        """Voltage to neutral of each conductor of a bus, in V; 0 where it is dark."""
        if bus not in self._volts:
            self._volts[bus] = self.house.voltage_v(bus)[:, self.home].tolist()
        return self._volts[bus]

    def hertz(self, bus: str) -> float:
        """Frequency on a bus, in Hz; 0 where it is dark."""
        return float(self.house.frequency_hz(bus)[self.home])

    def live(self, bus: str) -> bool:
        """Whether a bus is energised."""
        return bool(self.house.bus_live(bus)[self.home])


class _Net:
    """Energy in and out of one element, in Wh, all conductors netted in every step."""

    __slots__ = ("_in_ws", "_out_ws", "_step_s", "rows")

    def __init__(self, rows: slice, step_s: float) -> None:
        self.rows = rows
        self._step_s = step_s
        self._in_ws = 0.0
        self._out_ws = 0.0

    def count(self, power_w: float) -> None:
        if power_w > 0:
            self._in_ws += power_w * self._step_s
        else:
            self._out_ws -= power_w * self._step_s

    @property
    def in_wh(self) -> float:
        return self._in_ws / SECONDS_PER_HOUR

    @property
    def out_wh(self) -> float:
        return self._out_ws / SECONDS_PER_HOUR
