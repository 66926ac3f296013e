"""The writer: rows and events into the file. One per file; synchronous; no clock.

A row with the time of an earlier one of the same module replaces it (the last one wins), whether it comes
within the same commit or after the day was sealed: a clock that was set back writes over what it lived
through twice.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import msgspec

from ores.hub.history import tables
from ores.hub.history.pack import DamagedBlock
from ores.hub.history.pending import Chunk, Event, Pending

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

MAX_SERIES_PER_MODULE = 1500  # SQLite allows 2000 columns

_MAX_LAYOUTS = 500


class _Batch(msgspec.Struct, array_like=True):
    """One commit in the journal: rows per layout, and events."""

    chunks: list[tuple[int, list[Sequence[int | float | None]]]]
    events: list[Event]


_time = itemgetter(0)
_batches = msgspec.msgpack.Decoder(_Batch)


class Catalogue:
    """Numbers of modules and series, as committed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.modules: dict[str, int] = dict(db.execute("SELECT id, n FROM module").fetchall())
        self.series: dict[int, dict[str, int]] = {n: {} for n in self.modules.values()}
        for module, name, n in db.execute("SELECT module, name, n FROM series ORDER BY n"):
            self.series[module][name] = n


class Store:
    """The open file.

    Args:
        path: The file; made if it is not there.

    Raises:
        ConfigError: a person must act (see `tables.open_writer`).
        sqlite3.Error: it is damaged or cannot be opened now.
    """

    def __init__(self, path: Path) -> None:
        self.db = tables.open_writer(path)
        try:
            self.catalogue = Catalogue(self.db)
            self.last_event: int = self.db.execute("SELECT coalesce(max(n), 0) FROM event").fetchone()[0]
        except BaseException:
            self.db.close()
            raise
        self.written_days: set[tuple[int, int]] = set()
        self.refused_series: set[tuple[str, str]] = set()
        self._journal_used = True  # as far as is known
        # Rows before it change what is rolled up or being sealed.
        self._closed_until_ms: dict[int, int] = {}
        self._inserts: dict[str, tuple[tuple[str, ...], int, str]] = {}  # the last layout of each module
        self._layouts: dict[tuple[str, tuple[str, ...]], int] = {}
        self._durable = False
        try:
            last = self.db.execute("SELECT module, max(hour) FROM rolled_hour GROUP BY module")
            self._closed_until_ms.update((module, (hour + 1) * HOUR_MS) for module, hour in last)
            self._replay()
        except BaseException:
            self.db.close()
            raise

    def close(self) -> None:
        """Close the file; a last reader or writer to go tidies the log up."""
        self.db.close()

    def put(self, pending: Pending, *, durable: bool, into_tables: bool) -> None:
        """`write` or `journal`."""
        (self.write if into_tables else self.journal)(pending, durable=durable)

    def journal(self, pending: Pending, *, durable: bool) -> None:
        """Commit rows and events as one row of the journal, to be put into the tables by a later `write`.

        Args:
            pending: What to keep; not changed.
            durable: Wait until the disk has it (and everything before): it then survives a power cut too.

        Raises:
            sqlite3.Error: nothing was written; the store must be opened anew.
        """
        self._set_durable(durable=durable)
        with self.transaction():
            chunks: list[tuple[int, list[Sequence[int | float | None]]]] = [
                (self._layout(module_id, chunk.names), [*chunk.rows])
                for module_id, chunks in pending.chunks.items()
                for chunk in chunks
            ]
            batch = msgspec.msgpack.encode(_Batch(chunks, pending.events))
            self.db.execute("INSERT INTO journal (batch) VALUES (?)", (batch,))
            self._journal_used = True

    def write(self, pending: Pending, *, durable: bool) -> None:
        """Commit rows and events into the tables, all or none, and empty the journal.

        Args:
            pending: What to write, beginning with all that is in the journal; not changed.
            durable: As for `journal`.

        Raises:
            sqlite3.Error: nothing was written; the store must be opened anew.
        """
        self._set_durable(durable=durable)
        if self._write_alone(pending):
            return
        with self.transaction():
            for module_id, chunks in pending.chunks.items():
                for chunk in chunks:
                    self._write_chunk(module_id, chunk)
            if pending.events:
                self.db.executemany(
                    "INSERT OR REPLACE INTO event VALUES (?, ?, ?, ?, ?)",
                    [(e.n, round(e.t_utc_s * 1000), e.kind, e.subject, e.body) for e in pending.events],
                )
                self.last_event = max(self.last_event, pending.events[-1].n)
            if self._journal_used:
                self.db.execute("DELETE FROM journal")
            if len(self._layouts) > _MAX_LAYOUTS:
                self.db.execute("DELETE FROM layout")
                self._layouts.clear()
        self._journal_used = False

    def transaction(self) -> sqlite3.Connection:
        """`with store.transaction():` all or none of what is executed inside."""
        self.db.execute("BEGIN IMMEDIATE")
        return self.db

    def mark_rolled(self, module: int, hour: int) -> None:
        """Note, inside a transaction, that the roll-up of this hour is in the file."""
        self.db.execute("INSERT OR REPLACE INTO rolled_hour VALUES (?, ?)", (module, hour))
        self._closed(module, (hour + 1) * HOUR_MS)

    def watch(self, module: int, day: int) -> None:
        """Note rows of this day that come from now on in `written_days`."""
        self.written_days.discard((module, day))
        self._closed(module, (day + 1) * DAY_MS)

    def _closed(self, module: int, until_ms: int) -> None:
        self._closed_until_ms[module] = max(self._closed_until_ms.get(module, 0), until_ms)

    def _replay(self) -> None:
        """Put what an earlier process left in the journal into the tables."""
        layouts = {
            n: (module_id, tuple(json.loads(names)))
            for n, module_id, names in self.db.execute("SELECT n, module, names FROM layout")
        }
        self._layouts = {layout: n for n, layout in layouts.items()}
        left = Pending()
        for (blob,) in self.db.execute("SELECT batch FROM journal ORDER BY n").fetchall():
            try:
                batch = _batches.decode(blob)
                for n, rows in batch.chunks:
                    module_id, names = layouts[n]
                    left.chunk(module_id, names).rows.extend((int(t or 0), *values) for t, *values in rows)
            except (msgspec.MsgspecError, LookupError, ValueError) as error:
                raise DamagedBlock(f"the journal of the history is damaged: {error}") from error
            left.events.extend(batch.events)
        if left:
            self.write(left, durable=False)

    def _layout(self, module_id: str, names: tuple[str, ...]) -> int:
        known = self._layouts.get((module_id, names))
        if known is not None:
            return known
        cursor = self.db.execute(
            "INSERT INTO layout (module, names) VALUES (?, ?)", (module_id, json.dumps(names))
        )
        self._layouts[module_id, names] = n = cursor.lastrowid or 0
        return n

    def _set_durable(self, *, durable: bool) -> None:
        if durable != self._durable:
            tables.set_durable(self.db, durable=durable)
            self._durable = durable

    def _module(self, module_id: str) -> int:
        known = self.catalogue.modules.get(module_id)
        if known is not None:
            return known
        cursor = self.db.execute("INSERT INTO module (id) VALUES (?)", (module_id,))
        module = cursor.lastrowid or 0
        self.db.execute(f"CREATE TABLE m{module} (t INTEGER PRIMARY KEY)")
        self.catalogue.modules[module_id] = module
        self.catalogue.series[module] = {}
        return module

    def _write_alone(self, pending: Pending) -> bool:
        """Write a row that is all there is to write: one statement is a transaction of its own, and beginning
        and ending one costs a third of it. False where there is more to do.
        """
        if self._journal_used or pending.events or len(pending.chunks) != 1:
            return False
        ((module_id, chunks),) = pending.chunks.items()
        names, module, insert = self._inserts.get(module_id, ((), 0, ""))
        chunk = chunks[0]
        if len(chunks) > 1 or len(chunk.rows) > 1 or chunk.names is not names:
            return False
        row = chunk.rows[0]
        if row[0] < self._closed_until_ms.get(module, 0):
            return False
        self.db.execute(insert, row)
        return True

    def _write_chunk(self, module_id: str, chunk: Chunk) -> None:
        rows: Sequence[Sequence[float | None]] = chunk.rows
        names, module, insert = self._inserts.get(module_id, ((), 0, ""))
        if names is not chunk.names:
            module = self._module(module_id)
            kept = self._columns(module, module_id, chunk.names)
            insert = self._insert(module, [column for column in kept if column is not None])
            if None in kept:
                at = [0, *(k + 1 for k, column in enumerate(kept) if column is not None)]
                rows = [[row[k] for k in at] for row in chunk.rows]
            else:
                self._inserts[module_id] = chunk.names, module, insert
        self.db.executemany(insert, rows)
        if min(map(_time, chunk.rows)) < self._closed_until_ms.get(module, 0):
            self._note_late(module, chunk)

    def _insert(self, module: int, columns: Sequence[int]) -> str:
        names = ", ".join(["t", *(f"c{column}" for column in columns)])
        marks = ", ".join("?" * (len(columns) + 1))
        return f"INSERT OR REPLACE INTO m{module} ({names}) VALUES ({marks})"  # noqa: S608 - numbers only

    def _columns(self, module: int, module_id: str, names: Sequence[str]) -> list[int | None]:
        """The column of each name, adding those that are new; `None` for what a table cannot hold any
        more.
        """
        known = self.catalogue.series[module]
        columns: list[int | None] = []
        for name in names:
            if name not in known and len(known) >= MAX_SERIES_PER_MODULE:
                self.refused_series.add((module_id, name))
            elif name not in known:
                cursor = self.db.execute("INSERT INTO series (module, name) VALUES (?, ?)", (module, name))
                known[name] = cursor.lastrowid or 0
                self.db.execute(f"ALTER TABLE m{module} ADD COLUMN c{known[name]} REAL")
            columns.append(known.get(name))
        return columns

    def _note_late(self, module: int, chunk: Chunk) -> None:
        """Remember which days late rows touched, and forget the roll-ups of the hours that they change."""
        hours = {t // HOUR_MS for t in map(_time, chunk.rows) if t < self._closed_until_ms[module]}
        self.written_days.update((module, hour // 24) for hour in hours)
        self.db.executemany(
            "DELETE FROM rolled_hour WHERE module = ? AND hour = ?", [(module, hour) for hour in hours]
        )
