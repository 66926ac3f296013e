"""What energy in a store is worth when what comes is uncertain: a stochastic dynamic program.

A plan made for one expected future uses its freedom too early: it fills a store in the morning that the sun
would have filled, as both cost the same in that future. Here each interval has several outcomes of the net
load, which hang together in time as a chain, and whoever acts sees the outcome of an interval before acting
in it, and no later one. Bellman's equation, backwards over a grid of stored energy; what lies between two
levels is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ores.ems.inputs import Battery, Floats, InputError, scalar, spread

LEVELS: Final = 55
"""Of stored energy; of a home's battery, each is about 0.25 kWh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Prices and outcomes of n intervals, with k outcomes each.

    Attributes:
        hours: Length of each interval, in h, shape (n,); > 0.
        import_per_kwh: Shape (n,).
        export_per_kwh: Shape (n,).
        net_kwh: Load less PV in each outcome, shape (n, k).
        chain: From each outcome of an interval, the chances of those of the next one, shape (k, k).
        steps_kwh: Beyond each, import of an interval costs more, shape (steps, n); inf where it does not.
        steps_per_kwh: How much more, shape (steps,); >= 0.
        curtailable: Whether export that would cost is not fed in.
    """

    hours: Floats
    import_per_kwh: Floats
    export_per_kwh: Floats
    net_kwh: Floats
    chain: Floats
    steps_kwh: Floats
    steps_per_kwh: Floats
    curtailable: bool = True


@dataclass(frozen=True, slots=True)
class Price:
    """What a kWh costs at the connection point now.

    Attributes:
        import_per_kwh: Bought.
        export_per_kwh: Sold; what sells for less than nothing is held back where `curtailable`.
        steps: `(above_kw, per_kwh)`: import beyond it costs so much more, for a peak of the month or a limit.
        curtailable: Whether the sun can be held back.
    """

    import_per_kwh: float
    export_per_kwh: float
    steps: tuple[tuple[float, float], ...] = ()
    curtailable: bool = True


@dataclass(frozen=True, slots=True)
class Curve:
    """The value of energy in store at one moment; only differences mean anything.

    Attributes:
        levels_kwh: Rising from 0 to the capacity, shape (levels,).
        value: Shape (levels,).
    """

    levels_kwh: Floats
    value: Floats


@dataclass(frozen=True, slots=True)
class Worth:
    """The value of energy in store.

    Attributes:
        levels_kwh: Rising from 0 to the capacity, shape (levels,).
        value: Before each interval, once its outcome is known, and after the last; shape (n + 1, k, levels).
            Costs of the intervals are taken off; only differences mean anything.
    """

    levels_kwh: Floats
    value: Floats

    def before(self, interval: int, chances: Floats) -> Curve:
        """The value before an interval whose outcome has these chances."""
        return Curve(self.levels_kwh, chances @ self.value[interval])


def worth(outlook: Outlook, battery: Battery, end: Floats | None = None, *, levels: int = LEVELS) -> Worth:
    """Solve Bellman's equation.

    Args:
        outlook: What may come.
        battery: The store; its SoC is not asked, and its powers and limits have to be numbers.
        end: Value after the last interval, shape (k, levels); nothing by default.
        levels: Of the grid; >= 2.

    Raises:
        InputError: Names the field, what was found and what is allowed.
    """
    _check(outlook)
    moves = _Moves(outlook, battery, levels)
    count, states = outlook.net_kwh.shape
    value = np.empty((count + 1, states, levels))
    value[count] = 0.0 if end is None else end
    for at in range(count - 1, -1, -1):
        value[at] = moves.best(at, value[at + 1] if at + 1 == count else outlook.chain @ value[at + 1])
    return Worth(moves.levels_kwh, value)


def _check(outlook: Outlook) -> None:
    count = len(outlook.hours)
    spread(outlook.hours, count, "outlook.hours", 1e-6, 1e6)
    spread(outlook.import_per_kwh, count, "outlook.import_per_kwh")
    spread(outlook.export_per_kwh, count, "outlook.export_per_kwh")
    if outlook.net_kwh.ndim != 2 or len(outlook.net_kwh) != count:
        raise InputError("outlook.net_kwh", f"of shape {outlook.net_kwh.shape}", f"({count}, outcomes)")
    spread(outlook.net_kwh.ravel(), outlook.net_kwh.size, "outlook.net_kwh")


def cost_of(
    grid_kwh: Floats,
    import_per_kwh: Floats | float,
    export_per_kwh: Floats | float,
    steps: Iterable[tuple[Floats | float, float]] = (),
) -> Floats:
    """What energy at the connection point costs in an interval.

    Args:
        grid_kwh: Positive import.
        import_per_kwh: Of what is bought.
        export_per_kwh: Of what is sold.
        steps: Import beyond each costs so much more for each kWh.
    """
    bought = np.maximum(grid_kwh, 0.0)
    cost: Floats = import_per_kwh * bought + export_per_kwh * (grid_kwh - bought)
    for above_kwh, per_kwh in steps:
        cost += per_kwh * np.maximum(grid_kwh - above_kwh, 0.0)
    return cost


class _Moves:
    """What can be done in each interval, and what it costs."""

    def __init__(self, outlook: Outlook, battery: Battery, levels: int) -> None:
        self.outlook = outlook
        count = len(outlook.hours)
        capacity = scalar(battery.capacity_kwh, "battery.capacity_kwh", 1e-6)
        charge_kw = _number(battery.charge_max_kw, "battery.charge_max_kw")
        discharge_kw = _number(battery.discharge_max_kw, "battery.discharge_max_kw")
        self.into, self.out_of = battery.charge_efficiency, battery.discharge_efficiency
        self.wear = battery.wear_per_kwh
        self.levels_kwh = np.linspace(0.0, capacity, levels)
        self.step = capacity / (levels - 1)
        up, down = charge_kw * outlook.hours * self.into, discharge_kw * outlook.hours / self.out_of
        self.up = min(int(up.max() / self.step + 1e-9), levels - 1)
        self.down = min(int(down.max() / self.step + 1e-9), levels - 1)
        grid = np.arange(-self.down, self.up + 1) * self.step
        cost = self.costs(np.broadcast_to(grid, (count, 1, len(grid))))
        outside = (grid > up[:, None] + 1e-9) | (grid < -down[:, None] - 1e-9)
        cost[np.broadcast_to(outside[:, None], cost.shape)] = np.inf
        self.cost = np.ascontiguousarray(cost.transpose(0, 2, 1))[..., None]
        # beside the moves from level to level: nothing through the meter, and as much as is possible
        net = outlook.net_kwh
        level = np.clip(
            np.where(net > 0.0, -net / self.out_of, -net * self.into), -down[:, None], up[:, None]
        )
        ways = np.stack(
            [level, np.broadcast_to(up[:, None], net.shape), np.broadcast_to(-down[:, None], net.shape)]
        )
        target = np.clip(self.levels_kwh + ways[..., None], 0.0, capacity)
        place = np.minimum(target / self.step, levels - 1)
        self.low = np.minimum(place.astype(np.int64), levels - 2)
        self.share = place - self.low
        self.low += np.arange(net.shape[1])[:, None] * levels
        self.way_cost = np.stack([self.costs(one - self.levels_kwh) for one in target])
        # one view on one array, filled again for each interval: moves, outcomes, levels
        self.padded = np.full((net.shape[1], levels + self.up + self.down), -np.inf)
        self.after = self.padded[:, self.down : self.down + levels]
        self.windows = sliding_window_view(self.padded, len(grid), axis=1).transpose(2, 0, 1)
        self.reached = np.empty(self.windows.shape)

    def costs(self, stored: Floats) -> Floats:
        """Of storing so much in each interval and outcome; shape of both."""
        out = self.outlook
        terminals = np.where(stored > 0.0, stored / self.into, stored * self.out_of)
        sell = np.maximum(out.export_per_kwh, 0.0) if out.curtailable else out.export_per_kwh
        money = cost_of(
            out.net_kwh[..., None] + terminals,
            out.import_per_kwh[:, None, None],
            sell[:, None, None],
            [
                (above[:, None, None], per_kwh)
                for above, per_kwh in zip(out.steps_kwh, out.steps_per_kwh.tolist(), strict=True)
            ],
        )
        return money + self.wear * np.maximum(-terminals, 0.0) if self.wear else money

    def best(self, at: int, after: Floats) -> Floats:
        """The value before an interval from the one after it; both of shape (k, levels)."""
        self.after[:] = after
        best = np.subtract(self.windows, self.cost[at], out=self.reached).max(axis=0)
        flat, low, share = after.ravel(), self.low[:, at], self.share[:, at]
        ways = flat[low] * (1.0 - share) + flat[low + 1] * share - self.way_cost[:, at]
        value: Floats = np.maximum(best, ways.max(axis=0))
        return value


def _number(value: float | Floats, name: str) -> float:
    if isinstance(value, np.ndarray):
        raise InputError(name, f"of shape {value.shape}", "a number")
    return scalar(value, name, 0.0)
