"""Either-or decisions that the linear program cannot make: as binaries, where it would do both.

They are rare (negative prices, an export price above the import price), so they are no part of the model:
when its optimum does both in some intervals, a copy of it gets one binary for each of these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from highspy import HighsModelStatus, HighsStatus
from highspy._core import _Highs as Highs  # highspy.Highs writes a banner to stdout as it is made
from numpy.typing import NDArray

from ores.ems.sheet import Floats, Ints, Matrix, Numbers

GAP = 1e-5
"""A plan that is known to be this close to the best, as a share of its objective, is taken."""
NODES = 2000
"""Of the search tree; the same on every machine, as a time would not be."""


@dataclass(frozen=True, slots=True)
class Either:
    """Columns of one side must be 0, or those of the other; shape (k,) each."""

    one: Ints
    other: Ints


@dataclass(frozen=True, slots=True)
class Found:
    """Values of the columns, and how good they are."""

    values: Floats
    objective: float
    bound: float


def search(matrix: Matrix, numbers: Numbers, choices: list[Either], whole: Ints) -> Found | None:
    """The best solution in which each choice is made and the columns `whole` are whole numbers.

    Returns:
        None where the search ended without any.
    """
    highs = Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("mip_rel_gap", GAP / 2.0)
    highs.setOptionValue("mip_max_nodes", NODES)
    kinds: NDArray[np.int32] = np.zeros(matrix.columns, dtype=np.int32)
    kinds[whole] = 1
    status = highs.passModel(
        matrix.columns,
        matrix.rows,
        len(matrix.value),
        1,
        1,
        0.0,
        numbers.cost,
        numbers.lower,
        numbers.upper,
        matrix.row_lower,
        np.zeros(matrix.rows),
        matrix.start,
        matrix.index,
        matrix.value,
        kinds,
    )
    if status == HighsStatus.kError:
        return None
    if choices:
        _decide(highs, matrix.columns, numbers, choices)
    highs.run()
    info = highs.getInfo()
    if highs.getModelStatus() == HighsModelStatus.kInfeasible or not np.isfinite(
        info.objective_function_value
    ):
        return None
    values: Floats = np.array(highs.getSolution().col_value)[: matrix.columns]
    if not len(values):
        return None
    return Found(values, float(info.objective_function_value), float(info.mip_dual_bound))


def _decide(highs: Highs, first: int, numbers: Numbers, choices: list[Either]) -> None:
    """One binary for each choice: sum(one) <= most * binary, sum(other) <= most * (1 - binary)."""
    count = len(choices)
    empty: Ints = np.zeros(0, dtype=np.int64)
    highs.addCols(
        count,
        np.zeros(count),
        np.zeros(count),
        np.ones(count),
        0,
        np.zeros(count, dtype=np.int32),
        empty,
        _NO,
    )
    binaries = np.arange(first, first + count, dtype=np.int32)
    highs.changeColsIntegrality(count, binaries, np.ones(count, dtype=np.uint8))
    for binary, choice in zip(binaries, choices, strict=True):
        for side, sign in ((choice.one, -1.0), (choice.other, 1.0)):
            most = float(numbers.upper[side].sum())
            index = np.append(side, binary).astype(np.int32)
            value = np.append(np.ones(len(side)), sign * most)
            highs.addRow(-np.inf, most if sign > 0 else 0.0, len(index), index, value)


_NO: Floats = np.zeros(0)
