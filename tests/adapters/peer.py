"""A SunSpec device that owes our decoder nothing: pysunspec2 lays its registers out, pymodbus serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import pytest
from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

sunspec = pytest.importorskip("sunspec2.device", reason="pysunspec2 is not installed: pip install pysunspec2")

COMMON = {"Mn": "Voltarn", "Md": "Sun 8", "SN": "V-0042", "Vr": "2.1", "DA": 1}
Values = dict[str, object]


class Peer:
    """The registers of a device.

    Args:
        models: Id and values of each model after the common one, raw; the rest is not implemented.
        base: Where the mark stands.
        common: Values of model 1.
    """

    def __init__(self, *models: tuple[int, Values], base: int = 40_000, common: Values = COMMON) -> None:
        self.base = base
        self.models = []
        self.address = {}
        self.registers = words(b"SunS")
        for number, values in ((1, common), *models):
            model = sunspec.Model(number, data=dict(values))
            assert not model.error_info, model.error_info
            self.address[number, len([one for one in self.models if one.model_id == number])] = base + len(
                self.registers
            )
            self.models.append(model)
            self.registers += words(model.get_mb())
        self.registers += [0xFFFF, 0]
        self.reads: list[tuple[int, int]] = []
        self.writes: list[tuple[int, list[int]]] = []
        self.silent = False
        self.keeps: Callable[[int], bool] = lambda _address: True
        self.on_write: Callable[[], None] = lambda: None
        self.refuses: Callable[[int, int], ExcCodes | None] = lambda _address, _count: None

    def set(self, number: int, **values: object) -> None:
        """Change points of a model, raw."""
        model = next(one for one in self.models if one.model_id == number)
        for name, value in values.items():
            point = model.points[name]
            point.set_value(value)
            begin = self.address[number, 0] - self.base + point.offset
            self.registers[begin : begin + point.len] = words(point.get_mb())

    def get(self, number: int, name: str) -> object:
        """A point of a model, raw, as a client has written it."""
        model = next(one for one in self.models if one.model_id == number)
        point = model.points[name]
        begin = self.address[number, 0] - self.base + point.offset
        data = b"".join(word.to_bytes(2, "big") for word in self.registers[begin : begin + point.len])
        point.set_mb(data)
        return point.value


def words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


@asynccontextmanager
async def served(peer: Peer, unit: int = 1, port: int = 0) -> AsyncIterator[int]:
    """Behind Modbus TCP on this machine; gives the port."""

    async def act(
        _function: int, _start: int, address: int, count: int, held: list[int], values: Sequence[int] | None
    ) -> ExcCodes | None:
        if (refused := peer.refuses(address, count)) is not None:
            return refused
        if values is None:
            peer.reads.append((address, count))
        else:
            peer.writes.append((address, list(values)))
            peer.registers[address - peer.base : address - peer.base + count] = values
            peer.on_write()
        held[:] = peer.registers
        return None

    data = SimData(peer.base, values=list(peer.registers), datatype=DataType.REGISTERS)
    drop = {"trace_packet": lambda sending, packet: b"" if sending and peer.silent else packet}
    server = ModbusTcpServer(SimDevice(unit, simdata=[data], action=act), address=("127.0.0.1", port), **drop)
    await server.serve_forever(background=True)
    try:
        yield server.transport.sockets[0].getsockname()[1]
    finally:
        await server.shutdown()
