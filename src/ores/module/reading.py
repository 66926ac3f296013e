"""Readings of a driver, made safe: what is unsound becomes unknown, never 0, and hurts nobody else."""

from __future__ import annotations

import math
import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.link import codec
from ores.link.errors import InvalidMessage
from ores.model import (
    AcMeasure,
    DcMeasure,
    Element,
    ElementState,
    Energy,
    Ev,
    FormGrid,
    Isolate,
    Job,
    Mode,
    Produce,
    Storage,
    Switch,
    Thermal,
)

_PLACE: Final = re.compile(r" - at `(?:key in `)?\$\.?([a-z_.]*)")
_CAPABILITIES: Final = tuple(name for name in ElementState.__struct_fields__ if name != "quality")
_TRIES_MAX: Final = 64
"""More values than one element has."""


def is_sound(reading: ElementState) -> bool:
    """Whether the schema allows all of a reading: finite numbers in their ranges, of the declared types."""
    try:
        codec.encode(reading)
    except InvalidMessage:
        return False
    return True


def cleaned(reading: ElementState) -> ElementState:
    """The reading with every unsound value unknown, and marked `bad`; an unsound capability goes as a whole.

    Raises:
        TypeError: It holds something that no message can carry.
    """
    tree = {name: _finite(value) for name, value in msgspec.to_builtins(reading).items()}
    tree["quality"] = "bad"
    for _ in range(_TRIES_MAX):
        try:
            return msgspec.convert(tree, ElementState)
        except msgspec.ValidationError as error:
            place = _PLACE.search(str(error))
            _forget(tree, place[1].split(".") if place else [])
    return ElementState(quality="bad")


def unknown(element: Element, energy: Energy | UnsetType) -> ElementState:
    """The reading of an element that cannot be read: everything that it declares is there, and unknown.

    Args:
        element: Its description.
        energy: Of a device that counts energy itself.
    """
    able = element.capabilities
    return ElementState(
        ac_measure=UNSET if able.ac_measure is UNSET else AcMeasure(power_w=None),
        dc_measure=UNSET if able.dc_measure is UNSET else DcMeasure(power_w=None),
        energy=UNSET if able.energy is UNSET else energy,
        produce=UNSET if able.produce is UNSET else Produce(available_w=None),
        storage=UNSET if able.storage is UNSET else Storage(soc_pct=None),
        switch=UNSET if able.switch is UNSET else Switch(closed=None),
        isolate=UNSET if able.isolate is UNSET else Isolate(closed=None, grid_ok=None),
        form_grid=UNSET if able.form_grid is UNSET else FormGrid(forming=None),
        mode=UNSET if able.mode is UNSET else Mode(mode=None),
        thermal=UNSET if able.thermal is UNSET else Thermal(temperature_c=None),
        ev=UNSET if able.ev is UNSET else Ev(connected=None),
        job=UNSET if able.job is UNSET else Job(phase=None),
        quality="bad",
    )


def completed(reading: ElementState, nothing: ElementState) -> ElementState:
    """The reading with everything that is declared: what a driver leaves out is unknown (QTY-005).

    Args:
        reading: As the driver gave it.
        nothing: What `unknown` says of the element.
    """
    missing = {
        name: getattr(nothing, name)
        for name in _CAPABILITIES
        if getattr(reading, name) is UNSET and getattr(nothing, name) is not UNSET
    }
    return msgspec.structs.replace(reading, **missing) if missing else reading


def power_w(reading: ElementState) -> float | None:
    """Power at an element, AC before DC, positive into it; None where it is unknown."""
    if not isinstance(reading.ac_measure, UnsetType):
        return reading.ac_measure.power_w
    if not isinstance(reading.dc_measure, UnsetType):
        return reading.dc_measure.power_w
    return None


def is_notable(now: ElementState, sent: ElementState, notable_w: float) -> bool:
    """Whether a reading is worth telling before its time: power that jumped, or anything that switched."""
    if now is sent:
        return False
    before_w, after_w = power_w(sent), power_w(now)
    if before_w is None or after_w is None:
        if before_w is not after_w:
            return True
    elif abs(after_w - before_w) > notable_w:
        return True
    return (
        now.switch != sent.switch
        or now.isolate != sent.isolate
        or now.fault != sent.fault
        or now.quality != sent.quality
        or _connected(now) != _connected(sent)
        or _mode(now) != _mode(sent)
        or _phase(now) != _phase(sent)
    )


def _finite(tree: object) -> object:
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else None
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    return tree


def _forget(tree: dict[str, object], path: list[str]) -> None:
    """Make the value at a path unknown; where that is not allowed either, leave out its capability."""
    capability, *inside = [step for step in path if step] or [next(iter(tree))]
    node = tree.get(capability)
    if len(inside) == 1 and isinstance(node, dict) and node.get(inside[0]) is not None:
        node[inside[0]] = None
    else:
        tree.pop(capability, None)


def _connected(reading: ElementState) -> bool | None:
    return None if isinstance(reading.ev, UnsetType) else reading.ev.connected


def _mode(reading: ElementState) -> str | None:
    return None if isinstance(reading.mode, UnsetType) else reading.mode.mode


def _phase(reading: ElementState) -> str | None:
    return None if isinstance(reading.job, UnsetType) else reading.job.phase
