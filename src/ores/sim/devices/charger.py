"""A charging point for the car."""

from __future__ import annotations

from math import floor, inf

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    Ev,
    EvCapability,
    LimitCapability,
    Rating,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.physics.battery import CAR
from ores.sim.plant import Actuator, Plant

ABOUT = About(
    name="Charger", maker="Amperia", model="Dock 11", serial="AM-D11-5520", profiles=("ev_charger",)
)
DELAY_S = 1.5
IDLE_W = 10.0


class Charger:
    """Offers whole amperes; what it is not leased it does not give beyond its failsafe limit."""

    def __init__(self, plant: Plant) -> None:
        car, wiring = plant.house.config.vehicle, plant.house.config.wiring
        self._plant = plant
        self._car = car
        self._watt_per_a = wiring.voltage_v * car.phases
        self._meter = AcMeter(plant, "car", resolution_w=1.0, detailed=True)
        self._current = Actuator(plant, plant.cell(plant.actions.car_current_a), delay_s=DELAY_S)
        self.elements: tuple[Element, ...] = (
            element(
                "socket",
                "evse",
                name="Charging point",
                bus="grid",
                terminals=self._meter.lines[: car.phases],
                connection=connection_of(self._meter.lines[: car.phases]),
                ac_measure=AcMeasureCapability(accuracy_pct=1.0),
                energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                rating=Rating(
                    consume_max_w=car.max_a * self._watt_per_a,
                    current_max_a=car.max_a,
                    voltage_v=wiring.voltage_v,
                ),
                limit=LimitCapability(consume=True, current=True),
                ev=EvCapability(current_min_a=car.min_a, current_max_a=car.max_a, step_a=1.0),
            ),
        )

    def read(self, _element: str) -> ElementState:
        """Power per conductor, and the car: here or away, how full, what it still needs, when it leaves."""
        plant, home, house = self._plant, self._plant.home, self._plant.house
        here = bool(house.car.present[home])
        measure = self._meter.measure()
        if not here:
            return ElementState(
                ac_measure=measure, energy=self._meter.energy(), ev=Ev(connected=False, charging=False)
            )
        soc_pct = house.stores.soc_pct(CAR, home)
        wanted_wh = (float(house.car.target_soc_pct[home]) - soc_pct) / 100.0 * house.car.capacity
        leaves_in_s = float(house.car.departure_s[home]) - plant.now_s
        return ElementState(
            ac_measure=measure,
            energy=self._meter.energy(),
            ev=Ev(
                connected=True,
                charging=self._meter.power_w > IDLE_W,
                soc_pct=min(100.0, max(0.0, round(soc_pct, 1))),
                energy_needed_wh=max(0.0, round(wanted_wh / self._car.battery.efficiency)),
                departure_in_s=None if leaves_in_s == inf else max(0.0, round(leaves_in_s)),
            ),
        )

    def apply(self, _element: str, command: Effective) -> Answer:
        """Offer the car what both limits allow, in whole amperes."""
        current_a = min(command.current_max_a, command.consume_max_w / self._watt_per_a, self._car.max_a)
        self._current.aim(float(floor(current_a + 1e-9)))
        return None
