"""The SunSpec device behind its socket: many clients, slow ones, and some that mean no good."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvloop
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.pdu import ExceptionResponse
from tests.hub.hubhouse import House

from ores.hub.doors import sunspec_server
from ores.hub.doors.sunspec_server import FAILURE, ILLEGAL_ADDRESS, NO_SUCH_UNIT, Refusal, Server
from ores.link.clock import RealClock
from ores.link.errors import ConfigError

READ_TWO = struct.pack(">HHHBBHH", 7, 0, 6, 1, 3, 40_000, 2)
ANSWER = struct.pack(">HHHBBBHH", 7, 0, 7, 1, 3, 4, 0x5375, 0x6E53)
HOST = "127.0.0.1"
pytestmark = pytest.mark.timeout(20)


class Bank:
    def __init__(self) -> None:
        self.written: list[tuple[int, list[int]]] = []

    def read(self, address: int, count: int) -> Sequence[int]:
        if address == 666:
            raise ZeroDivisionError("a defect")
        return [0x5375, 0x6E53, *[0] * 123][:count]

    def write(self, address: int, values: Sequence[int]) -> None:
        if address == 1:
            raise Refusal(ILLEGAL_ADDRESS)
        self.written.append((address, list(values)))


@asynccontextmanager
async def served(bank: Bank) -> AsyncIterator[Server]:
    server = Server(bank, unit=1)
    await server.open(HOST, 0, "--sunspec")
    try:
        yield server
    finally:
        await server.close()
        await asyncio.sleep(0)


async def connect(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, server.port)


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(1), 2.0) == b""
    except ConnectionResetError:
        return True


async def test_a_client_that_none_of_us_wrote_reads_and_writes(tmp_path: Path) -> None:
    home = House(RealClock(), data=tmp_path, sunspec="0?control=yes&unit=3")
    async with home.hub() as running:
        client = AsyncModbusTcpClient(HOST, port=running.sunspec_port)
        assert await client.connect()
        for _ in range(100):
            mark = await client.read_holding_registers(40_000, count=2, device_id=3)
            if not mark.isError():
                break
            await asyncio.sleep(0.02)
        assert mark.registers == [0x5375, 0x6E53]
        head = await client.read_holding_registers(40_182, count=2, device_id=3)
        assert head.registers == [123, 24]
        assert not (await client.write_register(40_182 + 5, 2500, device_id=3)).isError()
        assert not (await client.write_registers(40_182 + 9, [1], device_id=3)).isError()
        assert (await client.read_holding_registers(40_182 + 5, count=1, device_id=3)).registers == [2500]
        assert [one.proposal.source for one in running.hub.proposals.held()] == ["sunspec"]
        for refused in (
            await client.read_holding_registers(0, count=2, device_id=3),
            await client.write_register(40_002, 9, device_id=3),
        ):
            assert isinstance(refused, ExceptionResponse)
            assert refused.exception_code == ILLEGAL_ADDRESS
        other = await client.read_holding_registers(40_000, count=2, device_id=4)
        assert other.exception_code == NO_SUCH_UNIT
        client.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, running.sunspec_port)


async def test_a_port_that_is_taken_is_said_at_the_start(tmp_path: Path) -> None:
    async with served(Bank()) as server:
        home = House(RealClock(), data=tmp_path, sunspec=str(server.port))
        with pytest.raises(ConfigError, match="--sunspec"):
            async with home.hub():
                pass


async def test_frames_come_cut_anyhow_and_many_at_once() -> None:
    async with served(Bank()) as server:
        reader, writer = await connect(server)
        for byte in READ_TWO:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.write(READ_TWO * 20)
        assert await reader.readexactly(20 * len(ANSWER)) == 20 * ANSWER
        writer.close()


def test_the_loop_of_a_hub_in_a_house_serves_as_well() -> None:
    async def main() -> None:
        async with served(Bank()) as server:
            reader, writer = await connect(server)
            writer.write(READ_TWO * 20)
            assert await reader.readexactly(20 * len(ANSWER)) == 20 * ANSWER
            writer.close()
            await writer.wait_closed()

    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(main())
    finally:
        loop.close()


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\0" * 12, b"\0\1\0\0\xff\xff\1\3"])
async def test_what_is_no_modbus_ends_its_connection_alone(garbage: bytes) -> None:
    async with served(Bank()) as server:
        good, to_good = await connect(server)
        bad, to_bad = await connect(server)
        to_bad.write(garbage)
        assert await ended(bad)
        to_good.write(READ_TWO)
        assert await good.readexactly(len(ANSWER)) == ANSWER
        to_good.close()
        to_bad.close()


async def test_a_defect_behind_a_register_is_answered_with_a_failure() -> None:
    async with served(Bank()) as server:
        reader, writer = await connect(server)
        writer.write(struct.pack(">HHHBBHH", 7, 0, 6, 255, 3, 666, 2) + READ_TWO)
        assert (await reader.readexactly(9))[-2:] == bytes((0x83, FAILURE))
        assert await reader.readexactly(len(ANSWER)) == ANSWER
        writer.close()


async def test_who_floods_and_reads_nothing_is_no_longer_heard_and_others_are() -> None:
    bank = Bank()
    async with served(bank) as server:
        _, flooding = await connect(server)
        flooding.write(READ_TWO * 20_000)  # and reads nothing
        reader, writer = await connect(server)
        for _ in range(10):
            writer.write(READ_TWO)
            assert len(await reader.readexactly(len(ANSWER))) == len(ANSWER)
        (flood,) = [one for one in server.connections if one._heard]
        assert len(flood._heard) < 300_000
        assert flood._transport is not None
        assert not flood._transport.is_reading()
        flooding.transport.abort()
        writer.close()


async def test_who_does_not_end_a_frame_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sunspec_server, "SWEEP_S", 0.02)
    monkeypatch.setattr(sunspec_server, "FRAME_S", 0.05)
    async with served(Bank()) as server:
        idle, to_idle = await connect(server)
        slow, to_slow = await connect(server)
        to_slow.write(READ_TWO[:5])
        assert await ended(slow)
        to_idle.write(READ_TWO)
        assert len(await idle.readexactly(len(ANSWER))) == len(ANSWER)
        to_idle.close()
        to_slow.close()


async def test_who_is_idle_for_long_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sunspec_server, "SWEEP_S", 0.02)
    monkeypatch.setattr(sunspec_server, "IDLE_S", 0.05)
    async with served(Bank()) as server:
        idle, to_idle = await connect(server)
        assert await ended(idle)
        assert not server.connections
        to_idle.close()


async def test_the_newest_gets_in_in_place_of_the_one_that_was_idle_the_longest() -> None:
    async with served(Bank()) as server:
        clients = [await connect(server) for _ in range(sunspec_server.OF_ONE_HOST_MAX)]
        first, to_first = clients[0]
        to_first.write(READ_TWO)
        await first.readexactly(len(ANSWER))
        newest, to_newest = await connect(server)
        to_newest.write(READ_TWO)
        await newest.readexactly(len(ANSWER))
        assert await ended(clients[1][0])
        to_first.write(READ_TWO)
        await first.readexactly(len(ANSWER))
        assert len(server.connections) == sunspec_server.OF_ONE_HOST_MAX
        for _, writer in [*clients, (newest, to_newest)]:
            writer.close()
