"""The hub and its modules with real sockets and mutual TLS between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from tests.hub.hubhouse import Battery, Meter, World
from tests.hub.test_api import API, get, problem

from ores.hub.config import HubConfig
from ores.hub.run import RunningHub, open_hub
from ores.link.clock import Clock, RealClock
from ores.link.desk import PairingDesk
from ores.link.discovery import LOOPBACK, announce
from ores.link.identity import Identity, new_identity
from ores.link.pins import Pins
from ores.link.server import Server, serve
from ores.module import About, Module


class OnTheNetwork:
    """A module behind its own socket."""

    def __init__(self, device: Battery | Meter, name: str, clock: Clock) -> None:
        self.identity: Identity = new_identity()
        self.pins = Pins()
        self.clock = clock
        about = About(name=name, maker="Test", model=name, serial="1")
        self.module = Module(device, about, module_id=self.identity.id, clock=clock)
        self.desk = PairingDesk(self.identity, self.pins, clock, secret=bytes(range(16)))
        self.server: Server | None = None

    @property
    def id(self) -> str:
        return self.identity.id

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        self.module.start()
        self.server = await serve(
            self.module, self.identity, self.pins, clock=self.clock, host="127.0.0.1", desk=self.desk
        )
        try:
            yield self.server.port
        finally:
            await self.server.close()
            self.module.stop()


async def until(met: object, clock: Clock, deadline_s: float = 15.0) -> None:
    end_s = clock.now() + deadline_s
    while not met():  # type: ignore[operator]
        assert clock.now() < end_s, "not within the deadline"
        await clock.sleep(0.05)


def test_modules_are_found_paired_and_controlled_and_met_again_after_a_restart(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        world = World()
        battery = OnTheNetwork(Battery(world), "battery", clock)
        meter = OnTheNetwork(Meter(world), "meter", clock)
        config = HubConfig(data=tmp_path, port=0, interfaces=LOOPBACK)
        async with battery.serving() as port, meter.serving() as meter_port, AsyncExitStack() as stack:
            beacon = await announce(battery.identity, port, name="battery", interfaces=LOOPBACK)
            stack.push_async_callback(beacon.close)
            async with open_hub(config, clock) as running, aiohttp.ClientSession(running.url) as http:
                hub = running.hub
                await until(lambda: battery.id in hub.membership.found, clock)
                found = (await get(http, f"{API}/modules"))["modules"]
                # others on this network may announce themselves too
                assert (battery.id, "found", False) in [(m["id"], m["status"], m["paired"]) for m in found]
                await _pair(http, {"code": battery.desk.code, "id": battery.id})
                await _pair(http, {"code": meter.desk.code, "address": f"127.0.0.1:{meter_port}"})
                await until(lambda: _steady(running, world), clock)
                sent_epoch = hub.federation.epoch
            await beacon.close()
            async with open_hub(config, clock) as running:
                world.load_w = 1200.0
                await until(lambda: _steady(running, world), clock, 10.0)
                assert running.hub.federation.epoch > sent_epoch
                assert await running.hub.membership.forget(battery.id)
                assert battery.id not in running.hub.federation.links

    asyncio.run(main(RealClock()))


def test_a_module_that_is_removed_is_released_where_it_can_be_reached(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        battery = OnTheNetwork(Battery(World()), "battery", clock)
        config = HubConfig(data=tmp_path, port=0, discover=False)
        async with open_hub(config, clock) as running, aiohttp.ClientSession(running.url) as http:
            async with battery.serving() as port:
                body = {"code": battery.desk.code, "address": f"127.0.0.1:{port}"}
                await _pair(http, body)
                await until(lambda: battery.server and battery.server.sessions, clock)
                async with http.delete(f"{API}/modules/{battery.id}") as response:
                    assert (response.status, await response.json()) == (200, {"released": True})
                assert len(battery.pins) == 0
                assert await get(http, f"{API}/modules") == {"modules": []}
                await _pair(http, body)
                await until(lambda: battery.server and battery.server.sessions, clock)
            async with http.delete(f"{API}/modules/{battery.id}") as response:
                told = await response.json()
                assert (response.status, told["released"]) == (200, False)
                assert "127.0.0.1" in told["detail"]
            assert len(battery.pins) == 1, "it was away, and knows nothing of it"
            async with http.delete(f"{API}/modules/{battery.id}") as response:
                await problem(response, 404, "not_found")

    asyncio.run(main(RealClock()))


def test_a_wrong_code_is_refused_and_then_the_module_locks(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        battery = OnTheNetwork(Battery(World()), "battery", clock)
        wrong = PairingDesk(new_identity(), Pins(), clock, secret=bytes(16)).code
        config = HubConfig(data=tmp_path, port=0, discover=False)
        async with (
            battery.serving() as port,
            open_hub(config, clock) as running,
            aiohttp.ClientSession(running.url) as http,
        ):
            body = {"code": wrong, "address": f"127.0.0.1:{port}"}
            for _ in range(5):
                async with http.post(f"{API}/modules", json=body) as response:
                    await problem(response, 403, "pairing_wrong_code")
            async with http.post(f"{API}/modules", json=body) as response:
                await problem(response, 429, "pairing_locked")
            assert (await get(http, f"{API}/modules"))["modules"] == []

    asyncio.run(main(RealClock()))


@pytest.mark.parametrize("garbage", [b"", b"not json", b'{"epoch": '])
def test_garbage_in_the_history_file_starts_a_new_one(tmp_path: Path, garbage: bytes) -> None:
    (tmp_path / "history.sqlite").write_bytes(garbage * 3000)

    async def main(clock: Clock) -> None:
        async with open_hub(HubConfig(data=tmp_path, port=None, discover=False), clock) as running:
            await clock.sleep(0.1)
            codes = [notice.code for notice in running.hub.notices.active()]
            assert codes == (["history_set_aside"] if garbage else [])

    asyncio.run(main(RealClock()))


async def _pair(http: aiohttp.ClientSession, body: dict) -> None:
    async with http.post(f"{API}/modules", json=body) as response:
        assert response.status == 201, await response.text()


def _steady(running: RunningHub, world: World) -> bool:
    return abs(world.grid_w) < 20 and running.hub.federation.counts.applied > 0
