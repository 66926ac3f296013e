"""What the hub has recorded (section 6.10): of a lamp with steps of power, and of a module that was silent.

A hub may record once in 10 s, and choose its steps; so values are judged by what held while a step lasted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final
from urllib.parse import quote

from ores.conformance.check import Section, fail, need, short
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import live, troubles
from ores.conformance.hubs.parts import Json

RECORD_S: Final = 10.0
LATE_S: Final = 2.0
"""From a module's change to the hub's knowing it, and for clocks that tell whole seconds."""
HOUR_S: Final = 3600.0
POINTS: Final = 600
POWER: Final = "lamp.ac_measure.power_w"
COUNTER: Final = "lamp.energy.energy_in_wh"

section: Section[HubBench] = Section("history", "Asks for the last minutes.", begin=live.ready)


@dataclass(frozen=True)
class Asked:
    """An answer, by the judgement's own time.

    Attributes:
        start_s: Of its first step.
        step_s: Length of each.
        series: By name.
        span_s: What was asked for.
        points: The same.
        raw: As it came.
    """

    start_s: float
    step_s: float
    series: dict[str, Json]
    span_s: tuple[float, float]
    points: int
    raw: Json

    def steps(self, name: str, of: str = "mean") -> Iterator[tuple[float, float, float | None]]:
        """Beginning, end and value of each step."""
        for number, value in enumerate(self.series[name].get(of, [])):
            at_s = self.start_s + number * self.step_s
            yield at_s, at_s + self.step_s, value


async def zero(bench: HubBench) -> datetime:
    """When the judgement began, by the hub's clock."""
    now = (await bench.owner.get("/status"))["time"]
    return datetime.fromisoformat(now) - timedelta(seconds=bench.elapsed_s)


async def ask(
    bench: HubBench, names: Iterable[str], start_s: float, end_s: float, points: int = POINTS
) -> Asked:
    """Ask for series.

    Raises:
        Failed: Not answered, or not for all names.
    """
    began = await bench.once(zero)
    start, end = (
        (began + timedelta(seconds=at_s)).astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for at_s in (start_s, end_s)
    )
    wanted = list(names)
    query = f"series={quote(','.join(wanted), safe=',/')}&start={start}&end={end}&max_points={points}"
    raw = await bench.owner.get(f"/history?{query}")
    series = raw.get("series", {})
    for name in wanted:
        need(name in series, f"GET /history was asked for {name}; it gave {short(list(series))}")
        need(isinstance(series[name].get("mean"), list), f"{name} has mean {short(series[name].get('mean'))}")
    first = datetime.fromisoformat(raw["start"])
    span_s = tuple((datetime.fromisoformat(at) - began).total_seconds() for at in (start, end))
    return Asked(
        (first - began).total_seconds(),
        float(raw["step_s"]),
        series,
        (span_s[0], span_s[1]),
        points,
        raw,
    )


@dataclass(frozen=True)
class Told:
    """The lamp's past, asked for in several ways.

    Attributes:
        steps: What it reported.
        fine: The last half minute in as many steps as the hub likes.
        tens: The same, in steps of 10 s or more.
        hours: An hour more, in three steps.
    """

    lamp: troubles.Steps
    fine: Asked
    tens: Asked
    hours: Asked

    def name(self, series: str) -> str:
        """A series of the lamp."""
        return f"{self.lamp.player.id}/{series}"

    def reported(self, start_s: float, end_s: float, at: int = 2) -> set[float]:
        """What the lamp may have been known to report within a time; `at` 3 is the counter."""
        return {
            steps[at]
            for steps in self.lamp.plateaus
            if steps[0] < end_s + LATE_S and steps[1] > start_s - LATE_S
        }

    def surely(self, start_s: float, end_s: float, at: int = 2) -> list[float]:
        """What held so long within a time that it was recorded."""
        return [
            steps[at]
            for steps in self.lamp.plateaus
            if min(steps[1], end_s) - max(steps[0], start_s) > RECORD_S + LATE_S / 2
        ]

    def inside(self, start_s: float, end_s: float) -> bool:
        """Whether the lamp reported all the time."""
        return self.lamp.plateaus[0][0] + LATE_S < start_s and end_s < self.lamp.plateaus[-1][1]


async def told(bench: HubBench) -> Told:
    """Ask."""
    lamp = await bench.once(troubles.steps)
    await bench.pause(max(0.0, lamp.plateaus[-1][1] + 1.0 - bench.elapsed_s))
    start_s, end_s = lamp.plateaus[0][0], lamp.plateaus[-1][1]
    names = [f"{lamp.player.id}/{series}" for series in (POWER, COUNTER)]
    tens = int((end_s - start_s) / RECORD_S) + 2
    return Told(
        lamp,
        await ask(bench, [*numbers(lamp, bench), "flow.grid_w", "flow.load_w"], start_s, end_s),
        await ask(bench, names, start_s, end_s, tens),
        await ask(bench, names, start_s - HOUR_S, end_s, 3),
    )


def numbers(lamp: troubles.Steps, bench: HubBench) -> list[str]:
    """The series of all numbers that the lamp reports."""
    found: list[str] = []
    state = lamp.part.state(bench.house)
    for capability in ("ac_measure", "energy"):
        for point, value in state[capability].items():
            if isinstance(value, int | float):
                found.append(f"lamp.{capability}.{point}")
    for conductor, points in state["ac_measure"]["terminals"].items():
        found += [f"lamp.ac_measure.{conductor.lower()}_{point}" for point in points]
    return [f"{lamp.player.id}/{name}" for name in found]


@section.check("hub-history-records")
async def hub_history_records(bench: HubBench) -> None:
    """HIST-001: every number, at least every 10 s while it is known."""
    found = await bench.once(told)
    for name in numbers(found.lamp, bench):
        need_no_hole(found.fine, name, found.inside)
    stream = await bench.stream()
    unknown_s = [
        at_s
        for at_s, frame in stream.frames
        if "live" in frame and frame["live"]["flow"].get("grid_w") is None
    ]
    for name in ("flow.grid_w", "flow.load_w"):
        need_no_hole(
            found.fine,
            name,
            lambda start_s, end_s: (
                found.inside(start_s, end_s)
                and not any(start_s - LATE_S < at_s < end_s + LATE_S for at_s in unknown_s)
            ),
            load=name == "flow.load_w",
        )


def need_no_hole(asked: Asked, name: str, known: Any, *, load: bool = False) -> None:
    """No time longer than the hub may take between two records is without a value.

    Raises:
        Failed: There is one.
    """
    if load:  # what other parts do to it is not looked at here
        need(
            any(value is not None for _, _, value in asked.steps(name)),
            f"{name} was known, and the history holds nothing of it",
        )
        return
    steps = [step for step in asked.steps(name) if known(step[0], step[1])]
    for empty, group in groupby(steps, key=lambda step: step[2] is None):
        run = list(group)
        if empty:
            length_s = run[-1][1] - run[0][0]
            need(
                length_s <= RECORD_S + LATE_S,
                f"{name} was known, and the history has nothing of it for {length_s:.0f} s; "
                f"a value at least every {RECORD_S:g} s is demanded",
            )


@section.check("hub-history-steps-placed")
async def hub_history_steps_placed(bench: HubBench) -> None:
    """HIST-002: a chart has to know where to draw it."""
    found = await bench.once(told)
    judged = 0
    for asked in (found.fine, found.tens):
        for start_s, end_s, value in asked.steps(found.name(POWER)):
            if value is None or not found.inside(start_s, end_s):
                continue
            may = found.reported(start_s, end_s)
            judged += len(may) == 1
            need(
                min(may) - 1e-6 <= value <= max(may) + 1e-6,
                f"the step from {start_s:.0f} s to {end_s:.0f} s has mean {value}; "
                f"the module reported {sorted(may)} W then",
            )
    need(judged, "no step of the history lies within a time in which the module reported one value")


@section.check("hub-history-steps")
async def hub_history_steps(bench: HubBench) -> None:
    """HIST-003: all of one length, over all that was asked for, and no more than asked for."""
    found = await bench.once(told)
    for asked in (found.fine, found.tens, found.hours):
        lengths = {len(values) for one in asked.series.values() for values in _lists(one)}
        need(
            len(lengths) == 1,
            f"the series of one answer have {sorted(lengths)} values; one number is demanded",
        )
        count = lengths.pop()
        need(0 < count <= asked.points, f"max_points {asked.points}: the answer has {count} steps")
        end_s = asked.start_s + count * asked.step_s
        need(
            asked.start_s <= asked.span_s[0] + 1e-3 and end_s >= asked.span_s[1] - 1e-3,
            f"asked for {asked.span_s[1] - asked.span_s[0]:.0f} s; the steps begin "
            f"{asked.start_s - asked.span_s[0]:.1f} s after its start and end "
            f"{end_s - asked.span_s[1]:.1f} s after its end; they are to cover it",
        )


def _lists(one: Json) -> Iterator[list[Any]]:
    for name in ("mean", "min", "max"):
        if name in one:
            yield one[name]


@section.check("hub-history-gaps")
async def hub_history_gaps(bench: HubBench) -> None:
    """HIST-004: null, and not 0, the value before, or a line between neighbours."""
    silent = await bench.once(troubles.silence)
    name = f"{silent.player.id}/silent.ac_measure.power_w"
    from_s, to_s = silent.began_s + LATE_S, silent.back_s - LATE_S / 2
    asked = await ask(bench, [name], silent.last_s - 4.0, silent.back_s + 4.0)
    judged = 0
    for start_s, end_s, value in asked.steps(name):
        if start_s >= from_s and end_s <= to_s:
            judged += 1
            need(value is None, f"a module was silent, and the history has {value} for it; null is demanded")
    need(
        judged,
        f"{to_s - from_s:.0f} s of silence, asked for with max_points {POINTS}, lie in no step of their own: "
        f"step_s is {asked.step_s:g}",
    )


@section.check("hub-history-mean-min-max")
async def hub_history_mean_min_max(bench: HubBench) -> None:
    """HIST-005: of what was recorded in the step."""
    found = await bench.once(told)
    name = found.name(POWER)
    for asked in (found.fine, found.tens, found.hours):
        least, most = (list(asked.steps(name, of)) for of in ("min", "max"))
        means = list(asked.steps(name))
        need(len(least) == len(most) == len(means), f"{name} has mean, and no min or max of as many steps")
        for (start_s, end_s, mean), (_, _, low), (_, _, high) in zip(means, least, most, strict=True):
            if mean is None or start_s > found.lamp.plateaus[-1][1] - LATE_S:
                continue
            if low is None or high is None:
                fail(f"a step of {name} has mean {mean}, min {low} and max {high}")
            surely = found.surely(start_s, end_s)
            may = found.reported(start_s, end_s)
            need(
                low in may and high in may and low <= mean <= high,
                f"a step of {asked.step_s:g} s has mean {mean}, min {low}, max {high}; "
                f"the module reported {sorted(may)} W then",
            )
            if surely:
                need(
                    low <= min(surely) and high >= max(surely),
                    f"a step of {asked.step_s:g} s has min {low} and max {high}; for more than "
                    f"{RECORD_S:g} s of it each the module reported {sorted(surely)} W",
                )
            if len(surely) > 1:
                need(
                    low < mean < high,
                    f"a step in which the module reported {sorted(surely)} W for long has mean {mean}, "
                    f"min {low}, max {high}",
                )


@section.check("hub-history-counter")
async def hub_history_counter(bench: HubBench) -> None:
    """HIST-006: the last reading, and nothing else."""
    found = await bench.once(told)
    name = found.name(COUNTER)
    for asked in (found.fine, found.tens, found.hours):
        for of in ("min", "max"):
            need(of not in asked.series[name], f"a series of an energy counter has {of}; it has only mean")
        for start_s, end_s, value in asked.steps(name):
            if value is None or start_s > found.lamp.plateaus[-1][1] - LATE_S:
                continue
            last_s = min(end_s, found.lamp.plateaus[-1][1])
            may = found.reported(max(start_s, last_s - RECORD_S), last_s, 3)
            need(
                value in may,
                f"a step of an energy counter has {value}; its last readings were {sorted(may)} Wh",
            )


@section.check("hub-history-names")
async def hub_history_names(bench: HubBench) -> None:
    """HIST-007: an app cannot guess what is in the house."""
    found = await bench.once(told)
    listed = set((await bench.owner.get("/history/series"))["series"])
    for name in found.fine.series:
        if any(value is not None for _, _, value in found.fine.steps(name)):
            need(name in listed, f"{name} holds values, and GET /history/series does not name it")


@section.check("hub-history-nothing-known")
async def hub_history_nothing_known(bench: HubBench) -> None:
    """HIST-008: nulls, and no error."""
    found = await bench.once(told)
    strange = f"{'a' * 26}/battery.ac_measure.power_w"
    week_s = 7 * 24 * HOUR_S
    for name, start_s in ((strange, bench.elapsed_s - 60), (found.name(POWER), bench.elapsed_s - week_s)):
        asked = await ask(bench, [name], start_s, start_s + 60, 30)
        values = [value for _, _, value in asked.steps(name)]
        need(
            values and all(value is None for value in values),
            f"a series that holds nothing has {short(values)}; nulls are demanded",
        )
