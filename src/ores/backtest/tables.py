"""Reads tables with a column of times: Parquet or CSV, one value for each evenly spaced interval."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ores.backtest.errors import BacktestError
from ores.ems.inputs import Floats

Ints = NDArray[np.int64]
_TIMES = ("start_utc", "start_local", "start", "time", "timestamp", "datetime", "date")


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of numbers, with the start of each row.

    Attributes:
        path: Where it was read.
        start_s: Of each row, rising; in s since 1970 of UTC, or of the local clock.
        utc: Whether the starts are UTC; otherwise they are what the wall clock showed.
        columns: By name; NaN where nothing is known.
    """

    path: Path
    start_s: Ints
    utc: bool
    columns: dict[str, Floats]


def read(path: Path, *, only: dict[str, str] | None = None) -> Table:
    """Read a file.

    Args:
        path: `.parquet` or `.csv`. Times label the start of an interval. A column `start_utc`, or one with a
            time zone, is UTC; any other column of times is the local clock.
        only: Rows to keep: the text of a column, by its name.

    Raises:
        BacktestError: It cannot be read.
    """
    if not path.is_file():
        raise BacktestError(str(path), found="no such file", allowed="a .parquet or .csv file")
    kind = path.suffix.lower()
    if kind == ".parquet":
        return _parquet(path, only or {})
    if kind == ".csv":
        return _csv(path, only or {})
    raise BacktestError(str(path), found=kind or "no suffix", allowed=".parquet or .csv")


def _parquet(path: Path, only: dict[str, str]) -> Table:
    try:
        import pyarrow as pa  # noqa: PLC0415  (an extra: only who reads Parquet needs it)
        import pyarrow.compute as pc  # noqa: PLC0415
        import pyarrow.parquet as pq  # noqa: PLC0415
    except ImportError:
        raise BacktestError(
            str(path), found="no reader for Parquet", allowed="pip install 'ores-energy[backtest]'"
        ) from None
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise BacktestError(str(path), found=str(error).splitlines()[0], allowed="a Parquet file") from None
    for name, wanted in only.items():
        if name in table.column_names:
            table = table.filter(pc.equal(pc.cast(table[name], pa.string()), wanted))
    found = {field.name: field.type for field in table.schema if pa.types.is_timestamp(field.type)}
    name = _time_column(path, list(found))
    utc = found[name].tz is not None or name == "start_utc"
    starts = table[name].cast(pa.timestamp("s", tz=found[name].tz), safe=False).cast(pa.int64()).to_numpy()
    columns = {
        field.name: table[field.name].cast(pa.float64()).to_numpy()
        for field in table.schema
        if pa.types.is_floating(field.type) or pa.types.is_integer(field.type)
    }
    return Table(path, starts.astype(np.int64), utc, columns)


def _csv(path: Path, only: dict[str, str]) -> Table:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        names = list(reader.fieldnames or [])
        rows = [row for row in reader if all(row.get(name, text) == text for name, text in only.items())]
    name = _time_column(path, [one for one in names if one.lower() in _TIMES or one.startswith("start")])
    try:
        stamps = np.array([row[name].removesuffix("Z") for row in rows], dtype="datetime64[s]")
    except ValueError as error:
        raise BacktestError(f"{path}: {name}", found=str(error), allowed="2026-01-31T12:15:00 …") from None
    utc = name == "start_utc" or (bool(rows) and rows[0][name].endswith("Z"))
    columns = {one: _numbers([row[one] for row in rows]) for one in names if one != name}
    return Table(path, stamps.astype(np.int64), utc, {one: v for one, v in columns.items() if v is not None})


def _numbers(texts: list[str]) -> Floats | None:
    """A column of numbers; None where it is one of words. What is empty is not known."""
    try:
        return np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        return None


def _time_column(path: Path, found: list[str]) -> str:
    for name in _TIMES:
        if name in found:
            return name
    if len(found) == 1:
        return found[0]
    raise BacktestError(
        str(path), found=", ".join(found) or "no column of times", allowed=f"one of {', '.join(_TIMES)}"
    )
