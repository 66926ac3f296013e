"""Many samples in few buckets: pure.

A *gauge* (power, voltage, temperature) keeps its smallest, summed and largest known sample per bucket. A
*counter* (an energy
counter: its name says `energy_…_wh`) keeps its first and last value and what it counted in between. A
bucket without a known sample is left out: a gap stays a gap.

Buckets can be put together into larger ones without looking at the samples again. What a counter counted
between two samples is known only if it went up and belongs to the same `counter_epoch`; over a reset
nothing is counted, because nobody knows what was lost or where a new counter started.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ores.hub.history.pack import Columns

Values = npt.NDArray[np.float64]
Edges = Sequence[int] | npt.NDArray[np.int64]

MINUTE_S, QUARTER_S, HOUR_S, DAY_S = 60, 900, 3600, 86400
LEVELS_S = (MINUTE_S, QUARTER_S, HOUR_S)
"""Lengths of the kept roll-ups in s; all divide a day."""

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Bucket lengths offered to a chart in s; beyond the last, whole days."""

_DECIMALS = 6  # sums of decimal samples stay decimal, and so pack well; the error is below any meter's


Buckets = Columns
"""Known buckets of one series, in time order, a column each; a row for each of the following."""

START, N, LOW, MIDDLE, HIGH, EPOCH_FIRST, EPOCH_LAST = range(7)
"""Rows of `Buckets`: start in ms, known samples; of a gauge min, sum and max; of a counter first, counted and
last, and the counter epochs at both ends, NaN where unknown (a gauge has not these two rows)."""


def is_counter(name: str) -> bool:
    """Whether a series is an energy counter, by the unit and quantity in its name."""
    point = name.rpartition(".")[2]
    return point.startswith("energy_") and point.endswith("_wh")


def epoch_name(counter: str) -> str:
    """The series that says to which epoch a counter's values belong."""
    head, dot, _ = counter.rpartition(".")
    return f"{head}{dot}counter_epoch"


def step_for(span_s: float, max_points: int, finest_s: int) -> int:
    """The smallest bucket length in s with which a span needs at most `max_points` buckets.

    Args:
        span_s: Length of what is asked for.
        max_points: At least 1.
        finest_s: The finest resolution kept over the whole span, 0 for raw.
    """
    for step_s in STEPS_S:
        if step_s >= finest_s and step_s * max_points >= span_s:
            return step_s
    return DAY_S * max(1, -int(-span_s // (max_points * DAY_S)))


def aligned_step(start_ms: int, end_ms: int, max_points: int, finest_s: int) -> int:
    """As `step_for`, for buckets that begin at whole multiples of their length: a span may touch one more.

    Args:
        start_ms: Where what is asked for begins, in ms since 1970, UTC.
        end_ms: Where it ends; after `start_ms`.
        max_points: At least 1.
        finest_s: The finest resolution kept over the whole span, 0 for raw.

    Returns:
        Length of a bucket in s.
    """
    step_s = step_for((end_ms - start_ms) / 1000.0, max_points, finest_s)
    while -(-end_ms // (step_s * 1000)) - start_ms // (step_s * 1000) > max_points:
        step_s = next((longer for longer in STEPS_S if longer > step_s), step_s + DAY_S)
    return step_s


def level_for(edges_ms: Sequence[int]) -> int:
    """The coarsest roll-up in s whose buckets fall whole between these edges; 0 if only raw rows do."""
    edges = np.asarray(edges_ms)
    for level_s in reversed(LEVELS_S):
        if not (edges % (level_s * 1000)).any():
            return level_s
    return 0


def summarise_gauge(times_ms: Values, values: Values, edges_ms: Edges) -> Buckets:
    """Samples of a gauge, NaN where unknown, in buckets between neighbouring edges; others are ignored."""
    known = ~np.isnan(values)
    times_ms, values = times_ms[known], values[known]
    return coarsen(np.array([times_ms, np.ones(len(values)), values, values, values]), edges_ms)


def summarise_counter(times_ms: Values, values: Values, epochs: Values | None, edges_ms: Edges) -> Buckets:
    """Samples of an energy counter in buckets between neighbouring edges.

    Args:
        times_ms: Ascending.
        values: Wh, NaN where unknown.
        epochs: The counter epoch at each sample, or `None` if the counter tells none.
        edges_ms: Ascending.
    """
    known = ~np.isnan(values)
    times_ms, values = times_ms[known], values[known]
    nothing = np.zeros(len(values))
    of = nothing + np.nan if epochs is None else epochs[known]
    return coarsen(np.array([times_ms, nothing + 1, values, nothing, values, of, of]), edges_ms)


def coarsen(fine: Buckets, edges_ms: Edges) -> Buckets:
    """Put buckets together into the larger ones between neighbouring edges, each by its start."""
    edges = np.asarray(edges_ms, dtype=np.float64)
    cuts = np.searchsorted(fine[START], edges)
    filled = cuts[:-1] < cuts[1:]
    first, last = cuts[:-1][filled], cuts[1:][filled] - 1
    if not len(first):
        return fine[:, :0]
    inside = fine[:, : cuts[-1]]
    out = np.empty((len(fine), len(first)))
    out[START] = edges[:-1][filled]
    out[N] = np.add.reduceat(inside[N], first)
    middle = np.add.reduceat(inside[MIDDLE], first)
    if len(fine) > EPOCH_FIRST:
        joins = np.cumsum(_joins(inside))
        middle += joins[last] - joins[first]
        out[LOW], out[HIGH] = inside[LOW, first], inside[HIGH, last]
        out[EPOCH_FIRST], out[EPOCH_LAST] = inside[EPOCH_FIRST, first], inside[EPOCH_LAST, last]
    else:
        out[LOW] = np.minimum.reduceat(inside[LOW], first)
        out[HIGH] = np.maximum.reduceat(inside[HIGH], first)
    out[MIDDLE] = np.round(middle, _DECIMALS)
    return out


def deltas(buckets: Buckets) -> Values:
    """What a counter counted up to each bucket's last sample since the last sample of the bucket before, in
    Wh.
    """
    counted: Values = np.round(buckets[MIDDLE] + _joins(buckets), _DECIMALS)
    return counted


def _joins(buckets: Buckets) -> Values:
    """What was counted between each bucket and the one before it; 0 for the first."""
    joins = np.zeros(buckets.shape[1])
    before, after = buckets[EPOCH_LAST, :-1], buckets[EPOCH_FIRST, 1:]
    reset = (before != after) & ~np.isnan(before) & ~np.isnan(after)
    joins[1:] = np.where(reset, 0.0, np.maximum(buckets[LOW, 1:] - buckets[HIGH, :-1], 0.0))
    return joins
