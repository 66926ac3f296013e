"""An endpoint, a clock and a pair of peers for the tests of the link."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ores.link.client import LinkSession, connect
from ores.link.clock import RealClock
from ores.link.desk import PairingDesk
from ores.link.endpoint import Peer, Reply, Stream
from ores.link.identity import Identity, new_identity
from ores.link.limits import DEFAULT_LIMITS, Limits
from ores.link.pins import Pins, pin
from ores.link.server import Server, serve
from ores.link.tls import client_context

HOST = "127.0.0.1"


class Echo:
    """Answers with what it was asked; its streams send back what they receive."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.sends: list[Callable[[bytes], None]] = []
        self.received: list[bytes] = []
        self.closed = asyncio.Event()

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        self.peers.append(peer)
        if path == "/broken":
            raise ZeroDivisionError
        return Reply(200, f"{method} {path} ".encode() + body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        self.peers.append(peer)
        self.sends.append(send)
        return EchoStream(self, send)


class EchoStream:
    def __init__(self, echo: Echo, send: Callable[[bytes], None]) -> None:
        self._echo, self._send = echo, send

    def receive(self, frame: bytes) -> None:
        if frame == b"break":
            raise ZeroDivisionError
        self._echo.received.append(frame)
        self._send(frame)

    def closed(self) -> None:
        self._echo.closed.set()


class Skipping(RealClock):
    """Real time, and what the test skips."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped_s = 0.0

    def now(self) -> float:
        return super().now() + self.skipped_s


class House:
    """A module that serves an echo, and the hub that it has pinned."""

    def __init__(self, limits: Limits) -> None:
        self.module, self.hub = new_identity(), new_identity()
        self.module_pin = pin(self.module.certificate, "module")
        self.pins = Pins([pin(self.hub.certificate, "controller", "hub")])
        self.clock, self.echo = Skipping(), Echo()
        self.desk = PairingDesk(self.module, self.pins, self.clock, secret=bytes(range(16)))
        self.limits = limits
        self.server: Server

    async def connect(self, who: Identity | None = None, limits: Limits = DEFAULT_LIMITS) -> LinkSession:
        return await connect(
            HOST, self.server.port, who or self.hub, self.module_pin, self.clock, limits=limits
        )

    def stranger(self) -> LinkSession:
        return LinkSession(
            HOST, self.server.port, None, self.module.fingerprint, self.clock, limits=DEFAULT_LIMITS
        )

    async def raw(self, data: bytes, who: Identity | None = None) -> bytes:
        """Write bytes into the TLS connection and read until its end."""
        context: ssl.SSLContext = client_context(who, None)
        reader, writer = await asyncio.open_connection(
            HOST, self.server.port, ssl=context, server_hostname="any.ores"
        )
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 5)
        finally:
            writer.transport.abort()


@asynccontextmanager
async def house(limits: Limits = DEFAULT_LIMITS, *, paired: bool = True) -> AsyncIterator[House]:
    made = House(limits)
    if not paired:
        made.pins.clear()
        made.desk = PairingDesk(made.module, made.pins, made.clock, secret=bytes(range(16)))
    made.server = await serve(
        made.echo, made.module, made.pins, clock=made.clock, host=HOST, limits=limits, desk=made.desk
    )
    try:
        yield made
    finally:
        await made.server.close()
        await asyncio.sleep(0.02)  # both ends of what was just cut learn of it


class Ears:
    """Hears a stream."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self.reasons: list[str] = []
        self.ended = asyncio.Event()

    def on_frame(self, frame: bytes) -> None:
        self.frames.put_nowait(frame)

    def on_closed(self, reason: str) -> None:
        self.reasons.append(reason)
        self.ended.set()

    async def next(self) -> bytes:
        return await asyncio.wait_for(self.frames.get(), 5)

    async def end(self) -> str:
        await asyncio.wait_for(self.ended.wait(), 5)
        return self.reasons[0]
