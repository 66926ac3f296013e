"""The task of one device: a round each period, and patience with what does not answer.

Each adapted device has its own, so that one that hangs delays no other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from ores.link.clock import Clock
from ores.link.errors import OresError

WAIT_MAX_S: Final = 60.0
"""Between two tries with a device that has been silent for long."""
_log: Final = logging.getLogger("ores.adapters")


class Rounds:
    """Calls a function each period; after failures ever more rarely, until it succeeds again.

    Args:
        name: Of the device, for the log.
        once: One round. An `OresError` is a device that did not answer; logged once, until it answers.
        clock: Process time.
        period_s: From the beginning of one round to the next.
        failed: Told of each failure.
    """

    def __init__(
        self,
        name: str,
        once: Callable[[], Awaitable[None]],
        *,
        clock: Clock,
        period_s: float,
        failed: Callable[[OresError], None],
    ) -> None:
        self._name: Final = name
        self._once: Final = once
        self._clock: Final = clock
        self._period_s: Final = period_s
        self._failed: Final = failed
        self._failures = 0
        self._task: asyncio.Task[None] | None = None
        self._first: asyncio.Future[None]
        self._early: asyncio.Future[None] | None = None
        self._hurried = False
        self._ended = False

    async def start(self) -> None:
        """Begin with a round at once; back when it is over, whether the device has answered or not."""
        if self._task is None:
            self._ended = False
            self._first = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(self._run(self._first), name=f"rounds of {self._name}")
        await self._first

    async def stop(self) -> None:
        """End, in whatever it is waiting for."""
        self._ended = True  # a cancellation is lost where an answer is there at the same moment
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def hurry(self) -> None:
        """There is something to do: begin the next round now, unless the device is being left in peace."""
        self._hurried = True
        if self._early is not None and not self._early.done() and not self._failures:
            self._early.set_result(None)

    async def _run(self, first: asyncio.Future[None]) -> None:
        while not self._ended:
            began_s = self._clock.now()
            self._hurried = False
            error = await self._tried()
            if error is None and self._failures:
                _log.info("%s answers again", self._name)
            self._failures = 0 if error is None else self._failures + 1
            if error is not None:
                if self._failures == 1:
                    _log.warning("%s does not answer: %s", self._name, error.detail)
                self._failed(error)
            if not first.done():
                first.set_result(None)
            if self._failures or not self._hurried:
                await self._wait_until(began_s + self._wait_s())

    async def _tried(self) -> OresError | None:
        """One round, and what went wrong in it."""
        try:
            await self._once()
        except OresError as error:
            return error
        except Exception as error:  # noqa: BLE001  a mistake of ours must not leave a device unread for ever
            _log.exception("%s: a round ended in a way that nobody foresaw", self._name)
            return OresError(repr(error))
        return None

    def _wait_s(self) -> float:
        """Each failure doubles the wait."""
        return min(self._period_s * 2.0 ** min(self._failures, 16), max(WAIT_MAX_S, self._period_s))

    async def _wait_until(self, at_s: float) -> None:
        if self._ended:
            return
        early: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._early = early

        def now() -> None:
            if not early.done():
                early.set_result(None)

        timer = self._clock.call_at(at_s, now)
        try:
            await early
        finally:
            timer.cancel()
            self._early = None
