"""Forecasts of load and PV from what the home did itself: distributions, not one line.

For each slot of the local day, the days of the last weeks are samples: weighted by their age and by whether
they are of the same kind (working day or not), put in order, and cut in equally likely outcomes. What is
special about today is how the hours just passed rank among their own outcomes; that rank lives on, less and
less, as a chain of normal scores. Nothing but what has been observed enters.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ores.ems.inputs import Floats

Ints = NDArray[np.int64]

OUTCOMES: Final = 7
"""Equally likely outcomes of each interval."""

_NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Habits:
    """How much the past counts.

    Attributes:
        days: Of the past that are looked at.
        memory_days: A day so old counts 1 / e of yesterday.
        other_kind: What a working day counts for a day off, and the other way round; 0 to 1.
        persistence_1h: Correlation of the normal scores of an hour and the next; 0 to < 1.
    """

    days: int = 42
    memory_days: float = 8.0
    other_kind: float = 0.5
    persistence_1h: float = 0.8


class History:
    """What has been observed, by local day and slot of the day.

    Args:
        slots: Of a day.
        days: How many are kept.
    """

    def __init__(self, slots: int, days: int) -> None:
        self.slots = slots
        self.values = np.full((days, slots), np.nan)
        self.off = np.zeros(days, dtype=np.bool_)
        self.newest = -1

    @property
    def known_days(self) -> int:
        """On how many days anything was observed."""
        return int((~np.isnan(self.values)).any(axis=1).sum())

    def observe(self, day: int, slot: int, value: float, *, off: bool) -> None:
        """One more; days rise, and an older day than the newest less those kept is forgotten."""
        while self.newest < day:
            if self.newest < 0:
                self.newest = day
            else:
                self.values = np.roll(self.values, 1, axis=0)
                self.off = np.roll(self.off, 1)
                self.values[0] = np.nan
                self.newest += 1
            self.off[0] = off
        self.values[self.newest - day, slot] = value


def outcomes_of(samples: Floats, weights: Floats, count: int) -> Floats:
    """Cut weighted samples in equally likely outcomes: the mean of each, rising.

    Args:
        samples: Shape (samples, slots); NaN where there is none.
        weights: Shape (samples,).
        count: Of outcomes.

    Returns:
        Shape (slots, count); NaN where a slot has no sample.
    """
    known = ~np.isnan(samples)
    order = np.argsort(np.where(known, samples, np.inf), axis=0)
    values = np.take_along_axis(np.where(known, samples, 0.0), order, axis=0)
    mass = np.take_along_axis(np.where(known, weights[:, None], 0.0), order, axis=0)
    total = mass.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = np.cumsum(mass, axis=0) / total
        integral = np.cumsum(values * mass, axis=0) / total
    cuts = np.linspace(0.0, 1.0, count + 1)
    found = np.full((samples.shape[1], count), np.nan)
    for slot in np.flatnonzero(total > 0.0):
        at = np.interp(cuts, np.append(0.0, reached[:, slot]), np.append(0.0, integral[:, slot]))
        found[slot] = np.diff(at) * count
    return found


def normal_score(share: float) -> float:
    """The normal quantile of a share; within 1e-6 of 0 and 1 it goes no further."""
    return _NORMAL.inv_cdf(min(max(share, 1e-6), 1.0 - 1e-6))


@lru_cache(maxsize=16)
def _cuts(count: int) -> tuple[float, ...]:
    """Normal scores between equally likely outcomes."""
    return tuple(normal_score(at / count) for at in range(1, count))


def chances(score: float, correlation: float, count: int) -> Floats:
    """Of each of equally likely outcomes, after one whose normal score correlates with theirs so much."""
    scale = 1.0 / math.sqrt(2.0 * max(1e-9, 1.0 - correlation**2))
    mean = correlation * score
    reached = [0.0, *(0.5 + 0.5 * math.erf((cut - mean) * scale) for cut in _cuts(count)), 1.0]
    return np.array([high - low for low, high in itertools.pairwise(reached)])


def chain(correlation: float, count: int) -> Floats:
    """From each outcome, the chances of the next one; shape (count, count)."""
    middles = [normal_score((at + 0.5) / count) for at in range(count)]
    return np.array([chances(z, correlation, count) for z in middles])


def rank(value: float, outcomes: Floats) -> float:
    """Where a value lies among equally likely outcomes; between 0 and 1, and neither of them."""
    count = len(outcomes)
    if value < outcomes[0] or value > outcomes[-1]:
        at, beside = (0, 1) if value < outcomes[0] else (-1, -2)
        width = max(1e-9, abs(float(outcomes[at] - outcomes[beside])))
        out = max(0.0, 1.0 - abs(value - float(outcomes[at])) / width)  # of the half step that is left
        share = (1.0 + out * (count - 1.0)) / (2.0 * count**2)
        return share if at == 0 else 1.0 - share
    return float(np.interp(value, outcomes, (np.arange(count) + 0.5) / count))


@dataclass(frozen=True, slots=True)
class Clock:
    """The local clock at the starts of n intervals.

    Attributes:
        day: Number of the local day, shape (n,).
        slot: Of the day, from 0, shape (n,).
        off: Whether it is a day off (weekend, holiday), shape (n,).
        days_left: Of the billing period, after this day, shape (n,).
    """

    day: Ints
    slot: Ints
    off: NDArray[np.bool_]
    days_left: Ints


@dataclass(frozen=True, slots=True)
class Forecast:
    """What may come in n intervals.

    Attributes:
        by: Who made it.
        made_before: Local day and slot of the first interval.
        shares: Of which quantiles, rising, shape (q,).
        kwh: Quantiles, shape (n, q).
        mean_kwh: Shape (n,).
    """

    by: str
    made_before: tuple[int, int]
    shares: Floats
    kwh: Floats
    mean_kwh: Floats


def _beyond(outcomes: Floats) -> Floats:
    """The highest that is thought of; means of outcomes lie inside what they stand for, the last one most."""
    above: Floats = 2.0 * outcomes[:, -1] - outcomes[:, -2]
    return above


class Forecaster:
    """Learns one quantity of a home (load, PV, or load less PV) and says what it may be.

    Args:
        slots: Of a day.
        usual: What it may be where nothing is known yet: equally likely outcomes of an interval, in kWh,
            rising.
        habits: How much the past counts.
    """

    def __init__(self, slots: int, usual: Floats, habits: Habits | None = None) -> None:
        self.habits = habits or Habits()
        self.slots = slots
        self.usual = usual
        self.past = History(slots, self.habits.days)
        self.persistence = self.habits.persistence_1h ** (24.0 / slots)
        self.score = 0.0
        self._made: dict[bool, Floats] = {}
        self._made_on = -1

    @property
    def trust(self) -> float:
        """In what the rank of an interval says, as long as few days are known; 0 to 1."""
        days = self.past.known_days
        return days / (days + 2.0)

    def observe(self, day: int, slot: int, *, off: bool, kwh: float) -> None:
        """An interval has passed."""
        outcomes = self._of_day(day, off)[slot]
        if outcomes[-1] - outcomes[0] > 1e-3:  # at night all suns rank alike
            self.score = self.ranked(kwh, outcomes)
        else:
            self.score *= self.persistence
        self.past.observe(day, slot, kwh, off=off)

    def ranked(self, kwh: float, outcomes: Floats) -> float:
        """The normal score of what an interval was, among its outcomes."""
        return normal_score(rank(kwh, outcomes)) * self.trust

    def outcomes(self, clock: Clock) -> Floats:
        """Of each interval, equally likely, rising, whatever today is like; shape (n, outcomes)."""
        today = int(clock.day[0])
        found = np.empty((len(clock.day), len(self.usual)))
        for day in np.unique(clock.day).tolist():
            mine = clock.day == day
            off = bool(clock.off[np.argmax(mine)])
            found[mine] = self._of_day(today, off)[clock.slot[mine]]
        return found

    def forecast(self, clock: Clock, shares: Floats) -> Forecast:
        """What may come, seeing how the last interval ranked."""
        outcomes = self.outcomes(clock)
        count = outcomes.shape[1]
        lives = self.persistence ** np.arange(1, len(outcomes) + 1)
        spread = np.sqrt(1.0 - lives**2)
        ends = np.column_stack([1.5 * outcomes[:, 0] - 0.5 * outcomes[:, 1], outcomes, _beyond(outcomes)])
        ends[:, 0] = np.where(outcomes[:, 0] >= 0.0, np.maximum(ends[:, 0], 0.0), ends[:, 0])
        middles = np.array([0.0, *((np.arange(count) + 0.5) / count), 1.0])
        scores = lives[:, None] * self.score + spread[:, None] * np.array(
            [normal_score(share) for share in shares.tolist()]
        )
        places = np.vectorize(_NORMAL.cdf, otypes=[np.float64])(scores)
        kwh = np.array([np.interp(at, middles, row) for at, row in zip(places, ends, strict=True)])
        likely = np.array([chances(self.score, float(one), count) for one in lives])
        made_before = (int(clock.day[0]), int(clock.slot[0]))
        return Forecast("habits", made_before, shares, kwh, (likely * outcomes).sum(axis=1))

    def _of_day(self, today: int, off: bool) -> Floats:
        if today != self._made_on:
            self._made.clear()
            self._made_on = today
        if off not in self._made:
            weights = np.exp(-np.arange(self.habits.days) / self.habits.memory_days)
            weights[self.past.off != off] *= self.habits.other_kind
            made = outcomes_of(self.past.values, weights, len(self.usual))
            self._made[off] = np.where(np.isnan(made), self.usual, made)
        return self._made[off]
