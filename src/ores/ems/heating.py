"""Heat pumps and heaters with what they warm, as columns and rows."""

from __future__ import annotations

import numpy as np

from ores.ems.inputs import Floats, Heat, InputError, scalar, spread
from ores.ems.semi import Semi
from ores.ems.sheet import Ints, Numbers, Sheet
from ores.ems.weights import COMFORT, TIE


class Warmth:
    """One temperature: T[t] = decay * T[t-1] + rise * used[t] + drift[t]."""

    def __init__(self, sheet: Sheet, balance: Ints, heat: Heat, hours: Floats, name: str) -> None:
        count = len(hours)
        self.name = name
        capacity = scalar(heat.capacity_kwh_per_k, f"{name}.capacity_kwh_per_k", 1e-6)
        self.loss = scalar(heat.loss_kw_per_k, f"{name}.loss_kw_per_k", 1e-6)
        cop = spread(heat.cop, count, f"{name}.cop", 0.01, 1000.0)
        self.decay = np.exp(-self.loss * hours / capacity)
        self.rise = (1.0 - self.decay) / self.loss * cop / hours  # K for each kWh of electricity
        self.rows = sheet.rows(count)
        self.used = sheet.columns(count)
        self.inside = sheet.columns(count)
        self.cold = sheet.columns(count)
        self.hot = sheet.columns(count)
        self.drift = sheet.columns(count)
        self.start = sheet.columns(1)
        self.semi = Semi(self.used, np.zeros(count))
        sheet.put(balance, self.used, -1.0)
        sheet.put(self.rows, self.used, -self.rise)
        for columns, sign in ((self.inside, 1.0), (self.cold, -1.0), (self.hot, 1.0)):
            sheet.put(self.rows, columns, sign)
            sheet.put(self.rows[1:], columns[:-1], -sign * self.decay[1:])
        sheet.put(self.rows, self.drift, -1.0)
        sheet.put(self.rows[:1], self.start, -self.decay[:1])

    def fill(self, heat: Heat, hours: Floats, numbers: Numbers, unit: float) -> Floats:
        """Bounds and costs; returns the most that it can consume in each interval, in kWh."""
        name, count = self.name, len(hours)
        most = spread(heat.power_max_kw, count, f"{name}.power_max_kw", 0.0) * hours
        least = scalar(heat.power_min_kw, f"{name}.power_min_kw", 0.0) * hours
        low = spread(heat.comfort_min_c, count, f"{name}.comfort_min_c", -300.0, 5000.0)
        high = spread(heat.comfort_max_c, count, f"{name}.comfort_max_c", -300.0, 5000.0)
        if (low > high).any():
            at = int(np.argmax(low > high))
            raise InputError(f"{name}.comfort_min_c", f"above comfort_max_c in interval {at}", "at most that")
        ambient = spread(heat.ambient_c, count, f"{name}.ambient_c", -300.0, 5000.0)
        gain = spread(heat.gain_kw, count, f"{name}.gain_kw")
        price = COMFORT
        if heat.discomfort_per_kh is not None:
            price = scalar(heat.discomfort_per_kh, f"{name}.discomfort_per_kh", 0.0) / unit
        now = scalar(heat.temperature_c, f"{name}.temperature_c", -300.0, 5000.0)
        numbers.upper[self.used] = most
        numbers.cost[self.used] = TIE
        self.semi.least = np.where(least <= most, least, np.where(most > 0.0, most, 0.0))
        numbers.lower[self.inside], numbers.upper[self.inside] = low, high
        numbers.cost[self.cold] = price * hours
        numbers.cost[self.hot] = price * hours
        drift = (1.0 - self.decay) * (ambient + gain / self.loss)
        numbers.lower[self.drift] = numbers.upper[self.drift] = drift
        numbers.lower[self.start] = numbers.upper[self.start] = now
        value = scalar(heat.end_value_per_k, f"{name}.end_value_per_k", 0.0) / unit
        # an end value above the price of discomfort would have no end
        numbers.cost[self.inside[-1]] = -value
        numbers.cost[self.cold[-1]] += value
        numbers.cost[self.hot[-1]] += -min(value, price * float(hours[-1]))
        return most

    def temperature(self, values: Floats) -> Floats:
        """At the end of each interval, in °C."""
        degrees: Floats = values[self.inside] - values[self.cold] + values[self.hot]
        return degrees
