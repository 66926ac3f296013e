"""Limits as the means to see what a lease does: they bind everywhere, and move the least."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Failed, short

ACT_S = 1.0
"""From the receipt of a lease until it is acted on (LEASE-012)."""
LATE_S = 0.4
"""For the way there and back, on a machine that has other things to do."""
WAYS = {"consume": "consume_max_w", "produce": "produce_max_w", "current": "current_max_a"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit that can be narrowed.

    Attributes:
        id: Of the element.
        way: Name of the limit.
        rating: In W, or A.
        free: What holds without a lease; > 0.
    """

    id: str
    way: str
    rating: float
    free: float

    @property
    def narrow(self) -> float:
        """Half of what holds without a lease."""
        return self.free / 2

    def command(self, value: float) -> dict[str, Any]:
        """What a lease says to set it."""
        return {self.id: {"limit": {self.way: value}}}

    def of(self, state: Mapping[str, Any]) -> float | None:
        """What a state says is in force."""
        found = state.get("elements", {}).get(self.id, {}).get("limit", {}).get(self.way)
        return None if found is None else float(found)

    def holds(self, state: Mapping[str, Any]) -> bool:
        """Whether the half is in force, or less."""
        found = self.of(state)
        return found is not None and found <= self.narrow + 0.001

    def is_free(self, state: Mapping[str, Any]) -> bool:
        """Whether it is not."""
        return not self.holds(state)


def limits_now(bench: Bench, state: Mapping[str, Any]) -> list[Limit]:
    """The limits that can be narrowed, each element's first, from a state that no lease has narrowed."""
    found = []
    for element in bench.having("limit"):
        able, rating = element["capabilities"]["limit"], element["capabilities"].get("rating", {})
        for word, way in WAYS.items():
            limit = Limit(element["id"], way, float(rating.get(way, 0)), 0.0)
            free = limit.of(state) or 0.0
            if able.get(word) is True and way in rating and free > 1:
                found.append(Limit(limit.id, way, limit.rating, free))
                break
    return found


async def acted(bench: Bench, wanted: Callable[[Mapping[str, Any]], bool], what: str) -> Mapping[str, Any]:
    """The first state in which something is so, within the time in which a lease is acted on.

    Raises:
        Failed: It was not so in time.
    """
    deadline_s = bench.elapsed_s + ACT_S + LATE_S
    while True:
        state: Mapping[str, Any] = await bench.get("/state")
        if wanted(state):
            return state
        if bench.elapsed_s >= deadline_s:
            limits = {name: points.get("limit") for name, points in state.get("elements", {}).items()}
            raise Failed(f"{ACT_S:g} s after its lease it is not so that {what}; in force is {short(limits)}")
        await bench.pause(0.1)
