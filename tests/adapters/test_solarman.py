"""A logger that passes Modbus on in frames of its own: whole answers, refusals, nonsense, silence."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.adapters.image import Image
from tests.adapters.sockets import listening

from ores.adapters.modbus import Rejected
from ores.adapters.solarman import Solarman, framed, rtu
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.found import find
from ores.adapters.templates.parse import shipped
from ores.link.clock import RealClock
from ores.link.errors import Disconnected, OresError, PeerError, TimedOut

LOGGER = 2_712_345_678
# recorded from pysolarmanv5 3.0.6, asking unit 1 for two holding registers from 588
REQUEST = "a51700104542004e1caba10200000000000000000000000000000103024c000204642215"
HEARTBEAT = "a50100104701004e1caba1000f15"


def test_a_request_is_laid_out_as_another_program_lays_it_out() -> None:
    inner = rtu(1, struct.pack(">BHH", 3, 588, 2))
    assert framed(LOGGER, 0x42, inner).hex() == REQUEST


def answered(image: Image, asked: bytes) -> bytes:
    """What an inverter answers by RTU; written without a line of what it tests."""
    unit, function, address, count = struct.unpack(">BBHH", asked[:6])
    table = "input" if function == 4 else "holding"
    if function in {3, 4}:
        found = image.read(table, address, count)
        pdu = None if found is None else struct.pack(f">BBB{count}H", unit, function, 2 * count, *found)
    elif function == 6:
        pdu = asked[:6] if image.write(address, [count]) else None
    else:
        values = list(struct.unpack(f">{count}H", asked[7 : 7 + 2 * count]))
        pdu = asked[:6] if image.write(address, values) else None
    pdu = pdu or bytes((unit, function | 0x80, 2))
    crc = 0xFFFF
    for bit in (byte >> at & 1 for byte in pdu for at in range(8)):
        crc = crc >> 1 ^ (0xA001 if (crc ^ bit) & 1 else 0)
    return pdu + crc.to_bytes(2, "little")


Change = Callable[[bytes], bytes]


def logger(image: Image, change: Change = lambda frame: frame) -> AbstractAsyncContextManager[int]:
    """A logger on this machine; gives the port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(11)
            rest = await reader.readexactly(int.from_bytes(head[1:3], "little") + 2)
            inner = answered(image, rest[15:-2])
            payload = bytes.fromhex("0201") + bytes(12) + inner
            whole = b"\xa5" + struct.pack("<H", len(payload)) + bytes.fromhex("1015")
            whole += bytes((head[5], 0x7E)) + head[7:11] + payload
            whole += bytes((sum(whole[1:]) & 0xFF, 0x15))
            writer.write(b"" if image.silent else bytes.fromhex(HEARTBEAT) + change(whole))
            await writer.drain()

    return listening(talk)


def behind(port: int, **how: float) -> Solarman:
    return Solarman("127.0.0.1", port, **{"logger": LOGGER, "clock": RealClock(), "answer_s": 0.3, **how})


async def test_registers_are_read_and_written_behind_a_logger() -> None:
    image = Image("deye-sg-3p")
    async with logger(image) as port:
        registers = behind(port)
        assert await registers.read(588, 1) == [71]
        await registers.write(600, [2222, 3])
        assert await registers.read(600, 2) == [2222, 3]
        await registers.write_one(601, 4)
        assert await registers.read(601, 1) == [4]
        with pytest.raises(Rejected) as refused:
            await registers.read(9000, 1)
        assert refused.value.exception == 2
        with pytest.raises(Rejected):
            await registers.read_input(588, 1)
        registers.close()


async def test_an_inverter_behind_a_logger_is_shown_by_its_template() -> None:
    image, template, clock = Image("deye-sg-3p"), shipped("deye-sg-3p"), RealClock()
    async with logger(image) as port:
        registers = behind(port)
        device = TemplateDevice(template, await find(template, registers, clock), registers, clock)
        await device.start()
        assert device.read("battery").dc_measure.power_w == 1830
        await device.stop()


async def test_bytes_behind_a_frame_do_not_matter() -> None:
    def longer(frame: bytes) -> bytes:
        inner = frame[11:-2] + b"\0\0"
        whole = frame[:1] + struct.pack("<H", len(inner)) + frame[3:11] + inner
        return whole + bytes((sum(whole[1:]) & 0xFF, 0x15))

    async with logger(Image("deye-sg-3p"), longer) as port:
        registers = behind(port)
        assert await registers.read(588, 1) == [71]
        registers.close()


async def test_silence_and_an_empty_port_are_unavailable() -> None:
    image = Image("deye-sg-3p")
    image.silent = True
    async with logger(image) as port:
        registers = behind(port)
        with pytest.raises(TimedOut):
            await registers.read(588, 1)
        assert registers._streams is None
        image.silent = False
        assert await registers.read(588, 1) == [71]
        registers.close()
    with pytest.raises(Disconnected):
        await behind(port).read(588, 1)


async def test_another_logger_is_not_believed() -> None:
    async with logger(Image("deye-sg-3p"), lambda frame: frame[:7] + b"\1\2\3\4" + frame[11:]) as port:
        with pytest.raises(PeerError):
            await behind(port).read(588, 1)


@pytest.mark.parametrize("seed", range(60))
async def test_no_broken_frame_is_taken_for_an_answer(seed: int) -> None:
    at = seed % 30

    def broken(frame: bytes) -> bytes:
        here = at % len(frame)
        return frame[:here] + bytes((frame[here] ^ (1 << seed % 8),)) + frame[here + 1 :]

    async with logger(Image("deye-sg-3p"), broken) as port:
        registers = behind(port, answer_s=0.05)
        with pytest.raises(OresError):
            assert await registers.read(588, 1) == "another value", "a broken frame was believed"
        registers.close()


@given(st.binary(max_size=64))
def test_nonsense_within_a_frame_is_refused(inner: bytes) -> None:
    registers = Solarman("127.0.0.1", logger=LOGGER, clock=RealClock())
    with pytest.raises(OresError):
        registers._checked(inner, struct.pack(">BHH", 3, 1, 1), "asked")
