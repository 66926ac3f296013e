"""The hub as one SunSpec device behind Modbus TCP, for energy managers, monitors and gateways that know ORES
not at all: the house's sun and stores as a DER, its connection to the grid as a meter.

Registers are made when somebody reads, at most a few times in a second, from what the cycle knows anyway.
The cycle itself knows nothing of all this.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from msgspec import Struct

import ores
from ores.adapters.sunspec.definitions import HEAD_REGISTERS
from ores.control.topology import compile_topology
from ores.hub.doors.known import descriptions, shape_now, states
from ores.hub.doors.mqtt_energy import Totals
from ores.hub.doors.sunspec_controls import Controls
from ores.hub.doors.sunspec_models import Identity, Now, sheets
from ores.hub.doors.sunspec_registers import Sheet
from ores.hub.doors.sunspec_server import BUSY, ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal, Server
from ores.hub.doors.sunspec_shape import Shape, parts, shape_of
from ores.hub.hub import Hub
from ores.hub.state_dir import StateDir
from ores.link.errors import ConfigError

FILE: Final = "sunspec.json"
SETTING: Final = "--sunspec"
LOOPBACK: Final = "127.0.0.1"
BASE: Final = 40_000
MARK: Final = (0x5375, 0x6E53)
"""`SunS`, as each device begins."""
END: Final = (0xFFFF, 0)
COUNT_S: Final = 1.0
"""Between two looks at what has flowed."""
FRESH_S: Final = 0.2
"""For so long the same registers are told."""
AWAITED_S: Final = 20.0
"""A module that has not described itself after so long since the start is not waited for."""
LASTS_MIN: Final = 60.0
"""How long a limit holds that was written without a timer, unless its owner says otherwise."""
LASTS_MAX_MIN: Final = 1440.0
BEGIN_WH: Final = 1.0
"""Where a counter of the house begins: 0 says in `acc32` that there is none."""
NOTICE: Final = "sunspec_door_failed"
_log: Final = logging.getLogger(__name__)


class Address(Struct, frozen=True):
    """Where to listen, and what is allowed there.

    Attributes:
        host: An address of this machine; only this machine itself where nobody says otherwise.
        port: TCP; 0 picks a free one.
        control: Whether limits may be written.
        unit: By which the device is asked; 0 and 255 are understood as well.
        lasts_min: How long a limit holds that was written without a timer.
    """

    host: str = LOOPBACK
    port: int = 0
    control: bool = False
    unit: int = 1
    lasts_min: float = LASTS_MIN


def address_of(text: str) -> Address:
    """Read `[ADDRESS:]PORT[?control=yes&unit=1&lasts_min=60]`.

    Raises:
        ConfigError: It is none; says what is allowed.
    """
    where, _, query = text.partition("?")
    try:
        parts_ = urlsplit(f"//{LOOPBACK}:{where}" if where.isdecimal() else f"//{where}")
        host, port = parts_.hostname or "", parts_.port
        ipaddress.ip_address(host)
    except ValueError:
        host, port = "", None
    if not host or port is None or parts_.path or parts_.username is not None:
        raise ConfigError(SETTING, found=where, allowed="PORT or ADDRESS:PORT, such as 0.0.0.0:502")
    options = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(options.keys() - {"control", "unit", "lasts_min"})
    if unknown:
        raise ConfigError(SETTING, found=f"?{unknown[0]}", allowed="control, unit, lasts_min")
    control = options.get("control", "no")
    if control not in {"yes", "no"}:
        raise ConfigError(f"{SETTING} ?control", found=control, allowed="yes, or no to be only read")
    return Address(
        host=host,
        port=port,
        control=control == "yes",
        unit=int(_number(options, "unit", 1, 247)),
        lasts_min=_number(options, "lasts_min", LASTS_MIN, LASTS_MAX_MIN),
    )


def _number(options: Mapping[str, str], name: str, default: float, most: float) -> float:
    text = options.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = 0.0
    if not 1.0 <= value <= most or (name == "unit" and value != int(value)):
        raise ConfigError(f"{SETTING} ?{name}", found=text, allowed=f"1 to {most:g}")
    return value


class SunspecDoor:
    """Shows one hub to whoever reads SunSpec.

    Args:
        hub: Whose house it is.
        address: Where.
        totals: Energy.
    """

    def __init__(self, hub: Hub, address: Address, totals: Totals) -> None:
        self._hub: Final = hub
        self._clock: Final = hub.clock
        self._address: Final = address
        self._totals: Final = totals
        self._began_at_s: Final = hub.clock.now()
        self._controls: Final = Controls(hub, 60.0 * address.lasts_min) if address.control else None
        self._identity: Final = Identity(hub.config.name, hub.id, ores.__version__, address.unit)
        self._server: Final = Server(self, address.unit)
        self._seen: object = None
        self._shape: Shape | None = None
        self._sheets: list[Sheet] = []
        self._registers: list[int] = []
        self._made_at_s: float | None = None

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    async def open(self) -> None:
        """Listen.

        Raises:
            ConfigError: It cannot be there.
        """
        await self._server.open(self._address.host, self._address.port, SETTING)

    async def run(self) -> None:
        """Count what flows until cancelled; then listen no longer."""
        try:
            while True:
                await self._clock.sleep(COUNT_S)
                self._count()
        finally:
            await self._server.close()
            self._totals.save()

    def read(self, address: int, count: int) -> Sequence[int]:
        """See `sunspec_server.Registers`."""
        self._refresh()
        begin = address - BASE
        if begin < 0 or begin + count > len(self._registers):
            raise Refusal(ILLEGAL_ADDRESS)
        return self._registers[begin : begin + count]

    def write(self, address: int, values: Sequence[int]) -> None:
        """See `sunspec_server.Registers`. All points of one request belong to one model."""
        self._refresh()
        if self._controls is None or self._shape is None or not self._shape.members:
            raise Refusal(ILLEGAL_ADDRESS)
        sheet, begin = self._sheet_at(address)
        written = dict(_points(sheet, begin, values))
        self._controls.take(sheet.definition.id, sheet.definition.points, written)
        self._made_at_s = None  # whoever writes reads back what holds

    def _sheet_at(self, address: int) -> tuple[Sheet, int]:
        """The model at an address, and the address counted from its beginning."""
        at = BASE + len(MARK)
        for sheet in self._sheets:
            if at <= address < at + len(sheet.registers):
                return sheet, address - at
            at += len(sheet.registers)
        raise Refusal(ILLEGAL_ADDRESS)

    def _count(self) -> None:
        try:
            self._look_at_shape()
            self._totals.look(states(self._hub), self._clock.now())
            if self._controls is not None:
                self._controls.limit()
            self._hub.notices.clear(NOTICE)
        except Exception as error:  # noqa: BLE001  a defect of this door must not stop the counting for ever
            if self._hub.notices.raise_(NOTICE, f"{type(error).__name__}: {error}", level="error"):
                _log.exception("the SunSpec door cannot count")

    def _look_at_shape(self) -> None:
        seen = shape_now(self._hub)
        if seen == self._seen:
            return
        self._seen = seen
        described = descriptions(self._hub)
        self._shape = shape_of(compile_topology(described), described)
        self._totals.describe(parts(self._shape, described))
        if self._controls is not None:
            self._controls.describe(self._shape)
        self._made_at_s = None

    def _refresh(self) -> None:
        """What is known now into registers; while modules still come, nobody is told half of the house."""
        now_s = self._clock.now()
        if self._made_at_s is not None and now_s - self._made_at_s < FRESH_S:
            return
        links = self._hub.federation.links.values()
        if now_s - self._began_at_s < AWAITED_S and any(link.description is None for link in links):
            raise Refusal(BUSY)
        self._look_at_shape()
        shape = self._shape
        if shape is None:
            raise Refusal(BUSY)
        now = Now(
            states=states(self._hub),
            flow=self._hub.arbiter.flow(now_s),
            energy_wh={topic: wh + BEGIN_WH for topic, wh in self._totals.known_wh().items()},
            reserve_pct=self._hub.preferences.get().reserve_pct,
            limit=None if self._controls is None or shape.gives_max_w is None else self._controls.limit(),
        )
        self._sheets = sheets(self._identity, shape, now)
        self._registers = [*MARK, *(word for sheet in self._sheets for word in sheet.registers), *END]
        self._made_at_s = now_s


def _points(sheet: Sheet, begin: int, values: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """The points that a request writes, whole ones.

    Raises:
        Refusal: One of them is cut, or what is written is no point.
    """
    own = {point.at: (name, point) for name, point in sheet.definition.points.items()}
    at, rest = begin, [*values]
    while rest:
        name, point = own.get(at, ("", None))
        if point is None or at < HEAD_REGISTERS:
            raise Refusal(ILLEGAL_ADDRESS)
        if len(rest) < point.size:
            raise Refusal(ILLEGAL_VALUE)
        yield name, rest[: point.size]
        rest, at = rest[point.size :], at + point.size


def door_of(hub: Hub, directory: StateDir, text: str) -> SunspecDoor:
    """The door at this address; raises `ConfigError` where there can be none."""
    return SunspecDoor(hub, address_of(text), Totals(directory, hub.notices, FILE))
