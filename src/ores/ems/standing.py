"""A home as time goes on: told what has passed, asked what stored energy is worth in the next slots.

The hub's planner is this object and nothing more. It is the backtest's `Rolling`, by the wall's calendar.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ores import tariff
from ores.ems.forecast import OUTCOMES, Clock, Forecaster
from ores.ems.inputs import Battery, Floats
from ores.ems.rolling import HORIZON_H, Ints, Kept, Rolling
from ores.tariff.calendar import days_of, local
from ores.tariff.sofar import peak_kw

SLOT_S: Final = 900
"""Of plans; starts are multiples of it in s since 1970."""
_SLOT_H: Final = SLOT_S / 3600
_PER_DAY: Final = 86_400 // SLOT_S
_LENGTH: Final = _PER_DAY + round(HORIZON_H / _SLOT_H)
_BEGINNINGS: Final = 3
"""So often values are made at first: what is in store at the end is worth what the time before says."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot to come.

    Attributes:
        start_s: In s since 1970.
        kept: What acting in it takes.
        same_until_s: From when on a kWh costs something else; None where that is not seen.
    """

    start_s: int
    kept: Kept
    same_until_s: int | None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What is expected of slots to come, in kWh; NaN where nothing of the kind has been seen yet.

    Attributes:
        net_kwh: Load less PV, in the mean, shape (n,); never NaN.
        load_kwh: What the house uses without its stores: low, mean and high, shape (n, 3).
        pv_kwh: What the sun gives, >= 0; likewise.
    """

    net_kwh: Floats
    load_kwh: Floats
    pv_kwh: Floats


BAND: Final = np.array([0.1, 0.9])
"""Shares of futures below the low and the high of what is foreseen."""


class Standing:
    """What is known of a home, and what follows from it.

    Args:
        one: Its tariff; one that follows no series of prices.
        battery: All its stores together; the SoC is not asked.
        sells: Whether anything may be fed in; otherwise selling earns nothing.
    """

    def __init__(self, one: tariff.Tariff, battery: Battery, *, sells: bool = True) -> None:
        self.tariff = one
        self.sells = sells
        self._rolling = Rolling(battery, _PER_DAY)
        unseen = np.full(OUTCOMES, math.nan)
        self._load, self._pv = Forecaster(_PER_DAY, unseen), Forecaster(_PER_DAY, unseen)
        self._state = tariff.nothing_yet(one)
        self._observed_s = -1
        self._laid: tariff.Schedule | None = None
        self._known: tuple[object, ...] = ()

    def observe(
        self, start_s: Ints, net_kwh: Floats, bought_kwh: Floats, pv_kwh: Floats | None = None
    ) -> None:
        """Slots have passed; what has been observed already is left out.

        Args:
            start_s: Starts, rising, in s since 1970.
            net_kwh: Load less PV in each; NaN where it is unknown.
            bought_kwh: From the grid; NaN where it is unknown, which counts as nothing.
            pv_kwh: What the sun gave; NaN where it is unknown. For people: no value follows from it.
        """
        new = start_s > self._observed_s
        if not new.any():
            return
        pv_kwh = (np.full(len(new), math.nan) if pv_kwh is None else pv_kwh)[new]
        start_s, net_kwh, bought_kwh = start_s[new], net_kwh[new], bought_kwh[new]
        self._observed_s = int(start_s[-1])
        at = local(self.tariff.time_zone, start_s, self.tariff.holidays)
        slots = at.second // SLOT_S
        for day, slot, kind, net, pv in zip(
            at.day.tolist(), slots.tolist(), at.kind.tolist(), net_kwh.tolist(), pv_kwh.tolist(), strict=True
        ):
            off = kind >= 5
            if not math.isnan(net):
                self._rolling.observe(day, slot, off=off, net_kwh=net)
            if not math.isnan(net + pv):
                self._load.observe(day, slot, off=off, kwh=net + pv)
                self._pv.observe(day, slot, off=off, kwh=pv)
        if self.tariff.demand or self.tariff.tiers:
            laid = tariff.schedule(self.tariff, start_s.astype("datetime64[s]"), hours=_SLOT_H)
            bought = np.maximum(np.nan_to_num(bought_kwh, nan=0.0), 0.0)
            self._state = tariff.so_far(laid, bought, before=self._state)

    def slots(self, start_s: int, count: int) -> list[Slot]:
        """What is known of some slots, the first of which begins or runs now."""
        laid = self._renewed(start_s)
        first = (start_s - int(laid.start_s[0])) // SLOT_S
        return [
            Slot(
                start_s + number * SLOT_S,
                self._rolling.ahead(first + number).kept(),
                _same_until(laid, first + number),
            )
            for number in range(count)
        ]

    def foreseen(self, start_s: int, count: int) -> Foreseen:
        """What is expected of the same slots, seeing how the hours just passed were."""
        laid = self._renewed(start_s)
        first = (start_s - int(laid.start_s[0])) // SLOT_S
        coming = _clock(laid, slice(first, first + count))
        load, pv = _band(self._load, coming), _band(self._pv, coming)
        parts = load[:, 1] - pv[:, 1]  # a person adds them up
        net = self._rolling.net.forecast(coming, BAND).mean_kwh
        return Foreseen(np.where(np.isnan(parts), net, parts), load, pv)

    def _renewed(self, start_s: int) -> tariff.Schedule:
        """The tariff over what is planned; values are made anew when a day begins or a peak has risen."""
        day = int(local(self.tariff.time_zone, np.array([start_s])).day[0])
        peaks = zip(self.tariff.demand, self._state.peaks, strict=True)
        known = (day, *(round(peak_kw(*both), 6) for both in peaks))
        if self._laid is not None and known == self._known and start_s >= self._laid.start_s[0]:
            return self._laid
        starts = start_s + SLOT_S * np.arange(_LENGTH)
        laid = tariff.schedule(self.tariff, starts.astype("datetime64[s]"), hours=_SLOT_H)
        terms = tariff.terms_of(laid, self._state)
        if not self.sells:
            terms = _without_selling(terms)
        for _ in range(_BEGINNINGS if self._laid is None else 1):
            self._rolling.renew(terms, _clock(laid))
        self._laid, self._known = laid, known
        return laid


def _without_selling(terms: tariff.Terms) -> tariff.Terms:
    return replace(terms, export_per_kwh=np.minimum(terms.export_per_kwh, 0.0))


def _band(one: Forecaster, coming: Clock) -> Floats:
    made = one.forecast(coming, BAND)
    return np.column_stack([made.kwh[:, 0], made.mean_kwh, made.kwh[:, 1]])


def _clock(laid: tariff.Schedule, which: slice = slice(None)) -> Clock:
    at = laid.at
    day = at.day[which]
    lengths = np.array([days_of(period) for period in at.period[which].tolist()])
    days = day.astype("datetime64[D]")
    of_month = (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64)
    return Clock(day, at.second[which] // SLOT_S, at.kind[which] >= 5, lengths - of_month - 1)


def _same_until(laid: tariff.Schedule, at: int) -> int | None:
    other = np.flatnonzero(np.abs(laid.import_per_kwh[at:] - laid.import_per_kwh[at]) > 1e-9)
    return None if len(other) == 0 else int(laid.start_s[at + int(other[0])])
