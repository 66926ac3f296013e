"""A module takes few guests; whoever crowds it must not keep its own hub out, or anybody for ever."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from tests.link.echo import HOST, Ears, house
from tests.link.loops import LOOPS

from ores.link.identity import Identity, new_identity
from ores.link.limits import Limits
from ores.link.pins import pin
from ores.link.tls import client_context

LOOPS = pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS.keys())


async def silent(
    port: int, who: Identity | None = None, said: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A TLS connection that says nothing, or too little."""
    context: ssl.SSLContext = client_context(who, None)
    reader, writer = await asyncio.open_connection(HOST, port, ssl=context, server_hostname="any.ores")
    writer.write(said)
    return reader, writer


async def ended(reader: asyncio.StreamReader, within_s: float) -> bool:
    try:
        await asyncio.wait_for(reader.read(), within_s)
    except TimeoutError:
        return False
    except (ConnectionError, ssl.SSLError):
        pass
    return True


@LOOPS
@pytest.mark.parametrize("said", [b"", b"GET /ores/v1/pairing HTTP/1.1\r\nHost: a\r\n"], ids=["mute", "half"])
def test_whoever_connects_and_asks_nothing_makes_room_again(loop, said: bytes) -> None:
    async def scene() -> None:
        async with house(Limits(connections_max=4, idle_s=0.3, request_s=0.3)) as home:
            crowd = [await silent(home.server.port, said=said) for _ in range(2)]
            assert all(await asyncio.gather(*(ended(reader, 3.0) for reader, _ in crowd)))
            await asyncio.sleep(0.1)
            stranger = home.stranger()
            assert (await stranger.request("GET", "/pairing")).status == 200
            await stranger.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_observers_never_keep_the_controller_out(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            watcher = new_identity()
            home.pins.add(pin(watcher.certificate, "observer", "watcher"))
            watching = await home.connect(watcher)
            ears = [Ears(), Ears()]
            for ear in ears:
                await watching.open_stream(ear.on_frame, ear.on_closed)
            hub = await home.connect()
            send = await hub.open_stream(Ears().on_frame, lambda _reason: None)
            send(b"heard")
            async with asyncio.timeout(3):
                while home.echo.received != [b"heard"]:
                    await asyncio.sleep(0.01)
            assert {peer.role for peer in home.server.sessions} == {"controller", "observer"}
            assert sorted(len(ear.reasons) for ear in ears) == [0, 1]
            await watching.close()
            await hub.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_connections_of_observers_never_keep_the_controller_out(loop) -> None:
    async def scene() -> None:
        async with house(Limits(connections_max=4)) as home:
            watcher = new_identity()
            home.pins.add(pin(watcher.certificate, "observer", "watcher"))
            crowd = [await silent(home.server.port, watcher) for _ in range(6)]
            await asyncio.sleep(0.1)
            hub = await home.connect()
            assert (await hub.request("GET", "/x")).status == 200
            await hub.close()
            for _, writer in crowd:
                writer.transport.abort()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_what_was_still_in_the_pipe_of_a_dropped_peer_is_not_obeyed(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            hub = await home.connect()
            ears = Ears()
            send = await hub.open_stream(ears.on_frame, ears.on_closed)

            def forget(frame: bytes) -> None:
                home.echo.received.append(frame)
                home.pins.remove(home.hub.id)

            home.echo.sends.clear()
            (pipe,) = home.server._streams
            pipe._on_frame = forget
            for n in range(50):
                send(b"%d" % n)
            await ears.end()
            await asyncio.sleep(0.05)
            assert home.echo.received == [b"0"]
            await hub.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())


@LOOPS
def test_a_session_that_ends_leaves_no_connection_behind(loop) -> None:
    async def scene() -> None:
        async with house() as home:
            for _ in range(3):
                session = await home.connect()
                await session.request("GET", "/echo")
                await session.close()
            await asyncio.sleep(0.1)
            assert not home.server._web._inside

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(scene())
