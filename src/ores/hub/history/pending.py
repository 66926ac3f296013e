"""What was recorded and is not yet in the file: a buffer of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

Row = tuple[int, *tuple[float | None, ...]]
"""Time in ms, then the values in the order of the chunk's names."""


class Event(msgspec.Struct, frozen=True):
    """One record of what happened or was decided.

    Args:
        n: Its number in this history, ascending in the order of recording.
        t_utc_s: When, seconds since 1970, UTC.
        kind: Such as `decision` or `fault`.
        subject: Which module, element or part of the home it is about.
        body: JSON text.
    """

    n: int
    t_utc_s: float
    kind: str
    subject: str
    body: str


class Chunk(msgspec.Struct):
    """Rows of one module with the same series in the same order."""

    names: tuple[str, ...]
    rows: list[Row]


class Pending:
    """Chunks per module in order of recording, and events. Not thread-safe: the owner locks."""

    def __init__(self) -> None:
        self.chunks: dict[str, list[Chunk]] = {}
        self.events: list[Event] = []
        self.values = 0

    def __bool__(self) -> bool:
        return bool(self.chunks or self.events)

    def add(self, module_id: str, names: tuple[str, ...], row: Row) -> None:
        """Append one row."""
        chunks = self.chunks.get(module_id)
        if chunks is None:
            self.chunks[module_id] = [Chunk(names, [row])]
        elif chunks[-1].names is names or chunks[-1].names == names:
            chunks[-1].rows.append(row)
        else:
            chunks.append(Chunk(names, [row]))
        self.values += len(row)

    def extend(self, later: Pending) -> None:
        """Append a copy of everything that was recorded later."""
        for module_id, chunks in later.chunks.items():
            mine = self.chunks.setdefault(module_id, [])
            for chunk in chunks:
                if mine and mine[-1].names == chunk.names:
                    mine[-1].rows.extend(chunk.rows)
                else:
                    mine.append(Chunk(chunk.names, chunk.rows.copy()))
        self.events.extend(later.events)
        self.values += later.values

    def shrink(self, max_values: int, max_events: int) -> tuple[int, int]:
        """Drop the oldest rows of every module, and the oldest events, until the buffer is within its bounds.

        An eighth at a time, so that a buffer that is full drops now and then and not at each row.

        Returns:
            How many rows and how many events were dropped.
        """
        rows = 0
        while self.values > max_values and self.chunks:
            for module_id in list(self.chunks):
                rows += self._drop_oldest(module_id)
        events = 0
        if len(self.events) > max_events:
            events = len(self.events) - max_events * 7 // 8
            del self.events[:events]
        return rows, events

    def rows(self, module_id: str) -> Iterator[Chunk]:
        """Chunks of one module, oldest first."""
        yield from self.chunks.get(module_id, ())

    def _drop_oldest(self, module_id: str) -> int:
        chunks = self.chunks[module_id]
        oldest = chunks[0].rows
        count = max(1, len(oldest) // 8)
        self.values -= sum(map(len, oldest[:count]))
        del oldest[:count]
        if not oldest:
            del chunks[0]
        if not chunks:
            del self.chunks[module_id]
        return count
