"""What energy costs: tariffs, their prices for each interval, and bills from metered intervals. Pure.

```python
from ores import tariff

one = tariff.tariffs(json.loads(text))["us-ca-pge-ev2a-2024+nbt24"]     # or tariff.tariff(…) for a single one
prices = {"export": tariff.PriceSeries.of(starts_utc, usd_per_kwh)}     # what one.series asks for

bill = tariff.bill(one, starts_utc, import_kwh, export_kwh, hours=1, prices=prices)
bill.total, bill.periods[0].lines                                       # to the cent, by month

had = tariff.so_far(tariff.schedule(one, past_utc, hours=1, prices=prices), past_import_kwh)
tariff.terms(one, coming_utc, hours=0.25, prices=prices, so_far=had)    # for a planner
```

Whoever asks for terms again and again lays the tariff over all intervals once (`schedule`), reads `terms_of`
from a window of it, and counts each interval that has passed with `so_far(…, before=had)`.

Times are instants: aware datetimes, or numpy datetime64 in UTC; the local clock of the tariff decides
which rate, day and month they are. Errors are `TariffError`, and name the field, what was found and what
is allowed. The format of a tariff file is in `ores.tariff.parse`.
"""

from ores.tariff.ahead import terms, terms_of
from ores.tariff.billing import Bill, Line, Period, bill, bill_of
from ores.tariff.laid import Schedule, schedule
from ores.tariff.model import (
    DemandCharge,
    EnergyCharge,
    FixedCharge,
    PriceSeries,
    Rate,
    SeriesSource,
    Tariff,
    TariffError,
    Tax,
    Tier,
    When,
)
from ores.tariff.parse import tariff, tariffs
from ores.tariff.sofar import SoFar, nothing_yet, so_far
from ores.tariff.terms import DaysTerm, PeakTerm, Terms, TierTerm, cost

__all__ = [
    "Bill",
    "DaysTerm",
    "DemandCharge",
    "EnergyCharge",
    "FixedCharge",
    "Line",
    "PeakTerm",
    "Period",
    "PriceSeries",
    "Rate",
    "Schedule",
    "SeriesSource",
    "SoFar",
    "Tariff",
    "TariffError",
    "Tax",
    "Terms",
    "Tier",
    "TierTerm",
    "When",
    "bill",
    "bill_of",
    "cost",
    "nothing_yet",
    "schedule",
    "so_far",
    "tariff",
    "tariffs",
    "terms",
    "terms_of",
]
