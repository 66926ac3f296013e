"""A dishwasher: a programme that runs through once somebody has loaded, armed and started it."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from ores.sim.physics.config import ScenarioError

SECONDS_PER_HOUR = 3600.0
Phase = Literal["idle", "waiting", "running", "paused", "done"]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a programme.

    Attributes:
        duration_s: Its length, > 0.
        power_w: Mean power in it, >= 0.
    """

    duration_s: float
    power_w: float


ECO = (
    Stage(duration_s=600.0, power_w=60.0),
    Stage(duration_s=1080.0, power_w=1980.0),
    Stage(duration_s=3000.0, power_w=75.0),
    Stage(duration_s=960.0, power_w=1960.0),
    Stage(duration_s=3060.0, power_w=25.0),
)
"""Rinse, heat, wash, heat for the last rinse, dry: 1.2 kWh, most of it in two peaks of water heating."""
FILL_S = 2.0
"""From the order to start until it runs: the door locks, the water inlet is checked."""
MARGIN_S = 60.0
"""So much before the last moment it starts by itself."""


class Dishwasher:
    """One machine.

    Args:
        programme: What it runs.
        standby_w: Drawn while it waits, as long as it has voltage.

    Attributes:
        phase: As in chapter 5.6.
        energy_wh: Taken since the start, standby included.
        earliest_s: From when it may start; time of the run.
        latest_s: When it has to be done; inf where nobody has said.
    """

    def __init__(self, programme: tuple[Stage, ...] = ECO, *, standby_w: float = 0.8) -> None:
        self.programme = programme
        self.phase: Phase = "idle"
        self.energy_wh = 0.0
        self.earliest_s, self.latest_s = 0.0, inf
        self._standby_w = standby_w
        self._ran_s = 0.0
        self._starts_s = inf
        self._held = False
        self._live = True

    @property
    def duration_s(self) -> float:
        """Still to run."""
        return sum(stage.duration_s for stage in self.programme) - self._ran_s

    @property
    def power_w(self) -> float:
        """Now, at its terminals."""
        if not self._live:
            return 0.0
        rest = self.rest() if self.phase == "running" else ()
        return self._standby_w + (rest[0].power_w if rest else 0.0)

    @property
    def starting(self) -> bool:
        """Whether it has been told to start, and is about to."""
        return self._starts_s < inf

    def rest(self) -> tuple[Stage, ...]:
        """The stages that are still to come, the first of them shortened by what has run of it."""
        left, ran_s = [], self._ran_s
        for stage in self.programme:
            if ran_s < stage.duration_s:
                left.append(Stage(duration_s=stage.duration_s - ran_s, power_w=stage.power_w))
            ran_s = max(0.0, ran_s - stage.duration_s)
        return tuple(left)

    # ---- what somebody in front of it does

    def load_and_arm(self, now_s: float, *, latest_in_s: float, earliest_in_s: float = 0.0) -> None:
        """Load it, close the door, and let it choose its moment.

        Args:
            now_s: Time of the run.
            latest_in_s: By when it has to be done.
            earliest_in_s: Not before; 0 is at once.

        Raises:
            ScenarioError: It is not empty, or the programme does not fit between the two.
        """
        length_s = sum(stage.duration_s for stage in self.programme)
        if self.phase != "idle":
            raise ScenarioError(f"dishwasher: found {self.phase}, allowed: idle")
        least_s = earliest_in_s + length_s + MARGIN_S
        if earliest_in_s < 0.0 or latest_in_s < least_s:
            raise ScenarioError(f"latest_in_s: found {latest_in_s:g}, allowed: {least_s:g} or more")
        self._ran_s, self._starts_s, self._held = 0.0, inf, False
        self.earliest_s, self.latest_s = now_s + earliest_in_s, now_s + latest_in_s
        self.phase = "waiting"

    def take_out(self) -> None:
        """End whatever it does, and empty it."""
        self.phase, self._starts_s, self._ran_s, self.latest_s = "idle", inf, 0.0, inf

    def hold(self, held: bool) -> None:
        """Open the door while it runs, or close it again."""
        self._held = held

    # ---- what it does

    def start(self, now_s: float) -> None:
        """Lock the door and begin; whoever asks has checked that it waits."""
        self._starts_s = now_s + FILL_S

    def step(self, now_s: float, step_s: float, *, live: bool) -> None:
        """Live for one step.

        Args:
            now_s: Time of the run at the beginning of the step.
            step_s: Its length.
            live: Whether there is voltage.
        """
        self._live = live
        waits = self.phase == "waiting" and live
        if waits and not self.starting and now_s >= self.latest_s - self.duration_s - MARGIN_S:
            self._starts_s = now_s
        if waits and now_s >= self._starts_s:
            self.phase, self._starts_s = "running", inf
        if self.phase in {"running", "paused"}:
            self.phase = "running" if live and not self._held else "paused"
        self.energy_wh += self.power_w * step_s / SECONDS_PER_HOUR
        if self.phase == "running":
            self._ran_s += step_s
            if self.duration_s <= 1e-9:
                self.phase, self.latest_s = "done", inf
