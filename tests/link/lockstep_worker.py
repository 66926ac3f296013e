"""A process that takes part in lock-step and exchanges real TCP frames; test_lockstep runs it.

Usage: lockstep_worker.py ADDRESS NAME PORT CHANNELS SECONDS SHAKE
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Callable

from ores.link.clock import Clock
from ores.link.lockstep import run_joined


class Wire(asyncio.Protocol):
    """One counted stream of lines. The first line names the channel and is answered, uncounted."""

    def __init__(
        self, clock: Clock, on_frame: Callable[[Wire, bytes], None], channel: str | None = None
    ) -> None:
        self.clock = clock
        self.on_frame = on_frame
        self.channel = channel
        self.asked = channel is not None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.closed_at_s: float | None = None
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self.channel is not None:
            transport.write(self.channel.encode() + b"\n")

    def data_received(self, data: bytes) -> None:
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        for line in lines:
            if self.channel is None:
                self.channel = line.decode()
                self.transport.write(b"ok\n")
                self.ready.set_result(None)
            elif not self.ready.done():
                self.ready.set_result(None)
            else:
                self.clock.deliver(self.channel, lambda frame: self.on_frame(self, frame), line)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.channel is not None:
            self.clock.close_channel(self.channel, self._closed)

    def _closed(self) -> None:
        self.closed_at_s = self.clock.now()

    def send(self, frame: bytes) -> None:
        assert self.channel is not None
        self.clock.count_sent(self.channel)
        self.transport.write(frame + b"\n")


async def main(clock: Clock, port: int, channels: int, seconds: int, shake: bool) -> None:
    late: list[float] = []
    order: list[str] = []
    luck = random.Random()  # not seeded on purpose: the wall's jitter must not matter

    def on_frame(wire: Wire, frame: bytes) -> None:
        late.append(clock.now() - float(frame))
        order.append(f"{wire.channel}@{clock.now()}")

    loop = asyncio.get_running_loop()
    wires: list[Wire] = []
    with clock.hold():
        for index in range(channels):
            channel = clock.new_channel(f"w{index}")
            _, wire = await loop.create_connection(
                lambda c=channel: Wire(clock, on_frame, c), "127.0.0.1", port
            )
            await wire.ready
            wires.append(wire)

    async def speak(wire: Wire) -> None:
        for _ in range(seconds):
            await clock.sleep(1)
            if shake:
                time.sleep(luck.random() * 0.002)
            wire.send(repr(clock.now()).encode())

    await asyncio.gather(*map(speak, wires))
    await clock.sleep(1)
    print(
        json.dumps(
            {"now_s": clock.now(), "late_max_s": max(late, default=0.0), "heard": len(late), "order": order}
        )
    )
    for wire in wires:
        wire.transport.close()
    await clock.sleep(1)


if __name__ == "__main__":
    address, name, port, channels, seconds, shake = sys.argv[1:]
    run_joined(
        lambda clock: main(clock, int(port), int(channels), int(seconds), shake == "shake"),
        join=address,
        name=name,
    )
