"""Numbers and states for people."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import UNSET

from ores.model import ElementState

STILL_W = 15.0
"""Less than this is what meters and standby make of nothing."""


def kilo(power_w: float) -> str:
    """Power as people say it."""
    return f"{power_w / 1000.0:.1f} kW" if abs(power_w) >= 950.0 else f"{power_w:.0f} W"


def doing(state: ElementState | None, kind: str) -> str:
    """What an element is doing, in a few words.

    Args:
        state: As it was last reported; None is unknown.
        kind: Of the element, as its description says.
    """
    if state is None:
        return "unknown"
    # A danger comes before all else, then a fault, an open switch before a power that is 0 because of it.
    if state.hazard is not UNSET and state.hazard.hazards:
        return f"hazard: {', '.join(state.hazard.hazards)}"
    if state.fault is not UNSET and state.fault.codes:
        return f"fault: {', '.join(state.fault.codes)}"
    if kind == "tie" and state.isolate is not UNSET:
        return _tie(state)
    if state.switch is not UNSET and state.switch.closed is False:
        return "off"
    power = _power(state)
    return "unknown" if power is None else _job(state, power) or _BY_KIND.get(kind, _any)(state, power)


def _power(state: ElementState) -> float | None:
    if state.ac_measure is not UNSET:
        return state.ac_measure.power_w
    return state.dc_measure.power_w if state.dc_measure is not UNSET else None


def _battery(state: ElementState, power: float) -> str:
    soc = ""
    if state.storage is not UNSET and state.storage.soc_pct is not None:
        soc = f" at {state.storage.soc_pct:.0f} %"
    if abs(power) < 15.0:
        return f"resting{soc}"
    return f"charging {kilo(power)}{soc}" if power > 0.0 else f"discharging {kilo(-power)}{soc}"


def _producer(state: ElementState, power: float) -> str:
    if power >= -2.0:
        return "resting" if power < 15.0 else f"taking {kilo(power)}"
    available = state.produce.available_w if state.produce is not UNSET else None
    if available is not None and available > 1.05 * -power + 20.0:
        return f"producing {kilo(-power)} of {kilo(available)}"
    return f"producing {kilo(-power)}"


def _charger(state: ElementState, power: float) -> str:
    if state.ev is not UNSET and state.ev.connected is False:
        return "no vehicle"
    return f"charging {kilo(power)}" if power > 50.0 else "waiting"


def _heat(state: ElementState, power: float) -> str:
    mode = f", {state.mode.mode}" if state.mode is not UNSET and state.mode.mode else ""
    return f"drawing {kilo(power)}{mode}" if power > 15.0 else f"resting{mode}"


def _tie(state: ElementState) -> str:
    isolate = state.isolate
    if isolate is UNSET or isolate.closed is None:
        return "unknown"
    if isolate.closed:
        return "connected to the grid"
    return "separated from the grid"


def _meter(_state: ElementState, power: float) -> str:
    if abs(power) < STILL_W:
        return "balanced"
    return f"importing {kilo(power)}" if power > 0.0 else f"exporting {kilo(-power)}"


def _job(state: ElementState, power: float) -> str:
    """What an appliance does; "" where it is none, or does not say."""
    if state.job is UNSET or state.job.phase is None:
        return ""
    return state.job.phase if power < STILL_W else f"{state.job.phase}, {kilo(power)}"


def _any(_state: ElementState, power: float) -> str:
    return f"using {kilo(power)}" if power >= 0.0 else f"giving {kilo(-power)}"


_BY_KIND: dict[str, Callable[[ElementState, float], str]] = {
    "battery": _battery,
    "pv": _producer,
    "inverter": _producer,
    "generator": _producer,
    "evse": _charger,
    "heat": _heat,
    "meter": _meter,
}
