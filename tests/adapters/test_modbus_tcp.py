"""The transport, over a socket: refusals, silence, a connection that is gone, answers that come too late."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from tests.adapters.devices import METER
from tests.adapters.peer import Peer, served
from tests.adapters.sockets import listening

from ores.adapters.modbus import ModbusTcp, Rejected
from ores.link.clock import RealClock
from ores.link.errors import Disconnected, OresError, TimedOut, Unavailable


def behind(port: int, **how: float) -> ModbusTcp:
    return ModbusTcp("127.0.0.1", port, clock=RealClock(), **how)


async def test_registers_are_read_and_written() -> None:
    peer = Peer((203, METER))
    async with served(peer) as port:
        registers = behind(port)
        assert await registers.read(40_000, 2) == [0x5375, 0x6E53]
        await registers.write(40_066, [7, 8])
        assert peer.writes == [(40_066, [7, 8])]
        assert await registers.read(40_066, 2) == [7, 8]
        registers.close()


async def test_a_refusal_says_which_and_leaves_the_connection() -> None:
    peer = Peer((203, METER))
    async with served(peer) as port:
        registers = behind(port)
        with pytest.raises(Rejected) as refused:
            await registers.read(100, 2)
        assert refused.value.exception == 2
        client = registers._client
        await registers.read(40_000, 2)
        assert registers._client is client
        registers.close()


async def test_silence_ends_the_connection_so_that_a_late_answer_is_nobodys() -> None:
    peer = Peer((203, METER))
    async with served(peer) as port:
        registers = behind(port, answer_s=0.2)
        await registers.read(40_000, 2)
        peer.silent = True
        with pytest.raises(TimedOut):
            await registers.read(40_000, 2)
        assert registers._client is None
        peer.silent = False
        assert await registers.read(40_070, 1) == [203]
        registers.close()


async def test_a_port_where_nobody_listens_is_unavailable() -> None:
    async with served(Peer((203, METER))) as port:
        pass
    with pytest.raises(Disconnected):
        await behind(port, answer_s=0.5).read(40_000, 2)


def talking(answer: bytes) -> AbstractAsyncContextManager[int]:
    """A server that answers everything alike, or with nothing hangs up; gives the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while answer and await reader.read(64):
            writer.write(answer)
            await writer.drain()

    return listening(talk)


async def test_a_server_that_hangs_up_is_unavailable_and_asked_again_later() -> None:
    async with talking(b"") as port:
        registers = behind(port, answer_s=0.3)
        for _ in range(2):
            with pytest.raises(Unavailable):
                await registers.read(40_000, 2)
        registers.close()


GARBAGE = [b"\x00" * 7, b"HTTP/1.0 400\r\n\r\n", b"\xff" * 300, b"\x00\x01\x00\x00\x00\x03\x01\x03\x02"]


@pytest.mark.parametrize("garbage", GARBAGE)
async def test_garbage_is_no_answer(garbage: bytes) -> None:
    async with talking(garbage) as port:
        registers = behind(port, answer_s=0.3)
        with pytest.raises(OresError):
            await registers.read(40_000, 2)
        assert registers._client is None
        registers.close()
