"""Recorded homes: load and PV of each interval."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from ores.backtest.errors import BacktestError
from ores.backtest.tables import Ints, Table, read
from ores.ems.inputs import Floats

MOST_MISSING: Final = {"load": 0.2, "pv": 0.6}
"""Of a home's intervals; where more are unknown, a bill is mostly guessed. Some loggers sleep at night."""

_COLUMN = re.compile(r"(?:(?P<home>.+)_)?(?P<what>load|pv)_(?P<unit>kwh|wh|kw|w)")


@dataclass(frozen=True, slots=True)
class Recording:
    """What a home used and produced.

    Attributes:
        name: Of the home.
        start_s: Start of each interval in s since 1970, evenly spaced.
        utc: Whether these are UTC; otherwise the local clock, whose days have 24 hours all.
        hours: Length of an interval.
        load_kwh: Of each interval.
        pv_kwh: Of each interval; >= 0.
        filled: How many intervals were unknown, and took what was a day before.
    """

    name: str
    start_s: Ints
    utc: bool
    hours: float
    load_kwh: Floats
    pv_kwh: Floats
    filled: int


PLAN_STEP_S: Final = 900
"""A recording in finer steps begins and ends at a multiple of it."""


def coarser(home: Recording, times: int) -> Recording:
    """The same home in intervals so many times as long; as many as there are must be a multiple of it."""
    return replace(
        home,
        start_s=home.start_s[::times],
        hours=home.hours * times,
        load_kwh=home.load_kwh.reshape(-1, times).sum(axis=1),
        pv_kwh=home.pv_kwh.reshape(-1, times).sum(axis=1),
    )


def recordings(spec: str) -> list[Recording]:
    """The homes that a person means.

    Args:
        spec: `FILE`, or `FILE:h01,h05`.

    Raises:
        BacktestError: No such file, no such home, or times that are not evenly spaced.
    """
    path, _, names = spec.rpartition(":") if not Path(spec).exists() else (spec, "", "")
    if not path:
        path, names = spec, ""
    table = read(Path(path))
    found = _homes_of(table)
    if not found:
        raise BacktestError(
            "--homes", found=", ".join(table.columns), allowed="columns like h01_load_kwh, load_w, pv_kw"
        )
    wanted = [one for one in names.split(",") if one] or list(found)
    for name in wanted:
        if name not in found:
            raise BacktestError("--homes", found=name, allowed=f"of {path}: {', '.join(found)}")
    return [_recording(table, name, found[name]) for name in wanted]


def _homes_of(table: Table) -> dict[str, dict[str, tuple[str, str]]]:
    """Of each home with a load, the columns and their units."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for column in table.columns:
        parts = _COLUMN.fullmatch(column)
        if parts is not None:
            found.setdefault(parts["home"] or "home", {})[parts["what"]] = (column, parts["unit"])
    return {name: columns for name, columns in found.items() if "load" in columns}


def _recording(table: Table, name: str, columns: dict[str, tuple[str, str]]) -> Recording:
    step_s = _step_s(table)
    hours = step_s / 3600.0
    place = (table.start_s - table.start_s[0]) // step_s
    count = int(place[-1]) + 1
    energy: dict[str, Floats] = {}
    for what in ("load", "pv"):
        if what not in columns:
            energy[what] = np.zeros(count)
            continue
        column, unit = columns[what]
        scale = (0.001 if unit in {"w", "wh"} else 1.0) * (hours if unit in {"w", "kw"} else 1.0)
        energy[what] = np.full(count, np.nan)
        energy[what][place] = table.columns[column] * scale
    energy["pv"] = np.maximum(energy["pv"], 0.0)
    known = np.flatnonzero(~np.isnan(energy["load"]))
    if len(known) == 0:
        raise BacktestError(f"{table.path}: {name}", found="no known load", allowed="numbers")
    within = _trimmed(table.start_s[0], step_s, int(known[0]), int(known[-1]) + 1)
    load, pv = energy["load"][within], energy["pv"][within]
    for what, values in (("load", load), ("pv", pv)):
        missing = float(np.isnan(values).mean())
        if missing > MOST_MISSING[what]:
            found = f"{missing:.0%} of the intervals unknown"
            raise BacktestError(
                f"{table.path}: {name}, {what}", found=found, allowed=f"at most {MOST_MISSING[what]:.0%}"
            )
    filled = int((np.isnan(load) | np.isnan(pv)).sum())
    per_day = max(1, round(24.0 / hours))
    start_s = table.start_s[0] + step_s * np.arange(within.start, within.stop)
    return Recording(name, start_s, table.utc, hours, _filled(load, per_day), _filled(pv, per_day), filled)


def _trimmed(start_s: int, step_s: int, first: int, last: int) -> slice:
    """Whole planning intervals, where these are longer than those of the recording."""
    if PLAN_STEP_S % step_s:
        return slice(first, last)
    times = max(1, PLAN_STEP_S // step_s)
    first += int(-(start_s + first * step_s) % (step_s * times)) // step_s
    return slice(first, first + (last - first) // times * times)


def _filled(values: Floats, per_day: int) -> Floats:
    """What is not known is what it was at the same time of the last day that is known; at first, 0."""
    filled = values.copy()
    for at in np.flatnonzero(np.isnan(filled)).tolist():
        filled[at] = filled[at - per_day] if at >= per_day else 0.0
    return filled


def _step_s(table: Table) -> int:
    steps = np.diff(table.start_s)
    if len(steps) == 0 or (steps <= 0).any():
        at = int(np.argmax(steps <= 0)) + 1 if len(steps) else 0
        raise BacktestError(
            f"{table.path}: row {at}", found="a start not after the one before", allowed="rising starts"
        )
    step_s = int(np.median(steps))
    if (steps % step_s).any() or 86_400 % step_s:
        at = int(np.argmax(steps % step_s != 0)) + 1
        raise BacktestError(
            f"{table.path}: row {at}",
            found=f"{int(steps[at - 1])} s after the row before",
            allowed=f"multiples of {step_s} s",
        )
    return step_s
