"""Modules that go silent, slow, mad or away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
from tests.hub.hubhouse import BATTERY, METER, START, Battery, House, World

from ores.link.clock import Clock, run
from ores.link.endpoint import Reply, Session
from ores.link.memory import MemorySession
from ores.model import AcMeasure, AcTerminal, ElementState, Failsafe, FromModule, Limits, Preferences

THIRD = "c" * 26


class Slow:
    """A session that answers each request after 5 s."""

    def __init__(self, inner: MemorySession, clock: Clock) -> None:
        self.inner = inner
        self.clock = clock

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        await self.clock.sleep(5)
        return await self.inner.request(method, path, body)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        await self.clock.sleep(5)
        return await self.inner.open_stream(on_frame, on_closed)

    async def close(self) -> None:
        await self.inner.close()


class Garbling:
    """A session whose frames are cut in half from a moment on."""

    def __init__(self, inner: MemorySession) -> None:
        self.inner = inner
        self.garble = False

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        return await self.inner.request(method, path, body)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        return await self.inner.open_stream(
            lambda frame: on_frame(frame[: len(frame) // 2] if self.garble else frame), on_closed
        )

    async def close(self) -> None:
        await self.inner.close()


def test_a_dead_module_is_stale_then_gone_and_never_0_w() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(10)
            house.kill(METER)
            seen = {}
            for second in range(60):
                await clock.sleep(1)
                live = hub.live()
                seen[second] = live.modules[METER].status
                if live.modules[METER].status != "online":
                    assert live.modules[METER].elements == {}
                    assert live.flow.grid_w is None
                assert live.modules[BATTERY].status == "online"
            assert seen[1] == "online"
            assert seen[5] == "stale"
            assert seen[59] == "gone"
            assert hub.cycle.missed == 0
            history = hub.history.query(
                [("flow", "grid_w")], START.timestamp() + 30, START.timestamp() + 60, 30
            )
            assert all(value is None for value in history.series[0].mean)

    run(main, start_utc=START)


def test_a_stale_meter_stops_the_battery() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub():
            await clock.sleep(10)
            assert house.world.battery_w < -400
            house.kill(METER)
            await clock.sleep(30)
            assert abs(house.world.battery_w) <= 500  # never more than the last that was known to be needed

    run(main, start_utc=START)


def test_a_module_that_comes_back_is_met_again() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(5)
            house.kill(METER)
            await clock.sleep(100)
            house.dead.clear()
            house.modules[METER].start()
            await clock.sleep(12)
            assert running.hub.live().modules[METER].status == "online"
            await clock.sleep(30)
            assert abs(house.world.grid_w) < 20

    run(main, start_utc=START)


def test_a_slow_module_delays_nobody() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        house.add(THIRD, Battery(World()), "slow")
        house.wrap[THIRD] = lambda inner: Slow(inner, clock)
        async with house.hub() as running:
            await clock.sleep(3)
            assert abs(house.world.grid_w) < 20
            assert running.hub.live().modules[THIRD].status == "connecting"
            await clock.sleep(30)
            assert running.hub.live().modules[THIRD].status == "online"
            assert running.hub.cycle.missed == 0

    run(main, start_utc=START)


def test_garbled_frames_mark_their_module_and_harm_nobody() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        house.add(THIRD, Battery(World()), "mad")
        garbling: list[Garbling] = []

        def wrap(inner: MemorySession) -> Session:
            garbling.append(Garbling(inner))
            return garbling[-1]

        house.wrap[THIRD] = wrap
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(5)
            garbling[-1].garble = True
            await clock.sleep(10)
            notices = [(n.code, n.module) for n in hub.notices.active()]
            assert ("garbled_frame", THIRD) in notices
            assert hub.live().modules[THIRD].status == "stale"
            house.world.load_w = 900
            await clock.sleep(4)
            assert abs(house.world.grid_w) < 20
            garbling[-1].garble = False
            await clock.sleep(3)
            assert hub.live().modules[THIRD].status == "online"
            assert not hub.notices.active()

    run(main, start_utc=START)


def test_what_was_never_described_is_ignored_and_names_that_cannot_be_are_garble() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        house.add(THIRD, Battery(World()), "mad")
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(5.5)
            link = hub.federation.links[THIRD]
            assert link.state is not None
            house.modules[THIRD].stop()
            mad = AcMeasure(power_w=0.0, terminals={"\x07" * 300: AcTerminal(power_w=1.0)})
            for elements in (
                {"battery": ElementState(), "stranger": ElementState()},
                {"battery": ElementState(ac_measure=mad)},
            ):
                frame = FromModule(state=msgspec.structs.replace(link.state, elements=elements))
                link._on_frame(msgspec.json.encode(frame))
                assert link.state.elements == {"battery": ElementState()}
            await clock.sleep(5)
            assert ("garbled_frame", THIRD) in [(n.code, n.module) for n in hub.notices.active()]
            assert hub.cycle.missed == 0
            assert abs(house.world.grid_w) < 20

    run(main, start_utc=START)


def test_a_restarted_hub_takes_over_within_10_s_with_a_higher_epoch(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, data=tmp_path)
        async with house.hub() as running:
            await clock.sleep(20)
            first = running.hub
            last_decision = first.decisions.page(limit=1)[0]
        async with house.hub() as running:
            second = running.hub
            house.world.load_w = 1500
            await clock.sleep(10)
            assert abs(house.world.grid_w) < 20
            assert second.federation.epoch == first.federation.epoch + 1
            assert second.id == first.id
            assert second.federation.counts.refused == 0
            newest = second.decisions.page(limit=1)[0]
            assert newest.id is not msgspec.UNSET
            assert last_decision.id is not msgspec.UNSET
            assert newest.id > last_decision.id
            assert last_decision.id in [decision.id for decision in second.decisions.page()]
            rows = second.history.rows(METER, ["meter.ac_measure.power_w"], START.timestamp(), 2e9)
            gaps = [b - a for a, b in zip(rows.t_utc_s, rows.t_utc_s[1:], strict=False)]
            assert len(rows.t_utc_s) >= 28
            assert max(gaps) <= 2

    run(main, start_utc=START)


def test_agreed_limits_are_kept_by_the_modules_themselves() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(5)
            assert await _failsafe(house) == Failsafe(elements={})
            now = running.hub.preferences.get()
            running.hub.preferences.put(msgspec.structs.replace(now, export_max_w=0.0, reserve_pct=30.0))
            await clock.sleep(5)
            assert (await _failsafe(house)).elements["battery"] == Limits(produce_max_w=0.0)
            assert running.hub.live().modules[BATTERY].elements["battery"].storage.reserve_pct == 30.0
            running.hub.preferences.put(now)
            await clock.sleep(5)
            assert await _failsafe(house) == Failsafe(elements={})

    run(main, start_utc=START)


def test_a_module_known_only_in_part_is_never_given_a_wider_failsafe(tmp_path: Path) -> None:
    limited = Preferences(self_consumption=True, ev_mode="off", reserve_pct=10.0, export_max_w=2000.0)

    async def main(clock: Clock) -> None:
        house = House(clock, data=tmp_path, preferences=limited)
        house.add(THIRD, Battery(World()), "second")
        async with house.hub():
            await clock.sleep(5)
            assert (await _failsafe(house)).elements["battery"].produce_max_w == 1000.0
        house.dead.add(THIRD)
        async with house.hub():
            await clock.sleep(20)
            assert (await _failsafe(house)).elements["battery"].produce_max_w == 1000.0

    run(main, start_utc=START)


def test_a_watched_module_is_read_and_never_written() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(5)
            assert hub.membership.watch(BATTERY, watch_only=True)
            await clock.sleep(15)
            sent = hub.federation.counts.sent
            assert hub.live().modules[BATTERY].control_source != "lease"
            await clock.sleep(10)
            assert hub.federation.counts.sent == sent
            assert hub.live().modules[BATTERY].status == "online"
            assert any(decision.watch_only is True for decision in hub.decisions.page())

    run(main, start_utc=START)


def test_a_lease_that_runs_out_is_counted_and_given_again() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(5)
            link = running.hub.federation.links[BATTERY]
            send = link._send
            assert send is not None
            link._send = lambda _frame: None  # lost on the way
            await clock.sleep(12)
            link._send = send
            await clock.sleep(5)
            assert running.hub.federation.counts.expired == 1
            assert abs(house.world.grid_w) < 20

    run(main, start_utc=START)


def test_the_same_house_runs_the_same_twice(tmp_path: Path) -> None:
    def once(name: str) -> str:
        async def main(clock: Clock) -> str:
            house = House(clock, data=tmp_path / name)
            async with house.hub() as running:
                for load_w in (200, 900, 1500, 100):
                    house.world.load_w = load_w
                    await clock.sleep(7)
                return running.hub.history.hash()

        return run(main, start_utc=START)

    assert once("a") == once("b")


async def _failsafe(house: House) -> Failsafe:
    reply = await house.sessions[BATTERY][-1].request("GET", "/failsafe")
    return msgspec.json.decode(reply.body, type=Failsafe)
