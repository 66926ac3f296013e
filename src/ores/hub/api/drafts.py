"""The working group's draft paths as one table, each mapped onto the resources of ORES.

Where the matching capability is not built yet, the answer says so (`not_built`, 501) instead of pretending.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from ores.hub.api import handlers, series
from ores.hub.api.problems import ApiError
from ores.hub.api.stream import get_stream
from ores.hub.api.wire import answer, hub_of
from ores.model import Element, ElementState

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _elements_where(
    fits: Callable[[Element], bool], *points: str
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Answers the states of all elements that fit, with these capabilities only (all where none is named)."""

    async def handler(request: web.Request) -> web.Response:
        hub = hub_of(request)
        now_s = hub.clock.now()
        modules: dict[str, object] = {}
        for link in hub.federation.links.values():
            ids = [e.id for e in link.description.elements if fits(e)] if link.description is not None else []
            if ids:
                status = link.status(now_s)
                fresh = link.state.elements if status == "online" and link.state is not None else {}
                modules[link.id] = {
                    "status": status,
                    "elements": {i: _only(fresh[i], points) for i in ids if i in fresh},
                }
        return answer({"modules": modules})

    return handler


def _only(state: ElementState, points: tuple[str, ...]) -> object:
    shown: dict[str, object] = msgspec.to_builtins(state)
    return {name: value for name, value in shown.items() if not points or name in points}


def _not_built(what: str) -> Handler:
    async def handler(_request: web.Request) -> web.Response:
        raise ApiError("not_built", f"{what} is not built yet in this release")

    return handler


def _is_micro_inverter(element: Element) -> bool:
    return element.kind in {"inverter", "pv"}


def _is_storage(element: Element) -> bool:
    return element.kind == "battery" or element.capabilities.storage is not UNSET


def _any(_element: Element) -> bool:
    return True


async def _authenticated(request: web.Request) -> web.Response:
    """Modules authenticate by their pinned keys, in mutual TLS; who is connected has done so."""
    links = hub_of(request).federation.links.values()
    return answer({"modules": [{"id": link.id, "authenticated": link.connected} for link in links]})


DRAFT_PATHS: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/microinverter/status", _elements_where(_is_micro_inverter)),
    ("GET", "/microinverter/energy", _elements_where(_is_micro_inverter, "energy", "ac_measure", "produce")),
    ("POST", "/microinverter/control", handlers.post_proposal),
    ("GET", "/energystorage/status", _elements_where(_is_storage)),
    ("GET", "/energystorage/storage", _elements_where(_is_storage, "storage", "energy")),
    ("POST", "/energystorage/control", handlers.post_proposal),
    ("GET", "/device/discovery", handlers.get_modules),
    ("POST", "/device/register", handlers.post_module),
    ("GET", "/hub/communicate", get_stream),
    ("GET", "/hub/configure", handlers.get_preferences),
    ("PUT", "/hub/configure", handlers.put_preferences),
    ("GET", "/app/monitor", handlers.get_live),
    ("GET", "/app/notify", handlers.get_notices),
    ("GET", "/app/settings", handlers.get_preferences),
    ("PUT", "/app/settings", handlers.put_preferences),
    ("POST", "/device/firmware/update", _not_built("Firmware update")),
    ("GET", "/device/security/authenticate", _authenticated),
    ("GET", "/device/safety/fault-detection", _elements_where(_any, "fault", "hazard")),
    ("GET", "/device/data/logging", series.get_history),
    ("GET", "/device/diagnostics/remote", _not_built("Remote diagnostics")),
)
"""Method, path at the root, and who answers; `control` takes a Proposal, `register` a PairModule."""
