"""The hub as seen over MQTT: everything is discovered by Home Assistant, and read by whoever subscribes.

```
ores/HUB/status                       online or offline; retained, and the last will
ores/HUB/house/grid_power_w           one topic for each value; `None` while it is not known
ores/HUB/house/reserve_pct/set        a command; answered on the topic without `/set`
ores/HUB/MODULE/status                online or offline; retained
ores/HUB/MODULE/ELEMENT/power_w
homeassistant/…/ores_HUB/…/config     what Home Assistant is told of each; retained
```

Only what stays true without the hub is retained. The control cycle knows nothing of all this: a task of its
own reads what the cycle knows, and a broker that hangs delays nobody else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import msgspec

import ores
from ores.adapters.mqtt.address import Broker, broker_of
from ores.adapters.mqtt.broker import Connection, Message, Will, connected, end, tls_of
from ores.control.topology import compile_topology
from ores.hub.doors import mqtt_energy
from ores.hub.doors.known import descriptions, shape_now, states
from ores.hub.doors.mqtt_controls import Controls
from ores.hub.doors.mqtt_energy import Totals
from ores.hub.doors.mqtt_entities import (
    Entity,
    house_entities,
    house_values,
    module_entities,
    module_values,
    price_entities,
    price_values,
)
from ores.hub.hub import Hub
from ores.hub.state_dir import StateDir
from ores.link.errors import ConfigError, OresError
from ores.model import ModuleLive

OPTIONS: Final = ("control", "currency", "discovery", "every_s")
DISCOVERY: Final = "homeassistant"
COUNT_S: Final = 1.0
"""Between two looks at what has flowed."""
EVERY_S: Final = 5.0
"""Between two times that what has changed is told."""
AGAIN_S: Final = 30.0
"""Between two times that everything is told."""
EXPIRES_S: Final = 3 * AGAIN_S
"""A value that has not come for so long is not known any more, says its discovery."""
AFTER_BIRTH_S: Final = (0.0, 2.0, 10.0)
"""When Home Assistant has started, it subscribes to what it discovers one after the other."""
WAIT_FIRST_S: Final = 1.0
WAIT_MAX_S: Final = 60.0
ONLINE: Final = "online"
OFFLINE: Final = "offline"
SET: Final = "/set"
NOTICE: Final = "mqtt_unreachable"
REFUSED: Final = "mqtt_command_refused"
_log: Final = logging.getLogger(__name__)


class MqttDoor:
    """Shows one hub to one broker.

    Args:
        hub: Whose house it is.
        broker: Where to.
        totals: Energy, counted whether the broker is there or not.

    Raises:
        ConfigError: An option of the broker's address cannot be.
    """

    def __init__(self, hub: Hub, broker: Broker, totals: Totals) -> None:
        self._hub: Final = hub
        self._clock: Final = hub.clock
        self._broker: Final = broker
        self._discovery: Final = broker.options.get("discovery", DISCOVERY).strip("/") or DISCOVERY
        self._every_s: Final = _every_s(broker.options)
        self._totals: Final = totals
        self._currency: Final = _currency(broker.options)
        self._controls: Final = Controls(hub) if _controls(broker.options) else None
        self._base: Final = f"ores/{hub.id}"
        self._node: Final = f"ores_{hub.id}"
        self._wake: Final = asyncio.Event()
        self._shape: object = None
        self._entities: dict[str, Entity] = {}
        self._configs: dict[str, str] = {}
        self._told_of: dict[str, str] = {}
        self._told: dict[str, str] = {}
        self._kept_configs: set[str] = set()
        self._births_at_s: list[float] = []
        self._leaving = False

    async def run(self) -> None:
        """Show the hub until cancelled; a broker that is away is tried ever more rarely."""
        counting = asyncio.create_task(self._count(), name="MQTT counters")
        showing = asyncio.create_task(self._keep_connected(), name="MQTT connection")
        try:
            await asyncio.wait({counting, showing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._leaving = True
            await end(counting)
            showing.cancel()  # once: a second one would come between it and its good-bye
            await asyncio.wait({showing})
            self._totals.save()

    async def _count(self) -> None:
        while True:
            await self._clock.sleep(COUNT_S)
            try:
                self._look_at_shape()
                self._totals.look(states(self._hub), self._clock.now())
            except Exception as error:  # noqa: BLE001  a defect of this door must not stop the counting for ever
                if self._hub.notices.raise_(NOTICE, f"{type(error).__name__}: {error}", level="error"):
                    _log.exception("the MQTT door cannot count")

    async def _keep_connected(self) -> None:
        wait_s = WAIT_FIRST_S
        while True:
            began_s = self._clock.now()
            try:
                await self._one_connection()
            except OresError as error:
                if self._hub.notices.raise_(NOTICE, error.detail):
                    _log.warning("MQTT: %s", error.detail)
            except Exception as error:  # noqa: BLE001  a defect of this door must not close it for ever
                if self._hub.notices.raise_(NOTICE, f"{type(error).__name__}: {error}", level="error"):
                    _log.exception("the MQTT door failed")
            if self._clock.now() - began_s > WAIT_MAX_S:
                wait_s = WAIT_FIRST_S  # it did work for a while
            await self._clock.sleep(wait_s)
            wait_s = min(2.0 * wait_s, WAIT_MAX_S)

    async def _one_connection(self) -> None:
        will = Will(f"{self._base}/status", OFFLINE)
        async with connected(self._broker, self._clock, client_id=f"ores-{self._hub.id}", will=will) as to:
            self._hub.notices.clear(NOTICE)
            self._told_of, self._told = {}, {}
            self._kept_configs.clear()
            if self._leaving:
                raise asyncio.CancelledError  # again: it was lost to the broker's answer, see `end`
            hearing = asyncio.create_task(self._hear(to), name="MQTT commands")
            telling = asyncio.create_task(self._tell(to), name="MQTT states")
            try:
                done, _ = await asyncio.wait({hearing, telling}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            except asyncio.CancelledError:
                await end(hearing, telling)
                with suppress(OresError):  # it is said by the last will where it cannot be said now
                    await self._take_leave(to)
                raise
            finally:
                await end(hearing, telling)

    async def _take_leave(self, to: Connection) -> None:
        """A simulated home will never come again: nothing of it stays with the broker."""
        if not self._hub.config.simulated:
            await to.publish(f"{self._base}/status", OFFLINE, retain=True, sure=True)
            return
        told = [f"{self._base}/{topic}" for topic in self._told if topic.endswith("/status")]
        for topic in [*self._told_of, *told]:
            await to.publish(topic, "", retain=True)
        await to.publish(f"{self._base}/status", "", retain=True, sure=True)

    async def _hear(self, to: Connection) -> None:
        async for message in to.messages():
            self._take(message)

    def _listens_to(self) -> list[str]:
        own = f"{self._discovery}/+/{self._node}/+/config"
        birth = f"{self._discovery}/status"
        return [birth, own, f"{self._base}/+/+{SET}", f"{self._base}/+/+/+{SET}"]

    def _take(self, message: Message) -> None:
        topic = message.topic
        if topic == f"{self._discovery}/status":
            if message.payload == ONLINE:
                now_s = self._clock.now()
                self._births_at_s = [now_s + after_s for after_s in AFTER_BIRTH_S]
                self._told_of = {}
                self._wake.set()
        elif topic.endswith("/config"):
            self._kept_configs.add(topic)
        elif not message.retained:  # else an old command would be carried out at each connection
            self._command(topic.removeprefix(f"{self._base}/").removesuffix(SET), message.payload)

    def _command(self, topic: str, payload: str) -> None:
        """Carry out, and say what holds now, be it what was asked or not."""
        if self._controls is None:
            return
        try:
            if not self._controls.take(topic, payload):
                return
        except OresError as error:
            if self._hub.notices.raise_(REFUSED, f"{topic}{SET}: {error.detail}"):
                _log.warning("MQTT: %s%s: %s", topic, SET, error.detail)
        else:
            self._hub.notices.clear(REFUSED)
        self._told.pop(topic, None)
        self._wake.set()

    async def _tell(self, to: Connection) -> None:
        await to.subscribe(self._listens_to())
        again_at_s = self._clock.now()
        while True:
            self._wake.clear()  # what comes while all this is told is told right after it
            now_s = self._clock.now()
            everything = now_s >= again_at_s
            if everything:
                again_at_s = now_s + AGAIN_S
            while self._births_at_s and self._births_at_s[0] <= now_s:
                self._births_at_s.pop(0)
                everything = True
            await self._tell_of(to)
            if everything:
                await to.publish(f"{self._base}/status", ONLINE, retain=True)
            await self._tell_values(to, everything=everything)
            await self._rest(min([now_s + self._every_s, again_at_s, *self._births_at_s]))

    async def _rest(self, until_s: float) -> None:
        timer = self._clock.call_at(until_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    async def _tell_of(self, to: Connection) -> None:
        """Discovery: what is new, and what is gone."""
        self._look_at_shape()
        wanted = self._configs
        if self._told_of == wanted and self._kept_configs <= wanted.keys():
            return
        for topic in sorted({*self._told_of, *self._kept_configs} - wanted.keys()):
            if not self._is_awaited(topic):
                await to.publish(topic, "", retain=True)
                self._told_of.pop(topic, None)
                self._kept_configs.discard(topic)
        for topic, config in wanted.items():
            if self._told_of.get(topic) != config:
                await to.publish(topic, config, retain=True)
                self._told_of[topic] = config

    def _is_awaited(self, config: str) -> bool:
        """Whether this may belong to a module that has not described itself yet."""
        links = self._hub.federation.links.values()
        return any(link.description is None and f"/{link.id}_" in config for link in links)

    async def _tell_values(self, to: Connection, *, everything: bool) -> None:
        for topic, payload in self._values().items():
            if everything or self._told.get(topic) != payload:
                retain = topic.endswith("/status")
                await to.publish(f"{self._base}/{topic}", payload, retain=retain)
                self._told[topic] = payload

    def _look_at_shape(self) -> None:
        """Entities follow the modules that there are."""
        shape = shape_now(self._hub)
        if shape == self._shape:
            return
        self._shape = shape
        described = descriptions(self._hub)
        topology = compile_topology(described)
        parts = mqtt_energy.house_parts(topology, described)
        self._totals.describe(parts)
        found = [*house_entities(topology), *mqtt_energy.house_entities(parts)]
        if self._currency:
            found += price_entities(self._currency)
        for description in described:
            found += module_entities(description)
        if self._controls is not None:
            self._controls.describe(topology)
            found += self._controls.entities
        self._entities = {one.topic: one for one in found}
        self._configs = {
            f"{self._discovery}/{one.component}/{self._node}/{one.object_id}/config": self._config(one)
            for one in found
        }

    def _values(self) -> Mapping[str, str]:
        live = self._hub.live()
        told = dict(house_values(live.flow))
        for description in descriptions(self._hub):
            module = live.modules.get(description.id) or ModuleLive(status="gone", elements={})
            told |= module_values(description, module)
            told[f"{description.id}/status"] = ONLINE if module.status == "online" else OFFLINE
        told |= price_values(self._hub.preferences.get())
        told |= self._totals.values(descriptions(self._hub))
        if self._controls is not None:
            told |= self._controls.values()
        return {topic: payload for topic, payload in told.items() if self._is_shown(topic)}

    def _is_shown(self, topic: str) -> bool:
        return topic in self._entities or topic.endswith("/status")

    def _config(self, entity: Entity) -> str:
        state = f"{self._base}/{entity.topic}"
        available = [{"topic": f"{self._base}/status"}]
        if entity.module:
            available.append({"topic": f"{self._base}/{entity.module}/status"})
        config: dict[str, object] = {
            "name": entity.name,
            "unique_id": f"{self._node}_{entity.object_id}",
            "availability": available,
            "availability_mode": "all",
            "device": self._device(entity.module),
            "origin": {"name": "ORES", "sw_version": ores.__version__},
            **entity.told,
        }
        if entity.component != "button":
            config["state_topic"] = state
        if entity.controls:
            config["command_topic"] = f"{state}{SET}"
        if entity.component == "sensor":
            config["expire_after"] = int(EXPIRES_S)
        return msgspec.json.encode(config).decode()

    def _device(self, module: str) -> dict[str, object]:
        hub = f"ores_{self._hub.id}"
        link = self._hub.federation.links.get(module)
        if link is None or link.description is None:
            return {
                "identifiers": [hub],
                "name": self._hub.config.name,
                "manufacturer": "ORES",
                "model": "hub",
                "sw_version": ores.__version__,
            }
        what = link.description
        return {
            "identifiers": [f"ores_{module}"],
            "name": what.name,
            "manufacturer": what.maker,
            "model": what.model,
            "serial_number": what.serial,
            "sw_version": what.firmware_version,
            "via_device": hub,
        }


def _every_s(options: Mapping[str, str]) -> float:
    text = options.get("every_s")
    if text is None:
        return EVERY_S
    try:
        every_s = float(text)
    except ValueError:
        every_s = 0.0
    if not 1.0 <= every_s <= AGAIN_S:
        raise ConfigError("--mqtt ?every_s", found=text, allowed=f"1 to {AGAIN_S:g} s")
    return every_s


def _controls(options: Mapping[str, str]) -> bool:
    text = options.get("control", "yes")
    if text not in {"yes", "no"}:
        raise ConfigError("--mqtt ?control", found=text, allowed="yes, or no to be only read")
    return text == "yes"


def _currency(options: Mapping[str, str]) -> str:
    text = options.get("currency", "")
    if text and not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise ConfigError("--mqtt ?currency", found=text, allowed="three capitals, such as EUR")
    return text


def door_of(hub: Hub, directory: StateDir, address: str) -> MqttDoor:
    """The door to the broker of this address; raises `ConfigError` where it cannot be used."""
    broker = broker_of(address, "--mqtt", OPTIONS)
    tls_of(broker)  # a file that is not there is said now, and not in a notice
    return MqttDoor(hub, broker, Totals(directory, hub.notices))
