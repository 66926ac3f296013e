"""Modules whose states tell something else than what is so."""

from __future__ import annotations

import math
from typing import Any

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.module.module import Module

Json = Any
LEAPS_AT_MS = 7000
LEAP_MS = 3500


@broken("state-echoes-lease", variant="seq")
def names_another_seq(seams: Seams) -> None:
    """It counts the leases itself."""

    def change(state: Json) -> Json:
        lease = state.get("lease")
        if lease is None or lease["expires_in_s"] > 1.0 or lease["seq"] < 1:
            return state
        return {**state, "lease": {**lease, "seq": lease["seq"] - 1}}

    seams.on_state(change)


@broken(
    "state-echoes-lease",
    variant="after",
    also=(
        "tie-open-holds",
        "tie-unmoved-by-silence",
        "tie-permit-is-no-order",
        "island-forming-not-limited",
    ),
)
def names_a_short_lease_for_long(seams: Seams) -> None:
    """What it has obeyed last stays there until the next, where it was short."""
    last: dict[Any, Any] = {}

    def frame(found: Json) -> Json:
        state = found.get("state")
        if state is None:
            return found
        if "lease" in state:
            named = state["lease"]
            if last.get("seq") != named["seq"]:
                last.clear()
                last.update(named)
            return found
        if last.get("expires_in_s", 9) > 1:
            return found
        named = {**last, "expires_in_s": 0}
        return {**found, "state": {**state, "lease": named, "control_source": "lease"}}

    seams.frames.append(frame)


@broken("state-control-source")
def says_policy_always(seams: Seams) -> None:
    """A lease is a sort of policy, too."""
    seams.on_state(lambda state: {**state, "control_source": "policy"})


@broken("state-control-source", variant="word")
def says_hub(seams: Seams) -> None:
    """It has a word of its own."""
    seams.on_state(
        lambda state: {**state, "control_source": "hub"} if state["control_source"] == "lease" else state
    )


@broken("uptime-monotonic", variant="back", also=("job-runs-through", "counter-monotonic"))
def goes_back_now_and_then(seams: Seams) -> None:
    """Its clock is set by the hour, and a little wrong in between."""
    states: list[bool] = []

    def frame(found: Json) -> Json:
        if "state" not in found:
            return found
        states.append(True)
        if len(states) % 20:
            return found
        uptime_ms = max(0, found["state"]["uptime_ms"] - 2200)
        return {**found, "state": {**found["state"], "uptime_ms": uptime_ms}}

    seams.frames.append(frame)


@broken("uptime-monotonic", variant="jump")
def leaps_ahead_once(seams: Seams) -> None:
    """It has heard of the time from outside, and sets the clock that it counts by."""
    right = Module._uptime_ms  # noqa: SLF001 - the mutation's place

    def leaping(self: Module, now_s: float) -> int:
        found = right(self, now_s)
        return found if found < LEAPS_AT_MS else found + LEAP_MS

    seams.attribute(Module, "_uptime_ms", leaping)


@broken("state-time-synchronised")
def tells_the_time_of_another_place(seams: Seams) -> None:
    """It takes the local time for UTC."""

    def change(state: Json) -> Json:
        hour = (int(state["time"][11:13]) + 2) % 24
        return {**state, "time": f"{state['time'][:11]}{hour:02}{state['time'][13:]}"}

    seams.on_state(change)


@broken("state-complete", also=("state-has-declared-capabilities",))
def leaves_out_what_has_not_changed(seams: Seams) -> None:
    """Bytes are dear, and the string is much as it was."""
    last: list[float] = [math.nan]

    def change(state: Json) -> Json:
        power_w = state["elements"].get("string", {}).get("dc_measure", {}).get("power_w")
        if power_w is None or power_w != last[0]:
            last[:] = [math.nan if power_w is None else power_w]
            return state
        rest = {name: found for name, found in state["elements"].items() if name != "string"}
        return {**state, "elements": rest}

    seams.on_state(change)
