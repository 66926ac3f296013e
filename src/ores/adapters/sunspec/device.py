"""A SunSpec device as a device of the SDK: a task reads it, and whoever asks gets what was read last."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from ores.adapters.counters import KeptEnergy
from ores.adapters.device import RegisterDevice
from ores.adapters.modbus import Registers, Rejected
from ores.adapters.sunspec.found import Found, find, save
from ores.adapters.sunspec.image import Image, Options
from ores.adapters.sunspec.mapping import LOCAL, about, mapped
from ores.adapters.sunspec.orders import Order
from ores.adapters.sunspec.walk import Placed, Request, read_model, requests
from ores.link.clock import Clock
from ores.link.errors import PeerError
from ores.model import Element, ElementState
from ores.module import PolicyFunction, free, idle

READ_SHARE: Final = 0.5
"""Of a report period between two readings, so that what is reported is never older than one (FRESH-004)."""
PERIOD_S: Final = 1.0 * READ_SHARE
_log: Final = logging.getLogger("ores.adapters")


class SunSpecDevice(RegisterDevice[Registers, Order]):
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
        orders = {element: (Order(element, how),) for element, how in it.steering.items()}
        super().__init__(
            about(image, name, it.profiles), orders, registers, clock, directory=directory, period_s=period_s
        )
        self.elements: Final = tuple(view.element for view in it.views)
        for element, how in it.steering.items():
            if not how.timed(image):
                _log.warning(
                    "%s: %s has no reversion timer, and cannot fall back by itself", self.about.name, element
                )
        self._views: Final = {view.element.id: view for view in it.views}
        self.policies: Final = _policies(self.elements)
        self._found = found
        self._wanted: Final = [one for one in found.placed if one.id in it.read]
        self._plan = requests(self._wanted)
        self._image = Image([], {})
        for element, kept in found.energy.items():
            if element in self._views:
                self._views[element].counters.remember(kept.counters, kept.epoch)

    def taken_over(self) -> Literal["local"] | None:
        """Whether somebody has switched the device to local control (715)."""
        model = self._image.find(LOCAL)
        return "local" if model is not None and model.symbol("LocRemCtl") == "LOCAL" else None

    async def _look(self) -> None:
        registers = await self._read()
        self._image = Image(self._wanted, registers, self._clock.utc().timestamp())

    def _shown(self) -> dict[str, ElementState]:
        return {name: view.read(self._image) for name, view in self._views.items()}

    async def _carry_out(self, order: Order) -> None:
        await order.carry_out(self._image, self._registers, self._read_again, self._clock.now())

    async def _read_again(self, number: int) -> Image:
        """What a model of this id holds now."""
        placed = [one for one in self._wanted if one.id == number]
        return Image(placed, {one.address: await read_model(self._registers, one) for one in placed})

    async def _recognise(self) -> None:
        now = await find(self._registers)
        if now.label() != self._found.label():
            raise PeerError(f"another device is there: {now.label()} in place of {self._found.label()}")
        if now.placed != self._found.placed:
            raise PeerError(f"{self.about.name} has other models than before: its adapter has to begin anew")
        self._found = msgspec.structs.replace(now, energy=self._found.energy)

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

    def _keep(self, directory: Path) -> None:
        energy = {
            name: KeptEnergy(view.counters.kept, view.counters.epoch) for name, view in self._views.items()
        }
        save(directory, msgspec.structs.replace(self._found, energy=energy))


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
