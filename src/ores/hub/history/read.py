"""Reading rows and buckets out of the file, with what is still in memory laid over it. Functions of a
connection; no state.

Three layers, the later winning where they have a row for the same moment: packed days, open rows, pending
rows. A day whose raw rows retention has dropped is read from its roll-ups alone.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import chain, pairwise

import msgspec
import numpy as np

from ores.hub.history import pack
from ores.hub.history.pack import Column
from ores.hub.history.pending import Chunk
from ores.hub.history.rollup import (
    EPOCH_FIRST,
    EPOCH_LAST,
    MINUTE_S,
    START,
    Buckets,
    coarsen,
    epoch_name,
    is_counter,
    summarise_counter,
    summarise_gauge,
)
from ores.hub.history.store import DAY_MS, HOUR_MS

Rows = tuple[list[int], list[Column]]
"""Times in ms, ascending, and columns of as many values."""

Pieces = dict[str, list[Buckets]]
"""What was found so far of each series, in time order."""


class Module(msgspec.Struct):
    """A module as seen in one read transaction.

    Args:
        db: The connection; `None` if there is no file, or the module is only in memory yet.
        n: Its number.
        series: The numbers of its series.
        pending: Its rows that are not, or not known to be, in the file.
    """

    db: sqlite3.Connection | None
    n: int
    series: dict[str, int]
    pending: list[Chunk]

    def execute(self, query: str, arguments: Sequence[int | None]) -> sqlite3.Cursor:
        """Ask the file; only where there is one."""
        if self.db is None:
            raise AssertionError("asked a file that is not there")
        return self.db.execute(query, arguments)

    def pending_times(self, start_ms: int, end_ms: int) -> list[int]:
        """Times of the rows not yet in the file, in ms, in the order of recording."""
        return [t for chunk in self.pending for row in chunk.rows if start_ms <= (t := row[0]) < end_ms]


def find_module(db: sqlite3.Connection | None, module_id: str, pending: list[Chunk]) -> Module:
    """Look a module up by its id."""
    found = None if db is None else db.execute("SELECT n FROM module WHERE id = ?", (module_id,)).fetchone()
    if db is None or found is None:
        return Module(None, 0, {}, pending)
    series = db.execute("SELECT name, n FROM series WHERE module = ?", found).fetchall()
    return Module(db, found[0], dict(series), pending)


def read_rows(module: Module, names: Sequence[str], start_ms: int, end_ms: int) -> Rows:
    """Every tick of a module, as recorded.

    Returns:
        Times in ms, ascending, and a column per name: `None` where unknown or not recorded.
    """
    parts: list[Rows] = []
    if module.db is not None:
        parts.extend(_packed_rows(module, names, start_ms, end_ms))
        parts.append(_open_rows(module, names, start_ms, end_ms))
    parts.append(_pending_rows(module, names, start_ms, end_ms))
    return _lay_over([part for part in parts if part[0]], len(names))


def read_buckets(
    module: Module,
    names: Sequence[str],
    edges_ms: Sequence[int],
    level_s: int,
) -> list[Buckets]:
    """Series of a module in buckets between neighbouring edges.

    Args:
        module: See `find_module`.
        names: Its series.
        edges_ms: Ascending.
        level_s: The roll-up to start from (all edges are its multiples), or 0 for raw rows.

    Returns:
        One per name; buckets without a known sample are left out.
    """
    pieces: Pieces = {name: [] for name in names}
    start_ms, end_ms = edges_ms[0], edges_ms[-1]
    finest = finest_s(module, start_ms, end_ms)
    for run_start, run_end in _runs(module, finest, (start_ms, end_ms), level_s):
        if start_ms < run_start:
            _add_open(module, pieces, _edges_within(edges_ms, start_ms, run_start, level_s), level_s)
        _add_day_rolls(module, pieces, (run_start, run_end), finest, max(level_s, MINUTE_S))
        start_ms = run_end
    if start_ms < end_ms:
        _add_open(module, pieces, _edges_within(edges_ms, start_ms, end_ms, level_s), level_s)
    edges = np.array(edges_ms)
    return [coarsen(_joined(found, counter=is_counter(name)), edges) for name, found in pieces.items()]


def summarise(
    times_ms: Sequence[int],
    names: Sequence[str],
    columns: dict[str, Column],
    edges_ms: Sequence[int],
) -> list[Buckets]:
    """Rows in buckets, each series by its kind; `columns` also has the counters' epochs."""
    times, edges = np.array(times_ms, dtype=np.float64), np.array(edges_ms)
    values = {name: pack.as_array(column) for name, column in columns.items()}
    return [
        summarise_counter(times, values[name], values.get(epoch_name(name)), edges)
        if is_counter(name)
        else summarise_gauge(times, values[name], edges)
        for name in names
    ]


def with_epochs(module: Module, names: Iterable[str]) -> list[str]:
    """The names, and the epochs that their counters need."""
    wanted = list(names)
    pending = {name for chunk in module.pending for name in chunk.names}
    epochs = {epoch_name(name) for name in wanted if is_counter(name)}
    return wanted + sorted(e for e in epochs if e not in wanted and (e in module.series or e in pending))


def encode_buckets(buckets: Buckets) -> bytes:
    """Roll-ups of one series, of whole seconds, as a blob."""
    packed = buckets.copy()
    packed[START] /= 1000  # so that there is room for six decimals
    return pack.encode(packed)


def decode_buckets(blob: bytes) -> Buckets:
    """What `encode_buckets` made."""
    buckets = pack.decode(blob)
    buckets[START] *= 1000
    return buckets


def finest_s(module: Module, start_ms: int, end_ms: int) -> dict[int, int]:
    """The sealed days of a module and the finest resolution kept of each in s, 0 for raw rows."""
    query = "SELECT day, finest_s FROM sealed_day WHERE module = ? AND day BETWEEN ? AND ?"
    if module.db is None:
        return {}
    return dict(module.execute(query, (module.n, start_ms // DAY_MS, (end_ms - 1) // DAY_MS)).fetchall())


def open_days(module: Module, start_ms: int, end_ms: int) -> list[int]:
    """Days that have rows outside the packed ones, found by leaps from day to day."""
    days = []
    if module.db is not None:
        leap = f"SELECT t FROM m{module.n} WHERE t >= ? AND t < ? ORDER BY t LIMIT 1"  # noqa: S608 - a number
        while (row := module.execute(leap, (start_ms, end_ms)).fetchone()) is not None:
            days.append(row[0] // DAY_MS)
            start_ms = (days[-1] + 1) * DAY_MS
    return days


def _runs(
    module: Module,
    finest: dict[int, int],
    span_ms: tuple[int, int],
    level_s: int,
) -> list[tuple[int, int]]:
    """Stretches of days that roll-ups answer for, clipped to the span.

    Raw rows answer where they are kept and either roll-ups are too coarse or a late row is not yet in them.
    """
    if not finest:
        return []
    start_ms, end_ms = span_ms
    touched = set(open_days(module, start_ms, end_ms))
    touched.update(t // DAY_MS for t in module.pending_times(start_ms, end_ms))
    runs: list[tuple[int, int]] = []
    for day in sorted(finest):
        if finest[day] == 0 and (level_s == 0 or day in touched):
            continue
        start, end = max(day * DAY_MS, start_ms), min((day + 1) * DAY_MS, end_ms)
        if runs and runs[-1][1] == start:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _edges_within(edges_ms: Sequence[int], start_ms: int, end_ms: int, level_s: int) -> list[int]:
    if level_s:
        return list(range(start_ms, end_ms + 1, level_s * 1000))
    inner = [edge for edge in edges_ms if start_ms < edge < end_ms]
    return [start_ms, *inner, end_ms]


def _add_day_rolls(
    module: Module, pieces: Pieces, span: tuple[int, int], finest: dict[int, int], level_s: int
) -> None:
    """Append sealed roll-ups; a day that no longer has them at this level gives its finest."""
    start_ms, end_ms = span
    first, last = start_ms // DAY_MS, (end_ms - 1) // DAY_MS
    levels = {day: max(level_s, finest[day]) for day in range(first, last + 1)}
    query = "SELECT day, buckets FROM day_roll WHERE level_s = ? AND series = ? AND day BETWEEN ? AND ?"
    for name, found_before in pieces.items():
        series = module.series.get(name)
        if series is None:
            continue
        found: list[tuple[int, bytes]] = []
        for level in sorted(set(levels.values())):
            rows = module.execute(query, (level, series, first, last))
            found.extend((day, blob) for day, blob in rows if levels[day] == level)
        found_before.extend(_cut(decode_buckets(blob), start_ms, end_ms) for _, blob in sorted(found))


def _cut(buckets: Buckets, start_ms: int, end_ms: int) -> Buckets:
    i, j = np.searchsorted(buckets[START], (start_ms, end_ms))
    return buckets[:, i:j]


def _joined(found: list[Buckets], *, counter: bool) -> Buckets:
    rows = (EPOCH_LAST if counter else EPOCH_FIRST - 1) + 1
    return np.concatenate([np.empty((rows, 0)), *found], axis=1)


def _add_open(module: Module, pieces: Pieces, edges_ms: list[int], level_s: int) -> None:
    """Append buckets of rows, taking whole hours from their roll-ups where there are some."""
    start_ms, end_ms = edges_ms[0], edges_ms[-1]
    for hour in _rolled_hours(module, start_ms, end_ms) if level_s else []:
        hour_ms = hour * HOUR_MS
        if start_ms < hour_ms:
            _add_rows(module, pieces, _edges_within(edges_ms, start_ms, hour_ms, level_s))
        _add_hour(module, pieces, hour)
        start_ms = hour_ms + HOUR_MS
    if start_ms < end_ms:
        _add_rows(module, pieces, _edges_within(edges_ms, start_ms, end_ms, level_s))


def _rolled_hours(module: Module, start_ms: int, end_ms: int) -> list[int]:
    if module.db is None:
        return []
    query = "SELECT hour FROM rolled_hour WHERE module = ? AND hour >= ? AND hour < ? ORDER BY hour"
    hours = module.execute(query, (module.n, -(-start_ms // HOUR_MS), end_ms // HOUR_MS)).fetchall()
    touched = {t // HOUR_MS for t in module.pending_times(start_ms, end_ms)}
    return [hour for (hour,) in hours if hour not in touched]


def _add_hour(module: Module, pieces: Pieces, hour: int) -> None:
    query = "SELECT buckets FROM hour_roll WHERE series = ? AND hour = ?"
    for name, found_before in pieces.items():
        found = module.execute(query, (module.series.get(name), hour)).fetchone()
        if found is not None:
            found_before.append(decode_buckets(found[0]))


def _add_rows(module: Module, pieces: Pieces, edges_ms: list[int]) -> None:
    wanted = with_epochs(module, pieces)
    times, columns = read_rows(module, wanted, edges_ms[0], edges_ms[-1])
    if times:
        by_name = dict(zip(wanted, columns, strict=True))
        for name, buckets in zip(pieces, summarise(times, list(pieces), by_name, edges_ms), strict=True):
            pieces[name].append(buckets)


def _packed_rows(module: Module, names: Sequence[str], start_ms: int, end_ms: int) -> list[Rows]:
    parts: list[Rows] = []
    days = module.execute(
        "SELECT day, times FROM sealed_day"
        " WHERE module = ? AND day BETWEEN ? AND ? AND times NOT NULL ORDER BY day",
        (module.n, start_ms // DAY_MS, (end_ms - 1) // DAY_MS),
    ).fetchall()
    for day, blob in days:
        times = pack.decode(blob)[0].astype(np.int64).tolist()
        i, j = bisect_left(times, start_ms), bisect_left(times, end_ms)
        columns: list[Column] = []
        for name in names:
            found = module.execute(
                "SELECT vals FROM packed WHERE series = ? AND day = ?", (module.series.get(name), day)
            ).fetchone()
            columns.append(
                [None] * (j - i) if found is None else pack.as_column(pack.decode(found[0])[0, i:j])
            )
        parts.append((times[i:j], columns))
    return parts


def _open_rows(module: Module, names: Sequence[str], start_ms: int, end_ms: int) -> Rows:
    wanted = ["t", *(f"c{module.series[name]}" if name in module.series else "NULL" for name in names)]
    query = f"SELECT {', '.join(wanted)} FROM m{module.n} WHERE t >= ? AND t < ? ORDER BY t"  # noqa: S608 - numbers
    cursor = module.execute(query, (start_ms, end_ms))
    times: list[int] = []
    columns: list[Column] = [[] for _ in names]
    # A hundred rows at a time stay in the processor's cache while they become columns.
    while page := cursor.fetchmany(100):
        moments, *parts = zip(*page, strict=True)
        times.extend(moments)
        for column, part in zip(columns, parts, strict=True):
            column.extend(part)
    return times, columns


def _pending_rows(module: Module, names: Sequence[str], start_ms: int, end_ms: int) -> Rows:
    latest: dict[int, list[float | None]] = {}
    for chunk in module.pending:
        at = {name: k + 1 for k, name in enumerate(chunk.names)}
        places = [at.get(name) for name in names]
        for row in chunk.rows:
            t = row[0]
            if start_ms <= t < end_ms:
                # As in the file: one row per moment, the last wins as a whole; NaN is unknown.
                values = (None if k is None else row[k] for k in places)
                latest[t] = [None if value is None or value != value else value for value in values]  # noqa: PLR0124
    times = sorted(latest)
    return times, [[latest[t][k] for t in times] for k in range(len(names))]


def _lay_over(parts: list[Rows], width: int) -> Rows:
    """Put parts together; where two have the same moment, the later part wins."""
    if len(parts) == 1:
        return parts[0]
    in_order = all(a[0][-1] < b[0][0] for a, b in pairwise(parts))
    if in_order:
        times = list(chain.from_iterable(part[0] for part in parts))
        return times, [list(chain.from_iterable(part[1][k] for part in parts)) for k in range(width)]
    where: dict[int, tuple[list[Column], int]] = {}
    for part_times, columns in parts:
        where.update((t, (columns, i)) for i, t in enumerate(part_times))
    times = sorted(where)
    return times, [[where[t][0][k][where[t][1]] for t in times] for k in range(width)]
