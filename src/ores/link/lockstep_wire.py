"""The lines that lock-step participants exchange; `link.lockstep` says what they mean."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from ores.link.errors import ConfigError

VERSION: Final = 1
LINE_MAX_BYTES: Final = 1 << 20

log = logging.getLogger(__name__)


class Join(msgspec.Struct, frozen=True, tag="join"):
    """A process wants to take part."""

    version: int
    name: str
    pid: int


class Idle(msgspec.Struct, frozen=True, tag="idle"):
    """Nothing is left to do here at the present time."""

    round: int
    report: int
    next_s: float | None
    held: bool
    channels: dict[str, tuple[int, int, bool]]


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """The present time, for a new participant, and its number: the how manieth it is to join."""

    round: int
    member: int
    now_s: float
    start_utc: datetime


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """Why a participant may not take part."""

    reason: str


class Move(msgspec.Struct, frozen=True, tag="move"):
    """Time has moved."""

    round: int
    now_s: float
    turn: bool
    report: int


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Report again when idle."""

    round: int


_encode = msgspec.json.Encoder().encode
from_participant: msgspec.json.Decoder[Join | Idle] = msgspec.json.Decoder(Join | Idle)
from_conductor: msgspec.json.Decoder[Welcome | Refused | Move | Ask] = msgspec.json.Decoder(
    Welcome | Refused | Move | Ask
)


class Lines(asyncio.Protocol):
    """One JSON object per line; what cannot be read closes the connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to talk to."""
        if isinstance(transport, asyncio.Transport):
            self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Hear each whole line."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        try:
            for line in lines:
                self.heard(line)
            if len(self._buffer) > LINE_MAX_BYTES:
                raise msgspec.DecodeError(f"a line of more than {LINE_MAX_BYTES} bytes")
        except msgspec.MsgspecError as error:
            log.warning("lock-step: unreadable message, connection closed: %s", error)
            self.hang_up()

    def heard(self, line: bytes) -> None:
        """Take one line."""
        raise NotImplementedError

    def say(self, message: Join | Idle | Welcome | Refused | Move | Ask) -> None:
        """Send one line, unless the connection is gone."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(_encode(message) + b"\n")

    def hang_up(self) -> None:
        """Close the connection."""
        if self.transport is not None:
            self.transport.close()


def parsed_address(address: str) -> Path | tuple[str, int]:
    """A path for a unix socket, or host and port on loopback. Raises `ConfigError` for anything else."""
    if "/" in address:
        return Path(address)
    host, _, port = address.rpartition(":")
    if host not in {"127.0.0.1", "::1", "localhost"} or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(
            "lock-step address", found=address, allowed="a path with a slash, or 127.0.0.1:port"
        )
    return host, int(port)
