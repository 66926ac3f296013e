"""The last means: heat is blocked, then circuits that are not critical are opened, and patiently closed."""

from __future__ import annotations

from msgspec import UNSET

from ores.control.bounds import Asked
from ores.control.house import House
from ores.control.limits import Limit
from ores.control.memory import Shed
from ores.control.offers import CONNECTION, EQUIPMENT
from ores.control.snapshot import power_w
from ores.control.topology import Circuit
from ores.control.units import HeatUnit, Unit

# An inrush is no overload; and where others can help, they get the time to.
ALONE_PATIENCE_S = 1.5
PATIENCE_S = 4.0
SETTLE_S = 10.0
# Room must last this long, and be this much larger than what was shed.
RETURN_S = 60.0
RETURN_PART = 1.2
# What alone is too much for its own circuit never has room; the appliance may have been turned off since.
TRY_AGAIN_S = 2.0 * 3600.0


class CircuitUnit(Unit):
    """A switchable circuit during one cycle; `closed` is what it is told, None leaves it alone."""

    __slots__ = ("circuit", "closed")

    def __init__(self, circuit: Circuit, house: House) -> None:
        super().__init__(circuit.place, house.state(circuit.place))
        self.circuit = circuit
        self.closed: bool | None = None


def switch(house: House, asked: Asked, limits: list[Limit]) -> list[CircuitUnit]:
    """Decide modes of heat and positions of circuits: wishes first, then what the limits demand.

    Returns:
        The circuits that are told something.
    """
    wished = bool(asked.closed) or bool(house.memory.shed) or any(limit.spare < 0.0 for limit in limits)
    circuits = [
        CircuitUnit(circuit, house)
        for circuit in (house.topology.circuits if wished else ())
        if circuit.switchable and house.steers(circuit.place)
    ]
    _wishes(house, asked, circuits)
    units: list[Unit] = [*house.heats, *circuits]
    # What is stale for a moment is not forgotten: nobody else would close it again.
    known = {unit.key for unit in units}
    house.draft.shed.update({key: shed for key, shed in house.memory.shed.items() if key not in known})
    for unit in units:
        shed = house.memory.shed.get(unit.key)
        if shed is not None:
            _keep_or_return(house, unit, shed, limits)
    for limit in limits:
        if limit.spare < 0.0:
            _shed(house, units, limit)
    return [unit for unit in circuits if unit.closed is not None]


def _wishes(house: House, asked: Asked, circuits: list[CircuitUnit]) -> None:
    for unit in house.heats:
        mode = asked.mode.get(unit.key) or asked.mode.get(unit.place.module_id)
        if mode is not None and mode.mode in unit.heat.modes:
            unit.mode = mode.mode
            unit.say(mode.rule, mode.rank, mode.source, mode.reason)
    for circuit in circuits:
        wish = asked.closed.get(circuit.key)
        if wish is not None:
            circuit.closed = wish.closed
            circuit.say(wish.rule, wish.rank, wish.source, wish.reason)


def _affects(unit: Unit, limit: Limit) -> float:
    """What each W of the unit adds to a limit; 0 where it lies elsewhere."""
    if limit.subject == CONNECTION:
        return 1.0
    if limit.subject in {f"{unit.key} W", f"{unit.place.circuit} W"}:
        return 1.0
    lines = unit.place.conductors
    if limit.subject in {"L1", "L2", "L3"} and (not lines or limit.subject in lines):
        return 1.0 / unit.place.watt_per_a
    return 1.0 / unit.place.watt_per_a if limit.subject in {unit.key, unit.place.circuit} else 0.0


def _shed(house: House, units: list[Unit], limit: Limit) -> None:
    since_s = house.memory.over_since_s.get(limit.subject, house.now_s)
    house.draft.over_since_s[limit.subject] = since_s
    if house.now_s - since_s < _patience_s(limit):
        return
    over = -limit.spare
    candidates = [
        (unit, drawn_w, drawn_w * _affects(unit, limit))
        for unit in units
        if _sheddable(unit) and unit.key not in house.draft.shed
        if (drawn_w := power_w(unit.state) or 0.0) > 50.0
    ]
    # Heat first, it keeps warm for a while; then the fewest circuits that suffice.
    candidates = [c for c in candidates if c[2] > 0.0]
    candidates.sort(key=lambda c: (not isinstance(c[0], HeatUnit), -c[2]))
    for unit, drawn_w, relief in candidates:
        if over <= 0.0:
            return
        _open(unit)
        unit.limit_by(limit.bound.source)
        unit.say(limit.bound.rule, limit.bound.rank, limit.bound.source, f"shed: {limit.bound.reason}")
        house.draft.shed[unit.key] = Shed(house.now_s, drawn_w)
        # What was shed needs time to show before more is.
        house.draft.over_since_s[limit.subject] = house.now_s + SETTLE_S
        over -= relief


def _patience_s(limit: Limit) -> float:
    alone = not limit.members and "/" in limit.subject
    return ALONE_PATIENCE_S if alone else PATIENCE_S


def _sheddable(unit: Unit) -> bool:
    if isinstance(unit, HeatUnit):
        return bool(unit.heat.blocked) and unit.mode != unit.heat.blocked
    return isinstance(unit, CircuitUnit) and unit.circuit.can_be_shed and unit.closed is not False


def _open(unit: Unit) -> None:
    if isinstance(unit, HeatUnit):
        unit.mode = unit.heat.blocked
    elif isinstance(unit, CircuitUnit):
        unit.closed = False


def _keep_or_return(house: House, unit: Unit, shed: Shed, limits: list[Limit]) -> None:
    now_s = house.now_s
    if _is_back(unit, shed, now_s):
        return
    relevant = [(limit, _affects(unit, limit)) for limit in limits]
    # Without a limit that can be read, nobody knows whether there is room.
    tried = now_s - shed.at_s >= TRY_AGAIN_S
    room = house.grid_w is not None and all(
        limit.spare >= shed.power_w * RETURN_PART * per_w or (tried and _is_own(unit, limit))
        for limit, per_w in relevant
        if per_w > 0.0
    )
    room_since_s = (shed.room_since_s if shed.room_since_s is not None else now_s) if room else None
    min_off_s = unit.circuit.min_off_s if isinstance(unit, CircuitUnit) else 0.0
    rested = now_s - shed.at_s >= min_off_s
    if room_since_s is not None and rested and now_s - room_since_s >= RETURN_S:
        _give_back(house, unit, shed, room_since_s)
        return
    wished_open = isinstance(unit, CircuitUnit) and unit.closed is False
    if not wished_open:
        _open(unit)
        unit.say("import_limit", EQUIPMENT, "wiring", "shed: waits until there is lasting room for it")
    house.draft.shed[unit.key] = Shed(shed.at_s, shed.power_w, room_since_s)


def _is_own(unit: Unit, limit: Limit) -> bool:
    """Whether it is the limit of the circuit itself, and can be read."""
    return limit.fixed is not None and limit.subject in {unit.key, f"{unit.key} W"}


def _is_back(unit: Unit, shed: Shed, now_s: float) -> bool:
    """Whether a circuit that was given back reports that it is closed: then it is like any other."""
    if not isinstance(unit, CircuitUnit) or unit.state is None or unit.state.switch is UNSET:
        return False
    given_back = shed.room_since_s is not None and now_s - max(shed.room_since_s + RETURN_S, shed.at_s) > 0.0
    return given_back and unit.state.switch.closed is True


def _give_back(house: House, unit: Unit, shed: Shed, room_since_s: float) -> None:
    """Close again, and say so until the circuit reports that it is."""
    if isinstance(unit, CircuitUnit):
        if unit.closed is None:
            unit.closed = True
            unit.say("import_limit", EQUIPMENT, "wiring", "there is lasting room for it again")
        house.draft.shed[unit.key] = Shed(shed.at_s, shed.power_w, room_since_s)
    elif isinstance(unit, HeatUnit) and unit.mode is None:
        unit.mode = unit.heat.normal or None
