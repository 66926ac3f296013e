"""The door of a played module: TLS 1.3 as a module has it, and a record of all that comes through.

A relay before the server sees what TLS itself looks like: connections and the lengths of records. The
session behind it keeps the plain text, from which requests and frames are read again as they were sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

APPLICATION_DATA: Final = 23
HANDSHAKE: Final = 22
GROUPS: Final = 10
SIGNATURES: Final = 13
OVERHEAD_BYTES: Final = 17
"""A record of TLS 1.3 is its content, one byte for what it is, and 16 of the tag (RFC 8446, 5.2)."""
MOMENT_S: Final = 0.25
HELLO_MAX: Final = 2048
HEAD_END: Final = b"\r\n\r\n"


@dataclass(slots=True)
class Connection:
    """One TCP connection of the hub.

    Attributes:
        opened_s: Seconds after the beginning of the judgement.
        closed_s: The same; None while it is open.
        records: Bytes of content of each encrypted record of the hub.
        session: The TLS session behind it; None before its first request.
        hello: The first bytes of the hub, in which it says what TLS it knows.
    """

    opened_s: float
    closed_s: float | None = None
    records: list[int] = field(default_factory=list)
    session: Session | None = None
    hello: bytearray = field(default_factory=bytearray)


class Session(ssl.SSLObject):
    """A TLS session that remembers what it has read."""

    plain: bytearray

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the library's own name
        """Read, and keep what was read."""
        found = super().read(len, buffer)
        if not hasattr(self, "plain"):
            self.plain = bytearray()
        self.plain += buffer[:found] if buffer is not None else found
        return found


class Door(ssl.SSLContext):
    """Picks the context anew for each connection, so that a pin counts from the next one on."""

    choose: Callable[[], ssl.SSLContext]

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """A session by the context of this moment."""
        return self.choose().wrap_bio(*args, **options)


def door(choose: Callable[[], ssl.SSLContext]) -> Door:
    """A context that asks for the right one at each connection."""
    made = Door(ssl.PROTOCOL_TLS_SERVER)
    made.choose = choose
    return made


def server_context(identity_file: Path, pinned: x509.Certificate | None) -> ssl.SSLContext:
    """TLS of a module: before pairing it asks nobody for a certificate, afterwards the pinned one counts.

    Args:
        identity_file: The module's key and certificate.
        pinned: The hub's certificate; None before pairing.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.num_tickets = 0
    made.load_cert_chain(identity_file)
    made.sslobject_class = Session
    if pinned is not None:
        made.verify_mode = ssl.CERT_OPTIONAL
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        made.load_verify_locations(cadata=pinned.public_bytes(Encoding.DER))
    return made


class Relay:
    """Passes everything on to the server, and looks at the outside of it.

    Args:
        elapsed_s: Seconds since the beginning of the judgement.
    """

    def __init__(self, elapsed_s: Callable[[], float]) -> None:
        self.connections: Final[list[Connection]] = []
        self._elapsed_s: Final = elapsed_s
        self._by_port: Final[dict[int, Connection]] = {}
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._writers: Final[set[asyncio.StreamWriter]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def open(self, host: str, inner_port: int, port: int = 0) -> None:
        """Listen; `port` 0 picks a free one."""

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._carry(reader, writer, inner_port))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        self._server = await asyncio.start_server(accept, host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def connection(self, inner_peer_port: int) -> Connection | None:
        """The connection whose other end has this port at the server."""
        return self._by_port.get(inner_peer_port)

    def most_at_once(self, since_s: float = 0.0) -> int:
        """How many connections were open at the same time, but for a moment in which one follows another."""
        steps: list[tuple[float, int]] = []
        for one in self.connections:
            end_s = None if one.closed_s is None else one.closed_s - MOMENT_S
            if end_s is None or end_s > max(since_s, one.opened_s):
                steps.append((max(one.opened_s, since_s), 1))
                if end_s is not None:
                    steps.append((end_s, -1))
        most = now = 0
        for _, step in sorted(steps):
            now += step
            most = max(most, now)
        return most

    def cut(self) -> None:
        """End all connections, as a device that loses its power does."""
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def stop_listening(self) -> None:
        """Take no more connections; those that are open stay."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def close(self) -> None:
        """Listen no more, and end what is open."""
        await self.stop_listening()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, inner_port: int
    ) -> None:
        one = Connection(self._elapsed_s())
        self.connections.append(one)
        writers = {writer}
        self._writers.add(writer)
        try:
            inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner_port)
            writers.add(inner_writer)
            self._writers.add(inner_writer)
            self._by_port[inner_writer.get_extra_info("sockname")[1]] = one
            there = asyncio.ensure_future(_pump(reader, inner_writer, _Records(one).take))
            back = asyncio.ensure_future(_pump(inner_reader, writer, _ignore))
            try:
                await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                there.cancel()
                back.cancel()
                await asyncio.gather(there, back, return_exceptions=True)
        except OSError:
            pass
        finally:
            one.closed_s = self._elapsed_s()
            for each in writers:
                self._writers.discard(each)
                each.close()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, look: Callable[[bytes], None]
) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            look(data)
            writer.write(data)
            await writer.drain()


def _ignore(_: bytes) -> None:
    """What the kit sends need not be looked at."""


class _Records:
    """Reads the heads of TLS records out of a stream of bytes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rest = bytearray()
        self._skip = 0

    def take(self, data: bytes) -> None:
        """Take what comes next."""
        if len(self._connection.hello) < HELLO_MAX:
            self._connection.hello += data
        self._rest += data
        while self._rest:
            skipped = min(self._skip, len(self._rest))
            del self._rest[:skipped]
            self._skip -= skipped
            if self._skip or len(self._rest) < 5:
                return
            kind, length = self._rest[0], int.from_bytes(self._rest[3:5], "big")
            if kind == APPLICATION_DATA:
                self._connection.records.append(length - OVERHEAD_BYTES)
            del self._rest[:5]
            self._skip = length


@dataclass(frozen=True, slots=True)
class Hello:
    """What a client offers in TLS (RFC 8446, 4.1.2)."""

    suites: frozenset[int]
    groups: frozenset[int]
    signatures: frozenset[int]


def hello_in(data: bytes) -> Hello | None:
    """The ClientHello at the beginning of a connection; None where there is none."""
    if len(data) < 50 or data[0] != HANDSHAKE or data[5] != 1:
        return None
    at = 9 + 2 + 32
    at += 1 + data[at]
    length = int.from_bytes(data[at : at + 2], "big")
    suites = _words(data[at + 2 : at + 2 + length])
    at += 2 + length
    at += 1 + data[at] + 2
    found: dict[int, frozenset[int]] = {}
    while at + 4 <= len(data):
        kind, length = int.from_bytes(data[at : at + 2], "big"), int.from_bytes(data[at + 2 : at + 4], "big")
        found[kind] = _words(data[at + 6 : at + 4 + length])
        at += 4 + length
    return Hello(suites, found.get(GROUPS, frozenset()), found.get(SIGNATURES, frozenset()))


def _words(data: bytes) -> frozenset[int]:
    return frozenset(int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data) - 1, 2))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was sent.

    Attributes:
        line: Method and path.
        head_bytes: Of request line and headers, the empty line included.
        headers: With lower-case names.
        body_bytes: Of its body.
    """

    line: str
    head_bytes: int
    headers: dict[str, str]
    body_bytes: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A WebSocket frame as it was sent (RFC 6455, 5.2)."""

    final: bool
    reserved: int
    opcode: int
    masked: bool
    payload: bytes


def requests_in(plain: bytes) -> Iterator[Asked]:
    """The requests of one connection, up to where it becomes a stream or cannot be read on."""
    at = 0
    while (end := plain.find(HEAD_END, at)) >= 0:
        head = plain[at:end].decode("latin-1").split("\r\n")
        pairs = (line.partition(":") for line in head[1:])
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        at, began = end + len(HEAD_END), at
        length = int(headers.get("content-length", "0") or 0)
        yield Asked(head[0].rsplit(" ", 1)[0], at - began, headers, length)
        if "upgrade" in headers or "transfer-encoding" in headers:
            return
        at += length


def frames_in(plain: bytes) -> Iterator[Frame]:
    """The frames of one connection after it became a stream."""
    at = 0
    for asked in requests_in(plain):
        at += asked.head_bytes + asked.body_bytes
        if "upgrade" in asked.headers:
            break
    else:
        return
    while at + 2 <= len(plain):
        first, second = plain[at], plain[at + 1]
        length, at = second & 0x7F, at + 2
        extra = {126: 2, 127: 8}.get(length, 0)
        if extra:
            length = int.from_bytes(plain[at : at + extra], "big")
            at += extra
        mask = b""
        if second & 0x80:
            mask, at = plain[at : at + 4], at + 4
        if at + length > len(plain):
            return
        payload = plain[at : at + length]
        at += length
        if mask:
            payload = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
        yield Frame(bool(first & 0x80), (first >> 4) & 7, first & 0x0F, bool(second & 0x80), payload)
