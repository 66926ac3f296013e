"""The application: its table of routes, and the doors that every request goes through."""

from __future__ import annotations

import logging
from typing import Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler as AnyHandler
from aiohttp.typedefs import Middleware

from ores.hub.api import handlers, people, series
from ores.hub.api.drafts import DRAFT_PATHS, Handler
from ores.hub.api.guard import BASE_PATH, GUARD, Guard, table_path
from ores.hub.api.page import PageFiles
from ores.hub.api.problems import ApiError, of_http, problem_response
from ores.hub.api.stream import get_stream
from ores.hub.api.wire import BODY_MAX_BYTES, HUB, refuse_unknown
from ores.hub.hub import Hub
from ores.link.errors import OresError

ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (
    ("GET", "/status", handlers.get_status),
    ("GET", "/live", handlers.get_live),
    ("GET", "/stream", get_stream),
    ("GET", "/modules", handlers.get_modules),
    ("POST", "/modules", handlers.post_module),
    ("GET", "/modules/{id}", handlers.get_module),
    ("DELETE", "/modules/{id}", handlers.delete_module),
    ("PUT", "/modules/{id}/watch", handlers.put_watch),
    ("GET", "/history", series.get_history),
    ("GET", "/history/series", series.get_history_series),
    ("GET", "/flexibility", handlers.get_flexibility),
    ("GET", "/proposals", handlers.get_proposals),
    ("POST", "/proposals", handlers.post_proposal),
    ("DELETE", "/proposals/{source}/{id}", handlers.delete_proposal),
    ("GET", "/decisions", handlers.get_decisions),
    ("GET", "/notices", handlers.get_notices),
    ("PUT", "/notices/{id}/acknowledged", handlers.put_acknowledged),
    ("GET", "/preferences", handlers.get_preferences),
    ("PUT", "/preferences", handlers.put_preferences),
    ("POST", "/owner", people.post_owner),
    ("GET", "/session", people.get_session),
    ("POST", "/session", people.post_session),
    ("DELETE", "/session", people.delete_session),
    ("GET", "/users", people.get_users),
    ("POST", "/users", people.post_user),
    ("DELETE", "/users/{name}", people.delete_user),
    ("PUT", "/users/{name}/password", people.put_password),
    ("GET", "/tokens", people.get_tokens),
    ("POST", "/tokens", people.post_token),
    ("DELETE", "/tokens/{id}", people.delete_token),
)
"""Method, path below `/ores/v1`, and who answers."""

OWN_ROUTES: Final[tuple[tuple[str, str, Handler], ...]] = (("GET", "/x-ores.energy/plan", handlers.get_plan),)
"""The same, of this hub and not of the standard (chapter 12.4)."""

_QUERIES: Final = {
    "/history": frozenset({"series", "start", "end", "max_points"}),
    "/decisions": frozenset({"module", "element", "limit", "before"}),
    "/notices": frozenset({"ended"}),
    "/device/data/logging": frozenset({"series", "start", "end", "max_points"}),
    "/app/notify": frozenset({"ended"}),
}
"""What resources take in their queries; the others take nothing."""

_STREAMS: Final = frozenset({f"{BASE_PATH}/stream", "/hub/communicate"})
_ANY_PAGE: Final = r"/{path:(?!ores/v1(?:/|$)).*}"
"""What the API does not know is not found; it is no page, and knows no GET."""

_log = logging.getLogger(__name__)


def make_app(hub: Hub) -> web.Application:
    """Everything the hub serves to people and apps."""
    guard = Guard(hub.people, hub.config.allowed_hosts)
    app = web.Application(client_max_size=BODY_MAX_BYTES, middlewares=[_doors(hub, guard)])
    app[HUB] = hub
    app[GUARD] = guard
    app.on_response_prepare.append(_sign)
    people.prepare(app)
    for method, path, handler in (*ROUTES, *OWN_ROUTES):
        app.router.add_route(method, BASE_PATH + path, handler)
    for method, path, handler in DRAFT_PATHS:
        app.router.add_route(method, path, handler)
    app.router.add_get(_ANY_PAGE, PageFiles().get)
    return app


def _doors(hub: Hub, guard: Guard) -> Middleware:
    @web.middleware
    async def doors(request: web.Request, handler: AnyHandler) -> web.StreamResponse:
        try:
            guard.check(request)
            _check_size(request)
            _check_query(request)
            if request.path in _STREAMS:
                return await handler(request)  # an open page must not stop simulated time
            with hub.clock.hold():
                return await handler(request)
        except OresError as error:
            return _closing(request, problem_response(error))
        except web.HTTPException as error:
            response = problem_response(of_http(error.status, f"{error.reason}: {request.path[:80]}"))
            if hdrs.ALLOW in error.headers:
                response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
            return _closing(request, response)
        except Exception:  # noqa: BLE001  whatever it is, it is ours to read in the log and not the caller's
            _log.exception("%s %s failed", request.method, request.path)
            return problem_response(ApiError("internal", "the hub failed to answer; its log says why"))

    return doors


async def _sign(_request: web.Request, response: web.StreamResponse) -> None:
    sign(response)


def sign(response: web.StreamResponse) -> None:
    """No version of anything for whoever looks for old ones, and no guessing what a body is."""
    response.headers["Server"] = "ores"
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Cache-Control", "no-store")


def _check_query(request: web.Request) -> None:
    path = table_path(request)
    if path is not None and request.match_info.http_exception is None:
        refuse_unknown(request, *sorted(_QUERIES.get(path, ())))


def _check_size(request: web.Request) -> None:
    if (request.content_length or 0) > BODY_MAX_BYTES:
        raise ApiError("too_large", f"body: found {request.content_length} bytes, allowed {BODY_MAX_BYTES}")


def _closing(request: web.Request, response: web.Response) -> web.Response:
    """A refused body is not read: the connection ends after the answer."""
    if response.status in {408, 413} or (request.can_read_body and not request.content.at_eof()):
        response.force_close()
    return response
