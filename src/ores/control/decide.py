"""The control cycle: a frozen picture of the house in, commands and their reasons out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ores.control.bounds import Asked, gather
from ores.control.chargers import wish_chargers
from ores.control.commands import compose
from ores.control.curtail import hold_export
from ores.control.dispatch import bound_batteries, dispatch
from ores.control.house import House, read
from ores.control.limits import Limit, hold_limits
from ores.control.memory import Memory
from ores.control.offers import GRID_OBLIGATION, POLICY, Offer
from ores.control.rise import rise_slowly
from ores.control.rulings import Ruling, noticed
from ores.control.shed import switch
from ores.control.snapshot import Snapshot
from ores.control.strategies.backup_reserve import backup_reserve
from ores.control.strategies.ev_surplus import ev_surplus
from ores.control.strategies.export_limit import export_limit
from ores.control.strategies.heat_surplus import heat_surplus
from ores.control.strategies.import_limit import import_limit
from ores.control.strategies.island import island
from ores.control.strategies.self_consumption import self_consumption
from ores.model import ElementCommand

_STRATEGIES = (
    import_limit,
    export_limit,
    island,
    backup_reserve,
    ev_surplus,
    heat_surplus,
    self_consumption,
)
_SUSPENDED_ON_ISLAND = frozenset({GRID_OBLIGATION})


class Decided(Struct, frozen=True, kw_only=True):
    """The outcome of one cycle.

    Attributes:
        commands: By module id and element id; complete, for the hub to wrap into leases.
        decisions: What a person would notice as new since the cycle before.
        rulings: What holds now for each element, by `module/element`.
        memory: For the next cycle.
    """

    commands: dict[str, dict[str, ElementCommand]]
    decisions: list[Ruling]
    rulings: dict[str, Ruling]
    memory: Memory


def decide(snapshot: Snapshot, proposals: Iterable[Offer], memory: Memory, now_s: float) -> Decided:
    """Decide what every element is told.

    Args:
        snapshot: The house, frozen.
        proposals: From outside, prepared; the strategies add their own.
        memory: Of the cycle before, or an empty one: that only narrows.
        now_s: Process time, monotonic.
    """
    proposals = list(proposals)
    house, rulings = _cycle(snapshot, proposals, memory, now_s, watched=False)
    commands: dict[str, dict[str, ElementCommand]] = {}
    for ruling in rulings.values():
        if ruling.command is not None:
            commands.setdefault(ruling.module_id, {})[ruling.element_id] = ruling.command
    if not all(module.controllable for module in snapshot.modules.values()):
        # Once more as if watched modules were ours: what would they be told?
        _, would = _cycle(snapshot, proposals, memory, now_s, watched=True)
        rulings |= {key: ruling for key, ruling in would.items() if ruling.watch_only}
    decisions = _record(house, memory, rulings, now_s)
    return Decided(commands=commands, decisions=decisions, rulings=rulings, memory=house.draft.freeze(now_s))


def _cycle(
    snapshot: Snapshot, proposals: list[Offer], memory: Memory, now_s: float, *, watched: bool
) -> tuple[House, dict[str, Ruling]]:
    house = read(snapshot, memory, now_s, watched=watched)
    offers = [*proposals]
    for strategy in _STRATEGIES:
        offers += strategy(house)
    asked = gather(offers, now_s, _SUSPENDED_ON_ISLAND if house.island else frozenset())
    bound_batteries(house, asked)
    wish_chargers(house, asked)
    limits = _share_room(house, asked)
    hold_export(house, asked)
    circuits = switch(house, asked, limits)
    return house, compose(house, asked, circuits)


def _share_room(house: House, asked: Asked) -> list[Limit]:
    """Batteries and chargers below the limits; what a charger does not take yet is left to the batteries."""
    wished_w = [unit.command_w for unit in house.chargers]
    dispatch(house, asked)
    limits = hold_limits(house, asked)
    rise_slowly(house, limits)
    if [unit.command_w for unit in house.chargers] == wished_w:
        return limits
    for battery in house.batteries:
        battery.command_w = None
        battery.limited.clear()
        battery.say("", POLICY, "", "")
    dispatch(house, asked)
    return hold_limits(house, asked)


def _record(house: House, memory: Memory, rulings: dict[str, Ruling], now_s: float) -> list[Ruling]:
    """The rulings that say something new, remembered so that they are not said again."""
    decisions = []
    known = house.topology.places.keys()
    told_before = memory.told
    if not told_before.keys() <= known:
        told_before = {key: told for key, told in told_before.items() if key in known}
    house.draft.told = dict(told_before)
    for key, ruling in rulings.items():
        before = memory.told.get(key)
        if (
            before is not None
            and before.number == ruling.number
            and before.rule == ruling.rule
            and before.limited_by == ruling.limited_by
        ):
            continue  # most of them, most of the time
        told = noticed(ruling, before, now_s)
        if told is not None:
            decisions.append(ruling)
            house.draft.told[key] = told
    return decisions
