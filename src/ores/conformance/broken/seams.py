"""Where a mutation takes hold of a module: at its endpoint, or at an attribute of the SDK.

At the endpoint all that goes out and comes in is JSON: an answer, a frame, a request, a command. A mutant
whose defect cannot be seen there (TLS, time, what is kept) replaces one attribute of the SDK.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from ores.conformance.broken.mutant import Patches
from ores.link.endpoint import Endpoint, Peer, Reply, Stream

Json = Any


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it reached the endpoint; `body` is None where it is no JSON."""

    peer: Peer
    method: str
    path: str
    body: Json


AnswerChange = Callable[[Asked, int, Json], tuple[int, Json] | None]
FrameChange = Callable[[Json], Json]
CommandChange = Callable[[Json], Json]
DROP = object()


@dataclass(slots=True)
class Seams(Patches):
    """What a mutation may change; every list is applied in order.

    Attributes:
        answers: `(asked, status, body) -> (status, body)`, or None to leave it.
        frames: A frame that goes out, as JSON; returns it changed, or `DROP`.
        commands: A frame or a lease body that comes in, as JSON; returns it changed.
        requests: What is asked, before anybody answers it; returns it changed.
        elements: Changes the elements of the device before the module is made of them.
        about: Changes keyword arguments of `running`.
    """

    answers: list[AnswerChange] = field(default_factory=list)
    frames: list[FrameChange] = field(default_factory=list)
    commands: list[CommandChange] = field(default_factory=list)
    requests: list[Callable[[Asked], Asked]] = field(default_factory=list)
    devices: list[Callable[[Any], None]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)

    def on_state(self, change: Callable[[Json], Json]) -> None:
        """Change every state, on the stream and by `GET /state` alike."""

        def frame(found: Json) -> Json:
            if "state" in found:
                state = change(found["state"])
                return DROP if state is DROP else {**found, "state": state}
            return found

        def answer(asked: Asked, status: int, body: Json) -> tuple[int, Json] | None:
            if status == 200 and asked.path == "/state":
                return status, change(body)
            return None

        self.frames.append(frame)
        self.answers.append(answer)

    def on_result(self, change: Callable[[Json], Json]) -> None:
        """Change every lease result, on the stream and by `PUT /lease` alike."""

        def frame(found: Json) -> Json:
            return {**found, "result": change(found["result"])} if "result" in found else found

        def answer(asked: Asked, status: int, body: Json) -> tuple[int, Json] | None:
            return (status, change(body)) if status == 200 and asked.path == "/lease" else None

        self.frames.append(frame)
        self.answers.append(answer)

    def on_description(self, change: Callable[[Json], Json]) -> None:
        """Change every page of the description."""

        def answer(asked: Asked, status: int, body: Json) -> tuple[int, Json] | None:
            if status == 200 and asked.path.split("?")[0] == "/description":
                return status, change(body)
            return None

        self.answers.append(answer)

    def changed(self, asked: Asked, reply: Reply) -> Reply:
        """An answer as the mutation has it."""
        if not self.answers:
            return reply
        status, body = reply.status, _read(reply.body)
        for change in self.answers:
            status, body = change(asked, status, body) or (status, body)
        if isinstance(body, bytes):
            return Reply(status, body, reply.allow)
        if (status, body) == (reply.status, _read(reply.body)):
            return reply
        return Reply(status, msgspec.json.encode(body), reply.allow)


@dataclass(slots=True)
class Tampered:
    """An endpoint whose messages pass through the seams."""

    inner: Endpoint
    seams: Seams

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        """Answer, changed."""
        asked = Asked(peer, method, path, _read(body))
        for change in self.seams.requests:
            asked = change(asked)
        sent = body
        if asked.path == "/lease" and isinstance(asked.body, dict):
            for alter in self.seams.commands:
                asked = replace(asked, body=alter({"lease": asked.body})["lease"])
        if asked.body is not None:
            sent = msgspec.json.encode(asked.body) if asked.body != _read(body) else body
        reply = self.inner.request(asked.peer, asked.method, asked.path, sent)
        return self.seams.changed(Asked(peer, method, path, asked.body), reply)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        """Open, with frames changed both ways."""

        def tampered_send(frame: bytes) -> None:
            if not self.seams.frames:
                send(frame)
                return
            found = msgspec.json.decode(frame)
            for change in self.seams.frames:
                found = change(found)
                if found is DROP:
                    return
            send(found if isinstance(found, bytes) else msgspec.json.encode(found))

        return _TamperedStream(self.inner.open_stream(peer, tampered_send), self.seams)


@dataclass(slots=True)
class _TamperedStream:
    inner: Stream
    seams: Seams

    def receive(self, frame: bytes) -> None:
        """Take a frame, changed where it is a command."""
        found = _read(frame)
        if self.seams.commands and isinstance(found, dict) and "lease" in found:
            before = _read(frame)
            for change in self.seams.commands:
                found = change(found)
            if found != before:  # what is left alone goes on as it came, doubled keys and all
                frame = msgspec.json.encode(found)
        self.inner.receive(frame)

    def closed(self) -> None:
        """Pass on the end."""
        self.inner.closed()


def _read(body: bytes) -> Json:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
