"""The hub's memory of what was measured and decided: record cheaply, commit in one writer, read while it
writes.

Who calls what, and from which thread:

- the control loop calls `record` and `record_event`: they append to memory and never touch the file;
- one worker at a time calls `flush` (about every second) and `maintain`; `keep` does both on a clock;
- anyone calls the reading functions, best in a worker thread; they see what is in the file *and* what is
  still in memory.

Neither a full disk nor a damaged file stops the hub. While the file cannot be written, rows stay in a
buffer of bounded size (the oldest go first, and are counted) and every flush tries again. A damaged file is
renamed and a new one begun.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from ores.hub.history import seal, tables
from ores.hub.history.answer import (
    Answer,
    EventPage,
    EventQuestion,
    Question,
    Rows,
    Series,
    answer_events,
    answer_hash,
    answer_rows,
    answer_series,
)
from ores.hub.history.buffer import Buffer
from ores.hub.history.pack import DamagedBlock
from ores.hub.history.pending import Event, Pending
from ores.hub.history.seal import Retention
from ores.hub.history.store import MAX_SERIES_PER_MODULE, Store
from ores.link.errors import Unavailable

__all__ = ["Answer", "Event", "EventPage", "Health", "History", "Notice", "Retention", "Rows", "Series"]


class Notice(msgspec.Struct, frozen=True):
    """Something a person should know about the history.

    Args:
        code: `history_not_writable`, `history_writable_again`, `history_dropped`, `history_set_aside`,
            `history_series_refused`.
        text: One sentence that names the cause.
    """

    code: str
    text: str


class Health(msgspec.Struct, frozen=True):
    """How the history is.

    Args:
        cause: Why nothing can be written now; `None` when all is well.
        pending_values: Recorded and not yet in the file.
        dropped_rows: Lost since the start because the buffer was full.
        dropped_events: Likewise.
    """

    cause: str | None
    pending_values: int
    dropped_rows: int
    dropped_events: int


class History:
    """An open history.

    `record` and `record_event` are those of its `Buffer`: they only touch memory.

    Args:
        path: The file. Made if it is not there; its folder must be.
        retention: How long what is kept.
        max_pending_values: Bound of the buffer while the file cannot be written; a value takes about 30
            bytes.
        max_pending_events: Likewise for events.
        on_notice: Called with what a person should know, in the thread that found it.

    Raises:
        ConfigError: the path is a folder, or a database that is not a history of this ORES.
    """

    def __init__(
        self,
        path: Path,
        *,
        retention: Retention | None = None,
        max_pending_values: int = 500_000,
        max_pending_events: int = 10_000,
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self._path = path
        self._retention = retention or Retention()
        self._on_notice = on_notice
        self._buffer = Buffer(max_pending_values, max_pending_events, self._tell_full)
        self.record = self._buffer.record
        self.record_event = self._buffer.record_event
        self._unsynced = False
        self._writer_lock = threading.Lock()
        self._reader_lock = threading.Lock()
        self._store: Store | None = None
        self._reader: sqlite3.Connection | None = None
        self._steps: Iterator[None] | None = None
        self._maintained_hour: int | None = None
        self._cause: str | None = None
        self._refused_told: set[tuple[str, str]] = set()
        with self._writer_lock:
            self._try(self._open_store)

    # -- writing: one worker

    def flush(self, *, durable: bool = False) -> bool:
        """Commit everything recorded before this call.

        Args:
            durable: Wait for the disk, so that it survives a power cut; without it, it survives the process.

        Returns:
            Whether it is in the file. If not, `health().cause` says why, and it stays in memory for the
            next try.
        """
        with self._writer_lock:
            return self._flush(durable=durable)

    def maintain(self, now_utc_s: float) -> bool:
        """Do one small step of rolling up, packing and dropping, if any is due.

        Args:
            now_utc_s: Seconds since 1970, UTC. It decides which hours and days are closed, nothing else.

        Returns:
            Whether there may be more to do now.
        """
        with self._writer_lock:
            hour = int(now_utc_s - 61) // 3600
            if self._store is None or (self._steps is None and hour == self._maintained_hour):
                return False
            if self._steps is None:
                if not self._flush(durable=False, into_tables=True):
                    return False
                self._steps = seal.steps(self._store, self._retention, round(now_utc_s * 1000))
                self._maintained_hour = hour
            more = self._try(self._step)
            if not more:
                self._steps = None
            return more

    def close(self) -> None:
        """Commit what is pending, if the file lets it, and close."""
        with self._writer_lock:
            self._flush(durable=True, into_tables=True)
            # The reader first: only the last to close empties the log, and a reader may not.
            with self._reader_lock:
                self._close_reader()
            self._close_store()

    def health(self) -> Health:
        """How the history is now."""
        buffer = self._buffer
        return Health(self._cause, buffer.values, buffer.dropped_rows, buffer.dropped_events)

    # -- reading

    def query(
        self, series: Sequence[tuple[str, str]], start_utc_s: float, end_utc_s: float, max_points: int = 600
    ) -> Answer:
        """Series in equal buckets that fit a chart, from the coarsest roll-up that gives them exactly.

        Args:
            series: Pairs of module id and series name. Unknown ones are answered with gaps.
            start_utc_s: Seconds since 1970, UTC; lowered to the start of its bucket.
            end_utc_s: Likewise; raised to the end of its bucket. Later than the start.
            max_points: 1 to 100,000.

        Raises:
            ValueError: an argument is out of its range.
            Unavailable: the file cannot be read.
        """
        question = Question(tuple(series), start_utc_s, end_utc_s, max_points)
        pending = self._buffer.snapshot()
        with self._reading() as db:
            return answer_series(db, pending, question)

    def totals(self, series: Sequence[tuple[str, str]], edges_utc_s: Sequence[float]) -> Answer:
        """Series in the buckets between the given edges, such as the midnights of local days.

        Args:
            series: Pairs of module id and series name.
            edges_utc_s: Ascending, at least two; fast if all are whole quarters of an hour.

        Raises:
            ValueError: the edges are not ascending.
            Unavailable: the file cannot be read.
        """
        question = Question(tuple(series), edges_utc_s[0], edges_utc_s[-1], edges_utc_s=tuple(edges_utc_s))
        pending = self._buffer.snapshot()
        with self._reading() as db:
            return answer_series(db, pending, question)

    def rows(self, module_id: str, names: Sequence[str], start_utc_s: float, end_utc_s: float) -> Rows:
        """Every tick of a module in [start, end), as recorded.

        Raises:
            Unavailable: the file cannot be read.
        """
        pending = self._buffer.snapshot()
        with self._reading() as db:
            return answer_rows(db, pending, module_id, names, (start_utc_s, end_utc_s))

    def names(self) -> dict[str, list[str]]:
        """All series ever recorded, per module, in alphabetic order.

        Raises:
            Unavailable: the file cannot be read.
        """
        found: dict[str, set[str]] = {}
        for module_id, chunks in self._buffer.snapshot().chunks.items():
            found.setdefault(module_id, set()).update(name for chunk in chunks for name in chunk.names)
        with self._reading() as db:
            if db is not None:
                for module_id, name in db.execute(
                    "SELECT id, name FROM module JOIN series ON series.module = module.n"
                ):
                    found.setdefault(module_id, set()).add(name)
        return {module_id: sorted(found[module_id]) for module_id in sorted(found)}

    def events(
        self,
        start_utc_s: float,
        end_utc_s: float,
        *,
        kind: str | None = None,
        subject: str | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> EventPage:
        """Events in [start, end), newest first, page by page.

        Args:
            start_utc_s: Seconds since 1970, UTC.
            end_utc_s: Likewise.
            kind: Only these.
            subject: Only about this.
            before: `EventPage.next` of the page before.
            limit: 1 to 1000 events.

        Raises:
            ValueError: `before` or `limit` is not valid.
            Unavailable: the file cannot be read.
        """
        question = EventQuestion(start_utc_s, end_utc_s, kind, subject, before, limit)
        pending = self._buffer.snapshot()
        with self._reading() as db:
            return answer_events(db, pending, question)

    def hash(self) -> str:
        """SHA-256 of all that is remembered, however it is stored: the same run gives the same hash.

        Raises:
            Unavailable: the file cannot be read.
        """
        pending = self._buffer.snapshot()
        with self._reading() as db:
            return answer_hash(db, pending)

    # -- inside

    def _flush(self, *, durable: bool, into_tables: bool = False) -> bool:
        if self._store is None and not self._try(self._open_store):
            self._buffer.shrink()
            return False
        batch, into_tables = self._buffer.take(into_tables=into_tables)
        if not batch and not (durable and self._unsynced):
            return True
        written = self._try(lambda: self._write(batch, durable=durable, into_tables=into_tables))
        self._buffer.settle(written=written, into_tables=into_tables)
        return written

    def _open_store(self) -> bool:
        self._store = Store(self._path)
        self._buffer.number_after(self._store.last_event)
        return True

    def _write(self, batch: Pending, *, durable: bool, into_tables: bool) -> bool:
        if self._store is None:
            return False
        try:
            self._store.put(batch, durable=durable, into_tables=into_tables)
        except OverflowError:
            # An integer beyond 64 bits slipped in as a value: as a float it fits.
            batch.to_floats()
            self._close_store()
            self._open_store()
            self._store.put(batch, durable=durable, into_tables=into_tables)
        self._unsynced = not durable
        self._tell_written(self._store)
        return True

    def _tell_written(self, store: Store) -> None:
        if self._cause is not None:
            self._cause = None
            self._tell(
                "history_writable_again", "history: it can be written again; what was kept is in the file"
            )
        if not store.refused_series:
            return
        for module_id, name in sorted(store.refused_series - self._refused_told):
            self._refused_told.add((module_id, name))
            self._tell(
                "history_series_refused",
                f"history: series {name} of {module_id} is not kept,"
                f" a module can have at most {MAX_SERIES_PER_MODULE}",
            )

    def _tell_full(self) -> None:
        self._tell(
            "history_dropped",
            f"history: {self._cause or 'rows come faster than they are written'};"
            " the buffer in memory is full and its oldest rows are lost",
        )

    def _step(self) -> bool:
        return self._steps is not None and next(self._steps, self) is not self

    def _try(self, work: Callable[[], bool]) -> bool:
        """Do work on the file; on failure say why, once per cause, and leave the file to be opened anew."""
        try:
            return work()
        except (sqlite3.Error, DamagedBlock, OSError) as error:
            self._close_store()
            self._maintained_hour = None
            damaged = isinstance(error, ValueError) or (
                isinstance(error, sqlite3.Error) and tables.is_damaged(error)
            )
            cause = f"{self._path} cannot be written: {error}"
            if damaged:
                cause = self._set_aside(error)
                if cause == "":
                    return self._again(work)
            if cause != self._cause:
                self._cause = cause
                self._tell("history_not_writable", f"history: {cause}; new rows are kept in memory")
            return False

    def _set_aside(self, error: Exception) -> str:
        """Rename the damaged file. Returns why that failed, or nothing."""
        with self._reader_lock:
            self._close_reader()
            try:
                kept = tables.set_aside(self._path)
            except OSError as refusal:
                return f"{self._path} is damaged ({error}) and cannot be renamed: {refusal}"
        self._tell(
            "history_set_aside",
            f"history: {self._path} is damaged ({error});"
            f" it is kept as {kept.name} and a new history was begun",
        )
        return ""

    def _again(self, work: Callable[[], bool]) -> bool:
        """After a damaged file was set aside: open a new one and, unless that was all, do the work in it."""
        if not self._try(self._open_store):
            return False
        if work in (self._open_store, self._step):
            return work == self._open_store
        return self._try(work)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """A read transaction, so that packing a day meanwhile changes nothing; `None` when there is no
        file.
        """
        with self._reader_lock:
            try:
                if self._reader is None and self._path.is_file():
                    self._reader = tables.open_reader(self._path)
                if self._reader is None or not _has_tables(self._reader):
                    yield None
                    return
                self._reader.execute("BEGIN")
                try:
                    yield self._reader
                finally:
                    self._reader.execute("ROLLBACK")
            except sqlite3.Error as error:
                self._close_reader()
                raise Unavailable(f"history: {self._path} cannot be read: {error}") from error

    def _close_store(self) -> None:
        self._steps = None
        if self._store is not None:
            with suppress(sqlite3.Error):  # it is being given up; why was told already
                self._store.close()
            self._store = None

    def _close_reader(self) -> None:
        if self._reader is not None:
            with suppress(sqlite3.Error):  # likewise
                self._reader.close()
            self._reader = None

    def _tell(self, code: str, text: str) -> None:
        if self._on_notice is not None:
            self._on_notice(Notice(code, text))


def _has_tables(db: sqlite3.Connection) -> bool:
    return bool(db.execute("PRAGMA application_id").fetchone()[0] == tables.APPLICATION_ID)
