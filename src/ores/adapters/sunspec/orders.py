"""What an element has been told, and what has become of it: written, read back, renewed, overridden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from ores.adapters.modbus import Registers, Rejected
from ores.adapters.orders import RegisterOrder
from ores.adapters.sunspec.control import TIMER_S, Steering, Wanted, holds, writes
from ores.adapters.sunspec.image import Image
from ores.module import Answer, Effective

RENEW_S: Final = TIMER_S / 2


class Order(RegisterOrder):
    """The command of one element.

    Args:
        element: Id, for the log.
        steering: How it is commanded.
    """

    def __init__(self, element: str, steering: Steering) -> None:
        super().__init__(element)
        self.steering: Final = steering
        self._engaged = False
        self._written: list[Wanted] | None = None
        self._renew_at_s = 0.0

    def give(self, command: Effective) -> Answer:
        """See `RegisterOrder`; that one before it failed is forgotten."""
        if command != self._command:
            self._failures, self._written = 0, None
        return super().give(command)

    def lost(self) -> None:
        """See `RegisterOrder`; its timer may have run out."""
        self._written = None

    async def carry_out(
        self, image: Image, registers: Registers, read: Callable[[int], Awaitable[Image]], now_s: float
    ) -> None:
        """Write what has to be written, and believe it when it has been read back.

        Args:
            image: As it is now.
            registers: To write to.
            read: Reads a model of this id again.
            now_s: Process time.

        Raises:
            Unavailable: The device does not answer any more.
        """
        if self._command is None or now_s < self._retry_at_s:
            return
        try:
            wanted = self.steering.wanted(image, self._command, self.failsafe)
            if self._is_left_alone(wanted, image):
                return
            self._engaged = True
            stands = all(_holds(image, one) for one in wanted)
            if stands and now_s < self._renew_at_s:
                self._succeeded(wanted)
                return
            if not stands and wanted == self._written:
                self._overridden(now_s)
            if not stands or _lasts(wanted):
                image = await self._write(wanted, image, registers, read)
        except (Rejected, ValueError) as error:
            self._failed(str(error), now_s)
            return
        missing = [one for one in wanted if not _holds(image, one)]
        if missing:
            self._failed(f"model {missing[0].model} does not keep {missing[0].points}", now_s)
            return
        self._written, self._renew_at_s = wanted, now_s + RENEW_S
        self._succeeded(wanted)

    def _is_left_alone(self, wanted: list[Wanted], image: Image) -> bool:
        """What nobody asks for, and nobody has asked for, is its owner's.

        A limit that an installer has set is not lifted because a hub has none. What an adapter wrote before a
        restart is: a device of model 704 keeps the failsafe limit when the timer has run out.
        """
        released = all(one.released for one in wanted)
        return released and not self._engaged and not self.steering.is_ours(image)

    @staticmethod
    async def _write(
        wanted: list[Wanted], image: Image, registers: Registers, read: Callable[[int], Awaitable[Image]]
    ) -> Image:
        for one in wanted:
            model = image.find(one.model)
            if model is None:
                raise ValueError(f"model {one.model} was not read")
            address = image.address_of(model)
            for step in one.steps:
                for at, values in writes(model, step):
                    await registers.write(address + at, values)
            image = await read(one.model)
        return image

    def _succeeded(self, wanted: list[Wanted]) -> None:
        self._works()
        self._engaged = not all(one.released for one in wanted)

    def _failed(self, why: str, now_s: float) -> None:
        super()._failed(why, now_s)
        self._written = None


def _holds(image: Image, wanted: Wanted) -> bool:
    model = image.find(wanted.model)
    return model is not None and holds(model, wanted)


def _lasts(wanted: list[Wanted]) -> bool:
    """Whether there is a timer to be renewed."""
    return any(name.endswith("RvrtTms") for one in wanted for name in one.points)
