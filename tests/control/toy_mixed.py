"""A toy house of mixed makers: a hybrid, an AC battery and micro-inverters, each late in its own way."""

from __future__ import annotations

from collections import deque

from msgspec import UNSET, Struct
from tests.control.control_homes import (
    BAT,
    HYBRID,
    METER,
    PV,
    battery,
    battery_state,
    hybrid,
    meter,
    meter_state,
    pv,
    state,
    wants,
)

from ores.control.decide import Decided, decide
from ores.control.memory import Memory
from ores.control.snapshot import ModuleSnapshot, Snapshot
from ores.control.topology import compile_topology
from ores.model import ElementCommand, Preferences, State

EFFICIENCY = 0.97
RATED_W = 8000.0
RAMP_W_PER_S = 600.0


class Case(Struct, frozen=True, kw_only=True):
    """One house. Delays and lateness in whole seconds."""

    load_w: float
    micro_w: float
    strings_w: float
    ac_soc_pct: float
    dc_soc_pct: float
    export_max_w: float | None
    ac_max_w: float = 5000.0
    dead_s: int = 1
    hybrid_dead_s: int = 1
    late: tuple[bool, bool, bool] = (False, False, False)
    free_at_first: bool = True


def _point(command: ElementCommand | None) -> float:
    return command.setpoint.power_w if command is not None and command.setpoint is not UNSET else 0.0


def _limit(command: ElementCommand | None) -> float | None:
    limit = command.limit if command is not None else UNSET
    return limit.produce_max_w if limit is not UNSET and limit.produce_max_w is not UNSET else None


class Mixed:
    """One second a step, a decision each second; sun and load may be changed between steps."""

    def __init__(self, case: Case, preferences: Preferences | None = None) -> None:
        self.case = case
        export = {} if case.export_max_w is None else {"export_max_w": case.export_max_w}
        self.preferences = preferences or wants(**export)
        self.load_w, self.micro_sun_w, self.strings_sun_w = case.load_w, case.micro_w, case.strings_w
        self.descriptions = [
            meter(),
            battery(BAT, case.ac_max_w, response_s=float(case.dead_s)),
            pv(3000.0, 2),
            hybrid(response_s=float(case.hybrid_dead_s)),
        ]
        self.topology = compile_topology(self.descriptions)
        free_w = RATED_W if case.free_at_first else 0.0
        self.ac_pipe = deque([0.0] * case.dead_s)
        self.dc_pipe = deque([0.0] * case.hybrid_dead_s)
        self.out_pipe = deque([free_w] * case.hybrid_dead_s)
        self.micro_limits = [min(3000.0, free_w)] * 2
        self.out_limit_w = free_w
        self.micros_w = [0.0, 0.0]
        self.ac_w = self.inverter_w = self.strings_w = self.pack_w = self.store_w = self.grid_w = 0.0
        self.memory = Memory()
        self.commands: dict[str, dict[str, ElementCommand]] = {}
        self.before: dict[str, State] = {}
        self.grid: list[float] = []
        self.decided: Decided | None = None
        self.time_s = 0

    def _command(self, module: str, element: str) -> ElementCommand | None:
        return self.commands.get(module, {}).get(element)

    @property
    def ac_range_w(self) -> tuple[float, float]:
        """What the AC battery can give (<= 0) and take."""
        soc, most_w = self.case.ac_soc_pct, self.case.ac_max_w
        return (0.0 if soc <= 0.0 else -most_w), (0.0 if soc >= 100.0 else most_w)

    @property
    def dc_range_w(self) -> tuple[float, float]:
        """What the hybrid's battery can give (<= 0) and take, at AC."""
        soc = self.case.dc_soc_pct
        return (0.0 if soc <= 0.0 else -4000.0), (0.0 if soc >= 100.0 else 4000.0)

    @property
    def held_back_w(self) -> float:
        """Sun that limits keep back."""
        return self.micro_sun_w + sum(self.micros_w) + self.strings_sun_w - self.strings_w

    def step(self) -> None:
        """A second passes, then the hub decides."""
        self._move_battery()
        self._move_micros()
        self._move_hybrid()
        self.grid_w = self.load_w + self.ac_w + sum(self.micros_w) + self.inverter_w
        self.grid.append(self.grid_w)
        self._decide()
        self.time_s += 1

    def _move_battery(self) -> None:
        self.ac_pipe.append(_point(self._command(BAT, "battery")))
        low_w, high_w = self.ac_range_w
        self.ac_w = min(max(self.ac_pipe.popleft(), low_w), high_w)

    def _move_micros(self) -> None:
        for i in (0, 1):
            limit_w = _limit(self._command(PV, f"pv{i}"))
            if limit_w is not None:
                self.micro_limits[i] = limit_w
            wanted_w = min(self.micro_sun_w / 2.0, self.micro_limits[i])
            self.micros_w[i] = -min(wanted_w, -self.micros_w[i] + RAMP_W_PER_S)

    def _move_hybrid(self) -> None:
        limit_w = _limit(self._command(HYBRID, "inverter"))
        self.out_pipe.append(self.out_limit_w if limit_w is None else limit_w)
        self.out_limit_w = self.out_pipe.popleft()
        self.dc_pipe.append(_point(self._command(HYBRID, "battery")))
        low_w, high_w = self.dc_range_w
        sun_ac_w = self.strings_sun_w * EFFICIENCY
        told_w = min(max(self.dc_pipe.popleft(), low_w), high_w)
        # It gives no more than the limit together with the sun; the sun comes first.
        battery_w = max(told_w, min(0.0, sun_ac_w - self.out_limit_w)) if told_w < 0.0 else told_w
        self.store_w = battery_w
        self.inverter_w = max(battery_w - sun_ac_w, -self.out_limit_w)
        sun_part_w = battery_w - self.inverter_w
        self.strings_w = sun_part_w / EFFICIENCY
        # The inverter's loss shows between its AC side and its battery.
        dc_w = self.inverter_w / EFFICIENCY if self.inverter_w < 0.0 else self.inverter_w * EFFICIENCY
        self.pack_w = dc_w + self.strings_w

    def _states(self) -> dict[str, State]:
        micros = {
            f"pv{i}": {
                "ac_measure": {"power_w": self.micros_w[i]},
                "produce": {"available_w": self.micro_sun_w / 2.0},
                "limit": {"produce_max_w": self.micro_limits[i]},
            }
            for i in (0, 1)
        }
        low_w, high_w = self.dc_range_w
        return {
            METER: meter_state(self.grid_w),
            BAT: battery_state(self.ac_w, self.case.ac_soc_pct, self.case.ac_max_w),
            PV: state(micros),
            HYBRID: state(
                {
                    "inverter": {
                        "ac_measure": {"power_w": self.inverter_w},
                        "limit": {"produce_max_w": self.out_limit_w},
                    },
                    "pv": {
                        "dc_measure": {"power_w": -self.strings_w},
                        "produce": {"available_w": self.strings_sun_w},
                    },
                    "battery": {
                        "dc_measure": {"power_w": self.pack_w},
                        "storage": {"soc_pct": self.case.dc_soc_pct},
                        "setpoint": {"consume_max_w": high_w, "produce_max_w": -low_w},
                    },
                    "tie": {"isolate": {"closed": True, "grid_ok": True, "island_state": "grid"}},
                }
            ),
        }

    def _decide(self) -> None:
        now = self._states()
        seen = dict(now)
        for module, late in zip((BAT, PV, HYBRID), self.case.late, strict=True):
            if late:
                seen[module] = self.before.get(module, now[module])
        self.before = now
        modules = {
            d.id: ModuleSnapshot(description=d, state=seen[d.id], fresh=True, age_s=0.0)
            for d in self.descriptions
        }
        snapshot = Snapshot(modules=modules, preferences=self.preferences, topology=self.topology)
        self.decided = decide(snapshot, [], self.memory, float(self.time_s))
        self.memory, self.commands = self.decided.memory, self.decided.commands
