"""The task that keeps the history: commits every second and tidies up, in a worker thread."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from ores.hub.history.history import History

_DURABLE_EVERY = 5  # commits; a power cut costs at most these and the running second
_STEPS_PER_COMMIT = 5


class Pace(Protocol):
    """What is needed of the hub's clock."""

    def utc(self) -> datetime:
        """Wall time, aware, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Wait in process time."""

    def hold(self) -> AbstractContextManager[None]:
        """Time does not move while held."""


async def keep(history: History, clock: Pace, *, every_s: float = 1.0, durable: bool = True) -> None:
    """Commit every second and tidy up between commits, until cancelled; then call `History.close`.

    The thread keeps the file's waits (a checkpoint on a slow card takes a second) away from the control
    loop; the held clock keeps lock-step time still meanwhile, so that the same seed gives the same run.

    Args:
        history: Whose only worker this is.
        clock: Process time.
        every_s: Between two commits, in process time: what a kill may cost.
        durable: Whether every fifth commit waits for the disk. Time that runs a thousand times faster than
            the wall would wait for it hundreds of times a second; there, surviving a kill is enough.
    """
    count = 0
    while True:
        await clock.sleep(every_s)
        count += 1
        with clock.hold():
            sync = durable and count % _DURABLE_EVERY == 0
            await asyncio.to_thread(_commit_and_tidy, history, clock.utc().timestamp(), sync)


def _commit_and_tidy(history: History, now_utc_s: float, durable: bool) -> None:
    history.flush(durable=durable)
    for _ in range(_STEPS_PER_COMMIT):
        if not history.maintain(now_utc_s):
            break
