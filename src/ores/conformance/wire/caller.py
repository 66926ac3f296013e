"""Somebody who talks to the subject: asks, opens streams, and writes all of it down."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from ores.conformance.check import Failed, Unreachable, plain
from ores.conformance.transcript import Line, Transcript, legible
from ores.conformance.wire import ijson
from ores.conformance.wire.stream import Stream
from ores.conformance.wire.target import Target

CHUNK_BYTES: Final = 16_384
MISSING: Final = object()


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


@dataclass(frozen=True, slots=True)
class Question:
    """A request.

    Attributes:
        method: Of HTTP.
        url: Of what is asked for.
        shown: Path for the transcript.
        body: Sent as JSON; bytes are sent as they are; `MISSING` sends none.
        headers: In addition; one with an empty value is left out.
        timeout_s: For all of it.
        answer_max_bytes: Enough to see that an answer is too much.
    """

    method: str
    url: str
    shown: str
    body: Any
    headers: Mapping[str, str] | None
    timeout_s: float
    answer_max_bytes: int

    @property
    def data(self) -> bytes | None:
        """The body as it is sent."""
        if self.body is MISSING:
            return None
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()

    def __str__(self) -> str:
        return f"{self.method} {self.shown}"


class Caller:
    """What all who talk to the subject have in common.

    Args:
        name: For the transcript.
        target: Where the subject is.
        transcript: Where all is written down.
        elapsed_s: Seconds since the beginning of the judgement.
    """

    def __init__(
        self, name: str, target: Target, transcript: Transcript, elapsed_s: Callable[[], float]
    ) -> None:
        self.name: Final = name
        self.target: Final = target
        self._transcript: Final = transcript
        self._elapsed_s: Final = elapsed_s
        self._session: aiohttp.ClientSession | None = None
        self._streams: Final[list[Stream]] = []

    async def close(self) -> None:
        """End its connections."""
        for stream in self._streams:
            await stream.close()
        self._streams.clear()
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _new_session(self) -> aiohttp.ClientSession:
        """Connections of its own."""
        raise NotImplementedError

    async def _ask(self, question: Question, *, quiet: bool = False) -> Answer:
        """Ask, and write question and answer down.

        Raises:
            Unreachable: No answer in time, or the connection ended.
            Failed: The answer is larger than any may be.
        """
        data = question.data
        sending = {"Content-Type": "application/json"} if data is not None else {}
        sending |= question.headers or {}
        if not quiet:
            self._note("kit", str(question), data)
        if self._session is None:
            self._session = self._new_session()
        began_s = self._elapsed_s()
        try:
            async with self._session.request(
                question.method,
                question.url,
                data=data,
                headers={name: value for name, value in sending.items() if value},
                skip_auto_headers=("Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=question.timeout_s),
                allow_redirects=False,
            ) as response:
                raw = await _bounded(response, question.answer_max_bytes)
                names = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status, names, raw, self._elapsed_s() - began_s)
        except TimeoutError as error:
            raise Unreachable(f"{question} was not answered within {question.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, UnicodeError) as error:
            raise Unreachable(f"{question} got no answer: {plain(error)}") from error
        if not quiet:
            self._note("subject", f"{answer.status} {question}", raw, answer.took_s)
        return answer

    async def _open(self, timeout_s: float, **how: Any) -> Stream:
        """Open the WebSocket, on a connection of its own; `how` goes to `ws_connect`.

        Raises:
            NotOpened: It was refused; the message says with which status.
            Unreachable: There was no answer.
        """
        self._note("kit", "open /stream", None)
        async with contextlib.AsyncExitStack() as unless_open:
            session = await unless_open.enter_async_context(self._new_session())
            try:
                async with asyncio.timeout(timeout_s):
                    socket = await session.ws_connect(self.target.url + "/stream", compress=0, **how)
            except aiohttp.WSServerHandshakeError as error:
                raise NotOpened(f"the stream was not opened: status {error.status}") from error
            except TimeoutError as error:
                raise Unreachable(f"the stream was not opened within {timeout_s:g} s") from error
            except (aiohttp.ClientError, OSError, ssl.SSLError) as error:
                raise Unreachable(f"the stream was not opened: {plain(error)}") from error
            unless_open.pop_all()
        stream = Stream(session, socket, self._note, self._elapsed_s)
        self._streams.append(stream)
        return stream

    def _note(self, by: str, what: str, data: bytes | None, took_s: float = 0.0) -> None:
        raw = data or b""
        self._transcript.add(Line(self._elapsed_s(), by, self.name, what, legible(raw), raw, took_s))


async def _bounded(response: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The body, but never more than the kit can bear."""
    found = bytearray()
    async for chunk in response.content.iter_chunked(CHUNK_BYTES):
        found += chunk
        if len(found) > most_bytes:
            response.close()
            raise Failed(f"an answer has more than {most_bytes} bytes, and is not over")
    return bytes(found)
