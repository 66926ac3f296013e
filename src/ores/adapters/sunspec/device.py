"""A SunSpec device as a device of the SDK: a task reads it, and whoever asks gets what was read last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters.counters import KeptEnergy
from ores.adapters.kept import SAVE_S
from ores.adapters.modbus import Registers, Rejected
from ores.adapters.rounds import Rounds
from ores.adapters.sunspec.found import Found, find, save
from ores.adapters.sunspec.image import Image, Options
from ores.adapters.sunspec.mapping import LOCAL, about, mapped
from ores.adapters.sunspec.orders import Order
from ores.adapters.sunspec.walk import Placed, Request, read_model, requests
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError, PeerError
from ores.model import Element, ElementState, Fault
from ores.module import About, Answer, Ceilings, Effective, PolicyFunction, Refused, free, idle

READ_SHARE: Final = 0.5
"""Of a report period between two readings, so that what is reported is never older than one (FRESH-004)."""
PERIOD_S: Final = 1.0 * READ_SHARE
_log: Final = logging.getLogger("ores.adapters")


class SunSpecDevice:
    """One device behind Modbus.

    Args:
        found: As it was found, now or earlier.
        registers: To talk to it.
        clock: Process time.
        options: What it cannot tell.
        directory: Where to keep what is to survive a restart; None for nowhere.
        name: What its owner calls it.
        period_s: Between two readings.

    Raises:
        ConfigError: Nothing can be shown of it, or an option does not fit it.
    """

    def __init__(
        self,
        found: Found,
        registers: Registers,
        clock: Clock,
        *,
        options: Options = Options(),  # noqa: B008  it cannot be changed
        directory: Path | None = None,
        name: str = "",
        period_s: float = PERIOD_S,
    ) -> None:
        image = found.image()
        it = mapped(image, options)
        self.about: Final[About] = about(image, name, it.profiles)
        self.elements: Final = tuple(view.element for view in it.views)
        self._orders: Final = {element: Order(element, how) for element, how in it.steering.items()}
        for element, how in it.steering.items():
            if not how.timed(image):
                _log.warning(
                    "%s: %s has no reversion timer, and cannot fall back by itself", self.about.name, element
                )
        self._views: Final = {view.element.id: view for view in it.views}
        self.policies: Final = _policies(self.elements)
        self._found = found
        self._registers: Final = registers
        self._clock: Final = clock
        self._directory: Final = directory
        self._wanted: Final = [one for one in found.placed if one.id in it.read]
        self._plan = requests(self._wanted)
        self._known = False
        self._image: Image | None = None
        self._states: dict[str, ElementState] = {}
        self._measured_at_s: float | None = None
        self._saved_at_s = clock.now()
        self._changed: Callable[[], None] | None = None
        self._rounds: Final = Rounds(
            self.about.name, self._once, clock=clock, period_s=period_s, failed=self._has_failed
        )
        for element, kept in found.energy.items():
            if element in self._views:
                self._views[element].counters.remember(kept.counters, kept.epoch)

    async def start(self) -> None:
        """Begin to read it; back after the first time, whether it has answered or not."""
        await self._rounds.start()

    async def stop(self) -> None:
        """End, and let go of its connection: many devices have only one.

        What the module wanted last is still written; what is not reached ends by the device's own timer.
        """
        await self._rounds.stop()
        try:
            if self._known and self._orders:
                image = await self._look()  # what was written last is not yet among what was read
                await self._carry_out(image)
        except OresError as error:
            _log.warning("%s: its last command was not written: %s", self.about.name, error.detail)
        finally:
            self._registers.close()
            self._save()

    def read(self, element: str, /) -> ElementState:
        """What was read last; an element of which nothing has been read yet is unknown."""
        state = self._states[element]
        order = self._orders.get(element)
        codes = [] if order is None else order.faults(self._clock.now())
        if not codes:
            return state
        own = [] if isinstance(state.fault, UnsetType) else state.fault.codes
        return msgspec.structs.replace(state, fault=Fault(codes=[*codes, *own][:16]))

    def measured_at_s(self, _element: str, /) -> float | None:
        """When the round began in which it was read."""
        return self._measured_at_s

    def tell(self, changed: Callable[[], None], /) -> None:
        """Each round may bring news."""
        self._changed = changed

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Have it written in the next round, which begins now; see `answered` for what becomes of it."""
        answer = self._orders[element].give(command)
        self._rounds.hurry()
        return answer if self._known else Refused("the device does not answer")

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command: the device is silent, or does not hold what was written."""
        order = self._orders.get(element)
        if order is None:
            return None
        return order.answer if self._known else Refused("the device does not answer")

    def fall_back(self, element: str, failsafe: Ceilings, /) -> None:
        """Some devices can keep a limit when the adapter is gone (704)."""
        if element in self._orders:
            self._orders[element].failsafe = failsafe

    def taken_over(self) -> Literal["local"] | None:
        """Whether somebody has switched the device to local control (715)."""
        model = None if self._image is None else self._image.find(LOCAL)
        return "local" if model is not None and model.symbol("LocRemCtl") == "LOCAL" else None

    async def _once(self) -> None:
        """One round: see that it is the same device still, and read it."""
        if not self._known:
            await self._recognise()
        began_s = self._clock.now()
        image = await self._look()
        self._states = {name: view.read(image) for name, view in self._views.items()}
        self._measured_at_s = began_s
        await self._carry_out(image)
        if self._changed is not None:
            self._changed()
        if began_s - self._saved_at_s >= SAVE_S:
            self._saved_at_s = began_s
            self._save()

    async def _look(self) -> Image:
        """Read all models of which something is made."""
        self._image = Image(self._wanted, await self._read(), self._clock.utc().timestamp())
        return self._image

    async def _carry_out(self, image: Image) -> None:
        """Write what has been commanded."""
        for order in self._orders.values():
            await order.carry_out(image, self._registers, self._read_again, self._clock.now())

    async def _read_again(self, number: int) -> Image:
        """What a model of this id holds now."""
        placed = [one for one in self._wanted if one.id == number]
        return Image(placed, {one.address: await read_model(self._registers, one) for one in placed})

    async def _recognise(self) -> None:
        """After a silence another device may have its address."""
        now = await find(self._registers)
        if now.label() != self._found.label():
            raise PeerError(f"another device is there: {now.label()} in place of {self._found.label()}")
        if now.placed != self._found.placed:
            raise PeerError(f"{self.about.name} has other models than before: its adapter has to begin anew")
        self._found = msgspec.structs.replace(now, energy=self._found.energy)
        self._known = True

    async def _read(self) -> dict[int, list[int]]:
        read: list[tuple[Request, list[int]]] = []
        try:
            for request in self._plan:
                read.append((request, await self._registers.read(request.address, request.count)))  # noqa: PERF401
        except Rejected:
            # some devices do not read beyond the end of a model in one request
            self._plan = [part for one in self._wanted for part in requests([one])]
            raise
        return {one.address: _cut(one, read) for one in self._wanted}

    def _has_failed(self, _error: OresError) -> None:
        self._known = False
        for order in self._orders.values():
            order.lost()

    def _save(self) -> None:
        if self._directory is None:
            return
        energy = {
            name: KeptEnergy(view.counters.kept, view.counters.epoch) for name, view in self._views.items()
        }
        try:
            save(self._directory, msgspec.structs.replace(self._found, energy=energy))
        except ConfigError as error:
            _log.warning("%s: its counters are not kept: %s", self.about.name, error.detail)


def _policies(elements: Sequence[Element]) -> dict[str, PolicyFunction]:
    """A store that follows set-points rests without one, for only by a set-point are its limits kept."""
    if any(one.capabilities.setpoint is not UNSET for one in elements):
        return {"idle": idle(elements)}
    return {"free": free}


def _cut(placed: Placed, read: list[tuple[Request, list[int]]]) -> list[int]:
    """The registers of one model, out of all that were read.

    Raises:
        PeerError: It is not there any more.
    """
    found: list[int] = []
    for request, registers in read:
        begin = placed.address + len(found) - request.address
        if 0 <= begin < len(registers):
            found += registers[begin : begin + placed.size - len(found)]
    if len(found) < 2 or found[0] != placed.id or found[1] + 2 != placed.size:
        raise PeerError(f"at {placed.address} there is no model {placed.id} any more")
    return found
