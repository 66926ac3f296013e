"""What each policy does with the battery, interval by interval; physics and bills are the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

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


def timer(case: Case, told: Told) -> Floats:
    """By the clock: filled from the grid in cheap hours, emptied into the home in dear ones.

    Dear are the hours in which power is charged, where these are not all; otherwise those whose price is
    above the mean of their day. It is filled evenly over each stretch of cheap hours, with surplus first.
    """
    battery, hours = case.battery, case.home.hours
    dear = _dear(case)
    left = _until_change(dear)
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    powers = np.zeros(len(dear))
    for at, net in enumerate(case.net_kwh.tolist()):
        room = (battery.capacity_kwh - stored) / battery.charge_efficiency
        wish = -net / hours if dear[at] else max(-net / hours, room / (left[at] * hours))
        powers[at] = held(battery, stored, wish, hours)
        stored = after(battery, stored, powers[at], hours)
    told(len(powers))
    return powers


def _dear(case: Case) -> NDArray[np.bool_]:
    laid = case.laid
    for stretches in laid.demand:
        if not stretches.counts.all():
            counted: NDArray[np.bool_] = stretches.counts
            return counted
    day = laid.at.day - laid.at.day[0]
    mean = np.bincount(day, laid.import_per_kwh) / np.bincount(day)
    above: NDArray[np.bool_] = laid.import_per_kwh > mean[day] + 1e-9
    return above


def _until_change(flags: NDArray[np.bool_]) -> list[int]:
    """Of each interval, how many are left of its stretch, itself included."""
    left = [1] * len(flags)
    for at in range(len(flags) - 2, -1, -1):
        left[at] = left[at + 1] + 1 if flags[at] == flags[at + 1] else 1
    return left


def plan(case: Case, told: Told) -> Floats:
    """Forecasts from the past alone; an interval's own load and PV are seen in it, by reacting in seconds."""
    battery, hours = case.battery, case.home.hours
    count, per_day = len(case.laid), round(24.0 / hours)
    rolling = Rolling(battery, per_day)
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    powers = np.zeros(count)
    made, state = 0, tariff.nothing_yet(case.laid.tariff)
    known: tuple[int, tuple[float, ...]] = (0, ())
    for at, net in enumerate(case.net_kwh.tolist()):
        day, slot, off = case.clock(at)
        news = case.published(at), _peaks(case, state)
        if at == 0 or slot == 0 or news != known:
            known = news
            made, end = at, min(at + per_day + round(HORIZON_H / hours), count)
            rolling.renew(case.terms(state, at, end), case.clocks(at, end), last=end == count)
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
    "timer": timer,
    "plan": plan,
    "oracle": oracle,
}
