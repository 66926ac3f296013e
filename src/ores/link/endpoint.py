"""The seam between those who answer and those who ask, without a word about transport.

What offers resources and a stream is an `Endpoint`. The other side is a `Session`, the same whether a socket
lies between (`link.server`, `link.client`) or not (`link.memory`). Paths are below `/ores/v1`; bodies and
frames are JSON text as bytes, made and read by `link.codec`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


class Peer(msgspec.Struct, frozen=True):
    """Who is on the other side, as proven by its key.

    Attributes:
        id: Derived from its public key; empty for a stranger that has shown none.
        role: `controller`, `observer`, or `stranger` (no certificate: pairing only).
    """

    id: str
    role: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to one request.

    Attributes:
        status: HTTP status; from 400 on the body is an RFC 9457 problem.
        body: JSON text.
        allow: Of a 405, the methods that the resource knows, which HTTP wants named (RFC 9110, 15.5.6);
            empty otherwise.
    """

    status: int
    body: bytes
    allow: tuple[str, ...] = ()


class Stream(Protocol):
    """One open stream, seen by whoever answers it."""

    def receive(self, frame: bytes) -> None:
        """Take one frame of the other side, in the order in which it was sent."""
        ...

    def closed(self) -> None:
        """Learn, once, that no frame comes or goes any more."""
        ...


class Endpoint(Protocol):
    """Something that answers requests and streams."""

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        """Answer at once: whoever asks holds the time still until the reply is there."""
        ...

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        """Begin a stream; `send` may be called at once, and is silent after the stream has closed."""
        ...


class Session(Protocol):
    """One peer's connection to an endpoint."""

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Ask once. Raises `Disconnected` or `TimedOut` when there is no answer."""
        ...

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        """Open the stream and return how to send on it.

        Args:
            on_frame: Called with each frame of the endpoint, in order.
            on_closed: Called once, with the reason in words, when the stream ends by whatever side.
        """
        ...

    async def close(self) -> None:
        """End the session and its streams; a second call does nothing."""
        ...
