"""Point 3, the modules: one that dies, answers late or talks nonsense harms nobody else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.system.houses import Api, control_sources, do, generated, in_lock_step, power_w

from ores.cli.demo.on_sockets import Demo, conductor_address
from ores.link.clock import Clock
from ores.link.desk import PairingDesk, load_or_create_secret
from ores.link.endpoint import Peer, Reply, Stream
from ores.link.identity import load_or_create
from ores.link.pins import Pins
from ores.link.server import serve
from ores.model import PairModule
from ores.module.module import Module
from ores.module.policy import free
from ores.sim.devices import charger
from ores.sim.home import Home
from ores.sim.physics.config import HouseConfig
from ores.sim.sources.household import Household
from ores.sim.world_api import Soc, TurnOn

APART = Path(__file__).with_name("module_apart.py")
LEASED = {"hybrid", "battery", "charger", "gateway"}


async def nobody_else_is_harmed(clock: Clock, demo: Demo, api: Api) -> None:
    """The cycle keeps its second, the others keep their leases, and the oven is still carried."""
    home = demo.home
    before = (await api.live()).cycle
    await clock.sleep(10.0)
    assert (await api.live()).cycle == before + 10
    sources = control_sources(demo.modules)
    assert {sources[name] for name in LEASED} == {"lease"}
    do(home, TurnOn(circuit="oven", power_w=3000.0, duration_s=60.0))
    await clock.sleep(5.0)
    assert abs(power_w(home, "grid")) <= 120.0
    others = {it.identity.id for it in demo.modules.values()}
    live = await api.live()
    assert {live.modules[one].status for one in others} == {"online"}


async def settled(clock: Clock, demo: Demo) -> Api:
    for store in ("ac_battery", "hybrid_battery"):
        do(demo.home, Soc(store=store, soc_pct=50.0))
    await clock.sleep(20.0)
    return Api(clock, demo.hub.url)


async def paired(api: Api, address: str, code: str) -> None:
    status, answer = await api.ask("POST", "/modules", PairModule(address=address, code=code))
    assert status == 201, answer


@asynccontextmanager
async def in_a_process_of_its_own(clock: Clock, demo: Demo, directory: Path) -> AsyncIterator[dict[str, str]]:
    """A second charger that can be killed: its id, address and code."""
    command = [sys.executable, APART, "charger", directory, conductor_address(demo.directory)]
    with clock.hold():
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        await demo.conductor.joined("apart")
        reading = asyncio.create_task(child.stdout.readline())
        await clock.sleep(1.0)
        with clock.hold():
            said = json.loads(await reading)
        yield {"id": said["id"], "address": f"127.0.0.1:{said['port']}", "code": said["code"]}
    finally:
        with clock.hold():
            with suppress(ProcessLookupError):
                child.kill()
            await child.communicate()


def test_a_module_that_is_killed_is_stale_then_gone_and_never_0_w(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        api = await settled(clock, demo)
        async with in_a_process_of_its_own(clock, demo, tmp_path / "apart") as it:
            await paired(api, it["address"], it["code"])
            await clock.sleep(10.0)
            live = await api.live()
            assert live.modules[it["id"]].status == "online"
            assert live.flow.ev_w is not None, "both chargers are known"

            died_at_s = clock.now() + 2.5
            demo.conductor.at(died_at_s, lambda: demo.conductor.kill("apart"))
            await clock.sleep_until(died_at_s + 0.4)
            seen = []
            for _ in range(45):
                live = await api.live()
                module = live.modules[it["id"]]
                seen.append(module.status)
                if module.status != "online":
                    assert module.elements == {}
                    assert live.flow.ev_w is None, "unknown is not 0 W"
                await clock.sleep(1.0)
            assert list(dict.fromkeys(seen)) == ["online", "stale", "gone"]
            assert seen.count("online") <= 3, "three declared periods of a second"
            assert seen.count("stale") <= 30
            await nobody_else_is_harmed(clock, demo, api)
            assert (await demo.summary())["missed_cycles"] == 0

    in_lock_step(generated(start_hour=10.0), tmp_path / "home", story)


class Twisted:
    """A module whose stream says what `twist` makes of it."""

    def __init__(self, module: Module, twist: Callable[[Callable[[bytes], None], bytes], None]) -> None:
        self._module = module
        self._twist = twist
        self.twisting = False

    def request(self, peer: Peer, method: str, path: str, body: bytes) -> Reply:
        return self._module.request(peer, method, path, body)

    def open_stream(self, peer: Peer, send: Callable[[bytes], None]) -> Stream:
        return self._module.open_stream(
            peer, lambda frame: self._twist(send, frame) if self.twisting else send(frame)
        )


@asynccontextmanager
async def neighbour(
    clock: Clock, directory: Path, twist: Callable[[Callable[[bytes], None], bytes], None]
) -> AsyncIterator[tuple[Twisted, str, str, str]]:
    """A second charger on the network: itself, its id, its address and its code."""
    config = HouseConfig()
    home = Home(config, Household(config, 2), clock, only=["charger"])
    home.world.start()
    identity = load_or_create(directory)
    pins = Pins.load(directory / "pins.json")
    desk = PairingDesk(identity, pins, clock, secret=load_or_create_secret(directory / "label"))
    module = Module(
        home.devices["charger"],
        charger.ABOUT,
        module_id=identity.id,
        clock=clock,
        policies={"free": free},
    )
    twisted = Twisted(module, twist)
    server = await serve(twisted, identity, pins, clock=clock, host="127.0.0.1", port=0, desk=desk)
    module.start()
    try:
        yield twisted, identity.id, f"127.0.0.1:{server.port}", desk.code
    finally:
        await server.close()
        module.stop()


NONSENSE = [
    b'{"state": {"boot_id": "abcdef12", "upti',
    b'{"state": {"elements": {"socket": {"ac_measure": {"power_w": "much"}}}}}',
    b'{"state": {"boot_id": "abcdef12", "uptime_ms": 1, "elements": {"socket": {"fault": NaN}}}}',
    b"[" * 4000,
    b"\xff\xfe\x00",
    b"{}",
    b"null",
]


@pytest.mark.parametrize("how", ["answers 5 s late", "talks nonsense"])
def test_a_module_that_is_late_or_talks_nonsense_harms_nobody_else(tmp_path: Path, how: str) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        api = await settled(clock, demo)
        said = iter(NONSENSE * 1000)

        def late(send: Callable[[bytes], None], frame: bytes) -> None:
            clock.call_at(clock.now() + 5.0, lambda: send(frame))

        def nonsense(send: Callable[[bytes], None], frame: bytes) -> None:
            del frame
            send(next(said))

        twist = late if how == "answers 5 s late" else nonsense
        async with neighbour(clock, tmp_path / "neighbour", twist) as (it, module_id, address, code):
            await paired(api, address, code)
            await clock.sleep(5.0)
            assert (await api.live()).modules[module_id].status == "online"
            it.twisting = True
            await clock.sleep(8.0)
            await nobody_else_is_harmed(clock, demo, api)
            live = await api.live()
            if twist is nonsense:
                assert live.modules[module_id].status == "stale"
                assert live.modules[module_id].elements == {}
                codes = {notice.code for notice in live.notices if notice.module == module_id}
                assert "garbled_frame" in codes
            it.twisting = False
            await clock.sleep(8.0)
            assert (await api.live()).modules[module_id].status == "online", "it is heard again"
        assert (await demo.summary())["missed_cycles"] == 0

    in_lock_step(generated(start_hour=10.0), tmp_path / "home", story)
