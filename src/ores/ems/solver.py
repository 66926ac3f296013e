"""HiGHS, kept warm: one model, loaded once, whose bounds and costs change from plan to plan."""

from __future__ import annotations

import numpy as np
from highspy import HighsBasisStatus, HighsModelStatus, HighsStatus
from highspy._core import _Highs as Highs  # highspy.Highs writes a banner to stdout as it is made

from ores.ems.sheet import Floats, Matrix, Numbers, Sheet

_NONE: Floats = np.zeros(0)
_ANSWERS = (HighsModelStatus.kOptimal, HighsModelStatus.kInfeasible)


class SolverError(RuntimeError):
    """HiGHS gave no optimum where there is one: a defect of the model or of the solver, not of the home."""


class Solver:
    """A linear program in HiGHS, minimised."""

    def __init__(self, *, presolve: bool = False) -> None:
        self._highs = Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "on" if presolve else "off")
        self._sent = Numbers(_NONE, _NONE, _NONE)

    @property
    def iterations(self) -> int:
        """Of the simplex, in the last solve."""
        return int(self._highs.getInfo().simplex_iteration_count)

    def load(self, matrix: Matrix, numbers: Numbers) -> None:
        """Replace the model."""
        status = self._highs.passModel(
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
            np.zeros(matrix.columns, dtype=np.int32),  # all continuous
        )
        if status == HighsStatus.kError:
            raise SolverError("HiGHS refused the model")
        self._sent = numbers

    def change(self, numbers: Numbers) -> None:
        """Other bounds and costs for the same model; the basis stays."""
        sent = self._sent
        moved = np.flatnonzero((numbers.lower != sent.lower) | (numbers.upper != sent.upper))
        if len(moved):
            columns = moved.astype(np.int32)
            self._highs.changeColsBounds(len(moved), columns, numbers.lower[moved], numbers.upper[moved])
        dearer = np.flatnonzero(numbers.cost != sent.cost)
        if len(dearer):
            self._highs.changeColsCost(len(dearer), dearer.astype(np.int32), numbers.cost[dearer])
        self._sent = numbers

    def solve(self) -> bool:
        """Find the optimum; whether there is one.

        Raises:
            SolverError: HiGHS gave up.
        """
        self._highs.run()
        status = self._highs.getModelStatus()
        if status not in _ANSWERS:
            # a basis from before can, rarely, lead into numerical trouble: once more without it
            self._highs.clearSolver()
            self._highs.run()
            status = self._highs.getModelStatus()
        if status not in _ANSWERS:
            raise SolverError(f"HiGHS ended with: {self._highs.modelStatusToString(status)}")
        return bool(status == HighsModelStatus.kOptimal)

    def objective(self) -> float:
        """Of the optimum."""
        return float(self._highs.getObjectiveValue())

    def solution(self) -> tuple[Floats, Floats]:
        """Values of the columns and duals of the rows."""
        found = self._highs.getSolution()
        return np.array(found.col_value), np.array(found.row_dual)

    def shift(self, sheet: Sheet, count: int, by: int) -> None:
        """Begin the next solve where the last one ended, as many intervals later.

        What stands in blocks of `count` columns or rows moves up by that many; the last interval is repeated.
        """
        basis = self._highs.getBasis()
        basis.col_status = _shifted(basis.col_status, sheet.column_blocks, count, by)
        basis.row_status = _shifted(basis.row_status, sheet.row_blocks, count, by)
        self._highs.setBasis(basis)


def _shifted(
    statuses: list[HighsBasisStatus], blocks: list[slice], count: int, by: int
) -> list[HighsBasisStatus]:
    shifted: list[HighsBasisStatus] = []
    for block in blocks:
        part = statuses[block]
        shifted += part[by:] + part[-by:] if len(part) == count else part
    return shifted
