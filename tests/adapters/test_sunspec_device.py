"""A device that answers, one that does not, and another one in its place."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from msgspec import UNSET
from pymodbus.constants import ExcCodes
from tests.adapters.devices import BATTERY, HYBRID, INVERTER, METER, inverter, meter
from tests.adapters.peer import COMMON, Peer
from tests.adapters.wire import House, Wire, run, with_device

from ores.adapters.sunspec.device import SunSpecDevice
from ores.adapters.sunspec.found import find, find_or_remember, load
from ores.adapters.sunspec.image import Options
from ores.adapters.sunspec.walk import NotSunSpec, walk
from ores.link.clock import Clock
from ores.link.errors import ConfigError, TimedOut


def test_a_meter_shows_each_conductor_and_both_counters() -> None:
    async def story(house: House) -> None:
        state = house.state("meter")
        assert state.ac_measure.power_w == 1500.0
        assert state.ac_measure.terminals["L2"].power_w == 500.0
        assert (state.energy.energy_in_wh, state.energy.energy_out_wh) == (12_345_678.0, 654_321.0)
        assert house.device.about.serial == "V-0042"

    with_device(Peer((203, METER)), story, options=Options(connection_point=True))


def test_a_meter_that_is_mounted_the_other_way_round_is_turned_with_its_counters() -> None:
    async def story(house: House) -> None:
        state = house.state("meter")
        assert state.ac_measure.power_w == -1500.0
        assert (state.energy.energy_in_wh, state.energy.energy_out_wh) == (654_321.0, 12_345_678.0)

    with_device(Peer((203, METER)), story, options=Options(turned=True))


def test_a_meter_that_shows_import_as_negative_counts_it_as_import() -> None:
    async def story(house: House) -> None:
        state = house.state("meter")
        assert state.ac_measure.power_w == -1500.0
        assert state.energy.energy_in_wh == 12_345_678.0

    with_device(Peer((203, METER)), story, options=Options(power_turned=True))


def test_a_meter_whose_power_contradicts_its_counters_says_so() -> None:
    peer = Peer((203, METER | {"W": -6000}))
    wh = float(METER["TotWhImp"])

    def step(dt_s: float) -> None:
        nonlocal wh
        wh += 6000 * dt_s / 3600
        peer.set(203, TotWhImp=int(wh))

    async def story(house: House) -> None:
        await house.clock.sleep(90)
        assert house.state("meter").fault.codes == ["power_contradicts_counters"]

    with_device(peer, story, step=step)


def test_an_inverter_that_produces_is_negative_and_its_strings_hang_behind_it() -> None:
    async def story(house: House) -> None:
        assert house.state("inverter").ac_measure.power_w == -3000.0
        assert house.state("inverter").produce.available_w == 3000.0
        assert house.state("string_1").dc_measure.power_w == -1800.0
        assert house.state("string_2").energy.energy_out_wh == 3_000_000.0
        assert [one.upstream for one in house.device.elements] == [UNSET, "inverter", "inverter"]
        assert house.device.elements[1].capabilities.produce is UNSET

    with_device(Peer(*INVERTER), story)


def test_a_hybrid_tells_its_sun_at_the_strings_and_its_battery_apart() -> None:
    async def story(house: House) -> None:
        assert [one.id for one in house.device.elements] == ["inverter", "string_1", "battery"]
        assert house.state("battery").dc_measure.power_w == 2000.0
        assert house.state("battery").storage.soc_pct == 65.5
        assert house.state("string_1").produce.available_w == 5000.0
        assert house.state("inverter").produce is UNSET
        assert house.state("inverter").energy.energy_in_wh is None

    with_device(Peer(*HYBRID), story, options=Options(capacity_wh=10_000.0))


def test_what_an_inverter_does_not_implement_at_night_is_unknown_and_not_zero() -> None:
    peer = Peer(*INVERTER)
    peer.set(103, W=None, Hz=None, WH=None, St=2)

    async def story(house: House) -> None:
        state = house.state("inverter")
        assert (state.ac_measure.power_w, state.quality) == (None, "bad")
        assert state.energy.energy_out_wh is None
        assert state.produce.available_w == 0.0

    with_device(peer, story)


def test_a_scale_factor_that_was_read_wrong_makes_no_power_that_cannot_be() -> None:
    peer = Peer(*INVERTER)

    async def story(house: House) -> None:
        peer.set(103, W_SF=2)
        await house.clock.sleep(2)
        assert house.state("inverter").ac_measure.power_w is None

    with_device(peer, story)


def test_a_silent_device_is_stale_and_then_unknown_and_never_zero() -> None:
    peer, step = meter()
    told: list[tuple[object, object]] = []

    async def story(house: House) -> None:
        peer.silent = True
        for _ in range(60):
            await house.clock.sleep(0.1)
            state = house.state("meter")
            told.append((state.quality, state.ac_measure.power_w is None))
        peer.silent = False
        await house.clock.sleep(10)
        assert house.state("meter").quality is UNSET

    with_device(peer, story, step=step)
    seen = list(dict.fromkeys(told))
    assert seen == [(UNSET, False), ("stale", False), ("bad", True)]


def test_what_answers_is_never_older_than_its_report_says() -> None:
    peer, step = meter()

    async def story(house: House) -> None:
        for _ in range(100):
            await house.clock.sleep(0.1)
            assert house.state("meter").quality is UNSET

    with_device(peer, story, step=step)


def test_a_silent_device_is_asked_ever_more_rarely() -> None:
    peer, _ = meter()

    async def story(house: House) -> None:
        peer.silent = True
        await house.clock.sleep(900)
        asked = [at for at in house.wire.asked_s if at > 600]
        assert 4 <= len(asked) <= 6
        peer.silent = False
        await house.clock.sleep(61)
        assert house.state("meter").quality is UNSET

    with_device(peer, story)


def test_three_that_hang_delay_no_other() -> None:
    ill = [meter()[0] for _ in range(3)]
    well, _ = meter()

    async def main(clock: Clock) -> list[float]:
        wires = [Wire(peer, clock) for peer in (*ill, well)]
        devices = [SunSpecDevice(await find(wire), wire, clock) for wire in wires]
        for device in devices:
            await device.start()
        for peer in ill:
            peer.silent = True
        await clock.sleep(60)
        for device in devices:
            await device.stop()
        return wires[-1].asked_s

    asked = [at for at in run(main) if at > 1]
    assert max(after - before for before, after in pairwise(asked)) < 0.51


def test_models_side_by_side_are_read_in_few_requests_and_none_is_cut() -> None:
    peer = Peer(*INVERTER)

    async def story(house: House) -> None:
        peer.reads.clear()
        await house.clock.sleep(0.5)
        assert len(peer.reads) == 2
        assert all(count <= 125 for _, count in peer.reads)

    with_device(peer, story, options=Options(control=True))


def test_a_device_that_reads_no_further_than_a_model_is_asked_model_by_model() -> None:
    peer = Peer(*INVERTER)
    ends = {at + model.len for at, model in zip(peer.address.values(), peer.models, strict=True)}
    peer.refuses = lambda at, count: (
        ExcCodes.ILLEGAL_ADDRESS if any(at < end < at + count for end in ends) else None
    )

    async def story(house: House) -> None:
        await house.clock.sleep(5)
        assert house.state("inverter").ac_measure.power_w == -3000.0

    with_device(peer, story)


def test_another_device_at_the_address_is_not_believed() -> None:
    peer, _ = meter()

    async def story(house: House) -> None:
        peer.silent = True
        await house.clock.sleep(5)
        other = Peer((203, METER | {"W": 9}), common=COMMON | {"SN": "V-0043"})
        peer.registers[:] = other.registers
        peer.silent = False
        await house.clock.sleep(120)
        assert house.state("meter").ac_measure.power_w is None
        assert house.state("meter").fault.codes == ["read_failed"]

    with_device(peer, story)


def test_a_chain_that_changes_under_our_hands_is_not_read_as_before() -> None:
    peer = Peer((203, METER))

    async def story(house: House) -> None:
        at = peer.address[203, 0] - peer.base
        peer.registers[at] = 204
        await house.clock.sleep(5)
        assert house.state("meter").ac_measure.power_w is None

    with_device(peer, story)


def test_an_inverter_that_sleeps_when_its_adapter_starts_is_there_and_unknown(tmp_path: Path) -> None:
    peer, step = inverter()

    async def story(house: House) -> None:
        await house.clock.sleep(1)

    with_device(peer, story, step=step, directory=tmp_path)
    assert load(tmp_path) is not None
    peer.silent = True

    async def again(clock: Clock) -> tuple[SunSpecDevice, float | None]:
        wire = Wire(peer, clock)
        device = SunSpecDevice(await find_or_remember(wire, tmp_path), wire, clock)
        await device.start()
        await device.stop()
        return device, device.measured_at_s("inverter")

    device, measured_at_s = run(again)
    assert device.elements[0].id == "inverter"
    assert measured_at_s is None


def test_a_device_that_never_answered_is_not_invented(tmp_path: Path) -> None:
    peer, _ = inverter()
    peer.silent = True
    with pytest.raises(TimedOut):
        run(lambda clock: find_or_remember(Wire(peer, clock), tmp_path))


def test_a_directory_belongs_to_one_device(tmp_path: Path) -> None:
    run(lambda clock: find_or_remember(Wire(Peer((203, METER)), clock), tmp_path))
    other = Peer((203, METER), common=COMMON | {"SN": "V-0043"})
    with pytest.raises(ConfigError, match="V-0043"):
        run(lambda clock: find_or_remember(Wire(other, clock), tmp_path))


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_the_mark_is_looked_for_where_it_may_stand(base: int) -> None:
    placed = run(lambda clock: walk(Wire(Peer((203, METER), base=base), clock)))
    assert [one.id for one in placed] == [1, 203]


def test_what_has_no_mark_is_no_sunspec_device() -> None:
    peer = Peer((203, METER))
    peer.registers[0] = 0
    with pytest.raises(NotSunSpec, match="mark"):
        run(lambda clock: walk(Wire(peer, clock)))


def test_a_chain_without_an_end_is_read_as_far_as_it_goes() -> None:
    peer = Peer((203, METER))
    del peer.registers[-2:]
    assert len(run(lambda clock: walk(Wire(peer, clock)))) == 2


def test_only_what_a_person_turned_on_is_commanded() -> None:
    peer = Peer(*BATTERY)

    async def story(house: House) -> None:
        assert house.device.elements[0].capabilities.setpoint is UNSET
        assert house.lease("battery", power_w=1000.0) == "refused"
        await house.clock.sleep(5)

    with_device(peer, story)
    assert peer.writes == []


def test_control_of_what_takes_no_commands_is_refused_by_name() -> None:
    async def story(house: House) -> None:
        pass

    with pytest.raises(ConfigError, match="control"):
        with_device(Peer((203, METER)), story, options=Options(control=True))
