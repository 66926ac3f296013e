"""What of the house is shown over MQTT: entities for Home Assistant, and the values behind them. Pure.

Each value has a topic of its own, whose last word is its name, with its unit. What is unknown is `None`,
which Home Assistant shows as unknown; it is never 0. What a device does not have has no topic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.control.topology import Topology
from ores.model import AcMeasure, Description, Element, ElementState, Flow, ModuleLive, Preferences

UNKNOWN: Final = "None"
"""How Home Assistant is told that a value is not known."""
GIVERS: Final = frozenset({"pv", "inverter", "generator"})
"""Kinds whose power is shown as what they produce, positive outwards, as people expect of the sun."""
HOUSE: Final = "house"
_IDLE: Final = {
    **dict.fromkeys(("load", "circuit", "heat", "evse"), "energy_out_kwh"),
    **dict.fromkeys(("pv", "inverter", "generator"), "energy_in_kwh"),
}
"""The direction in which next to nothing flows: told, and shown by Home Assistant to who wants it."""
TEXT_MAX: Final = 255
"""A state of Home Assistant is no longer."""

Told = Mapping[str, str]
"""Payloads by topic, below the hub's own."""


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that Home Assistant shows.

    Attributes:
        component: `sensor`, `number`, `select`, `switch`, `button` or `binary_sensor`.
        topic: Of its state, below the hub's own.
        name: For people; the device's name is put before it.
        module: Whose it is; empty for the house.
        told: What else stands in its discovery.
        controls: Whether it takes commands, on its topic with `/set` behind.
    """

    component: str
    topic: str
    name: str
    module: str = ""
    told: dict[str, object] = {}
    controls: bool = False

    @property
    def object_id(self) -> str:
        """Unique among the entities of this hub."""
        return self.topic.replace("/", "_")


_KINDS: Final[dict[str, dict[str, object]]] = {
    "power_w": {"device_class": "power", "unit_of_measurement": "W", "state_class": "measurement"},
    "energy_kwh": {
        "device_class": "energy",
        "unit_of_measurement": "kWh",
        "state_class": "total_increasing",
        "suggested_display_precision": 2,
    },
    "soc_pct": {"device_class": "battery", "unit_of_measurement": "%", "state_class": "measurement"},
    "temperature_c": {
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "state_class": "measurement",
    },
}


def sensor(kind: str, topic: str, name: str, module: str = "") -> Entity:
    """A measured value of one of the kinds above."""
    return Entity(component="sensor", topic=topic, name=name, module=module, told=_KINDS[kind])


def topic_of(module: str, element: str, point: str) -> str:
    """Where a point of an element is told."""
    return f"{module}/{element}/{point}"


def house_entities(topology: Topology) -> Iterator[Entity]:
    """What the house has, and no more: a home without a battery has no battery power."""
    for point, name, shown in (
        ("grid_power_w", "Grid power", topology.meter is not None),
        ("solar_power_w", "Solar power", has_sun(topology)),
        ("battery_power_w", "Battery power", bool(topology.stores)),
        ("ev_power_w", "Vehicle charging power", bool(topology.chargers)),
        ("heat_power_w", "Heating power", bool(topology.heats)),
        ("load_power_w", "Other consumption", topology.meter is not None),
    ):
        if shown:
            yield sensor("power_w", f"{HOUSE}/{point}", name)
    if topology.stores:
        yield sensor("soc_pct", f"{HOUSE}/soc_pct", "Battery")


def has_sun(topology: Topology) -> bool:
    """Whether there is solar power, alone or behind a hybrid inverter."""
    return bool(topology.suns) or any(suns for suns, _ in topology.inverters.values())


def house_values(flow: Flow) -> Told:
    """The house now."""
    return {
        f"{HOUSE}/grid_power_w": number(flow.grid_w),
        f"{HOUSE}/solar_power_w": number(_turned(flow.pv_w)),
        f"{HOUSE}/battery_power_w": number(flow.battery_w),
        f"{HOUSE}/ev_power_w": number(flow.ev_w),
        f"{HOUSE}/heat_power_w": number(flow.heat_w),
        f"{HOUSE}/load_power_w": number(flow.load_w),
        f"{HOUSE}/soc_pct": number(flow.soc_pct, 1),
    }


def price_entities(currency: str) -> Iterator[Entity]:
    """What energy costs; Home Assistant takes a price by a unit that ends in `/kWh`.

    Args:
        currency: Three capitals.
    """
    told: dict[str, object] = {
        "unit_of_measurement": f"{currency}/kWh",
        "state_class": "measurement",
        "icon": "mdi:cash",
    }
    for point, name in (("price_per_kwh", "Import price"), ("export_price_per_kwh", "Export price")):
        yield Entity(component="sensor", topic=f"{HOUSE}/{point}", name=name, told=told)


def price_values(preferences: Preferences) -> Told:
    """The prices that the owner has set."""
    return {
        f"{HOUSE}/price_per_kwh": number(preferences.price_per_kwh, 4),
        f"{HOUSE}/export_price_per_kwh": number(preferences.export_price_per_kwh, 4),
    }


def module_entities(description: Description) -> Iterator[Entity]:
    """What is measured of a module; of several elements each says which it is."""
    yield Entity(
        component="sensor",
        topic=f"{description.id}/doing",
        name="Activity",
        module=description.id,
        told={"icon": "mdi:information-outline"},
    )
    alone = len(description.elements) == 1
    for one in description.elements:
        prefix = "" if alone else f"{label_of(one)} "
        for kind, point, name in _points(one):
            full = f"{prefix}{name}"
            topic = topic_of(description.id, one.id, point)
            entity = sensor(kind, topic, full[:1].upper() + full[1:], description.id)
            if point == _IDLE.get(one.kind):
                entity = msgspec.structs.replace(entity, told={**entity.told, "enabled_by_default": False})
            yield entity


def label_of(element: Element) -> str:
    """What people call an element."""
    return element.id.replace("_", " ") if element.name is UNSET else element.name


def _points(element: Element) -> Iterator[tuple[str, str, str]]:
    able = element.capabilities
    if able.ac_measure is not UNSET or able.dc_measure is not UNSET:
        gives = element.kind in GIVERS
        yield "power_w", "power_w", "production" if gives else "power"
    if able.energy is not UNSET:
        taken, given = _words(element)
        yield "energy_kwh", "energy_in_kwh", taken
        yield "energy_kwh", "energy_out_kwh", given
    if able.storage is not UNSET:
        yield "soc_pct", "soc_pct", "state of charge"
    if able.thermal is not UNSET:
        yield "temperature_c", "temperature_c", "temperature"


def _words(element: Element) -> tuple[str, str]:
    """What flows in and out of an element, in words."""
    measure = element.capabilities.ac_measure
    if measure is not UNSET and measure.connection_point is True:
        return "energy imported", "energy exported"
    if element.capabilities.storage is not UNSET:
        return "energy charged", "energy discharged"
    return "energy consumed", "energy produced"


def module_values(description: Description, live: ModuleLive) -> Told:
    """A module now; None for whatever is not known.

    Energy is told by `mqtt_energy`, which repairs it.
    """
    told = {f"{description.id}/doing": UNKNOWN if live.doing is UNSET else live.doing[:TEXT_MAX]}
    for one in description.elements:
        state = live.elements.get(one.id)
        for kind, point, _ in _points(one):
            if kind != "energy_kwh":
                told[topic_of(description.id, one.id, point)] = _value(one, state, point)
    return told


def _value(element: Element, state: ElementState | None, point: str) -> str:
    if state is None:
        return UNKNOWN
    if point == "power_w":
        power_w = power_of(state)
        return number(_turned(power_w) if element.kind in GIVERS else power_w)
    if point == "soc_pct":
        return UNKNOWN if state.storage is UNSET else number(state.storage.soc_pct, 1)
    return UNKNOWN if state.thermal is UNSET else number(state.thermal.temperature_c, 1)


def power_of(state: ElementState) -> float | None:
    """Power into an element, at its AC side where there is one, in W."""
    measured: AcMeasure | UnsetType = state.ac_measure
    if measured is not UNSET:
        return measured.power_w
    return None if state.dc_measure is UNSET else state.dc_measure.power_w


def number(value: float | UnsetType | None, digits: int = 0) -> str:
    """A number as text; unknown is never 0."""
    if value is None or isinstance(value, UnsetType):
        return UNKNOWN
    return f"{round(value, digits) + 0.0:.{digits}f}"  # and no -0


def _turned(value: float | None) -> float | None:
    return None if value is None else -value
