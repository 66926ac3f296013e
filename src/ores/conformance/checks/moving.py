"""What the checks share that move power: which element, how much, how long to wait, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Failed, not_applicable

NOISE_W = 25.0
"""What standby, meters' grain and a busy home may add to a power that is to be zero."""
SETTLE_S = 1.0
"""Beyond the declared response time: until a state tells."""
ODD = 0.987
"""Makes no round number of a power, so that a coarser step than declared shows."""
UNDECLARED_RESPONSE_S = 5.0
"""How long a limit may take where no response time is declared (as for a generator's limit, ENA G100)."""


def power_w(state: Mapping[str, Any], element: str) -> float | None:
    """The measured power of an element, positive into it; None where it measures none, or does not know."""
    points = state.get("elements", {}).get(element, {})
    for capability in ("ac_measure", "dc_measure"):
        found = points.get(capability, {}).get("power_w")
        if found is not None:
            return float(found)
    return None


def point(state: Mapping[str, Any], element: str, capability: str, name: str) -> Any:
    """One point of a state; None where it is missing."""
    return state.get("elements", {}).get(element, {}).get(capability, {}).get(name)


def declared(element: Element, capability: str) -> Mapping[str, Any]:
    """What the description says of a capability."""
    found: Mapping[str, Any] = element["capabilities"].get(capability, {})
    return found


def response_s(element: Element) -> float:
    """How long a change may take to be seen at the terminals."""
    return float(declared(element, "setpoint").get("response_s", UNDECLARED_RESPONSE_S))


def tolerance_w(element: Element, wanted_w: float) -> float:
    """How far a measured power may be from what was asked: the declared accuracy, the step, 5 % and noise."""
    accuracy = float(declared(element, "ac_measure").get("accuracy_pct", 2))
    step_w = float(declared(element, "setpoint").get("step_w", 0))
    return NOISE_W + step_w + abs(wanted_w) * max(accuracy, 5.0) / 100


@dataclass(frozen=True, slots=True)
class Move:
    """A set-point that an element can follow now.

    Attributes:
        element: Whose.
        power_w: Positive into it; a multiple of its step.
    """

    element: Element
    power_w: float

    @property
    def id(self) -> str:
        """Of the element."""
        return str(self.element["id"])


async def a_move(bench: Bench) -> Move:
    """A set-point within what the element offers now and what the person allows.

    Raises:
        NotApplicable: No element follows set-points, or none can follow one now.
    """
    elements = bench.having("setpoint")
    if not elements:
        not_applicable("no element follows set-points")
    state = await bench.state()
    for element in elements:
        for sign, name in ((1.0, "consume_max_w"), (-1.0, "produce_max_w")):
            possible_w = point(state, element["id"], "setpoint", name)
            largest_w = min(float(possible_w or 0), float(declared(element, "setpoint").get(name, 0)))
            found_w = _whole_steps(element, min(largest_w * 0.6, bench.options.power_max_w) * ODD)
            if found_w > max(2 * NOISE_W, float(declared(element, "setpoint").get("consume_min_w", 0))):
                return Move(element, sign * found_w)
    return not_applicable("no element can follow a set-point now: its range is 0 in both directions")


def _whole_steps(element: Element, wanted_w: float) -> float:
    step_w = float(declared(element, "setpoint").get("step_w", 0)) or 1.0
    return wanted_w // step_w * step_w


async def reached(
    bench: Bench, wanted: Callable[[Mapping[str, Any]], object], within_s: float, what: str
) -> Mapping[str, Any]:
    """The first state from now on in which something is so.

    Raises:
        Failed: It was not so in time; the message ends with the newest state's power.
    """
    return await bench.next_state(
        wanted, timeout_s=within_s + SETTLE_S + bench.period_s, what=f"a state in which {what}"
    )


async def stays(
    bench: Bench, wanted: Callable[[Mapping[str, Any]], object], length_s: float, what: str
) -> None:
    """Something is so in every state for so long.

    Raises:
        Failed: It ceased.
    """
    stream = await bench.stream()
    begun = len(stream.states)
    await bench.pause(length_s)
    for at_s, state in stream.states[begun:]:
        if not wanted(state):
            raise Failed(f"at {at_s:.1f} s it was no longer so that {what}")
