"""What the house does not decide: load, sun and temperature, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Exogenous:
    """Means over consecutive periods.

    Attributes:
        load_w: Shape (n_periods, n_circuits + 1, n_homes), >= 0; the last row is the unmetered rest.
        pv_dc_w: Available from each array, shape (n_periods, n_arrays, n_homes), >= 0; the gateway's
            comes first.
        outdoor_c: Shape (n_periods, n_homes).
        irradiance_w_m2: Global horizontal, shape (n_periods, n_homes).
    """

    load_w: Floats
    pv_dc_w: Floats
    outdoor_c: Floats
    irradiance_w_m2: Floats


class Source(Protocol):
    """Gives the exogenous series of a group of homes, for any stretch of time."""

    @property
    def homes(self) -> NDArray[np.int64]:
        """Ids of the homes, shape (n_homes,); they seed whatever else is random in a home."""
        ...

    @property
    def seed(self) -> int:
        """Of the run."""
        ...

    def block(self, start_s: float, period_s: float, periods: int) -> Exogenous:
        """Means over up to `periods` stretches of `period_s` from `start_s` (s since the start of the run).

        A source that ends sooner gives fewer, but at least one.

        Raises:
            ScenarioError: The series ends before the first, or cannot be given for this period.
        """
        ...
