"""Columns of numbers as small blobs, without loss: pure.

Measured values are mostly decimal numbers with few digits that move little from tick to tick, so columns are
stored as the differences of scaled integers when that gives back exactly the same floats, and as plain
doubles when it does not. Bytes of equal significance are laid side by side before zlib, which makes the
nearly constant upper bytes vanish.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ores.link.errors import Unavailable

Column = list[float | None]
"""One value per tick, `None` where unknown."""

Columns = npt.NDArray[np.float64]
"""Shape (columns, values), NaN where unknown."""

Integers = npt.NDArray[np.int64]

_HEAD = struct.Struct("<BBHI")  # form, bytes per item, columns, values per column
_FORM_INTEGERS = 1
_FORM_DOUBLES = 2
_SCALES = np.array([10.0**decimals for decimals in range(7)])
_EXACT = 2.0**53  # beyond it a double no longer holds every integer
_SAMPLE = 64


class DamagedBlock(Unavailable):
    """A packed block of history cannot be unpacked: the file is damaged."""

    code = "history_damaged"


def as_array(values: Sequence[float | None]) -> npt.NDArray[np.float64]:
    """A column as numbers, NaN where unknown."""
    return np.array(values, dtype=np.float64)


def as_column(values: npt.NDArray[np.float64]) -> Column:
    """Numbers as a column, `None` where NaN."""
    column: Column = values.tolist()
    for k in np.flatnonzero(np.isnan(values)).tolist():
        column[k] = None
    return column


def encode(columns: Columns) -> bytes:
    """Pack columns into one blob; `decode` gives back exactly the same numbers.

    Args:
        columns: Finite, NaN where unknown.
    """
    known = ~np.isnan(columns)
    gaps = b""
    if not known.all():
        gaps = np.packbits(known).tobytes()
        columns = _held(columns, known)
    scaled = _as_integers(columns)
    if scaled is None:
        head = _HEAD.pack(_FORM_DOUBLES, 8, *columns.shape)
        return zlib.compress(head + _planes(np.ascontiguousarray(columns).view(np.int64), 8) + gaps, 6)
    decimals, integers = scaled
    steps = np.diff(integers, axis=1)
    width = next(width for width in (1, 2, 4, 8) if _fits(steps, width))
    head = _HEAD.pack(_FORM_INTEGERS, width, *columns.shape) + decimals
    firsts = _planes(integers[:, :1], 8)
    return zlib.compress(head + firsts + _planes(steps, width) + gaps, 6)


def decode(blob: bytes) -> Columns:
    """Unpack what `encode` made.

    Raises:
        DamagedBlock: the blob is not one that `encode` made.
    """
    try:
        return _unpack(zlib.decompress(blob))
    except (zlib.error, struct.error, LookupError, TypeError, ValueError, MemoryError) as error:
        raise DamagedBlock(f"a packed block of history is damaged: {error}") from error


def _unpack(data: bytes) -> Columns:
    columns: Columns
    form, width, count, length = _HEAD.unpack_from(data)
    at = _HEAD.size
    if form == _FORM_INTEGERS:
        scales = _SCALES[np.frombuffer(data, np.uint8, count, at), np.newaxis]
        at += count
        firsts, at = _unplanes(data, at, 8, (count, min(length, 1)))
        steps, at = _unplanes(data, at, width, (count, max(length - 1, 0)))
        columns = np.cumsum(np.concatenate([firsts, steps], axis=1), axis=1) / scales
    elif form == _FORM_DOUBLES:
        bits, at = _unplanes(data, at, 8, (count, length))
        columns = bits.view(np.float64)
    else:
        raise ValueError(f"form {form}")
    if at < len(data):
        gaps = np.frombuffer(data, np.uint8, -(-count * length // 8), at)
        columns[np.unpackbits(gaps, count=count * length).reshape(count, length) == 0] = np.nan
        at += gaps.size
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes too many")
    return columns


def _held(columns: Columns, known: npt.NDArray[np.bool_]) -> Columns:
    """Gaps filled with the last known value, which packs best; 0 where there is none yet."""
    last = np.maximum.accumulate(np.where(known, np.arange(columns.shape[1]), 0), axis=1)
    return np.nan_to_num(np.take_along_axis(columns, last, axis=1))


def _as_integers(columns: Columns) -> tuple[bytes, Integers] | None:
    """The decimals of each column and the scaled integers that give back exactly these floats, if there are
    any.
    """
    decimals = bytearray(len(columns))
    integers = np.empty(columns.shape, np.int64)
    for k, column in enumerate(columns):
        for decimals[k], scale in enumerate(_SCALES):
            if _scaled(column[:_SAMPLE], scale) is not None and (whole := _scaled(column, scale)) is not None:
                integers[k] = whole
                break
        else:
            return None
    return bytes(decimals), integers


def _scaled(column: Columns, scale: np.float64) -> Columns | None:
    """The column times the scale, if dividing it again gives back the column."""
    with np.errstate(over="ignore"):
        whole = np.rint(column * scale)
    exact = np.abs(whole).max(initial=0.0) < _EXACT and (whole / scale == column).all()
    return whole if exact else None


def _fits(steps: Integers, width: int) -> bool:
    bound = 1 << (8 * width - 1)
    return bool(-bound <= steps.min(initial=0) and steps.max(initial=0) < bound)


def _planes(items: Integers, width: int) -> bytes:
    return items.astype(f"<i{width}").reshape(-1, 1).view(np.uint8).T.tobytes()


def _unplanes(data: bytes, at: int, width: int, shape: tuple[int, int]) -> tuple[Integers, int]:
    """The items of a block of planes, and where it ends."""
    size = shape[0] * shape[1] * width
    planes = np.frombuffer(data[at : at + size], np.uint8).reshape(width, -1)
    items = np.ascontiguousarray(planes.T).view(f"<i{width}").astype(np.int64)
    return items.reshape(shape), at + size
