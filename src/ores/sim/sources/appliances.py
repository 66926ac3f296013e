"""What people turn on: appliances with seeded switch-on events, on a raster of ten seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.noise import smooth, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
RASTER_S = 10
_USE, _START, _LENGTH, _SIZE, _PHASE, _BASE = range(80, 86)


@dataclass(frozen=True)
class Appliance:
    """Something that is turned on now and then.

    Attributes:
        circuit: Where it is plugged in.
        power_w: While it runs; whole watts, so that sums of events are exact.
        minutes: Mean length; single uses spread from 0.6 to 1.4 of it.
        per_day: Mean number of uses.
        when: Key into `HOURS`.
    """

    circuit: str
    power_w: int
    minutes: float
    per_day: float
    when: str


def _weights(**hours: float) -> Floats:
    """Weights of the 24 hours from spans like h06_08=3 (both ends included) over a floor of 0.05."""
    weights = np.full(24, 0.05)
    for span, weight in hours.items():
        first, last = span[1:].split("_")
        weights[int(first) : int(last) + 1] = weight
    return weights


HOURS: dict[str, Floats] = {
    "meals": _weights(h00_05=0.01, h06_08=3.0, h09_10=0.8, h11_13=2.0, h14_16=0.7, h17_20=4.0, h21_22=0.8),
    "dinner": _weights(h00_08=0.005, h11_12=1.0, h17_19=4.0),
    "evening": _weights(h00_04=0.02, h06_07=0.8, h17_22=3.0, h23_23=1.0),
    "washing": _weights(h00_06=0.01, h08_12=2.0, h13_17=1.2, h18_20=1.0),
    "morning": _weights(h00_05=0.01, h06_08=4.0, h21_22=1.0),
    "work": _weights(h00_06=0.0, h08_12=3.0, h13_16=2.0, h19_20=0.5),
}
"""Relative frequency by local hour, after the activity profiles of Richardson et al., Domestic electricity
use: a high-resolution energy demand model, Energy and Buildings 42 (2010)."""

APPLIANCES: tuple[Appliance, ...] = (
    Appliance("kitchen", 2000, 4.0, 4.0, "meals"),
    Appliance("kitchen", 1100, 5.0, 2.0, "meals"),
    Appliance("kitchen", 1300, 6.0, 1.8, "morning"),
    Appliance("oven", 2400, 35.0, 0.5, "dinner"),
    Appliance("hob", 1700, 22.0, 1.2, "dinner"),
    Appliance("dishwasher", 2000, 24.0, 0.8, "evening"),
    Appliance("washer", 2000, 18.0, 0.6, "washing"),
    Appliance("washer", 250, 60.0, 0.6, "washing"),
    Appliance("dryer", 850, 80.0, 0.35, "washing"),
    Appliance("living", 130, 130.0, 1.5, "evening"),
    Appliance("living", 900, 18.0, 0.3, "washing"),
    Appliance("office", 110, 200.0, 0.9, "work"),
    Appliance("bathroom", 1500, 7.0, 1.3, "morning"),
    Appliance("garage", 700, 15.0, 0.2, "washing"),
    Appliance("lights_down", 90, 110.0, 2.4, "evening"),
    Appliance("lights_up", 50, 60.0, 2.5, "evening"),
    Appliance("unmetered", 350, 12.0, 3.0, "meals"),
    Appliance("unmetered", 1200, 10.0, 0.6, "evening"),
)

BASE_W: dict[str, float] = {
    "network": 24,
    "ventilation": 38,
    "living": 9,
    "office": 7,
    "kitchen": 4,
    "unmetered": 45,
}
"""Drawn always."""

CYCLING: dict[str, tuple[float, float, float]] = {"fridge": (95, 3000, 0.33), "freezer": (85, 4200, 0.36)}
"""Power, period in s and duty of the compressors."""


class Uses:
    """Switch-on events of a group of homes.

    Args:
        seed: Of the run.
        homes: Ids.
        rows: Names of the load rows; an appliance without its circuit is plugged into the last one.
    """

    def __init__(self, seed: int, homes: Ints, rows: tuple[str, ...]) -> None:
        self._seed, self._homes, self._rows = seed, homes, len(rows)
        place = {name: index for index, name in enumerate(rows)}
        self._row = np.array([place.get(a.circuit, len(rows) - 1) for a in APPLIANCES])
        self._power = np.array([a.power_w for a in APPLIANCES], dtype=np.float64)
        self._minutes = np.array([a.minutes for a in APPLIANCES])
        self._per_day = np.array([a.per_day for a in APPLIANCES])
        self._tries = int(np.ceil(self._per_day.max() * 1.5)) + 2
        self._cdf = np.stack([np.concatenate([[0.0], np.cumsum(HOURS[a.when])]) for a in APPLIANCES])
        self._cdf /= self._cdf[:, -1:]
        self._base = [(place.get(k, len(rows) - 1), w) for k, w in BASE_W.items()]
        self._cycling = [(place.get(k, len(rows) - 1), c) for k, c in CYCLING.items()]
        self._days: dict[int, tuple[Ints, Ints, Ints, Floats]] = {}

    def _day(self, day: int) -> tuple[Ints, Ints, Ints, Floats]:
        """Start and end (raster steps of local time), column (row, home) and power of every use of a day."""
        if day not in self._days:
            while len(self._days) >= 3:
                del self._days[min(self._days)]
            self._days[day] = self._draw(day)
        return self._days[day]

    def _draw(self, day: int) -> tuple[Ints, Ints, Ints, Floats]:
        kinds = len(APPLIANCES)
        kind = np.arange(kinds)[:, None, None]
        attempt = np.arange(self._tries)[None, :, None]
        home = self._homes[None, None, :]
        size = 0.6 + 0.9 * uniform(self._seed, _SIZE, self._homes)
        chance = np.minimum(self._per_day[:, None] * size / self._tries, 1.0)[:, None, :]
        used = uniform(self._seed, _USE, home, day, kind, attempt) < chance
        draw = uniform(self._seed, _START, home, day, kind, attempt)
        hour = np.empty_like(draw)
        for index in range(kinds):
            hour[index] = np.interp(draw[index], self._cdf[index], np.arange(25.0))
        spread = 0.6 + 0.8 * uniform(self._seed, _LENGTH, home, day, kind, attempt)
        length = np.maximum(self._minutes[:, None, None] * spread * 60.0 / RASTER_S, 1.0).astype(np.int64)
        start = (hour * 3600.0 / RASTER_S).astype(np.int64) + day * (DAY_S // RASTER_S)
        column = self._row[:, None, None] * len(self._homes) + np.arange(len(self._homes))
        power = np.broadcast_to(self._power[:, None, None], used.shape)
        return start[used], (start + length)[used], np.broadcast_to(column, used.shape)[used], power[used]

    def load_w(self, local_start_s: int, steps: int) -> Floats:
        """Load on the raster of ten seconds.

        Args:
            local_start_s: Seconds of local time since the epoch, a multiple of ten.
            steps: Number of raster steps.

        Returns:
            Shape (steps, n_rows, n_homes), >= 0, constant within a step.
        """
        first = local_start_s // RASTER_S
        homes = len(self._homes)
        change = np.zeros((steps + 1, self._rows * homes))
        last_day = (local_start_s + steps * RASTER_S) // DAY_S
        for day in range(local_start_s // DAY_S - 1, last_day + 1):
            start, end, column, power = self._day(day)
            begin, stop = np.clip(start - first, 0, steps), np.clip(end - first, 0, steps)
            inside = stop > begin
            np.add.at(change, (begin[inside], column[inside]), power[inside])
            np.subtract.at(change, (stop[inside], column[inside]), power[inside])
        load = np.cumsum(change[:-1], axis=0).reshape(steps, self._rows, homes)
        self._always(load, np.arange(first, first + steps, dtype=np.float64) * RASTER_S)
        return load

    def _always(self, load: Floats, local_s: Floats) -> None:
        """Add what nobody turns on: standby and cooling compressors."""
        for row, watts in self._base:
            load[:, row] += np.round(
                watts * (0.8 + 0.4 * smooth(self._seed, _BASE + row, self._homes, local_s, 1800.0))
            )
        for row, (watts, period_s, duty) in self._cycling:
            phase = uniform(self._seed, _PHASE, self._homes, row)
            load[:, row] += watts * ((local_s[:, None] / period_s + phase) % 1.0 < duty)
