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

    __slots__ = ("chunks", "events", "values")

    def __init__(self) -> None:
        self.chunks: dict[str, list[Chunk]] = {}
        self.events: list[Event] = []
        self.values = 0

    def __bool__(self) -> bool:
        return bool(self.chunks or self.events)

    def chunk(self, module_id: str, names: tuple[str, ...]) -> Chunk:
        """The chunk that the next row of a module goes into; whoever appends to it counts its `values`."""
        chunks = self.chunks.setdefault(module_id, [])
        if not chunks or chunks[-1].names != names:
            chunks.append(Chunk(names, []))
        return chunks[-1]

    def extend(self, later: Pending) -> None:
        """Append a copy of everything that was recorded later."""
        for module_id, chunks in later.chunks.items():
            for chunk in chunks:
                self.chunk(module_id, chunk.names).rows.extend(chunk.rows)
        self.events.extend(later.events)
        self.values += later.values

    def to_floats(self) -> None:
        """Make every value a float, where integers were recorded."""
        for chunks in self.chunks.values():
            for chunk in chunks:
                chunk.rows = [
                    (t, *(None if value is None else float(value) for value in values))
                    for t, *values in chunk.rows
                ]

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
