"""From the meter's word to the storage's ear, through a real hub, beside a bare echo in the same run.

Everything runs in one process on one core: the hub with its arbiter, sockets and mutual TLS, the modules made
with the SDK, and the echo, an aiohttp WebSocket over the same TLS. The load jumps; the time runs from the
meter's sending of its state to the arrival of a lease at a storage. Two frames cross two TLS connections, as
in the echo. The two take turns, each after the same rest, so that what else the machine does meets both.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
from aiohttp import web

from bench.figures import at_most, spread
from bench.homes import EIGHT, FIFTY, FIFTY_ONE_STORAGE, STORAGE_W, Served, Tapped, World, mutual_tls, served
from ores.hub.config import HubConfig
from ores.hub.run import RunningHub, open_hub
from ores.link import clock as clocks
from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Endpoint
from ores.model import ElementCommand, Lease, PairModule, SetpointCommand, ToModule
from ores.module import Module

SAMPLES = 500
REST_S = 0.055
"""Before each measurement; a module tells what is notable at most ten times a second."""
PATIENCE_S = 0.5


def run(samples: int = SAMPLES) -> dict[str, object]:
    """All figures; times in microseconds."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    homes = (
        ("8_modules", EIGHT, 4.0),
        ("50_modules", FIFTY_ONE_STORAGE, 6.0),
        ("50_modules_12_storages", FIFTY, 6.0),
    )
    figures: dict[str, object] = {}
    for name, kinds, goal in homes:
        figures[f"reaction_{name}"] = clocks.run(partial(reaction, kinds, samples, goal), speed=1)
    figures["write_50_leases"] = clocks.run(lambda clock: writing(clock, samples), speed=1)
    return figures


class Stopwatch:
    """Started by the meter's next frame; notes when each storage hears of it."""

    def __init__(self) -> None:
        self.armed = False
        self.begun_s: float | None = None
        self.heard_s: list[float] = []
        self.heard = asyncio.Event()

    def arm(self) -> None:
        """The next frame of the meter carries the jump."""
        self.armed, self.begun_s = True, None
        self.heard_s.clear()
        self.heard.clear()

    def sent(self, _frame: bytes) -> None:
        """The meter sends."""
        if self.armed:
            self.armed, self.begun_s = False, time.perf_counter()

    def received(self, _frame: bytes) -> None:
        """A storage hears."""
        if self.begun_s is not None:
            self.heard_s.append(time.perf_counter() - self.begun_s)
            self.heard.set()


def tap(watch: Stopwatch) -> Callable[[str, Module], Endpoint]:
    """The stopwatch at meter and storages."""

    def nothing(_frame: bytes) -> None:
        return

    def put(kind: str, module: Module) -> Endpoint:
        if kind == "meter":
            return Tapped(module, watch.sent, nothing)
        return Tapped(module, nothing, watch.received) if kind in {"battery", "hybrid"} else module

    return put


async def reaction(kinds: tuple[str, ...], samples: int, goal: float, clock: Clock) -> dict[str, object]:
    """One home; the first storage to hear counts, the last is told beside it."""
    watch, world = Stopwatch(), World()
    first: list[float] = []
    last: list[float] = []
    bare: list[float] = []
    hub: list[float] = []
    async with house(kinds, world, clock, tap(watch)) as (modules, running), echo() as ping:
        running.hub.cycle.decide = timed(running.hub.cycle.decide, hub)  # type: ignore[method-assign]
        meter = next(it.module for it in modules if it.kind == "meter")
        storages = sum(it.kind in {"battery", "hybrid"} for it in modules)
        # Beyond what the storages can do: a smaller jump might be their own answer to the last one, still on
        # its way, and the arbiter would rightly wait for it.
        jump_w = 1.2 * STORAGE_W * storages
        payload = meter.state_frame()
        missed = 0
        for number in range(samples + 20):
            await asyncio.sleep(REST_S)
            begun_s = time.perf_counter()
            await ping(payload)
            bare.append(time.perf_counter() - begun_s)
            await asyncio.sleep(REST_S)
            world.load_w = jump_w * (1 if number % 2 else -1)
            watch.arm()
            meter.changed()
            try:
                await asyncio.wait_for(watch.heard.wait(), PATIENCE_S)
                await asyncio.sleep(0.01)  # the other storages' share
            except TimeoutError:
                missed += 1
                continue
            first.append(watch.heard_s[0])
            last.append(watch.heard_s[min(storages, len(watch.heard_s)) - 1])
    figures: dict[str, object] = {"samples": len(first), "unanswered": missed, "storages": storages}
    figures |= spread("reaction", first[20:]) | spread("reaction_last_storage", last[20:])
    figures |= spread("of_it_decide_and_send", hub[20:]) | spread("floor_echo", bare[20:])
    return figures | at_most(_middle(first[20:]) / _middle(bare[20:]), goal)


def timed(
    work: Callable[[], None], into: list[float], now_s: Callable[[], float] = time.perf_counter
) -> Callable[[], None]:
    """The same work with a stopwatch; the hub has none."""

    def measured() -> None:
        begun_s = now_s()
        work()
        into.append(now_s() - begun_s)

    return measured


async def writing(clock: Clock, rounds: int) -> dict[str, object]:
    """Fifty leases, encoded and handed to fifty sockets, beside as many bare sends of the same bytes."""
    async with house(FIFTY, World(), clock, lambda _k, m: m) as (_, running), AsyncExitStack() as stack:
        links = list(running.hub.federation.links.values())
        commands = [
            {"battery": ElementCommand(setpoint=SetpointCommand(power_w=power_w))}
            for power_w in (500.0, 700.0)
        ]
        boot = "0123456789abcdef"
        lease = Lease(epoch=1, seq=1000, boot_id=boot, uptime_ms=10_000, ttl_s=10.0, elements=commands[0])
        frame = codec.encode(ToModule(lease=lease)).decode()
        sockets = [await stack.enter_async_context(bare_socket()) for _ in links]
        running.hub.cycle.decide = lambda: None  # type: ignore[method-assign]  # only what is written here
        ours: list[float] = []
        floor: list[float] = []
        for number in range(rounds + 20):
            await asyncio.sleep(0.02)
            begun_s = time.perf_counter()
            now_s = clock.now()
            for link in links:
                link.leases.offer(commands[number % 2])
                link.flush_lease(now_s)
            ours.append(time.perf_counter() - begun_s)
            await asyncio.sleep(0.02)
            begun_s = time.perf_counter()
            for socket in sockets:
                await socket.send_str(frame)
            floor.append(time.perf_counter() - begun_s)
        sent = running.hub.federation.counts.sent
    figures: dict[str, object] = {"rounds": rounds, "leases_sent": sent, "lease_bytes": len(frame)}
    figures |= spread("write_50_leases", ours[20:]) | spread("floor_50_bare_sends", floor[20:])
    return figures | at_most(_middle(ours[20:]) / _middle(floor[20:]), 2.0)


@asynccontextmanager
async def house(
    kinds: tuple[str, ...], world: World, clock: Clock, tap_: Callable[[str, Module], Endpoint]
) -> AsyncIterator[tuple[list[Served], RunningHub]]:
    """Modules and a hub that has paired with all of them and heard them all."""
    with tempfile.TemporaryDirectory() as folder:
        config = HubConfig(data=Path(folder) / "hub", port=0, discover=False)
        async with served(kinds, world, clock, tap_) as modules, open_hub(config, clock) as running:
            for it in modules:
                await running.hub.membership.pair(PairModule(address=it.address, code=it.desk.code))
            links = running.hub.federation.links.values()
            while not all(link.state is not None for link in links):
                await asyncio.sleep(0.05)
            await asyncio.sleep(2.0)
            yield modules, running


@asynccontextmanager
async def echo() -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """A bare aiohttp WebSocket echo over mutual TLS; the function sends and waits for the answer."""
    async with bare_socket() as socket:

        async def ping(payload: bytes) -> None:
            await socket.send_str(payload.decode())
            await socket.receive()

        yield ping


@asynccontextmanager
async def bare_socket() -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket to a bare server that sends back what it gets."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
        return socket

    server_tls, client_tls = mutual_tls()
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_tls)
    await site.start()
    port = runner.addresses[0][1]
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(
                f"wss://127.0.0.1:{port}/", ssl=client_tls, server_hostname="bare.ores", compress=0
            ) as socket,
        ):
            yield socket
    finally:
        await runner.cleanup()


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
