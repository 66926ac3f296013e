"""Who may come in: the right name of the house, the right page, the right person.

A browser of somebody in the house will send what any web page tells it to. So requests are believed only
under a name
that is ours (against DNS rebinding: an address cannot be rebound, a foreign name can), and what changes
something only
from a page of ours.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from aiohttp import web
from yarl import URL

from ores.hub.api import access
from ores.hub.api.problems import ApiError
from ores.hub.callers import OWN_USER, Caller
from ores.hub.people import People

BASE_PATH: Final = "/ores/v1"
PAGE: Final = "/{path}"
COOKIE: Final = "ores_session"
SAFE_METHODS: Final = frozenset({"GET", "HEAD"})
_PASSED_ON: Final = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
"""With these a proxy says that somebody else asks."""


class Guard:
    """Checks each request.

    Args:
        people: Know sessions and tokens.
        allowed_hosts: Further names of this hub.
    """

    def __init__(self, people: People, allowed_hosts: tuple[str, ...]) -> None:
        self._people = people
        machine = socket.gethostname().lower()
        self._names = {"localhost", machine, f"{machine}.local", *(host.lower() for host in allowed_hosts)}

    def check(self, request: web.Request) -> None:
        """Let in or refuse; the page itself holds no secret.

        Args:
            request: Its headers are looked at, never its body.

        Raises:
            ApiError: Says why not.
        """
        self._check_host(request)
        upgrading = "websocket" in request.headers.get("Upgrade", "").lower()
        if request.method not in SAFE_METHODS or upgrading:
            self._check_origin(request)
        api_path = table_path(request)
        if api_path is not None and not _is_open(request, api_path):
            self.check_person(request)

    def identify(self, request: web.Request) -> Caller | None:
        """Who asks; None where nobody is known."""
        people = self._people
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            own = people.by_own_file(token.strip())
            if own is not None:
                return own if is_loopback(request) else None
            return people.by_token(token.strip())
        return people.by_session(request.cookies.get(COOKIE, ""))

    def _check_host(self, request: web.Request) -> None:
        text = request.headers.get("Host", "")
        try:
            name = (URL(f"http://{text}").host or "").lower().rstrip(".")
        except ValueError:
            name = ""
        if name not in self._names and not _is_address(name):
            raise ApiError(
                "foreign_host",
                f"Host: found {text[:80]!r}, allowed are an address of this hub, localhost, "
                "the machine's name, and those of --allowed-host",
            )

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None:
            ours = f"{request.scheme}://{request.headers.get('Host', '')}"
            if origin.lower() != ours.lower():
                raise ApiError("foreign_origin", f"Origin: found {origin[:80]!r}, allowed is {ours}")
        elif request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
            raise ApiError("foreign_origin", "another site's page may not do this")

    def check_person(self, request: web.Request) -> None:
        """Let in or refuse by who asks; for a stream, again while it is open.

        Raises:
            ApiError: Says why not.
        """
        caller = self.identify(request)
        if not self._people.owner.exists:
            if not is_loopback(request):
                raise ApiError("loopback_only", "until there is an owner, only this machine is answered")
            caller = OWN_USER
        elif caller is None:
            raise ApiError("login_required", "log in with POST /ores/v1/session, or send a token")
        request[access.CALLER] = caller
        if request.match_info.http_exception is None:  # else it is not found, or the method is not known
            access.check(caller, request.method, table_path(request) or "")


def table_path(request: web.Request) -> str | None:
    """The path as the table of routes names it, whatever way the caller has spelt it; None for the page."""
    resource = request.match_info.route.resource
    path = request.path if resource is None else resource.canonical
    return None if path == PAGE else path.removeprefix(BASE_PATH)


def _is_open(request: web.Request, api_path: str) -> bool:
    """Also a method that an open path does not know is told so."""
    if isinstance(request.match_info.http_exception, web.HTTPMethodNotAllowed):
        return any(path == api_path for _, path in access.OPEN)
    return (request.method, api_path) in access.OPEN


def is_loopback(request: web.Request) -> bool:
    """Whether the request comes from this machine, by its connection's address.

    What a proxy on this machine passes on may come from anywhere; it says so in a header.
    """
    if any(name in request.headers for name in _PASSED_ON):
        return False
    return request.remote is not None and _is_loopback_address(request.remote)


def caller(request: web.Request) -> str:
    """Whose tries are counted together: one IPv4 address, or one IPv6 network, as large as it is."""
    return network_of(request.remote or "")


def network_of(address: str) -> str:
    """An IPv4 address as it is, an IPv6 address as its /64; anything else as it is."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False))


def _is_loopback_address(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


GUARD: Final = web.AppKey("guard", Guard)
