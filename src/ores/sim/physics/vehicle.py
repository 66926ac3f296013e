"""The car: when it is there, and what it has used when it comes back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import Vehicle
from ores.sim.physics.noise import normal, uniform

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
DAY_S = 86_400.0
_TRIP, _ARRIVE, _LEAVE, _NEED = range(40, 44)
_SPREAD = 0.55


class Comings:
    """Which cars are plugged in, per home; decided once per tick.

    A day's trip leaves and returns on the same local day, so the plan of a day needs only its number.
    Driving takes the day's energy from the car at its return, but never more than leaves 8 % in it.

    Attributes:
        present: Plugged in.
        departure_s: Of the next planned departure, s since the start of the run; inf when none is planned
            within two days.
        target_soc_pct: What its driver wants in it by then.
    """

    def __init__(self, config: Vehicle, seed: int, homes: NDArray[np.int64], local_start_s: float) -> None:
        self.config = config
        self._seed = seed
        self._homes = homes
        self._local_start_s = local_start_s
        self._day: int | None = None
        self._by_hand = np.zeros(len(homes), dtype=bool)
        self.present: Bools = np.ones(len(homes), dtype=bool)
        self.departure_s: Floats = np.full(len(homes), np.inf)
        self.target_soc_pct: Floats = np.full(len(homes), 80.0)
        self._leave: Floats = np.empty((2, len(homes)))
        self._arrive: Floats = np.empty((2, len(homes)))
        self._need: Floats = np.empty(len(homes))

    def trip(self, day: int) -> tuple[Floats, Floats, Floats]:
        """The trip of a local day, per home.

        Returns:
            Departure and arrival in seconds of that local day (inf on a day without), and the energy used
            in Wh.
        """
        c, homes = self.config, self._homes
        drives = (uniform(self._seed, _TRIP, homes, day) >= c.away_share) & c.commutes
        leave = np.clip(c.departure_h + 0.6 * normal(self._seed, _LEAVE, homes, day), 4.0, 11.9)
        arrive = np.clip(c.arrival_h + 1.3 * normal(self._seed, _ARRIVE, homes, day), 12.0, 23.9)
        # Log-normal with the configured mean: energy of daily driving is skewed.
        need = c.drive_wh * np.exp(_SPREAD * normal(self._seed, _NEED, homes, day) - _SPREAD**2 / 2.0)
        return (
            np.where(drives, np.round(leave * 3600.0), np.inf),
            np.where(drives, np.round(arrive * 3600.0), np.inf),
            need,
        )

    def tick(self, now_s: float, energy_wh: Floats, driven_wh: Floats) -> bool:
        """Let cars come and go up to `now_s`.

        Args:
            now_s: Since the start of the run.
            energy_wh: Stored in each car; lowered in place by what was driven.
            driven_wh: Cumulative, raised in place by the same.

        Returns:
            Whether any car came or went.
        """
        local = self._local_start_s + now_s
        day = int(local // DAY_S)
        if day != self._day:
            self._day = day
            trips = [self.trip(day), self.trip(day + 1)]
            self._leave = np.stack([trips[0][0], trips[1][0] + DAY_S])
            self._arrive = np.stack([trips[0][1], trips[1][1] + DAY_S])
            self._need = trips[0][2]
        clock = local - day * DAY_S
        away = (self._leave[0] <= clock) & (clock < self._arrive[0])
        ahead = np.where(self._leave > clock, self._leave, np.inf).min(axis=0)
        self.departure_s[:] = ahead - clock + now_s
        present = np.where(self._by_hand, self.present, ~away)
        # What a person did by hand holds until the plan agrees with it again.
        self._by_hand &= self.present == away
        changed = present != self.present
        if not changed.any():
            return False
        returned = changed & present
        used = np.where(
            returned, np.minimum(self._need, np.maximum(energy_wh - 0.08 * self.capacity, 0.0)), 0.0
        )
        energy_wh -= used
        driven_wh += used
        self.present[:] = present
        return True

    @property
    def capacity(self) -> float:
        """Of the car's battery, Wh."""
        return self.config.battery.capacity_wh

    def by_hand(self, home: int, present: bool) -> None:
        """A person plugs the car in or takes it away; holds until the plan agrees."""
        self.present[home] = present
        self._by_hand[home] = True
