"""The same registers by RTU: through a gateway that passes bytes on, and at a serial line."""

from __future__ import annotations

import termios
from pathlib import Path

import pytest
from pymodbus.client import AsyncModbusSerialClient
from tests.adapters.image import Image, on_a_line, served

from ores.adapters.modbus import ModbusSerial, ModbusTcp, Rejected
from ores.adapters.templates.answers import Answers
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.found import find
from ores.adapters.templates.parse import shipped
from ores.link.clock import RealClock
from ores.link.errors import Disconnected, TimedOut


async def test_a_template_is_read_by_rtu_over_tcp() -> None:
    image, template, clock = Image("eastron-sdm630"), shipped("eastron-sdm630"), RealClock()
    async with served(image, rtu=True) as port:
        registers = ModbusTcp("127.0.0.1", port, clock=clock, rtu=True)
        found = await find(template, registers, clock)
        device = TemplateDevice(template, found, registers, clock, answers=Answers())
        await device.start()
        assert device.read("meter").ac_measure.power_w == pytest.approx(934.5)
        await device.stop()


async def test_a_charger_at_a_serial_line_is_read_and_written() -> None:
    image, clock = Image("heidelberg-energy-control"), RealClock()
    async with on_a_line(image) as path:
        registers = ModbusSerial(path, clock=clock, answer_s=1.0)
        assert await registers.read_input(14, 1) == [10_830]
        await registers.write(261, [80])
        assert image.get(261) == 80
        await registers.write_one(262, 70)
        assert await registers.read(261, 2) == [80, 70]
        with pytest.raises(Rejected) as refused:
            await registers.read(5000, 1)
        assert refused.value.exception == 2
        registers.close()


async def test_frames_of_the_other_kind_are_no_answer() -> None:
    async with served(Image("eastron-sdm630"), rtu=True) as port:
        registers = ModbusTcp("127.0.0.1", port, clock=RealClock(), answer_s=0.3)
        with pytest.raises((TimedOut, Disconnected)):
            await registers.read_input(0, 2)


async def test_a_line_that_is_not_there_or_none_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "no line").write_text("")
    for path in ("/dev/ttyNONE9", str(tmp_path / "no line")):
        registers = ModbusSerial(path, clock=RealClock(), answer_s=0.3)
        with pytest.raises(Disconnected):
            await registers.read(0, 1)


async def test_a_line_that_cannot_be_set_as_it_should_be_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def refuses(_client: object) -> bool:
        raise termios.error(22, "Invalid argument")

    monkeypatch.setattr(AsyncModbusSerialClient, "connect", refuses)
    with pytest.raises(Disconnected, match="Invalid argument"):
        await ModbusSerial("/dev/ttyUSB0", clock=RealClock()).read(0, 1)
