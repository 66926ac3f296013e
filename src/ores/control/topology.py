"""What the house consists of, as the control cycle needs it: prepared once, when modules come or go.

Elements are sorted by what they can do, not by what they are called: whatever stores and follows a
set-point is a battery, whatever produces from a source that it does not command is a producer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf

from msgspec import UNSET, Struct, UnsetType, field
from msgspec.structs import replace

from ores.control.rulings import Ruling
from ores.model import Description, Element, EvCapability, ModeRange

NOMINAL_V = 230.0
SPLIT_PHASE_V = 240.0
"""Between the two conductors of a split phase; 120 V from each to neutral."""
BETWEEN_TWO_V = 200.0
"""From here on a voltage of two conductors is that between them; below, that to neutral."""
BETWEEN_THREE_V = 300.0
"""Likewise of three."""
CONDUCTORS = ("L1", "L2", "L3")

_BOOST_MODES = ("boost", "recommended", "encouraged", "forced", "force_on", "sg3", "sg4")
_BLOCK_MODES = ("blocked", "block", "lock", "off", "sg1")
_NORMAL_MODES = ("normal", "auto", "on", "sg2")


class Place(Struct, frozen=True, kw_only=True):
    """An element and where it sits. Limits are unsigned; infinity where nothing is declared.

    Attributes:
        key: `module/element`, as in the preferences.
        name: For people.
        bus: The stretch of the home grid it is connected to.
        conductors: The line conductors it loads.
        watt_per_a: Power for each ampere in each of its conductors.
        amps_per_w: The other way round; where no conductors are declared, all of it is in one.
        consume_max_w: The strictest of rating, set-point range and modes.
        produce_max_w: Likewise, out of the element.
        current_max_a: Of one conductor.
        can_consume: Whether it accepts a limit on consuming; likewise the other two.
        circuit: Key of the circuit that already measures it, or "".
    """

    key: str
    module_id: str
    element_id: str
    name: str
    kind: str
    bus: str
    conductors: tuple[str, ...]
    watt_per_a: float
    amps_per_w: float
    consume_max_w: float = inf
    produce_max_w: float = inf
    current_max_a: float = inf
    can_consume: bool = False
    can_produce: bool = False
    can_current: bool = False
    circuit: str = ""


class Battery(Struct, frozen=True, kw_only=True):
    """What stores energy and follows a set-point.

    Attributes:
        place: The element that takes the set-point: the battery itself, or the inverter before it.
        stores: Element ids of the stores behind the set-point.
        capacities_wh: What each of these stores holds, with its element id.
        whole_inverter: True where the set-point is the AC power of an inverter that also carries the sun.
        producer: Key of the producer whose AC output this battery's power is part of, or "".
        inverter: Id of the inverter that carries it on DC, where the set-point is the battery's own; else "".
        suns: Element ids of the DC sources that share the inverter.
        window_s: How long a command may be on its way before it must be visible.
    """

    place: Place
    stores: tuple[str, ...]
    capacities_wh: tuple[tuple[str, float], ...]
    capacity_wh: float
    soc_min_pct: float
    soc_max_pct: float
    step_w: float
    consume_min_w: float
    hold_s: float
    ramp_w_per_s: float
    window_s: float
    whole_inverter: bool = False
    producer: str = ""
    inverter: str = ""
    suns: tuple[str, ...] = ()


class Producer(Struct, frozen=True, kw_only=True):
    """What produces from a source that it does not command, seen at its AC side where there is one.

    Attributes:
        sources: Element ids whose `produce` says what the source could give.
        stores: Whether a battery hangs behind the same output.
        held: What the memory calls the time since when a limit of ours has held it back.
    """

    place: Place
    sources: tuple[str, ...]
    stores: bool
    held: str


class Charger(Struct, frozen=True, kw_only=True):
    """A charging point for a vehicle."""

    place: Place
    current_min_a: float
    current_max_a: float
    step_a: float
    by_setpoint: bool
    window_s: float


class Heat(Struct, frozen=True, kw_only=True):
    """A heat pump or heater that runs in one of a few modes; "" where it has no such mode."""

    place: Place
    normal: str
    boost: str
    blocked: str
    boost_min_w: float
    hold_s: float
    modes: Mapping[str, ModeRange]


class Circuit(Struct, frozen=True, kw_only=True):
    """A branch circuit; `members` are the keys of the elements behind it."""

    place: Place
    members: frozenset[str]
    switchable: bool
    critical: bool
    min_off_s: float
    min_on_s: float

    @property
    def can_be_shed(self) -> bool:
        """Whether it may be opened to hold a limit."""
        return self.switchable and not self.critical


class Tie(Struct, frozen=True, kw_only=True):
    """A transfer switch between two buses."""

    place: Place
    upstream_bus: str
    downstream_bus: str


class Topology(Struct, frozen=True, kw_only=True):
    """Everything that the cycle needs to know about the house and that does not change from second to second.

    Attributes:
        meter: The element at the grid connection point, None where there is none.
        meter_period_s: How often it reports.
        rivals: Further elements that claim to be there: with any, nobody knows what flows [BUS-003].
        plain: Elements that only take limits and are none of the others.
        boundary: Elements that hang directly on the home grid and measure themselves.
        stores: What holds energy for the house; a vehicle's battery does not.
        capacities: In Wh, of everything that stores, vehicles too.
        by_module: Keys of all places by module id.
        standing: A shortcut of `commands`: the rulings, by key, of elements that nobody asks anything of.
            They follow from the places alone and are filled in as they are first needed.
    """

    meter: Place | None
    meter_period_s: float
    batteries: tuple[Battery, ...]
    producers: tuple[Producer, ...]
    chargers: tuple[Charger, ...]
    heats: tuple[Heat, ...]
    circuits: tuple[Circuit, ...]
    ties: tuple[Tie, ...]
    formers: tuple[Place, ...]
    former_max_w: Mapping[str, float]
    plain: tuple[Place, ...]
    boundary: tuple[Place, ...]
    suns: tuple[Place, ...]
    stores: tuple[Place, ...]
    capacities: Mapping[str, float]
    inverters: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]
    by_module: Mapping[str, tuple[str, ...]]
    places: Mapping[str, Place]
    rivals: tuple[Place, ...] = ()
    standing: dict[str, Ruling] = field(default_factory=dict)


def compile_topology(
    descriptions: Iterable[Description], behind: Mapping[str, str] | None = None
) -> Topology:
    """Sort the elements of all modules by what the control cycle does with them.

    Args:
        descriptions: Complete descriptions (all pages joined), one per module.
        behind: For elements of one module that hang on a circuit of another: the circuit's
            `module/element` by the element's `module/element`.

    Returns:
        The topology; two calls with the same arguments give equal results.
    """
    builder = _Builder(behind or {})
    for description in descriptions:
        builder.add(description)
    return builder.finish()


def _or(value: float | UnsetType, default: float) -> float:
    return default if value is UNSET else float(value)


def _place(module_id: str, element: Element, circuit: str) -> Place:
    caps = element.capabilities
    rating, limit, setpoint = caps.rating, caps.limit, caps.setpoint
    lines = tuple(name for name in CONDUCTORS if element.terminals is not UNSET and name in element.terminals)
    consume_w = produce_w = current_a = inf
    if rating is not UNSET:
        consume_w, produce_w = _or(rating.consume_max_w, inf), _or(rating.produce_max_w, inf)
        current_a = _or(rating.current_max_a, inf)
    if setpoint is not UNSET:
        consume_w, produce_w = min(consume_w, setpoint.consume_max_w), min(produce_w, setpoint.produce_max_w)
    watt_per_a = max(1.0, _watt_per_a(element, len(lines)))
    return Place(
        key=f"{module_id}/{element.id}",
        module_id=module_id,
        element_id=element.id,
        name=element.kind if element.name is UNSET else element.name,
        kind=element.kind,
        bus="grid" if element.bus is UNSET else element.bus,
        conductors=lines,
        watt_per_a=watt_per_a,
        amps_per_w=1.0 / watt_per_a if lines else 1.0 / NOMINAL_V,
        consume_max_w=consume_w,
        produce_max_w=produce_w,
        current_max_a=current_a,
        can_consume=limit is not UNSET and limit.consume is True,
        can_produce=limit is not UNSET and limit.produce is True,
        can_current=limit is not UNSET and limit.current is True,
        circuit=circuit,
    )


def _watt_per_a(element: Element, lines: int) -> float:
    """Power for each ampere in each of the conductors, by the table of chapter 5 (`k`).

    A rating may name the voltage to neutral or, with several conductors, that between two of them.
    """
    rating = element.capabilities.rating
    voltage_v = UNSET if rating is UNSET else rating.voltage_v
    if voltage_v is UNSET:
        is_split = lines == 2 and element.connection == "split_phase"
        return SPLIT_PHASE_V if is_split else NOMINAL_V * max(1, lines)
    if lines == 2:
        return 2.0 * voltage_v if voltage_v < BETWEEN_TWO_V else voltage_v
    if lines == 3:
        return 3.0 * voltage_v if voltage_v < BETWEEN_THREE_V else 3.0**0.5 * voltage_v
    return voltage_v


class _Builder:
    """Collects the sorted elements of one module after the other."""

    def __init__(self, behind: Mapping[str, str]) -> None:
        self.behind = behind
        self.meter: Place | None = None
        self.meter_period_s = 1.0
        self.rivals: list[Place] = []
        self.batteries: list[Battery] = []
        self.producers: list[Producer] = []
        self.chargers: list[Charger] = []
        self.heats: list[Heat] = []
        self.circuits: list[tuple[Element, Place]] = []
        self.ties: list[Tie] = []
        self.former_max_w: dict[str, float] = {}
        self.plain: list[Place] = []
        self.boundary: list[Place] = []
        self.suns: list[Place] = []
        self.stores: list[Place] = []
        self.capacities: dict[str, float] = {}
        self.inverters: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self.by_module: dict[str, tuple[str, ...]] = {}
        self.places: dict[str, Place] = {}

    def add(self, description: Description) -> None:
        module = _Module(description, self.behind)
        self.by_module[description.id] = tuple(place.key for place in module.places.values())
        self.places.update({place.key: place for place in module.places.values()})
        taken: set[str] = set()
        for element in description.elements:
            self._sort(module, element, taken)
        for element in description.elements:
            place = module.places[element.id]
            limited = place.can_consume or place.can_produce or place.can_current
            if limited and element.id not in taken:
                self.plain.append(place)

    def _sort(self, module: _Module, element: Element, taken: set[str]) -> None:
        caps, place = element.capabilities, module.places[element.id]
        if caps.ac_measure is not UNSET:
            if caps.ac_measure.connection_point is True:
                if self.meter is None:
                    self.meter, self.meter_period_s = place, module.period_s
                else:
                    self.rivals.append(place)
            elif not place.circuit and module.on_boundary(element):
                self.boundary.append(place)
        self._sort_store(element, place)
        if caps.form_grid is not UNSET:
            self.former_max_w[place.key] = caps.form_grid.power_max_w
        if caps.isolate is not UNSET:
            self.ties.append(
                Tie(
                    place=place,
                    upstream_bus=caps.isolate.upstream_bus,
                    downstream_bus=caps.isolate.downstream_bus,
                )
            )
        if caps.ev is not UNSET:
            self.chargers.append(_charger(element, place, caps.ev))
            taken.add(element.id)
        elif caps.mode is not UNSET:
            self.heats.append(_heat(element, place))
            taken.add(element.id)
        elif element.kind == "circuit" or (caps.switch is not UNSET and caps.isolate is UNSET):
            self.circuits.append((element, place))
        self._sort_sources(module, element, taken)

    def _sort_store(self, element: Element, place: Place) -> None:
        storage = element.capabilities.storage
        if storage is not UNSET:
            self.capacities[place.key] = storage.capacity_wh
            if element.kind != "evse":  # what a vehicle holds is not the house's
                self.stores.append(place)

    def _sort_sources(self, module: _Module, element: Element, taken: set[str]) -> None:
        caps, place = element.capabilities, module.places[element.id]
        battery = module.battery(element)
        if battery is not None:
            self.batteries.append(battery)
            taken.add(element.id)
        producer = module.producer(element)
        if producer is not None:
            self.producers.append(producer)
            taken.add(element.id)
        if element.kind == "inverter" and caps.ac_measure is not UNSET:
            suns, stores = module.behind_inverter(element)
            if stores:
                self.inverters[place.key] = (suns, stores)
            else:
                self.suns.append(place)
        elif element.kind == "pv" and caps.ac_measure is not UNSET and not module.is_dc(element):
            self.suns.append(place)

    def finish(self) -> Topology:
        members: dict[str, set[str]] = {}
        for place in self.places.values():
            if place.circuit:
                members.setdefault(place.circuit, set()).add(place.key)
        return Topology(
            meter=self.meter,
            meter_period_s=self.meter_period_s,
            rivals=tuple(self.rivals),
            batteries=tuple(self.batteries),
            producers=tuple(self.producers),
            chargers=tuple(self.chargers),
            heats=tuple(self.heats),
            circuits=tuple(_circuit(e, p, frozenset(members.get(p.key, ()))) for e, p in self.circuits),
            ties=tuple(self.ties),
            formers=tuple(self.places[key] for key in self.former_max_w),
            former_max_w=self.former_max_w,
            plain=tuple(self.plain),
            boundary=tuple(self.boundary),
            suns=tuple(self.suns),
            stores=tuple(self.stores),
            capacities=self.capacities,
            inverters=self.inverters,
            by_module=self.by_module,
            places=self.places,
        )


class _Module:
    """One module's elements, and which of them belong together."""

    def __init__(self, description: Description, behind: Mapping[str, str]) -> None:
        self.period_s = description.report_period_s
        self.elements = description.elements
        self.ids = {element.id: element for element in description.elements}
        self.places: dict[str, Place] = {}
        for element in description.elements:
            key = f"{description.id}/{element.id}"
            circuit = behind.get(key, "")
            parent = self.ids.get(element.upstream) if element.upstream is not UNSET else None
            if not circuit and parent is not None and parent.kind == "circuit":
                circuit = f"{description.id}/{parent.id}"
            self.places[element.id] = _place(description.id, element, circuit)

    def is_dc(self, element: Element) -> bool:
        on_dc_bus = element.bus is not UNSET and element.bus.startswith("dc")
        return on_dc_bus or (element.connection is not UNSET and element.connection == "dc")

    def on_boundary(self, element: Element) -> bool:
        """Whether the element is a direct child of the home grid: with nothing above but its connection."""
        parent = self.ids.get(element.upstream) if element.upstream is not UNSET else None
        measured = UNSET if parent is None else parent.capabilities.ac_measure
        return (
            (element.upstream is UNSET or (measured is not UNSET and measured.connection_point is True))
            and not self.is_dc(element)
            and element.kind not in {"meter", "ac_port", "tie"}
        )

    def inverter_of(self, element: Element) -> Element | None:
        """The inverter that carries a DC element: named as upstream, or the only one of the module."""
        if not self.is_dc(element):
            return None
        if element.upstream is not UNSET:
            parent = self.ids.get(element.upstream)
            if parent is not None and parent.kind == "inverter":
                return parent
        inverters = [other for other in self.elements if other.kind == "inverter"]
        same_bus = [other for other in inverters if other.bus is not UNSET and other.bus == element.bus]
        if len(same_bus) == 1:
            return same_bus[0]
        return inverters[0] if len(inverters) == 1 else None

    def behind_inverter(self, inverter: Element) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ids of the DC sources and of the DC stores that an inverter carries."""
        children = [e for e in self.elements if e.id != inverter.id and self.inverter_of(e) is inverter]
        suns = tuple(e.id for e in children if e.kind == "pv" or e.capabilities.produce is not UNSET)
        return suns, tuple(e.id for e in children if e.capabilities.storage is not UNSET)

    def battery(self, element: Element) -> Battery | None:
        """The battery that takes its set-point at this element, if any."""
        caps = element.capabilities
        if caps.setpoint is UNSET or caps.ev is not UNSET:
            return None
        suns: tuple[str, ...] = ()
        stores: tuple[str, ...] = ()
        if caps.storage is not UNSET:
            inverter = self.inverter_of(element)
            stores = (element.id,)
        elif element.kind == "inverter":
            inverter = element
            suns, stores = self.behind_inverter(element)
            # A store with a set-point of its own is commanded there.
            stores = tuple(i for i in stores if self.ids[i].capabilities.setpoint is UNSET)
        else:
            return None
        if not stores:
            return None
        return self._battery(element, stores, suns, inverter)

    def _battery(
        self, element: Element, stores: tuple[str, ...], suns: tuple[str, ...], inverter: Element | None
    ) -> Battery | None:
        setpoint = element.capabilities.setpoint
        found = [(i, s) for i in stores if (s := self.ids[i].capabilities.storage) is not UNSET]
        storages = [storage for _, storage in found]
        if setpoint is UNSET or not storages:
            return None
        place = self.places[element.id]
        if inverter is not None and inverter is not element:
            # A DC battery loads the conductors of the inverter that carries it.
            carrier = self.places[inverter.id]
            place = _on_conductors_of(place, carrier)
        ramp = _or(setpoint.ramp_w_per_s, inf)
        return Battery(
            place=place,
            stores=stores,
            capacities_wh=tuple((store, storage.capacity_wh) for store, storage in found),
            capacity_wh=sum(storage.capacity_wh for storage in storages),
            soc_min_pct=max(_or(storage.soc_min_pct, 0.0) for storage in storages),
            soc_max_pct=min(_or(storage.soc_max_pct, 100.0) for storage in storages),
            step_w=_or(setpoint.step_w, 0.0),
            consume_min_w=_or(setpoint.consume_min_w, 0.0),
            hold_s=_or(setpoint.hold_s, 0.0),
            ramp_w_per_s=ramp,
            # On its way for the response time, and seen one report later.
            window_s=setpoint.response_s + self.period_s,
            whole_inverter=inverter is element,
            producer=self.places[inverter.id].key if inverter is not None else "",
            inverter="" if inverter is None or inverter is element else inverter.id,
            suns=suns,
        )

    def producer(self, element: Element) -> Producer | None:
        """The producer that is limited, or at least seen, at this element, if any."""
        caps = element.capabilities
        if element.kind == "inverter":
            suns, stores = self.behind_inverter(element)
            if not suns and (stores or caps.storage is not UNSET):
                return None  # a battery inverter: no sun to hold back
        elif element.kind == "pv" or (caps.produce is not UNSET and caps.storage is UNSET):
            inverter = self.inverter_of(element)
            if inverter is not None and _limits_output(inverter):
                return None  # limited at the AC side, where it counts
            suns, stores = (element.id,), ()
        else:
            return None
        if not _limits_output(element):
            return None
        sources = (element.id,) if caps.produce is not UNSET else suns
        place = self.places[element.id]
        peak_w = sum(
            _or(p.peak_w, inf) for i in sources if (p := self.ids[i].capabilities.produce) is not UNSET
        )
        if place.produce_max_w == inf and sources and not stores:
            place = _with_produce_max(place, peak_w)
        return Producer(place=place, sources=sources, stores=bool(stores), held=f"{place.key} held")


def _limits_output(element: Element) -> bool:
    limit = element.capabilities.limit
    return limit is not UNSET and limit.produce is True


def _on_conductors_of(place: Place, carrier: Place) -> Place:
    return replace(
        place,
        conductors=carrier.conductors,
        watt_per_a=carrier.watt_per_a,
        amps_per_w=carrier.amps_per_w,
        bus=carrier.bus,
    )


def _with_produce_max(place: Place, produce_max_w: float) -> Place:
    return replace(place, produce_max_w=produce_max_w)


def _charger(element: Element, place: Place, ev: EvCapability) -> Charger:
    setpoint = element.capabilities.setpoint
    return Charger(
        place=place,
        current_min_a=ev.current_min_a,
        current_max_a=min(ev.current_max_a, place.current_max_a, place.consume_max_w / place.watt_per_a),
        step_a=_or(ev.step_a, 1.0) or 1.0,
        by_setpoint=not place.can_current and not place.can_consume and setpoint is not UNSET,
        window_s=(setpoint.response_s if setpoint is not UNSET else 5.0) + 2.0,
    )


def _named(modes: Mapping[str, ModeRange], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in modes), "")


def _heat(element: Element, place: Place) -> Heat:
    mode = element.capabilities.mode
    if mode is UNSET:
        msg = f"element {place.key} has no modes"
        raise ValueError(msg)
    boost = _named(mode.modes, _BOOST_MODES)
    boost_range = mode.modes.get(boost)
    least_w = _or(boost_range.consume_min_w, 0.0) if boost_range is not None else 0.0
    return Heat(
        place=place,
        normal=_named(mode.modes, _NORMAL_MODES),
        boost=boost,
        blocked=_named(mode.modes, _BLOCK_MODES),
        boost_min_w=least_w,
        hold_s=_or(mode.hold_s, 0.0),
        modes=mode.modes,
    )


def _circuit(element: Element, place: Place, members: frozenset[str]) -> Circuit:
    switch = element.capabilities.switch
    return Circuit(
        place=place,
        members=members,
        switchable=switch is not UNSET,
        critical=switch is not UNSET and switch.critical is True,
        min_off_s=_or(switch.min_off_s, 0.0) if switch is not UNSET else 0.0,
        min_on_s=_or(switch.min_on_s, 0.0) if switch is not UNSET else 0.0,
    )
