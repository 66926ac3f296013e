"""The control cycle: a frozen picture of the house in, commands and their reasons out."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from ores.control.bounds import gather
from ores.control.commands import battery_command, remember_sent, ruling
from ores.control.dispatch import bound_batteries, dispatch
from ores.control.house import House, read
from ores.control.memory import Memory
from ores.control.offers import GRID_OBLIGATION, Offer
from ores.control.rulings import Ruling, noticed
from ores.control.snapshot import Snapshot
from ores.control.strategies.self_consumption import self_consumption
from ores.model import ElementCommand

_STRATEGIES = (self_consumption,)
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
    house = _cycle(snapshot, proposals, memory, now_s, watched=False)
    commands: dict[str, dict[str, ElementCommand]] = {}
    rulings: dict[str, Ruling] = {}
    _compose(house, commands, rulings)
    if not all(module.controllable for module in snapshot.modules.values()):
        _watch(snapshot, proposals, memory, now_s, rulings)
    decisions = _record(house, memory, rulings, now_s)
    return Decided(commands=commands, decisions=decisions, rulings=rulings, memory=house.draft.freeze(now_s))


def _cycle(
    snapshot: Snapshot, proposals: list[Offer], memory: Memory, now_s: float, *, watched: bool
) -> House:
    house = read(snapshot, memory, now_s, watched=watched)
    offers = [*proposals]
    for strategy in _STRATEGIES:
        offers += strategy(house)
    asked = gather(offers, now_s, _SUSPENDED_ON_ISLAND if house.island else frozenset())
    bound_batteries(house, asked)
    dispatch(house, asked)
    return house


def _compose(
    house: House, commands: dict[str, dict[str, ElementCommand]], rulings: dict[str, Ruling]
) -> None:
    for unit in house.batteries:
        command = battery_command(unit)
        commands.setdefault(unit.place.module_id, {})[unit.place.element_id] = command
        if unit.command_w is not None:
            remember_sent(house, unit, unit.command_w)
        if unit.rule:
            rulings[unit.key] = ruling(house, unit, command, unit.command_w or 0.0)


def _watch(
    snapshot: Snapshot, proposals: list[Offer], memory: Memory, now_s: float, rulings: dict[str, Ruling]
) -> None:
    """Decide once more as if watched modules were ours, and keep what concerns them."""
    would = _cycle(snapshot, proposals, memory, now_s, watched=True)
    would_rulings: dict[str, Ruling] = {}
    _compose(would, {}, would_rulings)
    rulings.update({key: ruling for key, ruling in would_rulings.items() if ruling.watch_only})


def _record(house: House, memory: Memory, rulings: dict[str, Ruling], now_s: float) -> list[Ruling]:
    decisions = []
    for key, each in rulings.items():
        before = memory.told.get(key)
        told = noticed(each, before, now_s)
        if told is not None:
            decisions.append(each)
            house.draft.told[key] = told
        elif before is not None:
            house.draft.told[key] = before
    return decisions
