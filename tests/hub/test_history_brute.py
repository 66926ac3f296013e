"""Whatever was recorded, tidied and asked: the answer equals one worked out from a plain list of rows."""

from __future__ import annotations

import math
import tempfile
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ores.hub.history import Answer, History
from ores.hub.history.rollup import STEPS_S

DAY_S = 86400
START_S = 20_000 * DAY_S
GAUGE, COUNTER, EPOCH = "x.power_w", "x.energy_in_wh", "x.counter_epoch"

Row = tuple[float | None, float | None, float | None]

moments = st.integers(0, 3 * DAY_S * 4 - 1).map(lambda quarter: quarter / 4) | st.integers(0, 240).map(float)
rows = st.tuples(
    st.none() | st.integers(-3000, 3000).map(lambda n: n / 10),
    st.none() | st.integers(0, 300).map(float),
    st.sampled_from([1.0, 1.0, 1.0, 2.0, None]),
)
records = st.lists(st.tuples(moments, rows), max_size=25)
acts = st.lists(
    st.tuples(st.just("record"), records)
    | st.tuples(st.just("flush"), st.none())
    | st.tuples(st.just("tidy"), st.integers(0, 5 * 24).map(lambda hours: hours * 3600.0 + 100)),
    max_size=8,
)


def brute_force(truth: dict[float, Row], edges: list[float]) -> tuple[list[object], list[object]]:
    """(n, min, mean, max) of the gauge and (n, last, delta) of the counter per bucket."""
    gauges: list[object] = []
    counters: list[object] = []
    before = [t for t in sorted(truth) if edges[0] - 3600 <= t < edges[0] and truth[t][1] is not None]
    previous = truth[before[-1]] if before else None
    for start, end in pairwise(edges):
        inside = [truth[t] for t in sorted(truth) if start <= t < end]
        known = [row[0] for row in inside if row[0] is not None]
        gauges.append((len(known), min(known), math.fsum(known) / len(known), max(known)) if known else None)
        counted, last, n = 0.0, None, 0
        for row in inside:
            if row[1] is None:
                continue
            same = previous is None or None in (previous[2], row[2]) or previous[2] == row[2]
            if previous is not None and same:
                counted += max(row[1] - (previous[1] or 0.0), 0.0)
            previous, last, n = row, row[1], n + 1
        counters.append((n, last, counted) if n else None)
    return gauges, counters


def told(answer: Answer) -> tuple[list[object], list[object]]:
    gauge, counter = answer.series
    return (
        [
            (n, *three) if n else None
            for n, *three in zip(gauge.n, gauge.min, gauge.mean, gauge.max, strict=True)
        ],
        [(n, *two) if n else None for n, *two in zip(counter.n, counter.last, counter.delta, strict=True)],
    )


def same(found: list[object], expected: list[object]) -> bool:
    return len(found) == len(expected) and all(
        (a is None and b is None)
        or (
            isinstance(a, tuple)
            and isinstance(b, tuple)
            and all(math.isclose(x, y, abs_tol=1e-5) for x, y in zip(a, b, strict=True))
        )
        for a, b in zip(found, expected, strict=True)
    )


@settings(max_examples=200, deadline=None)
@given(
    acts,
    st.integers(0, 3 * 24 * 60 - 2),
    st.integers(1, 3 * 24 * 60),
    st.sampled_from([1, 3, 10, 24, 72, 300]),
)
def test_a_query_equals_brute_force(
    history_of: list[tuple[str, object]], start_min: int, length_min: int, points: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        history = History(Path(folder) / "history.db")
        truth: dict[float, Row] = {}
        for act, what in history_of:
            if isinstance(what, list):
                for t, row in what:
                    history.record("m", START_S + t, (GAUGE, COUNTER, EPOCH), row)
                    truth[START_S + t] = row
            elif act == "flush":
                assert history.flush()
            elif isinstance(what, float):
                while history.maintain(START_S + what):
                    pass
        start = START_S + start_min * 60.0
        answer = history.query([("m", GAUGE), ("m", COUNTER)], start, start + length_min * 60.0, points)
        edges = answer.edges_utc_s
        assert edges[0] <= start
        assert edges[-1] >= start + length_min * 60
        assert edges[1] - edges[0] in STEPS_S or (edges[1] - edges[0]) % DAY_S == 0
        assert len(edges) - 1 <= points
        gauges, counters = brute_force(truth, edges)
        found_gauges, found_counters = told(answer)
        assert same(found_gauges, gauges)
        assert same(found_counters, counters)
        ticks = history.rows("m", [GAUGE, COUNTER, EPOCH], START_S, START_S + 3 * DAY_S)
        assert ticks.t_utc_s == sorted(truth)
        assert list(zip(*ticks.columns.values(), strict=True)) == [truth[t] for t in sorted(truth)]
        history.close()
