"""Modules whose stream is late, silent, too loud, or gone."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from aiohttp import WSCloseCode, WSMsgType

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import DROP, Seams
from ores.link.endpoint import Peer
from ores.link.frames import FramePipe
from ores.link.server import Server
from ores.module import module, stream
from ores.module.module import Module
from ores.module.stream import ModuleStream

PONG_S = 2.7
BURST_S = 0.02
_encoder = msgspec.json.Encoder()


@broken("stream-begins-with-state")
def begins_with_the_next_period(seams: Seams) -> None:
    """Whoever listens hears when it is time."""
    right = Module.open_stream

    def patient(self: Module, peer: Peer, send: Any) -> ModuleStream:
        first: list[bytes] = []

        def after_the_first(frame: bytes) -> None:
            if first:
                send(frame)
            first.append(frame)

        return right(self, peer, after_the_first)

    seams.attribute(Module, "open_stream", patient)


@broken("stream-begins-with-state", variant="greeting")
def begins_with_a_greeting(seams: Seams) -> None:
    """It is polite."""
    right = Module.open_stream

    def polite(self: Module, peer: Peer, send: Any) -> ModuleStream:
        send(b'{"x-example.com":{"hello":"hub"}}')
        return right(self, peer, send)

    seams.attribute(Module, "open_stream", polite)


@broken("stream-period")
def leaves_out_two_periods_of_three(seams: Seams) -> None:
    """It declares 1 s, and takes 3."""
    right = Module._tick  # noqa: SLF001 - the mutation's place
    ticks: list[bool] = []

    def lazy(self: Module) -> None:
        ticks.append(True)
        push = self.push
        if len(ticks) % 3:
            self.push = lambda: None  # type: ignore[method-assign]
        try:
            right(self)
        finally:
            self.push = push  # type: ignore[method-assign]

    seams.attribute(Module, "_tick", lazy)


@broken("stream-notable-change")
def tells_changes_with_the_next_period(seams: Seams) -> None:
    """A state is sent each second; nobody can want more."""
    seams.attribute(Module, "_is_notable", lambda _: False)


@broken("stream-rate")
def tells_each_state_twice_and_thrice(seams: Seams) -> None:
    """Whatever moves is news, and nothing bounds it."""
    seams.attribute(module, "PUSHES_MAX", 10_000)
    seams.attribute(module, "PUSH_MIN_S", 0.0)


@broken("stream-result-each")
def answers_the_last_of_a_burst(seams: Seams) -> None:
    """What was overtaken need not be answered."""
    _in_bursts(seams, lambda answers: answers[-1:])


@broken("stream-result-each", variant="order")
def answers_a_burst_backwards(seams: Seams) -> None:
    """The newest is the most important."""
    _in_bursts(seams, lambda answers: answers[::-1])


def _in_bursts(seams: Seams, change: Any) -> None:
    """Answer what came within a moment together, after a change of the answers."""
    waiting: dict[int, list[bytes]] = {}

    def flush(self: ModuleStream) -> None:
        for answer in change(waiting.pop(id(self))):
            self.send(answer)

    def receive(self: ModuleStream, frame: bytes) -> None:
        if id(self) not in waiting:
            asyncio.get_running_loop().call_later(BURST_S, flush, self)
        waiting.setdefault(id(self), []).append(_encoder.encode(self._answer(frame)))

    seams.attribute(ModuleStream, "receive", receive)


@broken("stream-bad-frame", variant="silent")
def overlooks_what_it_cannot_read(seams: Seams) -> None:
    """What is not JSON is no message, and what is no message needs no answer."""

    def frame(found: Any) -> Any:
        problem = found.get("problem") or {}
        return DROP if "hello" in str(problem.get("found", "")) else found

    seams.frames.append(frame)


@broken("stream-bad-frame", variant="ends")
def hangs_up_on_nonsense(seams: Seams) -> None:
    """Whoever sends what is no object is mad."""
    right = ModuleStream.receive

    def curt(self: ModuleStream, frame: bytes) -> None:
        if not frame.startswith(b"{"):
            raise ValueError("no object")
        right(self, frame)

    seams.attribute(ModuleStream, "receive", curt)


@broken("stream-bad-frame", variant="result")
def refuses_what_is_no_lease_like_a_lease(seams: Seams) -> None:
    """A frame without a boot gets a result."""

    def frame(found: Any) -> Any:
        problem = found.get("problem") or {}
        if not str(problem.get("field", "")).endswith("boot_id"):
            return found
        return {"result": {"epoch": 0, "seq": 0, "result": "refused", "code": "lease_other_boot"}}

    seams.frames.append(frame)


@broken("stream-large-frame")
def hangs_up_on_large_frames(seams: Seams) -> None:
    """It ends the stream, with a status that says nothing."""
    right = FramePipe._take  # noqa: SLF001

    def full(self: FramePipe, frame: bytes) -> None:
        if len(frame) > stream.MESSAGE_MAX_BYTES:
            task = asyncio.get_running_loop().create_task(self.close("no room", WSCloseCode.GOING_AWAY))
            task.add_done_callback(lambda _: None)
            return
        right(self, frame)

    seams.attribute(FramePipe, "_take", full)


@broken("stream-pong")
def takes_pings_for_noise(seams: Seams) -> None:
    """Its WebSocket library leaves them to it, and it does not know."""
    right = FramePipe._write  # noqa: SLF001

    def deaf(self: FramePipe, data: bytes, kind: WSMsgType) -> None:
        if kind is not WSMsgType.PONG:
            right(self, data, kind)

    seams.attribute(FramePipe, "_write", deaf)


@broken("stream-pong", variant="late")
def answers_pings_when_it_has_time(seams: Seams) -> None:
    """It has more important things to do."""
    right = FramePipe._write  # noqa: SLF001

    def late(self: FramePipe, data: bytes, kind: WSMsgType) -> None:
        if kind is WSMsgType.PONG:
            asyncio.get_running_loop().call_later(PONG_S, right, self, data, kind)
        else:
            right(self, data, kind)

    seams.attribute(FramePipe, "_write", late)


@broken("stream-newer-replaces")
def is_full_when_it_is_full(seams: Seams) -> None:
    """All places are taken, by the very one who asks."""

    def make_room(self: Server, _: Peer) -> bool:
        return len(self._streams) < self._limits.sessions_max

    seams.attribute(Server, "_make_room", make_room)


@broken("lease-outlives-stream", also=("lease-controller-only",))
def lets_go_when_the_stream_ends(seams: Seams) -> None:
    """Who is gone commands no more."""
    right = ModuleStream.closed

    def closed(self: ModuleStream) -> None:
        right(self)
        owner = self._module
        if isinstance(owner, Module) and owner.control.expire(float("inf")):
            owner.redecide()

    seams.attribute(ModuleStream, "closed", closed)
