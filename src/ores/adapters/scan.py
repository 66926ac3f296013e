"""What is there: looks at addresses, asks what answers who it is, and writes nothing to it."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import ifaddr
import msgspec
from msgspec import UNSET

from ores.adapters.modbus import ModbusSerial, ModbusTcp
from ores.adapters.sunspec.found import find
from ores.adapters.sunspec.image import Options
from ores.adapters.sunspec.mapping import about as about_sunspec
from ores.adapters.sunspec.mapping import mapped
from ores.adapters.templates.form import Template
from ores.adapters.templates.found import Found, about
from ores.adapters.templates.recognise import candidates, recognise
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError, PeerError

HOSTS_MAX: Final = 1024
AT_ONCE: Final = 48
ANSWER_S: Final = 1.0
UNITS: Final = (1, 126)
"""Where a device that stands alone answers; 126 is SMA's unit for SunSpec."""
_CAN: Final = {"setpoint": "takes set-points", "limit": "can be limited"}


class Seen(msgspec.Struct, frozen=True):
    """A device that was found.

    Attributes:
        protocol: That it speaks.
        host: Where.
        port: TCP.
        unit: Modbus unit.
        maker: As it says itself; so are the next three.
        model: In the shop.
        serial: Which one.
        firmware_version: Of what runs in it.
        elements: What it would be shown as; empty where nothing could be.
        can: What it could be told, once its owner turns control on.
        note: Why it would not be shown; empty where it would.
        template: By which it was recognised; empty where it describes itself.
    """

    protocol: str
    host: str
    port: int
    unit: int
    maker: str
    model: str
    serial: str
    firmware_version: str
    elements: list[str]
    can: list[str]
    note: str = ""
    template: str = ""


def hosts_of(where: str) -> list[str]:
    """Addresses to look at.

    Args:
        where: A host, a network such as `192.168.1.0/24`, or empty for the networks of this machine.

    Raises:
        ConfigError: The network is none, too large, or not a private one.
    """
    if not where:
        found = [host for network in _own_networks() for host in _hosts(network)]
        return list(dict.fromkeys(found))
    if "/" not in where:
        return [where]
    try:
        network = ipaddress.ip_network(where, strict=False)
    except ValueError:
        raise ConfigError("network", found=where, allowed="one such as 192.168.1.0/24") from None
    if network.num_addresses > HOSTS_MAX:
        raise ConfigError("network", found=where, allowed=f"at most {HOSTS_MAX} addresses")
    if not network.is_private:
        raise ConfigError("network", found=where, allowed="a private one: no other is yours")
    return _hosts(network)


async def scan(
    hosts: Iterable[str],
    *,
    port: int,
    units: Sequence[int],
    clock: Clock,
    looked: Callable[[], None] = lambda: None,
) -> list[Seen]:
    """Look at all of these hosts, some at a time.

    Args:
        hosts: Names or addresses.
        port: TCP.
        units: Modbus units to ask for at each.
        clock: Process time.
        looked: Called when a host is done.

    Returns:
        What was found, in the order of the hosts.
    """
    room = asyncio.Semaphore(AT_ONCE)

    async def one(host: str) -> list[Seen]:
        async with room:
            found = await _look(host, port, units, clock)
            looked()
            return found

    return [seen for found in await asyncio.gather(*map(one, hosts)) for seen in found]


async def scan_line(
    path: str, *, units: Sequence[int], clock: Clock, looked: Callable[[], None] = lambda: None
) -> list[Seen]:
    """Look for devices at a serial line, one unit after the other.

    Args:
        path: Of the port.
        units: Modbus units to ask for; the usual ones of each template where they are `UNITS`.
        clock: Process time.
        looked: Called when one is done.

    Returns:
        What was found.
    """
    found: dict[int, Seen] = {}
    for (baud, parity, stop_bits), templates in lines().items():
        own = {one.transport.unit for one in templates}
        for unit in sorted((own if tuple(units) == UNITS else set(units)) - found.keys()):
            registers = ModbusSerial(
                path,
                unit=unit,
                clock=clock,
                answer_s=ANSWER_S,
                baud=baud,
                parity=parity,
                stop_bits=stop_bits,
            )
            try:
                known = await recognise(templates, registers, clock)
            except OresError:
                known = None  # nobody has this unit, or talks like this
            finally:
                registers.close()
                looked()
            if known is not None:
                found[unit] = _by_template(*known, path, 0, unit)
    return list(found.values())


def lines() -> dict[tuple[int, str, int], list[Template]]:
    """Templates of devices with a serial line, by baud, parity and stop bits."""
    found: dict[tuple[int, str, int], list[Template]] = {}
    for one in candidates():
        if "rtu" in one.transport.over:
            key = (one.transport.baud, one.transport.parity, one.transport.stop_bits)
            found.setdefault(key, []).append(one)
    return found


async def _look(host: str, port: int, units: Sequence[int], clock: Clock) -> list[Seen]:
    """What describes itself, and then what a template knows."""
    found, reached = await _sunspec(host, port, units, clock)
    if not reached:
        return found  # nobody listens there
    taken = {one.unit for one in found}
    usual = {one.transport.unit for one in candidates()} if tuple(units) == UNITS else set(units)
    for unit in sorted(usual - taken):
        fitting = candidates(unit) if tuple(units) == UNITS else candidates()
        registers = ModbusTcp(host, port, unit=unit, clock=clock, answer_s=ANSWER_S)
        try:
            known = await recognise(fitting, registers, clock)
        except OresError:
            continue  # nobody has this unit
        finally:
            registers.close()
        if known is not None:
            found.append(_by_template(*known, host, port, unit))
    return found


async def _sunspec(host: str, port: int, units: Sequence[int], clock: Clock) -> tuple[list[Seen], bool]:
    """SunSpec devices, and whether anybody listens there at all."""
    found: list[Seen] = []
    for unit in units:
        registers = ModbusTcp(host, port, unit=unit, clock=clock, answer_s=ANSWER_S)
        try:
            seen = await _ask(registers, host, port, unit)
        except PeerError:
            continue  # it speaks, but is no SunSpec device; another unit of it may be one
        except OresError:
            if not registers.has_connected:
                return found, False
            continue
        finally:
            registers.close()
        if seen.serial not in {one.serial for one in found}:  # some answer to every unit
            found.append(seen)
    return found, True


def _by_template(template: Template, known: Found, host: str, port: int, unit: int) -> Seen:
    it = about(template, known, "")
    return Seen(
        "template",
        host,
        port,
        unit,
        it.maker,
        it.model,
        it.serial,
        it.firmware_version,
        [one.id for one in template.elements],
        sorted({_CAN["limit" if one.limit else "setpoint"] for one in template.commands}),
        "" if template.tried_on_hardware else "not yet tried on hardware",
        template.name,
    )


async def _ask(registers: ModbusTcp, host: str, port: int, unit: int) -> Seen:
    image = (await find(registers)).image()
    it = about_sunspec(image, "", ())
    elements: list[str] = []
    can: list[str] = []
    note = ""
    try:
        shown = mapped(image, Options())
        elements = [view.element.id for view in shown.views]
        able = [view.element.capabilities for view in mapped(image, Options(control=True)).views]
        can = [said for name, said in _CAN.items() if any(getattr(one, name) is not UNSET for one in able)]
    except ConfigError as error:
        note = "" if elements else error.detail
    return Seen(
        "sunspec", host, port, unit, it.maker, it.model, it.serial, it.firmware_version, elements, can, note
    )


def _own_networks() -> list[ipaddress.IPv4Network]:
    """Private networks that this machine is in; no more than 256 addresses of each."""
    found = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if not isinstance(ip.ip, str):
                continue
            prefix = max(24, ip.network_prefix)
            network = ipaddress.IPv4Network(f"{ip.ip}/{prefix}", strict=False)
            if network.is_private and not network.is_loopback:
                found.append(network)
    return found


def _hosts(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[str]:
    return [str(host) for host in network.hosts()]
