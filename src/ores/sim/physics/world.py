"""What people and the utility do to a home; no device and no hub knows of it beforehand.

`home` is an index, or None for all homes. Everything takes effect with the next step.
"""

from __future__ import annotations

import math

from ores.sim.physics.battery import AC, CAR, HYBRID
from ores.sim.physics.config import ScenarioError
from ores.sim.physics.house import House

_STORES = {"ac_battery": AC, "hybrid_battery": HYBRID, "car": CAR}


def _at(house: House, home: int | None) -> slice:
    if home is None:
        return slice(None)
    if not 0 <= home < house.homes:
        raise ScenarioError(f"home: found {home}, allowed: 0 to {house.homes - 1}")
    return slice(home, home + 1)


def _number(name: str, value: float, low: float, high: float) -> float:
    if not (math.isfinite(value) and low <= value <= high):
        raise ScenarioError(f"{name}: found {value!r}, allowed: {low:g} to {high:g}")
    return value


def cut_grid(house: House, home: int | None = None) -> None:
    """The utility fails."""
    house.tie.grid_ok[_at(house, home)] = False
    house.tie.healthy_s[_at(house, home)] = 0.0
    house.refresh()


def restore_grid(house: House, home: int | None = None) -> None:
    """The utility delivers again; devices come back after their reconnection times."""
    house.tie.grid_ok[_at(house, home)] = True
    house.refresh()


def hold_open(house: House, hold: bool, home: int | None = None) -> None:
    """Open the tie on purpose and keep it open, or stop that; it then closes by itself when it may."""
    house.tie.hold_open[_at(house, home)] = hold
    house.refresh()


def permit_close(house: House, permit: bool, home: int | None = None) -> None:
    """Whether an open tie may close itself."""
    house.tie.permit_close[_at(house, home)] = permit


def allow_forming(house: House, allow: bool, home: int | None = None) -> None:
    """Whether the hybrid may form the grid of the backup side; if not, that side is dark on an island."""
    house.tie.form_grid[_at(house, home)] = allow


def black_start(house: House, home: int | None = None) -> None:
    """Try again at once to form the grid after a black-out, instead of waiting for the retry time."""
    house.tie.retry_in_s[_at(house, home)] = 0.0


def move_cloud(house: House, factor: float, duration_s: float, home: int | None = None) -> None:
    """Scale the sun for a while.

    Args:
        house: To act on.
        factor: 0 (dark) to 1.2 (the bright edge of a cloud).
        duration_s: How long; 0 ends it.
        home: Index, None for all.
    """
    house.set_cloud(
        _at(house, home), _number("factor", factor, 0.0, 1.2), _number("duration_s", duration_s, 0.0, 1e6)
    )


def turn_on(house: House, circuit: str, power_w: float, duration_s: float, home: int | None = None) -> None:
    """Turn something on, e.g. a 3 kW oven; it adds to the load that is there.

    What was turned on there by hand before is replaced.

    Args:
        house: To act on.
        circuit: Its name, or that of the unmetered rest.
        power_w: 0 to 30 kW; 0 turns off.
        duration_s: Until it ends by itself, rounded up to a tick.
        home: Index, None for all.
    """
    names = [c.name for c in (*house.config.circuits, house.config.unmetered)]
    if circuit not in names:
        raise ScenarioError(f"circuit: found {circuit!r}, allowed: {', '.join(names)}")
    house.set_by_hand(
        names.index(circuit),
        _at(house, home),
        _number("power_w", power_w, 0.0, 30_000.0),
        _number("duration_s", duration_s, 0.0, 1e7),
    )


def turn_off(house: House, circuit: str, home: int | None = None) -> None:
    """Turn off what was turned on by `turn_on`."""
    turn_on(house, circuit, 0.0, 0.0, home)


def move_car(house: House, present: bool, home: int = 0) -> None:
    """Plug the car in or drive it away; holds until the plan agrees with it."""
    _at(house, home)
    house.car.by_hand(home, present)
    house.refresh()


def set_soc_pct(house: House, store: str, soc_pct: float, home: int | None = None) -> None:
    """Begin a scene with another state of charge.

    Args:
        house: To act on.
        store: "ac_battery", "hybrid_battery" or "car".
        soc_pct: 0 to 100.
        home: Index, None for all.
    """
    if store not in _STORES:
        raise ScenarioError(f"store: found {store!r}, allowed: {', '.join(_STORES)}")
    row, at = _STORES[store], _at(house, home)
    share = _number("soc_pct", soc_pct, 0.0, 100.0) / 100.0
    house.stores.energy_wh[row, at] = share * house.stores.capacity_wh[row, at]
