"""Electric vehicles: stores that come and go."""

from __future__ import annotations

import numpy as np

from ores.ems.inputs import Battery, Ev, Floats, flags, scalar, spread
from ores.ems.parts import Store
from ores.ems.semi import Semi
from ores.ems.sheet import Ints, Numbers, Sheet
from ores.ems.weights import DEPARTURE, DRIVEN, RESERVE


class Car:
    """One vehicle: a store that is charged while it is connected, and driven."""

    def __init__(self, sheet: Sheet, balance: Ints, ev: Ev, name: str) -> None:
        count = len(balance)
        self.name = name
        self.store = Store(sheet, balance, as_battery(ev, count, name), name)
        self.driven = sheet.columns(count)
        self.missing = sheet.columns(count)
        sheet.put(self.store.rows, self.driven, 1.0)
        sheet.put(self.store.rows, self.missing, -1.0)
        self.semi = Semi(self.store.charged, np.zeros(count))

    def fill(self, ev: Ev, hours: Floats, numbers: Numbers, unit: float) -> tuple[Floats, Floats]:
        """Bounds and costs; returns the most that it can consume and produce, in kWh."""
        count = len(hours)
        charge, discharge = self.store.fill(as_battery(ev, count, self.name), hours, numbers, unit)
        # once for each departure, not for each hour
        numbers.cost[self.store.below] += DEPARTURE - RESERVE * hours
        least = scalar(ev.charge_min_kw, f"{self.name}.charge_min_kw", 0.0) * hours
        self.semi.least = np.minimum(least, charge)
        driven = spread(ev.driven_kwh, count, f"{self.name}.driven_kwh", 0.0)
        numbers.lower[self.driven] = numbers.upper[self.driven] = driven
        numbers.upper[self.missing] = driven
        numbers.cost[self.missing] = DRIVEN
        return charge, discharge


def as_battery(ev: Ev, count: int, name: str) -> Battery:
    """The store of the vehicle."""
    here: Floats = flags(ev.connected, count, f"{name}.connected").astype(np.float64)
    return Battery(
        capacity_kwh=ev.capacity_kwh,
        soc_pct=ev.soc_pct,
        charge_max_kw=spread(ev.charge_max_kw, count, f"{name}.charge_max_kw", 0.0) * here,
        discharge_max_kw=spread(ev.discharge_max_kw, count, f"{name}.discharge_max_kw", 0.0) * here,
        charge_efficiency=ev.charge_efficiency,
        discharge_efficiency=ev.discharge_efficiency,
        reserve_pct=spread(ev.target_pct, count, f"{name}.target_pct", 0.0, 100.0),
        soc_min_pct=scalar(ev.soc_min_pct, f"{name}.soc_min_pct", 0.0, 100.0) * here,
        wear_per_kwh=ev.wear_per_kwh,
        end_value_per_kwh=ev.end_value_per_kwh,
    )
