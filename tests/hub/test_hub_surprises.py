"""Bad moments for a hub: what goes wrong then must neither widen a limit nor end what keeps the house."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.hub.hubhouse import BATTERY, METER, START, Battery, House, World

from ores.control.snapshot import Snapshot
from ores.hub import arbiter, state_dir
from ores.hub.federation import Federation
from ores.hub.membership import Membership
from ores.hub.module_link import FRAMES_PER_S_MAX, GARBLED_IN_A_ROW_MAX, Delay
from ores.hub.notices import ACTIVE_MAX, Notices
from ores.hub.preferences import SAFE, PreferencesStore
from ores.hub.state_dir import StateDir
from ores.link import client
from ores.link.clock import Clock, RealClock, run
from ores.link.endpoint import Session
from ores.link.errors import ConfigError, Disconnected, Forbidden
from ores.link.identity import new_identity
from ores.link.memory import MemorySession
from ores.link.pairing import code_of
from ores.link.pins import Pin, Pins, pin
from ores.model import ModuleForgotten, PairModule

CODE = code_of(bytes(range(16)))


def full(path: Path, data: bytes) -> None:
    raise ConfigError(str(path), found="No space left on device", allowed="a disk with free space")


def test_preferences_that_hold_are_answered_so_whatever_a_watcher_does(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        notices, taken = Notices(clock), []
        store = PreferencesStore(StateDir(tmp_path), notices)

        def fail(_now: object) -> None:
            raise ZeroDivisionError("of ours")

        store.watch(fail)
        store.watch(taken.append)
        assert store.put(SAFE) == store.get() == SAFE
        assert taken == [SAFE]
        assert [n.code for n in notices.active()] == ["internal"]

    run(main, start_utc=START)


def test_a_limit_that_may_have_been_agreed_is_kept_though_the_disk_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: Clock) -> None:
        (tmp_path / "preferences.json").write_text('{"export_max_w": 0')
        directory = StateDir(tmp_path)
        with monkeypatch.context() as disk:
            disk.setattr(state_dir, "write_private_file", full)
            assert PreferencesStore(directory, Notices(clock)).get() == SAFE
        again = Notices(clock)
        assert PreferencesStore(directory, again).get() == SAFE  # after a restart, too
        assert [notice.code for notice in again.active()] == ["file_damaged"]
        directory.close()

    run(main, start_utc=START)


class Place:
    """A hub's membership without a network: who answers at which address."""

    def __init__(self, path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory, self.clock, self.notices = StateDir(path), clock, Notices(clock)
        self.module = pin(new_identity().certificate, "module")
        self.pins = Pins(path=path / "pins.json")
        self.answers: dict[tuple[str, int], Exception | None] = {}
        self.asked: list[tuple[str, int]] = []
        monkeypatch.setattr(client, "pair", self._pair)
        monkeypatch.setattr(client, "connect", self._connect)
        self.membership = self.restarted()

    def restarted(self) -> Membership:
        self.federation = Federation(self.clock, self.notices, epoch=1)
        self.federation.events = object()  # type: ignore[assignment]  nobody speaks here
        return Membership(
            self.directory, new_identity(), self.pins, self.federation, self.clock,
            notices=self.notices, name="hub",
        )  # fmt: skip

    async def _pair(self, *_args: object, **_how: object) -> Pin:
        return self.module

    async def _connect(self, host: str, port: int, *_args: object, **_how: object) -> object:
        self.asked.append((host, port))
        if (error := self.answers.get((host, port))) is not None:
            raise error
        return object()

    @property
    def kept(self) -> dict[str, dict[str, object]]:
        return dict(json.loads((self.directory.path / "modules.json").read_bytes())["modules"])


def test_watch_modes_are_kept_though_the_disk_was_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: Clock) -> None:
        place = Place(tmp_path, clock, monkeypatch)
        place.pins.add(place.module)
        (tmp_path / "modules.json").write_text('{"modules"')
        with monkeypatch.context() as disk:
            disk.setattr(state_dir, "write_private_file", full)
            assert place.restarted().watch_only(place.module.id)
        assert place.restarted().watch_only(place.module.id)
        place.directory.close()

    run(main, start_utc=START)


def test_pairing_again_does_not_end_the_watch_mode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main(clock: Clock) -> None:
        place = Place(tmp_path, clock, monkeypatch)
        await place.membership.pair(PairModule(code=CODE, address="10.0.0.1:1"))
        assert place.membership.watch(place.module.id, watch_only=True)
        await place.membership.pair(PairModule(code=CODE, address="10.0.0.2:2"))
        await place.federation.stop()
        assert place.restarted().watch_only(place.module.id)
        place.directory.close()

    run(main, start_utc=START)


def test_what_cannot_be_forgotten_is_not_half_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: Clock) -> None:
        place = Place(tmp_path, clock, monkeypatch)
        await place.membership.pair(PairModule(code=CODE, address="10.0.0.1:1"))
        with monkeypatch.context() as disk:
            disk.setattr("ores.link.pins.write_private_file", full)
            with pytest.raises(ConfigError):
                await place.membership.forget(place.module.id)
        # who was told "no" still sees it; a restart would have brought it back without a code
        assert place.module.id in place.federation.links
        assert place.asked == [], "nor was the module told"
        place.answers["10.0.0.1", 1] = Disconnected("it is away")
        forgotten = await place.membership.forget(place.module.id)
        assert forgotten == ModuleForgotten(released=False, detail="it is away")
        assert not place.federation.links
        place.directory.close()

    run(main, start_utc=START)


def test_whoever_announces_anothers_id_does_not_keep_the_hub_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(clock: Clock) -> None:
        place = Place(tmp_path, clock, monkeypatch)
        await place.membership.pair(PairModule(code=CODE, address="10.0.0.1:1"))
        await clock.sleep(1)
        place.asked.clear()
        place.answers["6.6.6.6", 6] = Forbidden("another key", code="wrong_key")
        place.membership.take_found(place.module.id, "6.6.6.6:6")
        assert place.kept[place.module.id]["address"] == "10.0.0.1:1"
        await clock.sleep(60)
        assert place.asked[:2] == [("6.6.6.6", 6), ("10.0.0.1", 1)]
        place.membership.take_found(place.module.id, "10.0.0.9:9")  # it has moved, and proves it
        await clock.sleep(60)
        assert place.kept[place.module.id]["address"] == "10.0.0.9:9"
        await place.federation.stop()
        place.directory.close()

    run(main, start_utc=START)


class Flooding:
    """A session whose module says everything many times over, or only nonsense."""

    def __init__(self, inner: MemorySession, said: Callable[[bytes], list[bytes]]) -> None:
        self.inner, self.said = inner, said
        self.request, self.close = inner.request, inner.close

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        def many(frame: bytes) -> None:
            for one in self.said(frame):
                on_frame(one)

        return await self.inner.open_stream(many, on_closed)


@pytest.mark.parametrize(
    ("said", "most"),
    [
        (lambda _frame: [b'{"state":7}'] * 5000, 8 * GARBLED_IN_A_ROW_MAX),
        (lambda frame: [frame] * 5000, 8 * FRAMES_PER_S_MAX),
    ],
    ids=["nonsense", "sense"],
)
def test_a_module_that_floods_is_heard_rarely(
    said: Callable[[bytes], list[bytes]], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = [0]

    async def main(clock: Clock) -> None:
        house = House(clock)

        def wrap(inner: MemorySession) -> Session:
            return Flooding(inner, said)

        house.wrap[BATTERY] = wrap
        async with house.hub() as running:
            link = running.hub.federation.links[BATTERY]
            take, garbled = link._take_state, link._garbled

            def count(what: Callable[[object], None]) -> Callable[[object], None]:
                def counted(value: object) -> None:
                    decoded[0] += 1
                    what(value)

                return counted

            monkeypatch.setattr(link, "_take_state", count(take))
            monkeypatch.setattr(link, "_garbled", count(garbled))
            await clock.sleep(60)
            assert decoded[0] <= most
            assert running.hub.live().modules[METER].status == "online"
            codes = {notice.code for notice in running.hub.notices.active()}
            assert codes & {"garbled_frame", "module_unreachable"}
            house.wrap.clear()
            await clock.sleep(60)
            assert running.hub.live().modules[BATTERY].status == "online"
            assert not running.hub.notices.active()

    run(main, start_utc=START)


def test_a_decision_that_cannot_be_remembered_does_not_end_the_cycle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            await clock.sleep(5)
            with monkeypatch.context() as bad:

                def fail(_rulings: object) -> None:
                    raise ValueError("no such number")

                bad.setattr(running.hub.decisions, "take", fail)
                await clock.sleep(5)
                assert "internal" in {notice.code for notice in running.hub.notices.active()}
            house.world.load_w = 2500
            await clock.sleep(5)
            assert abs(house.world.grid_w) < 20

    run(main, start_utc=START)


class Stalling:
    """A session whose frames take as long as a test wants; they stay in order."""

    def __init__(self, inner: MemorySession, clock: Clock) -> None:
        self.inner, self.clock = inner, clock
        self.request, self.close = inner.request, inner.close
        self.delay_s = 0.0

    async def open_stream(
        self, on_frame: Callable[[bytes], None], on_closed: Callable[[str], None]
    ) -> Callable[[bytes], None]:
        def late(frame: bytes) -> None:
            self.clock.call_at(self.clock.now() + self.delay_s, lambda: on_frame(frame))

        return await self.inner.open_stream(late, on_closed)


def test_a_state_that_was_long_on_its_way_is_not_fresh_when_it_comes() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        stalling: list[Stalling] = []

        def wrap(inner: MemorySession) -> Session:
            stalling.append(Stalling(inner, clock))
            return stalling[-1]

        house.wrap[METER] = wrap
        async with house.hub() as running:
            await clock.sleep(10)
            assert running.hub.live().modules[METER].status == "online"
            stalling[-1].delay_s = 20.0
            await clock.sleep(30)
            assert running.hub.live().modules[METER].status == "stale"
            assert running.hub.live().flow.grid_w is None
            stalling[-1].delay_s = 0.5
            await clock.sleep(25)
            assert running.hub.live().modules[METER].status == "online"

    run(main, start_utc=START)


@given(
    st.lists(st.tuples(st.floats(0.01, 100.0), st.floats(0.0, 0.9)), min_size=1, max_size=50),
    st.floats(-1e6, 1e6),
    st.floats(-1e-4, 1e-4),
)
def test_drifting_clocks_and_small_jitter_make_no_state_late(
    steps: list[tuple[float, float]], apart_s: float, drift: float
) -> None:
    delay, true_s = Delay(), 0.0
    for step_s, on_the_way_s in steps:
        true_s += step_s
        assert delay.late_s(true_s + on_the_way_s, "a", true_s * (1.0 + drift) + apart_s) == 0.0


def test_a_hub_that_was_restored_from_a_backup_says_why_nobody_obeys(tmp_path: Path) -> None:
    async def main(clock: Clock) -> None:
        house = House(clock, tmp_path)
        for _ in range(3):
            async with house.hub():
                await clock.sleep(5)
        (tmp_path / "epoch").write_text("0\n")
        await clock.sleep(30)
        async with house.hub() as running:
            await clock.sleep(20)
            (notice,) = running.hub.notices.active()
            assert (notice.code, notice.level, notice.module) == ("module_problem", "error", BATTERY)
            assert "epoch 1 is over; 3 has been seen" in notice.text

    run(main, start_utc=START)


def test_many_silent_modules_do_not_crowd_out_what_is_worse() -> None:
    notices = Notices(RealClock())
    notices.raise_("arbiter_failed", "a defect", level="error")
    for number in range(2 * ACTIVE_MAX):
        notices.raise_("module_unreachable", "it is silent", module=f"m{number}")
    assert len(notices.active()) == ACTIVE_MAX
    assert notices.active()[0].code == "arbiter_failed"


def test_a_module_that_cannot_be_decided_on_is_left_out_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    odd = "d" * 26
    sane = arbiter.decide

    def decide(seen: Snapshot, *rest: object) -> object:
        if odd in seen.modules:
            raise KeyError(odd)
        return sane(seen, *rest)  # type: ignore[arg-type]

    async def main(clock: Clock) -> None:
        house = House(clock)
        async with house.hub() as running:
            hub = running.hub
            await clock.sleep(10)
            with monkeypatch.context() as bad:
                bad.setattr(arbiter, "decide", decide)
                module = house.add(odd, Battery(World()), "odd")
                hub.federation.join(odd, house.connector(odd))  # type: ignore[arg-type]
                await clock.sleep(10)
                house.add("e" * 26, Battery(World(), soc_pct=0.0), "late")
                hub.federation.join("e" * 26, house.connector("e" * 26))  # type: ignore[arg-type]
                await clock.sleep(5)
                house.world.load_w = 2500
                await clock.sleep(5)
                assert abs(house.world.grid_w) < 20
                (notice,) = hub.notices.active()
                assert (notice.code, notice.module) == ("module_left_out", odd)
                assert module.state().control_source == "policy"
            await clock.sleep(90)
            assert not hub.notices.active()
            assert module.state().control_source == "lease"

    run(main, start_utc=START)
