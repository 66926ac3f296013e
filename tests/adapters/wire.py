"""A peer's registers without a socket, in virtual time; and a device on them as a module with a hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec
from tests.adapters.peer import Peer

from ores.adapters.modbus import Rejected
from ores.adapters.sunspec.device import SunSpecDevice
from ores.adapters.sunspec.found import find
from ores.adapters.sunspec.image import Options
from ores.link import clock as clocks
from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Peer as Hub
from ores.link.errors import TimedOut
from ores.model import ElementCommand, ElementState, FromModule, Lease, Limits, SetpointCommand, ToModule
from ores.module import MemoryStore, Module, Saved

T = TypeVar("T")
ANSWER_S = 2.0
STEP_S = 0.1
HUB = Hub(id="a" * 26, role="controller")
START = datetime(2026, 6, 1, 12, tzinfo=UTC)


class Wire:
    """`Registers` of a peer."""

    def __init__(self, peer: Peer, clock: Clock) -> None:
        self.peer, self.clock = peer, clock
        self.asked_s: list[float] = []

    async def read(self, address: int, count: int) -> list[int]:
        await self._ask(address, count)
        at = address - self.peer.base
        if at < 0 or at + count > len(self.peer.registers):
            raise Rejected(f"read {count} from {address}", 2)
        self.peer.reads.append((address, count))
        return self.peer.registers[at : at + count]

    async def write(self, address: int, values: Sequence[int]) -> None:
        await self._ask(address, len(values))
        at = address - self.peer.base
        self.peer.writes.append((address, list(values)))
        if not self.peer.keeps(address):
            return
        self.peer.registers[at : at + len(values)] = values
        self.peer.on_write()

    def close(self) -> None:
        pass

    async def _ask(self, address: int, count: int) -> None:
        self.asked_s.append(self.clock.now())
        await self.clock.sleep(ANSWER_S if self.peer.silent else 0.01)
        if self.peer.silent:
            raise TimedOut("no answer")
        if (refused := self.peer.refuses(address, count)) is not None:
            raise Rejected(f"{count} from {address}", int(refused))


class House:
    """One adapted device as a module, and a hub's side of it."""

    def __init__(self, device: SunSpecDevice, wire: Wire, clock: Clock, saved: Saved | None = None) -> None:
        self.device, self.wire, self.clock = device, wire, clock
        store = MemoryStore(saved)
        policies = device.policies
        self.module = Module(
            device,
            device.about,
            module_id="m" * 26,
            clock=clock,
            boot_id="00000001",
            store=store,
            policies=policies,
        )
        self.booted_s = clock.now()
        self.frames: list[FromModule] = []
        self.seq = 0

    def start(self) -> None:
        self.module.start()
        self.stream = self.module.open_stream(
            HUB, lambda frame: self.frames.append(codec.decode(FromModule, frame))
        )

    def lease(self, element: str, ttl_s: float = 60.0, power_w: float | None = None, **limits: float) -> str:
        """Give a lease; what became of it."""
        self.seq += 1
        command = ElementCommand(limit=Limits(**limits)) if limits else ElementCommand()
        if power_w is not None:
            command = msgspec.structs.replace(command, setpoint=SetpointCommand(power_w=power_w))
        lease = Lease(
            epoch=1,
            seq=self.seq,
            boot_id="00000001",
            uptime_ms=int((self.clock.now() - self.booted_s) * 1000),
            ttl_s=ttl_s,
            elements={element: command},
        )
        self.stream.receive(msgspec.json.encode(ToModule(lease=lease)))
        return next(one.result.result for one in reversed(self.frames) if one.result is not msgspec.UNSET)

    def state(self, element: str) -> ElementState:
        return self.module.state().elements[element]


def run(main: Callable[[Clock], Coroutine[None, None, T]]) -> T:
    """In virtual time, as fast as it goes."""
    return clocks.run(main, start_utc=START, speed=None)


def with_device(
    peer: Peer,
    story: Callable[[House], Awaitable[None]],
    *,
    step: Callable[[float], None] | None = None,
    options: Options = Options(),  # noqa: B008
    directory: Path | None = None,
    saved: Saved | None = None,
) -> House:
    """Find a device, show it as a module, and tell a story of it."""

    async def main(clock: Clock) -> House:
        wire = Wire(peer, clock)
        device = SunSpecDevice(await find(wire), wire, clock, options=options, directory=directory)
        return await told(House(device, wire, clock, saved), story, step)

    return run(main)


async def told(
    house: House, story: Callable[[House], Awaitable[None]], step: Callable[[float], None] | None
) -> House:
    """Start a device with its module, tell a story of it while its physics goes on, and stop both."""
    clock = house.clock

    def tick() -> None:
        if step is not None:
            step(STEP_S)
        nonlocal timer
        timer = clock.call_at(clock.now() + STEP_S, tick)

    timer = clock.call_at(clock.now() + STEP_S, tick)
    await house.device.start()
    house.start()
    try:
        await story(house)
    finally:
        house.module.stop()
        await house.device.stop()
        timer.cancel()
    return house
