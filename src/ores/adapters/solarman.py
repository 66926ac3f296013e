"""Modbus registers behind a Solarman logger: RTU frames inside frames of its own protocol, V5, over TCP.

```
A5 | length | 10 45 | number | logger | 02 00 00 | 12 bytes | RTU frame | sum | 15     a request
A5 | length | 10 15 | number | logger | 02 status | 12 bytes | RTU frame | sum | 15    its answer
```

Numbers are little-endian; the length is that of what stands between the logger's serial number and the sum.
The logger sends frames of its own in between, which are passed over. One connection, as in
`ores.adapters.modbus`: whatever goes wrong on it ends it.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Sequence
from typing import Final

from ores.adapters.modbus import Rejected, asking
from ores.link.clock import Clock
from ores.link.errors import PeerError

PORT: Final = 8899
ANSWER_S: Final = 5.0
"""A logger asks its inverter first, at 9600 baud."""
READ_HOLDING, READ_INPUT, WRITE_ONE, WRITE_MANY = 3, 4, 6, 16
_START, _END = 0xA5, 0x15
_REQUEST, _ANSWER = 0x4510, 0x1510
_HEAD: Final = struct.Struct("<BHHHI")
_AROUND: Final = 14
"""Bytes of an answer before its RTU frame."""
_PAYLOAD_MAX: Final = 1024


class Solarman:
    """Registers of one unit behind a logger.

    Args:
        host: Name or address of the logger.
        port: TCP.
        logger: Its serial number, as it stands on its label.
        unit: 0 to 255.
        clock: Held while an answer is awaited.
        answer_s: For a connection, and for each answer.
    """

    def __init__(
        self,
        host: str,
        port: int = PORT,
        *,
        logger: int,
        unit: int = 1,
        clock: Clock,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._host, self._port = host, port
        self._where: Final = f"{host}:{port} logger {logger}"
        self._logger: Final = logger
        self._unit: Final = unit
        self._clock: Final = clock
        self._answer_s: Final = answer_s
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._number = 0
        self.has_connected = False

    async def read(self, address: int, count: int) -> list[int]:
        """See `Registers`."""
        return await self._read(READ_HOLDING, address, count)

    async def read_input(self, address: int, count: int) -> list[int]:
        """See `Tables`."""
        return await self._read(READ_INPUT, address, count)

    async def write(self, address: int, values: Sequence[int]) -> None:
        """See `Registers`."""
        many = struct.pack(f">BHHB{len(values)}H", WRITE_MANY, address, len(values), 2 * len(values), *values)
        await self._ask(many, f"write {len(values)} registers from {address}")

    async def write_one(self, address: int, value: int) -> None:
        """See `Tables`."""
        await self._ask(struct.pack(">BHH", WRITE_ONE, address, value), f"write the register {address}")

    def close(self) -> None:
        """See `Registers`."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    async def _read(self, function: int, address: int, count: int) -> list[int]:
        what = f"read {count} registers from {address}"
        answer = await self._ask(struct.pack(">BHH", function, address, count), what)
        if len(answer) < 2 + 2 * count or answer[1] != 2 * count:
            self.close()
            raise PeerError(f"{self._where}: {what}: another number of them came")
        return list(struct.unpack(f">{count}H", answer[2 : 2 + 2 * count]))

    async def _ask(self, question: bytes, what: str) -> bytes:
        """The answer to one question, from its function on; what goes wrong ends the connection.

        Raises:
            Rejected: The device refuses.
            Unavailable: No connection, or no answer in time.
            PeerError: The answer is none to this question.
        """
        said = f"{self._where} unit {self._unit}: {what}"
        with asking(lambda: said, self._clock, self.close):
            async with self._clock.timeout(self._answer_s):
                reader, writer = await self._connected()
                self._number = (self._number + 1) & 0xFF
                writer.write(framed(self._logger, self._number, rtu(self._unit, question)))
                await writer.drain()
                answer = await self._answer(reader, said)
            return self._checked(answer, question, said)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)
            self.has_connected = True
        return self._streams

    async def _answer(self, reader: asyncio.StreamReader, said: str) -> bytes:
        """The RTU frame of the next answer to what was asked last."""
        while True:
            head = await reader.readexactly(_HEAD.size)
            start, length, code, number, logger = _HEAD.unpack(head)
            if start != _START or length > _PAYLOAD_MAX:
                raise PeerError(f"{said}: no frame of a logger came")
            rest = await reader.readexactly(length + 2)
            if rest[-1] != _END or rest[-2] != sum(head[1:] + rest[:-2]) & 0xFF:
                raise PeerError(f"{said}: a frame came that is not whole")
            if code == _ANSWER and number & 0xFF == self._number:
                if logger != self._logger:
                    raise PeerError(f"{said}: logger {logger} answers")
                return rest[_AROUND:-2]

    def _checked(self, answer: bytes, question: bytes, said: str) -> bytes:
        """An RTU frame from its function on, when it is one."""
        length = _length_of(answer)
        # some loggers put more bytes behind the frame
        if (
            length is None
            or len(answer) < length
            or answer[:length] != rtu(answer[0], answer[1 : length - 2])
        ):
            raise PeerError(f"{said}: the logger has no answer of the device")
        if answer[0] != self._unit or answer[1] & 0x7F != question[0]:
            raise PeerError(f"{said}: the answer is to another question")
        if answer[1] & 0x80:
            raise Rejected(f"{said}: the device answers with exception {answer[2]}", answer[2])
        return answer[1 : length - 2]


def framed(logger: int, number: int, inner: bytes) -> bytes:
    """A request to a logger.

    Args:
        logger: Its serial number.
        number: Of the request, 0 to 255; its answer has the same.
        inner: RTU frame.
    """
    payload = b"\x02" + bytes(14) + inner
    whole = _HEAD.pack(_START, len(payload), _REQUEST, number, logger) + payload
    return whole + bytes((sum(whole[1:]) & 0xFF, _END))


def rtu(unit: int, pdu: bytes) -> bytes:
    """An RTU frame with its check (CRC-16, polynomial 0xA001, low byte first)."""
    data = bytes((unit,)) + pdu
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return data + struct.pack("<H", crc)


def _length_of(answer: bytes) -> int | None:
    """How long an RTU answer is by what it says itself; None for what is none."""
    if len(answer) < 5:
        return None
    function = answer[1]
    if function & 0x80:
        return 5
    if function in {READ_HOLDING, READ_INPUT}:
        return 5 + answer[2]
    return 8 if function in {WRITE_ONE, WRITE_MANY} else None
