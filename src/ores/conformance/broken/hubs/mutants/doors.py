"""Hubs whose doors are open too wide, or too little."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import web

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub.api import app, guard, people, serve, wire
from ores.hub.hub import Hub
from ores.hub.owner import Credentials
from ores.link.identity import new_identity


@broken_hub("hub-loopback-until-owner", also=("hub-https-beyond-machine",))
def listens_everywhere_from_the_first_minute(tools: Tools) -> None:
    """The page is wanted on the telephone, so it is there at once, for everybody."""
    tools.attribute(serve, "LOOPBACK", "0.0.0.0")  # noqa: S104 - that is the mistake
    passed_on = guard._PASSED_ON  # noqa: SLF001 - what comes through a proxy is another sentence
    tools.attribute(
        guard, "is_loopback", lambda request: not any(name in request.headers for name in passed_on)
    )


@broken_hub("hub-proxy-is-not-local")
def believes_the_proxy(tools: Tools) -> None:
    """What the proxy on its machine passes on comes from its machine."""
    tools.attribute(guard, "_PASSED_ON", ())


@broken_hub("hub-owner-once")
def has_one_owner_after_the_other(tools: Tools) -> None:
    """Whoever asks last owns it."""
    right = people.post_owner

    async def again(request: web.Request) -> web.Response:
        owner = wire.hub_of(request).owner
        if owner.exists:
            wanted = await wire.read(request, Credentials)
            return people._welcome(request, owner.log_in("", right=True, name=wanted.name), 201)  # noqa: SLF001
        return await right(request)

    route(tools, "POST", "/owner", again)


def route(tools: Tools, method: str, path: str, handler: Any) -> None:
    """Answer one resource otherwise."""
    tools.attribute(
        app,
        "ROUTES",
        tuple((m, p, handler if (m, p) == (method, path) else h) for m, p, h in app.ROUTES),
    )


@broken_hub("hub-foreign-host")
def answers_to_any_name(tools: Tools) -> None:
    """A name is a name."""
    tools.attribute(guard.Guard, "_check_host", lambda *_: None)


@broken_hub("hub-foreign-origin")
def serves_any_page(tools: Tools) -> None:
    """It never heard of foreign pages."""
    tools.attribute(guard.Guard, "_check_origin", lambda *_: None)


@broken_hub("hub-foreign-origin", variant="stream")
def streams_to_any_page(tools: Tools) -> None:
    """It looks at Origin where something is changed, and forgets the stream."""
    right = guard.Guard._check_origin  # noqa: SLF001

    def forgetful(self: guard.Guard, request: web.Request) -> None:
        if request.method not in guard.SAFE_METHODS:
            right(self, request)

    tools.attribute(guard.Guard, "_check_origin", forgetful)


@broken_hub("hub-json-only")
def reads_whatever_comes(tools: Tools) -> None:
    """What looks like JSON is JSON."""
    tools.attribute(web.BaseRequest, "content_type", "application/json")


@broken_hub("hub-api-body-size")
def takes_any_body(tools: Tools) -> None:
    """Memory is cheap."""
    for owner in (app, wire):
        tools.attribute(owner, "BODY_MAX_BYTES", 10_000_000)


@broken_hub("hub-api-body-size", variant="small")
def takes_small_bodies(tools: Tools) -> None:
    """Who would send so much?"""
    for owner in (app, wire):
        tools.attribute(owner, "BODY_MAX_BYTES", 60_000)


@broken_hub("hub-query-checked")
def skips_parameters_that_it_does_not_know(tools: Tools) -> None:
    """A misspelt limit is none."""
    tools.attribute(app, "refuse_unknown", lambda *_: None)


@broken_hub("hub-idle-connections")
def serves_eight_at_once(tools: Tools) -> None:
    """Its connections are few, and whoever holds one has it."""
    right_made, right_lost = serve._Connection.connection_made, serve._Connection.connection_lost  # noqa: SLF001
    held: set[Any] = set()

    def made(self: Any, transport: asyncio.BaseTransport) -> None:
        right_made(self, transport)
        if len(held) >= 64:
            transport.close()
            return
        held.add(self)

    def lost(self: Any, error: BaseException | None) -> None:
        held.discard(self)
        right_lost(self, error)

    tools.attribute(serve._Connection, "connection_made", made)  # noqa: SLF001
    tools.attribute(serve._Connection, "connection_lost", lost)  # noqa: SLF001


@broken_hub("hub-https-beyond-machine", also=("certificate-stays",))
def shows_browsers_another_key(tools: Tools) -> None:
    """A key for modules and one for people."""
    right = serve.Doors.__init__

    def other(self: serve.Doors, hub: Hub, identity: Any) -> None:
        path = identity.with_name("browsers.pem")
        path.write_bytes(new_identity().pem)
        right(self, hub, path)

    tools.attribute(serve.Doors, "__init__", other)


@broken_hub("hub-https-beyond-machine", variant="clear", also=("hub-loopback-until-owner",))
def speaks_in_the_clear(tools: Tools) -> None:
    """TLS is for banks."""
    tools.attribute(serve, "LOOPBACK", "0.0.0.0")  # noqa: S104 - that is the mistake


@broken_hub("hub-id-of-its-key")
def has_an_id_of_its_own(tools: Tools) -> None:
    """Made up at its first start."""
    right = Hub.status

    tools.attribute(Hub, "status", lambda self: msgspec.structs.replace(right(self), id="a" * 26))
