"""An SG-Ready heat pump: four modes, and a compressor that takes its time."""

from __future__ import annotations

from typing import Final

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementFlexibility,
    ElementState,
    EnergyCapability,
    FillPoint,
    Mode,
    ModeCapability,
    ModeFlexibility,
    ModeRange,
    ModesFlexibility,
    PowerSlot,
    Rating,
    StoreFlexibility,
    StoreLevel,
    Thermal,
    ThermalCapability,
    ThermalFlexibility,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.physics.heatpump import cop
from ores.sim.physics.thermal import AIR, MASS, capacity_j_k
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
        self._ranges = ranges
        self._comfort_c = (pump.room_c - 1.0, pump.room_max_c)
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
                    temperature_min_c=self._comfort_c[0], temperature_max_c=self._comfort_c[1]
                ),
            ),
        )

    def read(self, _element: str) -> ElementState:
        """Electric power, mode in force, and the room it heats."""
        home, house = self._plant.home, self._plant.house
        return ElementState(
            ac_measure=self._meter.measure(),
            energy=self._meter.energy(),
            mode=Mode(mode=self._mode_now()),
            thermal=Thermal(
                temperature_c=round(float(house.temperature_c[AIR, home]), 1),
                outdoor_temperature_c=round(float(house.outdoor_c[home]), 1),
                heat_w=max(0.0, round(float(house.heat_w[home]))),
            ),
        )

    def flexibility(self, _element: str) -> ElementFlexibility:
        """What it has learned of the house: what heat that holds and loses, and what each mode would take."""
        house, home = self._plant.house, self._plant.home
        pump, building = house.config.heat_pump, house.config.building
        outdoor_c = float(house.outdoor_c[home])
        gain = float(cop(pump.supply_c, house.outdoor_c)[home])
        lost_w = max(0.0, self._leaving_w(outdoor_c))
        demand_w = max(0.0, lost_w - building.internal_w)
        least_c, most_c = self._comfort_c
        capacity_wh = sum(capacity_j_k(building)) * (most_c - least_c) / 3600.0
        return ElementFlexibility(
            modes=ModesFlexibility(
                mode=self._mode_now(),
                modes={name: self._mode_flexibility(name, demand_w, gain) for name in MODES},
                hold_s=HOLD_S,
            ),
            thermal=ThermalFlexibility(
                temperature_c=round(float(house.temperature_c[AIR, home]), 1),
                temperature_min_c=least_c,
                temperature_max_c=most_c,
                outdoor_temperature_c=round(outdoor_c, 1),
                heat_demand_w=round(demand_w),
            ),
            store=StoreFlexibility(
                holds="heat",
                capacity_wh=round(capacity_wh),
                energy_wh=round(min(max(self._heat_wh(), 0.0), capacity_wh)),
                commanded_at="heat",
                levels=[
                    StoreLevel(
                        energy_from_wh=0.0,
                        energy_to_wh=round(capacity_wh),
                        points=[
                            FillPoint(power_w=pump.standby_w, fill_w=0.0),
                            FillPoint(
                                power_w=pump.rating_w + pump.standby_w, fill_w=round(pump.rating_w * gain)
                            ),
                        ],
                        leakage_w=round(lost_w),
                    )
                ],
                usage=[PowerSlot(duration_s=86_400.0, power_w=building.internal_w)],
            ),
        )

    def _mode_now(self) -> str:
        return MODES[int(self._plant.house.heat_pump.mode[self._plant.home]) - 1]

    def _heat_wh(self) -> float:
        """Heat in the rooms and their walls above the lower end of comfort."""
        house, home = self._plant.house, self._plant.home
        air_j_k, mass_j_k = capacity_j_k(house.config.building)
        above = house.temperature_c[:, home] - self._comfort_c[0]
        return float(air_j_k * above[AIR] + mass_j_k * above[MASS]) / 3600.0

    def _leaving_w(self, outdoor_c: float) -> float:
        """Heat that leaves the house as warm as it is now."""
        house, home = self._plant.house, self._plant.home
        building, inside_c = house.config.building, house.temperature_c[:, home] - outdoor_c
        return float(building.window_w_k * inside_c[AIR] + building.envelope_w_k * inside_c[MASS])

    def _mode_flexibility(self, mode: str, demand_w: float, gain: float) -> ModeFlexibility:
        """The next hour: all it has where the mode wants it warmer than it is, else what keeps it warm."""
        pump = self._plant.house.config.heat_pump
        air_c = float(self._plant.house.temperature_c[AIR, self._plant.home])
        up_to_c = {
            "normal": pump.room_c,
            "recommended": pump.room_c + pump.boost_k,
            "forced": pump.room_max_c,
        }
        running = min(1.0, demand_w / gain / pump.rating_w)
        if mode == "blocked":
            running = 0.0
        elif air_c < up_to_c[mode] - 0.5:
            running = 1.0
        declared = self._ranges[mode]
        return ModeFlexibility(
            consume_min_w=declared.consume_min_w,
            consume_max_w=declared.consume_max_w,
            expected_w=round(running * pump.rating_w + pump.standby_w),
            heat_w=round(running * pump.rating_w * gain),
        )

    def apply(self, _element: str, command: Effective) -> Answer:
        """Close the two SG-Ready contacts accordingly."""
        self._mode.aim(1.0 + MODES.index(command.mode or "normal"))
        return None
