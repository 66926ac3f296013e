"""Commands by template: written, read back, renewed at half time, given up, within a budget."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import UNSET
from tests.adapters.image import Image
from tests.adapters.template_house import with_template
from tests.adapters.wire import House

from ores.adapters.orders import NOT_TAKEN, OVERRIDDEN
from ores.adapters.templates.found import load
from ores.adapters.templates.orders import SPENT
from ores.adapters.templates.parse import shipped
from ores.module import Ceilings

HEARTBEAT, COMMAND, POWER, MODE = 13079, 13050, 13051, 13049
LIMIT_ON, LIMIT_SHARE = 13088, 13089


def codes(house: House, element: str) -> list[str]:
    fault = house.state(element).fault
    return [] if fault is UNSET else list(fault.codes)


def test_nothing_is_written_until_the_owner_allows_it() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(120)
        assert house.lease("battery", power_w=1000) == "refused"

    with_template(image, story, control=False)
    assert image.writes == []


def test_a_set_point_is_written_read_back_and_followed() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        assert house.lease("battery", power_w=1500) == "applied"
        await house.clock.sleep(3)
        assert (image.get(MODE), image.get(COMMAND), image.get(POWER)) == (3, 0xAA, 1500)
        assert house.state("battery").dc_measure.power_w == pytest.approx(1500)
        assert house.lease("battery", power_w=-2000) == "applied"
        await house.clock.sleep(3)
        assert house.state("battery").dc_measure.power_w == pytest.approx(-2000)
        assert codes(house, "battery") == []

    with_template(image, story)


def test_a_set_point_ends_with_its_lease_and_the_device_goes_its_own_way() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("battery", ttl_s=5, power_w=1500)
        await house.clock.sleep(9)
        assert (image.get(MODE), image.get(COMMAND)) == (0, 0xCC)

    with_template(image, story)


def test_a_heartbeat_is_renewed_at_half_its_time_and_nothing_else_is() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        for _ in range(4):
            house.lease("battery", ttl_s=60, power_w=1500)
            await house.clock.sleep(50)

    with_template(image, story)
    beats = [values for address, values in image.writes if address == HEARTBEAT]
    assert len(beats) == pytest.approx(1 + 200 / 30, abs=1.5)
    assert len([1 for address, _ in image.writes if address == COMMAND]) <= 2


def test_a_dead_adapter_leaves_a_device_that_ends_the_command_itself() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("battery", ttl_s=300, power_w=-2000)
        await house.clock.sleep(3)
        image.silent = True  # nothing of the adapter gets through any more
        await house.clock.sleep(70)
        assert image.get(MODE) == 0

    with_template(image, story)


def test_a_device_that_does_not_keep_a_command_refuses_it() -> None:
    image = Image("sungrow-sh")
    image.keeps = lambda address: address != MODE

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("battery", ttl_s=300, power_w=1500)
        await house.clock.sleep(20)
        assert NOT_TAKEN in codes(house, "battery")
        image.keeps = lambda _address: True
        await house.clock.sleep(70)
        assert codes(house, "battery") == []
        assert image.get(MODE) == 3

    with_template(image, story)


def test_what_somebody_else_changes_is_said_and_put_right() -> None:
    image = Image("alfen-eve")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("evse", ttl_s=300, current_max_a=10)
        await house.clock.sleep(5)
        image.set("holding", 1210, "f32 16")
        await house.clock.sleep(3)
        assert OVERRIDDEN in codes(house, "evse")
        assert image.get(1210, "f32") == 10

    with_template(image, story)


def test_a_charger_is_limited_by_watts_and_amperes_and_paused_below_its_least() -> None:
    image = Image("alfen-eve")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("evse", ttl_s=60, consume_max_w=690 * 8.5)
        await house.clock.sleep(3)
        assert image.get(1210, "f32") == pytest.approx(8.5)
        house.lease("evse", ttl_s=60, consume_max_w=11_040, current_max_a=7)
        await house.clock.sleep(3)
        assert house.state("evse").ac_measure.power_w == pytest.approx(690 * 7)
        house.lease("evse", ttl_s=60, current_max_a=5)
        await house.clock.sleep(3)
        assert image.get(1210, "f32") == 0
        assert house.state("evse").ev.charging is False

    with_template(image, story)


def test_failsafe_limits_stand_in_a_device_that_can_keep_them() -> None:
    image = Image("heidelberg-energy-control")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.device.fall_back("evse", Ceilings(current_max_a=8.0))
        house.lease("evse", ttl_s=60, current_max_a=12)
        await house.clock.sleep(5)
        assert (image.get(257), image.get(261), image.get(262)) == (15_000, 120, 80)

    with_template(image, story)


def test_writes_to_flash_end_with_their_budget_and_a_restart_gives_no_other(tmp_path: Path) -> None:
    image = Image("sungrow-sh")
    most = shipped("sungrow-sh").points["limit_share"].writes_per_day
    allowed = most - most // 4

    async def story(house: House) -> None:
        for at in range(most + 10):
            await house.clock.sleep(4)
            house.lease("inverter", ttl_s=60, produce_max_w=3000 + 10 * at)
        await house.clock.sleep(4)
        assert SPENT in codes(house, "inverter")
        await house.clock.sleep(120)  # the lease has ended: for that there is still something left
        assert image.get(LIMIT_ON) == 0x55
        assert SPENT not in codes(house, "inverter")

    with_template(image, story, directory=tmp_path)
    assert len([1 for address, _ in image.writes if address == LIMIT_SHARE]) == allowed
    assert len(load(tmp_path).spent["limit_share"]) == allowed

    async def again(house: House) -> None:
        await house.clock.sleep(4)
        house.lease("inverter", ttl_s=60, produce_max_w=1234)
        await house.clock.sleep(4)
        assert SPENT in codes(house, "inverter")

    with_template(image, again, directory=tmp_path)
    assert image.get(LIMIT_SHARE) != 123


def test_a_limit_is_a_share_of_the_rating_rounded_towards_it_and_lifted_at_the_end() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("inverter", ttl_s=8, produce_max_w=2468)
        await house.clock.sleep(4)
        assert (image.get(LIMIT_ON), image.get(LIMIT_SHARE)) == (0xAA, 246)
        assert house.state("inverter").ac_measure.power_w >= -2468
        assert house.state("pv").produce.available_w is None
        await house.clock.sleep(10)
        assert image.get(LIMIT_ON) == 0x55
        assert house.state("pv").produce.available_w == 4200

    with_template(image, story)


def test_a_silent_device_is_stale_and_then_unknown_and_never_zero() -> None:
    image = Image("eastron-sdm630")

    async def story(house: House) -> None:
        await house.clock.sleep(3)
        assert house.state("meter").ac_measure.power_w > 1000
        image.silent = True
        seen = set()
        for _ in range(100):
            await house.clock.sleep(0.1)
            state = house.state("meter")
            seen.add((state.quality, state.ac_measure.power_w is None))
            assert state.ac_measure.power_w != 0
        assert ("stale", False) in seen
        assert ("bad", True) in seen

    with_template(image, story, control=False)


def test_a_stopped_adapter_leaves_the_failsafe_limit_where_nothing_ends_a_command() -> None:
    image = Image("sungrow-sh")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.device.fall_back("inverter", Ceilings(produce_max_w=5000.0))
        house.lease("inverter", ttl_s=60, produce_max_w=1000)
        await house.clock.sleep(5)

    with_template(image, story)
    assert (image.get(LIMIT_ON), image.get(LIMIT_SHARE)) == (0xAA, 500)


def test_a_charger_is_told_again_before_its_time_is_over() -> None:
    image = Image("alfen-eve")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("evse", ttl_s=600, current_max_a=9)
        await house.clock.sleep(5)
        for _ in range(150):
            await house.clock.sleep(1)
            assert house.state("evse").ac_measure.power_w == pytest.approx(690 * 9)

    with_template(image, story)
    assert len([1 for address, _ in image.writes if address == 1210]) <= 9


def test_a_limit_that_an_installer_has_set_is_not_lifted_because_nobody_asks() -> None:
    image = Image("sungrow-sh")
    image.set("holding", LIMIT_ON, 0xAA)
    image.set("holding", LIMIT_SHARE, 700)

    async def story(house: House) -> None:
        await house.clock.sleep(30)

    with_template(image, story)
    assert image.writes == []


def test_a_device_goes_its_own_way_until_it_is_asked_and_is_let_go_once() -> None:
    image = Image("sungrow-sh")
    image.set("holding", MODE, 2)  # its owner has forced it, by the maker's app
    image.set("holding", COMMAND, 0xAA)

    async def story(house: House) -> None:
        await house.clock.sleep(20)
        assert image.writes == []
        house.lease("battery", ttl_s=4, power_w=-1000)
        await house.clock.sleep(15)
        assert image.get(MODE) == 0
        image.set("holding", MODE, 2)
        count = len(image.writes)
        await house.clock.sleep(20)
        assert (image.get(MODE), len(image.writes)) == (2, count)

    with_template(image, story)


def test_the_power_of_the_strings_is_taken_off_where_the_grid_side_is_commanded() -> None:
    image = Image("solax-x-g4")

    def written() -> None:
        for at in (0x7C, 0x7E, 0x7F):  # the inverter shows elsewhere what it was told
            image.tables["input"][{0x7C: 0x100, 0x7E: 0x102, 0x7F: 0x103}[at]] = image.tables["holding"][at]

    image.on_write = written

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        assert house.lease("battery", ttl_s=60, power_w=1000) == "applied"
        await house.clock.sleep(10)
        assert image.writes == [(0x7C, [1, 1, (-4000) & 0xFFFF, 0xFFFF, 0, 0, 40])]
        assert codes(house, "battery") == []

    with_template(image, story, living=False)


def test_a_device_that_shows_nothing_of_it_is_told_however_often_the_amount_changes() -> None:
    image = Image("solax-x-g4")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        for at in range(20):
            house.lease("battery", ttl_s=60, power_w=1000 + 100 * at)
            await house.clock.sleep(1)
        assert NOT_TAKEN in codes(house, "battery")

    with_template(image, story, living=False)


def test_a_heater_gets_its_power_and_stops_when_nothing_is_asked() -> None:
    image = Image("my-pv-ac-elwa-2")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        assert house.lease("heater", ttl_s=20, power_w=1234) == "applied"
        await house.clock.sleep(3)
        assert image.get(1000) == 1234
        await house.clock.sleep(30)
        assert image.get(1000) == 0

    with_template(image, story)


def test_registers_that_take_function_six_are_written_one_by_one() -> None:
    image = Image("keba-p30")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.device.fall_back("evse", Ceilings(current_max_a=10.0))
        house.lease("evse", ttl_s=60, current_max_a=8)
        await house.clock.sleep(4)
        assert (image.get(5004), image.get(5014), image.get(5016), image.get(5018)) == (8000, 1, 10_000, 30)
        house.lease("evse", ttl_s=60, current_max_a=3)
        await house.clock.sleep(4)
        assert image.get(5014) == 0

    with_template(image, story)
    assert all(len(values) == 1 for _, values in image.writes)


def test_a_battery_is_charged_for_minutes_and_told_again_in_time() -> None:
    image = Image("huawei-sun2000")

    async def story(house: House) -> None:
        await house.clock.sleep(2)
        house.lease("battery", ttl_s=300, power_w=2500)
        await house.clock.sleep(3)
        assert (image.get(47100), image.get(47247, "u32"), image.get(47083)) == (1, 2500, 2)
        image.set("holding", 47100, 0)  # as at the end of its time
        await house.clock.sleep(3)
        assert image.get(47100) == 1
        house.lease("battery", ttl_s=300, power_w=-9999)
        await house.clock.sleep(4)
        assert (image.get(47100), image.get(47249, "u32")) == (2, 4800)

    with_template(image, story)
