"""Packing loses nothing, and buckets put together equal buckets made at once."""

from __future__ import annotations

import math
import random
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.hub.history import pack
from ores.hub.history.pack import DamagedBlock
from ores.hub.history.rollup import (
    aligned_step,
    coarsen,
    deltas,
    step_for,
    summarise_counter,
    summarise_gauge,
)

decimals = st.integers(-(10**7), 10**7).flatmap(lambda n: st.sampled_from([n / 1, n / 10, n / 1000, n / 1e6]))
values = st.none() | decimals | st.floats(allow_nan=False, allow_infinity=False)


def there_and_back(columns: list[list[float | None]]) -> list[list[float | None]]:
    blob = pack.encode(np.array([pack.as_array(column) for column in columns]))
    return [pack.as_column(column) for column in pack.decode(blob)]


@given(st.integers(0, 40).flatmap(lambda n: st.lists(st.lists(values, min_size=n, max_size=n), min_size=1)))
def test_packed_columns_come_back_exactly(columns: list[list[float | None]]) -> None:
    assert there_and_back(columns) == columns


@given(st.lists(st.integers(-(2**53) + 1, 2**53 - 1).map(float), max_size=9))
def test_large_steps_between_whole_numbers_survive(column: list[float | None]) -> None:
    assert there_and_back([column]) == [column]


def test_a_day_of_seconds_takes_little() -> None:
    rng = random.Random(1)
    power_w, column = 1000.0, []
    for _ in range(86400):
        power_w += rng.gauss(0, 15)
        column.append(round(power_w, 1))
    assert len(pack.encode(np.array([column]))) / len(column) < 2.0


@given(st.binary(max_size=60))
def test_a_damaged_block_is_told_as_such(noise: bytes) -> None:
    blob = pack.encode(np.array([[1.0, 2.5, math.nan]]))
    for damaged in (noise, blob[:-3], blob[:5] + noise + blob[5:]):
        if damaged != blob:
            with pytest.raises(DamagedBlock):
                pack.decode(damaged)


def test_a_block_of_another_form_is_told_as_damaged() -> None:
    for form, width, length in ((9, 8, 2), (1, 3, 2), (2, 3, 2), (1, 1, 2**31), (2, 8, 9), (1, 8, 2)):
        with pytest.raises(DamagedBlock):
            pack.decode(zlib.compress(struct.pack("<BBHI", form, width, 2, length) + bytes(40)))


Ticks = list[tuple[int, int | None, float | None]]

samples = st.lists(
    st.tuples(st.integers(0, 7199), st.none() | st.integers(-500, 500), st.sampled_from([1.0, 2.0, None])),
    max_size=60,
    unique_by=lambda sample: sample[0],
).map(sorted)


@given(samples)
def test_fine_buckets_put_together_equal_coarse_ones(
    ticks: list[tuple[int, int | None, float | None]],
) -> None:
    times = np.array([t * 1000.0 for t, _, _ in ticks])
    column = pack.as_array([None if value is None else value / 10 for _, value, _ in ticks])
    epochs = pack.as_array([epoch for _, _, epoch in ticks])
    fine, coarse = list(range(0, 7_200_001, 60_000)), [0, 3_600_000, 7_200_000]
    gauges = coarsen(summarise_gauge(times, column, fine), coarse)
    assert np.array_equal(gauges, summarise_gauge(times, column, coarse))
    counters = coarsen(summarise_counter(times, column, epochs, fine), coarse)
    assert np.array_equal(counters, summarise_counter(times, column, epochs, coarse), equal_nan=True)


@given(samples)
def test_a_counter_counts_the_same_in_any_buckets(ticks: Ticks) -> None:
    times, column = np.array([t * 1000.0 for t, _, _ in ticks]), pack.as_array([v for _, v, _ in ticks])
    epochs = pack.as_array([epoch for _, _, epoch in ticks])
    totals = [
        math.fsum(deltas(summarise_counter(times, column, epochs, list(range(0, 7_200_001, step)))))
        for step in (1000, 60_000, 7_200_000)
    ]
    assert totals == [totals[0]] * 3


@given(st.floats(1, 10**9), st.integers(1, 5000), st.sampled_from([0, 60, 900, 3600]))
def test_a_step_fits_the_chart_and_what_is_kept(span_s: float, points: int, finest_s: int) -> None:
    step_s = step_for(span_s, points, finest_s)
    assert step_s >= finest_s
    assert step_s * points >= span_s


@given(
    st.integers(0, 4_000_000_000_000),
    st.integers(1, 10**11),
    st.integers(1, 700),
    st.sampled_from([0, 60, 3600]),
)
def test_whole_buckets_over_a_span_are_no_more_than_asked_for(
    start_ms: int, span_ms: int, points: int, finest_s: int
) -> None:
    end_ms = start_ms + span_ms
    step_ms = aligned_step(start_ms, end_ms, points, finest_s) * 1000
    assert 1 <= -(-end_ms // step_ms) - start_ms // step_ms <= points
    assert step_ms >= finest_s * 1000
