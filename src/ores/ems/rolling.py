"""From one interval to the next: what has been observed, what may come, and what stored energy is worth now.

The hub and the backtest run the same object. It knows nothing but what `observe` told it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ores.ems.forecast import OUTCOMES, Clock, Forecaster, Habits, chain, chances, normal_score, rank
from ores.ems.inputs import Battery, Floats
from ores.ems.peaks import Steps, days_steps, peak_steps, shaved_kw
from ores.ems.worth import LEVELS, Curve, Outlook, Price, Worth, worth
from ores.tariff.terms import Terms

Ints = NDArray[np.int64]

HORIZON_H: Final = 36.0
"""How far a plan looks."""


@dataclass(frozen=True, slots=True)
class Kept:
    """As much of what is known before an interval as acting in it takes.

    Attributes:
        outcomes_kwh: Of load less PV in it, rising; shape (outcomes,).
        levels_kwh: Of stored energy, rising from 0 to the capacity, shape (levels,).
        after: Value of energy in store after it, by the next interval's outcome, shape (outcomes, levels).
        persistence: As in `Ahead`.
        trust: As in `Ahead`.
        price: In it.
    """

    outcomes_kwh: Floats
    levels_kwh: Floats
    after: Floats
    persistence: float
    trust: float
    price: Price

    def value(self, net_kwh: float) -> Curve:
        """Of energy in store at the end of this interval, seeing what it was like.

        Args:
            net_kwh: Load less PV of this interval, or what it will be if it goes on as it does.
        """
        score = normal_score(rank(net_kwh, self.outcomes_kwh)) * self.trust
        likely = chances(score, self.persistence, len(self.outcomes_kwh))
        return Curve(self.levels_kwh, likely @ self.after)


@dataclass(frozen=True, slots=True)
class Ahead:
    """What is known before an interval.

    Attributes:
        interval: Its number among those of `worth`.
        outcomes_kwh: Of load less PV in it, rising; shape (outcomes,).
        likely: Their chances, by how the last interval ranked, shape (outcomes,).
        chain: From each outcome, the chances of the next interval's, shape (outcomes, outcomes).
        worth: Values.
        persistence: Correlation of the normal scores of this interval and the next.
        trust: In what the rank of an interval says, as long as few days are known; 0 to 1.
        price: In it.
    """

    interval: int
    outcomes_kwh: Floats
    likely: Floats
    chain: Floats
    worth: Worth
    persistence: float
    trust: float
    price: Price

    def value(self, net_kwh: float) -> Curve:
        """As `Kept.value`."""
        return self.kept().value(net_kwh)

    def kept(self) -> Kept:
        """What acting in it takes."""
        after = self.worth.value[self.interval + 1]
        worth = self.worth
        return Kept(self.outcomes_kwh, worth.levels_kwh, after, self.persistence, self.trust, self.price)

    def values(self) -> Floats:
        """The same after each outcome, at the levels of `worth`; shape (outcomes, levels)."""
        values: Floats = self.chain @ self.worth.value[self.interval + 1]
        return values


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
        self.slots = slots
        self.levels = levels
        usual = np.linspace(-1.2, 1.4, OUTCOMES) * 24.0 / slots  # with sun, or without
        self.net = Forecaster(slots, usual, habits)
        self._end: Floats | None = None
        self._chain = chain(self.net.persistence, OUTCOMES)

    def observe(self, day: int, slot: int, *, off: bool, net_kwh: float) -> None:
        """An interval has passed; load less PV."""
        self.net.observe(day, slot, off=off, kwh=net_kwh)

    def renew(self, terms: Terms, clock: Clock, *, last: bool = False) -> None:
        """Make the values anew: when a day has begun, or prices, limits or the month's peak have changed.

        They hold for whatever happens in these intervals, so that nothing has to be made anew within a day.

        Args:
            terms: Of the intervals to come: `HORIZON_H` beyond the last one that will be asked for.
            clock: Of the same intervals.
            last: Whether what is in store after the last of them is worth nothing.
        """
        net = self.net.outcomes(clock)
        hours = float(terms.hours[0])
        terms = replace(terms, import_per_kwh=terms.import_per_kwh + self._tiered(terms, clock, net))
        steps = self._charged(terms, clock, hours)
        outlook = Outlook(
            hours=terms.hours,
            import_per_kwh=terms.import_per_kwh,
            export_per_kwh=terms.export_per_kwh,
            net_kwh=net,
            chain=self._chain,
            steps_kwh=np.array(
                [np.where(one.at, one.above_kw * terms.hours, np.inf) for one in steps]
            ).reshape(len(steps), len(net)),
            steps_per_kwh=np.array([one.per_kwh for one in steps]),
        )
        self._net, self._steps, self._terms = net, steps, terms
        self._trust = self.net.trust
        self._worth = worth(outlook, self.battery, None if last else self._end, levels=self.levels)
        if not last and len(net) > self.slots:  # what the end is worth: as seen a day before it, next time
            end = self._worth.value[len(net) - self.slots]
            self._end = end - end.max()

    def ahead(self, interval: int) -> Ahead:
        """What is known before an interval, counted from the first of those of `renew`."""
        steps = tuple((one.above_kw, one.per_kwh) for one in self._steps if one.at[interval])
        return Ahead(
            interval,
            self._net[interval],
            chances(self.net.score, self.net.persistence, OUTCOMES),
            self._chain,
            self._worth,
            self.net.persistence,
            self._trust,
            Price(
                float(self._terms.import_per_kwh[interval]),
                float(self._terms.export_per_kwh[interval]),
                steps,
            ),
        )

    def _tiered(self, terms: Terms, clock: Clock, net_kwh: Floats) -> Floats:
        """What a kWh more of import costs by tiers: their whole extra where the month will come to them."""
        extra = np.zeros(len(net_kwh))
        a_day = max(0.0, float(net_kwh.mean())) * self.slots  # what the store cannot shift to another hour
        for tier in terms.tiers:
            counted = np.asarray(tier.counts)
            if counted.any() and a_day * (1.0 + clock.days_left[int(np.argmax(counted))]) > tier.left_kwh:
                extra[counted] += tier.extra_per_kwh
        return extra

    def _charged(self, terms: Terms, clock: Clock, hours: float) -> list[Steps]:
        """What import beyond some power costs, day by day."""
        steps: list[Steps] = []
        for day in np.unique(clock.day).tolist() if terms.peaks or terms.days else ():
            mine = clock.day == day
            first = int(np.argmax(mine))
            alike = self.net.past.values[self.net.past.off == clock.off[first]]
            left = int(clock.days_left[first])

            def held(block: Ints, mine: NDArray[np.bool_] = mine, alike: Floats = alike) -> Floats:
                counted = clock.slot[mine & (block >= 0)]
                past = alike[:, counted] / hours
                past = past[~np.isnan(past).any(axis=1)]
                return shaved_kw(past, hours, self.battery) if past.size else np.zeros(0)

            for peak in terms.peaks:
                steps += peak_steps(peak, terms.hours, mine, held(peak.block), left)
            for days in terms.days:
                steps += days_steps(days, terms.hours, mine, held(days.block), left)
        return steps
