"""The connection point and the batteries as columns and rows.

Columns carry the energy of an interval in kWh, so that lengths of intervals stand in the bounds only. A part
lays its columns and rows once, then fills in bounds and costs for each plan, and reads the answer.
"""

from __future__ import annotations

import math

import numpy as np

from ores.ems.inputs import Battery, Home, InputError, scalar, spread
from ores.ems.sheet import Floats, Ints, Numbers, Sheet
from ores.ems.sides import Chord, Sides
from ores.ems.weights import CONNECTION, RESERVE, SOC, TIE


class Connection:
    """Import and export, PV and load: the energy of each interval adds up to nothing."""

    def __init__(self, sheet: Sheet, count: int) -> None:
        self.count = count
        self.balance = sheet.rows(count)
        self.bought = sheet.columns(count)
        self.sold = sheet.columns(count)
        self.bought_beyond = sheet.columns(count)
        self.sold_beyond = sheet.columns(count)
        self.given = sheet.columns(count)  # PV kept less load: one column, and the rows stay = 0
        for columns, sign in (
            (self.bought, 1.0),
            (self.sold, -1.0),
            (self.bought_beyond, 1.0),
            (self.sold_beyond, -1.0),
            (self.given, 1.0),
        ):
            sheet.put(self.balance, columns, sign)
        # a meter counts what flows: nothing is bought and sold at once
        self.sides = Sides(
            np.stack([self.bought, self.bought_beyond]), np.stack([self.sold, self.sold_beyond])
        )

    def fill(self, home: Home, numbers: Numbers, unit: float, consumed: Floats, produced: Floats) -> None:
        """Bounds and costs.

        Args:
            home: With its terms.
            numbers: To fill in.
            unit: Of money.
            consumed: The most that all else can consume in each interval, in kWh.
            produced: The most that all else can produce.
        """
        terms, count = home.terms, self.count
        hours = terms.hours
        self.load = spread(home.load_kw, count, "load_kw") * hours
        self.pv = spread(home.pv_available_kw, count, "pv_available_kw", 0.0) * hours
        self.import_max = spread(home.import_max_kw, count, "import_max_kw", 0.0, math.inf) * hours
        self.export_max = spread(home.export_max_kw, count, "export_max_kw", 0.0, math.inf) * hours
        least = -self.load if home.pv_curtailable else self.pv - self.load
        most = self.pv - self.load
        for within, beyond, limit, flow, price in (
            (
                self.bought,
                self.bought_beyond,
                self.import_max,
                np.maximum(consumed - least, 0.0),
                terms.import_per_kwh / unit,
            ),
            (
                self.sold,
                self.sold_beyond,
                self.export_max,
                np.maximum(produced + most, 0.0),
                -terms.export_per_kwh / unit,
            ),
        ):
            numbers.upper[within] = np.minimum(limit, flow)
            numbers.upper[beyond] = np.maximum(flow - limit, 0.0)
            numbers.cost[within] = price + TIE
            numbers.cost[beyond] = price + CONNECTION
        self.sides.chord = self.chord(numbers)
        if self.sides.chord is not None:
            numbers.offset += float(self.sides.chord.intercept.sum())
        numbers.lower[self.given] = least
        numbers.upper[self.given] = most
        numbers.cost[self.given] = -2.0 * TIE  # of equal plans the one that keeps the sun

    def idle(self, numbers: Numbers) -> Ints:
        """Of each interval the column that takes the energy as long as nothing else does: bought, or sold."""
        columns: Ints = np.where(numbers.upper[self.given] > 0.0, self.sold, self.bought)
        return columns

    def chord(self, numbers: Numbers) -> Chord | None:
        """Put one price for both directions where selling pays more than buying costs."""
        buy, sell = numbers.cost[self.bought], numbers.cost[self.sold]
        most_in, most_out = numbers.upper[self.bought], numbers.upper[self.sold]
        at = (buy + sell < 0.0) & (most_in > 0.0) & (most_out > 0.0)
        if not at.any():
            return None
        span = np.where(at, most_in + most_out, 1.0)
        slope = np.where(at, (buy * most_in - sell * most_out) / span, 0.0)
        intercept = np.where(at, (buy - slope) * most_in, 0.0)
        numbers.cost[self.bought[at]] = slope[at] + TIE
        numbers.cost[self.sold[at]] = TIE - slope[at]
        return Chord(at, buy, sell, slope, intercept)


class Store:
    """One battery."""

    def __init__(self, sheet: Sheet, balance: Ints, battery: Battery, name: str) -> None:
        count = len(balance)
        self.name = name
        self.charge_efficiency = scalar(battery.charge_efficiency, f"{name}.charge_efficiency", 0.01, 1.0)
        self.discharge_efficiency = scalar(
            battery.discharge_efficiency, f"{name}.discharge_efficiency", 0.01, 1.0
        )
        self.rows = sheet.rows(count)
        self.charged = sheet.columns(count)
        self.discharged = sheet.columns(count)
        self.stored = sheet.columns(count)
        self.below = sheet.columns(count)  # the reserve, by so much
        self.beneath = sheet.columns(count)  # soc_min_pct
        self.above = sheet.columns(count)  # soc_max_pct
        self.start = sheet.columns(1)
        self.sides = Sides(self.charged[None], self.discharged[None])
        sheet.put(balance, self.charged, -1.0)
        sheet.put(balance, self.discharged, 1.0)
        sheet.put(self.rows, self.charged, -self.charge_efficiency)
        sheet.put(self.rows, self.discharged, 1.0 / self.discharge_efficiency)
        for columns, sign in (
            (self.stored, 1.0),
            (self.below, -1.0),
            (self.beneath, -1.0),
            (self.above, 1.0),
        ):
            sheet.put(self.rows, columns, sign)
            sheet.put(self.rows[1:], columns[:-1], -sign)
        sheet.put(self.rows[:1], self.start, -1.0)

    def fill(self, battery: Battery, hours: Floats, numbers: Numbers, unit: float) -> tuple[Floats, Floats]:
        """Bounds and costs; returns the most that it can consume and produce, in kWh."""
        name, count = self.name, len(hours)
        self.capacity = scalar(battery.capacity_kwh, f"{name}.capacity_kwh", 1e-6)
        start = scalar(battery.soc_pct, f"{name}.soc_pct", 0.0, 100.0) / 100.0 * self.capacity
        charge = spread(battery.charge_max_kw, count, f"{name}.charge_max_kw", 0.0) * hours
        discharge = spread(battery.discharge_max_kw, count, f"{name}.discharge_max_kw", 0.0) * hours
        share = self.capacity / 100.0
        low = spread(battery.soc_min_pct, count, f"{name}.soc_min_pct", 0.0, 100.0) * share
        high = spread(battery.soc_max_pct, count, f"{name}.soc_max_pct", 0.0, 100.0) * share
        if (low > high).any():
            at = int(np.argmax(low > high))
            raise InputError(
                f"{name}.soc_min_pct", f"above soc_max_pct in interval {at}", "at most soc_max_pct"
            )
        reserve = spread(battery.reserve_pct, count, f"{name}.reserve_pct", 0.0, 100.0) * share
        reserve = np.clip(reserve, low, high)
        wear = scalar(battery.wear_per_kwh, f"{name}.wear_per_kwh", 0.0)
        end_value = scalar(battery.end_value_per_kwh, f"{name}.end_value_per_kwh")
        lower, upper, cost = numbers.lower, numbers.upper, numbers.cost
        upper[self.charged] = charge
        upper[self.discharged] = discharge
        cost[self.charged] = TIE
        cost[self.discharged] = wear / unit + TIE
        lower[self.stored], upper[self.stored] = reserve, high
        upper[self.below] = reserve - low
        upper[self.beneath] = low
        upper[self.above] = self.capacity - high
        cost[self.below] = RESERVE * hours
        cost[self.beneath] = SOC * hours
        cost[self.above] = SOC * hours
        for columns, sign in (
            (self.stored, -1.0),
            (self.below, 1.0),
            (self.beneath, 1.0),
            (self.above, -1.0),
        ):
            cost[columns[-1]] += sign * end_value / unit
        lower[self.start] = upper[self.start] = start
        return charge, discharge

    def energy(self, values: Floats) -> Floats:
        """In store at the end of each interval, in kWh."""
        inside: Floats = values[self.stored] + values[self.above] - values[self.below] - values[self.beneath]
        return inside

    def power(self, values: Floats, hours: Floats) -> Floats:
        """Mean at the terminals in each interval, positive charging, in kW."""
        mean: Floats = (values[self.charged] - values[self.discharged]) / hours
        return mean

    def soc_pct(self, values: Floats) -> Floats:
        """At the end of each interval."""
        return np.clip(self.energy(values) / self.capacity * 100.0, 0.0, 100.0)

    def violations(self, values: Floats, reserve: str) -> list[tuple[str, Floats, Floats]]:
        """Of each limit its name, what lies beyond it in kWh, and the unit of the field in it."""
        share: Floats = np.full(len(self.rows), 100.0 / self.capacity)
        return [
            (f"{self.name}.{reserve}", values[self.below] + values[self.beneath], share),
            (f"{self.name}.soc_min_pct", values[self.beneath], share),
            (f"{self.name}.soc_max_pct", values[self.above], share),
        ]
