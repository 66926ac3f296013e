"""Policies: what a module does on its own. Each is a pure function of the situation.

What a policy asks for is bound like any lease, by ratings and by the failsafe limits; it cannot widen
anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UnsetType

from ores.model import (
    Element,
    ElementCommand,
    ElementState,
    ModeCommand,
    Policy,
    SetpointCommand,
    SwitchCommand,
)
from ores.module.reading import power_w


class Situation(msgspec.Struct, frozen=True):
    """What a policy may look at.

    Attributes:
        readings: Of all elements, as the device gave them last.
        utc: Wall time; None while the module's clock is not synchronised.
        chosen: The policy as it was chosen, with its parameters.
    """

    readings: Mapping[str, ElementState]
    utc: datetime | None
    chosen: Policy


PolicyFunction = Callable[[Situation], Mapping[str, ElementCommand]]
"""What the policy asks of each element; what it leaves out follows the module's defaults."""


def setpoint(power_w: float) -> ElementCommand:
    """A command with a set-point, positive into the element, in W."""
    return ElementCommand(setpoint=SetpointCommand(power_w=power_w))


def idle(elements: Sequence[Element]) -> PolicyFunction:
    """Every set-point is 0; what has none runs as it likes within its limits."""
    zero = setpoint(0.0)
    wishes = {one.id: zero for one in elements if not isinstance(one.capabilities.setpoint, UnsetType)}
    return lambda _situation: wishes


def free(_situation: Situation) -> Mapping[str, ElementCommand]:
    """No set-points at all: everything runs as it likes within its limits."""
    return {}


def self_consumption(meter: str, battery: str) -> PolicyFunction:
    """Bring the meter's power to 0 with the battery; while either is unknown, the battery idles.

    The meter sees the battery: on top of what it takes now, the battery has to take what flows out there.

    Args:
        meter: Element at the grid connection point; positive is import.
        battery: Element with a set-point.
    """

    def wishes(situation: Situation) -> Mapping[str, ElementCommand]:
        grid_w = power_w(situation.readings[meter])
        battery_w = power_w(situation.readings[battery])
        if grid_w is None or battery_w is None:
            return {battery: setpoint(0.0)}
        return {battery: setpoint(battery_w - grid_w)}

    return wishes


def schedule(element: str) -> PolicyFunction:
    """Follow the slots of a day in UTC; idle while the time is unknown or there are no slots.

    Args:
        element: The first that has a set-point (POL-005).
    """

    def wishes(situation: Situation) -> Mapping[str, ElementCommand]:
        slots = situation.chosen.schedule
        if situation.utc is None or isinstance(slots, UnsetType) or not slots:
            return {element: setpoint(0.0)}
        utc = situation.utc
        second = utc.hour * 3600 + utc.minute * 60 + utc.second
        ordered = sorted(slots, key=lambda slot: slot.start_s)
        begun = [slot for slot in ordered if slot.start_s <= second]
        # before the first slot of a day, yesterday's last one still holds
        return {element: setpoint((begun or ordered)[-1].power_w)}

    return wishes


def default_commands(elements: Sequence[Element]) -> dict[str, ElementCommand]:
    """What switches and modes do where no policy says otherwise: closed, and `normal` or the first."""
    commands = {}
    for one in elements:
        able = one.capabilities
        command = ElementCommand()
        if not isinstance(able.switch, UnsetType):
            command = msgspec.structs.replace(command, switch=SwitchCommand(closed=True))
        if not isinstance(able.mode, UnsetType):
            modes = able.mode.modes
            command = msgspec.structs.replace(
                command, mode=ModeCommand(mode="normal" if "normal" in modes else next(iter(modes)))
            )
        commands[one.id] = command
    return commands
