"""What each policy does with the battery, interval by interval; physics and bills are the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ores import tariff
from ores.backtest.homes import Recording
from ores.control.realtime import Price, battery_kw
from ores.ems.inputs import Battery, Floats, Home
from ores.ems.planner import Planner
from ores.ems.rolling import HORIZON_H, Clock, Rolling

Told = Callable[[int], None]
_MONTH_H = 30 * 24
_OVERLAP_H = 4 * 24


@dataclass(frozen=True, slots=True)
class Case:
    """One home, one tariff, one battery.

    Attributes:
        home: What happened.
        laid: The tariff over its intervals.
        battery: With the SoC in which the year begins.
    """

    home: Recording
    laid: tariff.Schedule
    battery: Battery

    @property
    def net_kwh(self) -> Floats:
        """Load less PV of each interval."""
        return self.home.load_kwh - self.home.pv_kwh

    def clock(self, first: int, last: int) -> Clock:
        """The local clock of some intervals."""
        at = self.laid.at
        step_s = round(self.home.hours * 3600)
        return Clock(at.day[first:last], at.second[first:last] // step_s, at.kind[first:last] >= 5)


def none(case: Case, told: Told) -> Floats:
    """No battery."""
    told(len(case.laid))
    return np.zeros(len(case.laid))


def rule(case: Case, told: Told) -> Floats:
    """Plain self-consumption: surplus is stored, need is met from the store."""
    battery, hours = case.battery, case.home.hours
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    powers = np.zeros(len(case.laid))
    for at, net in enumerate(case.net_kwh.tolist()):
        powers[at] = held(battery, stored, -net / hours, hours)
        stored = after(battery, stored, powers[at], hours)
    told(len(powers))
    return powers


def plan(case: Case, told: Told) -> Floats:
    """Forecasts from the past alone; an interval's own load and PV are seen in it, by reacting in seconds."""
    battery, hours = case.battery, case.home.hours
    rolling = Rolling(battery, round(24.0 / hours))
    count, ahead = len(case.laid), round(HORIZON_H / hours)
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    powers = np.zeros(count)
    for at, net in enumerate(case.net_kwh.tolist()):
        end = min(at + ahead, count)
        terms = tariff.terms_of(case.laid, None, at, end)
        clock = case.clock(at, end)
        seen = rolling.look(terms, clock, last=end == count)
        price = Price(float(terms.import_per_kwh[0]), float(terms.export_per_kwh[0]))
        now = replace(battery, soc_pct=min(100.0, stored / battery.capacity_kwh * 100.0))
        powers[at] = battery_kw(net / hours, hours, price, now, seen.value(net))
        stored = after(battery, stored, powers[at], hours)
        rolling.observe(int(clock.day[0]), int(clock.slot[0]), off=bool(clock.off[0]), net_kwh=net)
        if at % 100 == 99:
            told(100)
    told(count % 100)
    return powers


def oracle(case: Case, told: Told) -> Floats:
    """Perfect foresight, a month at a time, each with the first days of the next one."""
    planner = Planner(presolve=True, gap=1e-3)
    count, home = len(case.laid), case.home
    month, overlap = round(_MONTH_H / home.hours), round(_OVERLAP_H / home.hours)
    powers = np.zeros(count)
    soc_pct = case.battery.soc_pct
    for first in range(0, count, month):
        kept, end = min(first + month, count), min(first + month + overlap, count)
        made = planner.plan(
            Home(
                terms=tariff.terms_of(case.laid, None, first, end),
                load_kw=home.load_kwh[first:end] / home.hours,
                pv_available_kw=home.pv_kwh[first:end] / home.hours,
                batteries=(replace(case.battery, soc_pct=soc_pct),),
            )
        )
        powers[first:kept] = made.battery_kw[0, : kept - first]
        soc_pct = float(made.soc_pct[0, kept - first - 1])
        told(kept - first)
    return powers


def held(battery: Battery, stored_kwh: float, power_kw: float, hours: float) -> float:
    """What a battery does when it is told so, mean over the interval; positive charging."""
    most = min(
        float(battery.charge_max_kw), (battery.capacity_kwh - stored_kwh) / battery.charge_efficiency / hours
    )
    least = min(float(battery.discharge_max_kw), stored_kwh * battery.discharge_efficiency / hours)
    return min(max(power_kw, -least), most)


def after(battery: Battery, stored_kwh: float, power_kw: float, hours: float) -> float:
    """What is in store after an interval at a power that it can do."""
    energy = power_kw * hours
    energy = energy * battery.charge_efficiency if energy > 0.0 else energy / battery.discharge_efficiency
    return min(max(stored_kwh + energy, 0.0), battery.capacity_kwh)


POLICIES: dict[str, Callable[[Case, Told], Floats]] = {
    "none": none,
    "rule": rule,
    "plan": plan,
    "oracle": oracle,
}
