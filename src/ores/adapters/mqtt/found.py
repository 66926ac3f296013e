"""What is on a broker: heard from what devices keep there about themselves, and remembered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET

from ores.adapters import kept
from ores.adapters.mqtt.address import Broker
from ores.adapters.mqtt.broker import Connection, Message, connected, end
from ores.adapters.mqtt.discovery import PREFIX, TASMOTA, Entity, read, read_tasmota, topics
from ores.adapters.mqtt.guess import Guessed, guess
from ores.adapters.mqtt.shown import Shown
from ores.adapters.mqtt.topic_map import TopicMap, shown
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError, PeerError, Unavailable
from ores.module import About

LISTEN_S: Final = 3.0
"""For what was retained to come; a broker hands it over at once."""
ELEMENTS_MAX: Final = 60
"""Of one module: a state of more would be too long for many hubs."""
MESSAGES_MAX: Final = 2_000
"""A broker that tells of more is not believed to be in a home."""
FILE: Final = "mqtt-found.json"
_log: Final = logging.getLogger("ores.adapters")


class KeptEntities(msgspec.Struct, frozen=True):
    """What was found, by the topic that told it."""

    entities: dict[str, list[Entity]] = {}


class Catalogue:
    """What devices say of themselves, message by message.

    Args:
        prefix: Of Home Assistant's discovery.
        kept: From before.
    """

    def __init__(self, prefix: str = PREFIX, kept: KeptEntities | None = None) -> None:
        self._prefix: Final = prefix
        self._found: Final[dict[str, list[Entity]]] = dict(kept.entities) if kept else {}
        self._tasmota: Final[dict[str, dict[str, str]]] = {}
        self.refused: Final[dict[str, str]] = {}

    @property
    def topics(self) -> list[str]:
        """Where it has to be listened."""
        return topics(self._prefix)

    def hear(self, message: Message) -> None:
        """Take a message; one of another kind is ignored, one that is not understood is noted."""
        topic, payload = message.topic, message.payload
        if topic.startswith(f"{TASMOTA}/"):
            self._hear_tasmota(topic, payload)
            return
        if not (topic.startswith(f"{self._prefix}/") and topic.endswith("/config")):
            return
        self._found.pop(topic, None)
        self.refused.pop(topic, None)
        if payload:
            self._note(topic, lambda: read(topic, payload, self._prefix))

    def entities(self) -> list[Entity]:
        """All of them; nothing of our own hubs, which would be seen twice."""
        ours = f"{self._prefix}/"
        found = [
            entity
            for topic in sorted(self._found)
            if not _is_a_hub(topic.removeprefix(ours))
            for entity in self._found[topic]
        ]
        return list({entity.id: entity for entity in found}.values())

    def kept(self) -> KeptEntities:
        """What to remember."""
        return KeptEntities(dict(self._found))

    def _hear_tasmota(self, topic: str, payload: str) -> None:
        mac, _, what = topic.removeprefix(f"{TASMOTA}/").partition("/")
        if len(self._tasmota) >= MESSAGES_MAX and mac not in self._tasmota:
            return
        told = self._tasmota.setdefault(mac, {})
        told[what] = payload
        key = f"{TASMOTA}/{mac}"
        self.refused.pop(key, None)
        if not told.get("config"):
            self._found.pop(key, None)
        else:
            self._note(key, lambda: read_tasmota(mac, told["config"], told.get("sensors", "")))

    def _note(self, key: str, make: Callable[[], list[Entity]]) -> None:
        if len(self._found) >= MESSAGES_MAX:
            return
        try:
            self._found[key] = make()
        except PeerError as error:
            self.refused[key] = error.detail


def _is_a_hub(path: str) -> bool:
    """Whether an ORES hub tells this, by its node."""
    return any(part.startswith("ores_") for part in path.split("/")[1:2])


async def look(broker: Broker, clock: Clock, directory: Path | None, prefix: str = PREFIX) -> Catalogue:
    """Listen for a moment; where the broker does not answer, what it said before counts.

    Raises:
        Unavailable: It does not answer, and never has.
        OresError: It does not let us in.
    """
    before = _load(directory)
    catalogue = Catalogue(prefix)
    try:
        async with connected(broker, clock) as to:
            hearing = asyncio.create_task(_hear(to, catalogue))
            try:
                await to.subscribe(catalogue.topics)
                await clock.sleep(LISTEN_S)
            finally:
                await end(hearing)
    except Unavailable as error:
        if before is None:
            raise
        _log.warning("%s: what was found before is shown", error.detail)
        return Catalogue(prefix, before)
    save(directory, catalogue)
    return catalogue


async def _hear(to: Connection, catalogue: Catalogue) -> None:
    with suppress(OresError):  # told by whoever waits for the connection
        async for message in to.messages():
            catalogue.hear(message)


def assembled(catalogue: Catalogue, said: TopicMap, *, control: bool) -> Guessed:
    """All elements: what a map says, and what was found.

    Raises:
        ConfigError: The map cannot be, names a device that is not there, or there is nothing to show.
    """
    of_map = shown(said, control=control)
    found = guess(catalogue.entities(), said.devices, control=control)
    known = {name for entity in catalogue.entities() for name in (entity.device.id, entity.device.name)}
    for name in said.devices:
        if name not in known:
            names = ", ".join(sorted(known)[:20]) or "none was found"
            raise ConfigError(f"devices.{name}", found=name, allowed=f"a device that is there: {names}")
    taken = {one.element.id for one in of_map}
    both = [*of_map, *(_renamed(one, taken) for one in found.shown)]
    left_out = [*found.left_out, *(f"{key}: {why}" for key, why in sorted(catalogue.refused.items()))]
    if len(both) > ELEMENTS_MAX:
        left_out += [f"{one.element.id}: more than {ELEMENTS_MAX} elements" for one in both[ELEMENTS_MAX:]]
    if not both:
        raise ConfigError(
            "broker",
            found="; ".join(left_out)[:300] or "no device that says what it is",
            allowed="devices that Home Assistant would discover, Tasmota, or a --map",
        )
    return Guessed(both[:ELEMENTS_MAX], left_out)


def _renamed(one: Shown, taken: set[str]) -> Shown:
    """Under an id that the map does not use."""
    name, number = one.element.id, 2
    while name in taken:
        name, number = f"{one.element.id[:28]}_{number}", number + 1
    taken.add(name)
    return msgspec.structs.replace(one, element=msgspec.structs.replace(one.element, id=name))


def about(broker: Broker, all_: list[Shown], catalogue: Catalogue, name: str) -> About:
    """What is said of all of them together.

    Args:
        broker: Where they are.
        all_: The elements.
        catalogue: What was found.
        name: What its owner calls it; empty for the device's own, or where they are.
    """
    devices = {entity.device.id: entity.device for entity in catalogue.entities()}
    only = next(iter(devices.values())) if len(devices) == 1 and len(all_) == 1 else None
    profiles = _profiles(all_)
    if only is not None:
        return About(
            name=name or only.name,
            maker=only.maker or "unknown",
            model=only.model or "MQTT device",
            serial=only.id[:64],
            firmware_version="unknown",
            profiles=profiles,
        )
    return About(
        name=name or "MQTT devices",
        maker="various",
        model="devices behind an MQTT broker",
        serial=broker.label[:64],
        firmware_version="unknown",
        profiles=profiles,
    )


def _profiles(all_: list[Shown]) -> tuple[str, ...]:
    """Profiles whose core an element has."""
    found = set()
    for one in all_:
        able, points = one.element.capabilities, {source.point for source in one.sources}
        if able.energy is UNSET or "power_w" not in points:
            continue
        if one.element.kind == "meter":
            found.add("meter")
        if able.storage is not UNSET and able.setpoint is not UNSET and one.element.kind == "battery":
            found.add("storage")
    return tuple(sorted(found))


def save(directory: Path | None, catalogue: Catalogue) -> None:
    """Keep what was found; that it cannot be kept costs only the next start without a broker."""
    if directory is None:
        return
    try:
        kept.save(directory / FILE, catalogue.kept())
    except ConfigError as error:
        _log.warning("what was found is not kept: %s", error.detail)


def _load(directory: Path | None) -> KeptEntities | None:
    if directory is None:
        return None
    return kept.load(directory / FILE, KeptEntities, "have the devices found again")
