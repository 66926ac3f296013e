"""Clouds and air temperature: smooth, seeded, and the same whenever they are asked for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import Site
from ores.sim.physics.noise import smooth

Floats = NDArray[np.float64]

DAY_S = 86_400.0
_YEAR_S = 365.2425 * DAY_S
_REGIME, _FIELD, _EDGE, _WARMTH, _BREEZE = range(20, 25)


def clear_index(seed: int, homes: NDArray[np.int64], unix_s: Floats) -> Floats:
    """Part of the clear-sky irradiance that the clouds let through.

    Cloudiness drifts over most of a day; fields of some twenty minutes and edges of some three ride on
    it. Cover is made of their sum by a logistic curve, so that skies are mostly clear or mostly covered,
    with the broken hours between that trouble controllers. A covered sky passes about a quarter (Kasten
    and Czeplak 1980).

    Args:
        seed: Of the run.
        homes: Ids, shape (n_homes,).
        unix_s: Instants, shape (n_times,).

    Returns:
        Shape (n_times, n_homes), 0.25 to 1.
    """
    regime = smooth(seed, _REGIME, homes, unix_s, 0.7 * DAY_S)
    field = smooth(seed, _FIELD, homes, unix_s, 1200.0)
    edge = smooth(seed, _EDGE, homes, unix_s, 180.0)
    cloudiness = (regime - 0.55) + 0.45 * (field - 0.5) + 0.15 * (edge - 0.5)
    return np.asarray(1.0 - 0.75 / (1.0 + np.exp(-14.0 * cloudiness)), dtype=np.float64)


def outdoor_c(seed: int, homes: NDArray[np.int64], unix_s: Floats, site: Site) -> Floats:
    """Air temperature: a year's and a day's sine and weather of some days.

    The yearly mean falls with latitude and height (6.5 K per km, International Standard Atmosphere). The
    coldest day is about 20 January, the coldest hour about 4 h, in the north; six months away in the south.

    Returns:
        Shape (n_times, n_homes).
    """
    latitude = abs(site.latitude_deg)
    season = (unix_s - 20.0 * DAY_S) / _YEAR_S * 2.0 * np.pi
    if site.latitude_deg < 0.0:
        season = season + np.pi
    local_s = unix_s + site.utc_offset_h * 3600.0
    hour = (local_s % DAY_S) / 3600.0
    mean = 27.5 - 0.35 * latitude - 6.5 * site.altitude_m / 1000.0
    yearly = mean - 0.2 * latitude * np.cos(season) - 4.0 * np.cos((hour - 4.0) / 24.0 * 2.0 * np.pi)
    days = 9.0 * (smooth(seed, _WARMTH, homes, unix_s, 2.5 * DAY_S) - 0.5)
    breeze = 1.5 * (smooth(seed, _BREEZE, homes, unix_s, 2400.0) - 0.5)
    return np.asarray(yearly[:, None] + days + breeze, dtype=np.float64)
