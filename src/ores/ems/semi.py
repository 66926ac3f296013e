"""Nothing, or at least so much: chargers have a least current, compressors a least power."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ores.ems.branch import SEEN, Restriction
from ores.ems.exact import Choice
from ores.ems.sheet import Floats, Ints, Numbers


@dataclass(slots=True)
class Semi:
    """Columns that are 0 or at least `least`.

    Attributes:
        columns: Of shape (members,).
        least: Filled in for each plan, in kWh; 0 where any amount will do.
    """

    columns: Ints
    least: Floats

    def offences(self, values: Floats, numbers: Numbers) -> Floats:
        """How far each is from what is possible."""
        found = values[self.columns]
        away: Floats = np.maximum(np.minimum(found, self.least - found), 0.0)
        return np.where(numbers.lower[self.columns] >= self.least, 0.0, away)

    def halves(self, member: int, values: Floats, numbers: Numbers) -> tuple[Restriction, Restriction]:
        """Off or on."""
        members = np.array([member])
        on = values[self.columns[members]] * 2.0 >= self.least[members]
        return self._decided(members, on, numbers), self._decided(members, ~on, numbers)

    def rounded(self, values: Floats, numbers: Numbers) -> Restriction | None:
        """The nearer one."""
        members = np.flatnonzero(self.offences(values, numbers) > SEEN)
        if len(members) == 0:
            return None
        on = values[self.columns[members]] * 2.0 >= self.least[members]
        return self._decided(members, on, numbers)

    def plain(self, numbers: Numbers) -> Restriction | None:
        """Costs are real."""
        del numbers
        return None

    def broken(self, values: Floats) -> NDArray[np.bool_]:
        """Neither off nor on; all of them where one is, as each that is decided opens another."""
        found = values[self.columns]
        between: NDArray[np.bool_] = np.minimum(found, self.least - found) > SEEN
        return self.least > 0.0 if between.any() else between

    def choice(self, member: int) -> Choice:
        """On or off."""
        return Choice(on=self.columns[[member]], least=float(self.least[member]))

    def _decided(self, members: Ints, on: NDArray[np.bool_], numbers: Numbers) -> Restriction:
        columns = self.columns[members]
        upper = numbers.upper[columns]
        return Restriction(
            columns,
            np.where(on, np.minimum(self.least[members], upper), 0.0),
            np.where(on, upper, 0.0),
            numbers.cost[columns],
        )
