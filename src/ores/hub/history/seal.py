"""Tidying up, in small steps: hours rolled up, closed days packed, old data dropped.

Every step ends outside any transaction, so that rows can be written between two of them; a day is packed
column by column, and the packed day replaces its rows in one transaction at the end. A crash in between
loses the work, never a row.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from ores.hub.history import pack, read
from ores.hub.history.read import Module
from ores.hub.history.rollup import HOUR_S, MINUTE_S, QUARTER_S, Buckets, coarsen
from ores.hub.history.store import DAY_MS, HOUR_MS, Store

_HOUR_GRACE_MS = 60_000
_DAY_GRACE_MS = HOUR_MS


class Retention(msgspec.Struct, frozen=True):
    """How long what is kept, in days; `None` is for ever.

    Args:
        raw_days: Every tick.
        minute_days: Roll-ups of 1 min.
        quarter_days: Roll-ups of 15 min.
        hour_days: Roll-ups of 1 h.
        event_days: Decisions and other events.
    """

    raw_days: int | None = 30
    minute_days: int | None = 400
    quarter_days: int | None = None
    hour_days: int | None = None
    event_days: int | None = 400


def steps(store: Store, retention: Retention, now_ms: int) -> Iterator[None]:
    """Do all that is due at `now_ms`, yielding after each small step."""
    for module_id in sorted(store.catalogue.modules):
        module = read.find_module(store.db, module_id, [])
        for day in read.open_days(module, 0, now_ms):
            if (day + 1) * DAY_MS + _DAY_GRACE_MS <= now_ms:
                yield from _seal_day(store, module, day)
            else:
                yield from _roll_hours(store, module, day, now_ms)
    yield from _drop_old(store, retention, now_ms)


def _roll_hours(store: Store, module: Module, day: int, now_ms: int) -> Iterator[None]:
    end = min((day + 1) * 24, (now_ms - _HOUR_GRACE_MS) // HOUR_MS)
    query = "SELECT hour FROM rolled_hour WHERE module = ? AND hour >= ? AND hour < ?"
    rolled = {hour for (hour,) in store.db.execute(query, (module.n, day * 24, end))}
    for hour in range(day * 24, end):
        if hour in rolled:
            continue
        with store.transaction():
            edges = list(range(hour * HOUR_MS, (hour + 1) * HOUR_MS + 1, MINUTE_S * 1000))
            names = sorted(module.series)
            for name, buckets in zip(names, read.read_buckets(module, names, edges, 0), strict=True):
                _put_hour(store, module.series[name], hour, buckets)
            store.mark_rolled(module.n, hour)
        yield


def _put_hour(store: Store, series: int, hour: int, buckets: Buckets) -> None:
    store.db.execute("DELETE FROM hour_roll WHERE series = ? AND hour = ?", (series, hour))
    if buckets.size:
        blob = read.encode_buckets(buckets)
        store.db.execute("INSERT INTO hour_roll VALUES (?, ?, ?)", (series, hour, blob))


def _seal_day(store: Store, module: Module, day: int) -> Iterator[None]:
    finest = read.finest_s(module, day * DAY_MS, (day + 1) * DAY_MS).get(day, 0)
    if finest > 0:
        # Rows so late that retention has taken the day: there is nothing left to lay them over.
        yield from _clear_open_rows(store, module, day)
        return
    store.watch(module.n, day)
    times: list[int] = []
    done: list[tuple[int, bytes, list[tuple[int, bytes]]]] = []
    for name in sorted(module.series):
        times, column, rolls = _pack_series(module, name, day)
        if column:
            done.append((module.series[name], column, rolls))
        yield
        if (module.n, day) in store.written_days:
            return  # a late row came in; the day is sealed anew next time
    span = (day * DAY_MS, (day + 1) * DAY_MS)
    with store.transaction():
        store.db.execute(
            "INSERT OR REPLACE INTO sealed_day VALUES (?, ?, 0, ?)",
            (module.n, day, pack.encode(np.array([times], dtype=np.float64))),
        )
        for table in ("packed", "day_roll"):
            store.db.execute(
                f"DELETE FROM {table} WHERE day = ? AND series IN (SELECT n FROM series WHERE module = ?)",  # noqa: S608
                (day, module.n),
            )
        for series, column, rolls in done:
            store.db.execute("INSERT INTO packed VALUES (?, ?, ?)", (series, day, column))
            store.db.executemany(
                "INSERT INTO day_roll VALUES (?, ?, ?, ?)",
                [(level, series, day, blob) for level, blob in rolls],
            )
        store.db.execute(f"DELETE FROM m{module.n} WHERE t >= ? AND t < ?", span)  # noqa: S608 - a number
        _clear_hours(store, module, day)
    yield


def _pack_series(module: Module, name: str, day: int) -> tuple[list[int], bytes, list[tuple[int, bytes]]]:
    """One series of a day: its ticks, the packed values (empty if all are unknown) and its roll-ups."""
    start, end = day * DAY_MS, (day + 1) * DAY_MS
    wanted = read.with_epochs(module, [name])
    times, columns = read.read_rows(module, wanted, start, end)
    edges = list(range(start, end + 1, MINUTE_S * 1000))
    finer = read.summarise(times, [name], dict(zip(wanted, columns, strict=True)), edges)[0]
    if not finer.size:
        return times, b"", []
    rolls = [(MINUTE_S, read.encode_buckets(finer))]
    for level_s in (QUARTER_S, HOUR_S):
        finer = coarsen(finer, range(start, end + 1, level_s * 1000))
        rolls.append((level_s, read.encode_buckets(finer)))
    return times, pack.encode(pack.as_array(columns[0])[np.newaxis]), rolls


def _clear_open_rows(store: Store, module: Module, day: int) -> Iterator[None]:
    with store.transaction():
        span = (day * DAY_MS, (day + 1) * DAY_MS)
        store.db.execute(f"DELETE FROM m{module.n} WHERE t >= ? AND t < ?", span)  # noqa: S608 - a number
        _clear_hours(store, module, day)
    yield


def _clear_hours(store: Store, module: Module, day: int) -> None:
    hours = (module.n, day * 24, (day + 1) * 24)
    store.db.execute("DELETE FROM rolled_hour WHERE module = ? AND hour >= ? AND hour < ?", hours)
    store.db.execute(
        "DELETE FROM hour_roll"
        " WHERE series IN (SELECT n FROM series WHERE module = ?) AND hour >= ? AND hour < ?",
        hours,
    )


def _drop_old(store: Store, retention: Retention, now_ms: int) -> Iterator[None]:
    today = now_ms // DAY_MS
    if retention.raw_days is not None:
        yield from _drop_raw(store, today - retention.raw_days)
    levels = (
        (MINUTE_S, QUARTER_S, retention.minute_days),
        (QUARTER_S, HOUR_S, retention.quarter_days),
        (HOUR_S, DAY_MS // 1000, retention.hour_days),
    )
    for level_s, next_s, days in levels:
        if days is not None:
            yield from _drop_level(store, level_s, next_s, today - days)
    if retention.event_days is not None:
        with store.transaction():
            store.db.execute("DELETE FROM event WHERE t < ?", ((today - retention.event_days) * DAY_MS,))
        yield


def _drop_raw(store: Store, before_day: int) -> Iterator[None]:
    query = "SELECT DISTINCT day FROM sealed_day WHERE day < ? AND times NOT NULL ORDER BY day"
    for (day,) in store.db.execute(query, (before_day,)).fetchall():
        with store.transaction():
            store.db.execute("DELETE FROM packed WHERE day = ?", (day,))
            store.db.execute(
                "UPDATE sealed_day SET times = NULL, finest_s = ? WHERE day = ?", (MINUTE_S, day)
            )
        yield


def _drop_level(store: Store, level_s: int, next_s: int, before_day: int) -> Iterator[None]:
    """Drop a roll-up where it is the finest that is left; where raw rows are kept longer, it stays with
    them.
    """
    query = "SELECT module, day FROM sealed_day WHERE day < ? AND finest_s = ? ORDER BY day, module"
    for module, day in store.db.execute(query, (before_day, level_s)).fetchall():
        with store.transaction():
            store.db.execute(
                "DELETE FROM day_roll WHERE level_s = ? AND day = ?"
                " AND series IN (SELECT n FROM series WHERE module = ?)",
                (level_s, day, module),
            )
            store.db.execute(
                "UPDATE sealed_day SET finest_s = ? WHERE module = ? AND day = ?", (next_s, module, day)
            )
        yield
