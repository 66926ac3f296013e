"""The meter at the grid connection point."""

from __future__ import annotations

from ores.model import AcMeasureCapability, Element, ElementState, EnergyCapability, Rating
from ores.module.description import About, element
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of
from ores.sim.plant import Plant

ABOUT = About(
    name="Grid meter", maker="Northgrid", model="M3 Balance", serial="NG-2207-118", profiles=("meter",)
)


class GridMeter:
    """Reads all conductors once a second; positive is import."""

    def __init__(self, plant: Plant) -> None:
        wiring = plant.house.config.wiring
        self._meter = AcMeter(plant, "grid", detailed=True)
        self.elements: tuple[Element, ...] = (
            element(
                "connection",
                "meter",
                name="Grid connection",
                bus="grid",
                terminals=self._meter.lines,
                connection=connection_of(self._meter.lines),
                ac_measure=AcMeasureCapability(connection_point=True, accuracy_pct=0.5),
                energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                rating=Rating(current_max_a=wiring.fuse_a, voltage_v=wiring.voltage_v),
            ),
        )

    def read(self, _element: str) -> ElementState:
        """Power per conductor and the counters; without the grid all of it is a known 0."""
        return ElementState(ac_measure=self._meter.measure(), energy=self._meter.energy())
