"""Points read together: few requests, at the device's pace, and none lost because another one is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from ores.adapters.modbus import Rejected, Tables
from ores.adapters.templates.form import Template
from ores.adapters.templates.points import Decoder, Point, Table, decoder, number, text
from ores.link.clock import Clock

_LASTING: Final = frozenset({1, 2, 3})
"""Exceptions that say that it is not there; the others pass."""

ASK_AGAIN: Final = 500
"""Rounds after which a point that was refused is asked for once more: some devices begin slowly."""
Words = Mapping[str, list[int] | None]
"""Registers by point; None where the device has none."""


class Request(msgspec.Struct, frozen=True):
    """Registers that are read in one request, and the points in them."""

    table: Table
    address: int
    count: int
    points: tuple[str, ...]


def requests(points: Mapping[str, Point], *, registers_max: int, gap_max: int) -> list[Request]:
    """As few requests as cover these points; none is cut in two.

    Args:
        points: By name.
        registers_max: In one request.
        gap_max: So many registers without a use are read along.
    """
    found: list[Request] = []
    for name, point in sorted(points.items(), key=lambda one: (one[1].table, one[1].at, one[0])):
        last = found[-1] if found else None
        end = point.at + point.size
        if (
            last is not None
            and last.table == point.table
            and point.at <= last.address + last.count + gap_max
            and end - last.address <= registers_max
        ):
            count = max(last.count, end - last.address)
            found[-1] = Request(last.table, last.address, count, (*last.points, name))
        else:
            found.append(Request(point.table, point.at, point.size, (name,)))
    return found


class Reader:
    """Reads some points of a device.

    Args:
        template: Of the device.
        names: Of the points.
        registers: To talk to it.
        clock: Process time.
    """

    def __init__(self, template: Template, names: Iterable[str], registers: Tables, clock: Clock) -> None:
        self._template: Final = template
        self._points: Final = {name: template.points[name] for name in names}
        self._places: Final = {name: (point.at, point.size) for name, point in self._points.items()}
        self._registers: Final = registers
        self._clock: Final = clock
        self._missing: set[str] = set()
        self._apart: set[str] = set()
        self._plan: list[Request] = []
        self._rounds = 0
        self.begin_anew()

    def begin_anew(self) -> None:
        """What it has refused it may have now."""
        self._missing.clear()
        self._lay_out()

    async def read(self, only: Collection[str] | None = None) -> dict[str, list[int] | None]:
        """All of them, or some.

        Raises:
            Unavailable: It does not answer.
            Rejected: It refuses a point that it has to have.
        """
        self._rounds += 1
        if self._missing and self._rounds % ASK_AGAIN == 0:
            self.begin_anew()
        found: dict[str, list[int] | None] = dict.fromkeys(self._points if only is None else only)
        plan = self._plan if only is None else self._requests(only)
        for request in plan:
            found |= await self._one(request)
        return found

    async def _one(self, request: Request) -> dict[str, list[int] | None]:
        try:
            words = await self._ask(request)
        except Rejected as error:
            if error.exception not in _LASTING:
                raise
            return await self._one_by_one(request, error)
        found: dict[str, list[int] | None] = {}
        for name in request.points:
            at, size = self._places[name]
            begin = at - request.address
            found[name] = words[begin : begin + size]
        return found

    async def _one_by_one(self, request: Request, error: Rejected) -> dict[str, list[int] | None]:
        """A request that is refused: because of one point in it, or of a hole between them."""
        if len(request.points) == 1:
            (name,) = request.points
            if not self._points[name].optional:
                raise error
            self._missing.add(name)
            self._lay_out()
            return {name: None}
        found: dict[str, list[int] | None] = {}
        for name in request.points:
            point = self._points[name]
            self._apart.add(name)
            found |= await self._one(Request(point.table, point.at, point.size, (name,)))
        self._lay_out()
        return found

    async def _ask(self, request: Request) -> list[int]:
        if self._template.transport.pause_s:
            await self._clock.sleep(self._template.transport.pause_s)
        ask = self._registers.read if request.table == "holding" else self._registers.read_input
        return await ask(request.address, request.count)

    def _lay_out(self) -> None:
        self._plan = self._requests(self._points.keys() - self._missing)

    def _requests(self, names: Collection[str]) -> list[Request]:
        transport = self._template.transport
        together = {name: self._points[name] for name in names if name not in self._apart}
        apart = {
            name: self._points[name] for name in names if name in self._apart and name not in self._missing
        }
        plan = requests(together, registers_max=transport.registers_max, gap_max=transport.gap_max)
        # where a request was refused, only what lies side by side is read together
        return plan + requests(apart, registers_max=transport.registers_max, gap_max=0)


def values_of(template: Template, words: Words) -> dict[str, float | None]:
    """The numbers among what was read."""
    return decoded(decoders(template, words), words)


def decoders(template: Template, names: Iterable[str]) -> dict[str, Decoder]:
    """By name, of those points that are numbers."""
    points = template.points
    return {name: decoder(points[name]) for name in names if points[name].type != "text"}


def decoded(by_name: Mapping[str, Decoder], words: Words) -> dict[str, float | None]:
    """The numbers among what was read, by decoders that are at hand."""
    return {
        name: None if (registers := words.get(name)) is None else decode(registers)
        for name, decode in by_name.items()
    }


def text_of(template: Template, words: Words, name: str | None) -> str | None:
    """A text, or a number as text; None where there is none."""
    registers = words.get(name) if name else None
    if name is None or registers is None:
        return None
    point = template.points[name]
    if point.type == "text":
        return text(point, registers)
    value = number(point, registers)
    return None if value is None else f"{value:.10g}"
