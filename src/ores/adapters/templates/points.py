"""Registers into values and back, by what a template says of each point. Pure; no register is believed.

value = raw × scale. What is marked as none, cannot be of its quantity, or is no number, is None.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import msgspec

_FORMS: Final[Mapping[str, str]] = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "int64": "q", "uint64": "Q",
    "float64": "d",
}  # fmt: skip
"""Numbers as `struct` calls them."""
_UNSIGNED: Final[Mapping[int, str]] = {1: "H", 2: "I", 4: "Q"}
"""The same by size, as the registers stand."""
SIZES: Final[Mapping[str, int]] = {
    **{kind: struct.calcsize(f">{form}") // 2 for kind, form in _FORMS.items()},
    "text": 0,
}
"""Registers of each type; those of a text are told by the point."""
RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "W": (-1e6, 1e6), "var": (-1e6, 1e6), "VA": (-1e6, 1e6), "Wh": (0.0, 1e12), "V": (0.0, 2000.0),
    "A": (-10_000.0, 10_000.0), "Ah": (0.0, 1e6), "Hz": (40.0, 70.0), "%": (0.0, 100.0), "°C": (-60.0, 200.0),
    "s": (0.0, 1e9), "min": (0.0, 1e7), "ohm": (0.0, 1e9),
}  # fmt: skip
"""What each unit can be where the template says nothing narrower."""
Table = Literal["holding", "input"]
Decoder = Callable[[Sequence[int]], float | None]
"""The registers of a point into its value; None where it is not known."""


class Point(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One value of a device. The fields are those of the format."""

    at: int
    table: Table = "holding"
    type: str = "uint16"
    registers: int = 0
    words: str = "high_first"
    bytes: str = "high_first"
    scale: float = 1.0
    unit: str = "1"
    none: tuple[int, ...] = ()
    least: float | None = None
    most: float | None = None
    means: str = ""
    values: dict[int, float] | None = None
    static: bool = False
    optional: bool = False
    function: int = 16
    write_only: bool = False
    readback: str = ""
    tolerance: int = 0
    writes_per_day: int | None = None

    @property
    def size(self) -> int:
        """How many registers it takes."""
        return SIZES[self.type] or self.registers

    @property
    def range(self) -> tuple[float, float]:
        """Between which values it is believed, in its unit."""
        least, most = RANGES.get(self.unit, (-math.inf, math.inf))
        return (least if self.least is None else self.least), (most if self.most is None else self.most)

    @property
    def wraps_at(self) -> float | None:
        """Where a counter begins anew at 0, in its unit; None for what does not wrap."""
        if self.type not in {"uint16", "uint32", "int16", "int32"} or self.unit != "Wh":
            return None
        bits = 16 * self.size - (1 if self.type.startswith("int") else 0)
        return float(1 << bits) * self.scale


def raw_of(point: Point, words: Sequence[int]) -> float | None:
    """What stands in the registers of a number, not scaled; None for what is no number.

    Args:
        point: Of a number.
        words: Its registers, each 0 to 65 535, in the order of the wire.
    """
    raw = _unpacked(point, _FORMS[point.type])(words)
    return float(raw) if math.isfinite(raw) else None


def number(point: Point, words: Sequence[int]) -> float | None:
    """The value in the point's unit; None where it is not known."""
    return decoder(point)(words)


def decoder(point: Point) -> Decoder:
    """`number` of a point that is read in each round: what does not change is worked out once."""
    unpacked = _unpacked(point, _FORMS[point.type])
    unsigned = _unpacked(point, _UNSIGNED[point.size])
    size, none, values = point.size, point.none, point.values
    scale, divisor = point.scale, _divisor(point.scale)
    least, most = point.range

    def decode(words: Sequence[int]) -> float | None:
        if len(words) != size:
            return None  # kept by an earlier version of the template
        raw = unpacked(words)
        if not math.isfinite(raw) or (none and unsigned(words) in none):
            return None
        if values is not None:
            return values.get(int(raw))
        value = float(raw) * scale if divisor is None else float(raw) / divisor
        return value if least <= value <= most else None

    return decode


def text(point: Point, words: Sequence[int]) -> str | None:
    """A text without what fills it up; None where nothing is left."""
    data = _bytes_of(point, words).split(b"\0", 1)[0]
    found = "".join(one for one in data.decode("utf-8", "replace") if one.isprintable())
    return found.replace("\N{REPLACEMENT CHARACTER}", "").strip()[:64] or None


def scaled(raw: float, scale: float) -> float:
    """Raw × scale; a tenth is a division by ten, which rounds once, so that 2301 × 0.1 is 230.1."""
    divisor = _divisor(scale)
    return raw * scale if divisor is None else raw / divisor


def _divisor(scale: float) -> int | None:
    """The whole number by which a division does the same; None where there is none."""
    inverse = 1.0 / scale
    whole = round(inverse)
    return whole if abs(inverse) > 1 and abs(inverse - whole) < 1e-9 * abs(inverse) else None


def registers_of(point: Point, value: float) -> list[int]:
    """The registers that hold a value.

    Args:
        point: To be written.
        value: In its unit; rounded towards 0, so that it never asks for more.

    Raises:
        ValueError: The point cannot hold it.
    """
    raw = scaled(value, 1.0 / point.scale)
    if not math.isfinite(raw):
        raise ValueError(f"{value} is no number that can be written")
    if point.type.startswith("float"):
        return _words_of(point, _packed(f">{_FORMS[point.type]}", raw))
    whole = math.floor(raw + 1e-9) if raw >= 0 else math.ceil(raw - 1e-9)
    try:
        data = whole.to_bytes(2 * point.size, "big", signed=point.type.startswith("int"))
    except OverflowError:
        raise ValueError(f"a {point.type} cannot hold {whole}") from None
    if point.none and int.from_bytes(data, "big") in point.none:
        raise ValueError(f"{whole} means that there is no value")
    return _words_of(point, data)


def agrees(point: Point, words: Sequence[int], wanted: Sequence[int]) -> bool:
    """Whether registers hold what was wanted, as well as the device can hold it."""
    if list(words) == list(wanted):
        return True
    found, asked = raw_of(point, words), raw_of(point, wanted)
    if found is None or asked is None:
        return False
    return abs(found - asked) <= point.tolerance


def _packed(form: str, raw: float) -> bytes:
    try:
        return struct.pack(form, raw)
    except OverflowError:
        raise ValueError(f"{raw} is no number that can be written") from None


def _unpacked(point: Point, form: str) -> Callable[[Sequence[int]], float]:
    """What turns the registers of a point into a number of this form, not scaled."""
    order = ">" if point.bytes == "high_first" else "<"
    pack = struct.Struct(f"{order}{point.size}H").pack
    unpack = struct.Struct(f">{form}").unpack
    if point.words == "high_first":
        return lambda words: unpack(pack(*words))[0]
    return lambda words: unpack(pack(*reversed(words)))[0]


def _bytes_of(point: Point, words: Sequence[int]) -> bytes:
    """High byte first, whatever the wire has."""
    ordered = words if point.words == "high_first" else list(reversed(words))
    order: Literal["big", "little"] = "big" if point.bytes == "high_first" else "little"
    return b"".join(word.to_bytes(2, order) for word in ordered)


def _words_of(point: Point, data: bytes) -> list[int]:
    order: Literal["big", "little"] = "big" if point.bytes == "high_first" else "little"
    words = [int.from_bytes(data[at : at + 2], order) for at in range(0, len(data), 2)]
    return words if point.words == "high_first" else words[::-1]
