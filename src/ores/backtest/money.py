"""A tariff over the intervals of a recording, with the series of prices that it follows.

A recording by the local clock has days of 24 hours only, so prices by the clock are read by its own clock.
Prices of another year than the recording's are taken from its nearest day of the same month and weekday, by
the local clock: that keeps what a price depends on (season, day of the week, hour), not the weather.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ores import tariff
from ores.backtest.errors import BacktestError
from ores.backtest.homes import Recording
from ores.backtest.tables import Table, read
from ores.ems.inputs import Floats
from ores.tariff.calendar import local

_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Source:
    """Where a series of prices is.

    Attributes:
        path: The file.
        column: Of it; None where it has only one.
    """

    path: Path
    column: str | None


def find_tariff(spec: str, zone: str | None) -> tuple[tariff.Tariff, Path]:
    """The tariff that a person means by `FILE:ID`, or by `FILE` with only one.

    Raises:
        BacktestError: No such file or tariff.
        TariffError: The file is not as it must be.
    """
    path, _, wanted = spec.rpartition(":") if not Path(spec).exists() else (spec, "", "")
    file = Path(path or spec)
    if not file.is_file():
        raise BacktestError("--tariff", found=spec, allowed="FILE.json:ID")
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise BacktestError(str(file), found=str(error), allowed="JSON") from None
    found = tariff.tariffs(document, zone=zone)
    if not wanted and len(found) == 1:
        return next(iter(found.values())), file
    if wanted not in found:
        raise BacktestError("--tariff", found=wanted or "no id", allowed=f"FILE:ID with {', '.join(found)}")
    return found[wanted], file


def sources(one: tariff.Tariff, file: Path, given: dict[str, Source]) -> dict[str, Source]:
    """Where each series of a tariff is: as given, or where its file says, beside it or one folder up.

    Raises:
        BacktestError: One is nowhere.
    """
    found: dict[str, Source] = {}
    for series in one.series:
        if series.name in given:
            found[series.name] = given[series.name]
            continue
        places = [file.parent / series.file, file.parent.parent / series.file] if series.file else []
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise BacktestError(
                "--prices", found=series.file or "nothing", allowed=f"{series.name}=FILE:COLUMN"
            )
        found[series.name] = Source(path, series.column)
    return found


def lay(
    one: tariff.Tariff, home: Recording, given: dict[str, Source], zone: str | None = None
) -> tuple[tariff.Schedule, list[str]]:
    """The tariff over the intervals of a home, and what a reader of the figures has to know.

    Raises:
        BacktestError: A series is missing or has no price.
        TariffError: The tariff cannot be laid.
    """
    notes: list[str] = []
    clock = one if home.utc else replace(one, time_zone="UTC")  # its own clock, whose days all have 24 h
    prices: dict[str, tariff.PriceSeries] = {}
    for name, source in given.items():
        table = read(source.path, only={"zone": zone} if zone else None)
        per_kwh = _column(table, source)
        prices[name], told = _mapped(name, table, per_kwh, one.time_zone, home)
        notes += told
    starts = home.start_s.astype("datetime64[s]")
    return tariff.schedule(clock, starts, hours=home.hours, prices=prices), notes


def _column(table: Table, source: Source) -> Floats:
    if source.column is None and len(table.columns) == 1:
        return next(iter(table.columns.values()))
    if source.column not in table.columns:
        raise BacktestError(
            f"--prices {source.path}", found=source.column or "no column", allowed=", ".join(table.columns)
        )
    return table.columns[source.column]


def _mapped(
    name: str, table: Table, per_kwh: Floats, zone: str, home: Recording
) -> tuple[tariff.PriceSeries, list[str]]:
    """The series at the instants of the home."""
    if (np.diff(table.start_s) <= 0).any():
        raise BacktestError(f"{table.path}", found="starts that do not rise", allowed="one zone: --zone")
    at = local(zone if table.utc else "UTC", table.start_s)
    step_s = int(np.median(np.diff(table.start_s)))
    days: dict[int, Floats] = {}
    for day, second, price in zip(at.day.tolist(), at.second.tolist(), per_kwh.tolist(), strict=True):
        if day not in days:
            days[day] = np.full(_DAY_S // step_s, np.nan)
        days[day][second // step_s] = price
    by_kind: dict[tuple[int, int], list[int]] = defaultdict(list)
    for day in days:
        by_kind[_kind(day)].append(day)
    pieces = max(1, round(home.hours * 3600) // step_s)
    piece_s = round(home.hours * 3600) // pieces
    instants = (home.start_s[:, None] + piece_s * np.arange(pieces)).ravel()
    mine = local(zone if home.utc else "UTC", instants)
    chosen: dict[int, Floats] = {}
    moved = 0
    for day in np.unique(mine.day).tolist():
        whole = day in days and not np.isnan(days[day]).any()
        moved += not whole
        chosen[day] = days[day] if whole else _like(day, days, by_kind[_kind(day)])
    values = np.array(
        [
            chosen[day][second // step_s]
            for day, second in zip(mine.day.tolist(), mine.second.tolist(), strict=True)
        ]
    )
    if np.isnan(values).any():
        when = np.datetime64(int(instants[np.argmax(np.isnan(values))]), "s")
        raise BacktestError(f"{table.path}", found=f"no price for {when}", allowed="prices of all months")
    told = (
        f"prices of {name!r} from {table.path.name}: {moved} of {len(chosen)} days of the recording are not"
        " in it, or not whole, and take those of the nearest day of the same month and weekday"
    )
    starts = instants.astype("datetime64[s]")
    return tariff.PriceSeries.of(starts, values, hours=piece_s / 3600.0), [told] if moved else []


def _kind(day: int) -> tuple[int, int]:
    month = int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64)) % 12
    return month, (day + 3) % 7


def _like(day: int, days: dict[int, Floats], candidates: list[int]) -> Floats:
    """Slot by slot, the nearest day of the same kind that has a price there."""
    found = days[day].copy() if day in days else np.full_like(next(iter(days.values())), np.nan)

    def near(other: int) -> tuple[bool, int, int]:
        years = abs(round((other - day) / 365.25))
        return bool(np.isnan(days[other]).any()), years, abs(_of_month(other) - _of_month(day))

    for other in sorted(candidates, key=near):
        found = np.where(np.isnan(found), days[other], found)
        if not np.isnan(found).any():
            break
    return found


def _of_month(day: int) -> int:
    stamp = np.datetime64(day, "D")
    return int((stamp - stamp.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64))


def bill(laid: tariff.Schedule, grid_kwh: Floats) -> tariff.Bill:
    """What these intervals cost.

    Args:
        laid: The tariff over them.
        grid_kwh: At the meter, positive import.
    """
    grid = np.where(np.abs(grid_kwh) < 1e-9, 0.0, grid_kwh)
    return tariff.bill_of(laid, np.maximum(grid, 0.0), np.maximum(-grid, 0.0))
