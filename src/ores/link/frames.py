"""One open WebSocket, as both sides hold it: frames in, frames out, and an end with a reason.

Three things would hurt a peer, and are met here: one that does not read (its backlog is bounded, then it is
dropped), one that is dead (it does not answer pings), and one that sends what it must not (size and kind are
checked by their frame header, before anything is stored).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web
from aiohttp.http_websocket import WSMessageTextBytes

from ores.link.clock import Clock
from ores.link.errors import InvalidMessage

WebSocket = aiohttp.ClientWebSocketResponse[bool] | web.WebSocketResponse[bool]

_log = logging.getLogger(__name__)


class FramePipe:
    """Carries frames between a WebSocket and two callbacks.

    Args:
        socket: Open, with text left as bytes and pings left to us.
        transport: Below it.
        clock: Counts the frames and hands them over in turn.
        channel: The same name at both ends, used for this connection only.
        frame_max_bytes: Of one frame, both ways.
        backlog_max_bytes: What may wait for a peer that does not read.
        heartbeat_s: Transport time between pings to a silent peer; it is dropped after two of them. None for
            none.
    """

    def __init__(
        self,
        socket: WebSocket,
        transport: asyncio.WriteTransport,
        clock: Clock,
        channel: str,
        *,
        frame_max_bytes: int,
        backlog_max_bytes: int,
        heartbeat_s: float | None,
    ) -> None:
        self._socket: Final = socket
        self._transport: Final = transport
        self._clock: Final = clock
        self._channel: Final = channel
        self._frame_max_bytes: Final = frame_max_bytes
        self._backlog_max_bytes: Final = backlog_max_bytes
        self._heartbeat_s: Final = heartbeat_s
        self._reason: str | None = None
        self._dropped = False
        self._silent_beats = 0
        self._beat: asyncio.TimerHandle | None = None
        self._on_frame: Callable[[bytes], None] = lambda _: None

    def send(self, frame: bytes) -> None:
        """Send one frame now, without waiting; silent after the end.

        Raises:
            InvalidMessage: The frame is larger than the peer takes.
        """
        if self._reason is not None:
            return
        if len(frame) > self._frame_max_bytes:
            raise InvalidMessage(
                f"a frame of {len(frame)} bytes; the peer takes {self._frame_max_bytes}", code="too_large"
            )
        self._clock.count_sent(self._channel)
        self._write(frame, WSMsgType.TEXT)

    async def run(self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]) -> None:
        """Read until the end; then say why, after all frames that arrived before."""
        self._on_frame = on_frame
        self._schedule_beat()
        receive, deliver, channel, take = self._socket.receive, self._clock.deliver, self._channel, self._take
        try:
            while True:
                message = await receive()
                self._silent_beats = 0
                if message.type is WSMsgType.TEXT:
                    deliver(channel, take, message.data)
                elif message.type is WSMsgType.PING:
                    self._write(message.data, WSMsgType.PONG)
                elif message.type is not WSMsgType.PONG:
                    self._end(_reason_of(message))
                    if message.type is WSMsgType.BINARY:
                        await self._socket.close(
                            code=WSCloseCode.UNSUPPORTED_DATA, message=b"text frames only"
                        )
                    break
        finally:
            self._end("the connection was dropped")
            reason = self._reason or ""
            self._clock.close_channel(channel, lambda: on_closed(reason))

    async def close(self, reason: str, code: int = WSCloseCode.OK) -> None:
        """End it from this side, politely."""
        self._end(reason)
        await self._socket.close(code=code, message=reason.encode()[:120])

    def drop(self, reason: str) -> None:
        """End it from this side at once; frames that have arrived and not been handed over never are."""
        self._dropped = True
        if self._end(reason):
            _log.info("stream %s dropped: %s", self._channel, reason)
        self._transport.abort()

    def _take(self, frame: bytes) -> None:
        if self._dropped:
            return
        try:
            self._on_frame(frame)
        except Exception:  # noqa: BLE001  whatever a handler does wrong ends this stream, not the process
            _log.exception("the handler of stream %s failed", self._channel)
            self.drop("an internal error of this side")

    def _write(self, data: bytes, kind: WSMsgType) -> None:
        # aiohttp's sending waits only where its transport is full, after it has written. Taking that one step
        # here spares a task per frame; what the transport holds is bounded below.
        step = self._socket.send_frame(data, kind)
        try:
            step.send(None)
        except StopIteration:
            pass
        except (ConnectionError, RuntimeError):
            self.drop("the connection was lost")
            return
        else:
            step.close()
        if self._transport.get_write_buffer_size() > self._backlog_max_bytes:
            self.drop("the peer does not read")

    def _schedule_beat(self) -> None:
        if self._heartbeat_s is not None and self._reason is None:
            self._beat = asyncio.get_running_loop().call_later(self._heartbeat_s, self._on_beat)

    def _on_beat(self) -> None:
        # Beats are counted, not seconds: a process that was itself asleep for long does not blame its peer.
        self._silent_beats += 1
        if self._silent_beats > 2:
            self.drop("the peer does not answer")
            return
        self._write(b"", WSMsgType.PING)
        self._schedule_beat()

    def _end(self, reason: str) -> bool:
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        if self._reason is not None:
            return False
        self._reason = reason
        return True


def _reason_of(message: aiohttp.WSMessage | WSMessageTextBytes) -> str:
    """Why a stream ended, in words."""
    match message.type:
        case WSMsgType.CLOSE:
            said = f": {message.extra}" if message.extra else ""
            return f"closed by the peer ({message.data}{said})"
        case WSMsgType.ERROR:
            return f"the peer broke the protocol: {message.data}"
        case WSMsgType.BINARY:
            return "the peer sent a binary frame"
        case _:
            return "the connection was lost"
