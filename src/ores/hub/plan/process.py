"""The planner as a child of the hub: started, asked within a deadline, ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from ores.hub.plan.messages import LENGTH_BYTES, LONGEST, Ask, Told
from ores.link.clock import Clock
from ores.link.errors import OresError

COMMAND: Final = (sys.executable, "-m", "ores.hub.plan.worker")
DEADLINE_S: Final = 60.0
"""Of the wall, for an answer; one takes about a second."""
_NICE: Final = 19


class PlannerFailed(OresError):
    """It ended, was too slow, or its answer cannot be used; says so in words."""

    code = "internal"


class Planner:
    """A planner that runs; made by `planner`."""

    def __init__(self, clock: Clock, child: asyncio.subprocess.Process, deadline_s: float) -> None:
        self._clock = clock
        self._child = child
        self._deadline_s = deadline_s

    async def ask(self, question: Ask) -> Told:
        """Ask, and wait for the answer at most until the deadline.

        Raises:
            PlannerFailed: No answer, or one that is none.
        """
        try:
            # a child process lives in the wall's time
            async with asyncio.timeout(self._deadline_s):  # noqa: TID251
                with self._clock.hold():
                    answer = await self._exchange(msgspec.msgpack.encode(question))
        except TimeoutError:
            raise PlannerFailed(f"the planner has not answered for {self._deadline_s:g} s") from None
        except (EOFError, OSError):
            with self._clock.hold():
                ended = await _end(self._child)  # where only its pipe has ended, it is ended now
            raise PlannerFailed(f"the planner has ended (exit {ended})") from None
        except (msgspec.MsgspecError, ValueError) as error:
            raise PlannerFailed(f"the planner's answer cannot be read: {error}") from None
        if answer.error:
            raise PlannerFailed(f"the planner cannot plan: {answer.error}")
        return answer

    async def _exchange(self, body: bytes) -> Told:
        to, answers = self._child.stdin, self._child.stdout
        if to is None or answers is None:
            raise EOFError
        to.write(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        await to.drain()
        length = int.from_bytes(await answers.readexactly(LENGTH_BYTES), "big")
        if length > LONGEST:
            raise ValueError(f"{length} bytes")
        return msgspec.msgpack.decode(await answers.readexactly(length), type=Told)


@asynccontextmanager
async def planner(
    clock: Clock, *, command: Sequence[str] = COMMAND, deadline_s: float = DEADLINE_S
) -> AsyncIterator[Planner]:
    """A planner of its own process, behind everything else that wants the processor.

    Args:
        clock: Held while the child is waited for.
        command: That runs it.
        deadline_s: For each answer.

    Raises:
        PlannerFailed: It cannot be started.
    """
    alone = {
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }  # one thread is enough, and takes less memory
    with clock.hold():
        try:
            child = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env={**os.environ, **alone},
                start_new_session=True,
            )
        except OSError as error:
            raise PlannerFailed(f"the planner cannot be started: {error}") from None
    try:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, child.pid, _NICE)
        yield Planner(clock, child, deadline_s)
    finally:
        with clock.hold():
            await _end(child)


async def _end(child: asyncio.subprocess.Process) -> int:
    """Its exit code. `child.kill()` would fetch that code itself, and leave none for who waits for it."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
    return await child.wait()
