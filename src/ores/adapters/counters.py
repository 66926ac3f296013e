"""Energy counters of foreign devices, which wrap, fall, leap and begin anew.

What is told onwards never falls (CAP-003). A fall of a counter that was near its end is a wrap, and goes on.
Any other fall or leap is not believed at once: most are a register that was read wrong. One that stays is a
counter that has begun anew, and gets a new epoch (CAP-004).
"""

from __future__ import annotations

from typing import Final

import msgspec

SURE_AFTER: Final = 3
"""Readings that agree, before a counter is taken to have begun anew."""
WRAP_SHARE: Final = 0.01
"""Of its range: so near to its end a counter was, and so near to its beginning it is, when it has wrapped."""
LEAP_SHARE: Final = 2.0
"""Times what the rating gives in the time since: more has not flowed."""
ENERGY_MAX_WH: Final = 1e12
"""More no message may carry."""
LEAST_LEAP_WH: Final = 1000.0
"""Counters with coarse steps move in leaps."""


class Kept(msgspec.Struct, frozen=True):
    """What a counter has to remember, over a restart too.

    Attributes:
        raw_wh: As the device gave it last.
        offset_wh: Added for the wraps so far.
        at_s: When, in s of the clock that is used.
        epoch: Of what is told; another one when the counter has begun anew.
    """

    raw_wh: float
    offset_wh: float
    at_s: float
    epoch: int


class KeptEnergy(msgspec.Struct, frozen=True):
    """What the two counters of an element, in and out, have to remember over a restart.

    Attributes:
        counters: In, and out; None for one that has counted nothing yet.
        epoch: Of what is told of both.
    """

    counters: list[Kept | None]
    epoch: int


class Counter:
    """One counter of a device.

    Args:
        kept: From before; None for one that is seen for the first time.
        range_wh: At which it wraps to 0; None where it does not.
        rating_w: Of the element; None where it is not known.
    """

    def __init__(self, kept: Kept | None = None, *, range_wh: float | None, rating_w: float | None) -> None:
        self.kept = kept
        self._range_wh: Final = range_wh
        self._rating_w: Final = rating_w
        self._doubtful: list[float] = []

    def take(self, raw_wh: float | None, now_s: float, epoch: int, fresh_epoch: int) -> float | None:
        """Take one reading, and say how much has flowed.

        Args:
            raw_wh: As the device gives it; None where that is not known.
            now_s: Of the same clock as what was kept.
            epoch: Of what has been told so far.
            fresh_epoch: A number that no epoch had before.

        Returns:
            What to tell, in Wh; None while nothing has been counted yet, or it is not known.
        """
        if raw_wh is None or not 0 <= raw_wh < min(ENERGY_MAX_WH, self._range_wh or ENERGY_MAX_WH):
            return None
        kept = self.kept
        if kept is None:
            self.kept = kept = Kept(raw_wh, 0.0, now_s, epoch)
        elif self._follows(kept, raw_wh, now_s):
            self.kept = kept = Kept(raw_wh, kept.offset_wh, now_s, kept.epoch)
            self._doubtful.clear()
        elif self._has_wrapped(kept, raw_wh):
            offset_wh = kept.offset_wh + (self._range_wh or 0.0)
            self.kept = kept = Kept(raw_wh, offset_wh, now_s, kept.epoch)
            self._doubtful.clear()
        else:
            self._doubt(raw_wh)
            if len(self._doubtful) == SURE_AFTER:
                self.kept = kept = Kept(raw_wh, 0.0, now_s, fresh_epoch)
                self._doubtful.clear()
        told_wh = kept.raw_wh + kept.offset_wh
        return told_wh if told_wh <= ENERGY_MAX_WH else None

    def _follows(self, kept: Kept, raw_wh: float, now_s: float) -> bool:
        risen_wh = raw_wh - kept.raw_wh
        if self._rating_w is None:
            return risen_wh >= 0
        most_wh = LEAP_SHARE * self._rating_w * max(0.0, now_s - kept.at_s) / 3600.0
        return 0 <= risen_wh <= most_wh + LEAST_LEAP_WH

    def _has_wrapped(self, kept: Kept, raw_wh: float) -> bool:
        if self._range_wh is None:
            return False
        near_wh = WRAP_SHARE * self._range_wh
        return kept.raw_wh >= self._range_wh - near_wh and raw_wh <= near_wh

    def _doubt(self, raw_wh: float) -> None:
        """One more reading that does not follow; those before it count only where it follows them."""
        if self._doubtful and raw_wh < self._doubtful[-1]:
            self._doubtful.clear()
        self._doubtful.append(raw_wh)
