"""Randomness that can be asked for at any time and place, in any order.

A draw is a hash of (seed, stream, home, position). Nothing is carried along, so a home gives the same run
whether it is simulated alone or among a hundred others, from the start or from the middle.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable random number generators, 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def uniform(seed: int, *keys: ArrayLike) -> Floats:
    """Draws in [0, 1), one for each combination of the broadcast integer keys.

    Args:
        seed: Of the run.
        keys: Integers or integer arrays that broadcast: stream number, home ids, days, knots...

    Returns:
        The broadcast shape of the keys.
    """
    state = _mix(np.atleast_1d(np.asarray(seed, dtype=np.int64)).astype(np.uint64) + _GOLDEN)
    for key in keys:
        bits = np.asarray(key, dtype=np.int64).astype(np.uint64)
        state = _mix(state + _GOLDEN + bits * np.uint64(0xD1342543DE82EF95))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed: int, *keys: ArrayLike) -> Floats:
    """Standard normal draws (Box and Muller 1958); the keys are those of `uniform`."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, *keys, 1)))
    return np.asarray(radius * np.cos(2.0 * np.pi * uniform(seed, *keys, 2)), dtype=np.float64)


def smooth(seed: int, stream: int, homes: NDArray[np.int64], time_s: Floats, scale_s: float) -> Floats:
    """Value noise: a random value every `scale_s`, joined by smooth steps.

    Args:
        seed: Of the run.
        stream: Tells independent noises of one run apart.
        homes: Ids, shape (n_homes,).
        time_s: Shape (n_times,).
        scale_s: Distance of the knots, > 0.

    Returns:
        Shape (n_times, n_homes), in [0, 1), continuous in time with continuous slope.
    """
    position = time_s / scale_s
    knot = np.floor(position)
    first = int(knot.min())
    values = uniform(seed, stream, homes[None, :], np.arange(first, int(knot.max()) + 2)[:, None])
    at = knot.astype(np.int64) - first
    part = (position - knot)[:, None]
    blend = part * part * (3.0 - 2.0 * part)
    return np.asarray(values[at] * (1.0 - blend) + values[at + 1] * blend, dtype=np.float64)
