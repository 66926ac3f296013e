"""What a plan is made from: the home, its state and what is expected, as plain numbers.

Energy in kWh, power in kW, money in the currency of the terms. What may change with time is a number or an
array with one value for each interval of the terms. What no plan can be made from raises `InputError`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ores.tariff.terms import Terms

Floats = NDArray[np.float64]
PerInterval = float | Floats


class InputError(ValueError):
    """A value that no plan can be made from.

    Attributes:
        name: Of the field, with the way to it: `batteries[0].soc_pct`.
    """

    def __init__(self, name: str, found: object, allowed: str) -> None:
        """Say which field, what was found and what is allowed."""
        super().__init__(f"{name} is {found}; allowed: {allowed}")
        self.name = name


@dataclass(frozen=True, slots=True, kw_only=True)
class Battery:
    """A store of electrical energy, seen from its AC terminals.

    Attributes:
        capacity_kwh: Between 0 and 100 % SoC; > 0.
        soc_pct: Now; 0 to 100. It may lie outside soc_min_pct .. soc_max_pct.
        charge_max_kw: At the terminals; >= 0.
        discharge_max_kw: At the terminals; >= 0.
        charge_efficiency: Of what enters, the share that is stored; > 0, <= 1.
        discharge_efficiency: Of what is taken from store, the share that leaves; > 0, <= 1.
        soc_min_pct: At the end of each interval.
        soc_max_pct: At the end of each interval; >= soc_min_pct.
        reserve_pct: Kept for an outage, at the end of each interval. It yields to soc_max_pct.
        wear_per_kwh: What a kWh discharged costs in life; >= 0.
        end_value_per_kwh: What a kWh in store is worth after the last interval.
    """

    capacity_kwh: float
    soc_pct: float
    charge_max_kw: PerInterval
    discharge_max_kw: PerInterval
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    soc_min_pct: PerInterval = 0.0
    soc_max_pct: PerInterval = 100.0
    reserve_pct: PerInterval = 0.0
    wear_per_kwh: float = 0.0
    end_value_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ev:
    """An electric vehicle at its charger. Where only the energy needed is known, that is its capacity.

    Attributes:
        capacity_kwh: Between 0 and 100 % SoC; > 0.
        soc_pct: Now; 0 to 100.
        connected: Of each interval, whether it is at the charger.
        charge_max_kw: At the charger; >= 0.
        charge_min_kw: It charges with at least this or not at all; 0 to charge_max_kw.
        target_pct: Wanted at the end of each interval; 0 but before a departure.
        driven_kwh: Taken from its store on the road in each interval.
        discharge_max_kw: Into the home; 0 where it cannot.
        charge_efficiency: Of what enters, the share that is stored; > 0, <= 1.
        discharge_efficiency: Of what is taken from store, the share that leaves; > 0, <= 1.
        soc_min_pct: While it is connected; below it is charged at once.
        wear_per_kwh: What a kWh discharged into the home costs in life; >= 0.
        end_value_per_kwh: What a kWh in store is worth after the last interval.
    """

    capacity_kwh: float
    soc_pct: float
    connected: NDArray[np.bool_]
    charge_max_kw: PerInterval
    charge_min_kw: float = 0.0
    target_pct: PerInterval = 0.0
    driven_kwh: PerInterval = 0.0
    discharge_max_kw: PerInterval = 0.0
    charge_efficiency: float = 0.9
    discharge_efficiency: float = 0.9
    soc_min_pct: float = 0.0
    wear_per_kwh: float = 0.0
    end_value_per_kwh: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Appliance:
    """Something that is started once and runs through. One that runs already is load.

    Attributes:
        profile_kw: Mean of each step of its run; >= 0.
        step_h: Length of a step; > 0.
        may_start: Of each interval, whether it may be started at its beginning; it is not where the run would
            go on beyond the last interval.
    """

    profile_kw: Floats
    step_h: float
    may_start: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A heat pump or heater with what it warms: a tank, or a building, of one temperature.

    The temperature follows capacity * dT/dt = cop * power + gain - loss * (T - ambient), with all but T
    constant in an interval; the solution at its end is exact.

    Attributes:
        capacity_kwh_per_k: Heat that warms it by 1 K; > 0.
        loss_kw_per_k: Heat that it loses for each K above ambient; > 0.
        temperature_c: Now.
        ambient_c: Around it, in each interval.
        gain_kw: Heat from elsewhere (sun, people); negative where it is drawn (hot water).
        cop: Heat for each unit of electricity; > 0.
        power_max_kw: Electrical; >= 0.
        power_min_kw: It runs with at least this or not at all; 0 to power_max_kw.
        comfort_min_c: At the end of each interval.
        comfort_max_c: At the end of each interval; >= comfort_min_c.
        discomfort_per_kh: Price of 1 K outside for 1 h; None for more than any energy.
        end_value_per_k: What 1 K is worth after the last interval.
    """

    capacity_kwh_per_k: float
    loss_kw_per_k: float
    temperature_c: float
    ambient_c: PerInterval
    cop: PerInterval
    power_max_kw: PerInterval
    comfort_min_c: PerInterval
    comfort_max_c: PerInterval
    gain_kw: PerInterval = 0.0
    power_min_kw: float = 0.0
    discomfort_per_kh: float | None = None
    end_value_per_k: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Everything that a plan is made for.

    Attributes:
        terms: Prices and lengths of the intervals.
        load_kw: Mean consumption that is not planned here, of each interval; negative where it produces.
        pv_available_kw: Mean that the PV could produce; >= 0.
        pv_curtailable: Whether the PV can be told to produce less.
        import_max_kw: At the connection point; >= 0, inf for no limit.
        export_max_kw: At the connection point; >= 0, inf for no limit.
        batteries: These, and all that follow, in the order in which the plan answers.
        evs: Electric vehicles.
        appliances: What is started once.
        heats: Heat pumps and heaters.
    """

    terms: Terms
    load_kw: PerInterval
    pv_available_kw: PerInterval = 0.0
    pv_curtailable: bool = True
    import_max_kw: PerInterval = math.inf
    export_max_kw: PerInterval = math.inf
    batteries: tuple[Battery, ...] = field(default=())
    evs: tuple[Ev, ...] = field(default=())
    appliances: tuple[Appliance, ...] = field(default=())
    heats: tuple[Heat, ...] = field(default=())


LARGEST = 1e9
"""Beyond it a number is a mistake, and the arithmetic would not be exact."""


def spread(value: PerInterval, count: int, name: str, low: float = -LARGEST, high: float = LARGEST) -> Floats:
    """One value for each interval, checked.

    Args:
        value: A number, or an array of shape (count,).
        count: Of intervals.
        name: Of the field, for the error.
        low: The least that is allowed.
        high: The most that is allowed; inf where the field is a limit that may be absent.

    Raises:
        InputError: Wrong shape, NaN, or out of range.
    """
    values = np.asarray(value, dtype=np.float64)
    if values.ndim == 0:
        return np.full(count, scalar(float(values), name, low, high))
    if values.shape != (count,):
        raise InputError(name, f"of shape {values.shape}", f"a number, or one for each of {count} intervals")
    fine = (values >= low) & (values <= high)
    if not fine.all():
        at = int(np.argmin(fine))
        raise InputError(f"{name}[{at}]", values[at], words(low, high))
    return values


def scalar(value: float, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    """A number, checked.

    Raises:
        InputError: NaN, or out of range.
    """
    if not low <= value <= high:
        raise InputError(name, value, words(low, high))
    return float(value)


def words(low: float, high: float) -> str:
    """A range, as a person would say it."""
    if high == math.inf:
        return f"at least {low:g}, or inf for no limit"
    return f"{low:g} to {high:g}"


def flags(value: NDArray[np.bool_], count: int, name: str) -> NDArray[np.bool_]:
    """One yes or no for each interval, checked.

    Raises:
        InputError: Wrong shape.
    """
    values = np.asarray(value, dtype=np.bool_)
    if values.shape != (count,):
        raise InputError(name, f"of shape {values.shape}", f"one for each of {count} intervals")
    return values
