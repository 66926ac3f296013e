"""Jobs: one start of an appliance that waits, and its run while leases come and go (section 5.6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, Final

from ores.conformance.bench import Bench, Element
from ores.conformance.check import Failed, NotApplicable, Section, need, not_applicable
from ores.conformance.checks.moving import declared, point
from ores.conformance.checks.requests import ask_for, refused_with, told
from ores.conformance.checks.seen import Seen, all_seen, flow_w, number
from ores.conformance.wire.caller import Answer

START_S: Final = 10.0
"""From an accepted start until it runs, where no response time is declared (JOB-004)."""
FAR_S: Final = 2.0
"""A time that is further away than this is over 0, whatever was rounded."""
LATE_S: Final = 3.0
"""By how much a job that starts itself may be late: grains of what it tells, and a period."""
PATIENCE_S: Final = 20.0
"""How long to wait for a job that is about to start by itself."""
WATCHED_S: Final = 3.0
"""The least time over which a remaining time can be seen to fall."""
MINUTE_S: Final = 60.0
LEASED: Final = ("limit", "setpoint", "switch", "mode")
ARM: Final = "load it, arm it at the device, and judge it again"

section: Section[Bench] = Section(
    "jobs",
    "Starts an appliance that is armed and waits, if there is one; it runs through after that.",
    begin=Bench.at_rest,
)
later: Section[Bench] = Section(
    "running jobs", "Looks at what has become of the appliances meanwhile.", begin=Bench.at_rest
)


@dataclass(frozen=True, slots=True)
class Started:
    """One start.

    Attributes:
        machine: Which appliance.
        first: The answer to `start`.
        second: The answer to the same, right behind it.
        at_s: When the first was answered.
        ran_s: Seconds from then until a state said that it runs; None: none did in time.
    """

    machine: Element
    first: Answer
    second: Answer
    at_s: float
    ran_s: float | None


async def started(bench: Bench) -> Started:
    """Start an appliance that waits and may begin, twice."""
    bench.some("job")
    state = await bench.state()
    waiting = [one for one in bench.having("job") if _phase(state, one) == "waiting"]
    ready = [one for one in waiting if not _wait_s(state, one) and _slack_s(state, one) > PATIENCE_S]
    if not ready:
        not_applicable(f"no appliance waits to be started: {ARM}")
    machine = ready[0]
    first = await ask_for(bench, "start", machine["id"])
    at_s = bench.elapsed_s
    second = await ask_for(bench, "start", machine["id"])
    try:
        await bench.next_state(
            lambda now: _phase(now, machine) == "running",
            timeout_s=_response_s(machine) + bench.period_s * 1.5 + 0.5,
        )
        ran_s: float | None = bench.elapsed_s - at_s
    except Failed:
        ran_s = None
    return Started(machine, first, second, at_s, ran_s)


async def running(bench: Bench) -> Started:
    """The same, for who needs a job that runs.

    Raises:
        NotApplicable: There is none.
    """
    found = await bench.once(started)
    if found.ran_s is None:
        not_applicable(f"{found.machine['id']} does not run; see job-start-runs")
    return found


def _response_s(machine: Element) -> float:
    return float(declared(machine, "job").get("response_s", START_S))


def _phase(state: Mapping[str, Any], machine: Element) -> Any:
    return point(state, machine["id"], "job", "phase")


def _wait_s(state: Mapping[str, Any], machine: Element) -> float:
    return number(point(state, machine["id"], "job", "earliest_start_in_s")) or 0.0


def _slack_s(state: Mapping[str, Any], machine: Element) -> float:
    """How long a job may still wait; endless where that is not known."""
    end_s = number(point(state, machine["id"], "job", "latest_end_in_s"))
    length_s = number(point(state, machine["id"], "job", "duration_s"))
    return float("inf") if end_s is None or length_s is None else end_s - length_s


@section.check("job-not-leased")
async def job_not_leased(bench: Bench) -> None:
    """JOB-007: what a lease can stop does not run through."""
    bench.some("job")
    for machine in bench.having("job"):
        found = [name for name in LEASED if name in machine["capabilities"]]
        need(not found, f"{machine['id']} has job and {', '.join(found)}; a job is not leased")


@section.check("job-start-not-before")
async def job_start_not_before(bench: Bench) -> None:
    """JOB-003: while `earliest_start_in_s` is over 0 a start is refused."""
    bench.some("job")
    state = await bench.state()
    early = [
        one for one in bench.having("job") if _phase(state, one) == "waiting" and _wait_s(state, one) > FAR_S
    ]
    if not early:
        not_applicable(f"no appliance waits for an earliest start: {ARM}, with a start that is not at once")
    for machine in early:
        answer = await ask_for(bench, "start", machine["id"])
        need(
            refused_with(answer) == "interlocked",
            f"start of {machine['id']} with earliest_start_in_s {_wait_s(state, machine):g} was answered "
            f"with {told(answer)}; refused interlocked is demanded",
        )


@section.check("job-start-runs", timed=True)
async def job_start_runs(bench: Bench) -> None:
    """JOB-004: an accepted start runs within the declared `response_s`, or 10 s."""
    found = await bench.once(started)
    name = found.machine["id"]
    need(
        found.first.status == 200 and found.first.json.get("result") == "accepted",
        f"start of {name}, which waits and may begin, was answered with {told(found.first)}; "
        "accepted is demanded",
    )
    need(
        found.ran_s is not None,
        f"start of {name} was accepted, and {_response_s(found.machine):g} s later its phase is "
        f"{_phase(await bench.state(), found.machine)}; running is demanded",
    )


@section.check("job-start-once")
async def job_start_once(bench: Bench) -> None:
    """JOB-005: a second start for the same arming is refused."""
    found = await bench.once(started)
    need(
        refused_with(found.second) is not None,
        f"the second start of {found.machine['id']} for one arming was answered with {told(found.second)}; "
        "refused is demanded",
    )


@section.check("job-start-only-armed")
async def job_start_only_armed(bench: Bench) -> None:
    """JOB-002: in every phase but `waiting` a start is refused."""
    bench.some("job")
    state = await bench.state()
    others = [one for one in bench.having("job") if _phase(state, one) not in {"waiting", None}]
    if not others:
        not_applicable("every appliance waits; a start in another phase cannot be tried")
    machine = others[0]
    answer = await ask_for(bench, "start", machine["id"])
    need(
        refused_with(answer) == "interlocked",
        f"start of {machine['id']}, whose phase is {_phase(state, machine)}, was answered with "
        f"{told(answer)}; refused interlocked is demanded",
    )


@later.check("job-has-an-end")
async def job_has_an_end(bench: Bench) -> None:
    """JOB-008: `latest_end_in_s` is known while the phase is `waiting`, in every state so far."""
    waited = False
    bench.some("job")
    for machine, seen, job in await _jobs(bench):
        waited = waited or job.get("phase") == "waiting"
        need(
            job.get("phase") != "waiting" or number(job.get("latest_end_in_s")) is not None,
            f"in the state at {seen.at_s:.1f} s {machine['id']} waits, and its latest_end_in_s is "
            f"{job.get('latest_end_in_s')}: a job must not wait for ever",
        )
    if not waited:
        not_applicable(f"no appliance has waited: {ARM}")


@later.check("job-starts-itself", timed=True)
async def job_starts_itself(bench: Bench) -> None:
    """JOB-009: who waits and is not started begins in time for its `latest_end_in_s`."""
    bench.some("job")
    if not await _began_by_itself(bench):
        state = await bench.next_state()
        waiting = [one for one in bench.having("job") if _phase(state, one) == "waiting"]
        soon_s = [slack_s for one in waiting if (slack_s := _slack_s(state, one)) < PATIENCE_S]
        if soon_s:
            await bench.pause(max(0.0, *soon_s) + LATE_S)
            await bench.next_state()
        if not await _began_by_itself(bench):
            not_applicable(f"no appliance had to start by itself: {ARM}, to end as early as it can")


async def _began_by_itself(bench: Bench) -> bool:
    """Whether a job has begun that the kit did not start.

    Raises:
        Failed: One still waits, and it is too late.
    """
    by_kit, begun = await _by_kit(bench), False
    before: dict[tuple[Any, str], Any] = {}
    for machine, seen, job in await _jobs(bench):
        key, phase = (seen.boot, machine["id"]), job.get("phase")
        begun = begun or ((before.get(key), phase) == ("waiting", "running") and machine["id"] != by_kit)
        before[key] = phase
        need(
            phase != "waiting" or _slack_s(seen.state, machine) > -LATE_S,
            f"in the state at {seen.at_s:.1f} s {machine['id']} still waits, with latest_end_in_s "
            f"{job.get('latest_end_in_s')} and duration_s {job.get('duration_s')}: it has not begun in time",
        )
    return begun


async def _by_kit(bench: Bench) -> str | None:
    """Which appliance the kit has started."""
    try:
        return str((await bench.once(started)).machine["id"])
    except (Failed, NotApplicable):
        return None


async def _jobs(bench: Bench) -> list[tuple[Element, Seen, Mapping[str, Any]]]:
    """Each appliance in each state so far."""
    return [
        (machine, seen, seen.points(machine["id"], "job"))
        for seen in await all_seen(bench)
        for machine in bench.having("job")
    ]


@later.check("job-runs-through")
async def job_runs_through(bench: Bench) -> None:
    """JOB-006: it runs on whatever becomes of leases, streams and hubs."""
    found = await running(bench)
    name = found.machine["id"]
    await _silence(bench, found.at_s)
    ran: Seen | None = None
    for seen in await all_seen(bench):
        phase = _phase(seen.state, found.machine)
        if ran is not None and seen.boot == ran.boot:
            left_s = (number(point(ran.state, name, "job", "duration_s")) or 0.0) - (
                seen.uptime_s - ran.uptime_s
            )
            need(
                phase in {"running", None} or (phase == "done" and left_s <= MINUTE_S),
                f"{name} ran, and at {seen.at_s:.1f} s its phase is {phase}, {left_s:.0f} s before its end: "
                "what becomes of leases and streams stops no job",
            )
            if phase == "done":
                return
        elif phase == "running" and seen.at_s >= found.at_s:
            ran = seen


async def _silence(bench: Bench, since_s: float) -> None:
    """A lease ends and the stream is gone for a moment, unless that has happened since."""
    unleased = [seen for seen in await all_seen(bench) if seen.at_s > since_s and not seen.state.get("lease")]
    if not unleased:
        await bench.give({}, ttl_s=0.5)
        await bench.close_stream()
        await bench.pause(1.0)
        await bench.next_state()


@later.check("job-counts-down")
async def job_counts_down(bench: Bench) -> None:
    """JOB-010: `duration_s` and `energy_wh` are what is still to come."""
    bench.some("job")
    watched = False
    for machine in bench.having("job"):
        for run in _runs(await all_seen(bench), machine):
            lasted_s = run[-1].uptime_s - run[0].uptime_s
            if lasted_s < WATCHED_S:
                continue
            watched = True
            taken_wh = sum(
                (flow_w(before, machine["id"]) or 0.0) * (after.uptime_s - before.uptime_s) / 3600
                for before, after in pairwise(run)
            )
            for field, gone in (("duration_s", lasted_s), ("energy_wh", taken_wh)):
                values = [number(seen.points(machine["id"], "job").get(field)) for seen in run]
                known = [value for value in values if value is not None]
                fell = known[0] - known[-1] if known else 0.0
                need(
                    not known or fell >= gone / 2 - _grain(known),
                    f"{machine['id']} ran for {lasted_s:.1f} s and took {taken_wh:.1f} Wh; its {field} went "
                    f"from {known[:1]} to {known[-1:]}, and is to be what is still to come",
                )
    if not watched:
        not_applicable(f"no appliance was seen to run for {WATCHED_S:g} s: {ARM}")


def _runs(states: Sequence[Seen], machine: Element) -> Iterator[list[Seen]]:
    """States in which a job runs, as long as nothing was reckoned anew: then its remaining time rises."""
    for (_, runs), group in groupby(
        states, lambda seen: (seen.boot, _phase(seen.state, machine) == "running")
    ):
        part: list[Seen] = []
        for seen in group if runs else ():
            left_s = number(point(seen.state, machine["id"], "job", "duration_s"))
            before_s = number(point(part[-1].state, machine["id"], "job", "duration_s")) if part else None
            if left_s is not None and before_s is not None and left_s > before_s:
                yield part
                part = []
            part.append(seen)
        if part:
            yield part


def _grain(values: Sequence[float]) -> float:
    """How coarsely something is told: in minutes, in tens, or finer."""
    return next(
        grain for grain in (MINUTE_S, 10.0, 1.0) if grain == 1.0 or all(one % grain == 0 for one in values)
    )
