"""A store through the intervals to come: what it does, what is in it, and what that costs.

A plan that is made for many futures is no line; for people it is drawn as what it comes to if things come as
they are expected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ores.ems.inputs import Battery, Floats
from ores.ems.rolling import Kept
from ores.ems.worth import cost_of

Act = Callable[[int, float], float]
"""What a store is to do, in kW, positive charging: by the number of an interval and what is in store."""


@dataclass(frozen=True, slots=True)
class Course:
    """A store through n intervals.

    Attributes:
        power_kw: At its terminals, positive charging, shape (n,).
        stored_kwh: Before each interval and after the last, shape (n + 1,).
        cost: Of what is bought less what is sold, less what is in store at the end beyond the beginning.
    """

    power_kw: Floats
    stored_kwh: Floats
    cost: float


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


def course(
    kept: Sequence[Kept], net_kw: Floats, hours: float, battery: Battery, *, stored_kwh: float, act: Act
) -> Course:
    """What comes of acting in a way.

    Args:
        kept: What is known of each interval; at least one.
        net_kw: Load less PV in each, as it is expected, shape (n,).
        hours: Length of each; > 0.
        battery: Its SoC is not asked.
        stored_kwh: At the beginning.
        act: Wishes; the store does of them what it can.
    """
    power, stored = np.zeros(len(kept)), np.empty(len(kept) + 1)
    stored[0] = min(max(stored_kwh, 0.0), battery.capacity_kwh)
    money = 0.0
    for at, one in enumerate(kept):
        before_kwh = float(stored[at])
        power[at] = held(battery, before_kwh, act(at, before_kwh), hours)
        stored[at + 1] = after(battery, before_kwh, float(power[at]), hours)
        money += _money(one, (float(net_kw[at]) + float(power[at])) * hours, hours)
    value = kept[-1].value(float(net_kw[-1]) * hours)
    ends = np.interp([stored[0], stored[-1]], value.levels_kwh, value.value)
    return Course(power, stored, money - float(ends[1] - ends[0]))


def _money(kept: Kept, grid_kwh: float, hours: float) -> float:
    price = kept.price
    sell = max(price.export_per_kwh, 0.0) if price.curtailable else price.export_per_kwh
    steps = [(above_kw * hours, per_kwh) for above_kw, per_kwh in price.steps]
    return float(cost_of(np.array([grid_kwh]), price.import_per_kwh, sell, steps)[0])
