"""The two counters of an element, repaired."""

from __future__ import annotations

from typing import Final

from ores.adapters.counters import Counter, Kept
from ores.adapters.sunspec.points import Values
from ores.model import Energy


class Counters:
    """Energy in and out of one element.

    Args:
        in_name: Point that counts what flows in; empty where nothing does.
        out_name: The same for what flows out.
        rating_w: Of the element; None where it is not known.
        epoch: To begin with.
    """

    def __init__(self, in_name: str, out_name: str, rating_w: float | None, epoch: int = 0) -> None:
        self.names: Final = (in_name, out_name)
        self._rating_w: Final = rating_w
        self._counters: list[Counter | None] = [None, None]
        self._kept: list[Kept | None] = [None, None]
        self.epoch = epoch

    @property
    def kept(self) -> list[Kept | None]:
        """What to remember over a restart."""
        now = [None if one is None else one.kept for one in self._counters]
        return [was if is_ is None else is_ for was, is_ in zip(self._kept, now, strict=True)]

    def remember(self, kept: list[Kept | None], epoch: int) -> None:
        """What was kept before a restart; to be called before anything is read."""
        self._kept, self.epoch = kept, epoch

    def read(self, values: Values, utc_s: float) -> Energy:
        """The counters as they are told onwards.

        Args:
            values: With the two points.
            utc_s: Wall time.
        """
        told: list[float | None] = [None, None]
        for which, name in enumerate(self.names):
            if name and name in values:
                told[which] = self._one(which, values, name, utc_s)
        return Energy(energy_in_wh=told[0], energy_out_wh=told[1], counter_epoch=self.epoch)

    def _one(self, which: int, values: Values, name: str, utc_s: float) -> float | None:
        counter = self._counters[which]
        raw_wh = values.number(name)
        if counter is None:
            if raw_wh is None:
                return None
            counter = Counter(self._kept[which], range_wh=values.range(name), rating_w=self._rating_w)
            self._counters[which] = counter
        told_wh = counter.take(raw_wh, utc_s, self.epoch, max(int(utc_s), self.epoch + 1))
        if counter.kept is not None:
            self.epoch = max(self.epoch, counter.kept.epoch)
        return told_wh
