"""Several processes, real sockets, one time."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.link.lockstep_worker import Wire

from ores.link.clock import Clock, RealClock, run
from ores.link.errors import ConfigError, TimedOut
from ores.link.lockstep import Conductor, run_joined

START = datetime(2026, 6, 1, tzinfo=UTC)
WORKER = Path(__file__).with_name("lockstep_worker.py")


class World:
    """The conducting process, a TCP server that answers each frame, and children."""

    def __init__(
        self, clock: Clock, conductor: Conductor, address: str, port: int, wires: list[Wire]
    ) -> None:
        self.clock = clock
        self.conductor = conductor
        self.address = address
        self.port = port
        self.wires = wires
        self.late: list[float] = []
        self.order: list[str] = []
        self.children: list[subprocess.Popen[bytes]] = []

    async def spawn(
        self, name: str, *, channels: int = 2, seconds: int = 50, shake: bool = False
    ) -> subprocess.Popen[bytes]:
        words = [
            self.address,
            name,
            str(self.port),
            str(channels),
            str(seconds),
            "shake" if shake else "calm",
        ]
        child = subprocess.Popen([sys.executable, str(WORKER), *words], stdout=subprocess.PIPE)
        self.children.append(child)
        await self.conductor.joined(name)
        return child


def conduct(
    tmp_path: Path, scene: Callable[[World], Coroutine[Any, Any, None]], *, speed: float | None = None
) -> World:
    worlds: list[World] = []

    async def main(clock: Clock) -> None:
        address = str(tmp_path / f"time-{random.randrange(10**9)}.sock")
        conductor = await Conductor.start(clock, address, speed=speed)
        wires: list[Wire] = []

        def on_frame(wire: Wire, frame: bytes) -> None:
            world.late.append(clock.now() - float(frame))
            world.order.append(f"{wire.channel}@{clock.now()}")
            wire.send(repr(clock.now()).encode())

        def accept() -> Wire:
            wires.append(Wire(clock, on_frame))
            return wires[-1]

        server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", 0)
        world = World(clock, conductor, address, server.sockets[0].getsockname()[1], wires)
        worlds.append(world)
        try:
            await scene(world)
        finally:
            server.close()
            await conductor.close()
            for child in world.children:
                child.kill()
                child.wait()
                if child.stdout is not None:
                    child.stdout.close()

    run(main, start_utc=START)
    return worlds[0]


def said(child: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert child.stdout is not None
    answer: dict[str, Any] = json.loads(child.stdout.readline())
    return answer


def two_shaken_processes(tmp_path: Path) -> tuple[list[str], list[str], list[str]]:
    answers: list[dict[str, Any]] = []

    async def scene(world: World) -> None:
        one = await world.spawn("one", channels=4, seconds=30, shake=True)
        two = await world.spawn("two", channels=4, seconds=30, shake=True)
        await world.clock.sleep(31.5)
        answers.extend((said(one), said(two)))

    world = conduct(tmp_path, scene)
    assert len(world.late) == 8 * 30
    assert max(world.late) == min(world.late) == 0
    assert [(a["heard"], a["late_max_s"]) for a in answers] == [(120, 0), (120, 0)]
    return world.order, answers[0]["order"], answers[1]["order"]


def test_no_message_arrives_late_and_the_order_is_the_same_run_after_run(tmp_path: Path) -> None:
    assert two_shaken_processes(tmp_path) == two_shaken_processes(tmp_path)


def test_time_moves_on_without_a_killed_participant_and_its_death_is_seen_when_it_happened(
    tmp_path: Path,
) -> None:
    async def scene(world: World) -> None:
        await world.spawn("victim")
        other = await world.spawn("other")
        world.conductor.at(10.0, lambda: world.conductor.kill("victim"))
        await world.clock.sleep(52.5)
        assert said(other)["heard"] == 100
        assert world.conductor.pace().participants == ("conductor",)
        assert [w.closed_at_s for w in world.wires[:2]] == [10.0, 10.0]
        of_victim = [entry for entry in world.order if "#1." in entry]
        assert of_victim[-1].endswith("@9.0")
        assert len(of_victim) == 18

    assert max(conduct(tmp_path, scene).late) == 0


def test_a_participant_that_is_killed_from_outside_leaves_too(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        child = await world.spawn("victim", seconds=10**6)
        await world.clock.sleep(5)
        child.kill()
        while len(world.conductor.pace().participants) > 1:
            await world.clock.sleep(1)
        await world.clock.sleep(100)

    assert max(conduct(tmp_path, scene).late) == 0


def test_the_same_name_may_come_back_after_its_death(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.spawn("hub", seconds=100)
        world.conductor.at(5.0, lambda: world.conductor.kill("hub"))
        await world.clock.sleep(6)
        again = await world.spawn("hub", seconds=20)
        await world.clock.sleep(22)
        assert said(again)["heard"] == 40

    assert max(conduct(tmp_path, scene).late) == 0


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.spawn("hub")
        second = subprocess.Popen(
            [sys.executable, str(WORKER), world.address, "hub", str(world.port), "1", "1", "calm"],
            stderr=subprocess.PIPE,
        )
        world.children.append(second)
        with world.clock.hold():
            _, complaint = await asyncio.get_running_loop().run_in_executor(None, second.communicate)
        assert b"the name hub is taken" in complaint

    conduct(tmp_path, scene)


def test_who_holds_the_clock_keeps_everybodys_time_still(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.spawn("other", seconds=100)
        await world.clock.sleep(5.5)
        before_s = world.clock.now()
        with world.clock.hold():
            await asyncio.sleep(0.2)
            assert world.clock.now() == before_s
            assert world.order[-1].endswith("@5.0")
        await world.clock.sleep(5)
        assert world.order[-1].endswith("@10.0")

    conduct(tmp_path, scene)


def test_a_pause_stops_time_and_resume_goes_on(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.spawn("other", seconds=100)
        await world.clock.sleep(5)
        world.conductor.pause()
        asyncio.get_running_loop().call_later(0.3, world.conductor.resume)
        begin_wall_s = time.monotonic()
        await world.clock.sleep(1)
        assert time.monotonic() - begin_wall_s >= 0.29
        assert world.clock.now() == 6.0

    conduct(tmp_path, scene)


def test_speed_is_a_ceiling_and_the_pace_says_what_was_achieved(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        await world.spawn("other", seconds=1000)
        begin_wall_s = time.monotonic()
        world.conductor.set_speed(100)
        await world.clock.sleep(50)
        wall_s = time.monotonic() - begin_wall_s
        assert wall_s >= 0.45
        pace = world.conductor.pace()
        assert pace.ceiling == 100
        assert 0 < pace.achieved <= 110

    conduct(tmp_path, scene)


def test_plans_happen_before_anything_of_their_time(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        events: list[str] = []
        world.clock.call_at(7.0, lambda: events.append("wake-up at 7"))
        world.conductor.at(7.0, lambda: events.append("plan for 7"))
        world.conductor.at(
            7.0, lambda: events.append(f"second plan for 7, carried out at {world.clock.now()}")
        )
        world.conductor.at(3.5, lambda: events.append(f"plan for 3.5, carried out at {world.clock.now()}"))
        await world.clock.sleep(8)
        assert events == [
            "plan for 3.5, carried out at 0.0",
            "plan for 7",
            "second plan for 7, carried out at 3.5",
            "wake-up at 7",
        ]

    conduct(tmp_path, scene)


def test_who_loses_the_conductor_is_told(tmp_path: Path) -> None:
    async def scene(world: World) -> None:
        child = subprocess.Popen(
            [sys.executable, str(WORKER), world.address, "left", str(world.port), "1", "1000", "calm"],
            stderr=subprocess.PIPE,
        )
        await world.conductor.joined("left")
        await world.clock.sleep(3)
        await world.conductor.close()
        with world.clock.hold():
            _, complaint = await asyncio.get_running_loop().run_in_executor(None, child.communicate)
        assert b"Disconnected: the conductor is gone" in complaint

    conduct(tmp_path, scene)


def test_rubbish_on_the_conductors_socket_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(world: World) -> None:
        await world.spawn("other", seconds=20)
        for rubbish in (
            b"GET / HTTP/1.1\r\n\r\n",
            b'{"type":"idle"}\n',
            b"[" * 5000 + b"\n",
            b"x" * 2_000_000,
        ):
            with world.clock.hold():
                reader, writer = await asyncio.open_unix_connection(world.address)
                writer.write(rubbish)
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()
        await world.clock.sleep(10.5)
        assert world.order[-1].endswith("@10.0")

    conduct(tmp_path, scene)
    assert "unreadable" in caplog.text


def test_a_loopback_port_serves_as_well_as_a_path(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        conductor = await Conductor.start(clock, "127.0.0.1:0")
        server = await asyncio.get_running_loop().create_server(
            lambda: Wire(clock, Wire.send), "127.0.0.1", 0
        )
        words = [
            f"127.0.0.1:{conductor.port}",
            "one",
            str(server.sockets[0].getsockname()[1]),
            "1",
            "5",
            "calm",
        ]
        child = subprocess.Popen([sys.executable, str(WORKER), *words], stdout=subprocess.PIPE)
        await conductor.joined("one")
        await clock.sleep(6.5)
        assert said(child)["heard"] == 5
        server.close()
        await conductor.close()
        child.kill()
        child.communicate()

    run(main, start_utc=START)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:4000", "example.org:80", "4000", "127.0.0.1:x", "127.0.0.1:70000"]
)
def test_an_address_that_others_could_reach_is_refused(address: str) -> None:
    async def nothing(clock: Clock) -> None: ...

    with pytest.raises(ConfigError, match="lock-step address"):
        run_joined(nothing, join=address, name="x")


def test_at_speed_one_nobody_conducts(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        assert isinstance(clock, RealClock)
        with pytest.raises(ConfigError, match="speed"):
            await Conductor.start(clock, str(tmp_path / "x.sock"))

    run(main, speed=1)


def test_who_joins_nobody_gives_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("ores.link.lockstep.JOIN_WALL_S", 0.05)

    async def nothing(clock: Clock) -> None: ...

    with pytest.raises(TimedOut, match="no conductor answers"):
        run_joined(nothing, join=str(tmp_path / "nobody.sock"), name="x")
