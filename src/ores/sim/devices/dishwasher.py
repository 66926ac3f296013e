"""A dishwasher that waits for a good moment: armed by the people of the house, started once, never stopped.

It stands behind the panel's circuit of the same name. Its people are as regular as people in a simulation
are: they load it in the evening and empty it in the morning.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final

from msgspec import UNSET

from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Element,
    ElementFlexibility,
    ElementState,
    Energy,
    EnergyCapability,
    Job,
    JobCapability,
    JobFlexibility,
    PowerSlot,
    Rating,
)
from ores.module.description import About, element
from ores.module.device import Refused
from ores.sim.devices.instruments import COUNTER_STEP_WH, AcMeter, connection_of, counter, rounded
from ores.sim.physics.dishwasher import Dishwasher
from ores.sim.plant import Plant

ABOUT = About(
    name="Dishwasher", maker="Lindqvist", model="Tidy 6", serial="LQ-T6-1138", profiles=("appliance",)
)
CIRCUIT: Final = "dishwasher"
RATING_W: Final = 2_200.0
RESPONSE_S: Final = 5.0
LOADED_H, EMPTIED_H, WANTED_H = 20.0, 7.5, 7.0
"""When its people load it, when they empty it, and by when they want it done, local time."""
_DAY_S = 86_400.0
_FOR_EVER_S = 1e7


class DishwasherDevice:
    """Somebody loaded it before the run began."""

    def __init__(self, plant: Plant) -> None:
        config = plant.house.config
        self._plant = plant
        self.machine = Dishwasher()
        self._row = [circuit.name for circuit in config.circuits].index(CIRCUIT)
        self._closed = plant.cell(plant.actions.circuit_closed, self._row)
        self._drawn_w = 0.0
        self._tell: Callable[[], None] = _nobody
        self._local_start_s = config.site.start.timestamp() + config.site.utc_offset_h * 3600.0
        lines = AcMeter(plant, CIRCUIT).lines
        self.elements: tuple[Element, ...] = (
            element(
                "machine",
                "load",
                name="Dishwasher",
                bus=config.circuits[self._row].bus,
                terminals=lines,
                connection=connection_of(lines),
                ac_measure=AcMeasureCapability(accuracy_pct=2.0),
                energy=EnergyCapability(resolution_wh=COUNTER_STEP_WH),
                rating=Rating(consume_max_w=RATING_W, voltage_v=config.wiring.voltage_v),
                job=JobCapability(response_s=RESPONSE_S),
            ),
        )
        self._arm(plant.now_s)
        plant.moving[self] = None

    def tell(self, changed: Callable[[], None], /) -> None:
        """Its phase is news."""
        self._tell = changed

    def read(self, _element: str) -> ElementState:
        """Power, energy, and what it does or waits for."""
        machine = self.machine
        return ElementState(
            ac_measure=AcMeasure(power_w=rounded(machine.power_w, 0.1)),
            energy=Energy(energy_in_wh=counter(machine.energy_wh), energy_out_wh=0.0, counter_epoch=0),
            job=self._job(),
        )

    def flexibility(self, _element: str) -> ElementFlexibility:
        """The course of its programme, or of what is left of it."""
        job = self._job()
        rest = [] if job.duration_s is UNSET else self.machine.rest()
        slots = [PowerSlot(duration_s=stage.duration_s, power_w=stage.power_w) for stage in rest]
        return ElementFlexibility(
            job=JobFlexibility(
                phase=job.phase,
                energy_wh=job.energy_wh,
                duration_s=job.duration_s,
                earliest_start_in_s=job.earliest_start_in_s,
                latest_end_in_s=job.latest_end_in_s,
                profile=slots or UNSET,
            )
        )

    def request(self, _element: str, request: str) -> Refused | None:
        """`start`, once for each arming, and not before the people allow it."""
        machine, now_s = self.machine, self._plant.now_s
        if request != "start":
            return Refused(f"it knows start, not {request}", "unknown_request")
        if machine.phase != "waiting" or machine.starting:
            doing = "about to start" if machine.starting else machine.phase
            return Refused(f"nobody has armed it for a start: it is {doing}", "interlocked")
        if now_s < machine.earliest_s:
            return Refused(f"its people allow it in {machine.earliest_s - now_s:.0f} s", "interlocked")
        machine.start(now_s)
        return None

    def advance(self, now_s: float, step_s: float) -> bool:
        """Live for one step of the physics; there is always something left to do."""
        machine, before = self.machine, self.machine.phase
        self._people(now_s, step_s)
        live = self._closed[0] > 0.5 and self._plant.live(self.elements[0].bus or "grid")
        machine.step(now_s, step_s, live=live)
        if machine.power_w != self._drawn_w:
            self._drawn_w, home = machine.power_w, self._plant.home
            self._plant.house.set_by_hand(self._row, slice(home, home + 1), self._drawn_w, _FOR_EVER_S)
        if machine.phase != before:
            self._tell()
        return True

    def _people(self, now_s: float, step_s: float) -> None:
        clock_s = (self._local_start_s + now_s) % _DAY_S
        if self.machine.phase == "done" and 0.0 <= clock_s - EMPTIED_H * 3600.0 < step_s:
            self.machine.take_out()
        if self.machine.phase == "idle" and 0.0 <= clock_s - LOADED_H * 3600.0 < step_s:
            self._arm(now_s)

    def _arm(self, now_s: float) -> None:
        """Load it, to be done by the next morning at which there is time for it."""
        until_s = (WANTED_H * 3600.0 - self._local_start_s - now_s) % _DAY_S
        enough = until_s > self.machine.duration_s + 600.0
        self.machine.load_and_arm(now_s, latest_in_s=until_s if enough else until_s + _DAY_S)

    def _job(self) -> Job:
        machine, now_s = self.machine, self._plant.now_s
        if machine.phase in {"idle", "done"}:
            return Job(phase=machine.phase)
        waits = machine.phase == "waiting"
        return Job(
            phase=machine.phase,
            energy_wh=round(sum(stage.power_w * stage.duration_s for stage in machine.rest()) / 3600.0, 1),
            duration_s=round(machine.duration_s),
            earliest_start_in_s=max(0, round(machine.earliest_s - now_s)) if waits else UNSET,
            latest_end_in_s=UNSET if machine.latest_s == inf else max(0, round(machine.latest_s - now_s)),
        )


def _nobody() -> None:
    """No module listens yet."""
