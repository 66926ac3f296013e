"""A battery that takes time slots and nothing else: for each, one of a few modes of its own.

Between two slots the device acts alone, so a mode is chosen for what may come in the slot, before any of it
is seen: the one that is cheapest on average, less what is in store at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ores.ems.inputs import Battery, Floats
from ores.ems.worth import Price, cost_of


@dataclass(frozen=True, slots=True)
class Mode:
    """What the device does by itself in a slot.

    Attributes:
        name: As devices call it.
        base: Share of its greatest power that it charges (or, negative, discharges) whatever the home does.
        stores: Whether it charges with surplus.
        covers: Whether it meets the need of the home.
    """

    name: str
    base: float = 0.0
    stores: bool = False
    covers: bool = False

    def power_kw(self, net_kw: Floats, battery: Battery) -> Floats:
        """What it would do, where its store allows; net is load less PV."""
        low = np.where(self.covers, -np.maximum(net_kw, 0.0), 0.0)
        high = np.where(self.stores, np.maximum(-net_kw, 0.0), 0.0)
        most = battery.charge_max_kw if self.base > 0.0 else battery.discharge_max_kw
        power: Floats = low + high if self.base == 0.0 else np.full_like(net_kw, self.base) * most
        return np.clip(power, -np.asarray(battery.discharge_max_kw), battery.charge_max_kw)


MODES: Final = (
    Mode("self-consumption", stores=True, covers=True),
    Mode("store surplus", stores=True),
    Mode("cover need", covers=True),
    Mode("hold"),
    Mode("charge", base=1.0),
    Mode("charge at half", base=0.5),
    Mode("charge at a quarter", base=0.25),
    Mode("discharge", base=-1.0),
)


def mode_of(
    outcomes_kw: Floats,
    likely: Floats,
    hours: float,
    price: Price,
    battery: Battery,
    *,
    levels_kwh: Floats,
    values: Floats,
) -> Mode:
    """The mode for a slot.

    Args:
        outcomes_kw: Load less PV that the slot may have, shape (outcomes,).
        likely: Their chances, shape (outcomes,).
        hours: Length of the slot; > 0.
        price: In it.
        battery: With its SoC now.
        levels_kwh: Of stored energy, rising, shape (levels,).
        values: What it is worth at the end of the slot after each outcome, shape (outcomes, levels).
    """
    stored = battery.soc_pct / 100.0 * battery.capacity_kwh
    into, out_of = battery.charge_efficiency, battery.discharge_efficiency
    sell = max(price.export_per_kwh, 0.0) if price.curtailable else price.export_per_kwh
    steps = [(above_kw * hours, per_kwh) for above_kw, per_kwh in price.steps]
    best, least = MODES[0], np.inf
    for mode in MODES:
        energy = mode.power_kw(outcomes_kw, battery) * hours
        energy = np.clip(energy, -stored * out_of, (battery.capacity_kwh - stored) / into)
        after = stored + np.where(energy > 0.0, energy * into, energy / out_of)
        worth = np.array([np.interp(at, levels_kwh, row) for at, row in zip(after, values, strict=True)])
        cost = cost_of(outcomes_kw * hours + energy, price.import_per_kwh, sell, steps) - worth
        cost += battery.wear_per_kwh * np.maximum(-energy, 0.0)
        if (mean := float(likely @ cost)) < least - 1e-9:
            best, least = mode, mean
    return best
