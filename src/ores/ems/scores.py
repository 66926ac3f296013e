"""How good forecasts are: beside persistence (as it is now) and the same time a week ago.

All in kWh of an interval. The pinball loss of a quantile is what it costs to be above or below, weighted so
that the true quantile costs least; its mean over all quantiles judges the whole distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ores.ems.forecast import Forecast
from ores.ems.inputs import Floats


@dataclass(frozen=True, slots=True)
class Score:
    """Of the forecasts so far.

    Attributes:
        intervals: That were forecast and have been observed.
        mae: Mean absolute error of the mean.
        mae_persistence: Of "as in the last interval before the forecast".
        mae_seasonal: Of "as a week before", or a day before while there is no week.
        pinball: Mean over quantiles and intervals.
        covered: Share of intervals between the outermost quantiles.
    """

    intervals: int
    mae: float
    mae_persistence: float
    mae_seasonal: float
    pinball: float
    covered: float


@dataclass(slots=True)
class Tally:
    """Adds up errors, forecast by forecast."""

    intervals: int = 0
    absolute: float = 0.0
    persistence: float = 0.0
    seasonal: float = 0.0
    pinball: float = 0.0
    covered: float = 0.0

    def add(self, made: Forecast, was_kwh: Floats, last_kwh: float, seasonal_kwh: Floats) -> None:
        """Count a forecast whose intervals have passed.

        Args:
            made: The forecast.
            was_kwh: What really was, shape (n,).
            last_kwh: Of the last interval before it.
            seasonal_kwh: A week, or a day, before each of its intervals, shape (n,).
        """
        error = was_kwh[:, None] - made.kwh
        self.intervals += len(was_kwh)
        self.absolute += float(np.abs(was_kwh - made.mean_kwh).sum())
        self.persistence += float(np.abs(was_kwh - last_kwh).sum())
        self.seasonal += float(np.abs(was_kwh - seasonal_kwh).sum())
        self.pinball += float(np.maximum(made.shares * error, (made.shares - 1.0) * error).mean(axis=1).sum())
        self.covered += float(((error[:, 0] >= -1e-9) & (error[:, -1] <= 1e-9)).sum())

    def score(self) -> Score | None:
        """Until now; None before the first."""
        if self.intervals == 0:
            return None
        total = float(self.intervals)
        return Score(
            self.intervals,
            self.absolute / total,
            self.persistence / total,
            self.seasonal / total,
            self.pinball / total,
            self.covered / total,
        )
