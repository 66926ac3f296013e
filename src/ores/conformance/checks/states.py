"""What a state says of time, of the lease in force, and of who decides (section 4.7)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need, not_applicable, short
from ores.conformance.transcript import Line

LEAP_MS = 1500
SEVERAL = 4
APART_MS = 300
"""Two streams of one peer may overtake each other."""
DRIFT = 0.005
CLOCK_S = 60.0
SOURCES = frozenset({"lease", "policy", "local", "protection"})
TAKEN_OVER = frozenset({"local", "protection"})
SHORT_S = 1.0
END_LATE_S = 1.0
POINTS = frozenset({
    "ac_measure", "dc_measure", "energy", "limit", "setpoint", "produce", "storage", "switch", "isolate",
    "form_grid", "mode", "thermal", "ev", "job", "hazard",
})  # fmt: skip
"""Capabilities of which a state always tells something (section 3.5)."""


section: Section[Bench] = Section(
    "states", "Gives one short lease, and reads once more all the states so far.", begin=Bench.described
)


@section.check("state-echoes-lease", timed=True)
async def state_echoes_lease(bench: Bench) -> None:
    """STREAM-009: by epoch and seq while it is in force, and not a moment longer than it may last."""
    for _ in range(2):
        await bench.give({}, ttl_s=SHORT_S)
        found = (await bench.get("/state")).get("lease") or {}
        need(
            (found.get("epoch"), found.get("seq")) == (bench.epoch, bench.seq),
            f"lease {bench.epoch}/{bench.seq} is in force, and the state names {short(found)}",
        )
    await bench.next_state(
        lambda state: "lease" not in state,
        timeout_s=SHORT_S + END_LATE_S + 1.5 * bench.period_s,
        what=f"a state without `lease`, after one of {SHORT_S:g} s,",
    )


@section.check("state-control-source")
async def state_control_source(bench: Bench) -> None:
    """STREAM-010: `lease` while one is in force, `policy` while none is, unless somebody has taken over."""
    judged = 0
    for line, state in _states(bench):
        source, named = state.get("control_source"), "lease" in state
        need(
            source in SOURCES,
            f"the state at {line.at_s:.1f} s has the control_source {source!r}; {', '.join(sorted(SOURCES))} "
            "are there",
        )
        need(
            source in TAKEN_OVER or source == ("lease" if named else "policy"),
            f"the state at {line.at_s:.1f} s names {'a lease' if named else 'no lease'}, and its "
            f"control_source is {source}",
        )
        judged += source not in TAKEN_OVER
    if not judged:
        not_applicable("all the time somebody at the device, or its protection, decided")


@section.check("uptime-monotonic")
async def uptime_monotonic(bench: Bench) -> None:
    """STREAM-006: it never goes back, and runs as fast as the kit's own clock."""
    boots: dict[Any, list[tuple[float, int]]] = {}
    for line, state in _states(bench):
        if line.what == "frame":
            found = boots.setdefault(state.get("boot_id"), [])
            found.append((line.at_s * 1000, state.get("uptime_ms", 0)))
    for states in boots.values():
        for (_, old), (_, new) in pairwise(states):
            need(
                new >= old - APART_MS,
                f"uptime_ms went back from {old} to {new} between two states of one boot",
            )
        drift_ms = _worst_leap_ms([at_ms - uptime_ms for at_ms, uptime_ms in states])
        allowed_ms = LEAP_MS + DRIFT * (states[-1][0] - states[0][0])
        need(
            abs(drift_ms) <= allowed_ms,
            f"in one boot uptime_ms moved by {-drift_ms:.0f} ms against the kit's clock; it may not jump",
        )


def _worst_leap_ms(behind_ms: list[float]) -> float:
    """The farthest that the kit's clock moves against uptime; 0 where there are too few states to tell.

    A state may be late on its way, but never early: the least of several shows how the clocks stand.
    """
    leaps = [
        min(behind_ms[at : at + SEVERAL]) - min(behind_ms[at - SEVERAL : at])
        for at in range(SEVERAL, len(behind_ms) - SEVERAL + 1)
    ]
    return max(leaps, key=abs, default=0.0)


@section.check("state-time-synchronised")
async def state_time_synchronised(bench: Bench) -> None:
    """STREAM-007: a wrong time is worse than none; the kit takes its own for right."""
    now, elapsed_s = datetime.now(UTC), bench.elapsed_s
    told = [(line, state["time"]) for line, state in _states(bench) if "time" in state]
    if not told:
        not_applicable("the module tells no time")
    for line, text in told:
        try:
            found = datetime.fromisoformat(text)
        except (TypeError, ValueError):
            need(False, f"the time {text!r} cannot be read")
        off_s = (found - now).total_seconds() + (elapsed_s - line.at_s)
        need(
            abs(off_s) <= CLOCK_S,
            f"a state says that it is {text}, which is {off_s:.0f} s off the kit's own clock; a time that is "
            "not synchronised is not to be told",
        )


@section.check("state-complete")
async def state_complete(bench: Bench) -> None:
    """STREAM-008: nobody need put a picture together from pieces."""
    wanted = {
        element["id"] for element in bench.elements if POINTS.intersection(element.get("capabilities", {}))
    }
    for line, state in _states(bench):
        missing = sorted(wanted - set(state.get("elements", {})))
        need(
            not missing,
            f"the state at {line.at_s:.1f} s lacks {', '.join(missing)}; each state holds every element that "
            "has anything to report",
        )


def _states(bench: Bench) -> Iterator[tuple[Line, Mapping[str, Any]]]:
    """All states so far, in the order of their receipt, each with its line of the transcript."""
    for line in bench.transcript.lines:
        if line.by != "subject" or not isinstance(line.body, dict):
            continue
        state = line.body if line.what == "200 GET /state" else None
        if line.what == "frame":
            state = line.body.get("state")
        if isinstance(state, dict):
            yield line, state
