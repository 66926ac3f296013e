"""Energy counters for devices that measure power only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from ores.model import Energy

_WH_PER_WS: Final = 1.0 / 3600.0


class _Counter(msgspec.Struct):
    in_wh: float
    out_wh: float
    power_w: float | None = None
    at_s: float = 0.0


class EnergyCounters:
    """Integrates power, by trapezoids between readings; while power is unknown, nothing is counted.

    Args:
        elements: Ids of those to count for.
        saved_wh: Energy in and out by element, of an earlier boot.
        counter_epoch: Changes whenever the counters may have gone backwards.
    """

    def __init__(
        self, elements: Iterable[str], saved_wh: Mapping[str, tuple[float, float]], counter_epoch: int
    ) -> None:
        self.counter_epoch: Final = counter_epoch
        self._counters = {name: _Counter(*saved_wh.get(name, (0.0, 0.0))) for name in elements}

    def __bool__(self) -> bool:
        return bool(self._counters)

    def count(self, element: str, power_w: float | None, now_s: float) -> Energy:
        """Take one reading and say what has been counted.

        Args:
            element: Which.
            power_w: Now, positive into the element; None where it is unknown.
            now_s: Process time; never before the reading before.
        """
        counter = self._counters[element]
        if power_w is not None and counter.power_w is not None:
            _add_trapezoid(counter, power_w, now_s - counter.at_s)
        counter.power_w, counter.at_s = power_w, now_s
        return Energy(
            energy_in_wh=counter.in_wh, energy_out_wh=counter.out_wh, counter_epoch=self.counter_epoch
        )

    def totals_wh(self) -> dict[str, tuple[float, float]]:
        """Energy in and out by element, to be kept."""
        return {name: (counter.in_wh, counter.out_wh) for name, counter in self._counters.items()}


def _add_trapezoid(counter: _Counter, power_w: float, dt_s: float) -> None:
    """Add what a straight line between two powers encloses, to each side of 0 its own."""
    before_w = counter.power_w or 0.0
    if before_w * power_w < 0:
        crossing_s = dt_s * before_w / (before_w - power_w)
        areas = (before_w * crossing_s / 2, power_w * (dt_s - crossing_s) / 2)
    else:
        areas = ((before_w + power_w) * dt_s / 2, 0.0)
    for area_ws in areas:
        if area_ws > 0:
            counter.in_wh += area_ws * _WH_PER_WS
        else:
            counter.out_wh -= area_ws * _WH_PER_WS
