"""What of a house is one SunSpec device: its sun and its stores as one DER, and its grid meter. Pure.

The DER is seen at the AC terminals of what gives or stores: inverters with their strings and stores, and
batteries with an inverter of their own. What the house uses lies beyond; the meter knows the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import inf, isfinite
from typing import Final

from msgspec import UNSET, Struct

from ores.control.topology import CONDUCTORS, Place, Topology
from ores.hub.doors.mqtt_energy import Part, part_of
from ores.model import Description, Element

GIVEN: Final = "der/out"
TAKEN: Final = "der/in"
IMPORTED: Final = "grid/in"
EXPORTED: Final = "grid/out"
STRINGS_MAX: Final = 64


class Held(Struct, frozen=True):
    """What takes a limit on what it gives.

    Attributes:
        place: Where.
        share: Of the power that its member can give, 0 to 1.
    """

    place: Place
    share: float


class Member(Struct, frozen=True):
    """One thing that gives or stores, at its AC terminals.

    Attributes:
        place: Where it is measured.
        gives_w: At most; None where nobody says.
        held: What is to be limited so that it is; empty where it takes no limit.
    """

    place: Place
    gives_w: float | None
    held: tuple[Held, ...] = ()


class Line(Struct, frozen=True):
    """A string of modules on the roof.

    Attributes:
        key: `module/element`.
        name: For people.
    """

    key: str
    name: str


class Shape(Struct, frozen=True):
    """The house as models are made of it.

    Attributes:
        members: Of the DER.
        meter: At the grid connection point.
        conductors: 1, 2 (split phase) or 3.
        stores: Keys of the elements that hold energy.
        capacity_wh: Of them.
        charge_max_w: Of all of them together; None where one does not say. Likewise the next.
        discharge_max_w: Likewise.
        lines: Strings that are measured.
        has_sun: Whether there is anything else than stores.
    """

    members: tuple[Member, ...]
    meter: Place | None
    conductors: int
    stores: tuple[str, ...]
    capacity_wh: float
    charge_max_w: float | None
    discharge_max_w: float | None
    lines: tuple[Line, ...]
    has_sun: bool

    @property
    def gives_max_w(self) -> float | None:
        """The nameplate of the DER; None where one of its members has none."""
        return summed([member.gives_w for member in self.members]) if self.members else None


def shape_of(topology: Topology, descriptions: Sequence[Description]) -> Shape:
    """Sort the elements of a house."""
    elements = {f"{one.id}/{element.id}": element for one in descriptions for element in one.elements}
    behind = {
        f"{key.split('/')[0]}/{one}"
        for key, parts in topology.inverters.items()
        for side in parts
        for one in side
    }
    own = [place for place in topology.stores if place.key not in behind]
    hybrids = [topology.places[key] for key in sorted(topology.inverters)]
    members = tuple(_member(place, topology, elements) for place in (*topology.suns, *hybrids, *own))
    meter = None if topology.rivals else topology.meter
    return Shape(
        members=members,
        meter=meter,
        conductors=_conductors(members, meter, elements),
        stores=tuple(place.key for place in topology.stores),
        capacity_wh=sum(topology.capacities[place.key] for place in topology.stores),
        charge_max_w=summed([_known(place.consume_max_w) for place in topology.stores]),
        discharge_max_w=summed([_known(place.produce_max_w) for place in topology.stores]),
        lines=tuple(_lines(elements))[:STRINGS_MAX],
        has_sun=bool(topology.suns) or any(suns for suns, _ in topology.inverters.values()),
    )


def parts(shape: Shape, descriptions: Sequence[Description]) -> list[Part]:
    """The counters of the device: each adds up what its members count."""
    members = [member.place.key for member in shape.members]
    found = []
    if members:
        found.append(part_of(GIVEN, "Energy given", members, descriptions, out=True))
        found.append(part_of(TAKEN, "Energy taken", members, descriptions, out=False))
    if shape.meter is not None:
        meter = [shape.meter.key]
        found.append(part_of(IMPORTED, "Grid import", meter, descriptions, out=False))
        found.append(part_of(EXPORTED, "Grid export", meter, descriptions, out=True))
    return found


def summed(values: Sequence[float | None]) -> float | None:
    """The sum, None as soon as one part is not known."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _member(place: Place, topology: Topology, elements: Mapping[str, Element]) -> Member:
    gives_w = _gives_w(place, topology, elements)
    if place.can_produce or any(battery.place.key == place.key for battery in topology.batteries):
        return Member(place, gives_w, (Held(place, 1.0),))
    children = [
        topology.places[f"{place.module_id}/{one}"] for one in sum(topology.inverters.get(place.key, ()), ())
    ]
    steered = {battery.place.key for battery in topology.batteries}
    limits_w = [_gives_w(child, topology, elements) for child in children]
    all_w = summed(limits_w)
    if not all_w or not all(child.can_produce or child.key in steered for child in children):
        return Member(place, gives_w)
    shares = [
        Held(child, (child_w or 0.0) / all_w) for child, child_w in zip(children, limits_w, strict=True)
    ]
    return Member(place, gives_w, tuple(shares))


def _gives_w(place: Place, topology: Topology, elements: Mapping[str, Element]) -> float | None:
    """What an element gives at most: by its rating, its limits, or what its source can give."""
    told = [place.produce_max_w]
    told += [
        producer.place.produce_max_w for producer in topology.producers if producer.place.key == place.key
    ]
    source = elements[place.key].capabilities.produce
    if source is not UNSET and source.peak_w is not UNSET:
        told.append(source.peak_w)
    return _known(min(told))


def _known(value: float) -> float | None:
    return value if isfinite(value) and value < inf else None


def _conductors(members: Sequence[Member], meter: Place | None, elements: Mapping[str, Element]) -> int:
    """As many as the house has, seen at its meter; three where nobody says."""
    places = [meter] if meter is not None and meter.conductors else [member.place for member in members]
    lines = {line for place in places for line in place.conductors}
    if len(lines) == 2:
        split = any(elements[place.key].connection == "split_phase" for place in places)
        return 2 if split else 3
    return 1 if lines == {CONDUCTORS[0]} else 3


def _lines(elements: Mapping[str, Element]) -> Iterator[Line]:
    for key, element in elements.items():
        if element.kind == "pv" and element.capabilities.dc_measure is not UNSET:
            yield Line(key, element.id if element.name is UNSET else element.name)
