"""The link without a socket behaves as the one with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from ores.link.clock import Clock, run
from ores.link.endpoint import Peer, Reply, Session, Stream
from ores.link.errors import Disconnected
from ores.link.memory import connect

START = datetime(2026, 6, 1, tzinfo=UTC)
HUB = Peer("hub-1", "controller")


class Echo:
    """Says its name at once, repeats each frame, and remembers what it saw."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        self.seen.append((peer.id, method, path))
        return Reply(200, body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        send(b"hello " + peer.id.encode())
        return EchoStream(self.seen, send)


class EchoStream:
    def __init__(self, seen: list[object], send: Callable[[bytes], None]) -> None:
        self.seen = seen
        self.send = send

    def receive(self, frame: bytes) -> None:
        self.seen.append(frame)
        self.send(frame)

    def closed(self) -> None:
        self.seen.append("closed")


def replay(main: Callable[[Clock], object]) -> None:
    run(main, start_utc=START)  # type: ignore[arg-type]


@pytest.mark.parametrize("delay_s", [0.0, 0.25])
@pytest.mark.parametrize("channel", [None, "hub-echo"])
def test_frames_arrive_in_order_after_the_delay_and_not_before(delay_s: float, channel: str | None) -> None:
    async def main(clock: Clock) -> None:
        heard: list[tuple[float, bytes]] = []
        session: Session = connect(Echo(), HUB, clock, channel=channel, delay_s=delay_s)
        send = await session.open_stream(lambda frame: heard.append((clock.now(), frame)), heard.append)
        assert heard == []
        start_s = clock.now()
        send(b"1")
        send(b"2")
        await clock.sleep(3)
        there_and_back_s = start_s + 2 * delay_s
        assert heard == [
            (start_s + delay_s, b"hello hub-1"),
            (there_and_back_s, b"1"),
            (there_and_back_s, b"2"),
        ]

    replay(main)


def test_neither_side_is_entered_while_it_sends() -> None:
    async def main(clock: Clock) -> None:
        depth = 0
        deepest = 0
        rounds = 0

        def on_frame(frame: bytes) -> None:
            nonlocal depth, deepest, rounds
            depth += 1
            deepest = max(deepest, depth)
            rounds += 1
            if rounds < 1000:
                send(frame)
            depth -= 1

        send = await connect(Echo(), HUB, clock).open_stream(on_frame, lambda _: None)
        await clock.sleep(1)
        assert (deepest, rounds) == (1, 1000)

    replay(main)


def test_a_request_is_answered_with_the_peer_that_asked() -> None:
    async def main(clock: Clock) -> None:
        echo = Echo()
        session = connect(echo, HUB, clock, delay_s=0.1)
        assert await session.request("GET", "/ores/v1/state", b"{}") == Reply(200, b"{}")
        assert echo.seen == [("hub-1", "GET", "/ores/v1/state")]
        assert clock.now() == pytest.approx(0.2)

    replay(main)


def test_after_the_close_nothing_comes_or_goes_and_both_sides_hear_of_it_once() -> None:
    async def main(clock: Clock) -> None:
        echo = Echo()
        heard: list[bytes] = []
        reasons: list[str] = []
        session = connect(echo, HUB, clock)
        send = await session.open_stream(heard.append, reasons.append)
        await clock.sleep(1)
        send(b"under way")
        await session.close()
        await session.close()
        send(b"too late")
        await clock.sleep(1)
        assert (heard, reasons, echo.seen) == ([b"hello hub-1"], ["closed by this side"], ["closed"])
        with pytest.raises(Disconnected):
            await session.request("GET", "/ores/v1/state")
        with pytest.raises(Disconnected):
            await session.open_stream(heard.append, reasons.append)

    replay(main)


def test_who_asks_a_module_that_dies_meanwhile_is_told() -> None:
    async def main(clock: Clock) -> None:
        reasons: list[str] = []
        session = connect(Echo(), HUB, clock, delay_s=1.0)
        await session.open_stream(lambda _: None, reasons.append)
        clock.call_at(clock.now() + 0.5, lambda: session.cut("killed"))
        with pytest.raises(Disconnected, match="killed"):
            await session.request("GET", "/ores/v1/state")
        await asyncio.sleep(0)
        assert reasons == ["killed"]

    replay(main)


def test_a_negative_delay_is_refused() -> None:
    async def main(clock: Clock) -> None:
        with pytest.raises(ValueError, match="delay_s"):
            connect(Echo(), HUB, clock, delay_s=-1)

    replay(main)
