"""The small parts: what is kept, what is counted, what is shown."""

from __future__ import annotations

import asyncio
import itertools
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from tests.hub.hubhouse import BATTERY, START

from ores.hub.config import HubConfig
from ores.hub.fanout import EVENTS_MAX, PAGES_MAX, Fanout
from ores.hub.leases import FRAME_MAX_BYTES, STATE_AGE_MAX_S, LeaseCounts, LeaseKeeper
from ores.hub.membership import join_address, split_address
from ores.hub.module_link import ModuleLink
from ores.hub.notices import ACTIVE_MAX, Notices
from ores.hub.promises import binds, narrower, same, wider
from ores.hub.proposals import OF_ONE_SOURCE_MAX, PROPOSALS_MAX, Proposals
from ores.hub.record import Flattener
from ores.hub.state_dir import StateDir
from ores.link import codec
from ores.link.clock import Clock, RealClock, run
from ores.link.errors import ConfigError, InvalidMessage, Unavailable
from ores.model import (
    AcMeasure,
    AcTerminal,
    Bounds,
    ElementCommand,
    ElementState,
    Failsafe,
    LeaseResult,
    Limits,
    Mode,
    Proposal,
    SetpointCommand,
    State,
    Subject,
    Switch,
    ToModule,
)

STATE = State(boot_id="12345678", uptime_ms=5000, control_source="policy", elements={})


def command(power_w: float) -> dict[str, ElementCommand]:
    return {"battery": ElementCommand(setpoint=SetpointCommand(power_w=power_w))}


class Told:
    """Collects what a lease keeper sends."""

    def __init__(self) -> None:
        self.counts = LeaseCounts()
        self.problems: list[str] = []
        self.keeper = LeaseKeeper(7, self.counts, self.problems.append)
        self.frames: list[bytes] = []

    def flush(self, now_s: float, *, age_s: float = 0.5, state: State = STATE) -> int:
        before = len(self.frames)
        self.keeper.flush(state, age_s, now_s, self.frames.append)
        return len(self.frames) - before


def test_a_lease_goes_out_on_change_and_at_a_third_of_its_life() -> None:
    told = Told()
    assert told.flush(0.0) == 0  # nothing is wanted
    told.keeper.offer(command(100.0))
    assert [told.flush(t) for t in (0.0, 1.0, 3.0, 3.4, 4.0)] == [1, 0, 0, 1, 0]
    told.keeper.offer(command(200.0))
    assert told.flush(4.1) == 1
    leases = [codec.decode(ToModule, frame).lease for frame in told.frames]
    assert [lease.seq for lease in leases] == [1, 2, 3]
    assert {(lease.epoch, lease.boot_id, lease.uptime_ms) for lease in leases} == {(7, "12345678", 5000)}


def test_an_empty_lease_ends_the_one_before_and_is_said_once() -> None:
    told = Told()
    told.keeper.offer(command(100.0))
    told.flush(0.0)
    told.keeper.offer({})
    assert [told.flush(t) for t in (1.0, 5.0, 9.0)] == [1, 0, 0]


def test_an_old_state_is_not_answered_for_the_module_would_refuse() -> None:
    told = Told()
    told.keeper.offer(command(100.0))
    assert told.flush(0.0, age_s=STATE_AGE_MAX_S + 0.1) == 0
    assert told.flush(0.0, age_s=STATE_AGE_MAX_S) == 1


def test_a_rebooted_module_is_told_at_once() -> None:
    told = Told()
    told.keeper.offer(command(100.0))
    told.flush(0.0)
    assert told.flush(0.5, state=msgspec.structs.replace(STATE, boot_id="abcdef01")) == 1


def test_a_module_that_reports_every_minute_gets_a_lease_that_outlives_its_silence() -> None:
    told = Told()
    told.keeper.set_report_period(60.0)
    assert told.keeper.ttl_s == 180.0
    told.keeper.set_report_period(900.0)
    assert told.keeper.ttl_s == 900.0


def test_under_an_export_limit_leases_are_short_and_renewed_each_second() -> None:
    told = Told()
    told.keeper.set_short(short=True)
    told.keeper.set_report_period(1.0)
    assert told.keeper.ttl_s == 3.0
    told.keeper.offer(command(100.0))
    assert [told.flush(float(t)) for t in range(4)] == [1, 1, 1, 1]
    told.keeper.set_short(short=False)
    assert told.keeper.ttl_s == 10.0


def test_a_lease_too_large_for_small_modules_is_a_notice_and_never_half_sent() -> None:
    told = Told()
    told.keeper.offer({f"circuit_{n}": command(1.0)["battery"] for n in range(200)})
    assert told.flush(0.0) == 0
    assert str(FRAME_MAX_BYTES) in told.problems[0]
    told.keeper.offer(command(float("nan")))
    assert told.flush(0.0) == 0
    assert "finite" in told.problems[1]
    assert told.counts.sent == 0


def test_answers_are_counted_and_a_whole_refusal_is_said_again() -> None:
    told = Told()
    told.keeper.offer(command(100.0))
    told.flush(0.0)
    assert told.keeper.take_result(LeaseResult(epoch=7, seq=1, result="refused", code="lease_stale"))
    assert not told.keeper.take_result(LeaseResult(epoch=6, seq=1, result="applied"))
    assert told.flush(0.1) == 1
    told.keeper.take_result(LeaseResult(epoch=7, seq=2, result="clipped"))
    told.keeper.take_result(LeaseResult(epoch=7, seq=2, result="applied"))
    assert told.counts == LeaseCounts(sent=2, applied=1, clipped=1, refused=1, expired=0)


limits = st.builds(
    Limits,
    consume_max_w=st.one_of(st.just(UNSET), st.floats(0, 1e6)),
    produce_max_w=st.one_of(st.just(UNSET), st.floats(0, 1e6)),
    current_max_a=st.one_of(st.just(UNSET), st.floats(0, 1e4)),
)
failsafes = st.builds(
    Failsafe, elements=st.dictionaries(st.sampled_from(["battery", "pv", "evse"]), limits, max_size=3)
)


@given(failsafes, failsafes)
def test_the_narrower_failsafe_keeps_both_promises(one: Failsafe, other: Failsafe) -> None:
    both = narrower(one, other)
    assert binds(both, one)
    assert binds(both, other)
    assert same(narrower(one, one), one)


@given(failsafes, failsafes)
def test_the_wider_failsafe_is_what_may_hold_of_two(one: Failsafe, other: Failsafe) -> None:
    either = wider(one, other)
    assert binds(one, either)
    assert binds(other, either)
    assert same(wider(one, one), one)


def test_a_slow_page_loses_pictures_and_then_itself_but_delays_nobody() -> None:
    async def main(clock: Clock) -> None:
        fanout = Fanout(live_per_s=10.0)
        slow, good = fanout.open(), fanout.open()
        assert slow is not None
        assert good is not None
        drawn = itertools.count()
        for _ in range(50):
            fanout.show(lambda: b"%d" % next(drawn))
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        shown = next(drawn)
        assert 3 <= shown <= 8  # drawn once for all pages, and no more than asked for
        assert await good.next() == b"%d" % (shown - 1)
        for number in range(EVENTS_MAX + 1):
            fanout.tell(b"event %d" % number)
            assert await good.next() == b"event %d" % number
        assert slow.too_slow
        assert await slow.next() is None
        fanout.close(slow)
        pages = [fanout.open() for _ in range(PAGES_MAX)]
        assert pages[-1] is None
        fanout.stop()

    asyncio.run(main(RealClock()))


def test_nothing_is_drawn_while_nobody_looks() -> None:
    async def main(clock: Clock) -> None:
        Fanout().show(lambda: pytest.fail("drawn for nobody"))
        await asyncio.sleep(0)

    asyncio.run(main(RealClock()))


def proposal(proposal_id: str | None = None, *, ttl_s: float = 10.0, source: str = "app") -> Proposal:
    return Proposal(
        subject=Subject(kind="connection"),
        rank="owner_bounds",
        source=source,
        reason="test",
        ttl_s=ttl_s,
        id=UNSET if proposal_id is None else proposal_id,
        bounds=Bounds(consume_max_w=1000.0),
    )


def test_proposals_expire_and_newer_ones_replace_older_ones() -> None:
    async def main(clock: Clock) -> None:
        proposals = Proposals(clock)
        proposals.put(proposal("a", ttl_s=5))
        proposals.put(proposal("a", ttl_s=20))
        proposals.put(proposal("a", source="other"))
        numbered = proposals.put(proposal())
        assert [(h.proposal.source, h.proposal.id) for h in proposals.held()] == [
            ("app", "a"), ("app", numbered.id), ("other", "a"),
        ]  # fmt: skip
        await clock.sleep(10)
        assert [(h.proposal.source, h.proposal.id) for h in proposals.held()] == [("app", "a")]
        await clock.sleep(10)
        assert proposals.held() == []
        for number in range(PROPOSALS_MAX):
            proposals.put(proposal(str(number), source=f"app {number // OF_ONE_SOURCE_MAX}"))
        with pytest.raises(Unavailable, match=str(PROPOSALS_MAX)):
            proposals.put(proposal("one more"))
        proposals.put(proposal("0", source="app 0"))
        with pytest.raises(InvalidMessage, match="neither bounds nor wish"):
            proposals.put(msgspec.structs.replace(proposal(), bounds=UNSET))

    run(main, start_utc=START)


def test_notices_are_said_once_while_they_hold_and_stay_few() -> None:
    async def main(clock: Clock) -> None:
        raised: list[str] = []
        notices = Notices(clock, lambda notice: raised.append(notice.code))
        assert notices.raise_("a", "first")
        assert not notices.raise_("a", "again")
        notices.clear("a")
        assert notices.raise_("a", "anew")
        for number in range(2 * ACTIVE_MAX):
            notices.raise_(f"n{number}", "x" * 1000)
        assert len(notices.active()) == ACTIVE_MAX
        assert raised[:2] == ["a", "a"]

    run(main, start_utc=START)


def test_a_state_becomes_a_row_of_numbers_with_gaps() -> None:
    state = msgspec.structs.replace(
        STATE,
        elements={
            "meter": ElementState(
                ac_measure=AcMeasure(power_w=None, terminals={"L1": AcTerminal(power_w=5.0, voltage_v=None)})
            ),
            "heat": ElementState(mode=Mode(mode=None, next_change_in_s=3.0), switch=Switch(closed=True)),
        },
    )
    flattener = Flattener()
    names, values = flattener.row(state)
    assert dict(zip(names, values, strict=True)) == {
        "heat.switch.closed": 1.0,
        "heat.mode.next_change_in_s": 3.0,
        "meter.ac_measure.power_w": None,
        "meter.ac_measure.l1_power_w": 5.0,
        "meter.ac_measure.l1_voltage_v": None,
    }
    again, _ = flattener.row(msgspec.structs.replace(state, uptime_ms=6000))
    assert again is names


@pytest.mark.parametrize("text", ["host:1", "[::1]:8443", "192.168.1.20:65535"])
def test_addresses_make_a_round_trip(text: str) -> None:
    assert join_address(*split_address(text)) == text


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:70000", "host:1x", "host:٣"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="host:port"):
        split_address(text)


@pytest.mark.parametrize(
    ("config", "setting"),
    [
        (HubConfig(name=""), "--name"),
        (HubConfig(port=70000), "--port"),
        (HubConfig(listen="everywhere"), "--listen"),
        (HubConfig(live_per_s=0), "live_per_s"),
    ],
)
def test_a_setting_that_cannot_be_is_named(config: HubConfig, setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        config.check()


def test_a_directory_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--data"):
        StateDir(tmp_path / "file")


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = StateDir(tmp_path)
    directory.save("x.json", proposal("old"))

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match="No space left"):
        directory.save("x.json", proposal("new"))
    monkeypatch.undo()
    kept = directory.load("x.json", Proposal, lambda code, text: pytest.fail(text))
    assert kept is not None
    assert kept.id == "old"
    directory.close()


def test_a_status_is_a_verdict_on_age_alone() -> None:
    async def main(clock: Clock) -> None:
        link = ModuleLink(
            BATTERY,
            connect=None,
            clock=clock,
            notices=Notices(clock),
            events=None,
            epoch=1,
            counts=LeaseCounts(),
        )  # type: ignore[arg-type]
        assert link.status(clock.now()) == "connecting"
        assert link.status(clock.now() + 31) == "gone"
        link.state, link.received_at_s = STATE, 100.0
        assert [link.status(100.0 + age) for age in (0, 3, 3.1, 30, 30.1)] == [
            "online", "online", "stale", "stale", "gone",
        ]  # fmt: skip

    run(main, start_utc=START)
