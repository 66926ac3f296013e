"""What a home did is what it may do: distributions from its own past, and how they are scored."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.ems.forecast import (
    Clock,
    Forecast,
    Forecaster,
    Habits,
    History,
    chain,
    chances,
    normal_score,
    outcomes_of,
    rank,
)
from ores.ems.scores import Tally

USUAL = np.linspace(0.1, 0.7, 7)
SHARES = np.array([0.05, 0.5, 0.95])


def clock(day: int, *, off: bool = False, first: int = 0) -> Clock:
    slots = np.arange(first, 24)
    count = len(slots)
    return Clock(np.full(count, day), slots, np.full(count, off), np.zeros(count, dtype=np.int64))


def learnt(days: int, *, habits: Habits | None = None, seed: int = 1) -> Forecaster:
    """Evenings of 2 kWh, give or take a half; days off of 4."""
    noise = np.random.default_rng(seed)
    one = Forecaster(24, USUAL, habits)
    for day in range(days):
        off = day % 7 >= 5
        for slot in range(24):
            usual = (4.0 if off else 2.0) if slot == 19 else 0.5
            one.observe(day, slot, off=off, kwh=usual + noise.uniform(-0.5, 0.5))
    return one


def test_before_anything_is_known_the_usual_is_expected() -> None:
    made = Forecaster(24, USUAL).forecast(clock(0), SHARES)
    assert made.mean_kwh == pytest.approx(np.full(24, 0.4))
    assert (np.diff(made.kwh, axis=1) > 0).all()


def test_a_day_off_is_not_a_working_day() -> None:
    one = learnt(28, habits=Habits(other_kind=0.0))
    assert one.outcomes(clock(28))[19].mean() == pytest.approx(2.0, abs=0.25)
    assert one.outcomes(clock(28, off=True))[19].mean() == pytest.approx(4.0, abs=0.3)


def test_half_of_what_comes_lies_below_the_middle() -> None:
    outcomes = learnt(42).outcomes(clock(42))[3]
    assert outcomes == pytest.approx(0.5 + (np.arange(7) - 3) / 7, abs=0.15)


def test_an_hour_above_its_habit_makes_the_next_ones_higher_and_that_passes() -> None:
    one = learnt(28)
    plain = one.forecast(clock(28), SHARES).mean_kwh
    for slot in range(6):
        one.observe(28, slot, off=False, kwh=1.0)
    after = one.forecast(clock(28, first=6), SHARES).mean_kwh
    assert after[0] > plain[6] + 0.1
    assert abs(after[-1] - plain[-1]) < 0.05


def test_a_gap_of_weeks_leaves_the_habits_as_they_are() -> None:
    one = learnt(28)
    one.observe(40, 0, off=False, kwh=0.5)
    assert one.outcomes(clock(41))[19].mean() > 1.5


def test_what_is_older_than_the_memory_is_forgotten() -> None:
    past = History(24, 10)
    past.observe(0, 5, 1.0, off=False)
    past.observe(10, 5, 2.0, off=False)
    assert np.nansum(past.values) == 2.0
    assert past.known_days == 1


@given(st.lists(st.floats(0.0, 5.0), min_size=1, max_size=30))
def test_outcomes_rise_and_keep_the_mean(values: list[float]) -> None:
    samples = np.array(values)[:, None]
    found = outcomes_of(samples, np.ones(len(values)), 7)[0]
    assert found.mean() == pytest.approx(np.mean(values), abs=1e-9)
    assert (np.diff(found) >= -1e-9).all()


def test_a_slot_that_was_never_seen_has_no_outcomes() -> None:
    assert np.isnan(outcomes_of(np.full((3, 1), np.nan), np.ones(3), 7)).all()


@given(st.floats(-4.0, 4.0), st.floats(0.0, 0.99))
def test_chances_are_chances(score: float, correlation: float) -> None:
    found = chances(score, correlation, 7)
    assert found.sum() == pytest.approx(1.0)
    assert (found >= 0.0).all()


def test_without_correlation_all_outcomes_are_alike_and_with_it_the_next_is_near() -> None:
    assert chain(0.0, 7) == pytest.approx(np.full((7, 7), 1 / 7), abs=1e-3)
    assert (np.argmax(chain(0.9, 7), axis=1) == np.arange(7)).all()


def test_ranks_and_scores_go_together() -> None:
    outcomes = np.arange(7.0)
    assert rank(3.0, outcomes) == pytest.approx(0.5)
    assert rank(-99.0, outcomes) < rank(0.0, outcomes) < rank(99.0, outcomes) < 1.0
    shares = [rank(value, outcomes) for value in np.linspace(-2.0, 8.0, 101).tolist()]
    assert (np.diff(shares) >= 0.0).all()
    assert np.abs(np.diff(shares)).max() < 0.02  # nowhere a jump
    for share in (0.01, 0.2, 0.5, 0.9):
        assert 0.5 * (1 + math.erf(normal_score(share) / math.sqrt(2))) == pytest.approx(share)


def test_a_forecast_is_scored_beside_two_that_cost_nothing() -> None:
    tally = Tally()
    assert tally.score() is None
    quantiles = np.array([[0.0, 1.0, 2.0], [0.0, 1.0, 2.0]])
    made = Forecast("test", (0, 0), SHARES, quantiles, np.array([1.0, 1.0]))
    tally.add(made, np.array([1.5, 3.0]), last_kwh=0.0, seasonal_kwh=np.array([1.5, 3.5]))
    score = tally.score()
    assert score is not None
    assert (score.mae, score.mae_persistence, score.mae_seasonal) == (1.25, 2.25, 0.25)
    assert score.covered == 0.5
    first = (0.05 * 1.5 + 0.5 * 0.5 + 0.05 * 0.5) / 3
    second = (0.05 * 3.0 + 0.5 * 2.0 + 0.95 * 1.0) / 3
    assert score.pinball == pytest.approx((first + second) / 2)
