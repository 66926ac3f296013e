"""What stores are asked to do in this moment, by what energy in them is worth; with the reason in words.

Where the house's own need or surplus decides, the grid is held at a power and the stores follow it by every
word of the meter; where the price does, they are told a power.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ores.control.drawn import SAME_KW, Foresight, does_of
from ores.control.realtime import battery_kw, for_the_rest
from ores.control.words import kilo
from ores.ems.inputs import Battery
from ores.ems.rolling import Kept
from ores.ems.worth import Curve


class Moment(Struct, frozen=True, kw_only=True):
    """The house in this moment of a slot.

    Attributes:
        net_kw: Load less PV now.
        usual_kw: The same, smoothed over a minute or so: what it will be if it goes on as it does.
        passed_kwh: Load less PV in the slot until now.
        bought_kwh: From the grid in the slot until now.
        left_h: Of the slot; > 0.
        slot_h: Length of the slot.
        until: When the price changes, for a person; "" where it does not.
        currency: Of the prices.
    """

    net_kw: float
    usual_kw: float
    passed_kwh: float
    bought_kwh: float
    left_h: float
    slot_h: float
    until: str
    currency: str


class Wanted(Struct, frozen=True):
    """What is proposed.

    Attributes:
        power_w: Of all stores together, positive charging; None where they follow the grid.
        grid_w: At which the grid is held, where they do; positive import.
        reason: For a person.
    """

    power_w: float | None
    grid_w: float
    reason: str


def wanted(kept: Kept, moment: Moment, battery: Battery, foresight: Foresight | None = None) -> Wanted:
    """What is cheapest for the rest of the slot.

    Args:
        kept: What is known of the slot.
        moment: The house now.
        battery: All stores together, with their SoC now.
        foresight: What was expected of the slot; it is told as long as that is what happens.
    """
    price = for_the_rest(kept.price, moment.slot_h, moment.left_h, moment.bought_kwh)
    curve = kept.value(moment.passed_kwh + moment.usual_kw * moment.left_h)
    power = battery_kw(moment.net_kw, moment.left_h, price, battery, curve)
    grid, net = moment.net_kw + power, moment.net_kw
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    if foresight is not None and foresight.does != does_of(power, net):
        foresight = None
    words = _Words(moment, price.import_per_kwh, price.export_per_kwh, slope(curve, stored), foresight)
    told = words.added()
    if power * net < 0.0 and (abs(grid) < SAME_KW or _gives_all(power, net, battery)):
        return Wanted(None, 0.0, (words.need() if net > 0.0 else words.sun()) + told)
    for above_kw, _ in price.steps:
        if abs(grid - above_kw) < SAME_KW and abs(power) >= SAME_KW:
            return Wanted(None, above_kw * 1000.0, words.step(above_kw) + told)
    if abs(power) < SAME_KW:
        return Wanted(0.0, 0.0, words.rest(stored, battery) + told)
    return Wanted(power * 1000.0, 0.0, (words.charging() if power > 0.0 else words.discharging()) + told)


def slope(curve: Curve, stored_kwh: float) -> float:
    """What a kWh more in store is worth, per kWh."""
    step = float(curve.levels_kwh[1] - curve.levels_kwh[0])
    low = min(max(stored_kwh - step / 2, 0.0), float(curve.levels_kwh[-1]) - step)
    ends = np.interp([low, low + step], curve.levels_kwh, curve.value)
    return float(ends[1] - ends[0]) / step


def _gives_all(power_kw: float, net_kw: float, battery: Battery) -> bool:
    """Whether it helps the house with all that it can."""
    most = float(battery.charge_max_kw) if power_kw > 0.0 else float(battery.discharge_max_kw)
    return abs(power_kw) >= most - SAME_KW and abs(power_kw) <= abs(net_kw)


class _Words(Struct, frozen=True):
    """Reasons."""

    moment: Moment
    buying: float
    selling: float
    worth: float
    foresight: Foresight | None

    def added(self) -> str:
        """What was expected of the slot, as far as it is worth a word."""
        if self.foresight is None:
            return ""
        text, short_kwh = "", self.foresight.sun_short_kwh
        if self.foresight.does == "charge" and short_kwh is not None:
            which = "short of" if short_kwh > 0.0 else "beyond"
            text = f"; sun expected {abs(short_kwh):.1f} kWh {which} the need of the next 24 h"
        if self.foresight.saves >= 0.005:
            text += f"; saves {self.foresight.saves:.2f} {self.moment.currency}"
        return text

    def _price(self) -> str:
        until = f" until {self.moment.until}" if self.moment.until else ""
        return f"{self.buying:.2f} {self.moment.currency} per kWh{until}"

    def need(self) -> str:
        return f"the house is fed from store: {self._price()}, in store a kWh is worth {self.worth:.2f}"

    def sun(self) -> str:
        return f"the sun is stored: in store a kWh is worth {self.worth:.2f}, sold {self.selling:.2f}"

    def step(self, above_kw: float) -> str:
        return f"the grid is held at {kilo(above_kw * 1000.0)}: beyond that, power costs more"

    def rest(self, stored_kwh: float, battery: Battery) -> str:
        if self.moment.net_kw > 0.0 and stored_kwh < 0.005 * battery.capacity_kwh:
            return f"nothing left to give, and now is no time to charge: {self._price()}"
        if self.moment.net_kw > 0.0:
            return f"kept for later: {self._price()}, in store a kWh is worth {self.worth:.2f}"
        return f"not charging now: in store a kWh more is worth {self.worth:.2f}, sold {self.selling:.2f}"

    def charging(self) -> str:
        return f"charging now: {self._price()}, in store a kWh is worth {self.worth:.2f}"

    def discharging(self) -> str:
        if self.moment.net_kw <= 0.0:
            return f"selling from store: {self.selling:.2f} per kWh, in store a kWh is worth {self.worth:.2f}"
        return f"discharging now: {self._price()}, in store a kWh is worth {self.worth:.2f}"
