"""Columns of numbers as small blobs, without loss: pure.

A column is a list of floats with `None` where the value was unknown. Measured values are mostly decimal
numbers with few digits that move little from tick to tick, so a column is stored as the differences of
scaled integers when that gives back exactly the same floats, and as plain doubles when it does not. Bytes
of equal significance are laid side by side before zlib, which makes the nearly constant upper bytes vanish.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

from ores.link.errors import Unavailable

Column = list[float | None]

_HEAD = struct.Struct("<BBBxIIq")  # form, decimal places, bytes per item, values, known values, first integer
_FORM_INTEGERS = 1
_FORM_DOUBLES = 2
_MAX_DECIMALS = 6
_EXACT = 2.0**53  # beyond it a double no longer holds every integer
_CODES = ((1, "b"), (2, "h"), (4, "i"), (8, "q"))
_SAMPLE = 64


class DamagedBlock(Unavailable):
    """A packed block of history cannot be unpacked: the file is damaged."""

    code = "history_damaged"


def encode(columns: Sequence[Sequence[float | None]]) -> bytes:
    """Pack columns (of any lengths) into one blob; `decode` gives back exactly the same numbers.

    Args:
        columns: Finite floats or integers below 2^53, `None` where unknown.
    """
    return zlib.compress(b"".join(_encode_column(column) for column in columns), 6)


def decode(blob: bytes) -> list[Column]:
    """Unpack what `encode` made.

    Raises:
        DamagedBlock: the blob is not one that `encode` made.
    """
    try:
        data = zlib.decompress(blob)
        columns: list[Column] = []
        at = 0
        while at < len(data):
            column, at = _decode_column(data, at)
            columns.append(column)
    except (zlib.error, struct.error, LookupError, ValueError, StopIteration) as error:
        raise DamagedBlock(f"a packed block of history is damaged: {error}") from error
    return columns


def _encode_column(values: Sequence[float | None]) -> bytes:
    known = [value for value in values if value is not None]
    gaps = b"" if len(known) == len(values) else bytes([value is not None for value in values])
    scaled = _as_integers(known)
    if scaled is None:
        body = _planes(_little_endian(array("d", known)), 8)
        return _HEAD.pack(_FORM_DOUBLES, 0, 8, len(values), len(known), 0) + gaps + body
    decimals, integers = scaled
    steps = list(map(sub, integers[1:], integers))
    width, code = _narrowest(steps)
    head = _HEAD.pack(
        _FORM_INTEGERS, decimals, width, len(values), len(known), integers[0] if integers else 0
    )
    return head + gaps + _planes(_little_endian(array(code, steps)), width)


def _decode_column(data: bytes, at: int) -> tuple[Column, int]:
    form, decimals, width, count, known_count, first = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    gaps = b""
    if known_count != count:
        gaps = data[at : at + count]
        at += count
    items = known_count if form == _FORM_DOUBLES else max(known_count - 1, 0)
    end = at + items * width
    if end > len(data) or form not in (_FORM_INTEGERS, _FORM_DOUBLES):
        raise DamagedBlock("a packed block of history is damaged: it is cut short")
    numbers = array("d" if form == _FORM_DOUBLES else dict(_CODES)[width])
    numbers.frombytes(_unplanes(data[at:end], width))
    if sys.byteorder == "big":
        numbers.byteswap()
    known: Column
    if form == _FORM_DOUBLES:
        known = list(numbers)
    elif known_count == 0:
        known = []
    else:
        scale = 10.0**decimals
        known = [integer / scale for integer in accumulate(numbers, initial=first)]
    if not gaps:
        return known, end
    rest = iter(known)
    return [next(rest) if there else None for there in gaps], end


def _as_integers(known: list[float]) -> tuple[int, list[int]] | None:
    """The decimals and the scaled integers that give back exactly these floats, if there are any."""
    for decimals in range(_MAX_DECIMALS + 1):
        scale = 10.0**decimals
        if not _fits(known[:_SAMPLE], scale):
            continue
        if not known or (max(known) * scale < _EXACT and min(known) * scale > -_EXACT):
            integers = [round(value * scale) for value in known]
            if [integer / scale for integer in integers] == known:
                return decimals, integers
    return None


def _fits(values: list[float], scale: float) -> bool:
    return all(abs(value) * scale < _EXACT and round(value * scale) / scale == value for value in values)


def _narrowest(steps: list[int]) -> tuple[int, str]:
    low, high = (min(steps), max(steps)) if steps else (0, 0)
    for width, code in _CODES:
        bound = 1 << (8 * width - 1)
        if -bound <= low and high < bound:
            return width, code
    raise AssertionError("differences of integers below 2^53 fit into 64 bits")


def _little_endian(items: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        items.byteswap()
    return items.tobytes()


def _planes(raw: bytes, width: int) -> bytes:
    return raw if width == 1 else b"".join(raw[plane::width] for plane in range(width))


def _unplanes(planes: bytes, width: int) -> bytes:
    if width == 1:
        return planes
    count = len(planes) // width
    raw = bytearray(len(planes))
    for plane in range(width):
        raw[plane::width] = planes[plane * count : (plane + 1) * count]
    return bytes(raw)
