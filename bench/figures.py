"""How figures are written: beside their floor, with the ratio and the goal, so that one look suffices."""

from __future__ import annotations


def percentile(values: list[float], percent: float) -> float:
    """The value below which `percent` % lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100.0))]


def spread(name: str, seconds: list[float]) -> dict[str, float]:
    """p50, p90 and p99 in microseconds."""
    return {f"{name}_p{p}_us": round(percentile(seconds, p) * 1e6, 1) for p in (50, 90, 99)}


def at_most(ratio: float, goal: float) -> dict[str, object]:
    """A ratio that should not exceed the goal."""
    return {"ratio": round(ratio, 2), "goal": f"<= {goal:g}", "holds": ratio <= goal}


def at_least(ratio: float, goal: float) -> dict[str, object]:
    """A ratio that should reach the goal."""
    return {"ratio": round(ratio, 2), "goal": f">= {goal:g}", "holds": ratio >= goal}
