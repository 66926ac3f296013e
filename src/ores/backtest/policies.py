"""What each policy does with the battery, interval by interval; physics and bills are the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ores import tariff
from ores.backtest.case import Case, Told, after, held
from ores.backtest.foresight import oracle
from ores.control.realtime import Price, battery_kw
from ores.ems.inputs import Floats
from ores.ems.rolling import HORIZON_H, Rolling
from ores.tariff.sofar import peak_kw


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
    count, per_day = len(case.laid), round(24.0 / hours)
    rolling = Rolling(battery, per_day)
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    powers = np.zeros(count)
    made, state = 0, tariff.nothing_yet(case.laid.tariff)
    known: tuple[float, ...] = ()
    for at, net in enumerate(case.net_kwh.tolist()):
        day, slot, off = case.clock(at)
        if at == 0 or slot == 0 or known != (known := _peaks(case, state)):
            made, end = at, min(at + per_day + round(HORIZON_H / hours), count)
            rolling.renew(tariff.terms_of(case.laid, state, at, end), case.clocks(at, end), last=end == count)
        seen = rolling.ahead(at - made)
        price = Price(float(case.laid.import_per_kwh[at]), float(case.laid.export_per_kwh[at]), seen.steps)
        now = replace(battery, soc_pct=min(100.0, stored / battery.capacity_kwh * 100.0))
        powers[at] = battery_kw(net / hours, hours, price, now, seen.value(net))
        stored = after(battery, stored, powers[at], hours)
        rolling.observe(day, slot, off=off, net_kwh=net)
        if case.laid.tariff.demand or case.laid.tariff.tiers:
            bought = np.array([max(0.0, net + powers[at] * hours)])
            state = tariff.so_far(case.laid, bought, before=state, first=at, last=at + 1)
        told(1)
    return powers


def _peaks(case: Case, state: tariff.SoFar) -> tuple[float, ...]:
    """Those of the month so far, which a plan has to know."""
    charges = case.laid.tariff.demand
    return tuple(round(peak_kw(*both), 6) for both in zip(charges, state.peaks, strict=True))


POLICIES: dict[str, Callable[[Case, Told], Floats]] = {
    "none": none,
    "rule": rule,
    "plan": plan,
    "oracle": oracle,
}
