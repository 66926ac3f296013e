"""What the hub remembers: every tick of every module, and every decision."""

from ores.hub.history.history import (
    Answer,
    Event,
    EventPage,
    Health,
    History,
    Notice,
    Retention,
    Rows,
    Series,
)
from ores.hub.history.keep import keep

__all__ = [
    "Answer",
    "Event",
    "EventPage",
    "Health",
    "History",
    "Notice",
    "Retention",
    "Rows",
    "Series",
    "keep",
]
