"""From what devices say of themselves to elements. Pure.

Discovery says what is measured, and not what the device is to the house: that is guessed by words, and said
by a map where it matters. A guess never makes the grid connection point, a store, or a limit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters.mqtt.discovery import Device, Entity
from ores.adapters.mqtt.shown import UNITS, Shown, Source, Steering, There, hold_s
from ores.adapters.mqtt.template import template
from ores.link.errors import PeerError
from ores.model import (
    AcMeasureCapability,
    EnergyCapability,
    Rating,
    StorageCapability,
    SwitchCapability,
)
from ores.module import element

POINT_OF: Final = {
    "power": "power_w",
    "voltage": "voltage_v",
    "current": "current_a",
    "frequency": "frequency_hz",
    "battery": "soc_pct",
}
OUT: Final = re.compile(r"export|return|feed|inject|produc|yield|einspeis|discharg", re.IGNORECASE)
PERIODIC: Final = re.compile(
    r"today|yesterday|daily|day|month|year|week|hour|session|last|reset", re.IGNORECASE
)
SUN: Final = re.compile(r"solar|\bpv\b|photovolt|inverter|hoymiles|opendtu|ahoy|\bdtu\b", re.IGNORECASE)
PHASE: Final = re.compile(r"phase|\bl[123]\b|_[abc]\b|channel|\bdc\b|apparent|reactive|factor", re.IGNORECASE)
_ID: Final = re.compile(r"[^a-z0-9]+")


class Said(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person says of a device that was found, in a map.

    Attributes:
        show: False leaves it out.
        kind: Such as `pv`; empty for the guess.
        name: What it is called; empty for its own.
        connection_point: Its power is that of the grid connection.
        turned: It shows power, and counts energy, the other way round than its kind says.
        conductor: L1, L2 or L3, where it hangs; empty where nobody knows.
        capacity_wh: Of a battery, usable.
        rating_w: What it takes or gives at most.
        max_age_s: For so long its power holds.
    """

    show: bool = True
    kind: str = ""
    name: str = ""
    connection_point: bool = False
    turned: bool = False
    conductor: str = ""
    capacity_wh: float | None = None
    rating_w: float | None = None
    max_age_s: float | None = None


NOTHING_SAID: Final = Said()


class Guessed(msgspec.Struct, frozen=True):
    """What can be shown, and what cannot.

    Attributes:
        shown: Elements.
        left_out: Names of what was found and is not shown, with the reason.
    """

    shown: list[Shown]
    left_out: list[str]


def guess(entities: Iterable[Entity], said: Mapping[str, Said], *, control: bool) -> Guessed:
    """Make elements of all devices that were found.

    Args:
        entities: Of all of them.
        said: By id or name of a device.
        control: Whether switches may be commanded.
    """
    devices: dict[str, list[Entity]] = {}
    for entity in entities:
        devices.setdefault(entity.device.id, []).append(entity)
    shown: list[Shown] = []
    left_out: list[str] = []
    taken: set[str] = set()
    for of_device in sorted(devices.values(), key=lambda one: one[0].device.id):
        device = of_device[0].device
        words = said.get(device.id, said.get(device.name, NOTHING_SAID))
        if words.show:
            shown += _of_device(device, of_device, words, taken, left_out, control=control)
    return Guessed(shown, left_out)


def _of_device(
    device: Device,
    entities: Sequence[Entity],
    said: Said,
    taken: set[str],
    left_out: list[str],
    *,
    control: bool,
) -> Iterator[Shown]:
    sources = list(_sources(device, entities, said, left_out))
    switches = [one for one in entities if _is_switch(one, left_out)]
    points = {source.point for source in sources}
    measures = bool(points & {"power_w", "energy_in_wh", "energy_out_wh"})
    if measures:
        switch = switches[0] if len(switches) == 1 else None
        yield _element(device, entities, said, taken, sources=sources, switch=switch, control=control)
        if switch is not None:
            return
    for switch in switches:
        named = msgspec.structs.replace(device, name=f"{device.name} {switch.name}".strip())
        yield _element(named, [switch], said, taken, switch=switch, control=control)
    if not measures and not switches:
        names = ", ".join(sorted({one.name or one.id for one in entities})[:5])
        left_out.append(f"{device.name}: neither power nor energy nor a switch ({names})")


def _is_switch(entity: Entity, left_out: list[str]) -> bool:
    """Whether it can be commanded, and says where it stands."""
    if entity.component != "switch" or not entity.command_topic or entity.state is None:
        return False
    try:
        template(entity.state.template)
    except PeerError as error:
        left_out.append(f"{entity.device.name} {entity.name}: {error.detail}")
        return False
    return True


def _sources(device: Device, entities: Sequence[Entity], said: Said, left_out: list[str]) -> Iterator[Source]:
    """The best of what the device shows for each point."""
    best: dict[str, Entity] = {}
    for entity in entities:
        point = _point(entity)
        if point is not None and (point not in best or _worse(best[point], entity)):
            best[point] = entity
    if "soc_pct" in best and said.capacity_wh is None:
        del best["soc_pct"]  # of a remote control, for all that anybody knows
    produces = _kind(device, entities, said) in {"pv", "inverter", "generator"}
    sign = -1.0 if produces is not said.turned else 1.0
    for point, entity in best.items():
        if entity.state is None:
            continue
        try:
            evaluate = template(entity.state.template)
        except PeerError as error:
            left_out.append(f"{device.name} {entity.name}: {error.detail}")
            continue
        holds_s = entity.expires_s or hold_s(point, connection_point=said.connection_point)
        if point == "power_w" and said.max_age_s is not None:
            holds_s = said.max_age_s
        yield Source(
            point=_direction(point, best.keys(), produces=produces, turned=said.turned),
            topics=entity.state.topics,
            evaluate=evaluate,
            scale=UNITS[point][entity.unit] * (sign if point == "power_w" else 1.0),
            hold_s=holds_s,
        )


def _direction(point: str, points: Collection[str], *, produces: bool, turned: bool) -> str:
    """Which way an energy flows: what only produces, and counts once, counts what it gives."""
    other = {"energy_in_wh": "energy_out_wh", "energy_out_wh": "energy_in_wh"}.get(point)
    if other is None:
        return point
    if produces:
        return point if other in points else "energy_out_wh"
    return other if turned else point


def _point(entity: Entity) -> str | None:
    """What an entity tells, if it is one of ours in a unit that we know."""
    if entity.component != "sensor" or entity.state is None:
        return None
    words = f"{entity.name} {entity.id}"
    if entity.device_class == "energy":
        counts = entity.state_class in {"total", "total_increasing"}
        point = "energy_out_wh" if OUT.search(words) else "energy_in_wh"
        if not counts or PERIODIC.search(entity.name or entity.id):
            return None
        return point if entity.unit in UNITS[point] else None
    found = POINT_OF.get(entity.device_class)
    if found is None or entity.unit not in UNITS[found] or entity.state_class == "total":
        return None
    return found


def _worse(one: Entity, other: Entity) -> bool:
    """Whether the other is more likely to speak for the whole device."""
    return _rank(other) < _rank(one)


def _rank(entity: Entity) -> tuple[bool, int, str]:
    return bool(PHASE.search(entity.name or entity.id)), len(entity.name or entity.id), entity.id


def _kind(device: Device, entities: Sequence[Entity], said: Said) -> str:
    if said.kind:
        return said.kind
    if said.connection_point:
        return "meter"
    if said.capacity_wh is not None:
        return "battery"
    if any(one.component == "switch" for one in entities):
        return "load"
    if SUN.search(f"{device.name} {device.maker} {device.model}"):
        return "pv"
    points = {_point(one) for one in entities}
    return "meter" if {"energy_in_wh", "energy_out_wh"} <= points else "load"


def _element(
    device: Device,
    entities: Sequence[Entity],
    said: Said,
    taken: set[str],
    *,
    sources: Sequence[Source] = (),
    switch: Entity | None,
    control: bool,
) -> Shown:
    points = {source.point for source in sources}
    steered = control and switch is not None
    extra: list[Source] = []
    if steered and switch is not None:
        extra.append(_position(switch))
    rating: Rating | UnsetType = UNSET
    if said.rating_w is not None:
        rating = Rating(consume_max_w=said.rating_w, produce_max_w=said.rating_w)
    conductor = said.conductor if points & {"voltage_v", "current_a"} else ""
    return Shown(
        element=element(
            id_of(said.name or device.name, taken),
            _kind(device, entities, said),
            name=(said.name or device.name)[:64],
            bus="grid",
            terminals=[said.conductor] if said.conductor else UNSET,
            ac_measure=AcMeasureCapability(connection_point=True if said.connection_point else UNSET)
            if "power_w" in points
            else UNSET,
            energy=EnergyCapability() if points & {"energy_in_wh", "energy_out_wh"} else UNSET,
            rating=rating,
            storage=UNSET if said.capacity_wh is None else StorageCapability(capacity_wh=said.capacity_wh),
            switch=SwitchCapability() if steered else UNSET,
        ),
        sources=(*sources, *extra),
        there=tuple(_there(entities)),
        any_is_enough=all(one.any_is_enough for one in entities),
        steering=(_steering(switch),) if steered and switch is not None else (),
        conductor=conductor,
    )


def _there(entities: Sequence[Entity]) -> Iterator[There]:
    for one in dict.fromkeys(said for entity in entities for said in entity.availability):
        try:
            evaluate = template(one.place.template)
        except PeerError:
            continue
        yield There(one.place.topics, evaluate, one.online, one.offline)


def _position(switch: Entity) -> Source:
    if switch.state is None:
        raise PeerError(f"{switch.id} says nothing of its position")
    return Source(
        point="closed",
        topics=switch.state.topics,
        evaluate=template(switch.state.template),
        hold_s=float("inf"),  # it is told when it changes, and holds until then
        on=switch.on[2],
        off=switch.on[3],
    )


def _steering(switch: Entity) -> Steering:
    return Steering(
        what="closed",
        topic=switch.command_topic,
        on=switch.on[0],
        off=switch.on[1],
        state=_position(switch),
    )


def id_of(name: str, taken: set[str]) -> str:
    """An element's id made of a name, and another one for each."""
    plain = _ID.sub("_", name.lower()).strip("_")[:28].strip("_") or "device"
    plain = plain if plain[0].isalpha() else f"d_{plain}"[:28]
    number, found = 2, plain
    while found in taken:
        found, number = f"{plain}_{number}", number + 1
    taken.add(found)
    return found
