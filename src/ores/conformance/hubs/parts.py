"""What a played module is made of, and a small house whose powers add up.

No physics beyond that: a part does at once what it is told, so that what a meter shows is what the hub has
brought about.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

VOLTAGE_V: Final = 230.0
Json = dict[str, Any]


@dataclass
class Part:
    """An element.

    Attributes:
        id: In its module.
        kind: What people call it; nothing follows from it.
        capabilities: As described.
        power_w: Of a part that nothing commands; positive consumes. None is unknown.
        available_w: Of what produces: what there is of sun.
        soc_pct: Of a store.
        connected: Whether a vehicle is there.
        closed: Of a switch or a tie.
        forming: Whether it forms the grid of an island.
        faults: Codes.
        told: The command that holds.
        failsafe: Limits without a lease.
        extra: Merged into its state, for what a check wants to be said.
        described: Merged into its description.
    """

    id: str
    kind: str
    capabilities: Json
    power_w: float | None = 0.0
    available_w: float | None = 0.0
    soc_pct: float | None = 50.0
    reserve_pct: float = 0.0
    connected: bool = True
    closed: bool | None = True
    grid_ok: bool | None = True
    forming: bool = False
    mode: str = ""
    bus: str = "grid"
    upstream: str | None = None
    faults: tuple[str, ...] = ()
    told: Json = field(default_factory=dict)
    failsafe: Json = field(default_factory=dict)
    extra: Json = field(default_factory=dict)
    described: Json = field(default_factory=dict)
    energy_wh: float = 1000.0

    def describe(self) -> Json:
        """As it stands in the description."""
        found: Json = {
            "id": self.id,
            "kind": self.kind,
            "bus": self.bus,
            "terminals": ["L1"],
            "connection": "single_phase",
            "capabilities": self.capabilities,
        }
        if self.upstream is not None:
            found["upstream"] = self.upstream
        return {**found, **self.described}

    def now_w(self, house: House) -> float | None:
        """What flows into it."""
        for capability, reckon in _POWER.items():
            if capability in self.capabilities:
                return reckon(self)
        if self.capabilities.get("ac_measure", {}).get("connection_point"):
            return house.grid_w()
        if "switch" in self.capabilities and not self.closed:
            return 0.0
        return self.power_w

    def most(self, name: str) -> float | None:
        """The limit of this name that is in force; None where there is none."""
        limits = self.told.get("limit", {}) if self.told else self.failsafe
        found = [limits.get(name), self.capabilities.get("rating", {}).get(name)]
        return min((value for value in found if value is not None), default=None)

    def state(self, house: House) -> Json:
        """As it stands in a state."""
        found: Json = {}
        for capability, say in _STATE.items():
            if capability in self.capabilities:
                found[capability] = say(self, house)
        return {**found, **self.extra}


def _between(part: Part, power_w: float) -> float:
    consume, produce = part.most("consume_max_w"), part.most("produce_max_w")
    if consume is not None:
        power_w = min(power_w, consume)
    return power_w if produce is None else max(power_w, -produce)


def _sun_w(part: Part) -> float | None:
    return None if part.available_w is None else _between(part, -part.available_w)


def _store_w(part: Part) -> float | None:
    if part.power_w is None:
        return None
    power_w = float(part.told.get("setpoint", {}).get("power_w", part.power_w if part.forming else 0.0))
    full = part.soc_pct is not None and part.soc_pct >= 100
    empty = part.soc_pct is not None and part.soc_pct <= 0
    if (full and power_w > 0) or (empty and power_w < 0):
        return 0.0
    return _between(part, power_w)


def _vehicle_w(part: Part) -> float | None:
    current_a = part.most("current_max_a")
    if not part.connected or current_a is None or current_a < part.capabilities["ev"].get("current_min_a", 6):
        return 0.0
    return _between(part, current_a * VOLTAGE_V)


_POWER: Final[Mapping[str, Callable[[Part], float | None]]] = {
    "produce": _sun_w,
    "setpoint": _store_w,
    "ev": _vehicle_w,
}
_STATE: Final[Mapping[str, Callable[[Part, House], Json]]] = {
    "ac_measure": lambda part, house: _measured(part.now_w(house)),
    "energy": lambda part, _: {
        "energy_in_wh": part.energy_wh,
        "energy_out_wh": 500,
        "counter_epoch": 1,
    },
    "limit": lambda part, _: {
        name: value
        for name in ("consume_max_w", "produce_max_w", "current_max_a")
        if (value := part.most(name)) is not None
    },
    "setpoint": lambda part, _: {
        "power_w": part.told.get("setpoint", {}).get("power_w"),
        "consume_max_w": part.capabilities["setpoint"]["consume_max_w"],
        "produce_max_w": part.capabilities["setpoint"]["produce_max_w"],
    },
    "produce": lambda part, _: {"available_w": part.available_w},
    "storage": lambda part, _: {"soc_pct": part.soc_pct, "reserve_pct": part.reserve_pct},
    "ev": lambda part, house: {"connected": part.connected, "charging": bool(part.now_w(house))},
    "switch": lambda part, _: {"closed": part.closed},
    "mode": lambda part, _: {"mode": part.told.get("mode", {}).get("mode", part.mode)},
    "isolate": lambda part, _: {
        "closed": part.closed,
        "grid_ok": part.grid_ok,
        "island_state": "grid" if part.closed else "island",
    },
    "form_grid": lambda part, _: {"forming": part.forming, "headroom_w": 2000},
    "fault": lambda part, _: {"codes": list(part.faults)},
}


def _measured(power_w: float | None) -> Json:
    current_a = None if power_w is None else round(abs(power_w) / VOLTAGE_V, 3)
    return {
        "power_w": power_w,
        "terminals": {"L1": {"power_w": power_w, "current_a": current_a, "voltage_v": VOLTAGE_V}},
    }


@dataclass
class House:
    """All parts on one conductor, and what nobody commands.

    Attributes:
        base_w: Load without a meter of its own.
        parts: All that hang on it.
        meter_w: What the meter says in place of the sum; for what a check wants to be said.
    """

    base_w: float = 400.0
    parts: list[Part] = field(default_factory=list)
    meter_w: float | None = None
    meter_blind: bool = False

    def grid_w(self) -> float | None:
        """At the connection point; positive is import."""
        if self.meter_blind:
            return None
        if self.meter_w is not None:
            return self.meter_w
        return self.base_w + sum(
            part.now_w(self) or 0.0
            for part in self.parts
            if not part.capabilities.get("ac_measure", {}).get("connection_point")
            and part.bus == "grid"
            and part.upstream is None
        )


# What the checks are played with


def meter(name: str = "mains", fuse_a: float = 63.0) -> Part:
    """The meter at the grid connection point."""
    return Part(
        name,
        "meter",
        {
            "ac_measure": {"connection_point": True},
            "energy": {"resolution_wh": 1},
            "rating": {"current_max_a": fuse_a, "voltage_v": VOLTAGE_V},
        },
    )


def store(
    name: str = "battery", *, power_w: float = 3000.0, kind: str = "battery", soc: float = 50.0
) -> Part:
    """A store that follows set-points in both directions."""
    return Part(
        name,
        kind,
        {
            "ac_measure": {},
            "energy": {"resolution_wh": 1},
            "rating": {"consume_max_w": power_w, "produce_max_w": power_w},
            "limit": {"consume": True, "produce": True},
            "setpoint": {"consume_max_w": power_w, "produce_max_w": power_w, "response_s": 0.2},
            "storage": {"capacity_wh": 10_000, "reserve_setting": True},
            "fault": {},
        },
        soc_pct=soc,
    )


def sun(name: str = "inverter", *, peak_w: float = 5000.0, available_w: float = 0.0) -> Part:
    """An inverter with sun behind it, whose production can be limited."""
    return Part(
        name,
        "inverter",
        {
            "ac_measure": {},
            "rating": {"produce_max_w": peak_w},
            "limit": {"produce": True},
            "produce": {"peak_w": peak_w},
        },
        available_w=available_w,
    )


def charger(name: str = "evse", *, current_max_a: float = 32.0) -> Part:
    """A charging point with a vehicle that takes what it gets."""
    return Part(
        name,
        "evse",
        {
            "ac_measure": {},
            "rating": {
                "consume_max_w": current_max_a * VOLTAGE_V,
                "current_max_a": current_max_a,
                "voltage_v": VOLTAGE_V,
            },
            "limit": {"consume": True, "current": True},
            "ev": {"current_min_a": 6, "current_max_a": current_max_a, "step_a": 1},
        },
    )
