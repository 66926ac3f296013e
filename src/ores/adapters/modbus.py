"""Modbus registers behind a small interface; nothing else knows the library.

One connection for each device, opened when it is needed. Whatever goes wrong on it ends it, so that an answer
that comes late can never pass for the answer to a later question. Who asks decides when to try again.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, Protocol

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.client.base import ModbusBaseClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.pdu import ExceptionResponse, ModbusPDU

from ores.link.clock import Clock
from ores.link.errors import Disconnected, PeerError, TimedOut

READ_MAX: Final = 125
"""Registers in one request; more do not fit a Modbus frame."""
WRITE_MAX: Final = 123
PORT: Final = 502
ANSWER_S: Final = 2.0
"""For a connection, and for each answer; slow loggers take most of a second."""
ILLEGAL_ADDRESS: Final = 2

# what the library would log, comes to us as an exception, and is told once instead of each second
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)


class Rejected(PeerError):
    """The device answers with a Modbus exception.

    Args:
        detail: Which request.
        exception: Its code: 1 function, 2 address, 3 value, 4 failure, 6 busy, 10 and 11 gateway.
    """

    def __init__(self, detail: str, exception: int) -> None:
        super().__init__(detail)
        self.exception: Final = exception


class Registers(Protocol):
    """Holding registers of one unit."""

    async def read(self, address: int, count: int) -> list[int]:
        """Registers from `address` on, each 0 to 65 535.

        Args:
            address: As on the wire, counted from 0.
            count: 1 to `READ_MAX`.

        Raises:
            Unavailable: No connection, or no answer in time.
            Rejected: The device refuses.
            PeerError: The answer is none to this request.
        """
        ...

    async def write(self, address: int, values: Sequence[int]) -> None:
        """Write registers in one request; raises as `read` does. What was written is not thereby believed."""
        ...

    def close(self) -> None:
        """End the connection; the next request opens another."""
        ...


class Tables(Registers, Protocol):
    """Registers of one unit with both tables, for devices that keep what they measure in the other one."""

    async def read_input(self, address: int, count: int) -> list[int]:
        """Input registers (function 4); else as `read`."""
        ...

    async def write_one(self, address: int, value: int) -> None:
        """Write one register with function 6, which some devices take alone; else as `write`."""
        ...


What = Callable[[], str]
"""A request in words; most need none, for they are answered."""


@contextmanager
def asking(what: What, clock: Clock, close: Callable[[], None]) -> Iterator[What]:
    """One request; all that goes wrong, but for a refusal, leaves nothing of the connection.

    Args:
        what: Of whom, and which; asked for only when it goes wrong.
        clock: Held while the answer is awaited.
        close: Ends the connection.

    Raises:
        TimedOut: No answer came in time.
        Disconnected: The connection broke, or there was none.
    """
    try:
        with clock.hold():
            yield what
    except Rejected:
        raise
    except (ModbusIOException, TimedOut) as error:
        close()
        raise TimedOut(f"{what()}: no answer") from error
    except (ModbusException, OSError, EOFError) as error:
        close()
        raise Disconnected(f"{what()}: {error}") from error
    except BaseException:
        close()  # also when the task ends here: nobody will read the answer
        raise


class _Modbus(ABC):
    """What all ways share: a connection that is opened when it is needed, and ended by what goes wrong.

    Args:
        where: For what is said of it.
        unit: 0 to 255; behind a gateway or logger, which device of it.
        clock: Held while an answer is awaited.
    """

    def __init__(self, where: str, unit: int, clock: Clock) -> None:
        self._where: Final = where
        self._unit: Final = unit
        self._clock: Final = clock
        self._client: ModbusBaseClient | None = None
        self.has_connected = False

    @abstractmethod
    def _new(self) -> ModbusBaseClient:
        """A client that has not connected yet."""

    async def read(self, address: int, count: int) -> list[int]:
        """See `Registers`."""
        client = await self._connected()
        with self._asking(lambda: f"read {count} registers from {address}") as what:
            answer = await client.read_holding_registers(address, count=count, device_id=self._unit)
            return self._found(answer, count, what)

    async def read_input(self, address: int, count: int) -> list[int]:
        """See `Tables`."""
        client = await self._connected()
        with self._asking(lambda: f"read {count} input registers from {address}") as what:
            answer = await client.read_input_registers(address, count=count, device_id=self._unit)
            return self._found(answer, count, what)

    async def write(self, address: int, values: Sequence[int]) -> None:
        """See `Registers`."""
        client = await self._connected()
        with self._asking(lambda: f"write {len(values)} registers from {address}") as what:
            _check(await client.write_registers(address, list(values), device_id=self._unit), what)

    async def write_one(self, address: int, value: int) -> None:
        """See `Tables`."""
        client = await self._connected()
        with self._asking(lambda: f"write the register {address}") as what:
            _check(await client.write_register(address, value, device_id=self._unit), what)

    def close(self) -> None:
        """See `Registers`."""
        if self._client is not None:
            self._client.close()
            self._client = None

    async def _connected(self) -> ModbusBaseClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.close()
        client = self._new()
        self._client = client
        with self._clock.hold():
            try:
                is_there = await client.connect()
            except Exception as error:  # the driver of a serial port says no in ways of its own
                self.close()
                raise Disconnected(f"{self._where}: {error}") from error
            if not is_there:
                self.close()
                raise Disconnected(f"{self._where}: no connection")
        self.has_connected = True
        return client

    @staticmethod
    def _found(answer: ModbusPDU, count: int, what: What) -> list[int]:
        """The registers of an answer."""
        _check(answer, what)
        if len(answer.registers) != count:
            raise PeerError(f"{what()}: {len(answer.registers)} came")
        return list(answer.registers)

    def _asking(self, request: What) -> AbstractContextManager[What]:
        return asking(lambda: f"{self._where} unit {self._unit}: {request()}", self._clock, self.close)


class ModbusTcp(_Modbus):
    """Registers of one unit behind a Modbus TCP server, or behind a gateway that passes RTU on.

    Args:
        host: Name or address.
        port: TCP.
        unit: 0 to 255; behind a gateway or logger, which device of it.
        clock: Held while an answer is awaited.
        answer_s: For a connection, and for each answer.
        rtu: The frames are those of RTU, as a gateway sends them that knows nothing of Modbus.
    """

    def __init__(
        self,
        host: str,
        port: int = PORT,
        *,
        unit: int = 1,
        clock: Clock,
        answer_s: float = ANSWER_S,
        rtu: bool = False,
    ) -> None:
        super().__init__(f"{host}:{port}", unit, clock)
        self._host, self._port = host, port
        self._answer_s: Final = answer_s
        self._framer: Final = FramerType.RTU if rtu else FramerType.SOCKET

    def _new(self) -> ModbusBaseClient:
        return AsyncModbusTcpClient(
            self._host,
            port=self._port,
            framer=self._framer,
            timeout=self._answer_s,
            retries=0,
            reconnect_delay=0,
        )


class ModbusSerial(_Modbus):
    """Registers of one unit at a serial line of this machine, by RTU.

    Args:
        path: Of the port, such as `/dev/ttyUSB0`; nobody else may use it meanwhile.
        unit: 1 to 247.
        clock: Held while an answer is awaited.
        answer_s: For each answer.
        baud: Of the line.
        parity: `none`, `even` or `odd`.
        stop_bits: 1 or 2.
    """

    def __init__(
        self,
        path: str,
        *,
        unit: int = 1,
        clock: Clock,
        answer_s: float = ANSWER_S,
        baud: int = 9600,
        parity: str = "none",
        stop_bits: int = 1,
    ) -> None:
        super().__init__(path, unit, clock)
        self._line: Final = (path, baud, parity[0].upper(), stop_bits)
        self._answer_s: Final = answer_s

    def _new(self) -> ModbusBaseClient:
        path, baud, parity, stop_bits = self._line
        return AsyncModbusSerialClient(
            path,
            framer=FramerType.RTU,
            baudrate=baud,
            parity=parity,
            stopbits=stop_bits,
            timeout=self._answer_s,
            retries=0,
            reconnect_delay=0,
        )


def _check(answer: ModbusPDU, what: What) -> None:
    if isinstance(answer, ExceptionResponse):
        code = answer.exception_code
        raise Rejected(f"{what()}: the device answers with exception {code}", code)
    if answer.isError():
        raise PeerError(f"{what()}: {answer}")
