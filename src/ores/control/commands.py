"""From what was decided to what is sent: one command for each element, complete each time."""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.bounds import Asked, limit_of
from ores.control.chargers import current_a
from ores.control.curtail import say_free
from ores.control.house import House
from ores.control.memory import Sent
from ores.control.offers import EQUIPMENT, POLICY, RANKS, Bound
from ores.control.rulings import Ruling
from ores.control.shed import CircuitUnit
from ores.control.topology import Place, Producer
from ores.control.units import BatteryUnit, ChargerUnit, HeatUnit, ProducerUnit, Unit
from ores.model import ElementCommand, Limits, ModeCommand, SetpointCommand, SwitchCommand

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


def compose(house: House, asked: Asked, circuits: list[CircuitUnit]) -> dict[str, Ruling]:
    """One ruling with its command for each element that the cycle decides about, by `module/element`."""
    rulings: dict[str, Ruling] = {}
    _rule_producers(house, rulings)
    for battery in house.batteries:
        output = rulings.get(battery.key)  # where the set-point is that of a whole inverter
        command = _battery_command(battery, inf if output is None else output.number)
        if battery.command_w is not None:
            remember_sent(house, battery, battery.command_w)
        elif not battery.rule:
            battery.say("policy", POLICY, "owner", "nobody asks for anything: it keeps to its own policy")
        rulings[battery.key] = ruling(house, battery, command, battery.command_w or 0.0)
    for charger in house.chargers:
        remember_sent(house, charger, charger.command_w or 0.0)
        rulings[charger.key] = ruling(house, charger, _charger_command(charger), charger.command_w or 0.0)
    for heat in house.heats:
        rulings[heat.key] = _heat_ruling(house, asked, heat)
    for circuit in circuits:
        switch = SwitchCommand(closed=circuit.closed is True)
        command = ElementCommand(limit=_plain_limits(circuit.place, asked) or UNSET, switch=switch)
        rulings[circuit.key] = ruling(house, circuit, command, float(switch.closed))
    for place in house.topology.plain:
        if place.key not in rulings and house.steers(place):
            _rule_plain(house, asked, place, rulings)
    return rulings


def _rule_producers(house: House, rulings: dict[str, Ruling]) -> None:
    """What producers may give is the number of their ruling; the free ones have a standing one."""
    units = {unit.key: unit for unit in house.producers}
    for producer in house.topology.producers:
        key = producer.place.key
        if key in house.free:
            rulings[key] = _standing(house, key) or _keep(house, _free_ruling(house, producer))
        elif (unit := units.get(key)) is not None:
            rulings[key] = _producer_ruling(house, unit)


def _producer_ruling(house: House, unit: ProducerUnit) -> Ruling:
    limit = limits(unit.place, inf, unit.allowed_w, unit.place.current_max_a)
    return ruling(house, unit, _command(limit), unit.allowed_w)


def _free_ruling(house: House, producer: Producer) -> Ruling:
    unit = ProducerUnit(producer, None)
    say_free(unit)
    return _producer_ruling(house, unit)


def _standing(house: House, key: str) -> Ruling | None:
    """The ruling that holds as long as nobody asks anything of this element; made once."""
    return None if house.watched else house.topology.standing.get(key)


def _keep(house: House, made: Ruling) -> Ruling:
    if not house.watched:  # the one is about modules that are watched, and says so
        house.topology.standing[f"{made.module_id}/{made.element_id}"] = made
    return made


def _command(limit: Limits | None) -> ElementCommand:
    return ElementCommand(limit=UNSET if limit is None else limit)


def _battery_command(unit: BatteryUnit, allowed_w: float) -> ElementCommand:
    produce_max_w = min(unit.produce_max_w, allowed_w)
    limit = limits(unit.place, unit.consume_max_w, produce_max_w, unit.place.current_max_a)
    return ElementCommand(
        limit=UNSET if limit is None else limit,
        setpoint=UNSET if unit.command_w is None else SetpointCommand(power_w=unit.command_w),
    )


def _charger_command(unit: ChargerUnit) -> ElementCommand:
    power_w = unit.command_w or 0.0
    if unit.charger.by_setpoint:
        return ElementCommand(setpoint=SetpointCommand(power_w=power_w))
    # Where only power can be limited, the vehicle's own conductors decide what the current comes to.
    return _command(limits(unit.place, power_w if not unit.place.can_current else inf, inf, current_a(unit)))


def _heat_ruling(house: House, asked: Asked, unit: HeatUnit) -> Ruling:
    place = unit.place
    told = bool(unit.rule or unit.limited) or unit.mode is not None
    asks = told or place.key in asked.bounds or place.module_id in asked.bounds
    if not asks and (standing := _standing(house, place.key)) is not None:
        return standing
    limit = _plain_limits(place, asked)
    if not unit.rule:
        unit.say("policy", POLICY, "owner", "nobody asks for anything: it keeps to its own policy")
    command = ElementCommand(
        limit=UNSET if limit is None else limit,
        mode=UNSET if unit.mode is None else ModeCommand(mode=unit.mode),
    )
    # Modes have no size: each counts as its own number.
    names = [unit.heat.blocked, unit.heat.normal, unit.heat.boost]
    number = 1000.0 * (names.index(unit.mode) + 1) if unit.mode in names else 0.0
    made = ruling(house, unit, command, number)
    return made if asks else _keep(house, made)


def _plain_limits(place: Place, asked: Asked) -> Limits | None:
    """The limits that the offers leave an element that nobody steers."""
    consume_w, produce_w, current_a_ = place.consume_max_w, place.produce_max_w, place.current_max_a
    for subject in (place.key, place.module_id):
        bounds = asked.bounds.get(subject)
        if bounds is not None:
            consume_w = min(consume_w, limit_of(bounds.consume))
            produce_w = min(produce_w, limit_of(bounds.produce))
            current_a_ = min(current_a_, limit_of(bounds.current))
    return limits(place, consume_w, produce_w, current_a_)


def _rule_plain(house: House, asked: Asked, place: Place, rulings: dict[str, Ruling]) -> None:
    asks = place.key in asked.bounds or place.module_id in asked.bounds
    if not asks and (standing := _standing(house, place.key)) is not None:
        rulings[place.key] = standing
        return
    limit = _plain_limits(place, asked)
    if limit is None:
        return
    unit = Unit(place, None)
    unit.say("rating", EQUIPMENT, "hub", "it may do what it is rated for")
    for subject in (place.key, place.module_id):
        for bound in (b for kind in ("consume", "produce", "current") for b in _bounds(asked, subject, kind)):
            unit.limit_by(bound.source)
            unit.say(bound.rule, bound.rank, bound.source, bound.reason)
    made = ruling(house, unit, _command(limit), 0.0)
    rulings[place.key] = made if asks else _keep(house, made)


def _bounds(asked: Asked, subject: str, kind: str) -> list[Bound]:
    bounds = asked.bounds.get(subject)
    if bounds is None:
        return []
    return {"consume": bounds.consume, "produce": bounds.produce, "current": bounds.current}[kind]


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
