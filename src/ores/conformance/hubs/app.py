"""Somebody who asks the hub: whoever stands at its machine, a person with a session, an app with a token."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from ores.conformance.check import Failed, Unreachable
from ores.conformance.transcript import Line, Transcript
from ores.conformance.wire import ijson
from ores.conformance.wire.peer import MISSING, Answer, Stream
from ores.conformance.wire.target import BASE_PATH, BadTarget

ANSWER_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 8_388_608
COOKIE: Final = "ores_session"


@dataclass(frozen=True, slots=True)
class Where:
    """Where a hub is.

    Attributes:
        scheme: `http` on its own machine, else `https`.
        host: Name or address.
        port: TCP.
    """

    scheme: str
    host: str
    port: int

    @property
    def url(self) -> str:
        """Of its root."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def where_of(address: str) -> Where:
    """Read an address as people type it.

    Raises:
        BadTarget: It is none.
    """
    try:
        parts = urlsplit(address if "//" in address else f"https://{address}")
    except ValueError as error:
        raise BadTarget(f"an address is http://HOST:PORT or https://HOST:PORT; found {address!r}") from error
    try:
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"the port of {address!r} is no number from 1 to 65535") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise BadTarget(f"an address is http://HOST:PORT or https://HOST:PORT; found {address!r}")
    return Where(parts.scheme, parts.hostname, port or (443 if parts.scheme == "https" else 80))


def blind_tls() -> ssl.SSLContext:
    """TLS that leaves it to the kit whom to trust."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


class App:
    """One caller.

    Args:
        name: For the transcript.
        where: The hub.
        transcript: Where all is written down.
        elapsed_s: Seconds since the beginning of the judgement.
        token: Sent as `Authorization: Bearer`.
        cookie: Of a session.
        source: The address of this machine from which to ask; empty leaves it to the machine.
    """

    def __init__(
        self,
        name: str,
        where: Where,
        transcript: Transcript,
        elapsed_s: Callable[[], float],
        *,
        token: str = "",
        cookie: str = "",
        source: str = "",
    ) -> None:
        self.name: Final = name
        self.where: Final = where
        self.token, self.cookie, self._source = token, cookie, source
        self._transcript: Final = transcript
        self._elapsed_s: Final = elapsed_s
        self._http: aiohttp.ClientSession | None = None
        self._streams: Final[list[Stream]] = []

    @property
    def headers(self) -> dict[str, str]:
        """By which the hub knows the caller."""
        found = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return {**found, "Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else found

    async def request(
        self,
        method: str,
        path: str,
        body: Any = MISSING,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = ANSWER_S,
        root: bool = False,
        quiet: bool = False,
    ) -> Answer:
        """Ask, and write question and answer down.

        Args:
            method: Of HTTP.
            path: Below `/ores/v1`; `root` takes it from the root.
            body: Sent as JSON; bytes are sent as they are.
            headers: In addition; one with an empty value is left out.
            timeout_s: For all of it.
            root: `path` begins at the root.
            quiet: Leave it out of the transcript: asked again and again until something is so.

        Raises:
            Unreachable: No answer in time, or the connection ended.
        """
        data = None if body is MISSING else body if isinstance(body, bytes) else json.dumps(body).encode()
        sending = {**({"Content-Type": "application/json"} if data is not None else {}), **self.headers}
        sending |= headers or {}
        sending = {name: value for name, value in sending.items() if value}
        if not quiet:
            self._note("kit", f"{method} {path}", data)
        began_s = self._elapsed_s()
        try:
            async with self._session().request(
                method,
                self.where.url + ("" if root else BASE_PATH) + path,
                data=data,
                headers=sending,
                skip_auto_headers=("Content-Type", "User-Agent"),
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                raw = await response.content.read(ANSWER_MAX_BYTES)
                while more := await response.content.read(65_536):
                    raw += more
                    if len(raw) > ANSWER_MAX_BYTES:
                        raise Failed(f"{method} {path} was answered with more than {ANSWER_MAX_BYTES} bytes")
                names = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status, names, raw, self._elapsed_s() - began_s)
        except TimeoutError as error:
            raise Unreachable(f"{method} {path} was not answered within {timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ssl.SSLError, UnicodeError) as error:
            raise Unreachable(f"{method} {path} got no answer: {str(error)[:160]}") from error
        if not quiet:
            shown = "GET /page" if root else f"{method} {path}"
            self._note("subject", f"{answer.status} {shown}", raw, answer.took_s)
        return answer

    async def get(self, path: str, *, quiet: bool = False) -> Any:
        """What a resource holds.

        Raises:
            Failed: Not answered with 200.
        """
        answer = await self.request("GET", path, quiet=quiet)
        if answer.status != 200:
            raise Failed(f"GET {path} was answered with {answer.status} {answer.code}; 200 is demanded")
        return ijson.lenient(answer.raw) if quiet else answer.json

    async def open_stream(self, *, headers: Mapping[str, str] | None = None) -> Stream:
        """Open the WebSocket.

        Raises:
            Unreachable: It was not opened; the message says with which status.
        """
        self._note("kit", "open /stream", None)
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=blind_tls(), limit=1), cookie_jar=aiohttp.DummyCookieJar()
        )
        url = self.where.url + BASE_PATH + "/stream"
        try:
            async with asyncio.timeout(ANSWER_S):
                socket = await session.ws_connect(
                    url,
                    headers={**self.headers, **(headers or {})},
                    max_msg_size=ANSWER_MAX_BYTES,
                    compress=0,
                )
        except aiohttp.WSServerHandshakeError as error:
            await session.close()
            raise Unreachable(f"the stream was not opened: status {error.status}") from error
        except (TimeoutError, aiohttp.ClientError, OSError, ssl.SSLError) as error:
            await session.close()
            raise Unreachable(f"the stream was not opened: {str(error)[:160]}") from error
        stream = Stream(session, socket, self._note_frame, self._elapsed_s)
        self._streams.append(stream)
        return stream

    async def close(self) -> None:
        """End its connections."""
        for stream in self._streams:
            await stream.close()
        self._streams.clear()
        if self._http is not None:
            await self._http.close()
            self._http = None

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    ssl=blind_tls(), limit=8, local_addr=(self._source, 0) if self._source else None
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
            )
        return self._http

    def _note_frame(self, by: str, _what: str, data: bytes | None, took_s: float = 0.0) -> None:
        self._note(by, "hub frame", data, took_s)

    def _note(self, by: str, what: str, data: bytes | None, took_s: float = 0.0) -> None:
        raw = data or b""
        body: Any = None
        if raw:
            try:
                body = json.loads(raw)
            except (ValueError, RecursionError):
                body = raw[:2000].decode("utf-8", "replace")
        self._transcript.add(Line(self._elapsed_s(), by, self.name, what, body, raw, took_s))
