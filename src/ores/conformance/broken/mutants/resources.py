"""Modules whose resources are missing, open to everybody, or badly refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from aiohttp import web

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Asked, Seams
from ores.link import server
from ores.link.endpoint import Peer, Reply
from ores.link.problems import problem
from ores.module import resources
from ores.module.module import Module

Doorman = server._Doorman  # noqa: SLF001 - the mutations' places
quick = server.Server._reply  # noqa: SLF001


@broken("resources-core", also=("faults-agree",))
def has_no_list_of_faults(seams: Seams) -> None:
    """They stand in the state, after all."""

    def elsewhere(asked: Asked) -> Asked:
        wanted = (asked.method, asked.path) == ("GET", "/faults")
        return replace(asked, path="/fault_list") if wanted else asked

    seams.requests.append(elsewhere)


@broken("access-by-role")
def shows_its_policy_to_strangers(seams: Seams) -> None:
    """There is no harm in it, its maker thought."""
    seams.attribute(server, "PUBLIC", frozenset({*server.PUBLIC, ("GET", "/policy")}))

    def let_in(asked: Asked) -> Asked:
        known = asked.peer.role != "stranger" or asked.path != "/policy"
        return asked if known else replace(asked, peer=Peer(asked.peer.id, "observer"))

    seams.requests.append(let_in)


@broken("role-from-key")
def believes_a_header(seams: Seams) -> None:
    """A proxy used to set it."""
    proven = server.Server._peer  # noqa: SLF001

    def believed(self: server.Server, request: web.BaseRequest) -> Peer:
        peer = proven(self, request)
        claims = request.headers.get("X-Role") == "controller"
        return Peer(peer.id, "observer") if claims and peer.role == "stranger" else peer

    seams.attribute(server.Server, "_peer", believed)


@broken("unknown-resource")
def calls_each_unknown_path_a_bad_request(seams: Seams) -> None:
    """It has one error for everything."""
    _other_problem(seams, 404, status=400, code="bad_request")


@broken("unknown-resource", variant="method")
def knows_no_wrong_methods(seams: Seams) -> None:
    """What it cannot do is not found."""
    _other_problem(seams, 405, status=404, code="not_found")


def _other_problem(seams: Seams, refused: int, **fields: Any) -> None:
    def plain(body: Any) -> bool:
        return body["code"] in {"not_found", "method_not_allowed"}

    def answer(_: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        return (fields["status"], {**body, **fields}) if status == refused and plain(body) else None

    seams.answers.append(answer)


@broken("body-size")
def takes_half_of_what_it_should(seams: Seams) -> None:
    """There was no more memory for it."""
    seams.attribute(resources, "BODY_MAX_BYTES", 2048)


@broken("body-size", variant="large")
def takes_whatever_comes(seams: Seams) -> None:
    """It has memory enough, and its brother has not."""
    seams.attribute(resources, "BODY_MAX_BYTES", 1_000_000)


@broken("unknown-headers-ignored")
def stumbles_over_a_header(seams: Seams) -> None:
    """A library of the hub adds it for tracing."""

    async def careful(self: server.Server, request: web.BaseRequest, path: str) -> Reply:
        if "Traceparent" in request.headers:
            return problem("bad_request", "Traceparent is no header of ours")
        return await quick(self, request, path)

    seams.attribute(server.Server, "_reply", careful)


@broken("base-path")
def looks_at_the_end_of_a_path_alone(seams: Seams) -> None:
    """Whatever version was asked for, it is this one."""

    async def careless(self: server.Server, request: web.BaseRequest, path: str) -> Reply:
        if request.path.startswith("/ores/v11/"):
            peer = self._peer(request)
            return self._ask(peer, request.method, request.path.removeprefix("/ores/v11"), b"")
        return await quick(self, request, path)

    seams.attribute(server.Server, "_reply", careless)


@broken("two-connections")
def does_one_thing_after_the_other(seams: Seams) -> None:
    """One task serves all connections."""
    busy = asyncio.Lock()

    async def in_turn(self: server.Server, request: web.BaseRequest, path: str) -> Reply:
        async with busy:
            return await quick(self, request, path)

    seams.attribute(server.Server, "_reply", in_turn)


@broken("strangers-do-not-block")
def keeps_no_place_for_its_hub(seams: Seams) -> None:
    """Who comes first is served first, and stays for as long as he likes."""

    def first_come(self: Any, _certificate: bytes | None) -> bool:
        return len(self._inside) < 16

    seams.attribute(Doorman, "_has_room", first_come)
    seams.attribute(web.RequestHandler, "_process_keepalive", lambda _: None)


@broken("errors-are-problems")
def answers_problems_as_plain_json(seams: Seams) -> None:
    """JSON is JSON."""
    right = server._response  # noqa: SLF001

    def plain(reply: Reply) -> web.Response:
        response = right(reply)
        response.content_type = "application/json"
        return response

    seams.attribute(server, "_response", plain)


@broken("errors-are-problems", variant="status")
def says_another_status_inside(seams: Seams) -> None:
    """What HTTP says and what the problem says are two things."""

    def answer(_: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        return (status, {**body, "status": 400}) if status == 404 else None

    seams.answers.append(answer)


@broken("problem-names-field")
def says_only_that_it_is_wrong(seams: Seams) -> None:
    """Whoever debugs it at night may guess."""

    def answer(_: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        if status != 400:
            return None
        return status, {key: value for key, value in body.items() if key not in {"field", "found", "allowed"}}

    seams.answers.append(answer)


@broken("stranger-learns-little")
def tells_strangers_its_name(seams: Seams) -> None:
    """So that they find the right one."""

    def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
        wanted = asked.peer.role == "stranger" and status == 200 and asked.path.startswith("/description")
        return (status, {**body, "name": "Anna's garage"}) if wanted else None

    seams.answers.append(answer)


@broken("stranger-problems-tell-little")
def tells_strangers_what_there_would_be(seams: Seams) -> None:
    """Helpful, in an error."""

    def talkative(code: str, detail: str, **how: Any) -> Reply:
        return problem(code, f"{detail}; then ask for battery, evse or mains", **how)

    seams.attribute(server, "problem", talkative)


@broken("survives-nonsense")
def restarts_over_what_is_no_text(seams: Seams) -> None:
    """Its parser gives up, and the watchdog does the rest."""
    right = Module.request

    def fragile(self: Module, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        if b"\xff\xfe" in body and self.restart is not None:
            self.restart()
        return right(self, peer, method, path, body)

    seams.attribute(Module, "request", fragile)


@broken("no-open-side-door")
def speaks_modbus_to_everybody(seams: Seams) -> None:
    """For the installer's convenience, and without asking its owner. It listens on an address of its own."""
    seams.options["host"] = "127.0.0.77"
    servers: list[asyncio.Task[asyncio.Server]] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.read(260)
        writer.write(asked[:4] + b"\x00\x03" + asked[6:7] + bytes([asked[7] | 0x80, 3]))
        writer.close()

    def open_door(_device: Any) -> None:
        servers.append(asyncio.ensure_future(asyncio.start_server(talk, "127.0.0.77", 1502)))

    seams.devices.append(open_door)
