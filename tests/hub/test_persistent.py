"""What modules keep when the hub is gone: failsafe limits that hold over all of them, come what may."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.hub.hubhouse import BATTERY, START, Battery, House, World

from ores.hub.notices import Notices
from ores.hub.persistent import PersistentKeeper
from ores.link.clock import Clock, RealClock, run
from ores.link.endpoint import Reply
from ores.link.memory import MemorySession
from ores.model import (
    AcMeasureCapability,
    Failsafe,
    LimitCapability,
    Limits,
    Preferences,
    Rating,
    SetpointCapability,
    StorageCapability,
)
from ores.module import element

LIMITED = Preferences(self_consumption=True, ev_mode="off", reserve_pct=10.0, export_max_w=3000.0)
SECOND, THIRD = "c" * 26, "d" * 26
STRICT = Limits(produce_max_w=0.0)
WEAK = element(
    "battery",
    "battery",
    bus="grid",
    terminals=["L1", "N"],
    ac_measure=AcMeasureCapability(),
    rating=Rating(consume_max_w=1000.0, produce_max_w=1000.0),
    limit=LimitCapability(consume=True, produce=True),
    setpoint=SetpointCapability(consume_max_w=1000.0, produce_max_w=1000.0, response_s=1.0),
    storage=StorageCapability(capacity_wh=10_000.0, reserve_setting=True),
)


class Meddling:
    """A session in which somebody may do something before a request is passed on."""

    def __init__(
        self,
        inner: MemorySession,
        before: Callable[[str, str], None],
        clock: Clock | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.inner = inner
        self.before = before
        self.clock = clock
        self.delay_s = delay_s

    async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
        if self.clock is not None and self.delay_s:
            await self.clock.sleep(self.delay_s)
        self.before(method, path)
        return await self.inner.request(method, path, body)

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        return await self.inner.open_stream(on_frame, on_closed)

    async def close(self) -> None:
        await self.inner.close()


def produce_max_w(house: House, module_id: str = BATTERY) -> object:
    """What the module keeps; None where it keeps no such limit."""
    limits = house.modules[module_id].saved.failsafe.get("battery")
    return None if limits is None else limits.produce_max_w


def test_a_defect_met_while_settings_are_brought_is_said_and_tried_again() -> None:
    defects = [ZeroDivisionError("of ours"), ValueError("of ours too")]

    def fail(_method: str, path: str) -> None:
        if path == "/failsafe" and defects:
            raise defects.pop()

    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        house.wrap[BATTERY] = lambda inner: Meddling(inner, fail)
        async with house.hub() as running:
            await clock.sleep(1)
            told = {n.code: n.text for n in running.hub.notices.active() if n.module == BATTERY}
            assert "Error: of ours" in told["settings_not_taken"]
            await clock.sleep(20)
            assert produce_max_w(house) == 3000.0
            assert running.hub.notices.active() == []

    run(main, start_utc=START)


def test_what_others_make_of_it_does_not_keep_a_module_from_its_limits() -> None:
    def fail() -> None:
        raise ZeroDivisionError("of ours")

    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(5)
            keeper = hub.federation.links[BATTERY].persistent
            keeper.on_changed = fail
            keeper.want(replace(keeper.wanted, failsafe=Failsafe(elements={"battery": STRICT})))
            await clock.sleep(5)
            assert house.modules[BATTERY].saved.failsafe == {"battery": STRICT}
            keeper.want(replace(keeper.wanted, failsafe=Failsafe(elements={})))
            await clock.sleep(5)
            assert house.modules[BATTERY].saved.failsafe == {}
            assert [n.code for n in hub.notices.active()] == ["internal"]

    run(main, start_utc=START)


def test_what_an_absent_module_keeps_is_taken_from_the_others_and_said() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        house.add(SECOND, Battery(World()), "second")
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(20)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND)] == [1500.0, 1500.0]
            house.kill(BATTERY)
            await clock.sleep(60)
            assert [n.code for n in hub.notices.active()] == ["module_unreachable"]
            house.add(THIRD, Battery(World()), "third")
            hub.federation.join(THIRD, house.connector(THIRD))  # type: ignore[arg-type]
            await clock.sleep(30)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND, THIRD)] == [1500.0, 750.0, 750.0]
            (notice,) = [n for n in hub.notices.active() if n.code == "failsafe_not_kept"]
            assert notice.module == BATTERY
            assert "battery produce_max_w 1500 instead of 1000" in notice.text
            hub.preferences.put(msgspec.structs.replace(LIMITED, export_max_w=0.0))
            await clock.sleep(30)
            assert [produce_max_w(house, m) for m in (SECOND, THIRD)] == [0.0, 0.0]
            hub.preferences.put(LIMITED)
            house.dead.clear()
            house.modules[BATTERY].start()
            await clock.sleep(90)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND, THIRD)] == [1000.0] * 3
            assert hub.notices.active() == []

    run(main, start_utc=START)


def test_a_restarted_hub_remembers_what_an_absent_module_keeps(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, data=tmp_path, preferences=LIMITED)
        house.add(SECOND, Battery(World()), "second")
        async with house.hub():
            await clock.sleep(20)
        house.dead.add(BATTERY)
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(5)
            hub.preferences.put(msgspec.structs.replace(LIMITED, export_max_w=2000.0))
            await clock.sleep(20)
            assert produce_max_w(house, SECOND) == 500.0
            assert ("failsafe_not_kept", BATTERY) in [(n.code, n.module) for n in hub.notices.active()]

    run(main, start_utc=START)


@pytest.mark.parametrize("slow", [BATTERY, SECOND])
def test_the_sum_of_all_failsafe_limits_holds_at_every_moment_of_a_change(slow: str) -> None:
    sums: list[float] = []

    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        house.add(SECOND, Battery(World(), elements=[WEAK]), "second")

        def note(_method: str, _path: str) -> None:
            kept = [produce_max_w(house, module_id) for module_id in (BATTERY, SECOND)]
            if None not in kept:
                sums.append(sum(kept))  # type: ignore[arg-type]

        for module_id in (BATTERY, SECOND):
            house.wrap[module_id] = lambda inner, m=module_id: Meddling(  # type: ignore[misc]
                inner, note, clock, 2.0 if m == slow else 0.0
            )
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(60)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND)] == [2250.0, 750.0]
            sums.clear()
            house.wrap.pop(BATTERY)  # now the first is the weaker one
            house.modules[SECOND].stop()
            house.add(SECOND, Battery(World()), "second")
            house.modules[SECOND].saved = msgspec.structs.replace(
                house.modules[SECOND].saved,
                failsafe={"battery": Limits(produce_max_w=750.0)},
            )
            for session in house.sessions[SECOND]:
                session.cut("it has another inverter now")
            await clock.sleep(120)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND)] == [1500.0, 1500.0]
            assert hub.notices.active() == []
        assert len(sums) > 3
        assert max(sums) <= 3000.0

    run(main, start_utc=START)


def test_a_silent_owner_takes_no_limit_of_an_installer_away() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        module = house.modules[BATTERY]
        installed = {"battery": Limits(produce_max_w=800.0, consume_max_w=900.0)}
        module.keep_and_use(msgspec.structs.replace(module.saved, failsafe=installed))
        async with house.hub() as running:
            await clock.sleep(10)
            assert module.saved.failsafe == installed
            now = running.hub.preferences.get()
            running.hub.preferences.put(msgspec.structs.replace(now, export_max_w=500.0))
            await clock.sleep(10)
            assert module.saved.failsafe["battery"] == Limits(produce_max_w=500.0, consume_max_w=900.0)
            running.hub.preferences.put(now)
            await clock.sleep(10)
            assert module.saved.failsafe == installed

    run(main, start_utc=START)


@pytest.mark.parametrize("agreed", [False, True])
def test_a_lost_store_stays_strict_until_somebody_has_said_something(*, agreed: bool) -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED if agreed else None)
        module = house.modules[BATTERY]
        module.keep_and_use(msgspec.structs.replace(module.saved, strict=True))
        async with house.hub():
            await clock.sleep(20)
            assert module.saved.strict is not agreed
            assert produce_max_w(house) == (3000.0 if agreed else None)

    run(main, start_utc=START)


def test_what_the_hub_wrote_itself_is_written_anew_when_the_store_is_lost() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        async with house.hub():
            await clock.sleep(10)
            module = house.modules[BATTERY]
            module.keep_and_use(msgspec.structs.replace(module.saved, strict=True, failsafe={}))
            for session in house.sessions[BATTERY]:
                session.cut("rebooted")
            await clock.sleep(20)
            assert not module.saved.strict
            assert produce_max_w(house) == 3000.0

    run(main, start_utc=START)


def test_a_module_that_refuses_its_limits_counts_at_its_rating_and_is_not_pestered() -> None:
    asked: list[str] = []

    class Refusing(Meddling):
        async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
            asked.append(f"{method} {path}")
            if (method, path) == ("PUT", "/failsafe"):
                return Reply(status=403, body=b"{}")
            return await super().request(method, path, body)

    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        house.add(SECOND, Battery(World(), elements=[WEAK]), "second")
        house.wrap[SECOND] = lambda inner: Refusing(inner, lambda _method, _path: None)
        async with house.hub() as running:
            await clock.sleep(100)
            assert produce_max_w(house) == 2000.0  # 3000 less the 1000 of the other's rating
            codes = {n.code for n in running.hub.notices.active() if n.module == SECOND}
            assert codes == {"settings_not_taken", "failsafe_not_kept"}
        assert asked.count("PUT /failsafe") <= 8

    run(main, start_utc=START)


def test_a_module_that_is_only_watched_counts_with_what_it_keeps() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, preferences=LIMITED)
        module = house.add(SECOND, Battery(World()), "second")
        module.keep_and_use(
            msgspec.structs.replace(module.saved, failsafe={"battery": Limits(produce_max_w=2600.0)})
        )
        async with house.hub() as running:
            assert running.hub.membership.watch(SECOND, watch_only=True)
            await clock.sleep(30)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND)] == [400.0, 2600.0]
            (notice,) = [n for n in running.hub.notices.active() if n.code == "failsafe_not_kept"]
            assert "only watched" in notice.text
            assert running.hub.membership.watch(SECOND, watch_only=False)
            await clock.sleep(30)
            assert [produce_max_w(house, m) for m in (BATTERY, SECOND)] == [1500.0, 1500.0]
            assert running.hub.notices.active() == []

    run(main, start_utc=START)


def test_whatever_a_hub_writes_carries_its_epoch() -> None:
    written: list[tuple[str, int]] = []

    class Listening(Meddling):
        async def request(self, method: str, path: str, body: bytes = b"") -> Reply:
            if method == "PUT":
                written.append((path, msgspec.json.decode(body)["epoch"]))
            return await super().request(method, path, body)

    async def main(clock: Clock) -> None:
        house = House(clock, preferences=msgspec.structs.replace(LIMITED, reserve_pct=30.0))
        house.wrap[BATTERY] = lambda inner: Listening(inner, lambda _method, _path: None)
        async with house.hub() as running:
            await clock.sleep(30)
            assert {path for path, _ in written} >= {"/failsafe", "/settings"}, written
            assert {epoch for _, epoch in written} == {running.hub.federation.epoch}

    run(main, start_utc=START)


@pytest.mark.parametrize("count", [1, 57, 70, 250])
def test_the_reserve_of_many_stores_goes_in_portions_that_small_modules_can_take(count: int) -> None:
    keeper = PersistentKeeper("m" * 26, RealClock(), Notices(RealClock()), epoch=7)
    stores = [f"a_store_in_the_cellar_number_{number:03}" for number in range(count)]
    bodies = list(keeper._in_portions(stores, 37.5))
    assert max(map(len, bodies)) <= 4096
    named = [name for body in bodies for name in msgspec.json.decode(body)["elements"]]
    assert named == stores
    assert {msgspec.json.decode(body)["epoch"] for body in bodies} == {7}
