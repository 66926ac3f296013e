"""Where the control loop leaves its rows: checked at once, kept until the file has them, bounded in size.

Any thread may record; the one writer takes what there is, and says afterwards whether the file has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from math import dist, isfinite

import msgspec

from ores.hub.history.pending import Chunk, Event, Pending, Row

_JOURNALED_COMMITS = 60
_JOURNALED_AT_ONCE = 5_000  # values in one commit
_JOURNALED_VALUES = 100_000
_LATEST_S = 253402300800.0  # the year 10000
_NOTHING = Pending()


class Buffer:
    """Rows and events that are not, or not known to be, in the tables of the file.

    Args:
        max_values: Bound while the file cannot be written; a value takes about 30 bytes.
        max_events: Likewise for events.
        on_full: Called when the first rows or events are lost.
    """

    def __init__(self, max_values: int, max_events: int, on_full: Callable[[], None]) -> None:
        self._max_values = max_values
        self._max_events = max_events
        self._on_full = on_full
        self._lock = threading.Lock()
        self._pending = Pending()
        self._in_flight = _NOTHING
        self._journaled = Pending()
        self._commits = 0  # since the tables were last written
        self._layouts: dict[str, tuple[str, ...]] = {}
        self._filling: dict[str, Chunk] = {}  # the last chunk of each module in `_pending`
        self._next_event = 1
        self._numbered = False
        self.dropped_rows = 0
        self.dropped_events = 0

    def record(
        self, module_id: str, t_utc_s: float, names: Sequence[str], values: Sequence[float | None]
    ) -> None:
        """Remember one tick of a module; it is in the file after the next `History.flush`.

        A second row for the same millisecond replaces the first.

        Args:
            module_id: Whose.
            t_utc_s: Seconds since 1970, UTC; kept to the millisecond.
            names: Series such as `battery.ac_measure.power_w`. They may change from tick to tick; passing
                the same tuple again is cheapest.
            values: One per name. `None`, NaN and infinities are unknown, and never become 0.

        Raises:
            ValueError: a time, name or value that no history can hold; nothing was remembered.
        """
        if not 0 <= t_utc_s < _LATEST_S:
            raise ValueError(f"t_utc_s: found {t_utc_s!r}, allowed is 0 to {_LATEST_S:.0f} s since 1970")
        if len(values) != len(names):
            raise ValueError(f"values: found {len(values)} for {len(names)} names of {module_id}")
        try:
            # The distance of a vector to itself is 0 only if all its components are finite numbers, which
            # None is not: the quickest way to ask C about all of them at once.
            plain = dist(values, values) == 0.0  # type: ignore[arg-type]
        except (TypeError, OverflowError):
            plain = False
        kept = tuple(values if plain else _cleaned(names, values))
        # Joining two tuples costs half of unpacking one into the other; mypy cannot tell the sum's type.
        row: Row = (round(t_utc_s * 1000),) + kept  # type: ignore[assignment]  # noqa: RUF005
        self._lock.acquire()  # at half the price of `with`, which every row would pay
        try:
            chunk = self._filling.get(module_id)
            if chunk is None or chunk.names is not names:
                if not names:
                    return
                chunk = self._chunk(module_id, names)
            chunk.rows.append(row)
            pending = self._pending
            pending.values = count = pending.values + len(row)
            if count > self._max_values:
                self._shrink()
        finally:
            self._lock.release()

    def record_event(self, t_utc_s: float, kind: str, subject: str, body: str) -> None:
        """Remember a decision or another event.

        Args:
            t_utc_s: Seconds since 1970, UTC.
            kind: Such as `decision`.
            subject: What it is about.
            body: JSON text; kept as it is.

        Raises:
            ValueError: the time is out of range.
        """
        if not 0 <= t_utc_s < _LATEST_S:
            raise ValueError(f"t_utc_s: found {t_utc_s!r}, allowed is 0 to {_LATEST_S:.0f} s since 1970")
        with self._lock:
            event = Event(self._next_event, t_utc_s, _text(kind), _text(subject), _text(body))
            self._next_event += 1
            self._pending.events.append(event)
            if len(self._pending.events) > self._max_events:
                self._shrink()

    @property
    def values(self) -> int:
        """Recorded and not yet in the file."""
        with self._lock:
            return self._pending.values + self._in_flight.values

    def snapshot(self) -> Pending:
        """A copy of what is not, or not known to be, in the tables, to be read without a lock."""
        copy = Pending()
        with self._lock:
            for part in (self._journaled, self._in_flight, self._pending):
                copy.extend(part)
        return copy

    def number_after(self, last_event: int) -> None:
        """Number what was recorded before the file was first opened after what is in the file."""
        with self._lock:
            first = self._pending.events[0].n if self._pending.events else self._next_event
            ahead = last_event + 1 - first
            if ahead > 0 and not self._numbered:
                self._pending.events = [
                    msgspec.structs.replace(event, n=event.n + ahead) for event in self._pending.events
                ]
                self._next_event += ahead
            self._numbered = True

    def take(self, *, into_tables: bool) -> tuple[Pending, bool]:
        """What the next commit is to write; `settle` must follow.

        Args:
            into_tables: Whether the tables must have everything.

        Returns:
            The batch, and whether it is for the tables (it then has all that is in the journal) or the
            journal.
        """
        with self._lock:
            self._in_flight, self._pending = self._pending, Pending()
            self._filling.clear()
            if not (into_tables or self._tables_are_due()):
                return self._in_flight, False
            if not self._journaled:
                return self._in_flight, True
            everything = Pending()
            everything.extend(self._journaled)
            everything.extend(self._in_flight)
            return everything, True

    def settle(self, *, written: bool, into_tables: bool) -> None:
        """Forget what was taken, now that the file has it, or keep it for the next try."""
        with self._lock:
            batch, self._in_flight = self._in_flight, _NOTHING
            if written and into_tables:
                if self._journaled:
                    self._journaled = Pending()
                self._commits = 0
                return
            self._journaled.extend(batch)
            self._commits += 1
            if not written:
                # The journal too, as it may have gone with a damaged file; writing it twice changes nothing.
                self._journaled.extend(self._pending)
                self._journaled, self._pending = Pending(), self._journaled
                self._filling.clear()
                self._shrink()

    def shrink(self) -> None:
        """Drop the oldest until the buffer is within its bounds."""
        with self._lock:
            self._shrink()

    def _tables_are_due(self) -> bool:
        """Whether the next commit goes into the tables: now and then, or when the journal gains nothing."""
        batch = self._in_flight
        return (
            self._commits >= _JOURNALED_COMMITS
            or batch.values >= _JOURNALED_AT_ONCE
            or self._journaled.values >= _JOURNALED_VALUES
            or (not self._journaled and len(batch.chunks) == 1 and not batch.events)
        )

    def _chunk(self, module_id: str, names: Sequence[str]) -> Chunk:
        """Where the next row with these names goes; the caller holds the lock."""
        layout = self._layouts.get(module_id)
        if layout != names:
            layout = tuple(names)
            for text in (module_id, *layout):
                if not text or not text.isprintable() or len(text) > 200:
                    raise ValueError(
                        f"name: found {text!r}, allowed is printable text of 1 to 200 characters"
                    )
            if len(set(layout)) != len(layout):
                raise ValueError(f"names of {module_id}: a series is named twice")
            self._layouts[module_id] = layout
        self._filling[module_id] = chunk = self._pending.chunk(module_id, layout)
        return chunk

    def _shrink(self) -> None:
        """Keep the buffer within its bounds; the caller holds the lock."""
        rows, events = self._pending.shrink(self._max_values, self._max_events)
        self._filling.clear()
        if self.dropped_rows == 0 and self.dropped_events == 0 and (rows or events):
            self._on_full()
        self.dropped_rows += rows
        self.dropped_events += events


def _cleaned(names: Sequence[str], values: Sequence[float | None]) -> Sequence[float | None]:
    known = [value for value in values if value is not None]
    try:
        if dist(known, known) == 0.0:
            return values
    except (TypeError, OverflowError):
        pass
    return [_clean(name, value) for name, value in zip(names, values, strict=False)]


def _clean(name: str, value: object) -> float | None:
    if value is None:
        return None
    try:
        if isinstance(value, int | float):
            return float(value) if isfinite(value) else None
    except OverflowError:
        pass
    raise ValueError(f"{name}: found {value!r}, allowed is a number or None")


def _text(text: str) -> str:
    """Text that any encoder takes: lone surrogates, which JSON may smuggle in, become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
