"""A battery as an ORES module. Run it: `python battery_module.py my-battery`."""

import sys

from ores import model
from ores.link.clock import Clock
from ores.module import About, Effective, element
from ores.module.run import run

CAPACITY_WH = 10_000.0
MAX_W = 5000.0
BATTERY = element(
    "battery",
    "battery",
    bus="grid",
    rating=model.Rating(consume_max_w=MAX_W, produce_max_w=MAX_W),
    ac_measure=model.AcMeasureCapability(),
    energy=model.EnergyCapability(),
    limit=model.LimitCapability(consume=True, produce=True),
    setpoint=model.SetpointCapability(consume_max_w=MAX_W, produce_max_w=MAX_W, response_s=0.5),
    storage=model.StorageCapability(capacity_wh=CAPACITY_WH, reserve_setting=True),
)


class Battery:
    """Where this one calculates, yours asks its inverter and its cells."""

    elements = (BATTERY,)

    def __init__(self, clock: Clock) -> None:
        self.clock, self.power_w, self.stored_wh, self.at_s = clock, 0.0, CAPACITY_WH / 2, clock.now()

    def read(self, _element: str) -> model.ElementState:
        """What is measured now, and what the battery allows itself: a full one cannot be charged."""
        stored_wh = self.stored_wh + self.power_w * (self.clock.now() - self.at_s) / 3600
        self.stored_wh, self.at_s = min(max(stored_wh, 0.0), CAPACITY_WH), self.clock.now()
        charge_w = 0.0 if self.stored_wh == CAPACITY_WH else MAX_W
        discharge_w = 0.0 if self.stored_wh == 0.0 else MAX_W
        return model.ElementState(
            ac_measure=model.AcMeasure(power_w=self.power_w),
            storage=model.Storage(soc_pct=100 * self.stored_wh / CAPACITY_WH),
            limit=model.LimitState(consume_max_w=charge_w, produce_max_w=discharge_w, limited_by="soc"),
        )

    def apply(self, element: str, command: Effective) -> None:
        """From now on. What has flowed until now, flowed at the old power."""
        self.read(element)
        self.power_w = command.power_w or 0.0


if __name__ == "__main__":
    about = About(name="My battery", maker="Me", model="One", serial="1", profiles=("storage",))
    run(Battery, sys.argv[1], about)
