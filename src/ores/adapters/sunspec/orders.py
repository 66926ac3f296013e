"""What an element has been told, and what has become of it: written, read back, renewed, overridden."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from ores.adapters.modbus import Registers, Rejected
from ores.adapters.sunspec.control import TIMER_S, Steering, Wanted, holds, writes
from ores.adapters.sunspec.image import Image
from ores.module import Answer, Ceilings, Effective, Refused

RENEW_S: Final = TIMER_S / 2
RETRY_MAX_S: Final = 60.0
OVERRIDDEN_S: Final = 60.0
"""For so long it is shown that somebody else has changed what we had written."""
NOT_TAKEN: Final = "command_not_taken"
OVERRIDDEN: Final = "command_overridden"
_log: Final = logging.getLogger("ores.adapters")


class Order:
    """The command of one element.

    Args:
        element: Id, for the log.
        steering: How it is commanded.
    """

    def __init__(self, element: str, steering: Steering) -> None:
        self._element: Final = element
        self.steering: Final = steering
        self.failsafe = Ceilings()
        self._command: Effective | None = None
        self._engaged = False
        self._written: list[Wanted] | None = None
        self._renew_at_s = 0.0
        self._retry_at_s = 0.0
        self._failures = 0
        self._overridden_until_s = float("-inf")
        self.answer: Answer = None

    def give(self, command: Effective) -> Answer:
        """From now on. None until something speaks against it."""
        if command != self._command:
            self._command = command
            self._failures, self._retry_at_s, self._written, self.answer = 0, 0.0, None, None
        return self.answer

    def lost(self) -> None:
        """The device was silent: what it holds now, nobody has overridden; its timer may have run out."""
        self._written = None

    def faults(self, now_s: float) -> list[str]:
        """What a person should know of it."""
        codes = [NOT_TAKEN] if self._failures else []
        return [*codes, OVERRIDDEN] if now_s < self._overridden_until_s else codes

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
        if self._failures:
            _log.info("%s: the device does what it is told again", self._element)
        self._failures, self.answer = 0, None
        self._engaged = not all(one.released for one in wanted)

    def _failed(self, why: str, now_s: float) -> None:
        if not self._failures:
            _log.warning("%s: the device does not do what it is told: %s", self._element, why)
        self._failures += 1
        self._written = None
        self._retry_at_s = now_s + min(RETRY_MAX_S, 2.0 ** min(self._failures, 16))
        self.answer = Refused(f"the device does not take it: {why}"[:512])

    def _overridden(self, now_s: float) -> None:
        """Somebody else writes to the device; said, and put right."""
        if now_s >= self._overridden_until_s:
            _log.warning("%s: somebody else has changed what it was told", self._element)
        self._overridden_until_s = now_s + OVERRIDDEN_S


def _holds(image: Image, wanted: Wanted) -> bool:
    model = image.find(wanted.model)
    return model is not None and holds(model, wanted)


def _lasts(wanted: list[Wanted]) -> bool:
    """Whether there is a timer to be renewed."""
    return any(name.endswith("RvrtTms") for one in wanted for name in one.points)
