"""A Modbus TCP server for many clients at once, some of them slow or hostile. Knows nothing of SunSpec.

A server of a library would queue without end for a client that never reads. This one answers a few requests
in a row and then rests, so that no client costs the control cycle more than a few milliseconds: what is read
on a home's network is read each second, not a thousand times.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import struct
from collections.abc import Callable, Sequence
from typing import Final, Protocol, cast

from ores.link.errors import ConfigError

CONNECTIONS_MAX: Final = 32
OF_ONE_HOST_MAX: Final = 8
"""So that one host alone cannot shut the others out."""
IDLE_S: Final = 600.0
"""Whoever asks nothing for so long is let go."""
FRAME_S: Final = 5.0
"""Within which a frame that has begun must end."""
SWEEP_S: Final = 2.5
BURST: Final = 8
"""Requests of one client that are answered in a row."""
REST_S: Final = 0.05
UNANSWERED_BYTES: Final = 4096
"""With more of its answers on the way a client is not heard."""

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
FAILURE: Final = 4
BUSY: Final = 6
NO_SUCH_UNIT: Final = 11

READ_MAX: Final = 125
WRITE_MAX: Final = 123
_HEAD: Final = struct.Struct(">HHHB")
_READ: Final = 3
_WRITE_ONE: Final = 6
_WRITE: Final = 16
_UNITS_OF_A_SERVER: Final = frozenset({0, 255})
"""Who has only one device behind TCP is also asked by these, says the Modbus TCP implementation guide."""
_log: Final = logging.getLogger(__name__)


class Refusal(Exception):
    """A request is answered with a Modbus exception.

    Args:
        code: One of the above.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"Modbus exception {code}")
        self.code: Final = code


class Registers(Protocol):
    """What is served: holding registers."""

    def read(self, address: int, count: int) -> Sequence[int]:
        """Registers from `address` on, as many as asked for; raises `Refusal`."""
        ...

    def write(self, address: int, values: Sequence[int]) -> None:
        """Take all of these, or none; raises `Refusal`."""
        ...


def answer(registers: Registers, request: bytes) -> bytes:
    """The answer to a request, both without the head of the frame.

    Args:
        registers: What is asked about.
        request: Function and what belongs to it, 1 to 253 bytes.
    """
    function = request[0]
    try:
        match function:
            case 3:
                return _read(registers, request)
            case 6:
                return _write_one(registers, request)
            case 16:
                return _write(registers, request)
            case _:
                code = ILLEGAL_FUNCTION
    except Refusal as refusal:
        code = refusal.code
    return bytes((function & 0x7F | 0x80, code))


def _read(registers: Registers, request: bytes) -> bytes:
    if len(request) != 5:
        raise Refusal(ILLEGAL_VALUE)
    address, count = struct.unpack_from(">HH", request, 1)
    if not 1 <= count <= READ_MAX:
        raise Refusal(ILLEGAL_VALUE)
    found = registers.read(address, count)
    return struct.pack(f">BB{count}H", _READ, 2 * count, *found)


def _write_one(registers: Registers, request: bytes) -> bytes:
    if len(request) != 5:
        raise Refusal(ILLEGAL_VALUE)
    address, value = struct.unpack_from(">HH", request, 1)
    registers.write(address, (value,))
    return request


def _write(registers: Registers, request: bytes) -> bytes:
    if len(request) < 6:
        raise Refusal(ILLEGAL_VALUE)
    address, count, size = struct.unpack_from(">HHB", request, 1)
    if not 1 <= count <= WRITE_MAX or size != 2 * count or len(request) != 6 + size:
        raise Refusal(ILLEGAL_VALUE)
    registers.write(address, struct.unpack_from(f">{count}H", request, 6))
    return request[:5]


class Server:
    """Serves registers to whoever connects.

    Args:
        registers: What is served.
        unit: Its number; 0 and 255 are understood as well.
    """

    def __init__(self, registers: Registers, unit: int = 1) -> None:
        self._registers: Final = registers
        self._units: Final = _UNITS_OF_A_SERVER | {unit}
        self._server: asyncio.Server | None = None
        self._sweeping: asyncio.TimerHandle | None = None
        self.connections: Final[list[Connection]] = []
        """The one that has been idle the longest first."""
        self.port = 0

    async def open(self, host: str, port: int, setting: str) -> None:
        """Listen.

        Args:
            host: An address of this machine.
            port: 0 picks a free one.
            setting: Where the two stand, for the error.

        Raises:
            ConfigError: Somebody else listens there, or the address is not ours.
        """
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=16)
        except (OSError, OverflowError) as error:
            in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
            allowed = (
                "a port that nobody else listens on" if in_use else f"an address of this machine ({error})"
            )
            raise ConfigError(setting, found=f"{host}:{port}", allowed=allowed) from error
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweep()

    async def close(self) -> None:
        """Stop listening, and end all connections."""
        if self._sweeping is not None:
            self._sweeping.cancel()
        if self._server is not None:
            self._server.close()
        for connection in [*self.connections]:
            connection.abort()

    def frame(self, frame: bytes) -> bytes:
        """The answer to a whole frame, with its head."""
        transaction, _, _, unit = _HEAD.unpack_from(frame)
        request = frame[_HEAD.size :]
        try:
            told = (
                answer(self._registers, request)
                if unit in self._units
                else bytes((request[0] & 0x7F | 0x80, NO_SUCH_UNIT))
            )
        except Exception:  # noqa: BLE001  a defect behind one register must not end the service
            _log.exception("a Modbus request could not be answered")
            told = bytes((request[0] & 0x7F | 0x80, FAILURE))
        return _HEAD.pack(transaction, 0, 1 + len(told), unit) + told

    def joined(self, connection: Connection) -> None:
        """Somebody came. The newest gets in, in place of whoever has been idle the longest."""
        self.connections.append(connection)
        of_host = [one for one in self.connections if one.host == connection.host]
        if len(of_host) > OF_ONE_HOST_MAX:
            of_host[0].abort()
        elif len(self.connections) > CONNECTIONS_MAX:
            self.connections[0].abort()

    def asked(self, connection: Connection) -> None:
        """Somebody is not idle."""
        if self.connections and self.connections[-1] is not connection and connection in self.connections:
            self.connections.remove(connection)
            self.connections.append(connection)

    def left(self, connection: Connection) -> None:
        """Somebody is gone."""
        if connection in self.connections:
            self.connections.remove(connection)

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in [*self.connections]:
            if connection.is_overdue(loop.time()):
                connection.abort()
        self._sweeping = loop.call_later(SWEEP_S, self._sweep)


class Connection(asyncio.Protocol):
    """One client.

    Args:
        server: Answers.
    """

    def __init__(self, server: Server) -> None:
        self._server: Final = server
        self._loop: Final = asyncio.get_running_loop()
        self._heard: Final = bytearray()
        self._transport: asyncio.Transport | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._is_full = False
        self._asked_at_s = self._began_at_s = self._loop.time()
        self.host = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody connects."""
        self._transport = stream = cast("asyncio.Transport", transport)  # uvloop's own is none by its class
        stream.set_write_buffer_limits(high=UNANSWERED_BYTES)
        self.host = str((stream.get_extra_info("peername") or ("",))[0])
        self._server.joined(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's
        """Somebody is gone."""
        self._transport = None
        self._heard.clear()
        if self._resting is not None:
            self._resting.cancel()
        self._server.left(self)

    def data_received(self, data: bytes) -> None:
        """Bytes, cut anyhow."""
        if not self._heard:
            self._began_at_s = self._loop.time()
        self._heard.extend(data)
        if self._resting is None and not self._is_full:
            self._work()

    def pause_writing(self) -> None:
        """It does not read its answers: it is not heard until it does."""
        self._is_full = True
        self._hear(heard=False)

    def resume_writing(self) -> None:
        """It has read some."""
        self._is_full = False
        if self._resting is None:
            self._work()

    def abort(self) -> None:
        """End it, whatever it waits for."""
        self._server.left(self)
        if self._transport is not None:
            self._transport.abort()

    def is_overdue(self, now_s: float) -> bool:
        """Whether it is idle for too long, does not end its frame, or does not read its answers."""
        if self._is_full or (self._heard and self._resting is None):
            return now_s - self._began_at_s > FRAME_S
        return now_s - self._asked_at_s > IDLE_S

    def _work(self) -> None:
        for _ in range(BURST):
            if self._transport is None or self._is_full:
                return
            frame = self._next()
            if frame is None:
                self._hear(heard=True)
                return
            self._began_at_s = self._asked_at_s = self._loop.time()
            self._server.asked(self)
            self._transport.write(self._server.frame(frame))
        self._hear(heard=False)
        self._resting = self._loop.call_later(REST_S, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if not self._is_full:
            self._work()

    def _next(self) -> bytes | None:
        """The next whole frame; what is no Modbus ends the connection: nobody knows where the next begins."""
        if len(self._heard) < _HEAD.size:
            return None
        _, protocol, length, _ = _HEAD.unpack_from(self._heard)
        if protocol != 0 or not 2 <= length <= 254:
            self.abort()
            return None
        size = _HEAD.size - 1 + length
        if len(self._heard) < size:
            return None
        frame = bytes(self._heard[:size])
        del self._heard[:size]
        return frame

    def _hear(self, *, heard: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        act: Callable[[], None] = self._transport.resume_reading if heard else self._transport.pause_reading
        if heard != self._transport.is_reading():
            act()
