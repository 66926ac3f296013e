"""Holding what may be drawn: at the connection, in each of its conductors, in each circuit.

Each limit is a sum that must stay below a value: what nobody steers, and what each steered unit adds. Where
it is exceeded, the weakest wishes are cut first, equals pro rata; then batteries support; what is left is
for `shed` to open.
"""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.bounds import Asked, strictest
from ores.control.chargers import to_steps
from ores.control.dispatch import share
from ores.control.house import House, settled
from ores.control.offers import CONNECTION, RANKS, Bound
from ores.control.topology import Circuit, Place
from ores.control.units import BatteryUnit, ChargerUnit, Unit


class Limit:
    """One limit on drawing.

    Attributes:
        subject: What is limited.
        bound: Value, in W or A, and who says so.
        fixed: What is not steered, in the same unit; None is unknown.
        members: Steered units and what each W of them adds.
        spare: What is left below the limit once all is decided (negative: exceeded).
    """

    __slots__ = ("bound", "fixed", "members", "spare", "subject")

    def __init__(self, subject: str, bound: Bound, members: list[tuple[Unit, float]]) -> None:
        self.subject = subject
        self.bound = bound
        self.members = members
        self.fixed: float | None = None
        self.spare = inf

    def excess(self) -> float:
        """By how much the limit would be exceeded with what is decided so far."""
        total = self.fixed or 0.0
        for unit, per_w in self.members:
            draw_w = unit.command_w
            if draw_w is None:  # told nothing: nobody may count on what it gives
                draw_w = max(0.0, unit.power_w or 0.0)
            elif unit.absent:
                draw_w = 0.0
            total += draw_w * per_w
        return total - self.bound.value


def hold_limits(house: House, asked: Asked) -> list[Limit]:
    """Cut what is too much under each limit.

    Returns:
        The limits, with what is spare below each.
    """
    limits = _limits(house, asked)
    for limit in limits:
        excess = limit.excess()
        if excess <= 0.0:
            continue
        _cut(limit, excess)
        if limit.fixed is not None and limit.excess() > 0.0:
            _support(limit)
    for limit in limits:
        limit.spare = -limit.excess() if limit.fixed is not None else 0.0
    return limits


def _limits(house: House, asked: Asked) -> list[Limit]:
    limits: list[Limit] = []
    units: list[Unit] = [*house.batteries, *house.chargers]
    if house.grid_w is not None:
        connection = asked.bounds.get(CONNECTION)
        bound = strictest(connection.consume) if connection is not None else None
        if bound is not None:
            limits.append(_fixed(house, Limit(CONNECTION, bound, [(u, 1.0) for u in units]), house.grid_w))
        per_w = [(unit, unit.amps_per_w, unit.place.conductors) for unit in units]
        for line, line_a in house.line_a.items():
            phase = asked.bounds.get(line)
            bound = strictest(phase.current) if phase is not None else None
            if bound is not None:
                members = [(unit, each) for unit, each, lines in per_w if not lines or line in lines]
                limits.append(_fixed(house, Limit(line, bound, members), line_a))
    by_key = {unit.key: unit for unit in units}
    for circuit in house.topology.circuits:
        limits += _circuit_limits(house, asked, circuit, by_key)
    return limits


def _fixed(house: House, limit: Limit, measured: float | None) -> Limit:
    """Reckon what nobody steers. Memory may only show less of it than the plain readings do."""
    if measured is None:
        _to_least(limit)
        return limit
    plain, settled_ = settled(measured, limit.members, house.memory.fixed.get(limit.subject))
    house.draft.fixed[limit.subject] = settled_
    limit.fixed = min(plain, settled_)
    return limit


def _to_least(limit: Limit) -> None:
    """Nobody knows what flows: nothing more is drawn than the least that charging needs."""
    for unit, _ in limit.members:
        unit.limit_by(limit.bound.source)
        least_w = 0.0
        if isinstance(unit, ChargerUnit):
            least_w = unit.charger.current_min_a * unit.watt_per_a
        unit.high_w = min(unit.high_w, least_w)
        if unit.command_w is not None:
            unit.command_w = min(unit.command_w, least_w)


def _circuit_limits(house: House, asked: Asked, circuit: Circuit, by_key: dict[str, Unit]) -> list[Limit]:
    bounds = asked.bounds.get(circuit.place.key)
    if bounds is None:
        return []
    members = [unit for key, unit in by_key.items() if key in circuit.members]
    if not members and not circuit.can_be_shed:
        return []
    limits = []
    power_w, current_a = _circuit_reading(house, circuit.place)
    current, consume = strictest(bounds.current), strictest(bounds.consume)
    if current is not None:
        limit = Limit(circuit.place.key, current, [(unit, unit.amps_per_w) for unit in members])
        limits.append(_fixed(house, limit, current_a))
    if consume is not None:
        limit = Limit(f"{circuit.place.key} W", consume, [(unit, 1.0) for unit in members])
        limits.append(_fixed(house, limit, power_w))
    return limits


def _circuit_reading(house: House, place: Place) -> tuple[float | None, float | None]:
    """Power of a circuit and the current of its most loaded conductor; None is unknown."""
    state = house.state(place)
    measure = state.ac_measure if state is not None else UNSET
    if measure is UNSET or measure.power_w is None:
        return None, None
    current_a = measure.power_w / place.watt_per_a
    if measure.terminals is not UNSET:
        for line, terminal in measure.terminals.items():
            if (
                line in place.conductors
                and terminal.current_a is not UNSET
                and terminal.current_a is not None
            ):
                current_a = max(current_a, terminal.current_a)
    return measure.power_w, current_a


def _cut(limit: Limit, excess: float) -> None:
    """Cut the weakest wishes first, equals pro rata, down to nothing drawn.

    Of one rank, batteries give way before chargers: what they need not draw now they can draw later.
    """
    groups = ((rank, kind) for rank in range(len(RANKS) - 1, -1, -1) for kind in (BatteryUnit, ChargerUnit))
    for rank, kind in groups:
        if excess <= 1e-6:
            return
        group = [
            (unit, per_w)
            for unit, per_w in limit.members
            if unit.rank == rank and isinstance(unit, kind) and (unit.command_w or 0.0) > 0.0
        ]
        drawn = sum((unit.command_w or 0.0) * per_w for unit, per_w in group)
        if drawn <= 0.0:
            continue
        keep = max(0.0, 1.0 - excess / drawn)
        for unit, _ in group:
            unit.command_w = _lowered(unit, (unit.command_w or 0.0) * keep)
            unit.limit_by(limit.bound.source)
        excess = limit.excess()


def _lowered(unit: Unit, power_w: float) -> float:
    return to_steps(unit, power_w) if isinstance(unit, ChargerUnit) else float(int(power_w))


def _support(limit: Limit) -> None:
    """Let batteries give what the limit lacks."""
    helpers = [
        (unit, per_w)
        for unit, per_w in limit.members
        if isinstance(unit, BatteryUnit) and unit.low_w < 0.0 and (unit.command_w or 0.0) <= 0.0
        if unit.power_w is not None and unit.rule != "island"
    ]
    if not helpers:
        return
    per_w = max(p for _, p in helpers)
    # A battery on three conductors helps each with a third: ask for what the limit itself needs.
    given_w = sum(-(unit.command_w or 0.0) for unit, _ in helpers)
    shares = share(-(given_w + limit.excess() / per_w), [unit for unit, _ in helpers])
    for (unit, _), power_w in zip(helpers, shares, strict=True):
        if power_w < (unit.command_w or 0.0):
            unit.command_w = max(unit.low_w, float(int(power_w) - 1))
            unit.say(
                limit.bound.rule, limit.bound.rank, limit.bound.source, f"discharging: {limit.bound.reason}"
            )
