"""An SG-Ready heat pump: four modes, and a compressor that takes its time."""

from __future__ import annotations

from typing import Final

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    Mode,
    ModeCapability,
    ModeRange,
    Rating,
    Thermal,
    ThermalCapability,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.physics.thermal import AIR
from ores.sim.plant import Actuator, Plant

ABOUT = About(
    name="Heat pump", maker="Kesselring", model="Aero 7", serial="KR-A7-3391", profiles=("heat_pump",)
)
DELAY_S = 2.0
MODES: Final = ("blocked", "normal", "recommended", "forced")
"""SG Ready 1 to 4 (Bundesverband Wärmepumpe, SG Ready label regulation)."""
HOLD_S: Final = 600.0


class HeatPumpDevice:
    """Tells its mode and temperatures every five seconds."""

    def __init__(self, plant: Plant) -> None:
        pump = plant.house.config.heat_pump
        self._plant = plant
        self._meter = AcMeter(plant, "heat_pump", resolution_w=10.0)
        self._mode = Actuator(plant, plant.cell(plant.actions.heat_pump_mode), delay_s=DELAY_S)
        running = pump.rating_w + pump.standby_w
        ranges = {
            "blocked": ModeRange(name="Blocked", consume_min_w=0.0, consume_max_w=pump.standby_w),
            "normal": ModeRange(name="Normal", consume_min_w=0.0, consume_max_w=running),
            "recommended": ModeRange(name="Recommended", consume_min_w=0.0, consume_max_w=running),
            "forced": ModeRange(name="Forced", consume_min_w=pump.rating_w, consume_max_w=running),
        }
        self.elements: tuple[Element, ...] = (
            element(
                "heat",
                "heat",
                name="Heat pump",
                bus="grid",
                terminals=self._meter.lines,
                connection=connection_of(self._meter.lines),
                ac_measure=AcMeasureCapability(accuracy_pct=2.0),
                energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                rating=Rating(consume_max_w=running, voltage_v=plant.house.config.wiring.voltage_v),
                mode=ModeCapability(modes=ranges, hold_s=HOLD_S),
                thermal=ThermalCapability(
                    temperature_min_c=pump.room_c - 1.0, temperature_max_c=pump.room_max_c
                ),
            ),
        )

    def read(self, _element: str) -> ElementState:
        """Electric power, mode in force, and the room it heats."""
        home, house = self._plant.home, self._plant.house
        return ElementState(
            ac_measure=self._meter.measure(),
            energy=self._meter.energy(),
            mode=Mode(mode=MODES[int(house.heat_pump.mode[home]) - 1]),
            thermal=Thermal(
                temperature_c=round(float(house.temperature_c[AIR, home]), 1),
                outdoor_temperature_c=round(float(house.outdoor_c[home]), 1),
                heat_w=max(0.0, round(float(house.heat_w[home]))),
            ),
        )

    def apply(self, _element: str, command: Effective) -> Answer:
        """Close the two SG-Ready contacts accordingly."""
        self._mode.aim(1.0 + MODES.index(command.mode or "normal"))
        return None
