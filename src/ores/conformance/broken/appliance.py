"""The reference's appliances: each armed by somebody who is not there, started once, and never stopped."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from msgspec import UNSET

from ores import model
from ores.module import Refused

STARTING_S: Final = 0.3
"""From the order to start until it runs."""
MARGIN_S: Final = 1.0
"""So much before the last moment it starts by itself."""
REST_S: Final = 2.0
"""How long it stands done, and then idle, where its people use it all day."""


@dataclass(slots=True)
class Appliance:
    """One machine that has just been armed.

    Attributes:
        now_s: Process time of the last look.
        power_w: While it runs.
        duration_s: Of its programme.
        latest_in_s: By when it has to be done, from the arming on.
        earliest_in_s: Not before, from the arming on.
        used_all_day: Somebody empties, loads and arms it again whenever it is done.
    """

    now_s: float
    power_w: float
    duration_s: float
    latest_in_s: float
    earliest_in_s: float = 0.0
    used_all_day: bool = False
    phase: Literal["idle", "waiting", "running", "done"] = "waiting"
    armed_s: float = 0.0
    due_s: float = 0.0

    def __post_init__(self) -> None:
        self.arm()

    def arm(self) -> None:
        """Somebody loads it and lets it choose its moment."""
        self.phase, self.armed_s = "waiting", self.now_s
        self.due_s = self.armed_s + self.latest_in_s - self.duration_s - MARGIN_S

    def start(self) -> Refused | None:
        """Once for each arming, and not before its people allow it."""
        if self.phase != "waiting" or self.starting:
            return Refused(f"nobody has armed it for a start: it is {self.phase}", "interlocked")
        if self.wait_s > 0:
            return Refused(f"its people allow it in {self.wait_s:.0f} s", "interlocked")
        self.due_s = self.now_s + STARTING_S
        return None

    @property
    def starting(self) -> bool:
        """Whether it has been told to, and is about to run."""
        return self.phase == "waiting" and self.due_s <= self.now_s + STARTING_S

    @property
    def wait_s(self) -> float:
        """Until it may be started."""
        return max(0.0, self.armed_s + self.earliest_in_s - self.now_s)

    @property
    def rest_s(self) -> float:
        """Still to run; `due_s` is when it ends while it runs."""
        return max(0.0, self.due_s - self.now_s) if self.phase == "running" else self.duration_s

    def draws_w(self) -> float:
        """Now."""
        return self.power_w if self.phase == "running" else 0.0

    def pass_time(self, now_s: float) -> None:
        """Live until now."""
        while self.due_s <= now_s:
            self.now_s = self.due_s
            self._turn()
        self.now_s = now_s

    def _turn(self) -> None:
        """What it waits for has come."""
        match self.phase:
            case "waiting":
                self.phase, self.due_s = "running", self.now_s + self.duration_s
            case "running":
                self.phase, self.due_s = "done", self.now_s + REST_S if self.used_all_day else inf
            case "done":
                self.phase, self.due_s = "idle", self.now_s + REST_S
            case "idle":
                self.arm()

    def state(self) -> model.Job:
        """What it does or waits for."""
        if self.phase in {"idle", "done"}:
            return model.Job(phase=self.phase)
        waits = self.phase == "waiting"
        return model.Job(
            phase=self.phase,
            energy_wh=round(self.power_w * self.rest_s / 3600, 2),
            duration_s=round(self.rest_s, 1),
            earliest_start_in_s=round(self.wait_s, 1) if waits else UNSET,
            latest_end_in_s=round(max(0.0, self.armed_s + self.latest_in_s - self.now_s), 1),
        )

    def flexibility(self) -> model.ElementFlexibility:
        """The same, with the course of its programme."""
        job = self.state()
        left = job.duration_s is not UNSET and self.rest_s > 0
        slots = [model.PowerSlot(duration_s=max(self.rest_s, 0.1), power_w=self.power_w)] if left else UNSET
        return model.ElementFlexibility(
            job=model.JobFlexibility(
                phase=job.phase,
                energy_wh=job.energy_wh,
                duration_s=job.duration_s,
                earliest_start_in_s=job.earliest_start_in_s,
                latest_end_in_s=job.latest_end_in_s,
                profile=slots,
            )
        )
