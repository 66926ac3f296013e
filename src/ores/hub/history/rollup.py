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

from bisect import bisect_left
from collections.abc import Sequence
from itertools import chain, pairwise
from math import fsum
from operator import le

import msgspec

from ores.hub.history.pack import Column

MINUTE_S, QUARTER_S, HOUR_S, DAY_S = 60, 900, 3600, 86400
LEVELS_S = (MINUTE_S, QUARTER_S, HOUR_S)
"""Lengths of the kept roll-ups in s; all divide a day."""

STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
"""Bucket lengths offered to a chart in s; beyond the last, whole days."""

_DECIMALS = 6  # sums of decimal samples stay decimal, and so pack well; the error is below any meter's


class Buckets(msgspec.Struct):
    """Known buckets of one series, in time order. All lists have one entry per bucket.

    For a gauge `low, middle, high` are min, sum and max; for a counter first, counted and last, and
    `epoch_first, epoch_last` hold the counter epoch (`None` where unknown; both empty for a gauge).
    """

    starts_ms: list[int] = []
    n: list[int] = []
    low: list[float] = []
    middle: list[float] = []
    high: list[float] = []
    epoch_first: Column = []
    epoch_last: Column = []

    def extend(self, later: Buckets) -> None:
        """Append buckets that start after all of these."""
        for field in self.__struct_fields__:
            getattr(self, field).extend(getattr(later, field))


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


def level_for(edges_ms: Sequence[int]) -> int:
    """The coarsest roll-up in s whose buckets fall whole between these edges; 0 if only raw rows do."""
    for level_s in reversed(LEVELS_S):
        if all(edge % (level_s * 1000) == 0 for edge in edges_ms):
            return level_s
    return 0


def summarise_gauge(
    times_ms: Sequence[int], values: Sequence[float | None], edges_ms: Sequence[int]
) -> Buckets:
    """Samples of a gauge in buckets between neighbouring edges; what lies outside is ignored."""
    out = Buckets()
    for start, i, j in _spans(times_ms, edges_ms):
        known: Sequence[float] = [value for value in values[i:j] if value is not None]
        if known:
            out.starts_ms.append(start)
            out.n.append(len(known))
            out.low.append(min(known))
            out.middle.append(round(fsum(known), _DECIMALS))
            out.high.append(max(known))
    return out


def summarise_counter(
    times_ms: Sequence[int],
    values: Sequence[float | None],
    epochs: Sequence[float | None] | None,
    edges_ms: Sequence[int],
) -> Buckets:
    """Samples of an energy counter in buckets between neighbouring edges.

    Args:
        times_ms: Ascending.
        values: Wh, `None` where unknown.
        epochs: The counter epoch at each sample, or `None` if the counter tells none.
        edges_ms: Ascending.
    """
    out = Buckets()
    for start, i, j in _spans(times_ms, edges_ms):
        at = [k for k in range(i, j) if values[k] is not None]
        if not at:
            continue
        known = [value for value in values[i:j] if value is not None]
        of = [epochs[k] for k in at] if epochs is not None else [None] * len(at)
        out.starts_ms.append(start)
        out.n.append(len(known))
        out.low.append(known[0])
        out.middle.append(_counted(known, of))
        out.high.append(known[-1])
        out.epoch_first.append(of[0])
        out.epoch_last.append(of[-1])
    return out


def coarsen(fine: Buckets, edges_ms: Sequence[int], *, counter: bool) -> Buckets:
    """Put buckets together into the larger ones between neighbouring edges, each by its start."""
    out = Buckets()
    for start, i, j in _spans(fine.starts_ms, edges_ms):
        if i == j:
            continue
        out.starts_ms.append(start)
        out.n.append(sum(fine.n[i:j]))
        if not counter:
            out.low.append(min(fine.low[i:j]))
            out.middle.append(round(fsum(fine.middle[i:j]), _DECIMALS))
            out.high.append(max(fine.high[i:j]))
            continue
        joins = (_join(fine, k, k + 1) for k in range(i, j - 1))
        out.low.append(fine.low[i])
        out.middle.append(round(fsum(chain(fine.middle[i:j], joins)), _DECIMALS))
        out.high.append(fine.high[j - 1])
        out.epoch_first.append(fine.epoch_first[i])
        out.epoch_last.append(fine.epoch_last[j - 1])
    return out


def deltas(buckets: Buckets) -> list[float]:
    """What a counter counted up to each bucket's last sample since the last sample of the bucket before, in
    Wh.
    """
    between = [_join(buckets, k - 1, k) if k else 0.0 for k in range(len(buckets.n))]
    return [round(inside + before, _DECIMALS) for inside, before in zip(buckets.middle, between, strict=True)]


def _spans(times_ms: Sequence[int], edges_ms: Sequence[int]) -> list[tuple[int, int, int]]:
    cuts = [bisect_left(times_ms, edge) for edge in edges_ms]
    return [(start, i, j) for start, (i, j) in zip(edges_ms, pairwise(cuts), strict=False) if i < j]


def _counted(known: list[float], epochs: Sequence[float | None]) -> float:
    if len(set(epochs)) == 1 and all(map(le, known, known[1:])):
        return round(known[-1] - known[0], _DECIMALS)
    steps = (_increment(known[k], epochs[k], known[k + 1], epochs[k + 1]) for k in range(len(known) - 1))
    return round(fsum(steps), _DECIMALS)


def _join(buckets: Buckets, before: int, after: int) -> float:
    return _increment(
        buckets.high[before], buckets.epoch_last[before], buckets.low[after], buckets.epoch_first[after]
    )


def _increment(old_wh: float, old_epoch: float | None, new_wh: float, new_epoch: float | None) -> float:
    if old_epoch is not None and new_epoch is not None and old_epoch != new_epoch:
        return 0.0
    return max(new_wh - old_wh, 0.0)
