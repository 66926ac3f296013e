"""A toy house to close the loop around the control cycle: dead times, ramps and late readings, no physics."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise

from msgspec import UNSET
from tests.control.control_homes import (
    BAT,
    EV,
    METER,
    PV,
    battery,
    battery_state,
    charger,
    charger_state,
    meter,
    meter_state,
    pv,
    pv_state,
    wants,
)

from ores.control.decide import Decided, decide
from ores.control.memory import Memory
from ores.control.offers import Offer
from ores.control.snapshot import ModuleSnapshot, Snapshot
from ores.control.topology import compile_topology
from ores.model import Description, ElementCommand, Preferences, State


class ToyBattery:
    """Follows its set-point after a dead time; a late one reports what it did a cycle ago."""

    def __init__(
        self,
        mid: str = BAT,
        soc_pct: float = 50.0,
        max_w: float = 5000.0,
        dead_s: int = 1,
        *,
        late: bool = False,
        misreads: float = 1.0,
    ) -> None:
        self.misreads = misreads
        self.mid, self.soc_pct, self.max_w, self.late = mid, soc_pct, max_w, late
        self.description = battery(mid, max_w, response_s=float(max(1, dead_s)))
        self.pipe: deque[float] = deque([0.0] * dead_s)
        self.power_w = self.reported_w = 0.0
        self.commands: list[float] = []

    def step(self, command: ElementCommand | None) -> None:
        self.reported_w = self.power_w
        point = command.setpoint if command is not None else UNSET
        wanted = point.power_w if point is not UNSET else 0.0
        self.commands.append(wanted)
        self.pipe.append(wanted)
        wanted = self.pipe.popleft()
        full, empty = self.soc_pct >= 100.0, self.soc_pct <= 0.0
        self.power_w = min(max(wanted, 0.0 if empty else -self.max_w), 0.0 if full else self.max_w)
        self.soc_pct = min(100.0, max(0.0, self.soc_pct + self.power_w / 3600.0 / 100.0))

    def state(self) -> State:
        seen_w = self.reported_w if self.late else self.power_w
        return battery_state(seen_w * self.misreads, self.soc_pct, self.max_w)


class ToyPv:
    """Gives what the sun has, below its limit, which it obeys after a dead time."""

    def __init__(self, sun_w: Callable[[int], float], dead_s: int = 1, max_w: float = 6000.0) -> None:
        self.sun_w, self.max_w = sun_w, max_w
        self.description = pv(max_w)
        self.pipe: deque[float] = deque([max_w] * dead_s)
        self.power_w = self.available_w = 0.0
        self.limit_w = max_w
        self.limits: list[float] = []

    def step(self, t: int, command: ElementCommand | None) -> None:
        limit = command.limit if command is not None else UNSET
        if limit is not UNSET and limit.produce_max_w is not UNSET:
            self.limits.append(limit.produce_max_w)
        self.pipe.append(self.limits[-1] if self.limits else self.max_w)
        self.limit_w = self.pipe.popleft()
        self.available_w = min(self.sun_w(t), self.max_w)
        self.power_w = -min(self.available_w, self.limit_w)

    def state(self) -> State:
        return pv_state(self.power_w, self.available_w, self.limit_w)


class ToyCharger:
    """Charges with the current allowed, which it obeys after a dead time."""

    def __init__(self, dead_s: int = 2, lines: int = 3, max_a: float = 16.0) -> None:
        self.description = charger(lines, max_a)
        self.lines = lines
        self.pipe: deque[float] = deque([0.0] * dead_s)
        self.limit_a = 0.0
        self.power_w = 0.0
        self.currents: list[float] = []

    def step(self, command: ElementCommand | None) -> None:
        limit = command.limit if command is not None else UNSET
        current_a = limit.current_max_a if limit is not UNSET and limit.current_max_a is not UNSET else 0.0
        self.limit_a = current_a
        self.currents.append(current_a)
        self.pipe.append(current_a)
        self.power_w = self.pipe.popleft() * 230.0 * self.lines

    def state(self) -> State:
        return charger_state(self.power_w, self.limit_a, lines=self.lines)


class Toy:
    """The house: one second a step, a decision each second."""

    def __init__(
        self,
        load_w: Callable[[int], float],
        preferences: Preferences | None = None,
        *,
        batteries: Sequence[ToyBattery] = (),
        sun: ToyPv | None = None,
        car: ToyCharger | None = None,
        fuse_a: float = 63.0,
    ) -> None:
        self.load_w, self.batteries, self.sun, self.car = load_w, batteries, sun, car
        self.preferences = preferences or wants()
        self.meter = meter(3, fuse_a)
        self.descriptions: list[Description] = [self.meter, *(b.description for b in batteries)]
        self.descriptions += [thing.description for thing in (sun, car) if thing is not None]
        self.topology = compile_topology(self.descriptions)
        self.memory = Memory()
        self.commands: dict[str, dict[str, ElementCommand]] = {}
        self.grid: list[float] = []
        self.decided: list[Decided] = []
        self.proposals: list[Offer] = []

    def _command(self, mid: str, element: str) -> ElementCommand | None:
        return self.commands.get(mid, {}).get(element)

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.step(len(self.grid))

    def step(self, t: int) -> None:
        for each in self.batteries:
            each.step(self._command(each.mid, "battery"))
        grid_w = self.load_w(t) + sum(each.power_w for each in self.batteries)
        if self.sun is not None:
            self.sun.step(t, self._command(PV, "pv0"))
            grid_w += self.sun.power_w
        if self.car is not None:
            self.car.step(self._command(EV, "evse"))
            grid_w += self.car.power_w
        self.grid.append(grid_w)
        states = {METER: meter_state(grid_w, dict.fromkeys(("L1", "L2", "L3"), grid_w / 3.0))}
        states.update({each.mid: each.state() for each in self.batteries})
        if self.sun is not None:
            states[PV] = self.sun.state()
        if self.car is not None:
            states[EV] = self.car.state()
        snapshot = Snapshot(
            modules={
                d.id: ModuleSnapshot(description=d, state=states[d.id], fresh=True, age_s=0.0)
                for d in self.descriptions
            },
            preferences=self.preferences,
            topology=self.topology,
        )
        decided = decide(snapshot, self.proposals, self.memory, float(t))
        self.memory, self.commands = decided.memory, decided.commands
        self.decided.append(decided)


def changes(values: Sequence[float]) -> int:
    """How often a series changes."""
    return sum(a != b for a, b in pairwise(values))
