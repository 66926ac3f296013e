"""Devices that owe our templates nothing: registers as their makers document them, served by pymodbus.

An image is a file: what stands at which address, and what the device then has to be shown as. Its numbers are
encoded here, by hand, so that a mistake of the decoder is not made twice.

`python -m tests.adapters.image NAME [PORT]` serves one until it is ended, and prints its port.
"""

from __future__ import annotations

import asyncio
import os
import pty
import struct
import sys
import tty
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pymodbus import FramerType
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from ores.adapters.modbus import Rejected
from ores.link.clock import Clock
from ores.link.errors import TimedOut

FOLDER = Path(__file__).parent / "images"
FORMATS = {
    "u16": ">H",
    "i16": ">h",
    "u32": ">I",
    "i32": ">i",
    "u64": ">Q",
    "i64": ">q",
    "f32": ">f",
    "f64": ">d",
}


def words(said: object) -> list[int]:
    """`f32 230.1`, `u32 low 70000`, `text 8 EM24`, or a number as it stands in the register."""
    if isinstance(said, int):
        return [said & 0xFFFF]
    kind, *rest = str(said).split(" ")
    if kind == "text":
        data = " ".join(rest[1:]).encode().ljust(2 * int(rest[0]), b"\0")
    else:
        number = float(rest[-1]) if kind[0] == "f" else int(rest[-1], 0)
        data = struct.pack(FORMATS[kind], number)
    found = [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
    return found[::-1] if "low" in rest else found


@cache
def content(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / f"{name}.yaml").read_text())


class Image:
    """The registers of a device.

    Args:
        name: Of its file.
    """

    def __init__(self, name: str) -> None:
        told = content(name)
        self.name = name
        self.unit: int = told["unit"]
        self.expect: dict[str, object] = told["expect"]
        self.answers: list[str] = told.get("answers", [])
        self.commanded: list[dict[str, Any]] = told.get("commanded", [])
        self.tables: dict[str, dict[int, int]] = {"holding": {}, "input": {}}
        for table, held in self.tables.items():
            for at, said in told.get(table, {}).items():
                for offset, word in enumerate(words(said)):
                    assert at + offset not in held, f"{name}: {table} {at + offset} is there twice"
                    held[at + offset] = word
        self.refused: set[int] = set(told.get("refused", ()))
        self.reads: list[tuple[str, int, int]] = []
        self.writes: list[tuple[int, list[int]]] = []
        self.silent = False
        self.keeps: Callable[[int], bool] = lambda _address: True
        self.on_write: Callable[[], None] = lambda: None

    def set(self, table: str, at: int, said: object) -> None:
        for offset, word in enumerate(words(said)):
            self.tables[table][at + offset] = word

    def get(self, at: int, kind: str = "u16", table: str = "holding") -> float:
        size = struct.calcsize(FORMATS[kind]) // 2
        data = b"".join(self.tables[table].get(at + one, 0).to_bytes(2, "big") for one in range(size))
        return struct.unpack(FORMATS[kind], data)[0]

    def there(self, table: str, at: int, count: int) -> bool:
        """Whether a device would answer: holes within what it has are zeros, beyond it there is nothing."""
        held = self.tables[table]
        inside = bool(held) and min(held) <= at and at + count - 1 <= max(held)
        return inside and not self.refused & set(range(at, at + count))

    def read(self, table: str, at: int, count: int) -> list[int] | None:
        self.reads.append((table, at, count))
        if not self.there(table, at, count):
            return None
        return [self.tables[table].get(at + one, 0) for one in range(count)]

    def write(self, at: int, values: Sequence[int]) -> bool:
        self.writes.append((at, list(values)))
        if not self.there("holding", at, len(values)):
            return False
        for offset, word in enumerate(values):
            if self.keeps(at + offset):
                self.tables["holding"][at + offset] = word
        self.on_write()
        return True


class ImageWire:
    """`Tables` of an image without a socket, in virtual time."""

    def __init__(self, image: Image, clock: Clock) -> None:
        self.image, self.clock = image, clock

    async def read(self, address: int, count: int) -> list[int]:
        return await self._read("holding", address, count)

    async def read_input(self, address: int, count: int) -> list[int]:
        return await self._read("input", address, count)

    async def write(self, address: int, values: Sequence[int]) -> None:
        await self._ask()
        if not self.image.write(address, values):
            raise Rejected(f"write {address}", 2)

    async def write_one(self, address: int, value: int) -> None:
        await self.write(address, [value])

    def close(self) -> None:
        pass

    async def _read(self, table: str, address: int, count: int) -> list[int]:
        await self._ask()
        found = self.image.read(table, address, count)
        if found is None:
            raise Rejected(f"read {count} from {address}", 2)
        return found

    async def _ask(self) -> None:
        await self.clock.sleep(2.0 if self.image.silent else 0.01)
        if self.image.silent:
            raise TimedOut("no answer")


def acting(image: Image) -> SimDevice:
    """The image as a device of pymodbus."""

    async def act(function: int, start: int, address: int, count: int, *more: Any) -> ExcCodes | None:
        held, values = more  # of the table that this is about, and what is to be written
        table = "input" if function == 4 else "holding"
        if values is not None:
            return None if image.write(address, values) else ExcCodes.ILLEGAL_ADDRESS
        found = image.read(table, address, count)
        if found is None:
            return ExcCodes.ILLEGAL_ADDRESS
        held[address - start : address - start + count] = found
        return None

    def block(table: str) -> list[SimData]:
        held = image.tables[table] or {0: 0}
        least, most = min(held), max(held)
        return [SimData(least, values=[held.get(at, 0) for at in range(least, most + 1)],
                        datatype=DataType.REGISTERS)]  # fmt: skip

    def bits() -> list[SimData]:
        return [SimData(0, values=[False] * 16, datatype=DataType.BITS)]

    return SimDevice(image.unit, simdata=(bits(), bits(), block("holding"), block("input")), action=act)


@asynccontextmanager
async def served(image: Image, port: int = 0, *, rtu: bool = False) -> AsyncIterator[int]:
    """Behind Modbus TCP on this machine, or RTU over TCP; gives the port."""

    device = acting(image)
    drop = {"trace_packet": lambda sending, packet: b"" if sending and image.silent else packet}
    framer = FramerType.RTU if rtu else FramerType.SOCKET
    server = ModbusTcpServer(device, address=("127.0.0.1", port), framer=framer, **drop)
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()


@asynccontextmanager
async def on_a_line(image: Image) -> AsyncIterator[str]:
    """At a serial line that is a pair of terminals; gives the path of the near end."""
    near, near_path = _terminal()
    far, far_path = _terminal()
    loop = asyncio.get_running_loop()
    loop.add_reader(near, lambda: os.write(far, os.read(near, 512)))
    loop.add_reader(far, lambda: os.write(near, os.read(far, 512)))
    server = ModbusSerialServer(acting(image), framer=FramerType.RTU, port=far_path, baudrate=9600)
    await server.serve_forever(background=True)
    try:
        yield near_path
    finally:
        await server.shutdown()
        for end in (near, far):
            loop.remove_reader(end)
            os.close(end)


def _terminal() -> tuple[int, str]:
    """A terminal whose bytes go through as they are: what a program sees of a serial port."""
    end, other = pty.openpty()
    tty.setraw(other)
    return end, os.ttyname(other)


Living = Callable[[Image], Callable[[float], None]]
LIVING: dict[str, Living] = {}
"""What moves behind the registers, by the name of the image; see `living`."""
STEP_S = 0.1


def living(name: str) -> Callable[[Living], Living]:
    def told(one: Living) -> Living:
        LIVING[name] = one
        return one

    return told


async def main(arguments: Sequence[str], wait: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    from tests.adapters import physics  # noqa: F401, PLC0415  it knows what moves in which image

    image = Image(arguments[0])
    step = LIVING[arguments[0]](image) if arguments[0] in LIVING else lambda _dt_s: None
    async with served(image, port=int(arguments[1]) if len(arguments) > 1 else 0) as port:
        print(port, flush=True)
        while True:
            await wait(STEP_S)
            step(STEP_S)


if __name__ == "__main__":
    # under its own name, so that what is told to it is told to the same module that others import
    from tests.adapters.image import main as run

    asyncio.run(run(sys.argv[1:]))
