from __future__ import annotations

import asyncio
from collections.abc import Callable

from ores.link.clock import RealClock
from ores.link.client import connect
from ores.link.endpoint import Peer, Reply, Stream
from ores.link.identity import new_identity
from ores.link.pins import Pins, pin
from ores.link.server import serve


class Echo:
    """Answers with what it was asked; its stream sends back what it receives."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []
        self.closed = 0

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        self.peers.append(peer)
        return Reply(200, f"{method} {path} ".encode() + body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        self.peers.append(peer)
        return EchoStream(self, send)


class EchoStream:
    def __init__(self, echo: Echo, send: Callable[[bytes], None]) -> None:
        self._echo, self._send = echo, send

    def receive(self, frame: bytes) -> None:
        self._send(frame)

    def closed(self) -> None:
        self._echo.closed += 1


async def test_two_paired_sides_talk() -> None:
    module, hub, clock, echo = new_identity(), new_identity(), RealClock(), Echo()
    server = await serve(echo, module, Pins([pin(hub.certificate, "controller")]), clock=clock, host="127.0.0.1")
    session = await connect("127.0.0.1", server.port, hub, pin(module.certificate, "module"), clock)
    assert await session.request("PUT", "/lease?x=1", b"{}") == Reply(200, b"PUT /lease?x=1 {}")
    frames: asyncio.Queue[bytes] = asyncio.Queue()
    ends: list[str] = []
    send = await session.open_stream(frames.put_nowait, ends.append)
    send(b'{"a":1}')
    assert await asyncio.wait_for(frames.get(), 2) == b'{"a":1}'
    assert echo.peers == [Peer(hub.id, "controller")] * 2
    await session.close()
    assert ends == ["closed by this side"]
    await server.close()
    assert echo.closed == 1
