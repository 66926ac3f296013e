"""Simulated devices as a hub meets them: released, restarted, and in danger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from ores.link import client, codec
from ores.link.clock import Clock, RealClock, run
from ores.link.errors import OresError
from ores.link.identity import new_identity
from ores.model import Description, Request, RequestResult, State
from ores.module.lease_size import LEASE_MAX_BYTES, largest_lease_bytes
from ores.module.run import Running
from ores.sim.home import KINDS, Home, in_memory, on_sockets
from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.sources.household import Household
from ores.sim.world_api import Danger, Reset, act

HOST = "127.0.0.1"


def home(clock: Clock, *only: str) -> Home:
    config = HouseConfig()
    return Home(config, Household(config), clock, only=only or None)


@asynccontextmanager
async def served(name: str, directory: Path) -> AsyncIterator[tuple[Home, Running]]:
    house = home(RealClock(), name)
    async with on_sockets(house, directory) as modules:
        yield house, modules[name]


async def met(it: Running, port: int, identity: object, pin: object) -> client.LinkSession:
    """Connect as soon as it is there."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await client.connect(HOST, port, identity, pin, RealClock())  # type: ignore[arg-type]
            except OresError:
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", KINDS)
async def test_every_simulated_device_restarts_when_its_hub_asks(name: str, tmp_path: Path) -> None:
    async with served(name, tmp_path) as (_, it):
        hub, port = new_identity(), it.server.port
        pin = await client.pair(HOST, port, hub, it.desk.code, RealClock(), name="Hub")
        session = await client.connect(HOST, port, hub, pin, RealClock())
        page = codec.decode(Description, (await session.request("GET", "/description")).body)
        assert page.requests == ["restart"]
        before = codec.decode(State, (await session.request("GET", "/state")).body).boot_id
        body = msgspec.json.encode(Request(request="restart"))
        reply = codec.decode(RequestResult, (await session.request("POST", "/requests", body)).body)
        assert reply.result == "accepted"
        await session.close()
        async with asyncio.timeout(10):
            while it.restarts == 0 or it.module.state().boot_id == before:
                await asyncio.sleep(0.02)
        again = await met(it, port, hub, pin)
        assert codec.decode(State, (await again.request("GET", "/state")).body).boot_id != before
        assert (await client.release(again)).open is True
        await again.close()


def test_every_simulated_device_can_be_commanded_in_one_frame() -> None:
    async def main(clock: Clock) -> None:
        sizes = {name: largest_lease_bytes(home(clock, name).devices[name].elements) for name in KINDS}
        assert max(sizes.values()) <= LEASE_MAX_BYTES // 2, sizes

    run(main)


def test_smoke_at_the_battery_ends_its_power_until_somebody_has_looked() -> None:
    async def main(clock: Clock) -> None:
        house = home(clock)
        battery = next(module for module in in_memory(house).values() if "battery" in module.control.parts
                       and module.control.parts["battery"].hazards is not None)  # fmt: skip
        await clock.sleep(5.0)
        act(house.world, Danger(device="battery", hazard="smoke"))
        await clock.sleep(1.0)
        state = battery.state()
        assert state.control_source == "protection"
        assert set(state.elements["battery"].hazard.hazards) == {"smoke"}
        act(house.world, Reset(device="battery"))
        await clock.sleep(1.0)
        assert set(battery.state().elements["battery"].hazard.hazards) == {"smoke"}, "it still burns"
        act(house.world, Danger(device="battery", hazard="smoke", active=False))
        await clock.sleep(60.0)
        assert battery.state().control_source == "protection"
        assert abs(battery.state().elements["battery"].ac_measure.power_w) < 50.0
        act(house.world, Reset(device="battery"))
        assert battery.state().control_source == "policy"
        assert battery.state().elements["battery"].hazard.hazards == {}
        for wrong, named in (
            (Danger(device="charger", hazard="smoke"), "device"),
            (Danger(device="battery", hazard="meteor"), "hazard"),
            (Reset(device="roof"), "device"),
        ):
            with pytest.raises(ScenarioError, match=f"{named}: found"):
                act(house.world, wrong)

    run(main)
