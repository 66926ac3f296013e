"""Decisions that branch and bound over the one program did not settle: with binaries, in a copy of it.

A copy gets one binary for each decision that came up. It is made for the rare plan whose decisions hang
together (a row of negative prices, selling for more than buying costs), and thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from highspy._core import _Highs as Highs  # highspy.Highs writes a banner to stdout as it is made

from ores.ems.sheet import Floats, Ints, Matrix, Numbers
from ores.ems.solver import Kinds, pass_model

NODES: Final = 2000
"""Of the search tree; a number, as a time is not the same everywhere."""

_NONE: Ints = np.zeros(0, dtype=np.int64)
_NOTHING: Floats = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Choice:
    """One decision.

    Attributes:
        on: Columns that are 0 unless it is on.
        off: Columns that are 0 unless it is off.
        least: What those of `on` are together at least, when it is on.
        whole: Columns that are 0 or 1 themselves.
    """

    on: Ints = field(default_factory=_NONE.copy)
    off: Ints = field(default_factory=_NONE.copy)
    least: float = 0.0
    whole: Ints = field(default_factory=_NONE.copy)


def search(
    matrix: Matrix, numbers: Numbers, choices: Sequence[Choice], gap: float
) -> tuple[Floats, float] | None:
    """The best solution in which each choice is made.

    Args:
        matrix: Of the program.
        numbers: Of the program.
        choices: To be made.
        gap: A solution this close to the best is taken: as a share of the objective, or as an amount where
            the objective is below 1.

    Returns:
        Values of the columns, and a lower bound of the objective; None where none was found.
    """
    highs = Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("mip_abs_gap", gap)
    highs.setOptionValue("mip_max_nodes", NODES)
    kinds: Kinds = np.zeros(matrix.columns, dtype=np.int32)
    for choice in choices:
        kinds[choice.whole] = 1
    if not pass_model(highs, matrix, numbers, kinds, numbers.offset):
        return None
    _decide(highs, matrix.columns, numbers, [choice for choice in choices if not len(choice.whole)])
    highs.run()
    info = highs.getInfo()
    values: Floats = np.array(highs.getSolution().col_value)[: matrix.columns]
    if not len(values) or not np.isfinite(info.objective_function_value):
        return None
    return values, float(info.mip_dual_bound)


def _decide(highs: Highs, first: int, numbers: Numbers, choices: Sequence[Choice]) -> None:
    """One binary for each choice: sum(on) <= most * binary, sum(off) <= most * (1 - binary)."""
    count = len(choices)
    if count == 0:
        return
    starts = np.zeros(count, dtype=np.int32)
    highs.addCols(count, np.zeros(count), np.zeros(count), np.ones(count), 0, starts, starts[:0], _NOTHING)
    binaries = np.arange(first, first + count, dtype=np.int32)
    highs.changeColsIntegrality(count, binaries, np.ones(count, dtype=np.uint8))
    for binary, choice in zip(binaries, choices, strict=True):
        for side, sign in ((choice.on, -1.0), (choice.off, 1.0)):
            most = float(numbers.upper[side].sum())
            if len(side):
                index = np.append(side, binary).astype(np.int32)
                value = np.append(np.ones(len(side)), sign * most)
                highs.addRow(-np.inf, most if sign > 0.0 else 0.0, len(index), index, value)
        if choice.least > 0.0:
            index = np.append(choice.on, binary).astype(np.int32)
            value = np.append(np.ones(len(choice.on)), -choice.least)
            highs.addRow(0.0, np.inf, len(index), index, value)
