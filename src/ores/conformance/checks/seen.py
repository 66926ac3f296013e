"""What the module has told of itself so far: every state of the transcript, in order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from ores.conformance.bench import Bench

Points = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One state.

    Attributes:
        at_s: Of its receipt, after the beginning of the judgement.
        state: As it came.
    """

    at_s: float
    state: Mapping[str, Any]

    @property
    def boot(self) -> Any:
        """Of which boot."""
        return self.state.get("boot_id")

    @property
    def uptime_s(self) -> float:
        """Of the module, in this boot; 0 where it tells none."""
        found = self.state.get("uptime_ms")
        return found / 1000 if isinstance(found, int | float) else 0.0

    @property
    def elements(self) -> Mapping[str, Points]:
        """What it says of each element."""
        found = self.state.get("elements")
        return found if isinstance(found, dict) else {}

    def points(self, element: str, capability: str) -> Points:
        """What it says of a capability; empty where it says nothing."""
        found = self.elements.get(element, {}).get(capability)
        return found if isinstance(found, dict) else {}


async def all_seen(bench: Bench) -> list[Seen]:
    """Every state so far, by boot and uptime; at least two."""
    await bench.state()
    if len(list(_states(bench))) < 2:
        await bench.next_state()
    return list(_states(bench))


def _states(bench: Bench) -> Iterator[Seen]:
    found = []
    for line in bench.transcript.lines:
        if line.by != "subject" or not isinstance(line.body, dict):
            continue
        state = line.body if line.what == "200 GET /state" else line.body.get("state")
        if isinstance(state, dict) and (line.what == "frame" or state is line.body):
            found.append(Seen(line.at_s, state))
    for _, boot in groupby(found, key=lambda seen: seen.boot):
        yield from sorted(boot, key=lambda seen: seen.uptime_s)


def steps(seen: list[Seen]) -> Iterator[tuple[Seen, Seen]]:
    """Each state with the one after it in the same boot."""
    return ((before, after) for before, after in pairwise(seen) if before.boot == after.boot)


def number(value: Any) -> float | None:
    """A number of a message; None for anything else, null included."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def flow_w(seen: Seen, element: str) -> float | None:
    """Power of an element, AC before DC, positive into it; None where it is unknown."""
    for capability in ("ac_measure", "dc_measure"):
        points = seen.points(element, capability)
        if points:
            return number(points.get("power_w"))
    return None
