"""Decisions that a linear program cannot make: either this or that.

The program is solved as if both were possible. Where its optimum does both, each member of a family of
decisions can be split in two restrictions, of which one holds in every plan that is possible. This is branch
and bound over these, with the one program that is in the solver: they change bounds and costs only.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ores.ems import exact
from ores.ems.exact import Choice
from ores.ems.sheet import Floats, Ints, Matrix, Numbers
from ores.ems.solver import Optimum, Solver, SolverError

GAP: Final = 5e-5
"""A plan that is known to be this close to the best, as a share of its objective, is taken."""
PROGRAMS: Final = 40
"""Solved at most for one plan before binaries take over; a number, as a time is not the same everywhere."""
FEW: Final = 4
"""Open decisions, of which a whole tree has no more programs than that."""
TRIES: Final = 10
"""Programs where more decisions are open: to look once whether it is easy."""
SEEN: Final = 1e-6
"""Amounts up to it, in kWh, are the solver's rounding."""


@dataclass(frozen=True, slots=True)
class Restriction:
    """Other bounds and costs for some columns."""

    columns: Ints
    lower: Floats
    upper: Floats
    cost: Floats
    offset: float = 0.0


class Family(Protocol):
    """Decisions of one kind, numbered from 0."""

    def offences(self, values: Floats, numbers: Numbers) -> Floats:
        """By how much each decision is not made, in kWh; 0 where it is."""
        ...

    def halves(self, member: int, values: Floats, numbers: Numbers) -> tuple[Restriction, Restriction]:
        """Two ways to decide, the more likely one first."""
        ...

    def rounded(self, values: Floats, numbers: Numbers) -> Restriction | None:
        """All decisions that are open, made in the way that is nearest; None where none is."""
        ...

    def plain(self, numbers: Numbers) -> Restriction | None:
        """The real costs, where those of the program are others as long as it is not decided."""
        ...

    def broken(self, values: Floats) -> NDArray[np.bool_]:
        """Which decisions are not made, at real costs."""
        ...

    def choice(self, member: int) -> Choice:
        """The decision, for a program with binaries."""
        ...


def restricted(numbers: Numbers, restrictions: Sequence[Restriction]) -> Numbers:
    """The program with all restrictions: of bounds the narrower ones, of costs the later ones."""
    if not restrictions:
        return numbers
    lower, upper, cost, offset = (
        numbers.lower.copy(),
        numbers.upper.copy(),
        numbers.cost.copy(),
        numbers.offset,
    )
    for restriction in restrictions:
        columns = restriction.columns
        upper[columns] = np.minimum(upper[columns], restriction.upper)
        lower[columns] = np.minimum(np.maximum(lower[columns], restriction.lower), upper[columns])
        cost[columns] = restriction.cost
        offset += restriction.offset
    return Numbers(lower, upper, cost, offset)


@dataclass(slots=True)
class _Search:
    """What is known so far."""

    solver: Solver
    numbers: Numbers
    families: Sequence[Family]
    gap: float
    sunk: float
    best: Optimum | None = None
    cost: float = float("inf")
    solved: int = 0
    seen: list[NDArray[np.bool_]] = field(default_factory=list)

    def offences(self, values: Floats, numbers: Numbers) -> list[Floats]:
        offences = [family.offences(values, numbers) for family in self.families]
        self.seen = [seen | (amounts > SEEN) for seen, amounts in zip(self.seen, offences, strict=True)]
        return offences

    def near(self) -> float:
        """Programs that cost at least this are not worth solving."""
        return self.cost if self.best is None else self.cost - self.gap * max(1.0, abs(self.cost - self.sunk))

    def solve(self, numbers: Numbers) -> tuple[float, Floats] | None:
        self.solved += 1
        self.solver.change(numbers)
        if not self.solver.solve():
            return None
        return self.solver.objective(), self.solver.values()

    def keep(self, cost: float) -> None:
        """What was just solved leaves nothing open; its values too, as solved again others may come out."""
        if cost < self.cost:
            self.best, self.cost = self.solver.optimum(), cost

    def settled(self, values: Floats, numbers: Numbers) -> bool:
        """Whether nothing is open."""
        return all(family.rounded(values, numbers) is None for family in self.families)

    def dive(self, numbers: Numbers, cost: float, values: Floats) -> None:
        """Round what was just solved until nothing is open: a plan that is possible."""
        while moves := [move for f in self.families if (move := f.rounded(values, numbers)) is not None]:
            numbers = restricted(numbers, moves)
            answer = self.solve(numbers)
            if answer is None:
                return
            cost, values = answer
            self.offences(values, numbers)
        self.keep(cost)

    def branch(self, bound: float, values: Floats, programs: int) -> float:
        """Best bound first, with so many programs at most; returns a lower bound of all plans."""
        order = itertools.count()
        heap: list[tuple[float, int, Floats, Numbers]] = [(bound, next(order), values, self.numbers)]
        while heap and heap[0][0] < self.near() and self.solved < programs:
            _, _, values, numbers = heapq.heappop(heap)
            offences = self.offences(values, numbers)
            worst = int(np.argmax([amounts.max(initial=0.0) for amounts in offences]))
            member = int(np.argmax(offences[worst]))
            for half in self.families[worst].halves(member, values, numbers):
                narrower = restricted(numbers, [half])
                answer = self.solve(narrower)
                if answer is None or answer[0] >= self.near():
                    continue
                cost, found = answer
                if max(amounts.max(initial=0.0) for amounts in self.offences(found, narrower)) <= SEEN:
                    self.keep(cost)
                else:
                    heapq.heappush(heap, (cost, next(order), found, narrower))
        return min([self.near(), *(node[0] for node in heap)])


def _with_binaries(search: _Search, matrix: Matrix, values: Floats) -> float:
    """Decide together what comes up, until nothing more does; returns a lower bound of all plans."""
    numbers, families = search.numbers, search.families
    plain = restricted(numbers, [move for f in families if (move := f.plain(numbers)) is not None])
    plain = replace(plain, offset=plain.offset - search.sunk)  # the gap is a share of the rest
    asked = search.seen
    bound = -np.inf
    while True:
        choices = [
            f.choice(int(m)) for f, which in zip(families, asked, strict=True) for m in np.flatnonzero(which)
        ]
        found = exact.search(matrix, plain, choices, search.gap / 2.0)
        if found is None:
            return bound
        values, bound = found[0], found[1] + search.sunk
        more = [f.broken(values) & ~which for f, which in zip(families, asked, strict=True)]
        if not any(which.any() for which in more):
            break
        asked = [which | new for which, new in zip(asked, more, strict=True)]
    # once more with the real costs of what is decided; where that opens others, all stay as they were found
    for which in (asked, [np.ones_like(those) for those in asked]):
        decided = [
            f.halves(int(m), values, numbers)[0]
            for f, those in zip(families, which, strict=True)
            for m in np.flatnonzero(those)
        ]
        narrower = restricted(numbers, decided)
        answer = search.solve(narrower)
        if answer is not None and search.settled(answer[1], narrower):
            search.keep(answer[0])
            break
    return bound


def settle(
    solver: Solver,
    matrix: Matrix,
    families: Sequence[Family],
    *,
    gap: float = GAP,
    sunk: float = 0.0,
) -> tuple[Optimum, float]:
    """Make all decisions, from the optimum of the program without them on.

    Args:
        solver: At that optimum.
        matrix: Of that program.
        families: All that has to be decided.
        gap: A plan this close to the best, as a share of its objective, is taken.
        sunk: Part of the objective that no plan can change; no share of it counts.

    Returns:
        The best plan that was found, and what no plan can cost less than.

    Raises:
        SolverError: No plan was found; the restrictions exclude each other.
    """
    numbers, bound, values = solver.numbers, solver.objective(), solver.values()
    search = _Search(solver, numbers, families, gap, sunk)
    if search.settled(values, numbers):
        return solver.optimum(), bound
    search.seen = [family.broken(values) for family in families]
    search.dive(numbers, bound, values)
    offences = search.offences(values, numbers)
    count = sum(int((amounts > SEEN).sum()) for amounts in offences)
    if search.near() > bound and count:
        bound = search.branch(bound, values, PROGRAMS if count <= FEW else TRIES)
    if search.near() > bound:
        bound = max(bound, _with_binaries(search, matrix, values))
    if search.best is None:
        raise SolverError("no plan was found among the decisions")
    return search.best, bound
