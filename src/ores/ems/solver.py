"""HiGHS, kept warm: one model, loaded once, whose bounds and costs change from plan to plan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from highspy import HighsBasisStatus, HighsModelStatus, HighsStatus
from highspy._core import _Highs as Highs  # highspy.Highs writes a banner to stdout as it is made
from numpy.typing import NDArray

from ores.ems.sheet import Floats, Ints, Matrix, Numbers, Sheet

Kinds = NDArray[np.int32]
"""Of columns: 0 is continuous, 1 is whole."""

_NONE: Floats = np.zeros(0)
_ANSWERS = (HighsModelStatus.kOptimal, HighsModelStatus.kInfeasible)


def pass_model(highs: Highs, matrix: Matrix, numbers: Numbers, kinds: Kinds, offset: float = 0.0) -> bool:
    """Give HiGHS a program to minimise, by columns; whether it took it.

    Args:
        highs: It.
        matrix: Of the program.
        numbers: Of the program; their own offset may change from solve to solve, and is not passed.
        kinds: Of the columns.
        offset: Of the objective.
    """
    taken: HighsStatus = highs.passModel(
        matrix.columns,
        matrix.rows,
        len(matrix.value),
        1,
        1,
        offset,
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
    return taken != HighsStatus.kError


class SolverError(RuntimeError):
    """HiGHS gave no optimum where there is one: a defect of the model or of the solver, not of the home."""


@dataclass(frozen=True, slots=True)
class Optimum:
    """What a solve found, kept while other programs are solved.

    Attributes:
        numbers: Of the program.
        objective: With the offset.
        values: Of the columns.
        duals: Of the rows: what the objective gains with each unit on the right side.
    """

    numbers: Numbers
    objective: float
    values: Floats
    duals: Floats


class Solver:
    """A linear program in HiGHS, minimised."""

    def __init__(self, *, presolve: bool = False) -> None:
        self._highs = Highs()
        self._highs.setOptionValue("output_flag", False)
        self._highs.setOptionValue("threads", 1)
        self._highs.setOptionValue("presolve", "on" if presolve else "off")
        self._presolve = presolve
        self.numbers = Numbers(_NONE, _NONE, _NONE)

    @property
    def iterations(self) -> int:
        """Of the simplex, in the last solve."""
        return int(self._highs.getInfo().simplex_iteration_count)

    def load(self, matrix: Matrix, numbers: Numbers) -> None:
        """Replace the model."""
        continuous: Kinds = np.zeros(matrix.columns, dtype=np.int32)
        if not pass_model(self._highs, matrix, numbers, continuous):
            raise SolverError("HiGHS refused the model")
        self.numbers = numbers

    def change(self, numbers: Numbers) -> None:
        """Other bounds and costs for the same model; the basis stays."""
        sent = self.numbers
        moved = np.flatnonzero((numbers.lower != sent.lower) | (numbers.upper != sent.upper))
        if len(moved):
            columns = moved.astype(np.int32)
            self._highs.changeColsBounds(len(moved), columns, numbers.lower[moved], numbers.upper[moved])
        dearer = np.flatnonzero(numbers.cost != sent.cost)
        if len(dearer):
            self._highs.changeColsCost(len(dearer), dearer.astype(np.int32), numbers.cost[dearer])
        self.numbers = numbers

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
        return float(self._highs.getObjectiveValue()) + self.numbers.offset

    def values(self) -> Floats:
        """Of the columns, at the optimum."""
        return np.array(self._highs.getSolution().col_value)

    def optimum(self) -> Optimum:
        """All of it."""
        solution = self._highs.getSolution()
        return Optimum(
            self.numbers, self.objective(), np.array(solution.col_value), np.array(solution.row_dual)
        )

    def begin(self, rows: Ints, columns: Ints, full: Ints) -> None:
        """Begin the next solve at a basis, instead of where all columns are at their lower bounds.

        Args:
            rows: Where something is in the basis, one column each; in all others their slack is.
            columns: In the basis; the rows that they stand in have to be such that they are independent.
            full: At their upper bounds.
        """
        if self._presolve:
            return  # HiGHS leaves it out where there is a basis
        matrix_columns, matrix_rows = self._highs.getNumCol(), self._highs.getNumRow()
        column_status = [HighsBasisStatus.kLower] * matrix_columns
        row_status = [HighsBasisStatus.kBasic] * matrix_rows
        for row in rows.tolist():
            row_status[row] = HighsBasisStatus.kLower
        for column in columns.tolist():
            column_status[column] = HighsBasisStatus.kBasic
        for column in full.tolist():
            column_status[column] = HighsBasisStatus.kUpper
        basis = self._highs.getBasis()
        basis.col_status, basis.row_status, basis.valid, basis.alien = column_status, row_status, True, False
        self._highs.setBasis(basis)

    def follow(self, solver: Solver, before: Sheet, sheet: Sheet, count: int, by: int) -> None:
        """Begin the next solve where another one ended, as many intervals later.

        Args:
            solver: That solved the program of `before`; may be this one.
            before: The blocks of that program.
            sheet: The blocks of the program that is loaded here.
            count: Of intervals: what stands in blocks of so many moves up; the last interval is repeated.
            by: So many intervals; >= 0.
        """
        by = min(by, count)
        basis = solver._highs.getBasis()
        if not basis.valid:
            return
        columns, rows = basis.col_status, basis.row_status
        told = ((columns, before.column_blocks), (rows, before.row_blocks))
        moved = [[_later(statuses[block], count, by) for block in blocks] for statuses, blocks in told]
        basis.col_status = _fitted(moved[0], sheet.column_blocks, HighsBasisStatus.kLower)
        basis.row_status = _fitted(moved[1], sheet.row_blocks, HighsBasisStatus.kBasic)
        basis.alien = True  # it need not be square, nor of full rank, in the other program
        self._highs.setBasis(basis)


def _later(statuses: list[HighsBasisStatus], count: int, by: int) -> list[HighsBasisStatus]:
    return statuses[by:] + statuses[count - by :] if len(statuses) == count else statuses


def _fitted(
    parts: list[list[HighsBasisStatus]], blocks: list[slice], missing: HighsBasisStatus
) -> list[HighsBasisStatus]:
    fitted: list[HighsBasisStatus] = []
    for number, block in enumerate(blocks):
        length = block.stop - block.start
        part = parts[number] if number < len(parts) else []
        fitted += part[:length]
        fitted += [missing] * (length - len(part))
    return fitted
