"""Micro-inverters behind one gateway: each an element, limited one by one."""

from __future__ import annotations

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    LimitCapability,
    Produce,
    ProduceCapability,
    Rating,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.plant import Actuator, Plant

ABOUT = About(
    name="Roof south",
    maker="Heliora",
    model="Gate 8",
    serial="HL-G8-7713",
    profiles=("gateway", "micro_inverter"),
)
DELAY_S = 0.8
RAMP_W_PER_S = 200.0
"""Of one inverter."""


class SolarGateway:
    """Polls its inverters once a second and passes limits on to them."""

    def __init__(self, plant: Plant) -> None:
        gateway = plant.house.config.gateway
        self._plant = plant
        self._count = gateway.count
        self._efficiency = gateway.efficiency
        self._rating_w = gateway.rating_w
        self._meters: dict[str, AcMeter] = {}
        self._limits: dict[str, Actuator] = {}
        elements = []
        for row in range(gateway.count):
            name = f"micro{row + 1}"
            meter = self._meters[name] = AcMeter(plant, name, resolution_w=0.1)
            cell = plant.cell(plant.actions.micro_produce_max_w, row)
            self._limits[name] = Actuator(plant, cell, delay_s=DELAY_S, ramp_per_s=RAMP_W_PER_S)
            elements.append(
                element(
                    name,
                    "inverter",
                    name=f"Inverter {row + 1}",
                    bus="grid",
                    terminals=meter.lines,
                    connection=connection_of(meter.lines),
                    ac_measure=AcMeasureCapability(accuracy_pct=2.0),
                    energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                    rating=Rating(
                        produce_max_w=gateway.rating_w, voltage_v=plant.house.config.wiring.voltage_v
                    ),
                    limit=LimitCapability(produce=True),
                    produce=ProduceCapability(peak_w=gateway.array.peak_w / gateway.count),
                )
            )
        self.elements: tuple[Element, ...] = tuple(elements)

    def read(self, element: str) -> ElementState:
        """Its output, and what it could give if nothing limited it."""
        plant = self._plant
        meter = self._meters[element]
        connected = bool(plant.house.tie.micro_connected[plant.home])
        dc_w = float(plant.house.pv_available_w[0, plant.home]) / self._count
        available_w = min(dc_w * self._efficiency, self._rating_w) if connected else 0.0
        return ElementState(
            ac_measure=meter.measure(),
            energy=meter.energy(),
            produce=Produce(available_w=max(0.0, round(available_w, 1))),
        )

    def apply(self, element: str, command: Effective) -> Answer:
        """Limit one inverter."""
        self._limits[element].aim(min(command.produce_max_w, self._rating_w))
        return None
