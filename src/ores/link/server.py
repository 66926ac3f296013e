"""An endpoint behind HTTPS and WebSocket, for peers that have paired, and the pairing desk for those that
have not.

Who somebody is follows from the key proven in TLS, never from what a message says. Every refusal is an RFC
9457 problem, those of the HTTP parser included; there is no banner.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from aiohttp import WSCloseCode, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader

from ores.link.clock import Clock
from ores.link.desk import PATHS as PAIRING_PATHS
from ores.link.desk import STRANGER as _STRANGER
from ores.link.desk import PairingDesk
from ores.link.endpoint import Endpoint, Peer, Reply
from ores.link.errors import ConfigError
from ores.link.frames import FramePipe
from ores.link.identity import Identity
from ores.link.limits import DEFAULT_LIMITS, Limits
from ores.link.pins import Pin, Pins
from ores.link.problems import problem
from ores.link.tls import server_context

BASE_PATH: Final = "/ores/v1"
CHANNEL_HEADER: Final = "X-Channel"
PUBLIC: Final = frozenset({("GET", "/description")})
"""What a stranger may ask the endpoint; it sees the role and decides how much it tells."""

_CHANNEL: Final = re.compile(r"[!-~]{1,100}")
_HEADER_MAX_BYTES: Final = 8190
_HEADERS_MAX: Final = 48
_DRAIN_S: Final = 2.0
"""How long an oversized body is read and thrown away, so that its sender gets to read the answer."""

_log = logging.getLogger(__name__)


async def serve(
    endpoint: Endpoint,
    identity: Identity,
    pins: Pins,
    *,
    clock: Clock,
    host: str | None = None,
    port: int = 0,
    limits: Limits = DEFAULT_LIMITS,
    desk: PairingDesk | None = None,
) -> Server:
    """Put an endpoint on the network.

    Args:
        endpoint: Answers at `/ores/v1`.
        identity: The key to prove.
        pins: Who may talk; followed while the server runs, to the point of closing connections.
        clock: Process time; frames are counted on it, and it is held while a request is answered.
        host: Address to listen on; None for all.
        port: TCP port; 0 picks a free one, see `Server.port`.
        limits: What peers may ask of us.
        desk: Answers pairing; without it pairing is closed.

    Raises:
        ConfigError: The port is in use, or the address cannot be listened on.
    """
    server = Server(endpoint, identity, pins, clock, limits=limits, desk=desk)
    await server._listen(host, port)  # noqa: SLF001  two-step start of our own class
    return server


class Server:
    """Made by `serve`."""

    def __init__(
        self,
        endpoint: Endpoint,
        identity: Identity,
        pins: Pins,
        clock: Clock,
        *,
        limits: Limits,
        desk: PairingDesk | None,
    ) -> None:
        self._endpoint: Final = endpoint
        self._context: Final = server_context(identity, pins)
        self._pins: Final = pins
        self._clock: Final = clock
        self._limits: Final = limits
        self._desk: Final = desk
        self._web: Final = _Doorman(self._answer, pins, limits)
        self._streams: dict[FramePipe, Peer] = {}
        self._unwatch: Callable[[], None] = lambda: None
        self._listener: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The TCP port that is listened on."""
        if self._listener is None:
            raise RuntimeError("the server is closed")
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def sessions(self) -> list[Peer]:
        """Who holds a stream now."""
        return list(self._streams.values())

    async def close(self) -> None:
        """Stop listening and end every connection; a second call does nothing."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        listener.close()
        self._unwatch()
        with self._clock.hold():
            pipes = [pipe.close("the server stops", WSCloseCode.GOING_AWAY) for pipe in self._streams]
            await asyncio.gather(*pipes)
            await self._web.shutdown(_DRAIN_S)

    async def _listen(self, host: str | None, port: int) -> None:
        try:
            where = {"sock": _everywhere(port)} if host is None else {"host": host, "port": port}
            self._listener = await asyncio.get_running_loop().create_server(
                self._web,
                **where,
                ssl=self._context,
                ssl_handshake_timeout=self._limits.connect_s,
                ssl_shutdown_timeout=_DRAIN_S,
            )
        except OverflowError:
            raise ConfigError("port", found=port, allowed="0 to 65535") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigError(
                    "port",
                    found=f"{port}, in use by another program",
                    allowed="a free port, or 0 to have one picked",
                ) from None
            raise ConfigError(
                "host and port",
                found=f"{host}:{port} ({error.strerror or error})",
                allowed="an address of this machine and a port that may be listened on",
            ) from None
        self._unwatch = self._pins.watch(self._drop_unpinned)

    def _drop_unpinned(self) -> None:
        for pipe, peer in tuple(self._streams.items()):
            pin = self._pins.get(peer.id)
            if pin is None or pin.role != peer.role:
                pipe.drop("the peer is no longer trusted")
        self._web.drop_unpinned()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the peer has gone")
        with self._clock.hold():
            # A peer that dribbles its body, or does not read the answer, loses the connection.
            watchdog = asyncio.get_running_loop().call_later(self._limits.request_s, transport.abort)
            try:
                path = request.path_qs.removeprefix(BASE_PATH)
                if request.path == f"{BASE_PATH}/stream" and request.method == "GET":
                    opened = await self._open_stream(request, transport)
                else:
                    known = self._peer(request)
                    response = _response(await self._reply(request, path))
                    if self._peer(request) != known:
                        response.force_close()  # it is no longer who it was (TLS-008)
                    await response.prepare(request)
                    await response.write_eof()
                    return response
            finally:
                watchdog.cancel()
        if isinstance(opened, Reply):
            return _response(opened)
        socket, running = opened
        await running
        return socket

    async def _reply(self, request: web.BaseRequest, path: str) -> Reply:
        if not request.path.startswith(f"{BASE_PATH}/"):
            return problem("not_found", f"resources are below {BASE_PATH}")
        body = await _read_body(request, self._limits.body_max_bytes)
        if body is None:
            return problem("too_large", f"a body may have {self._limits.body_max_bytes} bytes")
        if path in PAIRING_PATHS:
            return self._pair(request, path, body)
        peer = self._peer(request)
        if peer.role == "stranger" and (request.method, path) not in PUBLIC:
            return problem(
                "forbidden", "only paired peers may ask for this: pair first, then show your certificate"
            )
        if request.path == f"{BASE_PATH}/stream":
            return problem("method_not_allowed", "/stream knows GET only", allow=["GET"])
        return self._ask(peer, request.method, path, body)

    def _ask(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        try:
            return self._endpoint.request(peer, method, path, body)
        except Exception:  # noqa: BLE001  a defect in one resource must not take the others along
            _log.exception("%s %s failed", method, path)
            return problem("internal", "the request met a defect on this side")

    def _pair(self, request: web.BaseRequest, path: str, body: bytes) -> Reply:
        if self._desk is not None:
            with self._web.sparing(request.transport):  # who releases itself gets its answer
                return self._desk.answer(request.method, path, body, self._peer(request))
        if (request.method, path) == ("GET", "/pairing"):
            return Reply(200, b'{"open":false,"paired":true,"closed_because":"pairing_closed"}')
        return problem("pairing_closed", "nothing can be paired here")

    def _peer(self, request: web.BaseRequest) -> Peer:
        pin = self._web.pin_of(request.transport)
        return _STRANGER if pin is None else Peer(id=pin.id, role=pin.role)

    async def _open_stream(
        self, request: web.BaseRequest, transport: asyncio.Transport
    ) -> Reply | tuple[web.WebSocketResponse[bool], Awaitable[None]]:
        peer = self._peer(request)
        if peer.role == "stranger":
            return problem("forbidden", "only paired peers may open the stream")
        channel = request.headers.get(CHANNEL_HEADER, "stream")
        if not _CHANNEL.fullmatch(channel):
            return problem("bad_request", f"{CHANNEL_HEADER} may have 1 to 100 visible ASCII characters")
        if not self._make_room(peer):
            return problem("too_many_sessions", f"all {self._limits.sessions_max} streams are in use")
        socket = web.WebSocketResponse(
            timeout=_DRAIN_S,
            autoping=False,
            compress=False,
            max_msg_size=self._limits.frame_max_bytes + 1,  # aiohttp refuses what is equal, too
            decode_text=False,
        )
        try:
            await socket.prepare(request)
        except web.HTTPException as error:
            return problem("upgrade_required", (error.text or "no WebSocket handshake").replace("\n", " "))
        pipe = FramePipe(
            socket,
            transport,
            self._clock,
            channel,
            frame_max_bytes=self._limits.frame_max_bytes,
            backlog_max_bytes=self._limits.backlog_max_bytes,
            heartbeat_s=self._limits.heartbeat_s,
        )
        self._streams[pipe] = peer
        return socket, self._run_stream(pipe, peer)

    async def _run_stream(self, pipe: FramePipe, peer: Peer) -> None:
        try:
            stream = self._endpoint.open_stream(peer, pipe.send)
        except Exception:  # noqa: BLE001  as above: one stream's defect is its own
            _log.exception("opening a stream for %s failed", peer.id)
            del self._streams[pipe]
            await pipe.close("an internal error of this side", WSCloseCode.INTERNAL_ERROR)
            await pipe.run(lambda _frame: None, lambda _reason: None)  # to its end, which closes the channel
            return
        try:
            await pipe.run(stream.receive, lambda _reason: stream.closed())
        finally:
            self._streams.pop(pipe, None)

    def _make_room(self, peer: Peer) -> bool:
        """A peer that comes back takes the place of its own earlier stream, which may be dead unnoticed.

        The controller also takes an observer's: whoever only reads must not keep out who commands.
        """
        if len(self._streams) < self._limits.sessions_max:
            return True
        streams = self._streams.items()
        leaving = next((pipe for pipe, other in streams if other.id == peer.id), None)
        reason = "replaced by a newer stream of the same peer"
        if leaving is None and peer.role == "controller":
            leaving = next((pipe for pipe, other in streams if other.role != "controller"), None)
            reason = "the controller needs the place"
        if leaving is None:
            return False
        del self._streams[leaving]
        leaving.drop(reason)
        return True


class _Doorman(web.Server):
    """Counts who is inside: strangers and observers fill half of the house, so that the hub finds a place."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        pins: Pins,
        limits: Limits,
    ) -> None:
        super().__init__(handler, request_factory=self._new_request)
        self._pins = pins
        self._limits = limits
        self._inside: dict[web.RequestHandler, tuple[asyncio.Transport, bytes | None]] = {}
        self._spared: asyncio.BaseTransport | None = None

    def __call__(self) -> web.RequestHandler:
        return Connection(
            self,
            loop=self._loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's way to say "none"
            keepalive_timeout=self._limits.idle_s,
            lingering_time=_DRAIN_S,
            max_line_size=_HEADER_MAX_BYTES,
            max_field_size=_HEADER_MAX_BYTES,
            max_headers=_HEADERS_MAX,
            auto_decompress=False,
        )

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        certificate = _certificate(transport)
        unpinned = certificate is not None and self._pins.of(certificate) is None
        if unpinned or not self._has_room(certificate):
            transport.abort()
            return
        self._inside[handler] = (transport, certificate)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        self._inside.pop(handler, None)
        super().connection_lost(handler, exc)

    def pin_of(self, transport: asyncio.BaseTransport | None) -> Pin | None:
        """The pin of whoever is at the other end; None for a stranger."""
        certificate = None if transport is None else _certificate(transport)
        return None if certificate is None else self._pins.of(certificate)

    def drop_unpinned(self) -> None:
        """Close what was opened with a key that is not trusted any more."""
        for transport, certificate in tuple(self._inside.values()):
            if (
                certificate is not None
                and self._pins.of(certificate) is None
                and transport is not self._spared
            ):
                transport.abort()

    @contextmanager
    def sparing(self, transport: asyncio.BaseTransport | None) -> Iterator[None]:
        """Leave one connection open meanwhile: what is answered on it closes it."""
        self._spared = transport
        try:
            yield
        finally:
            self._spared = None

    def _has_room(self, certificate: bytes | None) -> bool:
        if len(self._inside) >= self._limits.connections_max:
            return False
        if self._commands(certificate):
            return True
        guests = sum(not self._commands(other) for _, other in self._inside.values())
        return guests < self._limits.connections_max // 2

    def _commands(self, certificate: bytes | None) -> bool:
        pin = None if certificate is None else self._pins.of(certificate)
        return pin is not None and pin.role == "controller"

    def _new_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: web.RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        return _Request(message, payload, protocol, writer, task, self._loop)


class _Request(web.BaseRequest):
    """A request whose response carries no banner."""

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        with suppress(KeyError):
            del response.headers[hdrs.SERVER]


class Connection(web.RequestHandler):
    """A connection that answers what is no HTTP with a problem, too."""

    def refusal(self, code: str, detail: str) -> web.Response:
        """The answer of this server with a code of the registry."""
        return _response(problem(code, detail))

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Called by the HTTP library, before and beside what handles requests."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        if isinstance(exc, ConnectionError):
            response = self.refusal("bad_request", "the connection ended before the request did")
        elif status >= 500:
            _log.error("a request failed", exc_info=exc)
            response = self.refusal("internal", "the request met a defect on this side")
        else:
            response = self.refusal("bad_request", (message or "not HTTP").splitlines()[0])
        response.force_close()
        return response


def _everywhere(port: int) -> socket.socket:
    """All addresses on one socket: with two, port 0 would be another port on IPv6 than on IPv4."""
    if socket.has_dualstack_ipv6():
        return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", port))


def _response(reply: Reply) -> web.Response:
    kind = "application/json" if reply.status < 400 else "application/problem+json"
    headers = {hdrs.ALLOW: ", ".join(reply.allow)} if reply.allow else None
    response = web.Response(status=reply.status, body=reply.body, content_type=kind, headers=headers)
    if reply.status in {408, 413}:
        response.force_close()
    return response


async def _read_body(request: web.BaseRequest, max_bytes: int) -> bytes | None:
    """The whole body, or None when it is larger than allowed; never holds more than that."""
    if (request.content_length or 0) > max_bytes:
        return None
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_bytes:
            return None
    return bytes(body)


def _certificate(transport: asyncio.BaseTransport) -> bytes | None:
    """The certificate whose key the peer proved in TLS, DER."""
    connection = transport.get_extra_info("ssl_object")
    if not isinstance(connection, ssl.SSLObject):
        return None
    return connection.getpeercert(binary_form=True) or None
