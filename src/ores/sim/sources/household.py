"""The generator: a household, its sky and its air, from a seed and no file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.exogenous import Exogenous
from ores.sim.physics.solar import available_dc_w
from ores.sim.physics.weather import clear_index, outdoor_c
from ores.sim.sources.appliances import DAY_S, RASTER_S, Uses

Floats = NDArray[np.float64]

_KNOT_S = 60.0


class Household:
    """A `Source` that needs no files.

    Args:
        config: Of the homes.
        seed: Of the run.
        homes: How many, or their ids; a home's series depend on its id and the seed alone.
    """

    def __init__(self, config: HouseConfig, seed: int = 1, homes: int | Sequence[int] = 1) -> None:
        ids = range(homes) if isinstance(homes, int) else homes
        self.homes: NDArray[np.int64] = np.array(list(ids), dtype=np.int64)
        if not len(self.homes):
            raise ScenarioError("homes: found none, allowed: 1 or more")
        self.seed = seed
        self._config = config
        rows = (*(c.name for c in config.circuits), config.unmetered.name)
        self._uses = Uses(seed, self.homes, rows)
        self._start_s = config.site.start.timestamp()
        if self._start_s % RASTER_S:
            raise ScenarioError(f"Site.start: found {config.site.start}, allowed: a multiple of {RASTER_S} s")
        self._skies: dict[int, tuple[Floats, Floats, Floats]] = {}

    def block(self, start_s: float, period_s: float, periods: int) -> Exogenous:
        """See `Source.block`; the period must be a multiple of ten seconds."""
        split = round(period_s / RASTER_S)
        if split < 1 or abs(split * RASTER_S - period_s) > 1e-9 or abs(start_s / RASTER_S % 1.0) > 1e-9:
            raise ScenarioError(f"period_s: found {period_s:g}, allowed: multiples of {RASTER_S} s")
        begin = self._start_s + start_s
        local = round(begin + self._config.site.utc_offset_h * 3600.0)
        load = self._uses.load_w(local, periods * split)
        if split > 1:
            load = load.reshape(periods, split, *load.shape[1:]).mean(axis=1)
        pv, sun, air = self._sky(begin, period_s, periods)
        return Exogenous(load, pv, air, sun)

    def _sky(self, begin_s: float, period_s: float, periods: int) -> tuple[Floats, Floats, Floats]:
        """Means over the periods, from straight lines between the minutes of each day."""
        split = max(1, int(np.ceil(period_s / 30.0)))
        sample = begin_s + (np.arange(periods * split) + 0.5) * (period_s / split)
        day = np.floor(sample / DAY_S).astype(np.int64)
        parts: list[tuple[Floats, ...]] = []
        for number in np.unique(day):
            position = (sample[day == number] - number * DAY_S) / _KNOT_S
            at = position.astype(np.int64)
            parts.append(tuple(_between(knots, at, position - at) for knots in self._knots(int(number))))
        pv, sun, air = (np.concatenate(series) for series in zip(*parts, strict=True))
        pv, sun, air = (
            series.reshape(periods, split, *series.shape[1:]).mean(axis=1) for series in (pv, sun, air)
        )
        return pv, sun, air

    def _knots(self, day: int) -> tuple[Floats, Floats, Floats]:
        """PV power, irradiance and temperature at the 1441 minutes of a UTC day."""
        if day not in self._skies:
            while len(self._skies) >= 2:
                del self._skies[min(self._skies)]
            unix = day * float(DAY_S) + np.arange(1441, dtype=np.float64) * _KNOT_S
            air = outdoor_c(self.seed, self.homes, unix, self._config.site)
            clear = clear_index(self.seed, self.homes, unix)
            pv, sun = available_dc_w(self._config.site, self._config.arrays, unix, clear, air)
            self._skies[day] = (pv, sun, air)
        return self._skies[day]


def _between(knots: Floats, at: NDArray[np.int64], part: Floats) -> Floats:
    """Straight lines between knots along the first axis."""
    part = part.reshape(-1, *(1,) * (knots.ndim - 1))
    return np.asarray(knots[at] * (1.0 - part) + knots[at + 1] * part, dtype=np.float64)
