"""Hubs that remember otherwise than it was."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import record
from ores.hub.api import series
from ores.hub.api.problems import ApiError
from ores.hub.api.wire import query_int
from ores.hub.history import Answer, History
from ores.link.clock import RealClock
from ores.model import HistorySeries

LISTS = ("mean", "min", "max")


def _changed(tools: Tools, change: Any) -> None:
    """Answer series otherwise."""
    right = series._series  # noqa: SLF001 - the mutation's place
    tools.attribute(series, "_series", lambda one: change(right(one)))


def _each(found: HistorySeries, change: Any) -> HistorySeries:
    """Every list of a series, changed."""
    values = {name: getattr(found, name) for name in LISTS}
    lists = {name: change(value) for name, value in values.items() if value is not UNSET}
    return msgspec.structs.replace(found, **lists)


@broken_hub("hub-history-records")
def finds_voltages_dull(tools: Tools) -> None:
    """Nobody looks at voltages."""
    tools.attribute(record, "_WORDS", record._WORDS | {"l1_voltage_v"})  # noqa: SLF001


@broken_hub(
    "hub-history-steps-placed",
    also=("hub-history-mean-min-max", "hub-history-counter", "hub-history-gaps", "hub-history-kept"),
)
def gives_the_newest_first(tools: Tools) -> None:
    """Like decisions."""
    _changed(tools, lambda found: _each(found, lambda values: values[::-1]))


@broken_hub("hub-history-steps")
def gives_more_than_was_asked_for(tools: Tools) -> None:
    """The more the better."""
    right = query_int
    tools.attribute(series, "query_int", lambda *args: 4 * right(*args))


@broken_hub("hub-history-gaps")
def fills_gaps(tools: Tools) -> None:
    """A line is nicer."""

    def filled(values: list[float | None]) -> list[float | None]:
        held: float | None = None
        found: list[float | None] = []
        for value in values:
            held = held if value is None else value
            found.append(held)
        return found

    _changed(tools, lambda found: _each(found, filled))


@broken_hub("hub-history-mean-min-max")
def cuts_peaks(tools: Tools) -> None:
    """A mean says enough."""

    def flat(found: HistorySeries) -> HistorySeries:
        return found if found.max is UNSET else msgspec.structs.replace(found, max=found.mean)

    _changed(tools, flat)


@broken_hub("hub-history-counter")
def takes_counters_for_gauges(tools: Tools) -> None:
    """A number is a number."""

    def gauge(found: HistorySeries) -> HistorySeries:
        return msgspec.structs.replace(found, min=found.mean, max=found.mean) if found.min is UNSET else found

    _changed(tools, gauge)


@broken_hub("hub-history-names")
def hides_energy(tools: Tools) -> None:
    """Charts are of power."""
    right = History.names

    def some(self: History) -> dict[str, list[str]]:
        return {of: [name for name in names if ".energy." not in name] for of, names in right(self).items()}

    tools.attribute(History, "names", some)


@broken_hub("hub-history-nothing-known")
def finds_nothing(tools: Tools) -> None:
    """Nothing is not found."""
    right = History.query

    def strict(self: History, *args: Any, **more: Any) -> Answer:
        found = right(self, *args, **more)
        if not any(any(one.n) for one in found.series):
            raise ApiError("not_found", "there is nothing")
        return found

    tools.attribute(History, "query", strict)


@broken_hub("hub-history-kept")
def begins_a_new_life(tools: Tools) -> None:
    """What was before its start is none of its business."""
    right_made, right_query = History.__init__, History.query
    begun: dict[int, float] = {}

    def made(self: History, *args: Any, **more: Any) -> None:
        begun[id(self)] = RealClock().utc().timestamp()
        right_made(self, *args, **more)

    def since(self: History, *args: Any, **more: Any) -> Answer:
        found = right_query(self, *args, **more)
        old = [end_s < begun[id(self)] for end_s in found.edges_utc_s[1:]]

        def cut(values: list[Any]) -> list[Any]:
            return [None if gone else value for gone, value in zip(old, values, strict=True)]

        shown = []
        for one in found.series:
            lists = {name: getattr(one, name) for name in ("mean", "min", "max", "last", "delta")}
            changed = {name: cut(values) for name, values in lists.items() if values}
            shown.append(msgspec.structs.replace(one, **changed))
        return msgspec.structs.replace(found, series=shown)

    tools.attribute(History, "__init__", made)
    tools.attribute(History, "query", since)
