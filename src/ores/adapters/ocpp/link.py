"""One connection with a charger: calls in both directions, one at a time in each."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Final

from ores.adapters.ocpp.frames import Broken, Call, Error, Payload, Result, read
from ores.adapters.ocpp.schemas import Version, code, fault, is_known
from ores.link.clock import Clock
from ores.link.errors import Disconnected, PeerError, TimedOut

ANSWER_S: Final = 15.0
"""Chargers that ask a meter or a car first are slow."""
BROKEN_MAX: Final = 20
"""Frames that are none, one after the other; then it is no charger."""
_log: Final = logging.getLogger("ores.adapters")
Handler = Callable[[Payload], Payload]


class Denied(PeerError):
    """The charger answers with an error.

    Args:
        detail: Which call.
        code: Of OCPP, such as `NotImplemented`.
    """

    def __init__(self, detail: str, code: str) -> None:
        super().__init__(detail)
        self.error: Final = code


class Hostile(PeerError):
    """What is at the other end is no charger."""


class Link:
    """Calls and answers over something that carries text.

    Args:
        name: Of the charger, for what is said of it.
        version: Of the protocol.
        send: Takes a frame; raises `OSError` where the connection is gone.
        clock: Process time.
        handlers: By action; what the charger may call. They answer at once.
        answer_s: For each answer.
    """

    def __init__(
        self,
        name: str,
        version: Version,
        send: Callable[[str], Awaitable[None]],
        clock: Clock,
        handlers: Mapping[str, Handler],
        *,
        answer_s: float = ANSWER_S,
    ) -> None:
        self.version: Final[Version] = version
        self._name: Final = name
        self._send: Final = send
        self._clock: Final = clock
        self._handlers: Final = handlers
        self._answer_s: Final = answer_s
        self._numbers: Final = count(1)
        self._one: Final = asyncio.Lock()
        self._waits: tuple[str, asyncio.Future[Payload]] | None = None
        self._broken = 0
        self._is_closed = False

    async def hear(self, text: str) -> None:
        """Take a frame, and answer it where it is a call.

        Raises:
            Hostile: Nothing but nonsense comes.
            OSError: The connection is gone.
        """
        frame = read(text)
        self._broken = self._broken + 1 if isinstance(frame, Broken) else 0
        if self._broken > BROKEN_MAX:
            raise Hostile(f"{self._name}: nothing but frames that are none")
        match frame:
            case Call():
                await self._send(self._answered(frame).text())
            case Result() | Error():
                self._take(frame)
            case Broken():
                if frame.id or self.version == "2.0.1":  # 1.6 has no answer to what has no id
                    error = code(self.version, "RpcFrameworkError")
                    await self._send(Error(frame.id or "-1", error, frame.why).text())

    async def call(self, action: str, payload: Payload) -> Payload:
        """The charger's answer, as the schema allows it.

        Raises:
            Denied: It answers with an error, or with what is no answer.
            TimedOut: It does not answer.
            Disconnected: The connection is gone.
        """
        what = f"{self._name}: {action}"
        async with self._one:
            if self._is_closed:
                raise Disconnected(f"{what}: no connection")
            id_ = str(next(self._numbers))
            waits: asyncio.Future[Payload] = asyncio.get_running_loop().create_future()
            self._waits = (id_, waits)
            try:
                await self._send(Call(id_, action, payload).text())
                async with self._clock.timeout(self._answer_s):
                    answer = await waits
            except TimedOut as error:
                raise TimedOut(f"{what}: no answer") from error
            except OSError as error:
                raise Disconnected(f"{what}: {error}") from error
            finally:
                self._waits = None
        wrong = fault(self.version, action, answer, result=True)
        if wrong is not None:
            raise Denied(f"{what}: {wrong[1]}", wrong[0])
        return answer

    def close(self) -> None:
        """The connection is gone; whoever waits learns it."""
        self._is_closed = True
        if self._waits is not None and not self._waits[1].done():
            self._waits[1].set_exception(Disconnected(f"{self._name}: the connection has ended"))

    def _answered(self, call: Call) -> Result | Error:
        if not is_known(self.version, call.action):
            return Error(call.id, "NotImplemented", "there is no such action")
        handler = self._handlers.get(call.action)
        if handler is None:
            return Error(call.id, "NotSupported", "nobody here wants to know")
        wrong = fault(self.version, call.action, call.payload)
        if wrong is not None:
            return Error(call.id, *wrong)
        try:
            return Result(call.id, handler(call.payload))
        except PeerError as error:
            return Error(call.id, code(self.version, "PropertyConstraintViolation"), error.detail)
        except Exception:  # noqa: BLE001  a mistake of ours must not end the connection with a charger
            _log.exception("%s: %s ended in a way that nobody foresaw", self._name, call.action)
            return Error(call.id, "InternalError", "")

    def _take(self, frame: Result | Error) -> None:
        """An answer; one that nobody waits for is late, or a lie."""
        if self._waits is None or self._waits[0] != frame.id or self._waits[1].done():
            return
        if isinstance(frame, Result):
            self._waits[1].set_result(frame.payload)
        else:
            detail = f"{self._name}: {frame.code} {frame.detail}".rstrip()
            self._waits[1].set_exception(Denied(detail, frame.code))
