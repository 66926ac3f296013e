"""Commands: signs, order, timers, what is read back, and who else writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from pymodbus.constants import ExcCodes
from tests.adapters.devices import BATTERY, INVERTER, battery, inverter
from tests.adapters.peer import Peer, Values
from tests.adapters.wire import House, with_device

from ores.adapters.sunspec.control import TIMER_S, PercentLimit, toward_zero
from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.image import Image, Options
from ores.adapters.sunspec.walk import Placed
from ores.model import Limits
from ores.module import Ceilings, Effective, Saved

CONTROL = Options(control=True)


def written(peer: Peer, number: int) -> list[str]:
    """Names of the points of a model that were written, in order."""
    begin = peer.address[number, 0]
    by_place = {begin + point.at: name for name, point in definitions()[number].points.items()}
    return [
        by_place[at + more]
        for at, values in peer.writes
        for more in range(len(values))
        if at + more in by_place
    ]


def test_a_battery_that_is_to_charge_gets_a_negative_set_point() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        assert house.lease("battery", power_w=1000.0) == "applied"
        await house.clock.sleep(2)
        assert peer.get(704, "WSet") == -1000
        assert house.state("battery").ac_measure.power_w == 1000.0
        house.lease("battery", power_w=-1500.0)
        await house.clock.sleep(2)
        assert house.state("battery").ac_measure.power_w == -1500.0

    with_device(peer, story, step=step, options=CONTROL)


def test_the_switch_comes_last_and_the_timer_before_it() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        peer.writes.clear()
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(1)
        names = written(peer, 704)
        assert names[-1] == "WSetEna"
        assert names.index("WSet") < names.index("WSetRvrtTms") < names.index("WSetEna")
        assert peer.get(704, "WSetRvrtTms") == TIMER_S
        assert peer.get(704, "WSetMod") == 1

    with_device(peer, story, step=step, options=CONTROL)


def test_a_command_is_renewed_long_before_the_device_would_end_it() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        least = float(TIMER_S)
        for _ in range(20):
            house.lease("battery", power_w=1000.0)
            await house.clock.sleep(10)
            least = min(least, float(peer.get(704, "WSetRvrtRem")))
            assert house.state("battery").ac_measure.power_w == 1000.0
        assert least > TIMER_S / 2 - 2

    with_device(peer, story, step=step, options=CONTROL)


def test_a_command_ends_in_the_device_when_its_adapter_is_gone() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(2)
        await house.device._rounds.stop()
        await house.clock.sleep(TIMER_S + 1)
        assert (peer.get(704, "WSetEna"), peer.get(701, "W")) == (0, 0)

    with_device(peer, story, step=step, options=CONTROL)


def test_when_the_lease_ends_the_battery_rests() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        house.lease("battery", ttl_s=5.0, power_w=1000.0)
        await house.clock.sleep(8)
        assert house.state("battery").ac_measure.power_w == 0.0

    with_device(peer, story, step=step, options=CONTROL)


def test_what_the_module_wanted_last_is_written_when_it_stops() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(2)

    with_device(peer, story, step=step, options=CONTROL)
    assert peer.get(704, "WSet") == 0


def test_an_adapter_that_stops_right_after_a_write_does_not_take_the_device_for_idle() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("battery", power_w=1000.0)
        while peer.get(704, "WSet") != -1000:
            await house.clock.sleep(0.001)

    with_device(peer, story, step=step, options=CONTROL)
    assert peer.get(704, "WSet") == 0


def test_a_write_that_the_device_does_not_keep_is_not_believed() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        peer.keeps = lambda _address: False
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(3)
        state = house.state("battery")
        assert state.fault.codes == ["command_not_taken"]
        assert state.setpoint.power_w is None
        assert house.lease("battery", power_w=1000.0) == "refused"
        tries = len(peer.writes)
        await house.clock.sleep(60)
        assert len(peer.writes) - tries < 40  # and it is not hammered
        peer.keeps = lambda _address: True
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(62)
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(2)
        assert house.state("battery").fault is UNSET
        assert house.state("battery").setpoint.power_w == 1000.0

    with_device(peer, story, step=step, options=CONTROL)


def test_a_device_that_refuses_to_be_written_is_said_to_refuse() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        peer.refuses = lambda at, count: ExcCodes.ILLEGAL_VALUE if count < 5 else None
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(3)
        assert house.state("battery").ac_measure.power_w == 0.0
        assert house.state("battery").fault.codes == ["command_not_taken"]

    with_device(peer, story, step=step, options=CONTROL)


def test_a_silent_device_takes_no_commands() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        peer.silent = True
        await house.clock.sleep(10)
        assert house.lease("battery", power_w=1000.0) == "refused"
        assert house.state("battery").setpoint.power_w is None

    with_device(peer, story, step=step, options=CONTROL)


def test_what_somebody_else_has_changed_is_shown_and_put_right() -> None:
    peer, step = battery()

    async def story(house: House) -> None:
        house.lease("battery", power_w=1000.0)
        await house.clock.sleep(2)
        peer.set(704, WSet=4000)
        await house.clock.sleep(2)
        assert peer.get(704, "WSet") == -1000
        assert house.state("battery").fault.codes == ["command_overridden"]
        await house.clock.sleep(60)
        assert house.state("battery").fault is UNSET

    with_device(peer, story, step=step, options=CONTROL)


def test_a_device_that_is_switched_to_local_says_who_decides() -> None:
    peer = Peer(*BATTERY, (715, {"LocRemCtl": 1, "DERHb": 0}))

    async def story(house: House) -> None:
        assert house.module.state().control_source == "local"

    with_device(peer, story, options=CONTROL)


def test_an_inverter_is_limited_in_percent_of_its_setting_and_freed_again() -> None:
    peer, step = inverter()

    async def story(house: House) -> None:
        house.lease("inverter", ttl_s=5.0, produce_max_w=1001.0)
        await house.clock.sleep(2)
        assert (peer.get(123, "WMaxLimPct"), peer.get(123, "WMaxLim_Ena")) == (125, 1)
        assert peer.get(123, "WMaxLimPct_RvrtTms") == TIMER_S
        state = house.state("inverter")
        assert -1001.0 <= state.ac_measure.power_w < -950.0
        assert state.produce.available_w is None
        await house.clock.sleep(6)
        assert peer.get(123, "WMaxLim_Ena") == 0
        assert house.state("inverter").ac_measure.power_w == -3000.0

    with_device(peer, story, step=step, options=CONTROL)


def test_a_limit_of_nothing_is_reached() -> None:
    peer, step = inverter()

    async def story(house: House) -> None:
        house.lease("inverter", produce_max_w=0.0)
        await house.clock.sleep(2)
        assert house.state("inverter").ac_measure.power_w == 0.0

    with_device(peer, story, step=step, options=CONTROL)


DER: tuple[tuple[int, Values], ...] = tuple(one for one in BATTERY if one[0] != 713)


def test_the_failsafe_limit_stands_in_the_device_for_when_its_adapter_is_gone() -> None:
    peer = Peer(*DER)

    async def story(house: House) -> None:
        house.lease("inverter", produce_max_w=500.0)
        await house.clock.sleep(2)
        assert (peer.get(704, "WMaxLimPct"), peer.get(704, "WMaxLimPctEna")) == (100, 1)
        assert (peer.get(704, "WMaxLimPctRvrt"), peer.get(704, "WMaxLimPctEnaRvrt")) == (300, 1)
        assert peer.get(704, "WMaxLimPctRvrtTms") == TIMER_S

    saved = Saved(failsafe={"inverter": Limits(produce_max_w=1500.0)}, clean=True)
    with_device(peer, story, options=CONTROL, saved=saved)


def test_a_store_that_would_keep_its_last_command_for_ever_gets_no_set_points() -> None:
    models = [(number, dict(values)) for number, values in BATTERY]
    next(values for number, values in models if number == 704).pop("WSetRvrtTms")

    async def story(house: House) -> None:
        pass

    with pytest.raises(Exception, match="takes no commands"):
        with_device(Peer(*models), story, options=CONTROL)


def test_an_inverter_without_a_timer_is_limited_and_said_to_have_none(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = [(number, dict(values)) for number, values in INVERTER]
    next(values for number, values in models if number == 123).pop("WMaxLimPct_RvrtTms")
    peer = Peer(*models)

    async def story(house: House) -> None:
        house.lease("inverter", produce_max_w=1000.0)
        await house.clock.sleep(2)
        assert (peer.get(123, "WMaxLimPct"), peer.get(123, "WMaxLim_Ena")) == (125, 1)
        assert house.state("inverter").fault is UNSET

    with_device(peer, story, options=CONTROL)
    assert "has no reversion timer" in caplog.text


@given(st.floats(0, 20_000), st.integers(100, 60_000), st.integers(-3, 0))
def test_percent_never_allow_more_than_the_limit(limit_w: float, most_w: int, scale: int) -> None:
    peer = Peer(
        (121, {"WMax": most_w, "WMax_SF": 0}),
        (123, {"WMaxLimPct": 0, "WMaxLimPct_SF": scale, "WMaxLim_Ena": 0, "WMaxLimPct_RvrtTms": 0}),
    )
    placed, registers = [], {}
    for (number, _), address in peer.address.items():
        model = next(one for one in peer.models if one.model_id == number)
        placed.append(Placed(number, address, model.len))
        registers[address] = peer.registers[address - peer.base : address - peer.base + model.len]
    image = Image(placed, registers)
    points = PercentLimit(123).wanted(image, Effective(produce_max_w=limit_w), Ceilings())[0].points
    if points["WMaxLim_Ena"] == 1:
        allowed_w = points["WMaxLimPct"] * 10.0**scale / 100 * most_w
        assert limit_w - 1.01 * most_w * 10.0**scale / 100 <= allowed_w <= limit_w * (1 + 1e-6) + 1e-3
    else:
        assert limit_w >= most_w * 0.999


@given(st.floats(-50_000, 50_000), st.integers(-2, 2))
def test_a_set_point_is_never_rounded_to_more_than_was_asked(power_w: float, scale: int) -> None:
    raw = toward_zero(power_w, scale)
    assert abs(raw) * 10.0**scale <= abs(power_w) * (1 + 1e-9) + 1e-6
    assert abs(raw * 10.0**scale - power_w) <= 10.0**scale * 1.001


def test_a_renewal_with_nothing_new_writes_nothing_for_half_a_timer() -> None:
    peer, step = inverter()

    async def story(house: House) -> None:
        house.lease("inverter", produce_max_w=1000.0)
        await house.clock.sleep(2)
        peer.writes.clear()
        for _ in range(5):
            await house.clock.sleep(5)
            house.lease("inverter", produce_max_w=1000.0)
        assert peer.writes == []

    with_device(peer, story, step=step, options=CONTROL)


def test_an_inverter_that_is_free_already_is_not_written_to() -> None:
    peer = Peer(*INVERTER)

    async def story(house: House) -> None:
        await house.clock.sleep(90)

    with_device(peer, story, options=CONTROL)
    assert peer.writes == []


def limited(number: int, models: tuple[tuple[int, Values], ...], **points: object) -> Peer:
    """A device that somebody has limited before we came."""
    peer = Peer(*models)
    peer.set(number, **points)
    return peer


def test_a_limit_that_an_installer_has_set_is_not_lifted_because_nobody_asks() -> None:
    peer = limited(123, INVERTER, WMaxLim_Ena=1, WMaxLimPct=700)

    async def story(house: House) -> None:
        await house.clock.sleep(40)
        house.lease("inverter")
        await house.clock.sleep(40)

    with_device(peer, story, options=CONTROL)
    assert peer.writes == []


def test_a_limit_that_was_asked_for_is_lifted_once_and_then_its_owners() -> None:
    peer, step = inverter()

    async def story(house: House) -> None:
        house.lease("inverter", ttl_s=5.0, produce_max_w=1000.0)
        await house.clock.sleep(10)
        assert peer.get(123, "WMaxLim_Ena") == 0
        peer.set(123, WMaxLim_Ena=1, WMaxLimPct=700, WMaxLimPct_RvrtTms=0)
        peer.on_write()  # its timer is off
        peer.writes.clear()
        await house.clock.sleep(80)

    with_device(peer, story, step=step, options=CONTROL)
    assert peer.writes == []


def test_a_limit_that_is_left_of_an_adapter_that_is_gone_is_lifted() -> None:
    peer = limited(704, DER, WMaxLimPctEna=1, WMaxLimPct=300, WMaxLimPctRvrtTms=TIMER_S)

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        assert peer.get(704, "WMaxLimPctEna") == 0

    with_device(peer, story, options=CONTROL)
