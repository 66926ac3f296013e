"""What devices say of themselves over MQTT: Home Assistant's discovery, and Tasmota's own.

Sources: Home Assistant's documentation of MQTT discovery, with its abbreviations and its form for whole
devices; the messages that Tasmota keeps under `tasmota/discovery`. Pure: messages in, entities out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from ores.link.errors import PeerError

PREFIX: Final = "homeassistant"
TASMOTA: Final = "tasmota/discovery"
COMPONENTS: Final = ("sensor", "switch", "number", "binary_sensor", "select")
ENTITIES_MAX: Final = 128
"""Of one device."""
TEXT_MAX: Final = 64

Config = Mapping[str, object]

_SHORT: Final = {
    "avty": "availability",
    "avty_mode": "availability_mode",
    "avty_t": "availability_topic",
    "avty_tpl": "availability_template",
    "cmd_t": "command_topic",
    "cmd_tpl": "command_template",
    "cmps": "components",
    "dev": "device",
    "dev_cla": "device_class",
    "exp_aft": "expire_after",
    "obj_id": "object_id",
    "p": "platform",
    "pl_avail": "payload_available",
    "pl_not_avail": "payload_not_available",
    "pl_off": "payload_off",
    "pl_on": "payload_on",
    "stat_cla": "state_class",
    "stat_off": "state_off",
    "stat_on": "state_on",
    "stat_t": "state_topic",
    "t": "topic",
    "uniq_id": "unique_id",
    "unit_of_meas": "unit_of_measurement",
    "val_tpl": "value_template",
}
_SHORT_OF_DEVICE: Final = {
    "cns": "connections",
    "ids": "identifiers",
    "mdl": "model",
    "mf": "manufacturer",
    "sn": "serial_number",
    "sw": "sw_version",
}


_SHARED: Final = frozenset(
    {
        "~",
        "availability",
        "availability_mode",
        "availability_template",
        "availability_topic",
        "command_topic",
        "payload_available",
        "payload_not_available",
        "state_topic",
    }
)
"""What a device may say once for all its entities."""


class Place(msgspec.Struct, frozen=True):
    """Where a value is told.

    Attributes:
        topics: The newest word on any of them counts.
        template: Of the value in the payload; empty where the payload is the value.
    """

    topics: tuple[str, ...]
    template: str = ""


class Availability(msgspec.Struct, frozen=True):
    """Where a device says whether it is there, and in which words."""

    place: Place
    online: str = "online"
    offline: str = "offline"


class Device(msgspec.Struct, frozen=True):
    """What entities belong to.

    Attributes:
        id: Stable, by which a map names it.
        name: For people.
        maker: Empty where it does not say.
        model: Empty where it does not say.
    """

    id: str
    name: str
    maker: str = ""
    model: str = ""


class Entity(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a device shows, or takes.

    Attributes:
        component: One of `COMPONENTS`.
        id: Unique on the broker.
        name: For people, and to guess by.
        device: Whose it is.
        device_class: Such as `power`; empty for none.
        unit: Of its value; empty for none.
        state_class: Such as `total_increasing`; empty for none.
        state: Where it is told; None where it is not.
        on: What a switch says and takes: payloads of the command, then of the state.
        command_topic: Empty where it takes no commands.
        availability: All that it names.
        any_is_enough: Whether one of these suffices; else all have to say so.
        expires_s: For so long a value holds, as the device says; None where it does not.
    """

    component: str
    id: str
    name: str
    device: Device
    device_class: str = ""
    unit: str = ""
    state_class: str = ""
    state: Place | None = None
    on: tuple[str, str, str, str] = ("ON", "OFF", "ON", "OFF")
    command_topic: str = ""
    availability: tuple[Availability, ...] = ()
    any_is_enough: bool = False
    expires_s: float | None = None


def topics(prefix: str = PREFIX) -> list[str]:
    """Where all this is told."""
    return [f"{prefix}/+/+/config", f"{prefix}/+/+/+/config", f"{TASMOTA}/+/config", f"{TASMOTA}/+/sensors"]


def read(topic: str, payload: str, prefix: str = PREFIX) -> list[Entity]:
    """The entities of one message of Home Assistant's discovery; none where it is of another kind.

    Raises:
        PeerError: It cannot be understood.
    """
    parts = topic.removeprefix(f"{prefix}/").split("/")
    component, object_id = parts[0], "_".join(parts[1:-1])
    config = _expanded(_object(payload), _SHORT)
    if component == "device":
        return list(_of_device(config, object_id))
    if component not in COMPONENTS:
        return []
    return [_entity(component, object_id, config, _device(config, object_id))]


def _of_device(config: Config, object_id: str) -> Iterator[Entity]:
    """The form in which one message tells all entities of a device."""
    device = _device(config, object_id)
    components = config.get("components")
    if not isinstance(components, dict):
        raise PeerError("a device without components")
    shared = {name: value for name, value in config.items() if name in _SHARED}
    for key, told in list(components.items())[:ENTITIES_MAX]:
        if isinstance(told, dict):
            one = {**shared, **_expanded(told, _SHORT)}
            if (component := _text(one, "platform")) in COMPONENTS:
                yield _entity(component, f"{object_id}_{key}", one, device)


def _entity(component: str, object_id: str, config: Config, device: Device) -> Entity:
    state_topic = _topic(config, "state_topic")
    on, off = _text(config, "payload_on") or "ON", _text(config, "payload_off") or "OFF"
    name = config.get("name")
    return Entity(
        component=component,
        id=_text(config, "unique_id") or object_id,
        name=(name if isinstance(name, str) else "")[:TEXT_MAX],
        device=device,
        device_class=_text(config, "device_class"),
        unit=_text(config, "unit_of_measurement"),
        state_class=_text(config, "state_class"),
        state=Place((state_topic,), _text(config, "value_template")) if state_topic else None,
        on=(on, off, _text(config, "state_on") or on, _text(config, "state_off") or off),
        command_topic=_topic(config, "command_topic") if not _text(config, "command_template") else "",
        availability=tuple(_availability(config)),
        any_is_enough=_text(config, "availability_mode") == "any",
        expires_s=_positive(config.get("expire_after")),
    )


def _availability(config: Config) -> Iterator[Availability]:
    many = config.get("availability")
    found: list[Config] = [one for one in many if isinstance(one, dict)] if isinstance(many, list) else []
    found += [many] if isinstance(many, dict) else []
    for one in found[:8]:
        told = {"~": config.get("~", ""), **_expanded(one, {**_SHORT, "val_tpl": "value_template"})}
        if topic := _topic(told, "topic"):
            yield _said(Place((topic,), _text(told, "value_template")), told)
    if topic := _topic(config, "availability_topic"):
        yield _said(Place((topic,), _text(config, "availability_template")), config)


def _said(place: Place, config: Config) -> Availability:
    online = _text(config, "payload_available") or "online"
    return Availability(place, online, _text(config, "payload_not_available") or "offline")


def _device(config: Config, otherwise: str) -> Device:
    told = config.get("device")
    if not isinstance(told, dict):
        return Device(otherwise, otherwise)
    device = _expanded(told, _SHORT_OF_DEVICE)
    ids = device.get("identifiers")
    connections = device.get("connections")
    known = ids if isinstance(ids, list) else [ids]
    if isinstance(connections, list):
        known = [*known, *(one[1] for one in connections if isinstance(one, list) and len(one) == 2)]
    found = next((one for one in known if isinstance(one, str) and one), otherwise)
    name = _text(device, "name") or found
    return Device(
        found, name[:TEXT_MAX], _text(device, "manufacturer")[:TEXT_MAX], _text(device, "model")[:TEXT_MAX]
    )


class Tasmota(msgspec.Struct, frozen=True):
    """What Tasmota keeps about a device, as far as it is needed (`tasmota/discovery/MAC/config`)."""

    t: str
    ft: str
    tp: list[str]
    dn: str = ""
    md: str = ""
    fn: list[str | None] = []
    rl: list[int] = []
    state: tuple[str, ...] = ("OFF", "ON")
    onln: str = "Online"
    ofln: str = "Offline"


_TASMOTA_ENERGY: Final = {
    "Power": ("power", "W", "measurement"),
    "Total": ("energy", "kWh", "total_increasing"),
    "ExportActive": ("energy", "kWh", "total_increasing"),
    "Voltage": ("voltage", "V", "measurement"),
    "Current": ("current", "A", "measurement"),
    "Frequency": ("frequency", "Hz", "measurement"),
}


def read_tasmota(mac: str, config: str, sensors: str) -> list[Entity]:
    """The entities of a Tasmota device.

    Args:
        mac: As its topic names it.
        config: Its payload of `config`.
        sensors: Its payload of `sensors`; empty where none came.

    Raises:
        PeerError: It cannot be understood.
    """
    try:
        told = msgspec.json.decode(config, type=Tasmota)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PeerError(f"Tasmota's discovery of {mac[:TEXT_MAX]}: {error}") from error
    if len(told.tp) != 3 or len(told.state) < 2 or not _is_plain(told.t):
        raise PeerError(f"Tasmota's discovery of {mac[:TEXT_MAX]} names no topics")
    command, status, telemetry = (
        told.ft.replace("%prefix%", prefix).replace("%topic%", told.t) for prefix in told.tp
    )
    device = Device(mac, (told.dn or told.t)[:TEXT_MAX], "Tasmota", told.md[:TEXT_MAX])
    there = (Availability(Place((f"{telemetry}LWT",)), told.onln, told.ofln),)
    found: list[Entity] = []
    relays = [number for number, kind in enumerate(told.rl[:32], 1) if kind == 1]
    off, on = told.state[0], told.state[1]
    for number in relays:
        key = "POWER" if relays == [1] else f"POWER{number}"
        names = [name for name in told.fn[number - 1 : number] if name]
        found.append(
            Entity(
                component="switch",
                id=f"{mac}_{key}",
                name=names[0] if names else key,
                device=device,
                state=Place((f"{status}RESULT", f"{telemetry}STATE"), f"{{{{ value_json.{key} }}}}"),
                on=(on, off, on, off),
                command_topic=f"{command}{key}",
                availability=there,
            )
        )
    energy = _inside(_object(sensors), "sn", "ENERGY") if sensors else {}
    for key, (device_class, unit, state_class) in _TASMOTA_ENERGY.items():
        if isinstance(energy.get(key), int | float):
            found.append(
                Entity(
                    component="sensor",
                    id=f"{mac}_ENERGY_{key}",
                    name=key,
                    device=device,
                    device_class=device_class,
                    unit=unit,
                    state_class=state_class,
                    state=Place((f"{telemetry}SENSOR",), f"{{{{ value_json.ENERGY.{key} }}}}"),
                    availability=there,
                )
            )
    return found


def _inside(told: Config, *keys: str) -> Config:
    for key in keys:
        inner = told.get(key)
        if not isinstance(inner, dict):
            return {}
        told = inner
    return told


def _object(payload: str) -> Config:
    try:
        return msgspec.json.decode(payload, type=dict[str, object])
    except (msgspec.DecodeError, RecursionError) as error:
        raise PeerError(f"its discovery is no JSON object: {error}") from error


def _expanded(config: Config, short: Mapping[str, str]) -> dict[str, object]:
    return {short.get(name, name): value for name, value in config.items()}


def _text(config: Config, name: str) -> str:
    """A text, or a number or truth as text; else empty."""
    value = config.get(name)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else ""


def _topic(config: Config, name: str) -> str:
    """A topic, with `~` for the device's own at its beginning or end."""
    topic, base = _text(config, name), _text(config, "~")
    if base and topic.startswith("~"):
        topic = base + topic[1:]
    elif base and topic.endswith("~"):
        topic = topic[:-1] + base
    return topic if _is_plain(topic) else ""


def _is_plain(topic: str) -> bool:
    """Whether it is one topic: a device that names `#` would have us listen to everything."""
    return 0 < len(topic.encode()) <= 512 and not any(sign in topic for sign in "#+\0")


def _positive(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < 1e9 else None
