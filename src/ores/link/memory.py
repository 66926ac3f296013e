"""The same link without a socket: frames stay bytes and stay in order, and nothing waits for a kernel.

Frames are handed over through the loop, never within the call that sends them, so that neither side
re-enters the other. With a delay they travel for that long in simulated time. For long replays, and for an
adapter's endpoint that lives in the hub's own process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ores.link.clock import Clock
from ores.link.endpoint import Endpoint, Peer, Reply, Stream
from ores.link.errors import Disconnected


def connect(
    endpoint: Endpoint, peer: Peer, clock: Clock, *, channel: str | None = None, delay_s: float = 0.0
) -> MemorySession:
    """Connect `peer` to an endpoint in this process.

    Args:
        endpoint: Who answers.
        peer: Who asks; believed without proof, there being no wire.
        clock: Measures the delay.
        channel: When given, frames are counted on it and wait for their turn as they would behind a socket;
            without it they are handed over as soon as the loop is free, which is cheaper.
        delay_s: How long a frame, a question or an answer travels, in s, >= 0.
    """
    return MemorySession(endpoint, peer, clock, channel=channel, delay_s=delay_s)


class MemorySession:
    """A `Session` that also can be cut (`cut`), as when the other side dies."""

    def __init__(
        self, endpoint: Endpoint, peer: Peer, clock: Clock, *, channel: str | None, delay_s: float
    ) -> None:
        if not delay_s >= 0:
            raise ValueError(f"delay_s must be 0 or more, found {delay_s}")
        self._endpoint = endpoint
        self._peer = peer
        self._clock = clock
        self._channel = channel
        self._delay_s = delay_s
        self._ended: str | None = None
        self._streams: list[_Duplex] = []

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Ask; raises `Disconnected` when either side has gone, also while the question travels."""
        await self._travel()
        reply = self._endpoint.request(self._peer, method, path, body)
        await self._travel()
        return reply

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        """Open a stream; the returned function sends on it and is silent after the end."""
        await self._travel()
        name = None if self._channel is None else self._clock.new_channel(self._channel)
        stream = _Duplex(self._clock, name, self._delay_s, on_frame, on_closed)
        self._streams.append(stream)
        stream.answering = self._endpoint.open_stream(self._peer, stream.to_asker)
        return stream.to_answerer

    async def close(self) -> None:
        """End the session; `on_closed` says that it was this side."""
        self.cut("closed by this side")

    def cut(self, reason: str) -> None:
        """End the session from outside, as when the other side dies; only the first reason counts."""
        if self._ended is None:
            self._ended = reason
            for stream in self._streams:
                stream.end(reason)

    async def _travel(self) -> None:
        self._check()
        if self._delay_s > 0:
            await self._clock.sleep(self._delay_s)
            self._check()

    def _check(self) -> None:
        if self._ended is not None:
            raise Disconnected(f"the session has ended: {self._ended}")


class _Duplex:
    """Both directions of one stream."""

    def __init__(
        self,
        clock: Clock,
        channel: str | None,
        delay_s: float,
        on_frame: Callable[[bytes], None],
        on_closed: Callable[[str], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._clock = clock
        self._channel = channel
        self._delay_s = delay_s
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._open = True
        self.answering: Stream | None = None

    def to_asker(self, frame: bytes) -> None:
        if self._open:
            self._send(self._receive_at_asker, frame)

    def to_answerer(self, frame: bytes) -> None:
        if self._open:
            self._send(self._receive_at_answerer, frame)

    def end(self, reason: str) -> None:
        if self._open:
            self._open = False
            self._loop.call_soon(self._say_closed, reason)
            if self._channel is not None:
                self._clock.close_channel(self._channel)

    def _send(self, receive: Callable[[bytes], None], frame: bytes) -> None:
        if self._delay_s > 0:
            self._clock.call_at(self._clock.now() + self._delay_s, lambda: self._arrive(receive, frame))
        elif self._channel is not None:
            self._arrive(receive, frame)
        else:
            self._loop.call_soon(receive, frame)

    def _arrive(self, receive: Callable[[bytes], None], frame: bytes) -> None:
        if self._channel is not None:
            # counted only here: what travels in simulated time must not hold that time
            self._clock.count_sent(self._channel)
            self._clock.deliver(self._channel, receive, frame)
        else:
            receive(frame)

    def _receive_at_asker(self, frame: bytes) -> None:
        if self._open:
            self._on_frame(frame)

    def _receive_at_answerer(self, frame: bytes) -> None:
        if self._open and self.answering is not None:
            self.answering.receive(frame)

    def _say_closed(self, reason: str) -> None:
        if self.answering is not None:
            self.answering.closed()
        self._on_closed(reason)
