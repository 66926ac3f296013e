"""From what was decided to what is sent: one command for each element, complete each time."""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.house import BatteryUnit, House, Unit
from ores.control.memory import Sent
from ores.control.offers import RANKS
from ores.control.rulings import Ruling
from ores.control.topology import Place
from ores.model import ElementCommand, Limits, SetpointCommand

MAX_W = 1e6
MAX_A = 1e4


def limits(place: Place, consume_max_w: float, produce_max_w: float, current_max_a: float) -> Limits | None:
    """The limits that an element accepts, never above its rating; None where it accepts none.

    A limit that is left out means the failsafe limit, so each one that can be given is given.
    """
    consume = place.can_consume and consume_max_w < inf
    produce = place.can_produce and produce_max_w < inf
    current = place.can_current and current_max_a < inf
    if not (consume or produce or current):
        return None
    return Limits(
        consume_max_w=min(max(consume_max_w, 0.0), place.consume_max_w, MAX_W) if consume else UNSET,
        produce_max_w=min(max(produce_max_w, 0.0), place.produce_max_w, MAX_W) if produce else UNSET,
        current_max_a=min(max(current_max_a, 0.0), place.current_max_a, MAX_A) if current else UNSET,
    )


def battery_command(unit: BatteryUnit) -> ElementCommand:
    """Limits and set-point of a battery."""
    limit = limits(unit.place, unit.consume_max_w, unit.produce_max_w, unit.place.current_max_a)
    return ElementCommand(
        limit=UNSET if limit is None else limit,
        setpoint=UNSET if unit.command_w is None else SetpointCommand(power_w=unit.command_w),
    )


def remember_sent(house: House, unit: Unit, power_w: float) -> None:
    """Remember a command that may now be on its way, if it differs from the one before."""
    sent = house.draft.sent.get(unit.key, ())
    if not sent or abs(sent[-1].power_w - power_w) >= 1.0:
        house.draft.sent[unit.key] = (*sent, Sent(house.now_s, power_w))


def ruling(house: House, unit: Unit, command: ElementCommand | None, number: float) -> Ruling:
    """Put into words what was decided about a unit."""
    module = house.snapshot.modules[unit.place.module_id]
    return Ruling(
        module_id=unit.place.module_id,
        element_id=unit.place.element_id,
        rule=unit.rule,
        rank=RANKS[unit.rank],
        source=unit.source,
        reason=unit.reason,
        limited_by=tuple(unit.limited),
        command=command,
        watch_only=not module.controllable,
        number=number,
    )
