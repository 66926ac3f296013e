"""What `ores adapter` runs."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ores.adapters import scan as scanning
from ores.adapters.modbus import PORT, ModbusSerial, ModbusTcp
from ores.adapters.serve import Adapter, serving
from ores.adapters.solarman import PORT as SOLARMAN_PORT
from ores.adapters.solarman import Solarman
from ores.adapters.sunspec.device import READ_SHARE, SunSpecDevice
from ores.adapters.sunspec.found import find_or_remember
from ores.adapters.sunspec.image import CONDUCTORS, Options
from ores.adapters.templates.form import Transport
from ores.cli.until import asked_to_end
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.errors import ConfigError
from ores.module.run import Running

PROTOCOLS: Final = ("sunspec",)
PARITIES: Final = ("none", "even", "odd")
Reached = ModbusTcp | ModbusSerial | Solarman
"""The registers of a device, by one way or another."""


class Line(msgspec.Struct, frozen=True):
    """How a device is reached.

    Attributes:
        rtu: The host passes RTU on, as a gateway does that knows nothing of Modbus.
        baud: Of a serial line; 0 for the usual one.
        parity: Of a serial line; empty for the usual one.
        logger: Serial number of the Solarman logger that the host is; 0 where it is none.
    """

    rtu: bool = False
    baud: int = 0
    parity: str = ""
    logger: int = 0


def registers_at(
    device: str,
    line: Line,
    *,
    unit: int,
    clock: Clock,
    usual: Transport = Transport(over=("tcp",), unit=1),  # noqa: B008  it cannot be changed
) -> Reached:
    """The registers of a device by TCP, or at a serial port of this machine.

    Args:
        device: HOST, HOST:PORT, [V6]:PORT or the path of a serial port.
        line: How it is reached.
        unit: Modbus unit.
        clock: Process time.
        usual: Of devices of its kind.

    Raises:
        ConfigError: The port is none, or the parity.
    """
    parity = line.parity or usual.parity
    if parity not in PARITIES:
        raise ConfigError("parity", found=parity, allowed=", ".join(PARITIES))
    if device.startswith("/"):
        return ModbusSerial(
            device,
            unit=unit,
            clock=clock,
            answer_s=usual.answer_s,
            baud=line.baud or usual.baud,
            parity=parity,
            stop_bits=usual.stop_bits,
        )
    if line.logger:
        host, port = address_of(device, SOLARMAN_PORT)
        return Solarman(host, port, logger=line.logger, unit=unit, clock=clock)
    host, port = address_of(device, usual.port)
    return ModbusTcp(host, port, unit=unit, clock=clock, answer_s=usual.answer_s, rtu=line.rtu)


def serve(
    protocol: str,
    device: str,
    unit: int,
    directory: Path,
    options: Options,
    *,
    name: str,
    period_s: float,
    port: int,
    as_json: bool,
    line: Line = Line(),  # noqa: B008  it cannot be changed
) -> None:
    """Show a device as a module until the process is asked to end.

    Args:
        protocol: Of `PROTOCOLS`.
        device: HOST, HOST:PORT or the path of a serial port.
        unit: Modbus unit.
        directory: Of this module alone.
        options: What the device cannot tell.
        name: What its owner calls it.
        period_s: Between two states.
        port: Of the module; 0 picks a free one.
        as_json: For programs.
        line: How it is reached.

    Raises:
        ConfigError: Something in the command is not right; says what.
        OresError: The device does not answer, or is not what it is taken for.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError("protocol", found=protocol, allowed=", ".join(PROTOCOLS))
    if options.conductor and options.conductor not in CONDUCTORS:
        raise ConfigError("conductor", found=options.conductor, allowed=", ".join(CONDUCTORS))

    async def adapter(registers: Reached, clock: Clock) -> Adapter:
        return SunSpecDevice(
            await find_or_remember(registers, directory),
            registers,
            clock,
            options=options,
            directory=directory,
            name=name,
            period_s=period_s * READ_SHARE,
        )

    show(
        lambda clock: registers_at(device, line, unit=unit, clock=clock),
        adapter,
        directory,
        period_s=period_s,
        port=port,
        controlled=options.control,
        as_json=as_json,
    )


def show(
    reach: Callable[[Clock], Reached],
    adapt: Callable[[Reached, Clock], Awaitable[Adapter]],
    directory: Path,
    *,
    period_s: float,
    port: int,
    controlled: bool,
    as_json: bool,
) -> None:
    """Show a device behind registers as a module until the process is asked to end.

    Args:
        reach: Gives its registers; they are closed at the end, whatever comes.
        adapt: Finds it there, and gives its adapter.
        directory: Of this module alone.
        period_s: Between two states.
        port: Of the module; 0 picks a free one.
        controlled: It may be commanded.
        as_json: For programs.

    Raises:
        ConfigError: The directory, the device or the port cannot be used; says why.
        OresError: The device does not answer, or is not what it is taken for.
    """

    async def main(clock: Clock) -> None:
        stop = asked_to_end()
        registers = reach(clock)
        try:
            adapter = await adapt(registers, clock)
            async with serving(adapter, directory, clock=clock, port=port, report_period_s=period_s) as it:
                announce(it, adapter.about.name, controlled=controlled, as_json=as_json)
                await stop.wait()
        finally:
            registers.close()

    clocks.run(main, speed=1)


def announce(it: Running, name: str, *, controlled: bool, as_json: bool) -> None:
    """Say where an adapted device listens, and its pairing code.

    Args:
        it: The module that it has become.
        name: Of the device.
        controlled: It may be commanded.
        as_json: For programs.
    """
    code = it.desk.code if it.pins.controller() is None else None
    if as_json:
        said = {"id": it.identity.id, "port": it.server.port, "code": code}
        sys.stdout.write(msgspec.json.encode(said).decode() + "\n")
        sys.stdout.flush()
        return
    paired = "paired" if code is None else f"pairing code [bold]{code}[/]"
    mode = "controlled" if controlled else "only read"
    Console(stderr=True).print(
        f"{name} {it.identity.id} listens on port {it.server.port}, {paired}; the device is {mode}"
    )


def address_of(device: str, usual: int = PORT) -> tuple[str, int]:
    """Host and port of what a person wrote: HOST, HOST:PORT or [V6]:PORT.

    Args:
        device: What was written.
        usual: Port where none was.

    Raises:
        ConfigError: The port is none.
    """
    host, colon, port = device.rpartition(":")
    if not colon or device.endswith("]") or (":" in host and not host.startswith("[")):
        return device.strip("[]"), usual
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ConfigError("port", found=port, allowed="1 to 65535")
    return host.strip("[]"), int(port)


def scan(where: str, port: int, units: list[int], *, as_json: bool) -> None:
    """Look for devices and list them.

    Args:
        where: A host, a network, a serial port, or empty for the networks of this machine.
        port: Of Modbus TCP.
        units: To ask for; empty for the usual ones.
        as_json: For programs.

    Raises:
        ConfigError: That is no place to look.
    """
    is_line = where.startswith("/dev/")
    hosts = [where] if is_line else scanning.hosts_of(where)
    console = Console(stderr=True)

    async def main(clock: Clock) -> list[scanning.Seen]:
        with Progress(console=console, transient=True, disable=as_json) as progress:
            if is_line:
                task = progress.add_task(f"Looks at {where}", total=None)
                return await scanning.scan_line(
                    where,
                    units=units or scanning.UNITS,
                    clock=clock,
                    looked=lambda: progress.advance(task),
                )
            task = progress.add_task(f"Looks at {len(hosts)} addresses", total=len(hosts))
            return await scanning.scan(
                hosts,
                port=port,
                units=units or scanning.UNITS,
                clock=clock,
                looked=lambda: progress.advance(task),
            )

    found = clocks.run(main, speed=1)
    if as_json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    if not found:
        there = where if is_line else f"{len(hosts)} addresses, port {port}"
        console.print(f"Nothing that is known answers at {there}.")
        return
    table = Table("where", "what", "serial", "shown as", "can", "template")
    for seen in found:
        where_it_is = f"{_place(seen)} unit {seen.unit}"
        what = f"{seen.maker} {seen.model} {seen.firmware_version}"
        table.add_row(
            where_it_is,
            what,
            seen.serial,
            ", ".join(seen.elements) or seen.note,
            ", ".join(seen.can),
            seen.template,
        )
    Console().print(table)
    first = found[0]
    how = " ".join(one for one in (first.protocol, first.template) if one)
    console.print(f"ores adapter serve {how} {_place(first)} --unit {first.unit} --data DIRECTORY")


def _place(seen: scanning.Seen) -> str:
    """As `serve` takes it."""
    return f"{seen.host}:{seen.port}" if seen.port else seen.host
