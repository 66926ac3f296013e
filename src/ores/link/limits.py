"""What one side of a link takes from the other before it says no."""

from __future__ import annotations

from typing import Final

import msgspec


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one server or one client. Times are transport time: the wall's.

    Attributes:
        body_max_bytes: Of a request's body (server) or a reply's (client).
        frame_max_bytes: Of one stream frame, both ways.
        backlog_max_bytes: What may wait for a peer that does not read its stream.
        sessions_max: Open streams at a server; 2 for modules.
        connections_max: TLS connections at a server; strangers and observers get at most half of them.
        connect_s: For connecting, TLS included.
        request_s: For one request and its reply.
        idle_s: How long a server keeps a connection without requests.
        heartbeat_s: Between pings on a silent stream, dropped after two without an answer; None for no pings.
    """

    body_max_bytes: int = 65_536
    frame_max_bytes: int = 65_536
    backlog_max_bytes: int = 262_144
    sessions_max: int = 2
    connections_max: int = 16
    connect_s: float = 5.0
    request_s: float = 10.0
    idle_s: float = 30.0
    heartbeat_s: float | None = 5.0


DEFAULT_LIMITS: Final = Limits()
