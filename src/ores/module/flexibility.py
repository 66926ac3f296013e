"""What a device tells of its flexibility, made safe: what makes no sense is left to the hub."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from ores.link import codec
from ores.link.errors import InvalidMessage
from ores.model import Element, ElementFlexibility, Flexibility, State
from ores.module.device import TellsFlexibility

VALID_S: Final = 600.0
"""How long a hub may plan with it; it asks earlier where a vehicle, a mode or a job has changed."""

_log: Final = logging.getLogger("ores.module")

_FOR: Final = {
    "power": ("setpoint", "limit"),
    "store": ("storage", "thermal", "ev"),
    "production": ("produce",),
    "vehicle": ("ev",),
    "modes": ("mode",),
    "thermal": ("thermal",),
    "shed": ("switch",),
    "job": ("job",),
}
"""Which capability each part is about (FLEX-007)."""


def message(device: TellsFlexibility, elements: Iterable[Element], state: State) -> Flexibility:
    """Everything that a device tells now.

    Args:
        device: Asked element by element.
        elements: Of the module.
        state: Of this moment; what is told counts from its `uptime_ms`.
    """
    told = {element.id: _sound(device, element) for element in elements}
    return Flexibility(
        boot_id=state.boot_id,
        uptime_ms=state.uptime_ms,
        valid_s=VALID_S,
        elements={name: flexibility for name, flexibility in told.items() if flexibility is not None},
    )


def _sound(device: TellsFlexibility, element: Element) -> ElementFlexibility | None:
    """An element's flexibility as a message can carry it; None where nothing can be told."""
    try:
        told = device.flexibility(element.id)
        if told is None:
            return None
        codec.encode(told)
    except InvalidMessage as error:
        _log.warning("%s: its flexibility is not told: %s", element.id, error.detail)
        return None
    except Exception as error:  # noqa: BLE001  a driver may fail in any way; its element alone pays
        _log.warning("%s: its flexibility is not told: %r", element.id, error)
        return None
    able = element.capabilities
    for part, capabilities in _FOR.items():
        if getattr(told, part) is not UNSET and all(getattr(able, name) is UNSET for name in capabilities):
            _log.warning(
                "%s: its flexibility is not told: %s needs %s", element.id, part, " or ".join(capabilities)
            )
            return None
    return told
