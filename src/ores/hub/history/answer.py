"""Answers to questions about the history, from a read transaction and a copy of what is pending: no state."""

from __future__ import annotations

import hashlib
import sqlite3
from array import array
from collections.abc import Sequence
from itertools import pairwise
from math import nan

import msgspec
import numpy as np

from ores.hub.history import read
from ores.hub.history.pack import Column, as_column
from ores.hub.history.pending import Event, Pending
from ores.hub.history.read import Module
from ores.hub.history.rollup import (
    HIGH,
    HOUR_S,
    LOW,
    MIDDLE,
    START,
    Buckets,
    N,
    Values,
    aligned_step,
    deltas,
    is_counter,
    level_for,
)
from ores.hub.history.store import DAY_MS, HOUR_MS

_MAX_POINTS = 100_000
_MAX_EVENTS = 1000
_FOREVER_MS = 1 << 53

_EVENTS = """
SELECT n, t, kind, subject, body FROM event
WHERE t >= :start AND t < :end AND (:kind IS NULL OR kind = :kind) AND (t < :t OR (t = :t AND n < :n))
ORDER BY t DESC, n DESC LIMIT :limit
"""
_EVENTS_OF_SUBJECT = _EVENTS.replace("WHERE", "WHERE subject = :subject AND")  # so that its index is used


class Question(msgspec.Struct, frozen=True):
    """Which series, from when to when, in how many or exactly which buckets."""

    series: tuple[tuple[str, str], ...]
    start_utc_s: float
    end_utc_s: float
    max_points: int = 0
    edges_utc_s: tuple[float, ...] = ()


class EventQuestion(msgspec.Struct, frozen=True):
    """Which events, and after which the page begins."""

    start_utc_s: float
    end_utc_s: float
    kind: str | None
    subject: str | None
    before: str | None
    limit: int


class Series(msgspec.Struct, frozen=True, omit_defaults=True):
    """One series in buckets. All lists have one entry per bucket; `None` is a gap.

    A gauge has `min`, `mean` and `max` of the known samples (each sample counts the same), in the unit its
    name ends with. A counter has `last`, its value at the last known sample, and `delta`, what it counted
    since the last known sample before the bucket (at most an hour before the first one), 0 over a reset.
    Both in Wh.

    Args:
        module_id: Whose.
        name: Such as `battery.ac_measure.power_w`.
        kind: `gauge` or `counter`.
        n: How many known samples, 0 in a gap.
    """

    module_id: str
    name: str
    kind: str
    n: list[int]
    min: Column = []
    mean: Column = []
    max: Column = []
    last: Column = []
    delta: Column = []


class Answer(msgspec.Struct, frozen=True):
    """Series over the same buckets.

    Args:
        edges_utc_s: Buckets are between neighbouring edges, one more than buckets; the earlier edge belongs
            to a bucket.
        level_s: The roll-up it was read from where there is one, 0 for raw rows.
        series: In the order of the question.
    """

    edges_utc_s: list[float]
    level_s: int
    series: list[Series]


class Rows(msgspec.Struct, frozen=True):
    """Ticks of one module: times in s since 1970, UTC, and a column of values per name, `None` where
    unknown.
    """

    t_utc_s: list[float]
    columns: dict[str, Column]


class EventPage(msgspec.Struct, frozen=True):
    """Events, newest first; `next` asks for the page after, `None` when this is the last."""

    events: list[Event]
    next: str | None


def answer_series(db: sqlite3.Connection | None, pending: Pending, question: Question) -> Answer:
    """Buckets of series; see `History.query` and `History.totals`."""
    modules = {
        module_id: read.find_module(db, module_id, list(pending.rows(module_id)))
        for module_id, _ in question.series
    }
    edges_ms = _edges(list(modules.values()), question)
    level_s = level_for(edges_ms)
    edges = np.array(edges_ms, dtype=np.float64)
    found: dict[tuple[str, str], Series] = {}
    for module_id, module in modules.items():
        names = sorted({name for of, name in question.series if of == module_id})
        # One hour before is read too: the first bucket's delta starts at the last sample before it.
        wider = edges_ms
        if any(map(is_counter, names)) and edges_ms[0] >= HOUR_MS:
            wider = [*range(edges_ms[0] - HOUR_MS, edges_ms[0], (level_s or HOUR_S) * 1000), *edges_ms]
        for name, buckets in zip(names, read.read_buckets(module, names, wider, level_s), strict=True):
            found[module_id, name] = _spread(module_id, name, buckets, edges)
    return Answer([edge / 1000 for edge in edges_ms], level_s, [found[key] for key in question.series])


def answer_rows(
    db: sqlite3.Connection | None,
    pending: Pending,
    module_id: str,
    names: Sequence[str],
    span_utc_s: tuple[float, float],
) -> Rows:
    """Ticks of a module; see `History.rows`."""
    module = read.find_module(db, module_id, list(pending.rows(module_id)))
    start_ms, end_ms = (round(t * 1000) for t in span_utc_s)
    times, columns = read.read_rows(module, names, start_ms, end_ms)
    return Rows([t / 1000 for t in times], dict(zip(names, columns, strict=True)))


def answer_events(db: sqlite3.Connection | None, pending: Pending, question: EventQuestion) -> EventPage:
    """Events, newest first; see `History.events`."""
    kind, subject, limit = question.kind, question.subject, question.limit
    if not 1 <= limit <= _MAX_EVENTS:
        raise ValueError(f"limit: found {limit}, allowed is 1 to {_MAX_EVENTS}")
    cursor = _cursor(question.before)
    start_ms, end_ms = round(question.start_utc_s * 1000), round(question.end_utc_s * 1000)
    found: dict[int, Event] = {}
    if db is not None:
        rows = db.execute(
            _EVENTS_OF_SUBJECT if subject is not None else _EVENTS,
            {
                "start": start_ms,
                "end": min(end_ms, cursor[0] + 1),
                "kind": kind,
                "subject": subject,
                "t": cursor[0],
                "n": cursor[1],
                "limit": limit + 1,
            },
        )
        found = {n: Event(n, t / 1000, *rest) for n, t, *rest in rows}
    for event in pending.events:
        t = round(event.t_utc_s * 1000)
        wanted = kind in (None, event.kind) and subject in (None, event.subject)
        if wanted and start_ms <= t < end_ms and (t, event.n) < cursor:
            found[event.n] = msgspec.structs.replace(event, t_utc_s=t / 1000)
    newest = sorted(found.values(), key=lambda event: (event.t_utc_s, event.n), reverse=True)
    page = newest[:limit]
    more = f"{round(page[-1].t_utc_s * 1000)}-{page[-1].n}" if len(newest) > limit else None
    return EventPage(page, more)


def answer_hash(db: sqlite3.Connection | None, pending: Pending) -> str:
    """SHA-256 over all content in a fixed order; see `History.hash`."""
    digest = hashlib.sha256()
    ids = set(pending.chunks)
    if db is not None:
        ids.update(module_id for (module_id,) in db.execute("SELECT id FROM module"))
    for module_id in sorted(ids):
        _hash_module(digest, read.find_module(db, module_id, list(pending.rows(module_id))), module_id)
    events = {event.n: event for event in pending.events}
    rows = [] if db is None else db.execute("SELECT n, t, kind, subject, body FROM event ORDER BY n")
    for row in rows:
        events.pop(row[0], None)
        digest.update(msgspec.json.encode(row[1:]))
    for event in events.values():
        digest.update(
            msgspec.json.encode((round(event.t_utc_s * 1000), event.kind, event.subject, event.body))
        )
    return digest.hexdigest()


def _hash_module(digest: hashlib._Hash, module: Module, module_id: str) -> None:
    digest.update(msgspec.json.encode(module_id))
    names = sorted({*module.series, *(name for chunk in module.pending for name in chunk.names)})
    finest = read.finest_s(module, 0, _FOREVER_MS)
    days = {*finest, *(t // DAY_MS for t in module.pending_times(0, _FOREVER_MS))}
    days.update(read.open_days(module, 0, _FOREVER_MS))
    for day in sorted(days):
        start, end = day * DAY_MS, (day + 1) * DAY_MS
        if finest.get(day, 0) == 0:
            times, columns = read.read_rows(module, names, start, end)
            digest.update(array("q", times).tobytes())
            for name, column in zip(names, columns, strict=True):
                if any(value is not None for value in column):
                    digest.update(msgspec.json.encode(name))
                    digest.update(array("d", [nan if value is None else value for value in column]).tobytes())
            continue
        edges = list(range(start, end + 1, HOUR_MS))
        for name, buckets in zip(names, read.read_buckets(module, names, edges, 3600), strict=True):
            if buckets.size:
                digest.update(msgspec.json.encode(name))
                digest.update(buckets.tobytes())


def _edges(modules: list[Module], question: Question) -> list[int]:
    if question.edges_utc_s:
        edges_ms = [round(edge * 1000) for edge in question.edges_utc_s]
        if len(edges_ms) < 2 or any(a >= b for a, b in pairwise(edges_ms)):
            raise ValueError("edges_utc_s: allowed are two or more, ascending by at least a millisecond")
        return edges_ms
    start_s, end_s, max_points = question.start_utc_s, question.end_utc_s, question.max_points
    if not 1 <= max_points <= _MAX_POINTS:
        raise ValueError(f"max_points: found {max_points}, allowed is 1 to {_MAX_POINTS}")
    if not 0 <= start_s < end_s:
        raise ValueError(f"start and end: found {start_s!r} and {end_s!r}, allowed is 0 <= start < end")
    span_ms = (round(start_s * 1000), round(end_s * 1000))
    finest = max((s for module in modules for s in read.finest_s(module, *span_ms).values()), default=0)
    step_ms = aligned_step(*span_ms, max_points, finest) * 1000
    first, last = span_ms[0] // step_ms, -(-span_ms[1] // step_ms)
    return list(range(first * step_ms, last * step_ms + 1, step_ms))


def _spread(module_id: str, name: str, buckets: Buckets, edges_ms: Values) -> Series:
    """Known buckets onto all buckets, the others becoming gaps."""
    inside = buckets[START] >= edges_ms[0]  # before: the hour read for the sake of the first delta
    at = np.searchsorted(edges_ms, buckets[START, inside])

    def place(values: Values) -> Column:
        column = np.full(len(edges_ms) - 1, np.nan)
        column[at] = values[inside]
        return as_column(column)

    counts = np.zeros(len(edges_ms) - 1, np.int64)
    counts[at] = buckets[N, inside]
    n = counts.tolist()
    if is_counter(name):
        return Series(module_id, name, "counter", n, last=place(buckets[HIGH]), delta=place(deltas(buckets)))
    low, mean, high = map(place, (buckets[LOW], buckets[MIDDLE] / buckets[N], buckets[HIGH]))
    return Series(module_id, name, "gauge", n, min=low, mean=mean, max=high)


def _cursor(before: str | None) -> tuple[int, int]:
    if before is None:
        return _FOREVER_MS, _FOREVER_MS
    t, _, n = before.partition("-")
    if not (t.isascii() and t.isdigit() and n.isascii() and n.isdigit() and len(before) < 40):
        raise ValueError(f"before: found {before[:40]!r}, allowed is the `next` of an earlier page")
    return min(int(t), _FOREVER_MS), min(int(n), _FOREVER_MS)
