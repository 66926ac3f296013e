"""What may be asked of the house over MQTT. Each command becomes a proposal at the owner's rank, and expires.

So it is one voice among others: what the wiring, the grid or the owner's own bounds have narrowed, no command
widens. What holds is told on the topic of the control, after each command and whenever it changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.control.topology import Battery, Charger, Circuit, Heat, Place, Topology
from ores.hub.callers import Caller, check_proposal
from ores.hub.doors.mqtt_entities import HOUSE, UNKNOWN, Entity, number, power_of
from ores.hub.hub import Hub
from ores.link.errors import InvalidMessage
from ores.model import Bounds, ElementState, Preferences, Proposal, Rank, Subject, Wish

SOURCE: Final = "mqtt"
CALLER: Final = Caller(name=SOURCE, role="owner", by="machine")
LASTS_MIN: Final = 60.0
"""How long a command holds, until somebody says otherwise."""
LASTS_MAX_MIN: Final = 1440.0
POWER_MAX_W: Final = 100_000.0
AUTOMATIC: Final = "automatic"
CHARGE: Final = "charge"
HOLD: Final = "hold"
DISCHARGE: Final = "discharge"
SET_POINT: Final = "set-point"
STOP: Final = "stop"
ON: Final = "ON"
OFF: Final = "OFF"
PRESS: Final = "PRESS"


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One control.

    Attributes:
        entity: How it is shown.
        take: Does what a payload says; raises an `OresError` that says what is allowed.
        value: What holds now, as text.
    """

    entity: Entity
    take: Callable[[str], None]
    value: Callable[[], str]


class Controls:
    """The controls of one hub.

    Args:
        hub: Whose arbiter decides.
    """

    def __init__(self, hub: Hub) -> None:
        self._hub: Final = hub
        self._lasts_min = LASTS_MIN
        self._all: dict[str, Control] = {}

    @property
    def entities(self) -> list[Entity]:
        """How they are shown."""
        return [control.entity for control in self._all.values()]

    def describe(self, topology: Topology) -> None:
        """What can be asked of the house as it is now; a module in watch mode takes no commands."""
        found = [*self._of_house(topology)]
        for battery in topology.batteries:
            if self._steers(battery.place):
                found += self._of_battery(battery)
        for charger in topology.chargers:
            if self._steers(charger.place):
                found += self._of_charger(charger)
        found += [self._of_heat(heat) for heat in topology.heats if self._steers(heat.place)]
        found += [
            self._of_circuit(circuit)
            for circuit in topology.circuits
            if circuit.switchable and self._steers(circuit.place)
        ]
        self._all = {control.entity.topic: control for control in found}

    def values(self) -> dict[str, str]:
        """What holds now, by topic; a button has no state."""
        return {
            topic: control.value()
            for topic, control in self._all.items()
            if control.entity.component != "button"
        }

    def take(self, topic: str, payload: str) -> bool:
        """Do what was asked on the topic of a control.

        Returns:
            Whether there is such a control.

        Raises:
            OresError: It cannot be asked; says what is allowed.
        """
        control = self._all.get(topic)
        if control is not None:
            control.take(payload.strip())
        return control is not None

    # The house

    def _of_house(self, topology: Topology) -> Iterator[Control]:
        batteries = [battery for battery in topology.batteries if self._steers(battery.place)]
        if batteries:
            yield self._reserve()
            yield self._all_batteries(batteries)
        if topology.meter is not None:
            yield self._limit("export_max_w", "Export limit", "produce_max_w")
            yield self._limit("import_max_w", "Import limit", "consume_max_w")
        yield self._lasts()
        yield Control(
            entity=_entity(
                "button", f"{HOUSE}/automatic", "Back to automatic", {"icon": "mdi:home-automation"}
            ),
            take=self._take_back_all,
            value=lambda: UNKNOWN,
        )

    def _reserve(self) -> Control:
        key = "reserve_pct"

        def take(payload: str) -> None:
            reserve_pct = _number(key, payload, 0.0, 100.0)
            if reserve_pct <= self._preferences.reserve_pct:
                self._withdraw(key)  # the owner's own setting holds anyway
                return
            self._propose(
                key,
                Subject(kind="connection"),
                f"{reserve_pct:.0f} % are to be kept",
                bounds=Bounds(soc_min_pct=reserve_pct),
                rank="owner_bounds",
            )

        def value() -> str:
            asked = self._bounds(key)
            own_pct = self._preferences.reserve_pct
            return number(own_pct if asked is None else max(own_pct, _or(asked.soc_min_pct, 0.0)))

        told = {"device_class": "battery", "unit_of_measurement": "%", "min": 0, "max": 100, "step": 1}
        return Control(
            entity=_entity("number", f"{HOUSE}/{key}", "Battery reserve", told), take=take, value=value
        )

    def _limit(self, key: str, name: str, direction: str) -> Control:
        """A limit at the connection point; it only narrows what was agreed."""

        def take(payload: str) -> None:
            if payload == UNKNOWN:
                self._withdraw(key)
                return
            limit_w = _number(key, payload, 0.0, POWER_MAX_W)
            bounds = (
                Bounds(produce_max_w=limit_w)
                if direction == "produce_max_w"
                else Bounds(consume_max_w=limit_w)
            )
            reason = f"at most {limit_w:.0f} W of {name.split(maxsplit=1)[0].lower()}"
            self._propose(key, Subject(kind="connection"), reason, bounds=bounds)

        def value() -> str:
            asked = self._bounds(key)
            own_w: float | UnsetType = getattr(self._preferences, key)
            asked_w: float | UnsetType = UNSET if asked is None else getattr(asked, direction)
            known = [value for value in (own_w, asked_w) if not isinstance(value, UnsetType)]
            return number(min(known)) if known else UNKNOWN

        return Control(
            entity=_entity("number", f"{HOUSE}/{key}", name, _watts(0.0, POWER_MAX_W)),
            take=take,
            value=value,
        )

    def _all_batteries(self, batteries: Sequence[Battery]) -> Control:
        def take(payload: str) -> None:
            _one_of("operation", payload, (AUTOMATIC, CHARGE, HOLD))
            for battery in batteries:
                low_w, high_w = self._range(battery.place)
                self._operate(battery.place, payload, low_w, high_w)

        def value() -> str:
            found = {self._operation(one.place, *self._range(one.place)) for one in batteries}
            return next(iter(found)) if len(found) == 1 and found <= {AUTOMATIC, CHARGE, HOLD} else UNKNOWN

        entity = _entity(
            "select",
            f"{HOUSE}/battery_operation",
            "Battery operation",
            {"options": [AUTOMATIC, CHARGE, HOLD], "icon": "mdi:home-battery"},
        )
        return Control(entity=entity, take=take, value=value)

    def _lasts(self) -> Control:
        def take(payload: str) -> None:
            self._lasts_min = _number("command_lasts_min", payload, 1.0, LASTS_MAX_MIN)

        told = {
            "unit_of_measurement": "min",
            "device_class": "duration",
            "min": 1,
            "max": int(LASTS_MAX_MIN),
            "step": 1,
            "mode": "box",
            "entity_category": "config",
        }
        return Control(
            entity=_entity("number", f"{HOUSE}/command_lasts_min", "Commands last", told),
            take=take,
            value=lambda: number(self._lasts_min),
        )

    def _take_back_all(self, payload: str) -> None:
        _one_of("automatic", payload, (PRESS,))
        self._hub.proposals.remove_source(SOURCE)

    # Elements

    def _of_battery(self, battery: Battery) -> list[Control]:
        place = battery.place
        low_w, high_w = self._range(place)
        options = (AUTOMATIC, CHARGE, HOLD, DISCHARGE, SET_POINT)
        return [
            self._operation_of(place, "Operation", options, low_w, high_w),
            self._power_of(place, "Wanted power", low_w, high_w),
        ]

    def _of_charger(self, charger: Charger) -> list[Control]:
        place = charger.place
        high_w = charger.current_max_a * place.watt_per_a
        return [
            self._operation_of(place, "Charging", (AUTOMATIC, CHARGE, STOP, SET_POINT), 0.0, high_w),
            self._power_of(place, "Wanted power", 0.0, high_w),
        ]

    def _operation_of(
        self, place: Place, name: str, options: tuple[str, ...], low_w: float, high_w: float
    ) -> Control:
        def take(payload: str) -> None:
            _one_of("operation", payload, options)
            self._operate(place, payload, low_w, high_w)

        def value() -> str:
            found = self._operation(place, low_w, high_w)
            return STOP if found == HOLD and STOP in options else found

        entity = _entity(
            "select", f"{place.key}/operation", name, {"options": list(options)}, place.module_id
        )
        return Control(entity=entity, take=take, value=value)

    def _power_of(self, place: Place, name: str, low_w: float, high_w: float) -> Control:
        def take(payload: str) -> None:
            if payload == UNKNOWN:
                self._withdraw(place.key)
                return
            self._wish_power(place, _number("wanted_power_w", payload, low_w, high_w))

        def value() -> str:
            return number(self._wished_w(place))

        topic = f"{place.key}/wanted_power_w"
        entity = _entity("number", topic, name, _watts(low_w, high_w), place.module_id)
        return Control(entity=entity, take=take, value=value)

    def _operate(self, place: Place, operation: str, low_w: float, high_w: float) -> None:
        if operation == AUTOMATIC:
            self._withdraw(place.key)
        elif operation == SET_POINT:
            wished_w = self._wished_w(place)
            state = self._state(place)
            now_w = None if state is None else power_of(state)
            if wished_w is None and now_w is None:
                raise _refused(
                    "operation", operation, "a power to begin with; its power is not known: set one"
                )
            self._wish_power(place, min(max(_first(wished_w, now_w), low_w), high_w))
        else:
            power_w = {CHARGE: high_w, DISCHARGE: low_w}.get(operation, 0.0)
            self._wish_power(place, power_w)

    def _operation(self, place: Place, low_w: float, high_w: float) -> str:
        wished_w = self._wished_w(place)
        if wished_w is None:
            return AUTOMATIC
        if wished_w == 0.0:
            return HOLD
        return {high_w: CHARGE, low_w: DISCHARGE}.get(wished_w, SET_POINT)

    def _wish_power(self, place: Place, power_w: float) -> None:
        does = "rest" if power_w == 0 else f"{'take' if power_w > 0 else 'give'} {abs(power_w):.0f} W"
        self._propose(place.key, _subject(place), f"asked to {does}", wish=Wish(power_w=power_w))

    def _of_heat(self, heat: Heat) -> Control:
        place = heat.place
        modes = sorted(heat.modes)
        automatic = AUTOMATIC if AUTOMATIC not in modes else "by the hub"

        def take(payload: str) -> None:
            _one_of("mode", payload, (automatic, *modes))
            if payload == automatic:
                self._withdraw(place.key)
                return
            self._propose(place.key, _subject(place), f"asked for {payload}", wish=Wish(mode=payload))

        def value() -> str:
            wish = self._wish(place.key)
            return automatic if wish is None or wish.mode is UNSET else wish.mode

        entity = _entity(
            "select",
            f"{place.key}/wanted_mode",
            "Wanted mode",
            {"options": [automatic, *modes]},
            place.module_id,
        )
        return Control(entity=entity, take=take, value=value)

    def _of_circuit(self, circuit: Circuit) -> Control:
        place = circuit.place

        def take(payload: str) -> None:
            _one_of("closed", payload, (ON, OFF))
            closed = payload == ON
            reason = f"asked to be switched {'on' if closed else 'off'}"
            self._propose(place.key, _subject(place), reason, wish=Wish(closed=closed))

        def value() -> str:
            """Where it stands, not what was asked: only that is true."""
            state = self._state(place)
            if state is None or state.switch is UNSET or state.switch.closed is None:
                return UNKNOWN
            return ON if state.switch.closed else OFF

        alone = len(self._hub.federation.links[place.module_id].known_description.elements) == 1
        name = "Switch" if alone else place.name
        entity = _entity("switch", f"{place.key}/closed", name, {}, place.module_id)
        return Control(entity=entity, take=take, value=value)

    # The arbiter's side

    @property
    def _preferences(self) -> Preferences:
        return self._hub.preferences.get()

    def _steers(self, place: Place) -> bool:
        link = self._hub.federation.links.get(place.module_id)
        return link is not None and not link.watch_only

    def _range(self, place: Place) -> tuple[float, float]:
        """Set-points that the element can be given at all, in W, positive into it."""
        return -min(place.produce_max_w, POWER_MAX_W), min(place.consume_max_w, POWER_MAX_W)

    def _state(self, place: Place) -> ElementState | None:
        link = self._hub.federation.links.get(place.module_id)
        if link is None or link.state is None or not link.is_fresh(self._hub.clock.now()):
            return None
        return link.state.elements.get(place.element_id)

    def _propose(
        self,
        key: str,
        subject: Subject,
        reason: str,
        *,
        bounds: Bounds | UnsetType = UNSET,
        wish: Wish | UnsetType = UNSET,
        rank: Rank = "owner_wish",
    ) -> None:
        proposal = Proposal(
            id=key,
            subject=subject,
            rank=rank,
            bounds=bounds,
            wish=wish,
            source=SOURCE,
            reason=f"{reason} (over MQTT)",
            ttl_s=60.0 * self._lasts_min,
        )
        check_proposal(CALLER, proposal, self._hub.people.names())
        self._hub.proposals.put(proposal)

    def _withdraw(self, key: str) -> None:
        self._hub.proposals.remove(SOURCE, key)

    def _wish(self, key: str) -> Wish | None:
        held = self._hub.proposals.get(SOURCE, key)
        return None if held is None or held.wish is UNSET else held.wish

    def _wished_w(self, place: Place) -> float | None:
        wish = self._wish(place.key)
        return None if wish is None or wish.power_w is UNSET else wish.power_w

    def _bounds(self, key: str) -> Bounds | None:
        held = self._hub.proposals.get(SOURCE, key)
        return None if held is None or held.bounds is UNSET else held.bounds


def _entity(component: str, topic: str, name: str, told: Mapping[str, object], module: str = "") -> Entity:
    return Entity(component=component, topic=topic, name=name, module=module, told=dict(told), controls=True)


def _watts(low_w: float, high_w: float) -> Mapping[str, object]:
    return {
        "device_class": "power",
        "unit_of_measurement": "W",
        "min": int(low_w),
        "max": int(high_w),
        "step": 10,
        "mode": "box",
    }


def _subject(place: Place) -> Subject:
    return Subject(kind="element", module=place.module_id, element=place.element_id)


def _number(name: str, payload: str, low: float, high: float) -> float:
    """A number out of a payload.

    Raises:
        InvalidMessage: It is none, or out of its range; says what is allowed.
    """
    try:
        value = float(payload)
    except ValueError:
        raise _refused(name, payload, f"a number of {low:g} to {high:g}") from None
    if not low <= value <= high:
        raise _refused(name, payload, f"{low:g} to {high:g}")
    return value


def _one_of(name: str, payload: str, allowed: Sequence[str]) -> None:
    if payload not in allowed:
        raise _refused(name, payload, ", ".join(allowed))


def _refused(name: str, found: str, allowed: str) -> InvalidMessage:
    found = found[:80]
    return InvalidMessage(
        f"{name}: found {found!r}, allowed is {allowed}", field=name, found=found, allowed=allowed
    )


def _or(value: float | UnsetType, default: float) -> float:
    return default if isinstance(value, UnsetType) else value


def _first(value: float | None, otherwise: float | None) -> float:
    return value if value is not None else otherwise or 0.0
