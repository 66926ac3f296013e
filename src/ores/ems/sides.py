"""Of two sides only one: a battery charges or discharges, a home buys or sells."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ores.ems.branch import SEEN, Restriction
from ores.ems.exact import Choice
from ores.ems.sheet import Floats, Ints, Numbers


@dataclass(slots=True)
class Chord:
    """Prices for both directions at once, where selling pays more than buying costs.

    The cost of the net flow is concave there, and a program with both prices would buy and sell without end.
    One price for both directions, the slope of the chord between the extremes, is what no plan can beat, and
    right at the extremes; the real prices come with the decision.

    Attributes:
        at: Which members it is for; of shape (members,).
        one: Price of the first column of one side, of shape (members,).
        other: Price of the first column of the other side.
        slope: Of the chord.
        intercept: Of the chord: what it costs at no net flow, <= 0.
    """

    at: NDArray[np.bool_]
    one: Floats
    other: Floats
    slope: Floats
    intercept: Floats


@dataclass(slots=True)
class Sides:
    """Columns of which, for each member, those of one side are 0, or those of the other.

    Attributes:
        one: Of shape (columns, members).
        other: Likewise.
        chord: Filled in for each plan, where it is needed.
    """

    one: Ints
    other: Ints
    chord: Chord | None = field(default=None)

    def offences(self, values: Floats, numbers: Numbers) -> Floats:
        """What both sides do at once; at a chord, what it is too cheap."""
        lesser: Floats = np.minimum(values[self.one].sum(axis=0), values[self.other].sum(axis=0))
        if self.chord is None:
            return lesser
        chord = self.chord
        net = values[self.one[0]] - values[self.other[0]]
        real = np.where(net > 0.0, chord.one, -chord.other) * net
        return np.where(
            self._open(numbers), np.maximum(real - chord.intercept - chord.slope * net, 0.0), lesser
        )

    def halves(self, member: int, values: Floats, numbers: Numbers) -> tuple[Restriction, Restriction]:
        """Either side."""
        members = np.array([member])
        likely = self._more(values)[members]
        return self._decided(members, likely, numbers), self._decided(members, ~likely, numbers)

    def rounded(self, values: Floats, numbers: Numbers) -> Restriction | None:
        """The side to which the net goes."""
        lesser = np.minimum(values[self.one].sum(axis=0), values[self.other].sum(axis=0))
        undecided = lesser > SEEN
        if self.chord is not None:
            undecided |= self._open(numbers)
        elif not undecided.any():
            return None
        members = np.flatnonzero(undecided)
        if len(members) == 0:
            return None
        return self._decided(members, self._more(values)[members], numbers)

    def plain(self, numbers: Numbers) -> Restriction | None:
        """Real prices instead of chords."""
        if self.chord is None:
            return None
        members = np.flatnonzero(self._open(numbers))
        columns = np.concatenate([self.one[0, members], self.other[0, members]])
        cost = np.concatenate([self.chord.one[members], self.chord.other[members]])
        offset = -float(self.chord.intercept[members].sum())
        return Restriction(columns, numbers.lower[columns], numbers.upper[columns], cost, offset)

    def broken(self, values: Floats) -> NDArray[np.bool_]:
        """Both sides at once; all at chords, which may be."""
        both: NDArray[np.bool_] = (
            np.minimum(values[self.one].sum(axis=0), values[self.other].sum(axis=0)) > SEEN
        )
        return both if self.chord is None else both | self.chord.at

    def choice(self, member: int) -> Choice:
        """On is one side, off the other."""
        return Choice(on=self.one[:, member], off=self.other[:, member])

    def _more(self, values: Floats) -> NDArray[np.bool_]:
        more: NDArray[np.bool_] = values[self.one].sum(axis=0) >= values[self.other].sum(axis=0)
        return more

    def _open(self, numbers: Numbers) -> NDArray[np.bool_]:
        """Members at a chord that are not decided."""
        if self.chord is None:
            return np.zeros(self.one.shape[1], dtype=np.bool_)
        undecided: NDArray[np.bool_] = (
            self.chord.at
            & (numbers.upper[self.one].sum(axis=0) > 0.0)
            & (numbers.upper[self.other].sum(axis=0) > 0.0)
        )
        return undecided

    def _decided(self, members: Ints, for_one: NDArray[np.bool_], numbers: Numbers) -> Restriction:
        one, other = self.one[:, members], self.other[:, members]
        columns = np.concatenate([one, other])
        kept = np.concatenate([np.broadcast_to(for_one, one.shape), np.broadcast_to(~for_one, other.shape)])
        cost = numbers.cost[columns]
        offset = 0.0
        if self.chord is not None:
            real = self._open(numbers)[members]
            cost[0] = np.where(real, self.chord.one[members], cost[0])
            cost[len(one)] = np.where(real, self.chord.other[members], cost[len(one)])
            offset = -float(self.chord.intercept[members][real].sum())
        return Restriction(
            columns.ravel(),
            numbers.lower[columns].ravel(),
            np.where(kept, numbers.upper[columns], 0.0).ravel(),
            cost.ravel(),
            offset,
        )
