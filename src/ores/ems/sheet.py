"""A linear program as arrays: who asks for columns and rows gets their numbers; all entries make one matrix.

All rows read `matrix @ columns = 0` or `<= 0`: what changes from plan to plan (loads, states, limits, prices)
stands in the bounds and costs of columns, which HiGHS takes as arrays, and the matrix stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(slots=True)
class Numbers:
    """Bounds and costs of all columns, each of shape (columns,), and what is added to the objective."""

    lower: Floats
    upper: Floats
    cost: Floats
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Matrix:
    """By columns, compressed: the entries of column j stand from start[j] on, up to start[j + 1]."""

    start: Ints
    index: Ints
    value: Floats
    row_lower: Floats

    @property
    def columns(self) -> int:
        """How many."""
        return len(self.start) - 1

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.row_lower)


class Sheet:
    """Collects columns, rows and entries."""

    def __init__(self) -> None:
        self.column_count = 0
        self.row_count = 0
        self.column_blocks: list[slice] = []
        self.row_blocks: list[slice] = []
        self._rows: list[Ints] = []
        self._columns: list[Ints] = []
        self._values: list[Floats] = []
        self._row_lower: list[Floats] = []

    def columns(self, count: int) -> Ints:
        """The numbers of as many new columns."""
        first = self.column_count
        self.column_count += count
        self.column_blocks.append(slice(first, self.column_count))
        return np.arange(first, self.column_count)

    def rows(self, count: int, *, at_most: bool = False) -> Ints:
        """The numbers of as many new rows: = 0, or <= 0."""
        first = self.row_count
        self.row_count += count
        self.row_blocks.append(slice(first, self.row_count))
        self._row_lower.append(np.full(count, -np.inf if at_most else 0.0))
        return np.arange(first, self.row_count)

    def put(self, rows: Ints, columns: Ints, values: float | Floats) -> None:
        """Entries of the matrix; each place at most once, none of them 0."""
        self._rows.append(rows)
        self._columns.append(columns)
        self._values.append(np.broadcast_to(np.asarray(values, dtype=np.float64), rows.shape))

    def matrix(self) -> Matrix:
        """All entries, in the order of the columns."""
        columns = np.concatenate(self._columns)
        order = np.argsort(columns, kind="stable")
        start = np.zeros(self.column_count + 1, dtype=np.int64)
        np.cumsum(np.bincount(columns, minlength=self.column_count), out=start[1:])
        return Matrix(
            start,
            np.concatenate(self._rows)[order],
            np.concatenate(self._values)[order],
            np.concatenate(self._row_lower),
        )

    def numbers(self) -> Numbers:
        """Bounds of 0 .. inf and costs of 0, to be filled in."""
        count = self.column_count
        return Numbers(np.zeros(count), np.full(count, np.inf), np.zeros(count))
