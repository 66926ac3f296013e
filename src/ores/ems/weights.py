"""What it costs, in the plan alone, to leave a limit: multiples of the dearest kWh, in the order of rank.

Multiples, so that a plan does not depend on the currency; far enough apart that a weaker limit yields first.
"""

from __future__ import annotations

from typing import Final

from ores.ems.inputs import Home

CONNECTION: Final = 3000.0
"""For each kWh beyond a limit at the connection point."""
SOC: Final = 1000.0
"""For each kWh outside soc_min_pct .. soc_max_pct, for each hour."""
RESERVE: Final = 300.0
"""For each kWh missing from the reserve, for each hour."""
DEPARTURE: Final = 100.0
"""For each kWh missing at a departure."""
DRIVEN: Final = 2000.0
"""For each kWh missing on the road: told, and not to be won by anything."""
RUN: Final = 30.0
"""For each kWh of an appliance that is not started."""
COMFORT: Final = 10.0
"""For each K outside the comfort band, for each hour."""

TIE: Final = 1e-6
"""A whim, too small to be seen in a bill: of equal plans the one that does less. Per kWh."""


def dearest(home: Home) -> float:
    """What a kWh may cost or be worth, about; the unit of all costs inside the model; > 0."""
    terms = home.terms
    most = max(float(abs(terms.import_per_kwh).max()), float(abs(terms.export_per_kwh).max()))
    most = max([most, *(abs(e.end_value_per_kwh) + e.wear_per_kwh for e in home.evs)])
    most += sum(abs(tier.extra_per_kwh) for tier in terms.tiers)
    most = max([most, *(abs(b.end_value_per_kwh) for b in home.batteries)])
    most = max([most, *(b.wear_per_kwh for b in home.batteries)])
    most += sum(peak.price_per_kw for peak in terms.peaks)  # as if for one hour
    return most or 1.0
