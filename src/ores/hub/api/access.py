"""The one table of who may do what at the API (chapter 6.2); what is not in it is refused to everybody."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from ores.hub.api.problems import ApiError
from ores.hub.callers import ROLES, Caller, Role

ALL: Final = frozenset[Role](ROLES)
NOW: Final = frozenset[Role]({"owner", "installer", "resident", "observer", "guest"})
READ: Final = NOW - frozenset[Role]({"guest"})
LIVE_HERE: Final = frozenset[Role]({"owner", "installer", "resident"})
SET_UP: Final = frozenset[Role]({"owner", "installer"})
OWNER: Final = frozenset[Role]({"owner"})
UTILITY: Final = frozenset[Role]({"utility"})
PROPOSE: Final = LIVE_HERE | UTILITY

MAY: Final[dict[tuple[str, str], frozenset[Role]]] = {
    ("GET", "/status"): ALL,
    ("GET", "/live"): NOW,
    ("GET", "/stream"): NOW,
    ("GET", "/notices"): NOW,
    ("PUT", "/notices/{id}/acknowledged"): LIVE_HERE,
    ("GET", "/modules"): READ,
    ("POST", "/modules"): SET_UP,
    ("GET", "/modules/{id}"): READ,
    ("DELETE", "/modules/{id}"): SET_UP,
    ("PUT", "/modules/{id}/watch"): SET_UP,
    ("GET", "/history"): READ,
    ("GET", "/history/series"): READ,
    ("GET", "/decisions"): READ,
    ("GET", "/flexibility"): READ,
    ("GET", "/preferences"): READ,
    ("PUT", "/preferences"): SET_UP,
    ("GET", "/proposals"): READ | UTILITY,
    ("POST", "/proposals"): PROPOSE,
    ("DELETE", "/proposals/{source}/{id}"): PROPOSE,
    ("GET", "/users"): OWNER,
    ("POST", "/users"): OWNER,
    ("DELETE", "/users/{name}"): OWNER,
    ("PUT", "/users/{name}/password"): ALL,
    ("GET", "/tokens"): OWNER,
    ("POST", "/tokens"): OWNER,
    ("DELETE", "/tokens/{id}"): OWNER,
    # the working group's draft (6.13)
    ("GET", "/microinverter/status"): READ,
    ("GET", "/microinverter/energy"): READ,
    ("POST", "/microinverter/control"): PROPOSE,
    ("GET", "/energystorage/status"): READ,
    ("GET", "/energystorage/storage"): READ,
    ("POST", "/energystorage/control"): PROPOSE,
    ("GET", "/device/discovery"): READ,
    ("POST", "/device/register"): SET_UP,
    ("GET", "/hub/communicate"): NOW,
    ("GET", "/hub/configure"): READ,
    ("PUT", "/hub/configure"): SET_UP,
    ("GET", "/app/monitor"): NOW,
    ("GET", "/app/notify"): NOW,
    ("GET", "/app/settings"): READ,
    ("PUT", "/app/settings"): SET_UP,
    ("POST", "/device/firmware/update"): SET_UP,
    ("GET", "/device/security/authenticate"): READ,
    ("GET", "/device/safety/fault-detection"): READ,
    ("GET", "/device/data/logging"): READ,
    ("GET", "/device/diagnostics/remote"): SET_UP,
}
"""Method and path below `/ores/v1` or, of the draft, at the root."""

OWN_MAY: Final[dict[tuple[str, str], frozenset[Role]]] = {
    ("GET", "/x-ores.energy/plan"): READ,
}
"""The same, of this hub and not of the standard (chapter 12.4)."""

OPEN: Final = frozenset(
    {("GET", "/session"), ("POST", "/session"), ("DELETE", "/session"), ("POST", "/owner")}
)
"""What is answered without log-in: asking whether there is an owner, becoming it, logging in and out."""

_NOT_FOR_APPS: Final = ("/users", "/tokens")
CALLER: Final = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who asks, as the guard has found out."""
    return request[CALLER]


def check(caller: Caller, method: str, path: str) -> None:
    """Refuse what the table does not allow.

    Args:
        caller: Who asks.
        method: Of the request.
        path: As the table names it.

    Raises:
        ApiError: Says what the caller is and who may.
    """
    may = MAY.get((method, path)) or OWN_MAY.get((method, path), frozenset())
    if caller.role not in may:
        allowed = ", ".join(role for role in ROLES if role in may) or "nobody"
        raise ApiError("forbidden", f"you are {caller.role} here; {method} {path} is for {allowed}")
    if caller.by == "token" and path.startswith(_NOT_FOR_APPS):
        raise ApiError("forbidden", "an app lets nobody in: log in with a password for this")
