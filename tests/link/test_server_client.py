"""The link over real sockets: what it carries, and what it refuses without harm."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import closing

import pytest
from tests.link.echo import HOST, Ears, Echo, house
from tests.link.loops import LOOPS

from ores.link.client import connect
from ores.link.clock import Clock, RealClock, run
from ores.link.endpoint import Peer, Reply
from ores.link.errors import ConfigError, Disconnected, Forbidden, InvalidMessage, TimedOut, Unavailable
from ores.link.identity import new_identity
from ores.link.limits import Limits
from ores.link.pins import Pins, pin
from ores.link.server import serve
from ores.link.tls import client_context

LOOPS = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())


def code(reply: Reply) -> tuple[int, str]:
    said = json.loads(reply.body)
    assert said["status"] == reply.status
    return reply.status, said["code"]


@LOOPS
def test_two_paired_sides_talk(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            session = await home.connect()
            assert await session.request("PUT", "/lease?x=1", b"{}") == Reply(200, b"PUT /lease?x=1 {}")
            ears = Ears()
            send = await session.open_stream(ears.on_frame, ears.on_closed)
            for n in range(100):
                send(b'{"n":%d}' % n)
            assert [await ears.next() for _ in range(100)] == [b'{"n":%d}' % n for n in range(100)]
            assert home.echo.peers == [Peer(home.hub.id, "controller")] * 2
            await session.close()
            assert ears.reasons == ["closed by this side"]
            await asyncio.wait_for(home.echo.closed.wait(), 5)
            send(b"too late")  # silent after the end

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_a_key_that_is_not_pinned_is_told_so(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            with pytest.raises(Forbidden, match="pair with it first") as refused:
                await home.connect(new_identity())
            assert refused.value.code == "not_pinned"
            assert home.echo.peers == []

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_another_key_than_the_pinned_one_is_refused_before_anything_is_said(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            home.module_pin = pin(new_identity().certificate, "module")
            with pytest.raises(Forbidden, match="pinned is") as refused:
                await home.connect()
            assert refused.value.code == "wrong_key"
            assert home.echo.peers == []

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_a_consumer_that_does_not_read_is_dropped(loop) -> None:
    async def scene() -> None:
        async with house(Limits(heartbeat_s=None)) as home:
            session = await home.connect(limits=Limits(heartbeat_s=None))
            ears = Ears()
            await session.open_stream(ears.on_frame, ears.on_closed)
            (pipe,) = session._pipes
            pipe._transport.pause_reading()
            sent = 0
            while not home.echo.closed.is_set():
                home.echo.sends[0](bytes(50_000))
                sent += 50_000
                assert sent < 50_000_000  # the kernel's buffers and ours are long full
                await asyncio.sleep(0)
            assert home.server.sessions == []
            other = await home.connect()
            assert (await other.request("GET", "/state")).status == 200
            await other.close()
            await session.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_ten_megabytes_of_json_are_refused_by_size(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            session = await home.connect()
            assert code(await session.request("PUT", "/lease", b"[" + b"1," * 5_000_000 + b"1]")) == (
                413,
                "too_large",
            )
            assert (await session.request("GET", "/state")).status == 200
            assert [peer.role for peer in home.echo.peers] == ["controller"]
            await session.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


async def test_a_stranger_reads_the_description_and_nothing_else() -> None:
    async with house() as home:
        stranger = home.stranger()
        assert (await stranger.request("GET", "/description")).status == 200
        assert home.echo.peers == [Peer("", "stranger")]
        assert code(await stranger.request("GET", "/state")) == (403, "forbidden")
        assert code(await stranger.request("PUT", "/lease", b"{}")) == (403, "forbidden")
        with pytest.raises(Forbidden):
            await stranger.open_stream(lambda _: None, lambda _: None)
        assert home.echo.peers == [Peer("", "stranger")]
        await stranger.close()


async def test_a_pin_counts_from_the_moment_it_is_added() -> None:
    async with house() as home:
        late = new_identity()
        with pytest.raises(Forbidden):
            await home.connect(late)
        home.pins.add(pin(late.certificate, "observer"))
        session = await home.connect(late)
        await session.request("GET", "/state")
        assert home.echo.peers == [Peer(late.id, "observer")]
        await session.close()


async def test_a_pin_that_is_removed_closes_what_it_opened() -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        await session.open_stream(ears.on_frame, ears.on_closed)
        await session.request("GET", "/state")
        home.pins.remove(home.hub.id)
        assert await ears.end() == "the connection was lost"
        await asyncio.wait_for(home.echo.closed.wait(), 5)
        with pytest.raises(Forbidden):
            await session.request("GET", "/state")
        await session.close()


async def test_an_oversized_frame_ends_the_stream_with_a_reason() -> None:
    async with house() as home:
        session, ears = await home.connect(limits=Limits(frame_max_bytes=20_000_000)), Ears()
        send = await session.open_stream(ears.on_frame, ears.on_closed)
        send(bytes(65_536))
        assert len(await ears.next()) == 65_536
        send(bytes(10_000_000))
        assert "1009" in await ears.end()
        assert (await session.request("GET", "/state")).status == 200
        await session.close()


async def test_this_side_sends_no_oversized_frame() -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        send = await session.open_stream(ears.on_frame, ears.on_closed)
        with pytest.raises(InvalidMessage, match="65537 bytes"):
            send(bytes(65_537))
        send(b"fine")
        assert await ears.next() == b"fine"
        await session.close()


async def test_garbled_frames_arrive_as_they_are() -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        send = await session.open_stream(ears.on_frame, ears.on_closed)
        for frame in (b"\xff\xfe{", b"", b"\x00" * 7):
            send(frame)
            assert await ears.next() == frame
        await session.close()


async def test_a_handler_that_fails_costs_its_own_stream_only(caplog) -> None:
    async with house(Limits(sessions_max=3)) as home:
        session, first, second = await home.connect(), Ears(), Ears()
        one = await session.open_stream(first.on_frame, first.on_closed)
        two = await session.open_stream(second.on_frame, second.on_closed)
        one(b"break")
        await first.end()
        two(b"still here")
        assert await second.next() == b"still here"
        assert code(await session.request("GET", "/broken")) == (500, "internal")
        assert (await session.request("GET", "/state")).status == 200
        await session.close()
    assert "failed" in caplog.text


async def test_every_refusal_is_a_problem_without_a_banner() -> None:
    async with house() as home:
        end = b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answers = {
            b"GET /" + end: "not_found",
            b"GET /ores/v2/state" + end: "not_found",
            b"OPTIONS /ores/v1/state" + end: "forbidden",
            b"GET /ores/v1/pairing/start" + end: "method_not_allowed",
            b"TRACE /ores/v1/pairing" + end: "method_not_allowed",
            b"no http at all\r\n\r\n": "bad_request",
            b"GET / HTTP/1.1\r\nA: " + b"x" * 20_000 + b"\r\n\r\n": "bad_request",
            b"GET / HTTP/1.1\r\n" + b"A: x\r\n" * 200 + b"\r\n": "bad_request",
            b"PUT /ores/v1/lease HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n": "too_large",
        }
        for data, expected in answers.items():
            head, _, body = (await home.raw(data)).partition(b"\r\n\r\n")
            assert json.loads(body)["code"] == expected, data[:60]
            assert b"application/problem+json" in head
            assert b"server:" not in head.lower()
            assert b"python" not in head.lower()
            assert (b"\r\nAllow: " in head) == (expected == "method_not_allowed")
        plain = await home.raw(
            b"GET /ores/v1/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", who=home.hub
        )
        assert b"426" in plain.splitlines()[0]
        assert b"upgrade_required" in plain


async def test_a_third_peer_finds_no_room_and_a_returning_one_takes_its_own() -> None:
    async with house() as home:
        peers = [home.hub, new_identity(), new_identity()]
        for peer in peers[1:]:
            home.pins.add(pin(peer.certificate, "observer"))
        sessions, ears = [await home.connect(peer) for peer in peers], [Ears() for _ in range(4)]
        await sessions[0].open_stream(ears[0].on_frame, ears[0].on_closed)
        await sessions[1].open_stream(ears[1].on_frame, ears[1].on_closed)
        with pytest.raises(Unavailable, match="opens no stream"):
            await sessions[2].open_stream(ears[2].on_frame, ears[2].on_closed)
        send = await sessions[0].open_stream(ears[3].on_frame, ears[3].on_closed)
        assert await ears[0].end() == "the connection was lost"
        send(b"back")
        assert await ears[3].next() == b"back"
        assert not ears[1].reasons
        for session in sessions:
            await session.close()


async def test_strangers_fill_no_more_than_half_of_the_house() -> None:
    async with house(Limits(connections_max=4)) as home:
        strangers = [home.stranger() for _ in range(2)]
        for stranger in strangers:
            await stranger.request("GET", "/pairing")
        strangers.append(home.stranger())
        with pytest.raises(Disconnected):
            await strangers[-1].request("GET", "/pairing")
        session = await home.connect()
        await session.close()
        for stranger in strangers:
            await stranger.close()


async def test_a_peer_that_answers_no_ping_is_dropped() -> None:
    async with house(Limits(heartbeat_s=0.05)) as home:
        session, ears = await home.connect(limits=Limits(heartbeat_s=None)), Ears()
        await session.open_stream(ears.on_frame, ears.on_closed)
        await asyncio.sleep(0.4)
        assert not home.echo.closed.is_set()  # it does answer pings
        (pipe,) = session._pipes
        pipe._transport.pause_reading()
        await asyncio.wait_for(home.echo.closed.wait(), 5)
        await session.close()


async def test_a_body_that_dribbles_loses_its_connection() -> None:
    async with house(Limits(request_s=0.2)) as home:
        assert await home.raw(b"PUT /ores/v1/lease HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{") == b""


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with house(Limits(idle_s=0.2)) as home:
        assert await home.raw(b"") == b""


async def test_the_end_of_the_server_has_a_reason() -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        await session.open_stream(ears.on_frame, ears.on_closed)
        await home.server.close()
        assert "the server stops" in await ears.end()
        with pytest.raises(Disconnected):
            await session.request("GET", "/state")
        await session.close()
        with pytest.raises(Disconnected, match="closed"):
            await session.request("GET", "/state")


async def test_who_does_not_answer_times_out() -> None:
    with closing(socket.create_server((HOST, 0))) as silent, pytest.raises(TimedOut):
        await connect(
            HOST,
            silent.getsockname()[1],
            new_identity(),
            pin(new_identity().certificate, "module"),
            RealClock(),
            limits=Limits(connect_s=0.2),
        )


async def test_a_busy_port_is_named() -> None:
    async with house() as home:
        with pytest.raises(ConfigError, match=rf"port: found '{home.server.port}, in use"):
            await serve(Echo(), new_identity(), Pins(), clock=home.clock, host=HOST, port=home.server.port)
        with pytest.raises(ConfigError, match="host and port"):
            await serve(Echo(), new_identity(), Pins(), clock=home.clock, host="192.0.2.1")
        with pytest.raises(ConfigError, match="0 to 65535"):
            await serve(Echo(), new_identity(), Pins(), clock=home.clock, host=HOST, port=70_000)


def test_in_lock_step_nothing_is_in_flight_when_time_moves() -> None:
    heard: list[tuple[float, bytes]] = []

    async def scene(clock: Clock) -> None:
        module, hub = new_identity(), new_identity()
        pins = Pins([pin(hub.certificate, "controller")])
        server = await serve(Echo(), module, pins, clock=clock, host=HOST)
        session = await connect(HOST, server.port, hub, pin(module.certificate, "module"), clock)
        send = await session.open_stream(lambda frame: heard.append((clock.now(), frame)), lambda _: None)
        for n in range(50):
            send(b"%d" % n)
            await clock.sleep(10)
            await session.request("GET", "/state")
        await session.close()
        await server.close()

    run(scene)
    assert heard == [(10.0 * n, b"%d" % n) for n in range(50)]


async def test_a_stream_that_cannot_be_opened_ends_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    async with house() as home:
        session, ears = await home.connect(), Ears()
        monkeypatch.setattr(home.echo, "open_stream", None)
        await session.open_stream(ears.on_frame, ears.on_closed)
        assert "an internal error" in await ears.end()
        assert home.server.sessions == []
        await session.close()


def test_a_port_that_is_picked_is_one_port_on_every_address() -> None:
    async def scene() -> None:
        identity = new_identity()
        server = await serve(Echo(), identity, Pins(), clock=RealClock())
        try:
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                if family == socket.AF_INET6 and not socket.has_dualstack_ipv6():
                    continue
                with closing(socket.socket(family)) as knock:
                    knock.connect((address, server.port))
        finally:
            await server.close()

    asyncio.run(scene())


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_defect(caplog) -> None:
    async with house() as home:
        _, writer = await asyncio.open_connection(
            HOST, home.server.port, ssl=client_context(home.hub, None), server_hostname="any.ores"
        )
        writer.write(b"PUT /ores/v1/policy HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        writer.write(b"Content-Length: 100\r\n\r\n{")
        await writer.drain()
        await asyncio.sleep(0.1)
        writer.transport.abort()
        await asyncio.sleep(0.2)
    assert caplog.text == ""
