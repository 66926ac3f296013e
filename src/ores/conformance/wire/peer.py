"""One party as which the kit talks: stranger, controller, or somebody unknown; requests and the stream."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from ores.conformance.check import Failed, Unreachable
from ores.conformance.transcript import Line, Transcript
from ores.conformance.wire import ijson
from ores.conformance.wire.identity import Identity
from ores.conformance.wire.target import Target, context

ANSWER_S: Final = 6.0
BODY_MAX: Final = 262_144  # four times what any message may have: enough to see that it is too much
FAULTS_MAX: Final = 1000
MISSING: Final = object()
ENDS: Final = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the subject answered to a request.

    Attributes:
        status: Of HTTP.
        headers: With lower-case names.
        raw: The body as it came.
        took_s: From the request's last byte to the answer's last.
    """

    status: int
    headers: Mapping[str, str]
    raw: bytes
    took_s: float

    @property
    def json(self) -> Any:
        """The body as I-JSON.

        Raises:
            Failed: It is none.
        """
        return ijson.read(self.raw)

    @property
    def code(self) -> str | None:
        """The code of a problem, or of a refusal; None where the body names none."""
        try:
            body = ijson.read(self.raw)
        except Failed:
            return None
        found = body.get("code") if isinstance(body, dict) else None
        return found if isinstance(found, str) else None


class NotOpened(Unreachable):
    """The subject answered the opening of a stream with something else than a stream."""


class Peer:
    """One party, with a connection for requests and, apart, its streams.

    Args:
        name: For the transcript.
        target: Where the subject is.
        identity_file: Key and certificate to show; None shows none.
        identity: The same, for who needs its fingerprint.
        transcript: Where all is written down.
        elapsed_s: Seconds since the beginning of the judgement.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        transcript: Transcript,
        elapsed_s: Callable[[], float],
        *,
        identity: Identity | None = None,
        identity_file: Path | None = None,
    ) -> None:
        self.name: Final = name
        self.target: Final = target
        self.identity: Final = identity
        self.tls: Final = context(identity_file)
        self._transcript: Final = transcript
        self._elapsed_s: Final = elapsed_s
        self._session: aiohttp.ClientSession | None = None
        self._streams: Final[list[Stream]] = []
        self._sockets: Final[list[sockets.socket]] = []

    async def request(
        self,
        method: str,
        path: str,
        body: Any = MISSING,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S,
        raw_path: bool = False,
    ) -> Answer:
        """Ask, and write question and answer down.

        Args:
            method: Of HTTP.
            path: Below the base path; `raw_path` takes it from the root.
            body: Sent as JSON; bytes are sent as they are.
            headers: In addition.
            timeout_s: For all of it.
            raw_path: `path` begins at the root.

        Raises:
            Unreachable: No answer in time, or the connection ended.
            Failed: The answer is larger than any may be.
        """
        data = _encoded(body)
        url = self.target.url.removesuffix(self.target.path) + path if raw_path else self.target.url + path
        self._note("kit", f"{method} {path}", data)
        sending = {"Content-Type": "application/json"} if data is not None else {}
        began_s = self._elapsed_s()
        try:
            async with self._open_session().request(
                method,
                url,
                data=data,
                headers={**sending, **(headers or {})},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                raw = await _bounded(response)
                names = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status, names, raw, self._elapsed_s() - began_s)
        except TimeoutError as error:
            raise Unreachable(f"{method} {path} was not answered within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, UnicodeError) as error:
            raise Unreachable(f"{method} {path} got no answer: {_plain(error)}") from error
        self._note("subject", f"{answer.status} {method} {path}", raw, answer.took_s)
        return answer

    async def open_stream(self, *, timeout_s: float = ANSWER_S) -> Stream:
        """Open the WebSocket.

        Raises:
            NotOpened: It was refused; the message says with which status.
            Unreachable: There was no answer.
        """
        self._note("kit", "open /stream", None)
        session = aiohttp.ClientSession(connector=self._connector())
        try:
            async with asyncio.timeout(timeout_s):
                socket = await session.ws_connect(
                    self.target.url + "/stream", max_msg_size=BODY_MAX, autoping=False, compress=0
                )
        except aiohttp.WSServerHandshakeError as error:
            await session.close()
            raise NotOpened(f"the stream was not opened: status {error.status}") from error
        except TimeoutError as error:
            await session.close()
            raise Unreachable(f"the stream was not opened within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
            await session.close()
            raise Unreachable(f"the stream was not opened: {_plain(error)}") from error
        stream = Stream(session, socket, self._note, self._elapsed_s)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        """End its connections."""
        for stream in self._streams:
            await stream.close()
        self._streams.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        """One connection, kept alive: a module need serve only two (HTTP-010)."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=self._connector(), auto_decompress=False)
        return self._session

    def cut(self) -> None:
        """End what is still open below: TLS would wait half a minute for the goodbye of who hangs."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(sockets.SHUT_RDWR)
        self._sockets.clear()

    def _connector(self) -> aiohttp.TCPConnector:
        def kept(address: aiohttp.AddrInfoType) -> sockets.socket:
            family, kind, protocol, _, _ = address
            made = sockets.socket(family, kind, protocol)
            self._sockets.append(made)
            return made

        return aiohttp.TCPConnector(ssl=self.tls, limit=1, socket_factory=kept)

    def _note(self, by: str, what: str, data: bytes | None, took_s: float = 0.0) -> None:
        raw = data or b""
        self._transcript.add(Line(self._elapsed_s(), by, self.name, what, _legible(raw), raw, took_s))


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
            raise Unreachable(f"the stream ended while the kit was sending: {_plain(error)}") from error

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
            raise Unreachable(f"the stream ended while the kit was sending: {_plain(error)}") from error
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
            self.faults.append(f"the stream broke: {_plain(error)}")
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


def _encoded(body: Any) -> bytes | None:
    if body is MISSING:
        return None
    return body if isinstance(body, bytes) else json.dumps(body).encode()


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, but never more than the kit can bear."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(16_384):
        found += chunk
        if len(found) > BODY_MAX:
            response.close()
            raise Failed(f"an answer has more than {BODY_MAX} bytes; 65536 are the most (SIZE-002)")
    return bytes(found)


def _legible(raw: bytes) -> Any:
    """For the transcript: parsed JSON, else text."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:2000].decode("utf-8", "replace")


def _plain(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return text if len(text) < 200 else text[:199] + "…"
