"""Does a meter show import as positive? Its two counters know: the one that rises says which way it flows."""

from __future__ import annotations

from typing import Final

from ores.model import Energy

ENOUGH_WH: Final = 100.0
"""Net, by the counters, before anything is said: far more than the steps in which they count."""
AGREES_SHARE: Final = 0.5
"""Of that so much must have flowed by the power shown, to say that it is the same flow seen the other way."""
GAP_MAX_S: Final = 60.0
"""Between two readings that are farther apart nobody knows what flowed."""


class SignWatch:
    """Compares power with counters; both after all that a person has said of them."""

    def __init__(self) -> None:
        self.contradicts = False
        self._last: tuple[float, float, float] | None = None
        self._shown_wh = 0.0
        self._counted_wh = 0.0

    def look(self, power_w: float | None, energy: Energy, utc_s: float) -> bool:
        """Take a reading; whether the last clear comparison said that power has the wrong sign.

        Args:
            power_w: Positive into the element; None where it is not known.
            energy: Its counters.
            utc_s: Wall time of the reading.
        """
        in_wh, out_wh = energy.energy_in_wh, energy.energy_out_wh
        if power_w is None or in_wh is None or out_wh is None:
            self._last = None
            return self.contradicts
        net_wh = in_wh - out_wh
        if self._last is not None and 0 < utc_s - self._last[0] <= GAP_MAX_S:
            before_s, before_w, before_wh = self._last
            self._shown_wh += (before_w + power_w) / 2 * (utc_s - before_s) / 3600.0
            self._counted_wh += net_wh - before_wh
        else:
            self._shown_wh = self._counted_wh = 0.0
        self._last = (utc_s, power_w, net_wh)
        if abs(self._counted_wh) >= ENOUGH_WH:
            opposite = self._shown_wh * self._counted_wh < 0
            self.contradicts = opposite and abs(self._shown_wh) >= AGREES_SHARE * abs(self._counted_wh)
            self._shown_wh = self._counted_wh = 0.0
        return self.contradicts
