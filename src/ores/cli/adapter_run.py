"""What `ores adapter` runs."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from ores.adapters import scan as scanning
from ores.adapters.modbus import PORT, ModbusTcp
from ores.adapters.serve import serving
from ores.adapters.sunspec.device import READ_SHARE, SunSpecDevice
from ores.adapters.sunspec.found import find_or_remember
from ores.adapters.sunspec.image import CONDUCTORS, Options
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.errors import ConfigError
from ores.module.run import Running

PROTOCOLS: Final = ("sunspec",)


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
) -> None:
    """Show a device as a module until the process is asked to end.

    Args:
        protocol: Of `PROTOCOLS`.
        device: HOST or HOST:PORT.
        unit: Modbus unit.
        directory: Of this module alone.
        options: What the device cannot tell.
        name: What its owner calls it.
        period_s: Between two states.
        port: Of the module; 0 picks a free one.
        as_json: For programs.

    Raises:
        ConfigError: Something in the command is not right; says what.
        OresError: The device does not answer, or is not what it is taken for.
    """
    if protocol not in PROTOCOLS:
        raise ConfigError("protocol", found=protocol, allowed=", ".join(PROTOCOLS))
    if options.conductor and options.conductor not in CONDUCTORS:
        raise ConfigError("conductor", found=options.conductor, allowed=", ".join(CONDUCTORS))
    host, device_port = address_of(device)

    async def main(clock: Clock) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        registers = ModbusTcp(host, device_port, unit=unit, clock=clock)
        try:
            found = await find_or_remember(registers, directory)
            adapter = SunSpecDevice(
                found,
                registers,
                clock,
                options=options,
                directory=directory,
                name=name,
                period_s=period_s * READ_SHARE,
            )
            async with serving(adapter, directory, clock=clock, port=port, report_period_s=period_s) as it:
                announce(it, adapter.about.name, controlled=options.control, as_json=as_json)
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
        where: A host, a network, or empty for those of this machine.
        port: Of Modbus TCP.
        units: To ask for; empty for the usual ones.
        as_json: For programs.

    Raises:
        ConfigError: That is no place to look.
    """
    hosts = scanning.hosts_of(where)
    console = Console(stderr=True)

    async def main(clock: Clock) -> list[scanning.Seen]:
        with Progress(console=console, transient=True, disable=as_json) as progress:
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
        console.print(f"Nothing that is known answers at {len(hosts)} addresses, port {port}.")
        return
    table = Table("where", "what", "serial", "shown as", "can", "template")
    for seen in found:
        where_it_is = f"{seen.host}:{seen.port} unit {seen.unit}"
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
    console.print(f"ores adapter serve {how} {first.host}:{first.port} --unit {first.unit} --data DIRECTORY")
