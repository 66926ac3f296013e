"""History for charts: series by their public names, out of the hub's history."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from aiohttp import web
from msgspec import UNSET

from ores.hub.api.wire import answer, bad_query, checked, hub_of, query_int, query_time
from ores.hub.history import Series
from ores.hub.record import HOUSE
from ores.hub.times import rfc3339
from ores.model import History, HistorySeries, SeriesName

SERIES_MAX = 64
POINTS_MAX = 5000
_DAY = timedelta(days=1)
_UNITS = {
    "w": "W",
    "wh": "Wh",
    "pct": "%",
    "a": "A",
    "v": "V",
    "hz": "Hz",
    "c": "°C",
    "var": "var",
    "va": "VA",
    "s": "s",
}


async def get_history(request: web.Request) -> web.Response:
    """`GET /history?series=a,b&start=…&end=…&max_points=600`."""
    hub = hub_of(request)
    names = [name for name in request.query.get("series", "").split(",") if name]
    if not 1 <= len(names) <= SERIES_MAX:
        raise bad_query("series", f"{len(names)} names", f"1 to {SERIES_MAX} names, with commas between")
    pairs = [_pair(name) for name in names]
    end = query_time(request, "end", hub.clock.utc())
    start = query_time(request, "start", end - _DAY)
    if start >= end:
        raise bad_query("start", rfc3339(start), f"before end, {rfc3339(end)}")
    points = query_int(request, "max_points", 600, 1, POINTS_MAX)
    found = await asyncio.to_thread(hub.history.query, pairs, start.timestamp(), end.timestamp(), points)
    edges = found.edges_utc_s
    return answer(
        History(
            start=rfc3339(start.fromtimestamp(edges[0], tz=start.tzinfo)),
            step_s=edges[1] - edges[0],
            series={name: _series(one) for name, one in zip(names, found.series, strict=True)},
        )
    )


async def get_history_series(request: web.Request) -> web.Response:
    """`GET /history/series`: the names of all series ever recorded."""
    found = await asyncio.to_thread(hub_of(request).history.names)
    names = [
        f"{HOUSE}.{name}" if module == HOUSE else f"{module}/{name}"
        for module, of_module in found.items()
        for name in of_module
    ]
    return answer({"series": sorted(names)})


def _pair(name: str) -> tuple[str, str]:
    checked("series", name, SeriesName, "flow.point and module/element.capability.point")
    if name.startswith(f"{HOUSE}."):
        return HOUSE, name.removeprefix(f"{HOUSE}.")
    module, _, series = name.partition("/")
    return module, series


def _series(one: Series) -> HistorySeries:
    point = one.name.rpartition(".")[2]
    unit = _UNITS.get(point.rpartition("_")[2], UNSET)
    if one.kind == "counter":
        return HistorySeries(mean=one.last, unit=unit)
    return HistorySeries(mean=one.mean, min=one.min, max=one.max, unit=unit)
