"""The lock-step protocol line by line, with one side played by hand."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ores.link import lockstep
from ores.link.clock import Clock, VirtualClock, run
from ores.link.errors import ConfigError
from ores.link.lockstep import Conductor

START = datetime(2026, 6, 1, tzinfo=UTC)
Line = dict[str, Any]


class Puppet(asyncio.Protocol):
    """One end of the conversation, played by hand."""

    def __init__(self) -> None:
        self.heard: list[Line] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard += map(json.loads, data.splitlines())

    def say(self, line: Line) -> None:
        self.transport.write(json.dumps(line).encode() + b"\n")

    def idle(self, next_s: float | None, *, report: int = 1, held: bool = False, **channels: object) -> None:
        """Report for the last round heard of."""
        round_ = self.heard[-1]["round"]
        said = {"type": "idle", "round": round_, "report": report, "next_s": next_s, "held": held}
        self.say({**said, "channels": channels})

    def types(self) -> list[str]:
        return [line["type"] for line in self.heard]


async def a_moment() -> None:
    """Of the wall, for bytes to travel; nobody holds the clock meanwhile."""
    for _ in range(30):  # turns of the loop rather than one wait, so that a busy machine changes nothing
        await asyncio.sleep(0.001)


class Stage:
    """A conductor whose own process has a wake-up at 1, and its clock."""

    def __init__(self, clock: Clock, conductor: Conductor, address: str) -> None:
        self.clock = clock
        self.conductor = conductor
        self.address = address

    async def puppet(self, name: str, pid: int = 0) -> Puppet:
        _, puppet = await asyncio.get_running_loop().create_unix_connection(Puppet, self.address)
        puppet.say({"type": "join", "version": 1, "name": name, "pid": pid})
        await self.conductor.joined(name)
        await a_moment()
        return puppet


@pytest.fixture
def scene(tmp_path: Path) -> Callable[[Callable[[Stage, Puppet, Puppet], Coroutine[Any, Any, None]]], None]:
    def perform(act: Callable[[Stage, Puppet, Puppet], Coroutine[Any, Any, None]]) -> None:
        async def main(clock: Clock) -> None:
            address = str(tmp_path / "time.sock")
            conductor = await Conductor.start(clock, address)
            stage = Stage(clock, conductor, address)
            one = await stage.puppet("one")
            two = await stage.puppet("two")
            clock.call_at(1.0, lambda: None)
            one.idle(None)
            two.idle(None)
            await a_moment()
            # to wait for them, the conductor's process has held its clock: it asks before it believes anybody
            assert one.types() == two.types() == ["welcome", "ask"]
            assert clock.now() == 0
            try:
                await act(stage, one, two)
            finally:
                one.transport.close()
                two.transport.close()
                await conductor.close()
                await a_moment()

        run(main, start_utc=START)

    return perform


Scene = Callable[[Callable[[Stage, Puppet, Puppet], Coroutine[Any, Any, None]]], None]


def test_time_moves_when_the_last_one_is_idle_and_goes_first_to_those_without_a_turn(scene: Scene) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        one.idle(1.0, report=5)
        await a_moment()
        assert stage.clock.now() == 0
        two.idle(7.0, report=8)
        await a_moment()
        assert stage.clock.now() == 1
        turn = one.heard[-1]
        assert (turn["type"], turn["now_s"], turn["turn"], turn["report"]) == ("move", 1.0, True, 5)
        assert (two.heard[-1]["now_s"], two.heard[-1]["turn"]) == (1.0, False)
        await a_moment()
        assert len(one.heard) == 3  # its report is void, so nothing moves until the next one

    scene(act)


def test_counts_that_cancel_in_a_sum_do_not_move_time(scene: Scene) -> None:
    """`one` reported before it got a frame; it has answered and sent one more, which is still under way."""

    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        one.idle(None, c=[0, 0, False])
        two.idle(None, c=[1, 1, False])
        await a_moment()
        assert stage.clock.now() == 0
        assert stage.conductor.pace().waiting_for == ("channel c",)
        one.idle(None, c=[2, 1, False])
        await a_moment()
        assert stage.clock.now() == 0
        two.idle(None, c=[1, 2, False])
        await a_moment()
        assert stage.clock.now() == 1

    scene(act)


def test_after_a_hold_nobody_is_believed_before_it_reports_again(scene: Scene) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        two.idle(5.0)
        one.idle(9.0, held=True)
        await a_moment()
        assert stage.clock.now() == 0
        assert one.types()[-1] == two.types()[-1] == "ask"
        one.idle(9.0, report=2)
        two.idle(0.5, report=2)  # the request that one made had changed its plans
        await a_moment()
        assert stage.clock.now() == 0.5

    scene(act)


def test_a_report_from_before_the_turn_does_not_end_the_turn(scene: Scene) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        stale_round = one.heard[-1]["round"]
        one.idle(1.0)
        two.idle(None)
        await a_moment()
        stale = {
            "type": "idle",
            "round": stale_round,
            "report": 2,
            "next_s": 3.0,
            "held": False,
            "channels": {},
        }
        stage.clock.call_at(2.0, lambda: None)
        one.say({**stale, "channels": {}})
        await a_moment()
        assert stage.clock.now() == 1
        one.idle(3.0, report=3)
        await a_moment()
        assert [line["now_s"] for line in one.heard if line["type"] == "move"] == [1, 2, 3]

    scene(act)


def test_time_stands_still_until_the_killed_one_is_gone(scene: Scene) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        slow = await stage.puppet("slow", child.pid)
        stage.conductor.at(0.5, lambda: stage.conductor.kill("slow"))
        for puppet in (one, two, slow):
            puppet.idle(None)
        await a_moment()
        for puppet in (one, two, slow):
            puppet.idle(None, report=2)
        await a_moment()
        assert child.wait(5) == -9
        assert stage.clock.now() == 0
        assert stage.conductor.pace().waiting_for == ("slow",)
        slow.transport.close()  # here the kernel would have closed it
        await a_moment()
        assert [line["now_s"] for line in one.heard if line["type"] == "move"] == [0.5, 1.0]

    scene(act)


def test_the_other_end_of_a_dead_channel_is_waited_for_but_not_for_ever(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lockstep, "CLOSE_WALL_S", 0.15)

    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        one.idle(None, c=[3, 3, False], d=[0, 1, False])
        two.idle(None, report=1, c=[3, 3, False])
        await a_moment()
        assert stage.clock.now() == 0  # d is not balanced
        two.transport.close()
        await a_moment()
        assert stage.clock.now() == 0
        one.idle(None, report=2, d=[0, 1, True])
        await a_moment()
        assert stage.clock.now() == 0
        await asyncio.sleep(0.3)
        assert stage.clock.now() == 1

    scene(act)
    assert "channel c did not notice" in caplog.text


def test_a_third_end_of_a_channel_costs_its_place(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        three = await stage.puppet("three")
        one.idle(None, c=[0, 1, False])
        two.idle(None, c=[1, 0, False])
        await a_moment()
        three.idle(None, c=[0, 0, False])
        await a_moment()
        assert stage.conductor.pace().participants == ("conductor", "one", "two")
        three.transport.close()

    scene(act)
    assert "two ends" in caplog.text


def test_only_who_takes_part_can_be_killed(scene: Scene) -> None:
    async def act(stage: Stage, one: Puppet, two: Puppet) -> None:
        for name in ("nobody", "conductor"):
            with pytest.raises(ConfigError, match="one of: one, two"):
                stage.conductor.kill(name)

    scene(act)


def test_a_frame_that_came_after_the_report_waits_for_the_next_turn(tmp_path: Path) -> None:
    """Otherwise it would depend on the socket's luck in which round it is heard."""

    async def main(clock: Clock) -> None:
        assert isinstance(clock, VirtualClock)
        conductors: list[Puppet] = []

        def accept() -> Puppet:
            conductors.append(Puppet())
            return conductors[-1]

        address = str(tmp_path / "time.sock")
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(accept, address)
        with clock.hold():
            joining = asyncio.create_task(lockstep._join(clock, address, "me"))
            await a_moment()
            welcome = {"round": 1, "member": 4, "now_s": 0.0, "start_utc": "2026-06-01T00:00:00Z"}
            conductors[0].say({"type": "welcome", **welcome})
            member = await joining
        clock.obey(member)
        heard: list[bytes] = []
        clock.deliver("c", heard.append, b"early")
        await a_moment()
        first = conductors[0].heard[-1]
        assert (first["next_s"], first["channels"]) == (0.0, {"c": [0, 1, False]})
        clock.deliver("c", heard.append, b"late")
        await a_moment()
        assert conductors[0].heard[-1]["report"] > first["report"]
        move = {"type": "move", "now_s": 1.0, "turn": True}
        conductors[0].say({**move, "round": 2, "report": first["report"]})
        await a_moment()
        assert heard == [b"early"]
        second = conductors[0].heard[-1]
        assert (second["round"], second["next_s"]) == (2, 1.0)
        conductors[0].say(
            {"type": "move", "round": 3, "now_s": 1.0, "turn": True, "report": second["report"]}
        )
        await a_moment()
        assert heard == [b"early", b"late"]
        assert clock.new_channel("x") == "x#4.1"
        clock.obey(None)
        member.hang_up()
        conductors[0].transport.close()
        server.close()
        await a_moment()

    run(main, start_utc=START)
