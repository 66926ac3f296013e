"""A smart panel: sixteen metered circuits that can be switched."""

from __future__ import annotations

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    Rating,
    Switch,
    SwitchCapability,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.physics.config import BACKUP
from ores.sim.plant import Actuator, Plant

ABOUT = About(name="Panel", maker="Brightbox", model="P16", serial="BB-P16-0907", profiles=("smart_panel",))
DELAY_S = 0.5
MIN_OFF_S = 60.0
BREAKER_A = 16.0


class Panel:
    """Reads its circuits every two seconds; those on the backup bus are critical."""

    def __init__(self, plant: Plant) -> None:
        config = plant.house.config
        self._meters: dict[str, AcMeter] = {}
        self._switches: dict[str, Actuator] = {}
        self._closed = {c.name: True for c in config.circuits}
        elements = []
        for row, circuit in enumerate(config.circuits):
            meter = self._meters[circuit.name] = AcMeter(plant, circuit.name, resolution_w=1.0)
            cell = plant.cell(plant.actions.circuit_closed, row)
            self._switches[circuit.name] = Actuator(plant, cell, delay_s=DELAY_S)
            elements.append(
                element(
                    circuit.name,
                    "circuit",
                    name=circuit.name.replace("_", " ").capitalize(),
                    bus=circuit.bus,
                    terminals=meter.lines,
                    connection=connection_of(meter.lines),
                    ac_measure=AcMeasureCapability(accuracy_pct=1.0),
                    energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                    rating=Rating(current_max_a=BREAKER_A, voltage_v=config.wiring.voltage_v),
                    switch=SwitchCapability(min_off_s=MIN_OFF_S, critical=circuit.bus == BACKUP),
                )
            )
        self.elements: tuple[Element, ...] = tuple(elements)

    def read(self, element: str) -> ElementState:
        """One circuit."""
        meter = self._meters[element]
        return ElementState(
            ac_measure=meter.measure(),
            energy=meter.energy(),
            switch=Switch(closed=self._closed[element]),
        )

    def apply(self, element: str, command: Effective) -> Answer:
        """Switch one circuit."""
        if command.closed is not None:
            self._closed[element] = command.closed
            self._switches[element].aim(1.0 if command.closed else 0.0)
        return None
