"""The real-time layer: what a battery does now, by what energy in it is worth, not by a plan's kilowatts.

Of all that the battery could do for the rest of the interval, the cheapest is done: what the meter then
counts, less what is in store at its end. A cloud or a kettle changes what the meter counts, and with it
what is best; the value of what is in store stays. Where that value has a kink, the left and the right value
differ, and at all prices between them the store is held there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from ores.ems.inputs import Battery
from ores.ems.worth import Curve, Price, cost_of

ENOUGH: Final = 1e-9
"""Money below which two ways are equal; of equal ways the one that moves less is taken."""


def for_the_rest(price: Price, hours: float, left_h: float, bought_kwh: float) -> Price:
    """The price for what is left of an interval: a step counts the mean over all of it.

    Args:
        price: In the whole interval.
        hours: Length of the interval.
        left_h: Of it; > 0.
        bought_kwh: In it until now; it is gone from each step.
    """
    steps = ((max(0.0, (above_kw * hours - bought_kwh) / left_h), dear) for above_kw, dear in price.steps)
    return replace(price, steps=tuple(steps))


def battery_kw(
    net_kw: float,
    hours: float,
    price: Price,
    battery: Battery,
    curve: Curve,
) -> float:
    """What the battery does for the rest of an interval, mean at its terminals, positive charging.

    Args:
        net_kw: Load less PV, as measured now; positive where the home consumes.
        hours: Left of the interval; > 0.
        price: In this interval.
        battery: With its SoC now; its powers have to be numbers.
        curve: What energy in store is worth at the end of the interval.
    """
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    into, out_of = battery.charge_efficiency, battery.discharge_efficiency
    most = min(float(battery.charge_max_kw) * hours, (battery.capacity_kwh - stored) / into)
    least = -min(float(battery.discharge_max_kw) * hours, stored * out_of)
    kinks = curve.levels_kwh - stored
    ways = np.concatenate(
        [
            [0.0, -net_kw * hours, most, least],
            [(above_kw - net_kw) * hours for above_kw, _ in price.steps],
            np.where(kinks > 0.0, kinks / into, kinks * out_of),
        ]
    )
    ways = np.clip(ways, least, most)
    grid = net_kw * hours + ways
    sell = max(price.export_per_kwh, 0.0) if price.curtailable else price.export_per_kwh
    steps = [(above_kw * hours, per_kwh) for above_kw, per_kwh in price.steps]
    cost = cost_of(grid, price.import_per_kwh, sell, steps)
    cost += battery.wear_per_kwh * np.maximum(-ways, 0.0)
    cost -= np.interp(
        stored + np.where(ways > 0.0, ways * into, ways / out_of), curve.levels_kwh, curve.value
    )
    good = cost <= cost.min() + ENOUGH
    power_kw = float(ways[good][np.argmin(np.abs(ways[good]))] / hours)
    return min(max(power_kw, -float(battery.discharge_max_kw)), float(battery.charge_max_kw))
