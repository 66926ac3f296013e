"""A map of topics: what a person says of the devices on a broker, as one YAML file.

```yaml
devices:                      # those that are found by themselves, by their id or name
  Roof: {kind: pv, conductor: L2}
  Hallway lamp: {show: false}
elements:                     # and what is not found
  grid:
    kind: meter
    connection_point: true
    power_w: {topic: meter/state, path: grid.power, unit: kW, max_age_s: 10}
    energy_in_wh: {topic: meter/state, path: imported, unit: kWh}
  battery:
    kind: battery
    capacity_wh: 10000
    rating_w: 3000
    power_w: {topic: battery/power, turned: true}
    soc_pct: {topic: battery/soc}
    available: {topic: battery/lwt, online: up, offline: down}
    setpoint: {topic: battery/set, released: auto, refresh_s: 10, response_s: 2}
```
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import inf
from pathlib import Path
from typing import Final, Literal

import msgspec
import yaml
from msgspec import UNSET

from ores.adapters.mqtt.guess import Said
from ores.adapters.mqtt.shown import RANGES, UNITS, Shown, Source, Steering, There, hold_s
from ores.adapters.mqtt.template import Evaluate, path, template
from ores.link.errors import ConfigError, PeerError
from ores.model import (
    AcMeasureCapability,
    EnergyCapability,
    LimitCapability,
    Rating,
    SetpointCapability,
    StorageCapability,
    SwitchCapability,
)
from ores.module import element

FILE_MAX_BYTES: Final = 1_000_000
_ID: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
Kind = Literal["inverter", "pv", "battery", "circuit", "meter", "evse", "load", "heat", "generator"]
Conductor = Literal["L1", "L2", "L3", ""]


class Told(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a value is told.

    Attributes:
        topic: On which.
        path: Place in a JSON payload, such as `ENERGY.Power`; empty where the payload is the value.
        template: The same as a template; instead of a path.
        unit: Empty for ours: W, Wh, %, V, A, Hz.
        scale: Times this it is in that unit.
        offset: Added after that.
        turned: It is told the other way round: positive is out of the element.
        max_age_s: For so long it holds; None for the usual.
        on: Of a switch: the word for closed.
        off: Of a switch: the word for open.
    """

    topic: str
    path: str = ""
    template: str = ""
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    turned: bool = False
    max_age_s: float | None = None
    on: str = "ON"
    off: str = "OFF"


class Available(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a device says whether it is there."""

    topic: str
    path: str = ""
    online: str = "online"
    offline: str = "offline"


class Switched(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an element is switched: the command's topic and payloads, and where its position is told."""

    topic: str
    state: Told
    on: str = "ON"
    off: str = "OFF"


class Commanded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a power is commanded.

    Attributes:
        topic: Of the command; its payload is a number.
        unit: Of that number.
        turned: It is positive out of the element.
        step: To which the number is rounded, in its unit.
        released: Payload that gives the device back to itself; empty where there is none.
        refresh_s: After so long the device falls back: a command is sent again at half of it. None for never.
        response_s: From the command until most of it is seen.
        state: Where the device says what holds; None where it does not.
    """

    topic: str
    unit: Literal["W", "kW"] = "W"
    turned: bool = False
    step: float = 1.0
    released: str = ""
    refresh_s: float | None = None
    response_s: float = 5.0
    state: Told | None = None


class Mapped(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One element, as a person says it."""

    kind: Kind
    name: str = ""
    connection_point: bool = False
    conductor: Conductor = ""
    upstream: str = ""
    capacity_wh: float | None = None
    rating_w: float | None = None
    power_w: Told | None = None
    energy_in_wh: Told | None = None
    energy_out_wh: Told | None = None
    soc_pct: Told | None = None
    voltage_v: Told | None = None
    current_a: Told | None = None
    frequency_hz: Told | None = None
    available: Available | None = None
    switch: Switched | None = None
    setpoint: Commanded | None = None
    produce_max: Commanded | None = None
    consume_max: Commanded | None = None


class TopicMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    devices: dict[str, Said] = {}
    elements: dict[str, Mapped] = {}


def load(file: Path) -> TopicMap:
    """Read a map.

    Raises:
        ConfigError: It cannot be read, or something in it cannot be; names the place and what is allowed.
    """
    try:
        text = file.read_bytes()
        if len(text) > FILE_MAX_BYTES:
            raise ConfigError("--map", found=f"{len(text)} bytes", allowed=f"at most {FILE_MAX_BYTES}")
        told = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(
            "--map", found=f"{file}: {error.strerror}", allowed="a file that can be read"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise ConfigError(f"--map {file.name}", found=said, allowed="a YAML file") from error
    try:
        return msgspec.convert({} if told is None else told, TopicMap)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ConfigError(f"--map {file.name}", found=str(error), allowed="see docs/mqtt.md") from error


def shown(it: TopicMap, *, control: bool) -> list[Shown]:
    """The elements of a map.

    Args:
        it: The map.
        control: Whether they may be commanded.

    Raises:
        ConfigError: Something in it cannot be; names the place and what is allowed.
    """
    return [_one(name, told, control=control) for name, told in it.elements.items()]


def _one(name: str, told: Mapped, *, control: bool) -> Shown:
    where = f"elements.{name}"
    if not _ID.fullmatch(name):
        raise ConfigError(where, found=name, allowed="a to z, 0 to 9 and _, first a letter, at most 32")
    sources = [*_sources(where, told, control=control)]
    if not sources:
        raise ConfigError(
            where, found="nothing that is told", allowed="power_w, energy_in_wh, switch or others"
        )
    if told.connection_point and told.power_w is None:
        raise ConfigError(f"{where}.connection_point", found="no power_w", allowed="together with power_w")
    if told.soc_pct is not None and told.capacity_wh is None:
        raise ConfigError(f"{where}.soc_pct", found="no capacity_wh", allowed="together with capacity_wh")
    steering = [*_steering(where, told)] if control else []
    steered = {one.what for one in steering}
    if steered - {"closed"} and told.rating_w is None:
        raise ConfigError(
            f"{where}.rating_w", found="nothing", allowed="the most that it takes or gives, in W"
        )
    rating_w = told.rating_w or 0.0
    measures = {source.point for source in sources}
    # what follows set-points rests without one, and a set-point is cut to the limits: so it keeps them
    limit = LimitCapability(
        consume=True if steered & {"consume_max_w", "power_w"} else UNSET,
        produce=True if steered & {"produce_max_w", "power_w"} else UNSET,
    )
    return Shown(
        element=element(
            name,
            told.kind,
            name=told.name or UNSET,
            bus="grid",
            upstream=told.upstream or UNSET,
            terminals=[told.conductor] if told.conductor else UNSET,
            ac_measure=AcMeasureCapability(connection_point=True if told.connection_point else UNSET)
            if "power_w" in measures
            else UNSET,
            energy=EnergyCapability() if measures & {"energy_in_wh", "energy_out_wh"} else UNSET,
            rating=Rating(consume_max_w=rating_w, produce_max_w=rating_w) if told.rating_w else UNSET,
            storage=StorageCapability(capacity_wh=told.capacity_wh) if told.capacity_wh else UNSET,
            limit=limit if steered - {"closed"} else UNSET,
            setpoint=SetpointCapability(
                consume_max_w=rating_w,
                produce_max_w=rating_w,
                response_s=told.setpoint.response_s if told.setpoint else 5.0,
            )
            if "power_w" in steered
            else UNSET,
            switch=SwitchCapability() if "closed" in steered else UNSET,
        ),
        sources=tuple(sources),
        there=tuple(_there(where, told)),
        steering=tuple(steering),
        conductor=told.conductor,
    )


def _sources(where: str, told: Mapped, *, control: bool) -> Iterator[Source]:
    for point in RANGES:
        one: Told | None = getattr(told, point)
        if one is not None:
            usual_s = hold_s(point, connection_point=told.connection_point)
            yield _source(f"{where}.{point}", point, one, usual_s)
    if told.switch is not None and control:
        yield _source(f"{where}.switch.state", "closed", told.switch.state, inf)


def _source(where: str, point: str, told: Told, usual_s: float) -> Source:
    scale = told.scale * (-1.0 if told.turned else 1.0)
    if told.unit:
        units = UNITS.get(point, {})
        if told.unit not in units:
            raise ConfigError(f"{where}.unit", found=told.unit, allowed=", ".join(units) or "none")
        scale *= units[told.unit]
    if told.max_age_s is not None and not 0 < told.max_age_s <= 86_400:
        raise ConfigError(f"{where}.max_age_s", found=told.max_age_s, allowed="above 0, at most 86400")
    return Source(
        point=point,
        topics=(_topic(where, told.topic),),
        evaluate=_evaluate(where, told.path, told.template),
        scale=scale,
        offset=told.offset,
        hold_s=usual_s if told.max_age_s is None else told.max_age_s,
        on=told.on,
        off=told.off,
    )


def _evaluate(where: str, place: str, formula: str) -> Evaluate:
    try:
        return template(formula) if formula or not place else path(place)
    except PeerError as error:
        setting = f"{where}.{'template' if formula else 'path'}"
        raise ConfigError(setting, found=formula or place, allowed="see docs/mqtt.md") from error


def _there(where: str, told: Mapped) -> Iterator[There]:
    if (one := told.available) is not None:
        place = f"{where}.available"
        yield There((_topic(place, one.topic),), _evaluate(place, one.path, ""), one.online, one.offline)


def _steering(where: str, told: Mapped) -> Iterator[Steering]:
    if (one := told.switch) is not None:
        place = f"{where}.switch"
        state = _source(f"{place}.state", "closed", one.state, inf)
        yield Steering(what="closed", topic=_topic(place, one.topic), on=one.on, off=one.off, state=state)
    for what, setting in (
        ("power_w", "setpoint"),
        ("produce_max_w", "produce_max"),
        ("consume_max_w", "consume_max"),
    ):
        commanded: Commanded | None = getattr(told, setting)
        if commanded is not None:
            yield _powered(f"{where}.{setting}", what, commanded)


def _powered(where: str, what: str, told: Commanded) -> Steering:
    if not 0 < told.step <= 1e6:
        raise ConfigError(f"{where}.step", found=told.step, allowed="above 0")
    if told.refresh_s is not None and not 2 <= told.refresh_s <= 3600:
        raise ConfigError(f"{where}.refresh_s", found=told.refresh_s, allowed="2 to 3600")
    scale = (1e-3 if told.unit == "kW" else 1.0) * (-1.0 if told.turned else 1.0)
    return Steering(
        what=what,
        topic=_topic(where, told.topic),
        scale=scale,
        step=told.step,
        released=told.released,
        refresh_s=None if told.refresh_s is None else told.refresh_s / 2,
        state=None if told.state is None else _source(f"{where}.state", "power_w", told.state, inf),
        tolerance_w=max(50.0, told.step / abs(scale)),
    )


def _topic(where: str, topic: str) -> str:
    if not topic or any(sign in topic for sign in "#+\0") or len(topic.encode()) > 65_535:
        raise ConfigError(f"{where}.topic", found=topic[:80], allowed="one topic, without + and #")
    return topic
