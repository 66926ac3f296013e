"""A charging point for the car."""

from __future__ import annotations

from itertools import pairwise
from math import floor, inf

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementFlexibility,
    ElementState,
    EnergyCapability,
    Ev,
    EvCapability,
    FillPoint,
    LimitCapability,
    PowerFlexibility,
    Rating,
    StoreFlexibility,
    StoreLevel,
    StoreTarget,
    VehicleFlexibility,
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
TAPER_STEPS = 3


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
        home, house = self._plant.home, self._plant.house
        here = bool(house.car.present[home])
        measure = self._meter.measure()
        if not here:
            return ElementState(
                ac_measure=measure, energy=self._meter.energy(), ev=Ev(connected=False, charging=False)
            )
        return ElementState(
            ac_measure=measure,
            energy=self._meter.energy(),
            ev=Ev(
                connected=True,
                charging=self._meter.power_w > IDLE_W,
                soc_pct=min(100.0, max(0.0, round(house.stores.soc_pct(CAR, home), 1))),
                energy_needed_wh=self._missing_wh(float(house.car.target_soc_pct[home])),
                departure_in_s=self._leaves_in_s(),
            ),
        )

    def flexibility(self, _element: str) -> ElementFlexibility:
        """What the car tells: its pack, how that slows down when nearly full, and what its driver wants."""
        house, home, car = self._plant.house, self._plant.home, self._car
        power = PowerFlexibility(
            by="limit",
            consume_max_w=car.max_a * self._watt_per_a,
            consume_min_w=car.min_a * self._watt_per_a,
            step_w=self._watt_per_a,
        )
        if not house.car.present[home]:
            return ElementFlexibility(power=power, vehicle=VehicleFlexibility(connected=False))
        leaves_in_s, target_pct = self._leaves_in_s(), float(house.car.target_soc_pct[home])
        wanted = [] if leaves_in_s is None else [self._target(leaves_in_s, target_pct)]
        return ElementFlexibility(
            power=power,
            vehicle=VehicleFlexibility(
                connected=True,
                energy_needed_wh=self._missing_wh(target_pct),
                energy_most_wh=self._missing_wh(100.0),
                departure_in_s=leaves_in_s,
            ),
            store=StoreFlexibility(
                holds="electricity",
                capacity_wh=house.car.capacity,
                energy_wh=max(0.0, round(float(house.stores.energy_wh[CAR, home]))),
                commanded_at="socket",
                levels=self._levels(),
                targets=wanted,
            ),
        )

    def _missing_wh(self, soc_pct: float) -> float:
        """Energy at the socket until the pack holds this much."""
        house = self._plant.house
        missing_pct = soc_pct - house.stores.soc_pct(CAR, self._plant.home)
        return max(0.0, round(missing_pct / 100.0 * house.car.capacity / self._car.battery.efficiency))

    def _leaves_in_s(self) -> float | None:
        leaves_in_s = float(self._plant.house.car.departure_s[self._plant.home]) - self._plant.now_s
        return None if leaves_in_s == inf else max(0.0, round(leaves_in_s))

    def _target(self, due_in_s: float, soc_pct: float) -> StoreTarget:
        return StoreTarget(due_in_s=due_in_s, energy_wh=soc_pct / 100.0 * self._plant.house.car.capacity)

    def _levels(self) -> list[StoreLevel]:
        """Full power up to where the pack slows down; from there its straight line to 0 as a few steps."""
        pack, whole_wh = self._car.battery, self._plant.house.car.capacity
        most_w = min(self._car.max_a * self._watt_per_a, pack.charge_w)
        edges = [0.0, *(1.0 - pack.taper * (1.0 - step / TAPER_STEPS) for step in range(TAPER_STEPS + 1))]
        return [
            StoreLevel(
                energy_from_wh=low * whole_wh,
                energy_to_wh=high * whole_wh,
                points=[
                    FillPoint(power_w=0.0, fill_w=0.0),
                    FillPoint(power_w=power_w, fill_w=round(power_w * pack.efficiency)),
                ],
            )
            for low, high in pairwise(edges)
            if (power_w := round(min(most_w, pack.charge_w * (1.0 - (low + high) / 2.0) / pack.taper))) > 0
        ]

    def apply(self, _element: str, command: Effective) -> Answer:
        """Offer the car what both limits allow, in whole amperes."""
        current_a = min(command.current_max_a, command.consume_max_w / self._watt_per_a, self._car.max_a)
        self._current.aim(float(floor(current_a + 1e-9)))
        return None
