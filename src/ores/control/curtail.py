"""Holding what may be exported: batteries first, then the sun, only as far as nobody can take it.

Limits on the sun are absolute: what the house takes now and what may be exported, less a guard. A hub that
dies leaves them standing, so more sun cannot push more into the grid before the lease ends.
"""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.bounds import NONE, Asked, limit_of, strictest
from ores.control.deal import Need, need_of, shares
from ores.control.dispatch import guard_w, on_steps
from ores.control.house import House, settled, wake
from ores.control.memory import Sent
from ores.control.offers import CONNECTION, POLICY, Bound
from ores.control.units import BatteryUnit, ProducerUnit, Unit
from ores.control.words import kilo

# Batteries keep the whole guard, the sun this part of it: so it is free as long as batteries can take it.
SUN_GUARD_PART = 0.5
# A limit on the sun stays while it is no further, in parts of the guard, above or below what is wanted.
KEPT_ABOVE_PART = 0.25
KEPT_BELOW_PART = 0.6
# What is expected of a producer is remembered anew when it differs by this. It is far less than any guard:
# what the meter sees beyond it counts as load, and would be given out as room that is not there.
EXPECTED_W = 5.0


def hold_export(house: House, asked: Asked) -> None:
    """Keep discharging batteries, then producers, below what may be exported."""
    _wake_bounded(house, asked)
    for unit in house.producers:
        say_free(unit)
        for subject in (unit.key, unit.place.module_id):
            bounds = asked.bounds.get(subject, NONE)
            narrowest = strictest(bounds.produce)
            if narrowest is not None and narrowest.value < unit.allowed_w:
                _narrow(unit, narrowest.value, narrowest)
    _hold_modules(house, asked)
    bound = strictest(asked.bounds.get(CONNECTION, NONE).produce)
    if bound is None or house.grid_w is None:
        _idle_unseen(house, asked)
        return
    _hold_batteries(house, bound, house.grid_w)
    _hold_producers(house, bound, house.grid_w)
    for battery in house.batteries:
        _keep_behind_output(house, battery)


def say_free(unit: ProducerUnit) -> None:
    """As long as nothing narrows it."""
    unit.say("free", POLICY, "hub", "the sun may give what it has")


def _wake_bounded(house: House, asked: Asked) -> None:
    bounded = {subject for subject, bounds in asked.bounds.items() if bounds.produce}
    if CONNECTION in bounded:
        wake(house, house.free)
    elif bounded:
        places = house.topology.places
        wake(house, {key for key in house.free if key in bounded or places[key].module_id in bounded})


def _narrow(unit: ProducerUnit, allowed_w: float, bound: Bound) -> None:
    unit.allowed_w = allowed_w
    unit.limit_by(bound.source)
    unit.say(bound.rule, bound.rank, bound.source, f"at most {kilo(allowed_w)}: {bound.reason}")


def _hold_modules(house: House, asked: Asked) -> None:
    """A bound on a module of several producers is shared pro rata of what each could give."""
    groups: dict[str, list[ProducerUnit]] = {}
    for unit in house.producers:
        groups.setdefault(unit.place.module_id, []).append(unit)
    for module_id, units in groups.items():
        bound = strictest(asked.bounds.get(module_id, NONE).produce) if len(units) > 1 else None
        if bound is None:
            continue
        needs = [need_of(house, unit) for unit in units]
        for unit, allowed_w in zip(units, shares(units, needs, bound.value), strict=True):
            if allowed_w < unit.allowed_w:
                _narrow(unit, allowed_w, bound)


def _idle_unseen(house: House, asked: Asked) -> None:
    """Where export is limited and nobody sees it, no battery discharges."""
    if limit_of(asked.bounds.get(CONNECTION, NONE).produce) == inf:
        return
    for unit in house.batteries:
        if unit.command_w is not None and unit.command_w < 0.0:
            unit.command_w = 0.0
            unit.limit_by("export limit")


def _hold_batteries(house: House, bound: Bound, grid_w: float) -> None:
    """Batteries discharge into the house, and into the grid only up to the limit."""
    units: list[tuple[Unit, float]] = [(unit, 1.0) for unit in house.batteries]
    plain_w, settled_w = settled(grid_w, units, house.memory.fixed.get("discharge"))
    house.draft.fixed["discharge"] = settled_w
    # What remembers may only show more room to give than the plain readings.
    room_w = max(0.0, max(plain_w, settled_w) + bound.value)
    giving = [unit for unit in house.batteries if (unit.command_w or 0.0) < 0.0]
    taken_w = sum(unit.command_w or 0.0 for unit in house.batteries if (unit.command_w or 0.0) > 0.0)
    given_w = -sum(unit.command_w or 0.0 for unit in giving)
    excess_w = given_w - room_w - taken_w
    for rank in sorted({unit.rank for unit in giving}, reverse=True):
        group = [unit for unit in giving if unit.rank == rank]
        group_w = -sum(unit.command_w or 0.0 for unit in group)
        if excess_w <= 1e-6:
            break
        keep = max(0.0, 1.0 - excess_w / group_w) if group_w > 0.0 else 0.0
        excess_w -= group_w * (1.0 - keep)
        for unit in group:
            unit.command_w = on_steps(unit, float(int((unit.command_w or 0.0) * keep)))
            unit.limit_by(bound.source)
    for unit in house.batteries:
        _limit_idle_battery(unit, room_w)


def _limit_idle_battery(unit: BatteryUnit, room_w: float) -> None:
    """A battery on its own policy gets the room as a limit."""
    if unit.command_w is None and unit.rule != "island":
        unit.produce_max_w = min(unit.produce_max_w, float(int(room_w)))


def _hold_producers(house: House, bound: Bound, grid_w: float) -> None:
    if not house.producers:
        return
    needs = [need_of(house, unit) for unit in house.producers]
    now_w = _allowed_w(house, bound, grid_w, needs)
    # A reading that runs ahead of the other looks like room: more is given when two cycles agree.
    before_w = house.memory.fixed.get("allowed", 0.0)
    house.draft.fixed["allowed"] = now_w
    allowed_w = min(now_w, max(before_w, sum(_in_force_w(unit) for unit in house.producers)))
    slack_w = guard_w(bound.value) / len(house.producers)
    given = shares(house.producers, needs, allowed_w)
    for unit, need, share_w in zip(house.producers, needs, given, strict=True):
        if share_w < unit.allowed_w:
            unit.allowed_w = min(unit.allowed_w, _kept(house, unit, share_w, slack_w))
            house.draft.fixed[unit.key] = unit.allowed_w
            _explain(unit, bound)
        _expect(house, unit, need)


def _expect(house: House, unit: ProducerUnit, need: Need) -> None:
    """Remember what it now gives and what it will: the meter may see either."""
    if unit.power_w is None:
        return
    house.draft.readings[unit.key] = unit.power_w
    expected_w = need.drawn_w - min(unit.allowed_w, need.sun_w + need.store_w)
    if unit.last is None or abs(unit.last.power_w - expected_w) > EXPECTED_W:
        before = house.draft.sent.get(unit.key, ())
        house.draft.sent[unit.key] = (*before, Sent(house.now_s, expected_w))


def _allowed_w(house: House, bound: Bound, grid_w: float, needs: list[Need]) -> float:
    """What all producers together may give: what is taken, and what may be exported, less the guard."""
    outputs = {unit.key for unit in house.producers}
    takers: list[Unit] = [
        u for u in house.batteries if u.key not in outputs and u.battery.producer not in outputs
    ]
    takers += house.chargers
    units: list[tuple[Unit, float]] = [(unit, 1.0) for unit in (*takers, *house.producers)]
    before = house.memory.fixed.get("export")
    plain_w, settled_w = settled(grid_w, units, before)
    house.draft.fixed["export"] = settled_w
    beyond_w = bound.value - SUN_GUARD_PART * guard_w(bound.value)
    # Without memory nobody knows what is on its way, nor whether a producer still gives what it reports: for
    # one cycle nothing counts as taken, nor as given.
    reported_w = sum(max(0.0, -(unit.power_w or 0.0)) for unit in house.producers)
    sure_w = plain_w + sum(_taken_w(unit, sure=False) for unit in takers) - reported_w
    if before is not None:
        known_w = settled_w + sum(_taken_w(unit, sure=True) for unit in takers)
        sure_w = max(sure_w, known_w + sum(need.drawn_w for need in needs))
    return max(0.0, sure_w + beyond_w)


def _taken_w(unit: Unit, *, sure: bool) -> float:
    """What of the sun a unit takes for certain.

    What is told to fall will fall; what is told to rise has not risen yet. What a battery is told to give is
    bounded by what the sun leaves, so the sun need not make room for it.
    """
    power_w = unit.power_w or 0.0
    if power_w <= 0.0:
        return power_w
    if not sure:
        return 0.0
    return power_w if unit.command_w is None else min(power_w, max(0.0, unit.command_w))


def _in_force_w(unit: ProducerUnit) -> float:
    """The limit that the producer reports, else the most that it now gives."""
    limit = unit.state.limit if unit.state is not None else UNSET
    if limit is UNSET or limit.produce_max_w is UNSET:
        return max(0.0, -(unit.power_w or 0.0))
    return limit.produce_max_w


def _kept(house: House, unit: ProducerUnit, wanted_w: float, guard_part_w: float) -> float:
    """The limit stays while it holds nothing back, or while what is wanted lies within a part of the guard.

    Load is never still; without this each second would bring a new limit. Without memory it is the narrowest
    that any memory could have kept.
    """
    told_w = house.memory.fixed.get(unit.key)
    below_w, above_w = KEPT_BELOW_PART * guard_part_w, KEPT_ABOVE_PART * guard_part_w
    if told_w is None:
        wanted_w = max(0.0, wanted_w - below_w)
    elif wanted_w > 0.0 and -below_w <= told_w - wanted_w <= above_w:
        return told_w
    held_w = _in_force_w(unit)
    peak_w = min(unit.place.produce_max_w, 1e6)
    free = unit.available_w is not None and not unit.producer.stores
    if free and wanted_w > held_w >= (unit.available_w or 0.0) + 0.05 * peak_w:
        return held_w
    return wanted_w


def _explain(unit: ProducerUnit, bound: Bound) -> None:
    available_w = unit.available_w
    if available_w is not None and not unit.producer.stores and unit.allowed_w >= available_w:
        unit.say(
            "export_limit", bound.rank, bound.source, f"all of {kilo(available_w)} is taken: {bound.reason}"
        )
        return
    unit.limit_by(bound.source)
    of = f" of {kilo(available_w)}" if available_w is not None else ""
    unit.say(
        "export_limit",
        bound.rank,
        bound.source,
        f"{kilo(unit.allowed_w)}{of}: nobody can take more, and {bound.reason}",
    )


def _keep_behind_output(house: House, unit: BatteryUnit) -> None:
    """An inverter that is told a set-point and a limit on its output gets no set-point beyond it."""
    if unit.command_w is None or unit.command_w >= 0.0 or not unit.battery.whole_inverter:
        return
    for producer in house.producers:
        if producer.key == unit.key and unit.command_w < -producer.allowed_w:
            unit.command_w = on_steps(unit, -producer.allowed_w)
            unit.limited += [source for source in producer.limited if source not in unit.limited]
