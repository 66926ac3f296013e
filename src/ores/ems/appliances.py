"""Appliances: started once, at the beginning of one interval, and run through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.ems.branch import SEEN, Restriction
from ores.ems.exact import Choice
from ores.ems.inputs import Appliance, Floats, InputError, flags, scalar
from ores.ems.sheet import Ints, Numbers, Sheet
from ores.ems.weights import RUN, TIE

_WHOLE = 1e-5
"""How far a share may be from 1 by rounding."""


class Run:
    """One appliance: a share of it starts in each interval, or not at all; all shares but one are 0."""

    def __init__(self, sheet: Sheet, balance: Ints, appliance: Appliance, hours: Floats, name: str) -> None:
        self.name = name
        count = len(hours)
        self.shape = energy_by_start(appliance, hours, name)
        self.energy = float(np.sum(appliance.profile_kw) * appliance.step_h)
        self.fits = self.shape.sum(axis=1) >= self.energy - SEEN
        self.starts = sheet.columns(count)
        self.skipped = sheet.columns(1)
        self.one = sheet.columns(1)
        self.row = sheet.rows(1)
        self.options = np.append(self.starts, self.skipped)
        sheet.put(np.repeat(self.row, count + 1), self.options, 1.0)
        sheet.put(self.row, self.one, -1.0)
        start, interval = np.nonzero(self.shape)
        sheet.put(balance[interval], self.starts[start], -self.shape[start, interval])

    def fill(self, appliance: Appliance, numbers: Numbers) -> Floats:
        """Bounds and costs; returns the most that it can consume in each interval, in kWh."""
        may = flags(appliance.may_start, len(self.starts), f"{self.name}.may_start") & self.fits
        numbers.upper[self.starts] = may
        # of equal plans the one that starts first
        numbers.cost[self.starts] = TIE * self.energy * np.linspace(0.0, 1.0, len(self.starts))
        numbers.upper[self.skipped] = 1.0
        numbers.cost[self.skipped] = RUN * self.energy
        numbers.lower[self.one] = numbers.upper[self.one] = 1.0
        most: Floats = (self.shape * may[:, None]).max(axis=0)
        return most

    def offences(self, values: Floats, numbers: Numbers) -> Floats:
        """What is not in the largest share."""
        del numbers
        return np.array([(1.0 - values[self.options].max()) * self.energy])

    def halves(self, member: int, values: Floats, numbers: Numbers) -> tuple[Restriction, Restriction]:
        """Earlier or later, where half of it has started; a start that is whole, or any other."""
        del member
        shares = values[self.options]
        best = int(np.argmax(shares))
        if shares[best] >= 1.0 - _WHOLE:
            alone = np.arange(len(shares)) == best
            return self._kept(alone, numbers), self._kept(~alone, numbers)
        reached = np.cumsum(shares)
        taken = np.flatnonzero(shares > SEEN)
        cut = int(np.clip(np.searchsorted(reached, 0.5) + 1, taken[0] + 1, taken[-1]))
        early = np.arange(len(shares)) < cut
        halves = self._kept(early, numbers), self._kept(~early, numbers)
        return halves if shares[early].sum() >= 0.5 else halves[::-1]

    def rounded(self, values: Floats, numbers: Numbers) -> Restriction | None:
        """The largest share."""
        if self.offences(values, numbers)[0] <= SEEN:
            return None
        best = int(np.argmax(values[self.options]))
        return self._kept(np.arange(len(self.options)) == best, numbers)

    def plain(self, numbers: Numbers) -> Restriction | None:
        """Costs are real."""
        del numbers
        return None

    def broken(self, values: Floats) -> NDArray[np.bool_]:
        """Started in parts."""
        return np.array([values[self.options].max() < 1.0 - _WHOLE])

    def choice(self, member: int) -> Choice:
        """Each start is whole."""
        del member
        return Choice(whole=self.options)

    def _kept(self, kept: NDArray[np.bool_], numbers: Numbers) -> Restriction:
        options = self.options
        upper = np.where(kept, numbers.upper[options], 0.0)
        return Restriction(options, numbers.lower[options], upper, numbers.cost[options])

    def started(self, values: Floats) -> int | None:
        """The interval at whose beginning it starts; None where it does not."""
        best = int(np.argmax(values[self.options]))
        return best if best < len(self.starts) else None

    def power(self, values: Floats, hours: Floats) -> Floats:
        """Mean of each interval, in kW."""
        drawn: Floats = values[self.starts] @ self.shape / hours
        return drawn


def energy_by_start(appliance: Appliance, hours: Floats, name: str) -> Floats:
    """Energy in each interval, in kWh, for a start at the beginning of each; shape (starts, intervals)."""
    profile = np.asarray(appliance.profile_kw, dtype=np.float64)
    step = scalar(appliance.step_h, f"{name}.step_h", 1e-6)
    if profile.ndim != 1 or len(profile) == 0:
        raise InputError(f"{name}.profile_kw", f"of shape {profile.shape}", "a value for each step")
    for number, power in enumerate(profile):
        scalar(float(power), f"{name}.profile_kw[{number}]", 0.0)
    ends = np.append(0.0, np.cumsum(hours))
    used = np.append(0.0, np.cumsum(profile * step))
    # energy used until the end of each interval, were it started at the beginning of each
    since = ends[None, :] - ends[:-1, None]
    until = np.interp(since, np.arange(len(used)) * step, used)
    energy: Floats = np.diff(until, axis=1)
    energy[np.abs(energy) < 1e-12] = 0.0
    return energy
