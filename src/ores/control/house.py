"""The reading of one cycle: what each steered thing does now, and what of it is still on its way."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import pairwise
from math import inf

from msgspec import UNSET

from ores.control.memory import ChargerMemory, HeatMemory, Memory, Sent, Shed, Told
from ores.control.snapshot import Snapshot, at_ac, power_w
from ores.control.topology import Battery, Charger, Place, Producer, Topology
from ores.control.units import (
    BatterySeen,
    BatteryUnit,
    ChargerSeen,
    ChargerUnit,
    HeatUnit,
    ProducerUnit,
    Unit,
)
from ores.model import ElementState, Preferences

# After this at the latest a producer has done what it is told, and a lifted limit holds nothing back.
OBEYS_S = 5.0
LIFTED_S = 8.0
# Of direct current that does not pass yet; an error here is gone as soon as it passes.
EFFICIENCY = 0.96
# A battery whose reading is this near its set-point follows it.
FOLLOWS_W = 60.0
FOLLOWS_PART = 0.05
# Of commands on their way to one element, so many are remembered.
SENT_MAX = 16


class Draft:
    """The memory that the next cycle gets, while it is written."""

    __slots__ = (
        "above",
        "chargers",
        "fixed",
        "heats",
        "over_since_s",
        "readings",
        "rest_w",
        "sent",
        "shed",
        "told",
    )

    def __init__(self) -> None:
        self.sent: dict[str, tuple[Sent, ...]] = {}
        self.rest_w: float | None = None
        self.fixed: dict[str, float] = {}
        self.readings: dict[str, float] = {}
        self.chargers: dict[str, ChargerMemory] = {}
        self.heats: dict[str, HeatMemory] = {}
        self.shed: dict[str, Shed] = {}
        self.over_since_s: dict[str, float] = {}
        self.told: dict[str, Told] = {}
        self.above: dict[str, bool] = {}

    def freeze(self, now_s: float) -> Memory:
        """The memory as it is passed on."""
        return Memory(
            sent=self.sent,
            rest_w=self.rest_w,
            fixed=self.fixed,
            readings=self.readings,
            chargers=self.chargers,
            heats=self.heats,
            shed=self.shed,
            over_since_s=self.over_since_s,
            told=self.told,
            above=self.above,
            time_s=now_s,
        )


class House:
    """The house at the moment of the cycle, and what is decided about it so far.

    Attributes:
        grid_w: At the connection point, positive is import; None is unknown.
        line_a: Signed current of each conductor at the connection point; None is unknown.
        unknown: Why `grid_w` is unknown, in words; "" where it is known.
        rest_w: What the house draws without its batteries (the sun counted as negative); None is unknown.
        curtailed_w: What the producers could give beyond what they give now (>= 0).
        held_back: The producers that a limit of ours holds back, or did a moment ago.
        free: Keys of producers that hold nothing back and of which nothing is remembered; they are not among
            `producers` unless something is asked of them (see `wake`).
        island: Whether a tie has separated the house from the grid.
    """

    def __init__(self, snapshot: Snapshot, memory: Memory, now_s: float, watched: bool) -> None:
        self.snapshot = snapshot
        self.topology: Topology = snapshot.topology
        self.preferences: Preferences = snapshot.preferences
        self.memory = memory
        self.now_s = now_s
        self.watched = watched
        self.draft = Draft()
        self.grid_w: float | None = None
        self.line_a: dict[str, float | None] = {}
        self.unknown = ""
        self.rest_w: float | None = None
        self.curtailed_w = 0.0
        self.held_back: list[ProducerUnit] = []
        self.island = False
        self.island_buses: frozenset[str] = frozenset()
        self.batteries: list[BatteryUnit] = []
        self.chargers: list[ChargerUnit] = []
        self.producers: list[ProducerUnit] = []
        self.free: set[str] = set()
        self.heats: list[HeatUnit] = []
        self._behind: dict[str, list[BatteryUnit]] | None = None
        self._steered = snapshot.steers(watched=watched)

    def state(self, place: Place) -> ElementState | None:
        """The state of an element, None where it is unknown."""
        return self.snapshot.element(place.module_id, place.element_id)

    def steers(self, place: Place) -> bool:
        """Whether this cycle decides about the element: its module is alive, and ours to control."""
        return place.module_id in self._steered

    def behind(self, unit: ProducerUnit) -> list[BatteryUnit]:
        """The batteries whose power is part of a producer's output."""
        if self._behind is None:
            self._behind = {}
            for battery in self.batteries:
                self._behind.setdefault(battery.battery.producer, []).append(battery)
        return self._behind.get(unit.key, [])


def read(snapshot: Snapshot, memory: Memory, now_s: float, *, watched: bool) -> House:
    """Read the house.

    Args:
        snapshot: Frozen for this cycle.
        memory: Of the cycle before.
        now_s: Process time.
        watched: Whether modules in watch mode count as if they were controlled.
    """
    house = House(snapshot, memory, now_s, watched)
    topology = house.topology
    _read_ties(house)
    _read_meter(house)
    house.batteries = [_battery(house, b) for b in topology.batteries if house.steers(b.place)]
    house.chargers = [_charger(house, c) for c in topology.chargers if house.steers(c.place)]
    house.producers = [unit for p in topology.producers if (unit := _unless_free(house, p)) is not None]
    house.heats = [HeatUnit(h, house.state(h.place)) for h in topology.heats if house.steers(h.place)]
    if house.grid_w is not None:
        house.rest_w = _rest_w(house, house.grid_w)
    return house


def settled(
    measured: float,
    units: list[tuple[Unit, float]],
    before: float | None,
    moving: Iterable[Unit] = (),
) -> tuple[float, float]:
    """What is not steered: a measurement less what the steered units draw of it.

    A unit that was told to change may not have done so yet, or the meter may not have seen it. What such a
    command explains is not taken for a change of the rest: the value of the cycle before stays as far
    as it lies within what is possible.

    Args:
        measured: Reading of the whole, in W or A.
        units: The steered units and what each W of them adds to the reading.
        before: The value of the cycle before, None where it is not known.
        moving: Units that stay in the value, but whose readings may be of another instant.

    Returns:
        The plain difference of the readings, and the settled value.
    """
    plain = low = high = measured
    for unit, per_w in units:
        plain -= (unit.power_w or 0.0) * per_w
        low -= unit.seen_high_w * per_w
        high -= unit.seen_low_w * per_w
    for unit in moving:
        now_w = unit.power_w or 0.0
        low -= unit.seen_high_w - now_w
        high -= unit.seen_low_w - now_w
    if before is None or high - low < 1e-9:
        return plain, plain
    return plain, min(max(before, low), high)


def _rest_w(house: House, grid_w: float) -> float:
    """What the house draws without its batteries.

    It is settled as if nothing were held back: limits on the sun come and go by our own hand, and what they
    do must not be taken for what a battery's command does.
    """
    units: list[tuple[Unit, float]] = [(unit, 1.0) for unit in house.batteries]
    misread_w = sum(_misread_w(house, unit) for unit in house.batteries)
    measured_w = grid_w - house.curtailed_w + misread_w
    _, free_w = settled(measured_w, units, house.memory.rest_w, house.held_back)
    house.draft.rest_w = free_w
    return free_w + house.curtailed_w


def _misread_w(house: House, unit: Unit) -> float:
    """What a battery's reading is off its set-point, once nothing is on its way and it follows closely.

    Then the set-point is the better word: an error of the reading (or of its way from DC to AC) would stay at
    the meter for ever. A battery that does not follow is taken at its reading.
    """
    if unit.last is None or unit.power_w is None or len(house.draft.sent.get(unit.key, ())) != 1:
        return 0.0
    off_w = unit.power_w - unit.last.power_w
    return off_w if abs(off_w) <= FOLLOWS_W + FOLLOWS_PART * abs(unit.last.power_w) else 0.0


def _read_ties(house: House) -> None:
    buses: set[str] = set()
    for tie in house.topology.ties:
        state = house.state(tie.place)
        isolate = state.isolate if state is not None else UNSET
        if isolate is UNSET:
            continue
        if isolate.closed is False or isolate.island_state in {"island", "black"}:
            buses.add(tie.downstream_bus)
            # A grid that is down leaves nothing to steer on the other side either.
            if isolate.grid_ok is not True:
                buses.add(tie.upstream_bus)
    house.island_buses = frozenset(buses)
    house.island = bool(buses)


def _read_meter(house: House) -> None:
    place = house.topology.meter
    if place is None:
        house.unknown = "no meter at the grid connection point"
        return
    if house.topology.rivals:
        house.unknown = "several elements claim to be the grid connection point"
        return
    state = house.state(place)
    measure = state.ac_measure if state is not None else UNSET
    if measure is UNSET or measure.power_w is None:
        house.unknown = "the meter at the grid connection point does not report"
        return
    house.grid_w = measure.power_w
    terminals = measure.terminals if measure.terminals is not UNSET else {}
    nominal_v = place.watt_per_a / max(1, len(place.conductors))
    for line in place.conductors:
        terminal = terminals.get(line)
        if terminal is None:
            # Without a reading of its own, a conductor may carry all of it.
            house.line_a[line] = None if terminals else measure.power_w / nominal_v
            continue
        power = terminal.power_w if terminal.power_w is not UNSET else None
        current = terminal.current_a if terminal.current_a is not UNSET else None
        house.line_a[line] = _line_a(power, current, nominal_v)


def _line_a(power: float | None, current: float | None, nominal_v: float) -> float | None:
    """Signed current of a conductor: the larger of what power and current say, with the sign of the power."""
    if power is None:
        return current
    by_power = power / nominal_v
    if current is None or current <= abs(by_power):
        return by_power
    return current if power >= 0.0 else -current


def _on_the_way(house: House, unit: Unit, window_s: float, ramp_w_per_s: float) -> None:
    """Widen what the meter may have seen of a unit by the commands that may still be on their way to it."""
    sent = house.memory.sent.get(unit.key)
    if not sent:
        return
    unit.last = sent[-1]
    if len(sent) > 1 and ramp_w_per_s < inf:
        window_s += abs(sent[-1].power_w - sent[-2].power_w) / ramp_w_per_s
    # The meter may be one report behind.
    since_s = house.now_s - window_s - house.topology.meter_period_s
    if len(sent) > SENT_MAX or (len(sent) > 1 and sent[1].at_s <= since_s):
        kept = (s for s, after in pairwise(sent) if after.at_s > since_s)
        sent = (*kept, sent[-1])[-SENT_MAX:]
    if len(sent) > 1:
        oldest_w, *powers_w = (s.power_w for s in sent)
        low_w, high_w = min(powers_w), max(powers_w)
        if low_w <= oldest_w <= high_w and len(sent) > 2:
            sent = sent[1:]  # those that outlive it say as much; a meter that speaks often sends many
        unit.seen_low_w = min(unit.seen_low_w, low_w, oldest_w)
        unit.seen_high_w = max(unit.seen_high_w, high_w, oldest_w)
    house.draft.sent[unit.key] = sent


def _battery(house: House, battery: Battery) -> BatteryUnit:
    place = battery.place
    module = house.snapshot.modules[place.module_id]
    seen = module.seen.get(place.element_id)
    if not isinstance(seen, BatterySeen) or seen.battery is not battery:
        seen = module.seen[place.element_id] = _see_battery(house.snapshot, battery)
    unit = BatteryUnit(seen)
    _on_the_way(house, unit, battery.window_s, battery.ramp_w_per_s)
    return unit


def _see_battery(snapshot: Snapshot, battery: Battery) -> BatterySeen:
    place = battery.place
    state = snapshot.element(place.module_id, place.element_id)
    now_w = power_w(state)
    low_w, high_w = -place.produce_max_w, place.consume_max_w
    if battery.inverter and now_w is not None:
        # Its set-point counts at AC, its reading at DC; without the inverter's word they are the same.
        parts = at_ac(snapshot, place.module_id, battery.inverter)
        if parts is not None:
            sun_w, stores_w = parts
            now_w = stores_w[place.element_id]
            # What the inverter passes of the sun it cannot pass of the battery.
            inverter = snapshot.topology.places[f"{place.module_id}/{battery.inverter}"]
            low_w = max(low_w, min(0.0, -inverter.produce_max_w - sun_w))
    if state is not None and state.setpoint is not UNSET:
        # Unknown is not unlimited, but the module keeps its own range: the rating stays.
        if state.setpoint.consume_max_w is not None:
            high_w = min(high_w, state.setpoint.consume_max_w)
        if state.setpoint.produce_max_w is not None:
            low_w = max(low_w, -state.setpoint.produce_max_w)
    charge_pct = soc_pct(snapshot, battery)
    if charge_pct is not None and not battery.whole_inverter:
        if charge_pct >= battery.soc_max_pct:
            high_w = 0.0
        if charge_pct <= battery.soc_min_pct:
            low_w = 0.0
    return BatterySeen(battery, state, now_w, charge_pct, low_w, high_w)


def soc_pct(snapshot: Snapshot, battery: Battery) -> float | None:
    """State of charge of all stores behind a set-point, weighted by capacity; None where one is unknown."""
    total_wh = stored = 0.0
    for store, capacity_wh in battery.capacities_wh:
        state = snapshot.element(battery.place.module_id, store)
        if state is None or state.storage is UNSET or state.storage.soc_pct is None:
            return None
        total_wh += capacity_wh
        stored += capacity_wh * state.storage.soc_pct
    return stored / total_wh if total_wh > 0.0 else None


def available_w(house: House, module_id: str, sources: tuple[str, ...]) -> float | None:
    """What DC or AC sources could give together (>= 0), None where one is unknown."""
    total_w = 0.0
    for source in sources:
        part_w = _available_w(house.snapshot.element(module_id, source))
        if part_w is None:
            return None
        total_w += part_w
    return total_w if sources else None


def _available_w(state: ElementState | None) -> float | None:
    return None if state is None or state.produce is UNSET else state.produce.available_w


def _unless_free(house: House, producer: Producer) -> ProducerUnit | None:
    """The reading of a producer that we steer. It is None, and known to be free, where it holds nothing back
    and nothing is remembered of it: that is the case until its next state comes.
    """
    place = producer.place
    if not house.steers(place):
        return None
    key, seen = place.key, house.snapshot.modules[place.module_id].seen
    remembered = key in house.memory.readings or producer.held in house.memory.fixed
    if not remembered and seen.get(producer.held) is producer:
        house.free.add(key)
        return None
    unit = _producer(house, producer)
    if remembered or unit in house.held_back[-1:]:
        return unit
    seen[producer.held] = producer
    house.free.add(key)
    return None


def wake(house: House, keys: Container[str]) -> None:
    """Read the free producers of these keys after all: something is asked of them."""
    house.free = {key for key in house.free if key not in keys}
    known = {unit.key: unit for unit in house.producers}
    house.producers = [
        known[p.place.key] if p.place.key in known else _producer(house, p)
        for p in house.topology.producers
        if p.place.key not in house.free and house.steers(p.place)
    ]


def _producer(house: House, producer: Producer) -> ProducerUnit:
    unit = ProducerUnit(producer, house.state(producer.place))
    unit.high_w = 0.0
    if producer.sources == (producer.place.element_id,):
        unit.available_w = _available_w(unit.state)
    else:
        unit.available_w = available_w(house, producer.place.module_id, producer.sources)
    _may_have_moved(house, unit)
    unit.curtailed_w = _curtailed_w(house, unit)
    house.curtailed_w += unit.curtailed_w
    return unit


def _may_have_moved(house: House, unit: ProducerUnit) -> None:
    """Widen what the meter may have seen of a producer, by its readings and by what is expected of it.

    With a dead time, a dip that has been recalled is still to come: it must not be taken for load. For giving
    more, only the newest expectation counts: an older one must not explain an export above the limit.
    """
    before_w = house.memory.readings.get(unit.key)
    if before_w is None or unit.power_w is None:
        return
    low_w, high_w = min(unit.power_w, before_w), max(unit.power_w, before_w)
    sent = house.memory.sent.get(unit.key)
    if sent:
        unit.last = sent[-1]
        since_s = house.now_s - OBEYS_S - house.topology.meter_period_s
        due = [s for s in sent if s.at_s >= since_s][-SENT_MAX:]
        if due:
            low_w = min(low_w, due[-1].power_w)
            high_w = max(high_w, *(s.power_w for s in due))
        house.draft.sent[unit.key] = tuple(due) or sent[-1:]
    unit.seen_low_w, unit.seen_high_w = low_w, high_w


def _curtailed_w(house: House, unit: ProducerUnit) -> float:
    """What the limit in force keeps back, at AC. Where the source does not say, a step probes it."""
    limit = unit.state.limit if unit.state is not None else UNSET
    if limit is UNSET or limit.produce_max_w is UNSET or limit.produce_max_w >= unit.place.produce_max_w:
        return 0.0
    given = given_w(house, unit)
    if given is None:
        return 0.0
    output_w = -(unit.power_w or 0.0)
    if unit.available_w is None:
        if output_w < 0.9 * limit.produce_max_w - 20.0:
            return 0.0  # the limit does not bind
        house.held_back.append(unit)
        return 0.05 * min(unit.place.produce_max_w, 1e4)
    missing_w = max(0.0, unit.available_w - given) * (EFFICIENCY if unit.producer.stores else 1.0)
    missing_w = min(missing_w, unit.place.produce_max_w - output_w)
    if not _holds_back(house, unit, limit.produce_max_w, output_w + missing_w):
        return 0.0
    house.held_back.append(unit)
    return missing_w


def _holds_back(house: House, unit: ProducerUnit, limit_w: float, possible_w: float) -> bool:
    """Whether the limit is below what would be given, or was a moment ago: it takes time to give more."""
    key = unit.producer.held
    since_s = house.now_s if limit_w < 0.995 * possible_w - 5.0 else house.memory.fixed.get(key)
    if since_s is None or house.now_s - since_s > LIFTED_S:
        return False
    house.draft.fixed[key] = since_s
    return True


def given_w(house: House, unit: ProducerUnit) -> float | None:
    """What the source gives now (>= 0): at the DC side where a battery takes its part there."""
    if not unit.producer.stores:
        return None if unit.power_w is None else max(0.0, -unit.power_w)
    total_w = 0.0
    for source in unit.producer.sources:
        power = power_w(house.snapshot.element(unit.place.module_id, source))
        if power is None:
            return None
        total_w += max(0.0, -power)
    return total_w


def _charger(house: House, charger: Charger) -> ChargerUnit:
    place = charger.place
    module = house.snapshot.modules[place.module_id]
    seen = module.seen.get(place.element_id)
    if not isinstance(seen, ChargerSeen) or seen.charger is not charger:
        state = house.state(place)
        ev = state.ev if state is not None else UNSET
        connected = ev.connected if ev is not UNSET else None
        seen = ChargerSeen(charger, state, power_w(state), connected, _watt_per_a(charger, state))
        module.seen[place.element_id] = seen
    unit = ChargerUnit(seen)
    _on_the_way(house, unit, charger.window_s, inf)
    return unit


def _watt_per_a(charger: Charger, state: ElementState | None) -> float:
    """Power per ampere of the vehicle: of the conductors that carry current, or of all declared."""
    measure = state.ac_measure if state is not None else UNSET
    if measure is UNSET or measure.terminals is UNSET:
        return charger.place.watt_per_a
    lines = max(1, len(charger.place.conductors))
    loaded = 0
    for line in charger.place.conductors:
        terminal = measure.terminals.get(line)
        if terminal is None or terminal.current_a is UNSET or terminal.current_a is None:
            return charger.place.watt_per_a
        loaded += terminal.current_a > 1.0
    return charger.place.watt_per_a * (loaded or lines) / lines
