"""The asking side of the link: a session with one paired module, and pairing itself.

All times here are transport time. Whatever goes wrong ends as one of our errors: `TimedOut`, `Disconnected`,
`Forbidden` (they do not know our key, or theirs is not the pinned one) or `PeerError` (they broke the
standard).
"""

from __future__ import annotations

import asyncio
import io
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Literal, TypeVar, cast

import aiohttp
import msgspec
from aiohttp import ClientTimeout, ClientWSTimeout
from yarl import URL

from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Reply, Session
from ores.link.errors import (
    Disconnected,
    Forbidden,
    InvalidMessage,
    OresError,
    PeerError,
    TimedOut,
    Unavailable,
)
from ores.link.frames import FramePipe
from ores.link.identity import Identity, check_certificate, id_of, spki_fingerprint
from ores.link.limits import DEFAULT_LIMITS, Limits
from ores.link.pairing import HubPairing, PairingRefused, secret_of
from ores.link.pins import Pin
from ores.link.pins import pin as make_pin
from ores.link.server import BASE_PATH, CHANNEL_HEADER
from ores.link.tls import WrongKey, client_context
from ores.model import PairingChallenge, PairingResult, PairingStatus, Problem

T = TypeVar("T")

_STRANGER: Final = "stranger"
_CLOSE_S: Final = 1.0
_BODY_AT_ONCE_BYTES: Final = 65_536


class _Socket(aiohttp.ClientWebSocketResponse):
    """A WebSocket that shows what lies below it."""

    @property
    def transport(self) -> asyncio.WriteTransport:
        connection = self._response.connection
        if connection is None or connection.transport is None:
            raise Disconnected("the connection was lost while the stream opened")
        return connection.transport


def http_session() -> aiohttp.ClientSession:
    """The connections of one session, which end with it: a pool that several share would keep them idle.

    A module holds two connections [HTTP-011]; one that is left over counts, until it is closed.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, limit_per_host=4, keepalive_timeout=10.0),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "ores"},
        auto_decompress=False,
        timeout=ClientTimeout(total=None, sock_connect=None),
        ws_response_class=_Socket,
    )


async def connect(
    host: str,
    port: int,
    identity: Identity,
    pin: Pin,
    clock: Clock,
    *,
    limits: Limits = DEFAULT_LIMITS,
) -> LinkSession:
    """Open a session with a paired module, and see that both sides know each other's key.

    Args:
        host: Name or address.
        port: TCP port.
        identity: Ours; the module has pinned it.
        pin: The module's.
        clock: Counts frames; held while a request is under way.
        limits: Deadlines, and what we take from the module.

    Raises:
        Forbidden: The module does not know our key (`not_pinned`), or shows another than the pinned one
            (`wrong_key`).
        Disconnected: Nobody answers there.
        TimedOut: Not within `limits.connect_s`.
        PeerError: Whoever answers does not speak ORES.
    """
    session = LinkSession(host, port, identity, pin.fingerprint, clock, limits=limits)
    try:
        await session.greet()
    except BaseException:
        await session.close()
        raise
    return session


async def pair(
    host: str,
    port: int,
    identity: Identity,
    code: str,
    clock: Clock,
    *,
    name: str,
    role: Literal["controller", "observer"] = "controller",
    expected_id: str | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> Pin:
    """Pair with a module by the code on its label.

    Args:
        host: Name or address.
        port: TCP port.
        identity: Ours.
        code: As typed; case, blanks and dashes do not matter.
        clock: Held meanwhile.
        name: What people call this hub, 1 to 64 characters.
        role: Wanted.
        expected_id: The id that discovery announced; another key there is refused before anything is said.
        limits: Deadlines.

    Returns:
        The module's pin, to be kept; the module has kept ours.

    Raises:
        ConfigError: The code cannot be one; the module was not asked.
        PairingRefused: `pairing_wrong_code` (or somebody in between), `pairing_locked`, `pairing_closed`, …
        Forbidden: `wrong_key`.
        Disconnected: Nobody answers there.
        TimedOut: Too slow.
        PeerError: Whoever answers does not speak ORES.
    """
    hub = HubPairing(identity, secret_of(code), name=name, role=role)
    certificate = await _meet(host, port, clock, limits)
    fingerprint = spki_fingerprint(certificate)
    if expected_id is not None and id_of(fingerprint) != expected_id:
        raise Forbidden(
            f"the key at {host}:{port} belongs to {id_of(fingerprint)}, announced was {expected_id}",
            code="wrong_key",
        )
    # From here on the same key must answer: what is proven is proven for this connection's other end.
    stranger = LinkSession(host, port, None, fingerprint, clock, limits=limits)
    challenge: PairingChallenge | None = None
    try:
        reply = await stranger.request("POST", "/pairing/start", codec.encode(hub.start()))
        challenge = _read(PairingChallenge, reply)
        confirm = hub.confirm(fingerprint, challenge)
        reply = await stranger.request("POST", "/pairing/confirm", codec.encode(confirm))
        return hub.finish(certificate, fingerprint, _read(PairingResult, reply))
    except (Disconnected, TimedOut):
        # The module may have paired and its answer got lost. Its proof was right, so it is worth asking: who
        # is not pinned is not let in.
        if challenge is None:
            raise
        found = make_pin(certificate, "module")
        await (await connect(host, port, identity, found, clock, limits=limits)).close()
        return found
    finally:
        await stranger.close()


async def release(session: Session) -> PairingStatus:
    """Give up our own pin at a paired module; it ends the session, which is yet to be closed on this side.

    Raises:
        Forbidden: It does not know us.
        PeerError: It does not know this message, or could not keep it (`storage_failed`).
        Disconnected: Nobody answers.
        TimedOut: Too slow.
    """
    return _read(PairingStatus, await session.request("DELETE", "/pairing"))


class LinkSession:
    """A `Session` over HTTPS and WebSocket; made by `connect`."""

    def __init__(
        self,
        host: str,
        port: int,
        identity: Identity | None,
        fingerprint: str | None,
        clock: Clock,
        *,
        limits: Limits,
    ) -> None:
        self._base: Final = URL.build(scheme="https", host=host, port=port, path=BASE_PATH)
        self._where: Final = f"{host}:{port}"
        # SNI is always sent: a server may swap in its newest pins only when it sees one. The name is not
        # checked.
        self._peer_id: Final = _STRANGER if fingerprint is None else id_of(fingerprint)
        self._sni: Final = f"{self._peer_id}.ores"
        self._context: Final = client_context(identity, fingerprint)
        self._clock: Final = clock
        self._limits: Final = limits
        self._http: Final = http_session()
        self._pipes: dict[FramePipe, asyncio.Task[None]] = {}
        self._closed = False

    async def greet(self) -> None:
        """Ask for what every module answers: shows that TLS holds and that the other side speaks ORES."""
        _read(PairingStatus, await self._request("GET", "/pairing", b"", total_s=self._limits.connect_s))

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Ask once and wait for the answer; see `connect` for what is raised."""
        return await self._request(method, path, body, total_s=self._limits.request_s)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        """Open the stream; see `ores.link.endpoint.Session`.

        Raises:
            Forbidden: We may not open it.
            PeerError: The other side answers, but not with a stream.
            Disconnected: Nobody answers, or all streams are taken.
            TimedOut: Not within `limits.connect_s`.
        """
        self._check_open()
        channel = self._clock.new_channel(self._peer_id)
        with self._clock.hold(), self._translating():
            async with asyncio.timeout(self._limits.connect_s):  # noqa: TID251  transport time
                socket = cast(
                    "_Socket",
                    await self._http.ws_connect(
                        self._base / "stream",
                        ssl=self._context,
                        server_hostname=self._sni,
                        headers={CHANNEL_HEADER: channel},
                        timeout=ClientWSTimeout(ws_close=_CLOSE_S),
                        autoping=False,
                        max_msg_size=self._limits.frame_max_bytes + 1,  # aiohttp refuses what is equal, too
                        decode_text=False,
                    ),
                )
            pipe = FramePipe(
                socket,
                socket.transport,
                self._clock,
                channel,
                frame_max_bytes=self._limits.frame_max_bytes,
                backlog_max_bytes=self._limits.backlog_max_bytes,
                heartbeat_s=self._limits.heartbeat_s,
            )
        reading = asyncio.create_task(pipe.run(on_frame, on_closed))
        self._pipes[pipe] = reading
        reading.add_done_callback(lambda _: self._pipes.pop(pipe, None))
        return pipe.send

    async def close(self) -> None:
        """End the session and its streams; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with self._clock.hold():
            readings = list(self._pipes.values())
            pipes = tuple(self._pipes)
            try:
                await asyncio.gather(*(pipe.close("closed by this side") for pipe in pipes))
                for pipe in pipes:
                    pipe.drop("closed by this side")  # a dead peer would keep the TLS connection half open
                await asyncio.gather(*readings, return_exceptions=True)
            finally:
                await self._http.close()  # also for who is not let wait until all have said goodbye

    async def _request(self, method: str, path: str, body: bytes, *, total_s: float) -> Reply:
        self._check_open()
        url = URL(f"{self._base}{path}", encoded=True)
        headers = {"Content-Type": "application/json"} if body else None
        with self._clock.hold(), self._translating():
            async with (
                asyncio.timeout(total_s),  # noqa: TID251  transport time
                self._http.request(
                    method,
                    url,
                    data=io.BytesIO(body) if len(body) > _BODY_AT_ONCE_BYTES else body or None,
                    headers=headers,
                    ssl=self._context,
                    server_hostname=self._sni,
                    allow_redirects=False,
                ) as response,
            ):
                return Reply(response.status, await self._read_body(response))

    async def _read_body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._limits.body_max_bytes:
                raise PeerError(
                    f"{self._where} answered with more than {self._limits.body_max_bytes} bytes",
                    code="too_large",
                )
        return bytes(body)

    def _check_open(self) -> None:
        if self._closed:
            raise Disconnected("the session is closed")

    @contextmanager
    def _translating(self) -> Iterator[None]:
        with _translating(self._where):
            yield


async def _meet(host: str, port: int, clock: Clock, limits: Limits) -> bytes:
    """The certificate whose key the server proves in TLS; nothing is said."""
    with clock.hold(), _translating(f"{host}:{port}"):
        async with asyncio.timeout(limits.connect_s):  # noqa: TID251  transport time
            _, writer = await asyncio.open_connection(
                host, port, ssl=client_context(None, None), server_hostname=f"{_STRANGER}.ores"
            )
            connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
            certificate = connection.getpeercert(binary_form=True)
            writer.transport.abort()
    if not certificate:
        raise PeerError(f"{host}:{port} shows no certificate")
    try:
        check_certificate(certificate)
    except ValueError as error:
        raise PeerError(f"the certificate of {host}:{port}: {error}") from None
    return certificate


def _read(type_: type[T], reply: Reply) -> T:
    """The message in a reply, or the error that it says."""
    if reply.status < 400:
        return codec.decode(type_, reply.body)
    try:
        said = codec.decode(Problem, reply.body)
    except InvalidMessage:
        raise PeerError(f"an answer with status {reply.status} that is no problem of the standard") from None
    detail = said.detail or said.title
    if said.code.startswith("pairing_"):
        retry_after_s = None if said.retry_after_s is msgspec.UNSET else said.retry_after_s
        raise PairingRefused(detail, code=said.code, retry_after_s=retry_after_s)
    raise _by_status(reply.status, detail, said.code)


def _by_status(status: int, detail: str, code: str | None) -> OresError:
    if status in {401, 403}:
        return Forbidden(detail, code=code)
    if status in {429, 503}:
        return Unavailable(detail, code=code)
    return PeerError(detail, code=code)


@contextmanager
def _translating(where: str) -> Iterator[None]:
    """What sockets, TLS and aiohttp raise, as our errors."""
    try:
        yield
    except TimeoutError:
        raise TimedOut(f"{where} does not answer in time") from None
    except aiohttp.WSServerHandshakeError as error:
        raise _by_status(error.status, f"{where} opens no stream: {error.message}", None) from None
    except (aiohttp.ClientError, OSError) as error:
        raise _translated(error, where) from error


def _translated(error: Exception, where: str) -> OresError:
    for cause in _causes(error):
        if isinstance(cause, WrongKey):
            return Forbidden(f"{where}: {cause.args[0]}", code="wrong_key")
        if isinstance(cause, ssl.SSLError) and "ALERT" in (getattr(cause, "reason", None) or ""):
            # TLS 1.3 tells a client of its rejection with the first answer, not in the handshake.
            return Forbidden(f"{where} does not know our key: pair with it first", code="not_pinned")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.ClientPayloadError):
        return PeerError(f"{where} does not speak HTTP as the standard uses it: {error}")
    return Disconnected(f"{where}: {str(error) or type(error).__name__}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
