"""From one interval to the next: what has been observed, what may come, and what stored energy is worth now.

The hub and the backtest run the same object. It knows nothing but what `observe` told it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ores.ems.forecast import OUTCOMES, Habits, History, chain, chances, normal_score, outcomes_of, rank
from ores.ems.inputs import Battery, Floats
from ores.ems.worth import LEVELS, Curve, Outlook, Worth, worth
from ores.tariff.terms import Terms

Ints = NDArray[np.int64]

HORIZON_H: Final = 36.0
"""How far a plan looks."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The local clock at the starts of n intervals.

    Attributes:
        day: Number of the local day, shape (n,).
        slot: Of the day, from 0, shape (n,).
        off: Whether it is a day off (weekend, holiday), shape (n,).
    """

    day: Ints
    slot: Ints
    off: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known before an interval.

    Attributes:
        outcomes_kwh: Of load less PV in the interval itself, equally likely, rising; shape (outcomes,).
        worth: Values from this interval on.
        persistence: Correlation of the normal scores of this interval and the next.
    """

    outcomes_kwh: Floats
    worth: Worth
    persistence: float

    def value(self, net_kwh: float) -> Curve:
        """Of energy in store at the end of this interval, seeing what it was like.

        Args:
            net_kwh: Load less PV of this interval, or what it will be if it goes on as it does.
        """
        score = float(normal_score(rank(net_kwh, self.outcomes_kwh)))
        return self.worth.before(1, chances(score, self.persistence, len(self.outcomes_kwh)))


class Rolling:
    """Looks ahead, again and again.

    Args:
        battery: Its SoC is not asked.
        slots: Of a day.
        habits: How much the past counts.
        levels: Of stored energy.
    """

    def __init__(
        self, battery: Battery, slots: int, habits: Habits | None = None, *, levels: int = LEVELS
    ) -> None:
        self.battery = battery
        self.habits = habits or Habits()
        self.slots = slots
        self.levels = levels
        self._past = History(slots, self.habits.days)
        self._end: Floats | None = None
        self._outcomes: dict[tuple[int, bool], Floats] = {}
        self._made_on = -1
        self._persistence = self.habits.persistence_1h ** (24.0 / slots)
        self._chain = chain(self._persistence, OUTCOMES)

    def observe(self, day: int, slot: int, *, off: bool, net_kwh: float) -> None:
        """An interval has passed; load less PV."""
        self._past.observe(day, slot, net_kwh, off=off)

    def look(self, terms: Terms, clock: Clock, *, last: bool = False) -> Ahead:
        """Before an interval: what may come, and what energy in store is worth.

        Args:
            terms: Of the intervals to come, this one first; `HORIZON_H` of them are enough.
            clock: Of the same intervals.
            last: Whether what is in store after the last of them is worth nothing.
        """
        net = self.outcomes(clock)
        outlook = Outlook(
            hours=terms.hours,
            import_per_kwh=terms.import_per_kwh,
            export_per_kwh=terms.export_per_kwh,
            net_kwh=net,
            chain=self._chain,
        )
        made = worth(outlook, self.battery, None if last else self._end, levels=self.levels)
        if not last and len(net) > self.slots:  # tomorrow's end is worth what today's is, seen from here
            end = made.value[len(net) - self.slots]
            self._end = end - end.max()
        return Ahead(net[0], made, self._persistence)

    def outcomes(self, clock: Clock) -> Floats:
        """Of load less PV in each interval, equally likely; shape (n, outcomes)."""
        today = int(clock.day[0])
        if today != self._made_on:
            self._outcomes.clear()
            self._made_on = today
        found = np.empty((len(clock.day), OUTCOMES))
        for day in np.unique(clock.day).tolist():
            mine = clock.day == day
            off = bool(clock.off[np.argmax(mine)])
            found[mine] = self._of_day(off)[clock.slot[mine]]
        return found

    def _of_day(self, off: bool) -> Floats:
        key = (self._made_on, off)
        if key not in self._outcomes:
            ages = np.arange(self.habits.days)
            weights = np.exp(-ages / self.habits.memory_days)
            weights[self._past.off != off] *= self.habits.other_kind
            made = outcomes_of(self._past.values, weights, OUTCOMES)
            usual = np.linspace(0.2, 1.4, OUTCOMES) * 24.0 / self.slots * 0.7
            self._outcomes[key] = np.where(np.isnan(made), usual, made)
        return self._outcomes[key]
