"""The house as one SunSpec device: what it shows, and what it lets itself be told."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import isnan

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hub.hubhouse import BATTERY, START, House
from tests.hub.sunspecdoor import BASE, door_of, model, walk, write

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.points import Model
from ores.hub.config import HubConfig
from ores.hub.doors.sunspec import Address, SunspecDoor, address_of
from ores.hub.doors.sunspec_models import watt_scale
from ores.hub.doors.sunspec_registers import Sheet
from ores.hub.doors.sunspec_server import BUSY, FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal, answer
from ores.hub.run import RunningHub
from ores.link.clock import Clock, run
from ores.link.errors import ConfigError
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Bounds,
    Element,
    ElementState,
    Preferences,
    Proposal,
    Subject,
)
from ores.module import element

Story = Callable[[Clock, House, RunningHub, SunspecDoor], Awaitable[None]]
CODES = {ILLEGAL_ADDRESS, ILLEGAL_VALUE, FAILURE}
KNOWN = sorted(definitions())


def in_a_house(story: Story, *, control: bool = True, lasts_min: float = 60.0) -> None:
    """A battery that feeds a load of 500 W, and a meter."""

    async def main(clock: Clock) -> None:
        house = House(clock)
        preferences = Preferences(self_consumption=True, ev_mode="off", reserve_pct=10.0)
        async with house.hub(preferences) as running:
            with door_of(running.hub, control=control, lasts_min=lasts_min) as door:
                await clock.sleep(10)
                await story(clock, house, running, door)

    run(main, start_utc=START)


def refused(door: SunspecDoor, number: int, **raw: int) -> int:
    with pytest.raises(Refusal) as caught:
        write(door, number, **raw)
    return caught.value.code


# What is shown


@given(number=st.sampled_from(KNOWN), members=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_a_model_of_which_nothing_is_known_says_so_of_each_point(number: int, members: int) -> None:
    sheet = Sheet(definitions()[number], {}, members)
    read = Model(definitions()[number], sheet.registers)
    assert read.whole("ID") == number
    assert read.whole("L") == len(sheet.registers) - 2
    for name, point in definitions()[number].points.items():
        if name not in {"ID", "L"}:
            assert read.whole(name) is None, (name, point)
            assert read.text(name) is None if point.type == "string" else True


@given(value=st.floats(allow_nan=True, allow_infinity=True), power=st.integers(-3, 2))
@settings(max_examples=200, deadline=None)
def test_a_number_stands_there_as_it_is_or_not_at_all(value: float, power: int) -> None:
    scales = {"W_SF": power, "Hz_SF": power, "TotWh_SF": power}
    sheet = Sheet(definitions()[701], scales)
    sheet.put(W=value, Hz=value, TotWhInj=value)
    read = Model(definitions()[701], sheet.registers)
    half = 0.51 * 10.0**power
    for name, least, most in (("W", -32767, 32767), ("Hz", 0, 2**32 - 2)):
        told, raw = read.number(name), value / 10.0**power
        if isnan(raw) or not least - 1 < raw < most + 1:
            assert told is None, (name, told)
        elif least <= raw <= most:
            assert told == pytest.approx(value, abs=half), (name, told)
    counted = read.number("TotWhInj")
    assert counted is None or counted <= max(0.0, value) * (1 + 1e-9)


def test_the_scale_of_power_leaves_room_for_more_than_is_rated() -> None:
    assert [watt_scale(watts, 3) for watts in (3000.0, 24_150.0, 26_000.0, 260_000.0, None)] == [
        0,
        0,
        1,
        2,
        1,
    ]
    assert watt_scale(None, 1) == 0


def test_a_battery_that_feeds_the_house_is_a_source_and_the_meter_shows_what_is_left() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        found = walk(door)
        assert list(found) == [1, 101, 120, 121, 123, 701, 702, 704, 201, 211, 124, 713]
        assert house.world.battery_w < -450
        for number in (101, 701):
            assert model(door, number).number("W") == pytest.approx(-house.world.battery_w, abs=1)
        assert model(door, 701).number("WL1") == pytest.approx(500, abs=25)
        for number in (201, 211):
            assert model(door, number).number("W") == pytest.approx(house.world.grid_w, abs=1)
        assert model(door, 101).symbol("St") == "MPPT"
        assert model(door, 124).symbol("ChaSt") == "DISCHARGING"
        assert (model(door, 713).number("SoC"), model(door, 713).number("WHAvail")) == (50.0, 5000.0)
        assert model(door, 120).number("WRtg") == model(door, 702).number("WMaxRtg") == 3000.0
        assert (model(door, 1).text("Mn"), model(door, 1).text("SN")) == ("ORES", running.hub.id)

    in_a_house(story)


def test_what_is_not_measured_is_not_implemented_and_never_0() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        house.world.meter_known = False
        await clock.sleep(3)
        assert model(door, 201).number("W") is None
        assert model(door, 211).number("W") is None
        house.kill(BATTERY)
        await clock.sleep(30)
        for number in (101, 701):
            assert model(door, number).number("W") is None
        assert model(door, 101).symbol("St") is None
        assert model(door, 713).number("SoC") is None
        assert model(door, 702).number("WMaxRtg") == 3000.0  # its nameplate is still known

    in_a_house(story)


def test_counters_only_rise_and_outlive_the_door() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        told = []
        for _ in range(120):
            await clock.sleep(1)
            door._count()
            told.append(model(door, 701).number("TotWhInj") or 0.0)
        assert told == sorted(told)
        assert told[1] >= 1.0
        assert 8.0 < told[-1] <= 1.0 + 500.0 * 120 / 3600

    in_a_house(story)


def test_addresses_outside_of_the_chain_are_refused() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        end = BASE + 2 + sum(len(found._registers) for _, found in walk(door).values()) + 2
        for address, count in ((0, 2), (BASE - 1, 2), (end - 1, 2), (50_000, 2), (65_535, 125)):
            with pytest.raises(Refusal, match=f"{ILLEGAL_ADDRESS}"):
                door.read(address, count)
        assert len(door.read(end - 2, 2)) == 2

    in_a_house(story)


def test_nobody_is_told_half_of_a_house_whose_modules_still_come() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        house.dead.add(BATTERY)
        async with house.hub() as running:
            with door_of(running.hub) as door:
                await clock.sleep(2)
                with pytest.raises(Refusal, match=f"{BUSY}"):
                    door.read(BASE, 2)
                await clock.sleep(30)
                assert 101 not in walk(door)
                assert 201 in walk(door)

    run(main, start_utc=START)


# What may be asked


def test_a_limit_holds_until_its_timer_ends_and_says_why() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        write(door, 704, WMaxLimPct=1000, WMaxLimPctRvrtTms=60, WMaxLimPctEna=1)
        assert model(door, 704).number("WMaxLimPct") == model(door, 123).number("WMaxLimPct") == 10.0
        assert model(door, 123).symbol("WMaxLim_Ena") == "ENABLED"
        await clock.sleep(5)
        assert house.world.battery_w == pytest.approx(-300.0, abs=1.0)
        (decision,) = running.hub.decisions.page(module=BATTERY, limit=1)
        assert decision.limited_by == ["sunspec"]
        assert model(door, 704).number("WMaxLimPctRvrtRem") == 55
        assert (model(door, 701).symbol("InvSt"), model(door, 701).number("ThrotPct")) == ("THROTTLED", 10.0)
        await clock.sleep(57)
        assert model(door, 704).symbol("WMaxLimPctEna") == "DISABLED"
        assert house.world.battery_w == pytest.approx(-500.0, abs=20.0)
        assert model(door, 704).number("WMaxLimPct") == 10.0  # as it was written, and not in force

    in_a_house(story)


def test_without_a_timer_a_limit_ends_by_the_hubs_own() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        write(door, 123, WMaxLimPct=0, WMaxLim_Ena=1)
        await clock.sleep(100)
        assert house.world.battery_w == 0.0
        await clock.sleep(30)
        assert model(door, 123).symbol("WMaxLim_Ena") == "DISABLED"
        assert house.world.battery_w < -450.0

    in_a_house(story, lasts_min=2.0)


def test_a_limit_is_renewed_by_writing_it_again_and_taken_back_by_its_switch() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        write(door, 123, WMaxLimPct=500, WMaxLimPct_RvrtTms=30, WMaxLim_Ena=1)
        for _ in range(3):
            await clock.sleep(25)
            write(door, 123, WMaxLimPct=500)
        assert house.world.battery_w == pytest.approx(-150.0, abs=1.0)
        write(door, 123, WMaxLim_Ena=0)
        await clock.sleep(3)
        assert house.world.battery_w < -450.0
        assert not [held for held in running.hub.proposals.held() if held.proposal.source == "sunspec"]

    in_a_house(story)


def test_no_limit_of_a_client_widens_what_somebody_stronger_has_narrowed() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        running.hub.proposals.put(
            Proposal(
                subject=Subject(kind="module", module=BATTERY),
                rank="grid_obligation",
                source="utility",
                reason="little",
                ttl_s=600.0,
                bounds=Bounds(produce_max_w=100.0),
            )
        )
        write(door, 704, WMaxLimPct=10_000, WMaxLimPctEna=1)
        await clock.sleep(5)
        assert house.world.battery_w == pytest.approx(-100.0, abs=1.0)

    in_a_house(story)


def test_what_cannot_be_asked_is_refused_and_changes_nothing() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        before = door.read(BASE, 120)
        assert refused(door, 704, WMaxLimPct=10_001) == ILLEGAL_VALUE
        assert refused(door, 704, WMaxLimPctEnaRvrt=1) == ILLEGAL_VALUE
        assert refused(door, 704, WMaxLimPctRvrtTms=604_801) == ILLEGAL_VALUE
        assert refused(door, 123, Conn=0) == ILLEGAL_VALUE
        for number, name in ((701, "W"), (702, "WMax"), (124, "StorCtl_Mod"), (1, "DA"), (704, "WSetEna")):
            assert refused(door, number, **{name: 1}) == ILLEGAL_ADDRESS
        at, found = walk(door)[704]
        offset, _ = found.place("WMaxLimPctRvrtTms")
        with pytest.raises(Refusal, match=f"{ILLEGAL_VALUE}"):
            door.write(at + offset, [0])  # half of a number
        with pytest.raises(Refusal, match=f"{ILLEGAL_VALUE}"):
            door.write(at + found.place("WMaxLimPctEna")[0], [1, 10_001])  # all of a request, or nothing
        assert model(door, 704).symbol("WMaxLimPctEna") == "DISABLED"
        assert running.hub.proposals.held() == []
        assert door.read(BASE, 120) == before

    in_a_house(story)


def test_without_leave_of_the_owner_nothing_is_written() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        assert refused(door, 123, WMaxLim_Ena=1) == ILLEGAL_ADDRESS
        assert model(door, 704).number("WMaxLimPct") is None
        assert model(door, 702).bits("CtrlModes") == frozenset()
        assert model(door, 123).number("WMaxLimPct_RvrtTms") is None
        assert model(door, 123).symbol("WMaxLim_Ena") == "DISABLED"

    in_a_house(story, control=False)


def test_a_battery_in_watch_mode_takes_no_limit_and_somebody_is_told() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        running.hub.federation.links[BATTERY].set_watch_only(watch_only=True)
        write(door, 704, WMaxLimPct=5000, WMaxLimPctEna=1)
        assert [one.code for one in running.hub.notices.active()] == ["sunspec_limit_not_held"]
        assert not [held for held in running.hub.proposals.held() if held.proposal.source == "sunspec"]
        write(door, 704, WMaxLimPctEna=0)
        assert running.hub.notices.active() == []

    in_a_house(story)


WRITES = st.tuples(
    st.sampled_from([123, 704]),
    st.sampled_from([5, 7, 9, 14, 15, 18]) | st.integers(0, 70),
    st.lists(st.integers(0, 0xFFFF) | st.sampled_from([0, 1, 60, 5000]), min_size=1, max_size=6),
)


def test_hostile_writes_never_widen_and_never_last() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, door: SunspecDoor) -> None:
        begin = {number: at for number, (at, _) in walk(door).items()}
        taken = 0

        @given(writes=st.lists(WRITES, min_size=1, max_size=6), frame=st.binary(min_size=1, max_size=253))
        @settings(max_examples=300, deadline=None, database=None)
        def attack(writes: list[tuple[int, int, list[int]]], frame: bytes) -> None:
            nonlocal taken
            for number, offset, values in writes:
                head = struct.pack(">BHHB", 16, begin[number] + offset, len(values), 2 * len(values))
                told = answer(door, head + struct.pack(f">{len(values)}H", *values))
                assert told == head[:5] or (told[0] == 0x90 and told[1] in CODES)
                taken += told[0] == 16
            told = answer(door, frame)
            assert told[0] & 0x7F == frame[0] & 0x7F
            assert 2 <= len(told) <= 253
            for held in running.hub.proposals.held():
                assert held.proposal.source == "sunspec"
                assert held.proposal.wish is msgspec.UNSET
                assert 0.0 <= held.offer.produce_max_w <= 3000.0
                assert held.proposal.ttl_s <= 604_800
            limit = model(door, 704)
            assert 0.0 <= (limit.number("WMaxLimPct") or 0.0) <= 100.0

        attack()
        assert taken > 20

    in_a_house(story)


# The address


def test_an_address_is_of_this_machine_unless_more_is_said() -> None:
    assert address_of("1502") == Address(port=1502)
    assert address_of("0.0.0.0:502?control=yes&unit=7&lasts_min=15") == Address("0.0.0.0", 502, True, 7, 15.0)  # noqa: S104
    assert address_of("[::1]:502").host == "::1"


@pytest.mark.parametrize(
    "text",
    ["", "x", "host.example:502", "99999", "1.2.3.4", ":502", "502/x", "a@127.0.0.1:502", "502?rank=grid",
     "502?control=maybe", "502?unit=0", "502?unit=1.5", "502?lasts_min=x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--sunspec"):
        address_of(text)


def test_a_hub_faster_than_time_is_no_device() -> None:
    with pytest.raises(ConfigError, match="only in real time"):
        HubConfig(sunspec="0", speed=60.0).check()


# Houses of other shapes


@dataclass
class Sun:
    """A roof whose inverter does not say what it can give."""

    gives_w: float = 2000.0
    elements: Sequence[Element] = (element("roof", "inverter", bus="grid", ac_measure=AcMeasureCapability()),)

    def read(self, element: str) -> ElementState:
        return ElementState(ac_measure=AcMeasure(power_w=-self.gives_w))


def test_percent_of_an_unknown_nameplate_are_refused() -> None:
    async def main(clock: Clock) -> None:
        house = House(clock)
        house.add("s" * 26, Sun(), "roof")  # type: ignore[arg-type]
        async with house.hub() as running:
            with door_of(running.hub) as door:
                await clock.sleep(5)
                (inverter,) = {101, 103} & set(walk(door))
                assert model(door, inverter).number("W") == pytest.approx(
                    2000.0 - house.world.battery_w, abs=1
                )
                assert model(door, 702).number("WMaxRtg") is None
                assert model(door, 704).number("WMaxLimPct") is None
                assert refused(door, 704, WMaxLimPctEna=1) == FAILURE
                assert running.hub.proposals.held() == []
                assert model(door, 123).symbol("WMaxLim_Ena") == "DISABLED"

    run(main, start_utc=START)
