"""The two counters of an element, repaired."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ores.adapters.counters import Counter, KeptEnergy
from ores.adapters.templates.expression import Expression, Values
from ores.adapters.templates.points import Point
from ores.model import Energy


class Counters:
    """Energy in and out of one element.

    Args:
        sums: By which the two are worked out; None where nothing counts that way.
        points: Of the template.
        rating_w: Of the element; None where it is not known.
    """

    def __init__(
        self,
        sums: tuple[Expression | None, Expression | None],
        points: Mapping[str, Point],
        rating_w: float | None,
    ) -> None:
        self._sums: Final = sums
        self._ranges: Final = [None if one is None else _wraps_at(one, points) for one in sums]
        counting = [points[one.text] for one in sums if one is not None and one.text in points]
        self._steps: Final = [point.scale for point in counting if not point.type.startswith("float")]
        self._counters: Final = [
            Counter(None, range_wh=range_wh, rating_w=rating_w) for range_wh in self._ranges
        ]
        self.epoch = 0

    @property
    def resolution_wh(self) -> float | None:
        """In which steps they count; None where that is not known."""
        return max(self._steps) if self._steps else None

    @property
    def kept(self) -> KeptEnergy:
        """What to remember over a restart."""
        return KeptEnergy([one.kept for one in self._counters], self.epoch)

    def remember(self, kept: KeptEnergy) -> None:
        """What was kept before a restart; to be called before anything is read."""
        for counter, one in zip(self._counters, kept.counters, strict=False):
            counter.kept = one
        self.epoch = kept.epoch

    def read(self, values: Values, utc_s: float) -> Energy:
        """The counters as they are told onwards.

        Args:
            values: As they were read.
            utc_s: Wall time of the reading.
        """
        told: list[float | None] = [None, None]
        for which, one in enumerate(self._sums):
            if one is None:
                continue
            counter = self._counters[which]
            told[which] = counter.take(one(values), utc_s, self.epoch, max(int(utc_s), self.epoch + 1))
            if counter.kept is not None:
                self.epoch = max(self.epoch, counter.kept.epoch)
        return Energy(energy_in_wh=told[0], energy_out_wh=told[1], counter_epoch=self.epoch)


def _wraps_at(one: Expression, points: Mapping[str, Point]) -> float | None:
    """Where a counter begins anew at 0; a sum of several has no such place."""
    point = points.get(one.text)
    return None if point is None else point.wraps_at
