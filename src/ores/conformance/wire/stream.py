"""An open WebSocket, as the kit listens to it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import aiohttp

from ores.conformance.check import Failed, Unreachable, plain
from ores.conformance.wire import ijson

ENDS: Final = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)
FAULTS_MAX: Final = 1000


class Stream:
    """An open WebSocket; frames are kept with the moment of their receipt.

    Attributes:
        frames: So far, each with the moment of its receipt.
        faults: What came that is no frame.
        pongs: The latest, each with the moment of its receipt.
        closed: It has ended.
        close_code: With which status the subject ended it; 1006 where it said none; None while it is open.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        socket: aiohttp.ClientWebSocketResponse,
        note: Callable[[str, str, bytes | None], None],
        elapsed_s: Callable[[], float],
    ) -> None:
        self.frames: Final[list[tuple[float, Any]]] = []
        self.faults: Final[list[str]] = []
        self.pongs: Final[deque[tuple[float, bytes]]] = deque(maxlen=256)
        self._session: Final = session
        self._socket: Final = socket
        self._note: Final = note
        self._elapsed_s: Final = elapsed_s
        self._news: Final = asyncio.Condition()
        self.closed = False
        self.close_code: int | None = None
        self._reader: Final = asyncio.create_task(self._read())

    @property
    def socket(self) -> aiohttp.ClientWebSocketResponse:
        """For pings, and frames that no well-behaved hub would send."""
        return self._socket

    @property
    def states(self) -> list[tuple[float, dict[str, Any]]]:
        """The states so far, each with the moment of its receipt."""
        return [(at_s, frame["state"]) for at_s, frame in self.frames if isinstance(frame.get("state"), dict)]

    async def send(self, message: Any) -> None:
        """Send a frame; text is sent as it is.

        Raises:
            Unreachable: The stream has ended.
        """
        text = message if isinstance(message, str) else json.dumps(message)
        self._note("kit", "frame", text.encode("utf-8", "surrogatepass"))
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise Unreachable(f"the stream ended while the kit was sending: {plain(error)}") from error

    async def until(
        self, wanted: Callable[[dict[str, Any]], object], *, timeout_s: float, what: str, since: int = 0
    ) -> dict[str, Any]:
        """The first frame from `since` on that is wanted; waits for it.

        Args:
            wanted: Whether a frame is the one.
            timeout_s: How long to wait.
            what: For the sentence when it does not come.
            since: Index in `frames` where to begin.

        Raises:
            Failed: It did not come in time.
            Unreachable: The stream ended before.
        """
        began_s = self._elapsed_s()
        at = since
        while True:
            while at < len(self.frames):
                frame = self.frames[at][1]
                at += 1
                if wanted(frame):
                    return dict(frame)
            left_s = timeout_s - (self._elapsed_s() - began_s)
            if left_s <= 0:
                raise Failed(f"{what} did not come within {timeout_s:g} s")
            if self.closed:
                raise Unreachable(f"the stream ended (status {self.close_code}) before {what} came")
            await self._wait(left_s)

    async def ping(self, payload: bytes, timeout_s: float) -> float | None:
        """Seconds until the pong with the same payload came; None where it did not in time.

        Raises:
            Unreachable: The stream has ended.
        """
        began_s = self._elapsed_s()
        try:
            await self._socket.ping(payload)
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            raise Unreachable(f"the stream ended while the kit was sending: {plain(error)}") from error
        while True:
            for at_s, data in self.pongs:
                if data == payload:
                    return at_s - began_s
            left_s = timeout_s - (self._elapsed_s() - began_s)
            if left_s <= 0 or self.closed:
                return None
            await self._wait(left_s)

    async def ended(self, timeout_s: float) -> bool:
        """Whether the subject ends the stream within so long."""
        began_s = self._elapsed_s()
        while not self.closed:
            left_s = timeout_s - (self._elapsed_s() - began_s)
            if left_s <= 0:
                return False
            await self._wait(left_s)
        return True

    async def close(self) -> None:
        """End the stream from the kit's side."""
        try:
            async with asyncio.timeout(2.0):
                await self._socket.close()
        except (TimeoutError, aiohttp.ClientError, OSError):
            self.faults.append("the close of the stream was not answered")
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._session.close()
        self.closed = True

    async def _wait(self, timeout_s: float) -> None:
        async with self._news:
            try:
                async with asyncio.timeout(min(timeout_s, 0.5)):
                    await self._news.wait()
            except TimeoutError:
                return

    async def _read(self) -> None:
        try:
            while (message := await self._socket.receive()).type not in ENDS:
                await self._take(message)
                if len(self.faults) > FAULTS_MAX:
                    break
            told = message.type is aiohttp.WSMsgType.CLOSE
            # its own word: the answer to it may find the subject gone already, and aiohttp says 1006 then
            self.close_code = message.data if told else self._socket.close_code
        except Failed as error:
            self.faults.append(str(error))
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            self.faults.append(f"the stream broke: {plain(error)}")
        finally:
            self.closed = True
            async with self._news:
                self._news.notify_all()

    async def _take(self, message: aiohttp.WSMessage) -> None:
        at_s = self._elapsed_s()
        if message.type is aiohttp.WSMsgType.PING:
            await self._socket.pong(message.data)
            return
        if message.type is aiohttp.WSMsgType.PONG:
            self.pongs.append((at_s, message.data))
            async with self._news:
                self._news.notify_all()
            return
        if message.type is not aiohttp.WSMsgType.TEXT:
            self.faults.append(f"a frame of type {message.type.name} came; frames are text")
            return
        self._note("subject", "frame", message.data.encode("utf-8", "surrogatepass"))
        try:
            frame = ijson.read(message.data)
        except Failed as error:
            self.faults.append(str(error))
            return
        if not isinstance(frame, dict):
            self.faults.append(f"a frame is one JSON object; found {type(frame).__name__}")
            return
        self.frames.append((at_s, frame))
        async with self._news:
            self._news.notify_all()
