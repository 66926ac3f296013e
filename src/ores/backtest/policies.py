"""What each policy does with the battery, interval by interval; physics and bills are the same for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ores import tariff
from ores.backtest.case import Case, Told
from ores.backtest.foresight import oracle
from ores.control.realtime import battery_kw, for_the_rest
from ores.control.slots import mode_of
from ores.ems.course import after, held
from ores.ems.inputs import Floats
from ores.ems.rolling import HORIZON_H, Ahead, Rolling
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
    return _rolled(case.planned or case, told, case, _act)


Act = Callable[[Case, Ahead, list[float], float], tuple[list[float], float, float]]


def _rolled(whole: Case, told: Told, case: Case, act: Act) -> Floats:
    """From one planning interval to the next: look ahead, act, observe."""
    times = round(whole.home.hours / case.home.hours)
    count, per_day = len(whole.laid), round(24.0 / whole.home.hours)
    rolling = Rolling(case.battery, per_day)
    stored = case.battery.soc_pct / 100.0 * case.battery.capacity_kwh
    powers: list[float] = []
    net_kwh = case.net_kwh.tolist()
    made, state = 0, tariff.nothing_yet(case.laid.tariff)
    known: tuple[int, tuple[float, ...]] = (0, ())
    for at in range(count):
        day, slot, off = whole.clock(at)
        news = whole.published(at), _peaks(whole, state)
        if at == 0 or slot == 0 or news != known:
            known = news
            made, end = at, min(at + per_day + round(HORIZON_H / whole.home.hours), count)
            rolling.renew(whole.terms(state, at, end), whole.clocks(at, end), last=end == count)
        now = net_kwh[at * times : (at + 1) * times]
        done, stored, bought = act(case, rolling.ahead(at - made), now, stored)
        powers += done
        rolling.observe(day, slot, off=off, net_kwh=sum(now))
        if whole.laid.tariff.demand or whole.laid.tariff.tiers:
            state = tariff.so_far(whole.laid, np.array([bought]), before=state, first=at, last=at + 1)
        told(times)
    return np.array(powers)


def _act(case: Case, seen: Ahead, net_kwh: list[float], stored: float) -> tuple[list[float], float, float]:
    """One planning interval, in the steps of the recording.

    Returns:
        The power of each step in kW, what is in store at the end and what was bought, in kWh.
    """
    hours = case.home.hours
    whole_h = hours * len(net_kwh)
    powers: list[float] = []
    passed, bought = 0.0, 0.0
    for step, net in enumerate(net_kwh):
        left_h = whole_h - step * hours
        price = seen.price
        if step:  # a mean over the whole interval: what has been bought of it is gone
            price = for_the_rest(price, whole_h, left_h, bought)
        battery = replace(case.battery, soc_pct=min(100.0, stored / case.battery.capacity_kwh * 100.0))
        value = seen.value(passed + net / hours * left_h)
        power = battery_kw(net / hours, left_h, price, battery, value)
        power = held(case.battery, stored, power, hours)
        stored = after(case.battery, stored, power, hours)
        powers.append(power)
        passed += net
        bought += max(0.0, net + power * hours)
    return powers, stored, bought


def slots(case: Case, told: Told) -> Floats:
    """The same values, for a battery that is told a mode for each slot and then acts by itself."""
    return _rolled(case.planned or case, told, case, _by_slot)


def _by_slot(
    case: Case, seen: Ahead, net_kwh: list[float], stored: float
) -> tuple[list[float], float, float]:
    """As `_act`, in a mode that was chosen before."""
    hours = case.home.hours
    slot_h = hours * len(net_kwh)
    battery = replace(case.battery, soc_pct=min(100.0, stored / case.battery.capacity_kwh * 100.0))
    mode = mode_of(
        seen.outcomes_kwh / slot_h,
        seen.likely,
        slot_h,
        seen.price,
        battery,
        levels_kwh=seen.worth.levels_kwh,
        values=seen.values(),
    )
    powers: list[float] = []
    bought = 0.0
    for net in net_kwh:
        wish = float(mode.power_kw(np.array(net / hours), battery))
        power = held(case.battery, stored, wish, hours)
        stored = after(case.battery, stored, power, hours)
        powers.append(power)
        bought += max(0.0, net + power * hours)
    return powers, stored, bought


def _peaks(case: Case, state: tariff.SoFar) -> tuple[float, ...]:
    """Those of the month so far, which a plan has to know."""
    charges = case.laid.tariff.demand
    return tuple(round(peak_kw(*both), 6) for both in zip(charges, state.peaks, strict=True))


RULES = ("none", "rule", "timer")
"""Policies that hold no sun back."""

POLICIES: dict[str, Callable[[Case, Told], Floats]] = {
    "none": none,
    "rule": rule,
    "timer": timer,
    "slots": slots,
    "plan": plan,
    "oracle": oracle,
}
