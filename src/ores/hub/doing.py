"""What a whole module is doing, in words: pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UNSET

from ores.control.words import doing
from ores.model import AcMeasure, Description, Element, ElementState, Produce, State

_TELLING = ("tie", "battery", "evse", "heat", "inverter", "generator", "meter", "pv", "load", "circuit")
"""Kinds, the most telling first; ports are left out."""
_PARTS_MAX = 3
_TEXT_MAX = 512


def module_doing(description: Description, state: State) -> str:
    """The most telling parts of a module, those of one kind together."""
    by_kind: dict[str, list[Element]] = {}
    for element in description.elements:
        by_kind.setdefault(element.kind, []).append(element)
    if "inverter" in by_kind:
        by_kind.pop("pv", None)  # what the strings give is what the inverter produces
    kinds = [kind for kind in _TELLING if kind in by_kind][:_PARTS_MAX]
    texts = [(kind, doing(_together(by_kind[kind], state), kind)) for kind in kinds]
    if len(texts) == 1:
        return texts[0][1][:_TEXT_MAX]
    return "; ".join(f"{kind} {text}" for kind, text in texts)[:_TEXT_MAX]


def _together(elements: Sequence[Element], state: State) -> ElementState | None:
    """The one state, or the sum of several; one unknown makes the sum unknown."""
    states = [state.elements.get(element.id) for element in elements]
    if len(states) == 1:
        return states[0]
    powers = [None if one is None or one.ac_measure is UNSET else one.ac_measure.power_w for one in states]
    available = [one.produce.available_w for one in states if one is not None and one.produce is not UNSET]
    return ElementState(
        ac_measure=AcMeasure(power_w=_sum(powers)),
        produce=Produce(available_w=_sum(available)) if available else UNSET,
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None
