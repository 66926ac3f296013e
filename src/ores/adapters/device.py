"""A device behind registers as one of the SDK's: a task reads it, who asks gets what was read last."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UnsetType

from ores.adapters.kept import SAVE_S
from ores.adapters.modbus import Registers
from ores.adapters.orders import RegisterOrder
from ores.adapters.rounds import Rounds
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError
from ores.model import ElementState, Fault
from ores.module import About, Answer, Ceilings, Effective, Refused

_log: Final = logging.getLogger("ores.adapters")

RegistersT = TypeVar("RegistersT", bound=Registers)
OrderT = TypeVar("OrderT", bound=RegisterOrder)


class RegisterDevice(ABC, Generic[RegistersT, OrderT]):
    """What all devices behind registers share: the task, the commands, and what is kept.

    Args:
        about: What the device says of itself.
        orders: Its commands, by element.
        registers: To talk to it.
        clock: Process time.
        directory: Where to keep what is to survive a restart; None for nowhere.
        period_s: Between two readings.
    """

    def __init__(
        self,
        about: About,
        orders: Mapping[str, Sequence[OrderT]],
        registers: RegistersT,
        clock: Clock,
        *,
        directory: Path | None,
        period_s: float,
    ) -> None:
        self.about: Final[About] = about
        self._orders: Final = orders
        self._registers: Final = registers
        self._clock: Final = clock
        self._directory: Final = directory
        self._is_known = False
        self._states: dict[str, ElementState] = {}
        self._measured_at_s: float | None = None
        self._saved_at_s = clock.now()
        self._changed: Callable[[], None] | None = None
        self._rounds: Final = Rounds(
            about.name, self._once, clock=clock, period_s=period_s, failed=self._has_failed
        )

    @abstractmethod
    async def _recognise(self) -> None:
        """See that it is the same device still: after a silence another one may have its address.

        Raises:
            PeerError: It is another one.
            Unavailable: It does not answer.
        """

    @abstractmethod
    async def _look(self) -> None:
        """Read all of which something is made."""

    @abstractmethod
    def _shown(self) -> dict[str, ElementState]:
        """The elements, by what was read last."""

    @abstractmethod
    async def _carry_out(self, order: OrderT) -> None:
        """Write what has been commanded."""

    @abstractmethod
    def _keep(self, directory: Path) -> None:
        """Keep what is to survive a restart; raises `ConfigError` where the disk does not take it."""

    async def start(self) -> None:
        """Begin to read it; back after the first time, whether it has answered or not."""
        await self._rounds.start()

    async def stop(self) -> None:
        """End, and let go of its connection: many devices have only one.

        What the module wanted last is still written. What is not reached, the device ends by itself; of what
        it does not, the failsafe limits are left.
        """
        await self._rounds.stop()
        try:
            if self._is_known and self._orders:
                await self._look()  # what was written last is not yet among what was read
                for order in self._all_orders():
                    order.yield_()
                await self._carry_all_out()
        except OresError as error:
            _log.warning("%s: its last command was not written: %s", self.about.name, error.detail)
        finally:
            self._registers.close()
            self._save()

    def read(self, element: str, /) -> ElementState:
        """What was read last; an element of which nothing has been read yet is unknown."""
        state = self._states[element]
        now_s = self._clock.now()
        codes = [code for order in self._orders.get(element, ()) for code in order.faults(now_s)]
        if not codes:
            return state
        own = [] if isinstance(state.fault, UnsetType) else state.fault.codes
        return msgspec.structs.replace(state, fault=Fault(codes=list(dict.fromkeys([*codes, *own]))[:16]))

    def measured_at_s(self, _element: str, /) -> float | None:
        """When the round began in which it was read."""
        return self._measured_at_s

    def tell(self, changed: Callable[[], None], /) -> None:
        """Each round may bring news."""
        self._changed = changed

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Have it written in the next round, which begins now; see `answered` for what becomes of it."""
        answers = [order.give(command) for order in self._orders.get(element, ())]
        self._rounds.hurry()
        if not self._is_known:
            return Refused("the device does not answer")
        return next((one for one in answers if one is not None), None)

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command: the device is silent, or does not hold what was written."""
        orders = self._orders.get(element)
        if not orders:
            return None
        if not self._is_known:
            return Refused("the device does not answer")
        return next((one.answer for one in orders if one.answer is not None), None)

    def fall_back(self, element: str, failsafe: Ceilings, /) -> None:
        """Some devices can keep a limit when the adapter is gone."""
        for order in self._orders.get(element, ()):
            order.failsafe = failsafe

    async def _once(self) -> None:
        """One round: see that it is the same device still, read it, and write what is wanted of it."""
        if not self._is_known:
            await self._recognise()
            self._is_known = True
        began_s = self._clock.now()
        await self._look()
        self._states = self._shown()
        self._measured_at_s = began_s
        await self._carry_all_out()
        if self._changed is not None:
            self._changed()
        if began_s - self._saved_at_s >= SAVE_S:
            self._saved_at_s = began_s
            self._save()

    async def _carry_all_out(self) -> None:
        for order in self._all_orders():
            await self._carry_out(order)

    def _all_orders(self) -> Iterator[OrderT]:
        return (order for orders in self._orders.values() for order in orders)

    def _has_failed(self, _error: OresError) -> None:
        self._is_known = False
        for order in self._all_orders():
            order.lost()

    def _save(self) -> None:
        if self._directory is None:
            return
        try:
            self._keep(self._directory)
        except ConfigError as error:
            _log.warning("%s: its counters are not kept: %s", self.about.name, error.detail)
