"""What a planner needs to know of a tariff: prices for each interval, and what depends on more than one.

Money is in the tariff's currency, taxes included; energy in kWh; power in kW. An interval is one of those for
which the terms were asked, counted from 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class PeakTerm:
    """A charge on the highest mean import of a period: demand charge, monthly capacity peak.

    Attributes:
        price_per_kw: For each kW of the peak; >= 0.
        block: Of each interval, the number of the stretch whose mean counts; -1 where none does. The
            blocks of one term belong to one billing period.
        so_far_kw: The peak of the period before the first interval; >= 0. Only what goes beyond it costs.
    """

    price_per_kw: float
    block: Ints
    so_far_kw: float = 0.0


@dataclass(frozen=True, slots=True)
class TierTerm:
    """Energy that costs more, or less, beyond an amount in a billing period.

    Attributes:
        extra_per_kwh: On top of `Terms.import_per_kwh`, for each kWh beyond; negative where more is cheaper.
        counts: Of each interval, whether its import counts towards this amount.
        left_kwh: Until the amount is reached, from the first interval on; 0 where it has been.
    """

    extra_per_kwh: float
    counts: NDArray[np.bool_]
    left_kwh: float


@dataclass(frozen=True, slots=True)
class Terms:
    """A tariff, for some intervals on end.

    Attributes:
        hours: Length of each interval, in h; > 0.
        import_per_kwh: What a kWh from the grid costs in each interval, in the lowest tier; may be negative.
        export_per_kwh: What a kWh to the grid earns in each interval; may be negative.
        peaks: Charges on power.
        tiers: Charges on amounts.
    """

    hours: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    peaks: tuple[PeakTerm, ...] = field(default=())
    tiers: tuple[TierTerm, ...] = field(default=())
