"""Elements whose flexibility a hub derives, and what the table of 5.3 makes of each.

The expected values are reckoned by hand from the table; none is taken from a hub.
"""

from __future__ import annotations

from typing import Any, Final

from ores.conformance.hubs.parts import Json, Part

CELL: Final[Json] = {
    "ac_measure": {},
    "rating": {"consume_max_w": 3600, "produce_max_w": 3600},
    "limit": {"consume": True, "produce": True},
    "setpoint": {
        "consume_max_w": 3500,
        "produce_max_w": 4000,
        "consume_min_w": 100,
        "step_w": 10,
        "response_s": 1.2,
        "ramp_w_per_s": 500,
        "hold_s": 5,
    },
    "storage": {
        "capacity_wh": 9600,
        "charge_efficiency_pct": 96,
        "discharge_efficiency_pct": 95.5,
        "soc_min_pct": 5,
        "soc_max_pct": 98,
    },
}
BY_SETPOINT: Final[Json] = {
    "by": "setpoint",
    "consume_max_w": 3500,
    "produce_max_w": 3600,
    "consume_min_w": 100,
    "step_w": 10,
    "response_s": 1.2,
    "ramp_w_per_s": 500,
    "hold_s": 5,
}
HOLDS: Final[Json] = {
    "holds": "electricity",
    "charge_efficiency_pct": 96,
    "discharge_efficiency_pct": 95.5,
}
HEATING: Final[Json] = {
    "mode": {
        "modes": {"normal": {"consume_max_w": 2000}, "boost": {"consume_min_w": 800, "consume_max_w": 3000}},
        "hold_s": 600,
    },
    "thermal": {"temperature_min_c": 5, "temperature_max_c": 60, "heat_max_w": 8000},
}
MODES: Final[Json] = HEATING["mode"]["modes"]
CIRCUIT: Final[Json] = {"switch": {"critical": True, "min_on_s": 30, "min_off_s": 60}, "ac_measure": {}}


def part(name: str, capabilities: Json, says: Json, **described: Any) -> Part:
    """An element through which nothing flows, whatever it says of itself."""
    return Part(name, "load", capabilities, connected=False, extra=says, described=described)


def charging(voltage_v: float, current_max_a: float, **more: Any) -> Json:
    """A charging point that is limited in amperes."""
    return {
        "ac_measure": {},
        "rating": {"current_max_a": 40, "voltage_v": voltage_v},
        "limit": {"current": True},
        "ev": {"current_min_a": 6, "current_max_a": current_max_a, "step_a": 1, **more},
    }


def three(count: int = 3) -> Json:
    """So many conductors."""
    return {"terminals": ["L1", "L2", "L3"][:count]}


KNOWN: Final[dict[str, tuple[Part, Json]]] = {
    "cell": (
        part(
            "cell",
            CELL,
            {
                "setpoint": {"power_w": None, "consume_max_w": 3000, "produce_max_w": 0},
                "storage": {"soc_pct": 51.5, "capacity_wh": 9000, "reserve_pct": 20},
            },
        ),
        {
            "power": {**BY_SETPOINT, "consume_now_w": 3000, "produce_now_w": 0},
            "store": {
                **HOLDS,
                "capacity_wh": 9000,
                "energy_wh": 4635,
                "energy_min_wh": 450,
                "energy_max_wh": 8820,
                "energy_reserve_wh": 1800,
                "commanded_at": "cell",
            },
        },
    ),
    "roof": (
        part(
            "roof",
            {
                "ac_measure": {},
                "rating": {"produce_max_w": 5000},
                "limit": {"produce": True},
                "produce": {"peak_w": 5200},
            },
            {"produce": {"available_w": 1234}, "ac_measure": {"power_w": 0}},
        ),
        {
            "power": {"by": "limit", "produce_max_w": 5000},
            "production": {"available_w": 1234, "peak_w": 5200, "commanded_at": "roof"},
        },
    ),
    "module_row": (
        Part(
            "module_row",
            "pv_string",
            {"produce": {"peak_w": 2600}},
            upstream="roof",
            extra={"produce": {"available_w": 617}},
        ),
        {"production": {"available_w": 617, "peak_w": 2600, "commanded_at": "roof"}},
    ),
    "carport": (
        part(
            "carport",
            charging(230, 16, phase_switching=True),
            {"ev": {"connected": True, "energy_needed_wh": 12_000, "departure_in_s": 3600}},
            connection="three_phase",
            **three(),
        ),
        {
            "power": {"by": "current", "consume_max_w": 11_040, "consume_min_w": 1380, "step_w": 690},
            "vehicle": {"connected": True, "energy_needed_wh": 12_000, "departure_in_s": 3600},
        },
    ),
    "between_lines": (
        part(
            "between_lines",
            charging(400, 16),
            {"ev": {"connected": False, "departure_in_s": 60}},
            connection="three_phase",
            **three(),
        ),
        {
            "power": {"by": "current", "consume_max_w": 11_085.1, "consume_min_w": 4156.9, "step_w": 692.8},
            "vehicle": {"connected": False},
        },
    ),
    "two_lines": (
        part(
            "two_lines",
            charging(120, 48),
            {"ev": {"connected": True}},
            connection="split_phase",
            **three(2),
        ),
        {
            "power": {"by": "current", "consume_max_w": 9600, "consume_min_w": 1440, "step_w": 240},
            "vehicle": {"connected": True},
        },
    ),
    "heating": (
        part(
            "heating",
            HEATING,
            {
                "mode": {"mode": "normal", "next_change_in_s": 120},
                "thermal": {"temperature_c": 47.5, "outdoor_temperature_c": 3},
            },
        ),
        {
            "modes": {"mode": "normal", "modes": MODES, "hold_s": 600, "next_change_in_s": 120},
            "thermal": {
                "temperature_c": 47.5,
                "outdoor_temperature_c": 3,
                "temperature_min_c": 5,
                "temperature_max_c": 60,
                "heat_max_w": 8000,
            },
        },
    ),
    "circuit": (
        part("circuit", CIRCUIT, {"switch": {"closed": True}, "ac_measure": {"power_w": 2.5}}),
        {"shed": {"closed": True, "power_w": 2.5, "critical": True, "min_on_s": 30, "min_off_s": 60}},
    ),
    "washer": (
        part(
            "washer",
            {"job": {}, "ac_measure": {}},
            {
                "job": {
                    "phase": "waiting",
                    "energy_wh": 1210,
                    "duration_s": 8700,
                    "earliest_start_in_s": 600,
                    "latest_end_in_s": 34_200,
                }
            },
        ),
        {
            "job": {
                "phase": "waiting",
                "energy_wh": 1210,
                "duration_s": 8700,
                "earliest_start_in_s": 600,
                "latest_end_in_s": 34_200,
                "profile": [{"duration_s": 8700, "power_w": 500.69}],
            }
        },
    ),
    "plain": (part("plain", {"ac_measure": {}}, {}), {}),
}
"""Elements that know all of themselves."""

_LEAST: Final[Json] = {"energy_min_wh": 480, "energy_max_wh": 9408, "capacity_wh": 9600}
VAGUE: Final[dict[str, tuple[Part, Json]]] = {
    "vague_cell": (
        part(
            "vague_cell",
            CELL,
            {
                "setpoint": {"power_w": None, "consume_max_w": None, "produce_max_w": None},
                "storage": {"soc_pct": None, "capacity_wh": None, "reserve_pct": None},
            },
        ),
        {
            "power": {**BY_SETPOINT, "consume_now_w": None, "produce_now_w": None},
            "store": {
                **HOLDS,
                **_LEAST,
                "energy_wh": None,
                "energy_reserve_wh": None,
                "commanded_at": "vague_cell",
            },
        },
    ),
    "bad_cell": (
        part("bad_cell", CELL, {"quality": "bad", "storage": {"soc_pct": 80, "reserve_pct": 10}}),
        {
            "power": BY_SETPOINT,
            "store": {**HOLDS, **_LEAST, "energy_wh": None, "commanded_at": "bad_cell"},
        },
    ),
    "vague_roof": (
        part("vague_roof", {"ac_measure": {}, "produce": {}}, {"produce": {"available_w": None}}),
        {"production": {"available_w": None}},
    ),
    "vague_carport": (
        part(
            "vague_carport",
            charging(230, 16),
            {"ev": {"connected": None, "energy_needed_wh": None, "departure_in_s": None}},
        ),
        {
            "power": {"by": "current", "consume_max_w": 3680, "consume_min_w": 1380, "step_w": 230},
            "vehicle": {"connected": None, "energy_needed_wh": None, "departure_in_s": None},
        },
    ),
    "vague_heating": (
        part("vague_heating", HEATING, {"mode": {"mode": None}, "thermal": {"temperature_c": None}}),
        {
            "modes": {"mode": None, "modes": MODES, "hold_s": 600},
            "thermal": {
                "temperature_c": None,
                "temperature_min_c": 5,
                "temperature_max_c": 60,
                "heat_max_w": 8000,
            },
        },
    ),
    "vague_circuit": (
        part("vague_circuit", CIRCUIT, {"switch": {"closed": None}, "ac_measure": {"power_w": None}}),
        {"shed": {"closed": None, "power_w": None, "critical": True, "min_on_s": 30, "min_off_s": 60}},
    ),
    "vague_washer": (
        part("vague_washer", {"job": {}, "ac_measure": {}}, {"job": {"phase": None}}),
        {"job": {"phase": None}},
    ),
    "silent_circuit": (
        part("silent_circuit", CIRCUIT, {}),
        {"shed": {"closed": None, "power_w": None, "critical": True, "min_on_s": 30, "min_off_s": 60}},
    ),
}
"""Elements that do not know something, or whose word counts for nothing; the last one no state holds."""


def differs(found: Any, wanted: Any, path: str = "$") -> str:
    """The first difference, in words; empty where there is none that the table makes."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return f"{path} is {found!r}, by the table {wanted!r}"
        keys = [key for key in {**wanted, **found} if not key.startswith("x-")]
        for key in keys:
            if (key in found) is not (key in wanted):
                has = f"is there ({found[key]!r})" if key in found else "is missing"
                return f"{path}.{key} {has}, and by the table {'absent' if key in found else wanted[key]!r}"
        return next((said for key in keys if (said := differs(found[key], wanted[key], f"{path}.{key}"))), "")
    if isinstance(wanted, list):
        if not isinstance(found, list) or len(found) != len(wanted):
            return f"{path} is {found!r}, by the table {wanted!r}"
        pairs = zip(found, wanted, strict=True)
        return next((said for one, two in pairs if (said := differs(one, two, f"{path}[]"))), "")
    return "" if _equal(found, wanted, path) else f"{path} is {found!r}, by the table {wanted!r}"


def _equal(found: Any, wanted: Any, path: str) -> bool:
    if isinstance(wanted, bool | str) or wanted is None:
        return found is wanted or (isinstance(wanted, str) and found == wanted)
    if not isinstance(found, int | float) or isinstance(found, bool):
        return False
    if path.endswith("_in_s"):
        return bool(-0.01 <= wanted - found <= 3)  # counted from now, and the state is a moment old
    return bool(abs(found - wanted) <= max(0.05, 0.001 * abs(wanted)))
