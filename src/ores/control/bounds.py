"""What is allowed: the bounds of all offers, intersected downwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import NamedTuple

from ores.control.offers import Bound, Offer


class Bounds:
    """All bounds on one subject, by direction. Unsigned; soc is a lower bound."""

    __slots__ = ("consume", "current", "directions", "produce", "soc")

    def __init__(self) -> None:
        self.consume: list[Bound] = []
        self.produce: list[Bound] = []
        self.current: list[Bound] = []
        self.soc: list[Bound] = []
        # In the order of `offers.DIRECTIONS`.
        self.directions = (self.consume, self.produce, self.current, self.soc)


class Asked(NamedTuple):
    """What all offers together ask: bounds by subject, and the strongest wish of each kind by subject."""

    bounds: dict[str, Bounds]
    power: dict[str, Offer]
    closed: dict[str, Offer]
    mode: dict[str, Offer]

    def on(self, *subjects: str) -> Sequence[Bounds]:
        """The bounds on each of these subjects that has any; mostly there are none."""
        bounds = self.bounds
        for subject in subjects:
            if subject in bounds:
                return [bounds[subject] for subject in subjects if subject in bounds]
        return ()


NONE = Bounds()


def strictest(bounds: list[Bound]) -> Bound | None:
    """The bound with the smallest value; of equals, the strongest."""
    if len(bounds) < 2:
        return bounds[0] if bounds else None
    return min(bounds, key=lambda bound: (bound.value, bound.rank))


def limit_of(bounds: list[Bound]) -> float:
    """The value that all of these bounds leave, infinity where there is none."""
    if not bounds:
        return inf
    return min([bound.value for bound in bounds])


def sources_below(bounds: list[Bound], value: float) -> list[str]:
    """Sources whose bound is narrower than a value, strongest first."""
    return [bound.source for bound in sorted(bounds) if bound.value < value] if bounds else []


def gather(offers: Iterable[Offer], now_s: float, suspended: frozenset[int]) -> Asked:
    """Merge the offers that are alive.

    A weaker offer can only add bounds, and bounds only narrow; a wish yields to any stronger wish.

    Args:
        offers: In any order; of equals, the first wins.
        now_s: Process time; what has expired is left out.
        suspended: Ranks that do not count now, such as grid obligations on an island.
    """
    asked = Asked({}, {}, {}, {})
    for offer in offers:
        if offer.expires_at_s <= now_s or offer.rank in suspended:
            continue
        if offer.narrows:
            found = asked.bounds.get(offer.subject)
            if found is None:
                found = asked.bounds[offer.subject] = Bounds()
            for direction, bound in offer.narrows:
                found.directions[direction].append(bound)
        if offer.power_w is not None:
            _wish(asked.power, offer)
        if offer.closed is not None:
            _wish(asked.closed, offer)
        if offer.mode is not None:
            _wish(asked.mode, offer)
    return asked


def _wish(wishes: dict[str, Offer], offer: Offer) -> None:
    other = wishes.get(offer.subject)
    if other is None or offer.rank < other.rank:
        wishes[offer.subject] = offer
