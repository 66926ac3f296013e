"""Registers into values. Pure, and for registers of which nothing is believed: what is not implemented, not a
number or not in the range of its type is None, and nothing else ever is.

value = register × 10^scale factor; big-endian, the high word first.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ores.adapters.sunspec.definitions import Definition, Point

SCALE_MAX: Final = 10
"""A scale factor is −10 to 10 by the specification of types."""


class Values:
    """The points of one model, or of one group in it, read from registers when they are asked for.

    Args:
        points: By name.
        registers: Of the whole model, from its id on; what is missing at the end is not implemented.
        begin: Where these points begin in them.
        outer: Of the model, for a group whose scale factors stand there.
    """

    __slots__ = ("_begin", "_outer", "_points", "_registers", "_scales")

    def __init__(
        self,
        points: Mapping[str, Point],
        registers: Sequence[int],
        begin: int = 0,
        outer: Values | None = None,
    ) -> None:
        self._points = points
        self._registers = registers
        self._begin = begin
        self._outer = outer
        self._scales: dict[str, int | None] = {}

    def __contains__(self, name: object) -> bool:
        """Whether the definition has such a point; it may still not be implemented."""
        return name in self._points

    def number(self, name: str) -> float | None:
        """A quantity in the unit of its definition, scaled; None where it is not implemented."""
        point = self._points[name]
        value = self._raw(point)
        if value is None or not point.sf:
            return value
        power = self._scale(point.sf)
        if power is None:
            return None
        # division by a power of ten rounds once, so that 2301 / 10 is 230.1
        return value * 10.0**power if power >= 0 else value / 10.0**-power

    def whole(self, name: str) -> int | None:
        """A number as it stands in the registers, without its scale factor."""
        value = self._raw(self._points[name])
        return None if value is None else int(value)

    def scale(self, name: str) -> int | None:
        """Power of ten of a point; 0 where it has no scale factor, None where that is not implemented."""
        point = self._points[name]
        return self._scale(point.sf) if point.sf else 0

    def range(self, name: str) -> float | None:
        """Where a counter begins anew at 0, in its unit; None for what is no counter."""
        point, power = self._points[name], self.scale(name)
        if point.type != "acc32" or power is None:
            return None
        return float(1 << 16 * point.size) * 10.0**power

    def registers_of(self, name: str, raw: int) -> list[int]:
        """The registers of a point that holds a whole number.

        Args:
            name: Of the point.
            raw: Not scaled.

        Raises:
            ValueError: The point cannot hold it, or it would mean "not implemented".
        """
        point = self._points[name]
        words = [raw >> 16 * at & 0xFFFF for at in reversed(range(point.size))]
        if _READERS[point.type](words) != raw:
            raise ValueError(f"{name}: a {point.type} cannot hold {raw}")
        return words

    def place(self, name: str) -> tuple[int, int]:
        """Where a point stands, from the model's id on, and its size; both in registers."""
        point = self._points[name]
        return self._begin + point.at, point.size

    def text(self, name: str) -> str | None:
        """A string without the zeros and blanks that fill it up; None where nothing is left."""
        words = self._words(self._points[name])
        if words is None:
            return None
        data = b"".join(word.to_bytes(2, "big") for word in words).split(b"\0", 1)[0]
        text = "".join(one for one in data.decode("utf-8", "replace") if one.isprintable())
        return text.replace("\N{REPLACEMENT CHARACTER}", "").strip() or None

    def symbol(self, name: str) -> str | None:
        """The name of an enum's value; None where it is not implemented, or not one that is known."""
        value = self.whole(name)
        return None if value is None else _name_of(value, self._points[name])

    def bits(self, name: str) -> frozenset[str] | None:
        """The names of the bits that are set; those of makers, which have none, as `bit_7`."""
        value = self.whole(name)
        if value is None:
            return None
        if not value:
            return frozenset()
        point = self._points[name]
        set_bits = [bit for bit in range(16 * point.size) if value >> bit & 1]
        return frozenset(_name_of(bit, point) or f"bit_{bit}" for bit in set_bits)

    def _scale(self, name: str) -> int | None:
        """A scale factor serves many points: it is read once."""
        if name not in self._scales:
            self._scales[name] = self._read_scale(name)
        return self._scales[name]

    def _read_scale(self, name: str) -> int | None:
        point = self._points.get(name)
        if point is None:
            return None if self._outer is None else self._outer._scale(name)  # noqa: SLF001  of our own kind
        power = self._raw(point)
        return None if power is None else int(power)

    def _words(self, point: Point) -> Sequence[int] | None:
        at = self._begin + point.at
        words = self._registers[at : at + point.size]
        return words if len(words) == point.size else None

    def _raw(self, point: Point) -> float | None:
        words = self._words(point)
        return None if words is None else _READERS[point.type](words)


class Model(Values):
    """One model as it was read.

    Args:
        definition: Of its id.
        registers: From its id on, as many as were read.
    """

    __slots__ = ("definition",)

    def __init__(self, definition: Definition, registers: Sequence[int]) -> None:
        super().__init__(definition.points, registers)
        self.definition: Final = definition

    def members(self, name: str) -> list[Values]:
        """All of a group that repeats: as many as are counted, and as are there."""
        group = next(one for one in self.definition.groups if one.name == name)
        there = max(0, len(self._registers) - group.at) // group.size
        told = self.whole(group.repeats) if group.repeats else None
        count = there if told is None else min(there, told)
        return [
            Values(group.points, self._registers, group.at + at * group.size, self) for at in range(count)
        ]


def _name_of(value: int, point: Point) -> str | None:
    return next((name for name, known in point.symbols.items() if known == value), None)


def _unsigned(words: Sequence[int]) -> int:
    if len(words) == 1:
        return words[0]
    value = 0
    for word in words:
        value = value << 16 | word
    return value


def _plain(words: Sequence[int]) -> int | None:
    """An unsigned number, an enum, a count: all ones is not implemented."""
    value = _unsigned(words)
    return None if value == (1 << 16 * len(words)) - 1 else value


def _signed(words: Sequence[int]) -> int | None:
    """Two's complement: the most negative number is not implemented."""
    value, top = _unsigned(words), 1 << 16 * len(words) - 1
    return None if value == top else value - 2 * top if value > top else value


def _bit_field(words: Sequence[int]) -> int | None:
    """With its highest bit set it is not implemented, whatever the others are."""
    value = _unsigned(words)
    return None if value >> 16 * len(words) - 1 else value


def _accumulated(words: Sequence[int]) -> int | None:
    """A counter: 0 is not implemented; so it is for one that has not moved yet."""
    return _unsigned(words) or None


def _scale_factor(words: Sequence[int]) -> int | None:
    value = _signed(words)
    return None if value is None or abs(value) > SCALE_MAX else value


def _float(words: Sequence[int]) -> float | None:
    (value,) = struct.unpack(">f", _unsigned(words).to_bytes(4, "big"))
    return value if math.isfinite(value) else None


def _nothing(_words: Sequence[int]) -> None:
    return None


_READERS: Final[Mapping[str, Callable[[Sequence[int]], float | None]]] = {
    "int16": _signed,
    "int32": _signed,
    "uint16": _plain,
    "uint32": _plain,
    "uint64": _plain,
    "count": _plain,
    "enum16": _plain,
    "bitfield16": _bit_field,
    "bitfield32": _bit_field,
    "acc32": _accumulated,
    "float32": _float,
    "sunssf": _scale_factor,
    "string": _nothing,
    "pad": _nothing,
}
"""By type; a string has no number."""
