"""A battery with its own inverter, on the grid side."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ores.model import (
    AcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    HazardCapability,
    LimitCapability,
    Rating,
    SetpointCapability,
    SetpointState,
    Storage,
    StorageCapability,
)
from ores.module.description import About, element
from ores.module.device import Answer
from ores.module.effective import Effective
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.physics.battery import AC
from ores.sim.physics.thermal import AC_BATTERY
from ores.sim.plant import Actuator, Detector, Plant

ABOUT = About(
    name="Garage battery", maker="Voltarn", model="Block 13", serial="VT-B13-0042", profiles=("storage",)
)
DELAY_S = 0.3
RAMP_W_PER_S = 5_000.0
RESPONSE_S = 2.0
"""Its delay, and 90 % of its largest change from rest, at whole steps of the physics."""
STEP_W = 10.0
NAME = "battery"
HAZARDS = ("smoke", "over_temperature", "cell_overvoltage", "cell_undervoltage")


class AcBattery:
    """Follows a set-point within what charge and temperature allow."""

    def __init__(self, plant: Plant) -> None:
        battery, actions = plant.house.config.ac_battery, plant.actions
        self._plant = plant
        self._meter = AcMeter(plant, "ac_battery", resolution_w=5.0)
        self._detector = plant.detectors[NAME] = Detector(*HAZARDS)
        self._consume_max_w = battery.charge_w + battery.standby_w
        ramp = {"delay_s": DELAY_S, "ramp_per_s": RAMP_W_PER_S}
        self._setpoint = Actuator(plant, plant.cell(actions.ac_battery_w), **ramp)
        self._consume = Actuator(plant, plant.cell(actions.ac_battery_consume_max_w), delay_s=DELAY_S)
        self._produce = Actuator(plant, plant.cell(actions.ac_battery_produce_max_w), delay_s=DELAY_S)
        self.elements: tuple[Element, ...] = (
            element(
                "battery",
                "battery",
                name="Battery",
                bus="grid",
                terminals=self._meter.lines,
                connection=connection_of(self._meter.lines),
                ac_measure=AcMeasureCapability(accuracy_pct=1.0),
                energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                rating=Rating(
                    consume_max_w=self._consume_max_w,
                    produce_max_w=battery.discharge_w,
                    voltage_v=plant.house.config.wiring.voltage_v,
                ),
                limit=LimitCapability(consume=True, produce=True),
                setpoint=SetpointCapability(
                    consume_max_w=battery.charge_w,
                    produce_max_w=battery.discharge_w,
                    step_w=STEP_W,
                    response_s=RESPONSE_S,
                    ramp_w_per_s=RAMP_W_PER_S,
                ),
                storage=StorageCapability(
                    capacity_wh=battery.capacity_wh,
                    charge_efficiency_pct=100.0 * battery.efficiency,
                    discharge_efficiency_pct=100.0 * battery.efficiency,
                    soc_min_pct=0.0,
                    soc_max_pct=100.0,
                    reserve_setting=True,
                ),
                hazard=HazardCapability(inputs=list(HAZARDS)),
            ),
        )

    def read(self, _element: str) -> ElementState:
        """Terminal power, contents, and what it could do now."""
        plant, home = self._plant, self._plant.home
        limit_w = plant.house.stores.limit_w
        return ElementState(
            ac_measure=self._meter.measure(),
            energy=self._meter.energy(),
            setpoint=SetpointState(
                consume_max_w=max(0.0, round(float(limit_w[0, AC, home]))),
                produce_max_w=max(0.0, round(float(limit_w[1, AC, home]))),
            ),
            storage=Storage(
                soc_pct=_within(round(plant.house.stores.soc_pct(AC, home), 2)),
                temperature_c=round(float(plant.house.temperature_c[AC_BATTERY, home]), 1),
            ),
        )

    def active_hazards(self, _element: str) -> Collection[str]:
        """What its management and its smoke detector see."""
        return self._detector.active

    def tell(self, changed: Callable[[], None]) -> None:
        """A danger is news at once."""
        self._detector.on_seen = changed

    def apply(self, _element: str, command: Effective) -> Answer:
        """Into the hardware, after its delay; without a set-point it rests."""
        self._consume.aim(min(command.consume_max_w, self._consume_max_w))
        self._produce.aim(command.produce_max_w)
        self._setpoint.aim(command.power_w or 0.0)
        return None


def _within(soc_pct: float) -> float:
    return min(max(soc_pct, 0.0), 100.0)
