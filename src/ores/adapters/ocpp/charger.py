"""A charger as one of the SDK's devices: it calls in, and a task tells it what is due."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import Final

import msgspec

from ores.adapters import kept
from ores.adapters.kept import SAVE_S
from ores.adapters.ocpp.connector import Connector, Kept
from ores.adapters.ocpp.dialect import CONNECTORS_MAX, Dialect, Found, seconds_of, stamp
from ores.adapters.ocpp.meter import Sample
from ores.adapters.ocpp.settings import Charger as ChargerSettings
from ores.adapters.ocpp.settings import Settings
from ores.link.clock import Clock
from ores.link.errors import ConfigError
from ores.model import Element, ElementState
from ores.module import About, Answer, Ceilings, Effective, PolicyFunction, Refused, free

FILE: Final = "ocpp.json"
BOOT_S: Final = 5.0
"""For a charger to say what it is, before it is asked."""
CLOCK_S: Final = 2.0
"""A lease begins this long ago, so that it holds at once in a charger whose clock is a little late."""
ASK_AGAIN_S: Final = 30.0
_log: Final = logging.getLogger("ores.adapters")


class KeptCharger(msgspec.Struct, frozen=True):
    """What to remember over a restart.

    Attributes:
        found: What the charger is.
        connectors: By number.
        transactions: Number of the last one.
    """

    found: Found
    connectors: dict[str, Kept] = {}
    transactions: int = 0


class OcppCharger:
    """One charger; its connectors are the elements of one module.

    `elements` and `about` are there from when it has been found, which `found` waits for.

    Args:
        id_: By which it calls.
        settings: What its owner says of all chargers.
        clock: Process time.
        control: Whether it may be commanded.
        directory: Where to keep what is to survive a restart; None for nowhere.
        period_s: Between two states.
    """

    def __init__(
        self,
        id_: str,
        settings: Settings,
        clock: Clock,
        *,
        control: bool,
        directory: Path | None = None,
        period_s: float = 1.0,
    ) -> None:
        self.id: Final = id_
        self.policies: Final[Mapping[str, PolicyFunction]] = {"free": free}
        self.settings: Final[ChargerSettings] = settings.chargers[id_]
        self._all: Final = settings
        self._clock: Final = clock
        self.is_controlled: Final = control
        self._directory: Final = directory
        self._period_s: Final = period_s
        self._dialect: Dialect | None = None
        self._lost_at_s: float | None = None
        self._changed: Callable[[], None] | None = None
        self._wake: Final = asyncio.Event()
        self._waited: Final = asyncio.Event()
        self._has_booted = False
        self._early: Final[dict[int, tuple[str, str]]] = {}
        self._is_found: Final = asyncio.Event()
        self._saved_at_s = clock.now()
        self._refused_tags: Final[set[str]] = set()
        self._keys: Final[dict[str, str]] = {}
        self._asked_at_s: dict[int, float] = {}
        self._connectors: Mapping[int, Connector] = {}
        self._by_id: Mapping[str, Connector] = {}
        before = None if directory is None else kept.load(directory / FILE, KeptCharger)
        self._transactions = 0 if before is None else before.transactions
        self._what = Found()
        if before is not None:
            self._take(before.found, before.connectors)

    # The SDK's side

    @property
    def elements(self) -> Sequence[Element]:
        """One for each connector."""
        return [one.element for one in self._connectors.values()]

    @property
    def about(self) -> About:
        """What it said of itself."""
        what = self._what
        return About(
            name=self.settings.name or self.id,
            maker=what.maker or "unknown",
            model=what.model or "OCPP charger",
            serial=what.serial or self.id,
            firmware_version=what.firmware_version or "unknown",
            profiles=("ev_charger",) if self.is_controlled else (),
        )

    async def found(self) -> None:
        """Back when it is known what the charger is: from before, or because it has called."""
        await self._is_found.wait()

    async def start(self) -> None:
        """Nothing to do: the charger calls."""

    async def stop(self) -> None:
        """What it was told last ends by itself."""
        self._save()

    def read(self, element: str, /) -> ElementState:
        """What was said last, and still holds."""
        return self._connector(element).state(self._clock.now(), self._period_s)

    def measured_at_s(self, element: str, /) -> float | None:
        """Now, while the charger is connected and has said something; else when it was last."""
        if self._dialect is None:
            return self._lost_at_s
        connector = self._connector(element)
        return self._clock.now() if connector.status or connector.sampled_at_s > -inf else None

    def tell(self, changed: Callable[[], None], /) -> None:
        """Each message may bring news."""
        self._changed = changed

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Have it told; see `answered` for what becomes of it."""
        order = self._connector(element).order
        if order is not None:
            order.give(command)
            self._wake.set()
        return self.answered(element)

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command: the charger is away, or does not take it."""
        order = self._connector(element).order
        if order is None:
            return None
        return Refused("the charger is not connected") if self._dialect is None else order.answer

    def fall_back(self, element: str, failsafe: Ceilings, /) -> None:
        """The charger keeps it when nobody commands any more."""
        order = self._connector(element).order
        if order is not None:
            order.fall_back(failsafe)
            self._wake.set()

    # The charger's side: see `Listener`

    @property
    def is_connected(self) -> bool:
        """Whether it has a connection now."""
        return self._dialect is not None

    async def work(self, dialect: Dialect) -> None:
        """All that there is to do over one connection, until it ends or the task is cancelled.

        Raises:
            OresError: The connection is gone, or the charger does not answer.
        """
        self._dialect = dialect
        self._waited.clear()
        self._has_booted = False
        self._asked_at_s.clear()
        for connector in self._connectors.values():
            connector.forget()
        try:
            await self._until(self._waited, self._clock.now() + BOOT_S)
            if not self._has_booted:
                await dialect.trigger("BootNotification", 0)
            found = await dialect.ask()
            self._take(found if found.maker or not self._what.maker else self._as_before(found))
            self._save()
            if self.is_controlled:
                await dialect.configure(self.settings.sample_s)
            for number in self._connectors:
                await dialect.trigger("StatusNotification", number)
            while True:
                self._wake.clear()
                await self._work(dialect)
                await self._until(self._wake, self._due_at_s())
        finally:
            self._dialect = None
            self._lost_at_s = self._clock.now()
            for connector in self._connectors.values():
                connector.lost()
            self._news()

    def booted(self, found: Found) -> None:
        """See `Listener`."""
        if self._has_booted:  # without a new connection: what it was told, it may have forgotten
            for connector in self._connectors.values():
                connector.lost()
            self._wake.set()
        self._what = msgspec.structs.replace(found, connectors=self._what.connectors, unit=self._what.unit)
        self._has_booted = True
        self._waited.set()

    def accepts(self, tag: str) -> bool:
        """See `Listener`."""
        if self._all.accepts(tag):
            return True
        if tag not in self._refused_tags and len(self._refused_tags) < 100:
            self._refused_tags.add(tag)
            _log.warning("%s: the card %r may not charge; its owner names it in tags", self.id, tag)
        return False

    def has_status(self, connector: int, status: str, error: str) -> None:
        """See `Listener`."""
        if not 0 < connector <= CONNECTORS_MAX:  # 0 is the charger as a whole
            return
        it = self._connectors.get(connector)
        if it is None:  # the first words of a charger that is new come before its number of connectors
            self._early[connector] = (status, error)
            return
        it.says(status, error)
        self._news()

    def begins(self, connector: int, key: str) -> str:
        """See `Listener`."""
        before = self._keys.get(key)
        if before is not None:
            return before  # asked again, because our answer was lost
        self._transactions = max(self._transactions + 1, int(self._clock.utc().timestamp()) % 2**31)
        number = str(self._transactions)
        self._keys[key] = number
        if len(self._keys) > 100:
            del self._keys[next(iter(self._keys))]
        self.goes_on(connector, number)
        return number

    def ends(self, transaction: str) -> None:
        """See `Listener`."""
        for connector in self._connectors.values():
            if connector.transaction == transaction:
                connector.transaction = ""
                self._save()
        self._news()

    def goes_on(self, connector: int, transaction: str) -> None:
        """See `Listener`."""
        it = self._connectors.get(connector)
        if it is not None and it.transaction != transaction:
            it.transaction = transaction
            self._wake.set()
            self._save()

    def measured(self, connector: int, samples: Sequence[Sample], at: str) -> None:
        """See `Listener`."""
        it = self._connectors.get(connector)
        if it is not None:
            it.hear(samples, self._clock.now(), self._clock.utc().timestamp(), seconds_of(at))
            self._news()

    def transaction_of(self, transaction: str) -> int:
        """See `Listener`."""
        return next((n for n, one in self._connectors.items() if one.transaction == transaction), 0)

    def now(self) -> str:
        """See `Listener`."""
        return stamp(self._clock.utc())

    # Inside

    def _connector(self, element: str) -> Connector:
        return self._by_id[element]

    def _as_before(self, found: Found) -> Found:
        """One that did not say what it is, is what it was."""
        return msgspec.structs.replace(self._what, connectors=found.connectors, unit=found.unit)

    def _take(self, found: Found, before: Mapping[str, Kept] | None = None) -> None:
        """What it is; the connectors are made once, for a module does not change while it runs."""
        if not self._connectors:
            self._connectors = {
                number: Connector(
                    number,
                    self.settings,
                    control=self.is_controlled,
                    alone=found.connectors == 1,
                    kept=(before or {}).get(str(number)),
                )
                for number in range(1, found.connectors + 1)
            }
            self._by_id = {one.id: one for one in self._connectors.values()}
        elif len(self._connectors) != found.connectors:
            _log.warning(
                "%s says that it has %d connectors, and had %d: start the adapter again",
                self.id,
                found.connectors,
                len(self._connectors),
            )
        self._what = found
        for number, said in self._early.items():
            if number in self._connectors:
                self._connectors[number].says(*said)
        self._early.clear()
        self._is_found.set()

    async def _work(self, dialect: Dialect) -> None:
        """What is due now."""
        for connector in self._connectors.values():
            order, now_s = connector.order, self._clock.now()
            profile = None if order is None else order.due(now_s, connector.transaction)
            if order is not None and profile is not None:
                start = stamp(self._clock.utc())
                w_per_a = self.settings.phases * self.settings.voltage_v
                why = await dialect.set_profile(profile, self._what, w_per_a, start)
                if why:
                    order.refused(profile, why, self._clock.now())
                else:
                    order.took(profile, now_s)
                self._news()
            if self._asks_at_s(connector) <= self._clock.now():
                self._asked_at_s[connector.number] = self._clock.now()
                if not await dialect.trigger("MeterValues", connector.number):
                    self._asked_at_s[connector.number] = self._clock.now() + ASK_AGAIN_S
        if self._clock.now() - self._saved_at_s >= SAVE_S:
            self._save()

    def _asks_at_s(self, connector: Connector) -> float:
        """A meter that has not said anything for one and a half of its periods is asked."""
        period_s = float(self.settings.sample_s)
        asked_at_s = self._asked_at_s.get(connector.number, -inf)
        return max(connector.sampled_at_s + 1.5 * period_s, asked_at_s + period_s)

    def _due_at_s(self) -> float:
        times = [self._asks_at_s(one) for one in self._connectors.values()]
        times += [
            one.order.due_at_s(one.transaction) for one in self._connectors.values() if one.order is not None
        ]
        return min([*times, self._clock.now() + SAVE_S])

    async def _until(self, event: asyncio.Event, at_s: float) -> None:
        timer = self._clock.call_at(at_s, event.set)
        try:
            await event.wait()
        finally:
            timer.cancel()

    def _news(self) -> None:
        if self._changed is not None:
            self._changed()

    def _save(self) -> None:
        self._saved_at_s = self._clock.now()
        if self._directory is None or not self._is_found.is_set():
            return
        each = {str(number): one.kept() for number, one in self._connectors.items()}
        try:
            kept.save(self._directory / FILE, KeptCharger(self._what, each, self._transactions))
        except ConfigError as error:
            _log.warning("%s: its counters are not kept: %s", self.id, error.detail)
