"""What is behind a broker, as one device of the SDK: a task hears it, who asks gets what was said last."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters import kept
from ores.adapters.counters import Counter, KeptEnergy
from ores.adapters.kept import SAVE_S
from ores.adapters.mqtt.address import Broker
from ores.adapters.mqtt.broker import Connection, Message, connected, end
from ores.adapters.mqtt.orders import Order
from ores.adapters.mqtt.shown import Shown, Source, There
from ores.adapters.mqtt.template import MISSING, Payload
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError
from ores.model import (
    AcMeasure,
    AcTerminal,
    ElementCommand,
    ElementState,
    Energy,
    Fault,
    Storage,
    Switch,
    SwitchCommand,
)
from ores.module import About, Answer, Effective, PolicyFunction, Refused, Situation, idle

FILE: Final = "mqtt.json"
FIRST_S: Final = 2.0
"""At the start, for what was retained to come."""
LOST_S: Final = 30.0
"""A broker that restarts is back sooner; beyond that nothing that was said is known."""
WAIT_FIRST_S: Final = 1.0
WAIT_MAX_S: Final = 60.0
RETAINED: Final = frozenset({"closed", "energy_in_wh", "energy_out_wh"})
"""What may have been said long ago and still be true; a power may not."""
_ENERGIES: Final = ("energy_in_wh", "energy_out_wh")
_log: Final = logging.getLogger("ores.adapters")


class KeptCounters(msgspec.Struct, frozen=True):
    """Those of all elements, by id."""

    energy: dict[str, KeptEnergy] = {}


class Said(msgspec.Struct):
    """The newest word on one point.

    Attributes:
        value: None where the device does not know it.
        at_s: When it came.
    """

    value: float | None
    at_s: float


class Part:
    """One element: what was said of it, and what it was told.

    Args:
        shown: What it is.
        kept: Its counters from before; None for none.
    """

    def __init__(self, shown: Shown, kept: KeptEnergy | None) -> None:
        self.shown: Final = shown
        self.said: Final[dict[str, Said]] = {}
        self.holds_s: Final = {source.point: source.hold_s for source in shown.sources}
        self.there: Final[dict[int, bool]] = {}
        rating = shown.element.capabilities.rating
        rated_w = None if rating is UNSET or rating.consume_max_w is UNSET else rating.consume_max_w
        most_w = inf if rated_w is None else rated_w
        self.orders: Final = [Order(shown.element.id, one, most_w) for one in shown.steering]
        counters = [None, None] if kept is None else kept.counters
        self.counters: Final = {
            point: Counter(one, range_wh=None, rating_w=rated_w)
            for point, one in zip(_ENERGIES, counters, strict=True)
        }
        self.epoch = 0 if kept is None else kept.epoch
        self.own_position: float | None = None

    def kept(self) -> KeptEnergy:
        """What to remember over a restart."""
        return KeptEnergy([self.counters[point].kept for point in _ENERGIES], self.epoch)

    def hear(self, source: Source, payload: Payload, now_s: float, utc_s: float, *, retained: bool) -> None:
        """A message on one of the topics of a source."""
        if retained and source.point not in RETAINED:
            return
        heard = source.value(payload)
        if not heard.anything:
            return
        value = heard.value
        if source.point in self.counters:
            counter = self.counters[source.point]
            value = counter.take(value, utc_s, self.epoch, max(int(utc_s), self.epoch + 1))
            if counter.kept is not None:
                self.epoch = max(self.epoch, counter.kept.epoch)
        self.said[source.point] = Said(value, now_s)
        if source.point == "closed" and value is not None:
            self._note_position(value)

    def _note_position(self, value: float) -> None:
        """Where it stands without an order of ours, its owner wants it: there it returns to."""
        if not any(order.steering.what == "closed" and order.is_ours(value) for order in self.orders):
            self.own_position = value

    def hear_there(self, number: int, there: There, payload: Payload) -> None:
        """A message on where the device says whether it is there."""
        word = there.evaluate(payload)
        if word is not MISSING and str(word) in {there.online, there.offline}:
            self.there[number] = str(word) == there.online

    def is_there(self) -> bool:
        """Whether nothing speaks against it: what has said nothing of this may well be there."""
        if not self.there:
            return True
        return any(self.there.values()) if self.shown.any_is_enough else all(self.there.values())

    def value(self, point: str, now_s: float) -> float | None:
        """What holds now; None for what is not known."""
        said = self.said.get(point)
        return None if said is None or now_s - said.at_s > self.holds_s[point] else said.value

    def age_s(self, now_s: float) -> float:
        """Of the newest word on power, or on what else is measured; a position is as good as new."""
        of = self.said.get("power_w")
        words = [of] if of is not None else [one for point, one in self.said.items() if point != "closed"]
        return min((now_s - one.at_s for one in words), default=0.0)


class MqttDevices:
    """All elements of one broker.

    Args:
        broker: Where they are.
        shown: The elements.
        clock: Process time.
        about: What is said of them.
        directory: Where to keep what is to survive a restart; None for nowhere.
        period_s: Between two states; what is older than that, and holds, is marked `estimated`.
        listen_also: Topics that somebody else wants to hear.
        heard_also: That is told of these.
    """

    def __init__(
        self,
        broker: Broker,
        shown: Sequence[Shown],
        clock: Clock,
        *,
        about: About,
        directory: Path | None = None,
        period_s: float = 1.0,
        listen_also: Sequence[str] = (),
        heard_also: Callable[[Message], None] = lambda _message: None,
    ) -> None:
        self.about: Final = about
        self.elements: Final = tuple(one.element for one in shown)
        energy = _load(directory).energy
        self._parts: Final = {one.element.id: Part(one, energy.get(one.element.id)) for one in shown}
        steered = any(one.capabilities.setpoint is not UNSET for one in self.elements)
        self.policies: Final[Mapping[str, PolicyFunction]] = (
            {"idle": self._idle} if steered else {"free": self._as_their_owner_has_them}
        )
        self._broker: Final = broker
        self._clock: Final = clock
        self._directory: Final = directory
        self._period_s: Final = period_s
        self._listen_also: Final = tuple(listen_also)
        self._heard_also: Final = heard_also
        self._listeners: Final = _listeners(self._parts.values())
        self._rests: Final = idle(self.elements)
        self._wake: Final = asyncio.Event()
        self._changed: Callable[[], None] | None = None
        self._connection: Connection | None = None
        self._lost_at_s = -inf
        self._saved_at_s = clock.now()
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._first = asyncio.Event()

    # The SDK's side

    def read(self, element: str, /) -> ElementState:
        """What was said last, and still holds."""
        part, now_s = self._parts[element], self._clock.now()
        able = part.shown.element.capabilities
        is_known = part.is_there() and self._is_connected(now_s)
        values = {point: part.value(point, now_s) if is_known else None for point in part.holds_s}
        power_w = values.get("power_w")
        codes = [code for order in part.orders for code in order.faults(now_s)]
        quality: str | UnsetType = UNSET
        if (able.ac_measure is not UNSET and power_w is None) or all(v is None for v in values.values()):
            quality = "bad"
        elif part.age_s(now_s) > self._period_s:
            quality = "estimated"  # it holds until another comes [FRESH-007]
        closed = values.get("closed")
        return ElementState(
            ac_measure=UNSET if able.ac_measure is UNSET else self._measure(part, values),
            energy=UNSET
            if able.energy is UNSET
            else Energy(
                energy_in_wh=values.get("energy_in_wh"),
                energy_out_wh=values.get("energy_out_wh"),
                counter_epoch=part.epoch,
            ),
            storage=UNSET if able.storage is UNSET else Storage(soc_pct=values.get("soc_pct")),
            switch=UNSET if able.switch is UNSET else Switch(closed=None if closed is None else bool(closed)),
            fault=Fault(codes=codes[:16]),
            quality=quality,
        )

    @staticmethod
    def _measure(part: Part, values: Mapping[str, float | None]) -> AcMeasure:
        terminals: dict[str, AcTerminal] | UnsetType = UNSET
        if part.shown.conductor:
            current_a = values.get("current_a")
            terminal = AcTerminal(
                power_w=values.get("power_w"),
                current_a=None if current_a is None else abs(current_a),
                voltage_v=values.get("voltage_v"),
            )
            terminals = {part.shown.conductor: terminal}
        return AcMeasure(
            power_w=values.get("power_w"),
            frequency_hz=values.get("frequency_hz") if "frequency_hz" in values else UNSET,
            terminals=terminals,
        )

    def measured_at_s(self, element: str, /) -> float | None:
        """Now, for what holds still; None where nothing has been said yet."""
        return self._clock.now() if self._parts[element].said else None

    def tell(self, changed: Callable[[], None], /) -> None:
        """Each message may bring news."""
        self._changed = changed

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Have it sent; see `answered` for what becomes of it."""
        part, now_s = self._parts[element], self._clock.now()
        if command.closed is not None and "closed" in part.holds_s and "closed" not in part.said:
            return Refused("it has not said yet where it stands")
        for order in part.orders:
            order.give(command, now_s, part.value("closed", now_s) if "closed" in part.holds_s else None)
        self._wake.set()
        return self.answered(element)

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command: the device is away, or does not say that it does it."""
        part = self._parts[element]
        if not part.orders:
            return None
        if self._connection is None:
            return Refused("the broker does not answer")
        if not part.is_there():
            return Refused("the device says that it is not there")
        return next((answer for order in part.orders if (answer := order.answer()) is not None), None)

    async def start(self) -> None:
        """Begin to listen; back when what was retained has come, or the broker has not answered."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"devices at {self._broker.label}")
        await self._first.wait()

    async def stop(self) -> None:
        """End; what a device was told last, it goes on doing."""
        if self._task is not None:
            await end(self._task)
            self._task = None
        self._save()

    # The broker's side

    async def _run(self) -> None:
        while True:
            try:
                await self._one_connection()
            except OresError as error:
                if not self._failures:
                    _log.warning("%s: %s", self.about.name, error.detail)
            except Exception:  # noqa: BLE001  a mistake of ours must not leave all devices unheard for ever
                _log.exception("%s: a connection ended in a way that nobody foresaw", self.about.name)
            self._first.set()
            self._failures += 1
            await self._clock.sleep(min(WAIT_MAX_S, WAIT_FIRST_S * 2.0 ** min(self._failures - 1, 8)))

    async def _one_connection(self) -> None:
        async with connected(self._broker, self._clock) as to:
            tasks = [asyncio.create_task(one) for one in (self._hear(to), self._work(to))]
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                self._connection = None
                self._lost_at_s = self._clock.now()
                await end(*tasks)

    async def _hear(self, to: Connection) -> None:
        async for message in to.messages():
            self._take(message)

    async def _work(self, to: Connection) -> None:
        """Listen to all topics, and from then on send what is due."""
        await to.subscribe([*self._listeners, *self._listen_also])
        if self._failures:
            _log.info("%s: the broker answers again", self.about.name)
        self._connection, self._failures = to, 0
        orders = [order for part in self._parts.values() for order in part.orders]
        for order in orders:
            order.lost()
        if not self._first.is_set():
            await self._clock.sleep(FIRST_S)
            self._first.set()
        while True:
            self._wake.clear()
            now_s = self._clock.now()
            for order in orders:
                payload = order.send(now_s)
                if payload is not None:
                    await to.publish(order.steering.topic, payload, sure=True)
            if now_s - self._saved_at_s >= SAVE_S:
                self._saved_at_s = now_s
                self._save()
            due_s = min((order.due_at_s() for order in orders), default=inf)
            await self._rest(min(due_s, now_s + SAVE_S))

    async def _rest(self, until_s: float) -> None:
        timer = self._clock.call_at(until_s, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            timer.cancel()

    def _take(self, message: Message) -> None:
        self._heard_also(message)
        listeners = self._listeners.get(message.topic)
        if listeners is None:
            return
        payload = Payload(message.payload)
        now_s, utc_s = self._clock.now(), self._clock.utc().timestamp()
        for part, what in listeners:
            if isinstance(what, Source):
                part.hear(what, payload, now_s, utc_s, retained=message.retained)
            elif isinstance(what, Order):
                heard = None if what.steering.state is None else what.steering.state.value(payload)
                if heard is not None and heard.anything:
                    what.heard(heard.value, now_s)
                    self._wake.set()
            else:
                number, there = what
                part.hear_there(number, there, payload)
        if self._changed is not None:
            self._changed()

    def _is_connected(self, now_s: float) -> bool:
        return self._connection is not None or now_s - self._lost_at_s <= LOST_S

    def _as_their_owner_has_them(self, _situation: Situation) -> dict[str, ElementCommand]:
        """Switches return to where their owner left them."""
        return {
            name: ElementCommand(switch=SwitchCommand(closed=bool(part.own_position)))
            for name, part in self._parts.items()
            if part.own_position is not None
        }

    def _idle(self, situation: Situation) -> dict[str, ElementCommand]:
        """The same, and what follows set-points rests."""
        return {**self._rests(situation), **self._as_their_owner_has_them(situation)}

    def _save(self) -> None:
        if self._directory is None:
            return
        energy = {name: part.kept() for name, part in self._parts.items()}
        try:
            kept.save(self._directory / FILE, KeptCounters(energy))
        except ConfigError as error:
            _log.warning("%s: its counters are not kept: %s", self.about.name, error.detail)


Listened = Source | Order | tuple[int, There]


def _listeners(parts: Iterable[Part]) -> dict[str, list[tuple[Part, Listened]]]:
    """Who wants to hear what, by topic."""
    found: dict[str, list[tuple[Part, Listened]]] = {}

    def add(topics: Iterable[str], part: Part, what: Listened) -> None:
        for topic in topics:
            found.setdefault(topic, []).append((part, what))

    for part in parts:
        for order in part.orders:
            if order.steering.state is not None:
                add(order.steering.state.topics, part, order)
        for source in part.shown.sources:
            add(source.topics, part, source)
        for number, there in enumerate(part.shown.there):
            add(there.topics, part, (number, there))
    return found


def _load(directory: Path | None) -> KeptCounters:
    if directory is None:
        return KeptCounters()
    return kept.load(directory / FILE, KeptCounters, "have the counters begin anew") or KeptCounters()
