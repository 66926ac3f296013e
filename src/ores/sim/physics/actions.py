"""What may be asked of the home: arrays that a controller writes and `House.step` reads."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import HouseConfig, ScenarioError

Floats = NDArray[np.float64]


@dataclass(slots=True)
class Actions:
    """Commands to the hardware; they hold until changed. Shapes end in n_homes.

    Everything is float64 and must be finite: the hot loop does not look for NaN, `check` does.

    Attributes:
        circuit_closed: 1 closed, 0 open; shape (n_circuits, n_homes).
        micro_produce_max_w: Per micro-inverter, >= 0; shape (count, n_homes).
        ac_battery_w: Set-point at its AC terminal, positive charges.
        ac_battery_consume_max_w: >= 0. The standby consumption goes first: it is drawn even above this limit
            when the battery is empty.
        ac_battery_produce_max_w: >= 0.
        hybrid_battery_w: Set-point of the hybrid's battery, counted at AC: the inverter's power is that
            of the sun alone plus this. Positive charges.
        inverter_consume_max_w: Of the hybrid's inverter at AC, >= 0.
        inverter_produce_max_w: Likewise; the strings are curtailed for it. Neither binds on an island.
        car_current_a: Limit per conductor; whole amperes below it are used, below 6 A charging pauses.
        car_phases: Conductors that the charger uses, 1 or all; read once per tick.
        heat_pump_mode: SG-Ready, 1 to 4; read once per tick.
    """

    circuit_closed: Floats
    micro_produce_max_w: Floats
    ac_battery_w: Floats
    ac_battery_consume_max_w: Floats
    ac_battery_produce_max_w: Floats
    hybrid_battery_w: Floats
    inverter_consume_max_w: Floats
    inverter_produce_max_w: Floats
    car_current_a: Floats
    car_phases: Floats
    heat_pump_mode: Floats

    def check(self) -> None:
        """Raise a ScenarioError that names the array when one holds NaN, infinity or a negative limit."""
        signed = ("ac_battery_w", "hybrid_battery_w")
        for item in fields(self):
            values = getattr(self, item.name)
            if not np.isfinite(values).all():
                raise ScenarioError(f"Actions.{item.name}: found NaN or infinity, allowed: finite numbers")
            if item.name not in signed and (values < 0.0).any():
                raise ScenarioError(f"Actions.{item.name}: found {values.min():g}, allowed: 0 or more")


def idle(config: HouseConfig, homes: int) -> Actions:
    """Nothing is limited, nothing is asked for: batteries rest, the car charges at will, mode 2."""
    return Actions(
        circuit_closed=np.ones((len(config.circuits), homes)),
        micro_produce_max_w=np.full((config.gateway.count, homes), config.gateway.rating_w),
        ac_battery_w=np.zeros(homes),
        ac_battery_consume_max_w=np.full(homes, config.ac_battery.charge_w + config.ac_battery.standby_w),
        ac_battery_produce_max_w=np.full(homes, config.ac_battery.discharge_w),
        hybrid_battery_w=np.zeros(homes),
        inverter_consume_max_w=np.full(homes, config.hybrid.rating_w),
        inverter_produce_max_w=np.full(homes, config.hybrid.rating_w),
        car_current_a=np.full(homes, config.vehicle.max_a),
        car_phases=np.full(homes, float(config.vehicle.phases)),
        heat_pump_mode=np.full(homes, 2.0),
    )
