"""The world's time: steps a home on the clock and keeps the books."""

from __future__ import annotations

from collections.abc import Callable

from ores.link.clock import Clock
from ores.sim.ledger import Agreed, Ledger
from ores.sim.plant import Plant


class World:
    """One home that lives.

    Args:
        plant: The home.
        clock: Process time; the physics follows it.
        agreed: What the home is judged by.
    """

    def __init__(self, plant: Plant, clock: Clock, agreed: Agreed | None = None) -> None:
        self.plant = plant
        self.ledger = Ledger(plant, agreed or Agreed())
        self.on_site: dict[str, Callable[[], object]] = {}
        """What somebody does who stands at a device and has looked at it, by the device's name."""
        self._clock = clock
        self._begun_s = 0.0

    def start(self) -> None:
        """Do the first step now, so that there is something to read, and the others as time passes."""
        self._begun_s = self._clock.now()
        self._step()

    def _step(self) -> None:
        plant, step_s = self.plant, self.plant.house.step_s
        # behind the wall's clock (a busy machine), the physics catches up and loses nothing
        due = int((self._clock.now() - self._begun_s) / step_s + 1e-6) + 1
        while plant.house.steps < due:
            plant.step()
            self.ledger.record()
        self._clock.call_at(self._begun_s + plant.house.steps * step_s, self._step)
