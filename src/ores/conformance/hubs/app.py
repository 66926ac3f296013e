"""Somebody who asks the hub: whoever stands at its machine, a person with a session, an app with a token."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import aiohttp

from ores.conformance.check import Failed
from ores.conformance.transcript import Transcript
from ores.conformance.wire import ijson
from ores.conformance.wire.caller import MISSING, Answer, Caller, Question
from ores.conformance.wire.stream import Stream
from ores.conformance.wire.target import Target, context

ANSWER_S: Final = 10.0
ANSWER_MAX_BYTES: Final = 8_388_608
COOKIE: Final = "ores_session"
PAGE: Final = "page "
"""In the transcript before what is no resource."""


def blind_tls() -> ssl.SSLContext:
    """TLS that leaves it to the kit whom to trust; browsers may still speak 1.2."""
    return context(lowest=ssl.TLSVersion.TLSv1_2)


class App(Caller):
    """One caller.

    Args:
        name: For the transcript.
        target: The hub.
        transcript: Where all is written down.
        elapsed_s: Seconds since the beginning of the judgement.
        token: Sent as `Authorization: Bearer`.
        cookie: Of a session.
        source: The address of this machine from which to ask; empty leaves it to the machine.
    """

    def __init__(
        self,
        name: str,
        target: Target,
        transcript: Transcript,
        elapsed_s: Callable[[], float],
        *,
        token: str = "",
        cookie: str = "",
        source: str = "",
    ) -> None:
        super().__init__(name, target, transcript, elapsed_s)
        self.token, self.cookie, self._source = token, cookie, source

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
            Failed: The answer is larger than the kit can bear.
        """
        url = (self.target.root if root else self.target.url) + path
        shown = PAGE + path if root else path
        sending = {**self.headers, **(headers or {})}
        question = Question(method, url, shown, body, sending, timeout_s, ANSWER_MAX_BYTES)
        return await self._ask(question, quiet=quiet)

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
            NotOpened: It was refused; the message says with which status.
            Unreachable: There was no answer.
        """
        sending = {**self.headers, **(headers or {})}
        return await self._open(ANSWER_S, headers=sending, max_msg_size=ANSWER_MAX_BYTES)

    def _note(self, by: str, what: str, data: bytes | None, took_s: float = 0.0) -> None:
        super()._note(by, "hub frame" if what == "frame" else what, data, took_s)

    def _new_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            ssl=blind_tls(), limit=8, local_addr=(self._source, 0) if self._source else None
        )
        return aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
        )
