"""One party as which the kit talks to a module: stranger, controller, or somebody unknown."""

from __future__ import annotations

import contextlib
import socket as sockets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp

from ores.conformance.transcript import Transcript
from ores.conformance.wire.caller import MISSING, Answer, Caller, Question
from ores.conformance.wire.identity import Identity
from ores.conformance.wire.stream import Stream
from ores.conformance.wire.target import Target, context

ANSWER_S: Final = 6.0
BODY_MAX: Final = 262_144  # four times what any message may have: enough to see that it is too much


class Peer(Caller):
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
        super().__init__(name, target, transcript, elapsed_s)
        self.identity: Final = identity
        self.tls: Final = context(identity_file)
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
            headers: In addition; one with an empty value is left out.
            timeout_s: For all of it.
            raw_path: `path` begins at the root.

        Raises:
            Unreachable: No answer in time, or the connection ended.
            Failed: The answer is larger than any may be.
        """
        url = (self.target.root if raw_path else self.target.url) + path
        return await self._ask(Question(method, url, path, body, headers, timeout_s, BODY_MAX))

    async def open_stream(self, *, timeout_s: float = ANSWER_S) -> Stream:
        """Open the WebSocket.

        Raises:
            NotOpened: It was refused; the message says with which status.
            Unreachable: There was no answer.
        """
        return await self._open(timeout_s, max_msg_size=BODY_MAX, autoping=False)

    def cut(self) -> None:
        """End what is still open below: TLS would wait half a minute for the goodbye of who hangs."""
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(sockets.SHUT_RDWR)
        self._sockets.clear()

    def _new_session(self) -> aiohttp.ClientSession:
        """One connection, kept alive: a module need serve only two (HTTP-010)."""

        def kept(address: aiohttp.AddrInfoType) -> sockets.socket:
            family, kind, protocol, _, _ = address
            made = sockets.socket(family, kind, protocol)
            self._sockets.append(made)
            return made

        connector = aiohttp.TCPConnector(ssl=self.tls, limit=1, socket_factory=kept)
        return aiohttp.ClientSession(connector=connector, auto_decompress=False)
