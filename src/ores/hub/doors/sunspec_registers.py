"""Values into the registers of SunSpec models. Pure.

What is not known stands there as what SunSpec calls "not implemented", and so does what a point cannot hold:
a number that is cut off would be believed.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Final

from ores.adapters.sunspec.definitions import HEAD_REGISTERS, Definition, Point

SIGNED: Final = frozenset({"int16", "int32", "sunssf"})


class Sheet:
    """The registers of one model, in which nothing is known at first.

    Args:
        definition: Of the model.
        scales: Powers of ten by the names of their points; a scale factor says the same for as long as the
            model stands there, as clients read it once.
        members: How many of its group that repeats.
    """

    def __init__(self, definition: Definition, scales: Mapping[str, int], members: int = 0) -> None:
        self.definition: Final = definition
        self._scales: Final = scales
        groups = definition.groups
        repeated = next((group for group in groups if group.repeats is not None), None)
        size = definition.size + (repeated.size * members if repeated else 0)
        self.registers: Final = [0xFFFF] * size
        for point in definition.points.values():
            self._lay(0, point, None)
        for group in groups:
            count = members if group.repeats is not None else 1
            for at in range(count):
                for point in group.points.values():
                    self._lay(group.at + at * group.size, point, None)
        self.registers[:HEAD_REGISTERS] = [definition.id, size - HEAD_REGISTERS]
        for name, power in scales.items():
            self._lay(0, definition.points[name], power)
        self._repeated: Final = repeated

    def put(self, **values: float | None) -> None:
        """Numbers by the names of their points, in their units; None is not known."""
        for name, value in values.items():
            self._put(0, self.definition.points[name], value)

    def put_text(self, **texts: str) -> None:
        """Strings by the names of their points; what is too long is cut."""
        for name, text in texts.items():
            self._write(0, self.definition.points[name], text)

    def put_member(self, which: int, name: str = "", **values: float | None) -> None:
        """One of the group that repeats.

        Args:
            which: From 0.
            name: Its `IDStr`.
            values: As `put`.
        """
        if self._repeated is None:
            raise ValueError(f"model {self.definition.id} has no group that repeats")
        begin = self._repeated.at + which * self._repeated.size
        for point, value in values.items():
            self._put(begin, self._repeated.points[point], value)
        if name:
            self._write(begin, self._repeated.points["IDStr"], name)

    def _put(self, begin: int, point: Point, value: float | None) -> None:
        if value is not None and point.type != "float32" and point.sf:
            power = self._scales[point.sf]
            value = value / 10.0**power if power >= 0 else value * 10.0**-power
        self._lay(begin, point, value if value is not None and math.isfinite(value) else None)

    def _lay(self, begin: int, point: Point, value: float | None) -> None:
        at = begin + point.at
        self.registers[at : at + point.size] = encoded(point, value)

    def _write(self, begin: int, point: Point, text: str) -> None:
        size = 2 * point.size
        data = text.encode()[:size].decode(errors="ignore").encode().ljust(size, b"\0")
        at = begin + point.at
        self.registers[at : at + point.size] = _words(data)


def encoded(point: Point, value: float | None) -> list[int]:
    """The registers of a number, already scaled; "not implemented" for None and for what does not fit."""
    bits = 16 * point.size
    match point.type:
        case "string":
            return [0] * point.size
        case "float32":
            return _words(_float(value))
        case "acc32":
            # counts on from 0 when it is full; 0 is also how it says that it does not count
            number = 0 if value is None else math.floor(value) % (1 << bits)
        case "int16" | "int32" | "sunssf" | "pad":
            number = 1 << bits - 1
            if value is not None and -number < round(value) < number:
                number = round(value) % (1 << bits)
        case "bitfield16" | "bitfield32" | "uint64":  # no bit, and no watt-hour, that has not come yet
            number = (1 << bits) - 1
            if value is not None and 0 <= value < 1 << bits - 1:
                number = math.floor(value)
        case _:
            number = (1 << bits) - 1
            if value is not None and 0 <= round(value) < number:
                number = round(value)
    return [number >> bits - 16 * (at + 1) & 0xFFFF for at in range(point.size)]


def number_of(point: Point, registers: list[int]) -> int:
    """The whole number that stands in registers that somebody has written, signed where the point is."""
    value = 0
    for register in registers:
        value = value << 16 | register
    top = 1 << 16 * point.size - 1
    return value - 2 * top if point.type in SIGNED and value >= top else value


def _float(value: float | None) -> bytes:
    try:
        return struct.pack(">f", math.nan if value is None else value)
    except OverflowError:
        return struct.pack(">f", math.nan)


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]
