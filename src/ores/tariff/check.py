"""What a meter may say of an interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ores.tariff.model import TariffError
from ores.tariff.terms import Floats

MOST_KWH = 10_000.0
"""Of one interval: beyond it, sums of 1e-9 kWh no longer fit in 64 bits."""


def energies(name: str, kwh: Floats | Sequence[float], count: int) -> Floats:
    """Check metered energy, one value for each interval.

    Raises:
        TariffError: Another number of values, or one that is NaN, negative or beyond `MOST_KWH`.
    """
    values = np.asarray(kwh, dtype=np.float64)
    if values.shape != (count,):
        raise TariffError(name, found=f"{values.size} values", allowed=f"{count}, one for each interval")
    bad = np.flatnonzero(~((values >= 0) & (values <= MOST_KWH)))
    if bad.size:
        allowed = (
            f"a number from 0 to {MOST_KWH:.0f} ({bad.size} such values; an unknown one cannot be billed)"
        )
        raise TariffError(f"{name}[{bad[0]}]", found=float(values[bad[0]]), allowed=allowed)
    return values
