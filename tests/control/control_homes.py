"""Homes and a toy plant for the tests of the control cycle: delays and steps, no house physics."""

from __future__ import annotations

from typing import Any

import msgspec

from ores.control.decide import decide
from ores.control.memory import Memory
from ores.control.offers import Offer
from ores.control.snapshot import ModuleSnapshot, Snapshot
from ores.control.topology import compile_topology
from ores.model import Description, ElementState, Preferences, State


def module_id(letter: str) -> str:
    return (letter * 26)[:26]


METER, BAT, BAT2, PV, EV, HEAT, PANEL, HYBRID = (module_id(c) for c in "mbcpehqy")


def describe(mid: str, elements: list[dict[str, Any]], period_s: float = 1.0) -> Description:
    return msgspec.convert(
        {
            "ores": "1.0", "id": mid, "name": "n", "maker": "m", "model": "m", "serial": "s",
            "firmware_version": "1", "profiles": [], "report_period_s": period_s, "policies": ["idle"],
            "element_count": len(elements), "elements": elements,
        },
        Description,
    )  # fmt: skip


def state(elements: dict[str, dict[str, Any]]) -> State:
    return State(
        boot_id="0123abcd",
        uptime_ms=1000,
        control_source="lease",
        elements={key: msgspec.convert(value, ElementState) for key, value in elements.items()},
    )


def meter(lines: int = 1, fuse_a: float = 63.0) -> Description:
    caps = {"ac_measure": {"connection_point": True}, "rating": {"current_max_a": fuse_a, "voltage_v": 230}}
    terminals = ["L1", "L2", "L3"][:lines]
    return describe(
        METER,
        [
            {
                "id": "grid",
                "kind": "meter",
                "bus": "grid",
                "terminals": [*terminals, "N"],
                "capabilities": caps,
            }
        ],
    )


def battery(mid: str = BAT, max_w: float = 5000.0, **setpoint: float) -> Description:
    caps = {
        "ac_measure": {},
        "rating": {"consume_max_w": max_w, "produce_max_w": max_w},
        "limit": {"consume": True, "produce": True},
        "setpoint": {"consume_max_w": max_w, "produce_max_w": max_w, "response_s": 1.0, **setpoint},
        "storage": {"capacity_wh": 10000.0},
    }
    return describe(
        mid, [{"id": "battery", "kind": "battery", "bus": "grid", "terminals": ["L1"], "capabilities": caps}]
    )


def battery_state(power_w: float | None, soc_pct: float | None = 50.0, max_w: float = 5000.0) -> State:
    full, empty = soc_pct is not None and soc_pct >= 100.0, soc_pct is not None and soc_pct <= 0.0
    return state(
        {
            "battery": {
                "ac_measure": {"power_w": power_w},
                "storage": {"soc_pct": soc_pct},
                "setpoint": {
                    "consume_max_w": 0.0 if full else max_w,
                    "produce_max_w": 0.0 if empty else max_w,
                },
                "limit": {"consume_max_w": max_w, "produce_max_w": max_w},
            }
        }
    )


def meter_state(power_w: float | None, lines: dict[str, float] | None = None) -> State:
    measure: dict[str, Any] = {"power_w": power_w}
    if lines is not None:
        measure["terminals"] = {k: {"power_w": w, "current_a": abs(w) / 230.0} for k, w in lines.items()}
    return state({"grid": {"ac_measure": measure}})


def pv(max_w: float = 6000.0, count: int = 1) -> Description:
    caps = {
        "ac_measure": {},
        "rating": {"produce_max_w": max_w},
        "produce": {"peak_w": max_w},
        "limit": {"produce": True},
    }
    return describe(
        PV,
        [
            {"id": f"pv{i}", "kind": "inverter", "bus": "grid", "terminals": ["L1"], "capabilities": caps}
            for i in range(count)
        ],
    )


def pv_state(power_w: float, available_w: float | None = None, limit_w: float = 6000.0) -> State:
    return state(
        {
            "pv0": {
                "ac_measure": {"power_w": power_w},
                "produce": {"available_w": available_w},
                "limit": {"produce_max_w": limit_w},
            }
        }
    )


def charger(lines: int = 3, max_a: float = 16.0) -> Description:
    caps = {
        "ac_measure": {},
        "rating": {"current_max_a": max_a, "voltage_v": 230},
        "limit": {"current": True},
        "ev": {"current_min_a": 6.0, "current_max_a": max_a},
    }
    return describe(
        EV,
        [
            {
                "id": "evse",
                "kind": "evse",
                "bus": "grid",
                "terminals": ["L1", "L2", "L3"][:lines],
                "capabilities": caps,
            }
        ],
    )


def charger_state(power_w: float, limit_a: float, *, connected: bool | None = True, lines: int = 3) -> State:
    return state(
        {
            "evse": {
                "ac_measure": {"power_w": power_w},
                "limit": {"current_max_a": limit_a},
                "ev": {"connected": connected, "charging": power_w > 0},
            }
        }
    )


def wants(**changes: Any) -> Preferences:
    return msgspec.convert(
        {"self_consumption": True, "ev_mode": "surplus", "reserve_pct": 0.0, **changes}, Preferences
    )


def snap(
    modules: list[tuple[Description, State | None]],
    preferences: Preferences | None = None,
    *,
    stale: frozenset[str] = frozenset(),
    watched: frozenset[str] = frozenset(),
) -> Snapshot:
    return Snapshot(
        modules={
            d.id: ModuleSnapshot(
                description=d,
                state=s,
                fresh=s is not None and d.id not in stale,
                controllable=d.id not in watched,
            )
            for d, s in modules
        },
        preferences=preferences or wants(),
        topology=compile_topology(d for d, _ in modules),
    )


def once(
    snapshot: Snapshot,
    proposals: list[Offer] | None = None,
    memory: Memory | None = None,
    now_s: float = 100.0,
):
    return decide(snapshot, proposals or [], memory or Memory(), now_s)


def setpoint_w(decided: Any, mid: str = BAT, element: str = "battery") -> float | None:
    point = decided.commands[mid][element].setpoint
    return None if point is msgspec.UNSET else point.power_w


def heat_pump() -> Description:
    caps = {
        "ac_measure": {},
        "mode": {"modes": {"blocked": {}, "normal": {}, "boost": {"consume_min_w": 1500.0}}, "hold_s": 60.0},
        "thermal": {},
    }
    return describe(
        HEAT, [{"id": "heat", "kind": "heat", "bus": "grid", "terminals": ["L1"], "capabilities": caps}]
    )


def heat_state(power_w: float, mode: str = "normal") -> State:
    return state({"heat": {"ac_measure": {"power_w": power_w}, "mode": {"mode": mode}}})


def panel(*, behind_b: bool = False) -> Description:
    """Circuit a is critical, circuit b is not; a charger of the same panel may hang on b."""
    elements: list[dict[str, Any]] = [
        {
            "id": name,
            "kind": "circuit",
            "bus": "grid",
            "terminals": ["L1"],
            "capabilities": {
                "ac_measure": {},
                "rating": {"current_max_a": 16.0, "voltage_v": 230.0},
                "switch": {"critical": critical, "min_off_s": 120.0},
            },
        }
        for name, critical in (("a", True), ("b", False))
    ]
    if behind_b:
        caps = {
            "ac_measure": {},
            "limit": {"current": True},
            "ev": {"current_min_a": 6.0, "current_max_a": 16.0},
        }
        elements.append(
            {
                "id": "evse",
                "kind": "evse",
                "bus": "grid",
                "upstream": "b",
                "terminals": ["L1"],
                "capabilities": caps,
            }
        )
    return describe(PANEL, elements)


def panel_state(a_w: float, b_w: float, *, b_closed: bool = True, evse_w: float | None = None) -> State:
    elements: dict[str, dict[str, Any]] = {
        "a": {"ac_measure": {"power_w": a_w}, "switch": {"closed": True}},
        "b": {"ac_measure": {"power_w": b_w}, "switch": {"closed": b_closed}},
    }
    if evse_w is not None:
        elements["evse"] = {
            "ac_measure": {"power_w": evse_w},
            "limit": {"current_max_a": 16.0},
            "ev": {"connected": True},
        }
    return state(elements)


def hybrid(*, at_inverter: bool = False, response_s: float = 1.0) -> Description:
    """A hybrid with its set-point at the battery, or at the inverter."""
    point = {"setpoint": {"consume_max_w": 4000.0, "produce_max_w": 4000.0, "response_s": response_s}}
    inverter = {
        "ac_measure": {},
        "rating": {"consume_max_w": 5000.0, "produce_max_w": 8000.0},
        "limit": {"consume": True, "produce": True},
        **(point if at_inverter else {}),
    }
    store = {"dc_measure": {}, "storage": {"capacity_wh": 8000.0}, **({} if at_inverter else point)}
    tie = {"isolate": {"upstream_bus": "grid", "downstream_bus": "backup"}}
    former = {"form_grid": {"power_max_w": 5000.0}} if not at_inverter else {}
    sun = {"dc_measure": {}, "produce": {"peak_w": 6000.0}}
    return describe(
        HYBRID,
        [
            {
                "id": "inverter",
                "kind": "inverter",
                "bus": "backup",
                "terminals": ["L1"],
                "capabilities": {**inverter, **former},
            },
            {"id": "pv", "kind": "pv", "bus": "dc", "upstream": "inverter", "capabilities": sun},
            {"id": "battery", "kind": "battery", "bus": "dc", "upstream": "inverter", "capabilities": store},
            {"id": "grid_port", "kind": "ac_port", "bus": "grid", "capabilities": {"ac_measure": {}}},
            {"id": "backup_port", "kind": "ac_port", "bus": "backup", "capabilities": {"ac_measure": {}}},
            {"id": "tie", "kind": "tie", "capabilities": tie},
        ],
    )


def hybrid_state(
    ac_w: float,
    pv_w: float,
    battery_w: float,
    *,
    island: bool = False,
    headroom_w: float = 4000.0,
    soc_pct: float = 50.0,
) -> State:
    return state(
        {
            "inverter": {
                "ac_measure": {"power_w": ac_w},
                "limit": {"produce_max_w": 8000.0},
                "form_grid": {"forming": island, "headroom_w": headroom_w},
            },
            "pv": {"dc_measure": {"power_w": pv_w}, "produce": {"available_w": -pv_w}},
            "battery": {"dc_measure": {"power_w": battery_w}, "storage": {"soc_pct": soc_pct}},
            "grid_port": {"ac_measure": {"power_w": ac_w}},
            "backup_port": {"ac_measure": {"power_w": 0.0}},
            "tie": {
                "isolate": {
                    "closed": not island,
                    "grid_ok": not island,
                    "island_state": "island" if island else "grid",
                }
            },
        }
    )
