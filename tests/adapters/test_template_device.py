"""A device by its template over time: refusals, silence, another one in its place, restarts, a turned one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from msgspec import UNSET
from tests.adapters.image import Image, ImageWire
from tests.adapters.template_house import with_template
from tests.adapters.wire import House, run

from ores.adapters.modbus import Rejected
from ores.adapters.templates.answers import Answers, parsed
from ores.adapters.templates.device import TemplateDevice, profiles
from ores.adapters.templates.found import NotThisDevice, find, find_or_remember
from ores.adapters.templates.parse import names, shipped
from ores.link.clock import Clock
from ores.link.errors import ConfigError, TimedOut
from ores.module.description import check_elements

T = TypeVar("T")


def with_device(
    image: Image,
    story: Callable[[TemplateDevice, Clock], Awaitable[T]],
    *,
    directory: Path | None = None,
    **said: object,
) -> T:
    """The device alone, without a module."""
    template = shipped(image.name)

    async def main(clock: Clock) -> T:
        wire = ImageWire(image, clock)
        answers = msgspec.convert({"given": parsed(template, image.answers), **said}, Answers)
        if directory is None:
            found = await find(template, wire, clock)
        else:
            found = await find_or_remember(template, wire, clock, directory)
        device = TemplateDevice(template, found, wire, clock, answers=answers, directory=directory)
        check_elements(device.elements)
        await device.start()
        try:
            return await story(device, clock)
        finally:
            await device.stop()

    return run(main)


def power_w(image: Image, **said: object) -> float | None:
    async def story(device: TemplateDevice, _clock: Clock) -> float | None:
        return device.read(device.elements[0].id).ac_measure.power_w

    return with_device(image, story, **said)


def test_a_point_that_some_devices_refuse_is_not_known_and_asked_for_once() -> None:
    image = Image("sungrow-sh")
    image.refused = set(range(5725, 5727))

    async def story(device: TemplateDevice, clock: Clock) -> None:
        assert device.read("backup_port").ac_measure.power_w is None
        assert device.read("backup_port").quality == "bad"
        assert device.read("inverter").ac_measure.power_w == -2650
        before = [read for read in image.reads if read[1] <= 5725 < read[1] + read[2]]
        await clock.sleep(10)
        after = [read for read in image.reads if read[1] <= 5725 < read[1] + read[2]]
        assert len(after) == len(before)

    with_device(image, story)


def test_a_point_that_was_refused_is_asked_for_again_some_day() -> None:
    image = Image("sungrow-sh")
    image.refused = set(range(5725, 5727))

    async def story(device: TemplateDevice, clock: Clock) -> None:
        image.refused = set()
        await clock.sleep(600)
        assert device.read("backup_port").ac_measure.power_w == -350

    with_device(image, story)


def test_nobody_at_the_address_of_a_device_that_cannot_be_told_from_others_is_told() -> None:
    image = Image("eastron-sdm120")
    image.silent = True
    with pytest.raises(TimedOut):
        power_w(image)


def test_a_device_that_refuses_holes_is_read_without_them() -> None:
    image = Image("goodwe-et")
    known = set(image.tables["holding"])
    image.refused = set(range(35000, 37100)) - known

    async def story(device: TemplateDevice, clock: Clock) -> None:
        assert device.read("meter").ac_measure.power_w == -2300
        count = len(image.reads)
        await clock.sleep(1.2)
        assert 0 < len(image.reads) - count <= 30
        assert all(set(range(at, at + size)) <= known for _, at, size in image.reads[count:])

    with_device(image, story)


def test_a_device_that_is_busy_has_not_lost_its_points() -> None:
    image = Image("sungrow-sh")

    class Busy(ImageWire):
        async def read_input(self, address: int, count: int) -> list[int]:
            if image.silent and address <= 5725 < address + count:
                raise Rejected("busy", 6)
            return await super()._read("input", address, count)

        async def _ask(self) -> None:
            await self.clock.sleep(0.01)

    async def main(clock: Clock) -> None:
        template, wire = shipped("sungrow-sh"), Busy(image, clock)
        device = TemplateDevice(template, await find(template, wire, clock), wire, clock)
        await device.start()
        image.silent = True
        await clock.sleep(1.5)
        age_s = clock.now() - device.measured_at_s("backup_port")
        image.silent = False
        await clock.sleep(5)
        assert age_s > 0.9
        assert clock.now() - device.measured_at_s("backup_port") < 1.5
        assert device.read("backup_port").ac_measure.power_w == -350
        await device.stop()

    run(main)


def test_another_device_in_its_place_is_not_believed() -> None:
    image = Image("carlo-gavazzi-em24")

    async def story(device: TemplateDevice, clock: Clock) -> None:
        image.silent = True
        await clock.sleep(5)
        image.silent = False
        image.set("holding", 0x5000, "text 7 KV9999999999A")
        image.set("holding", 0x0028, "i32 low 70000")
        last_s = device.measured_at_s("meter")
        await clock.sleep(120)
        assert device.measured_at_s("meter") == last_s
        assert device.read("meter").ac_measure.power_w == 934.5
        image.set("holding", 0x5000, "text 7 KV1234567890A")
        await clock.sleep(70)
        assert device.read("meter").ac_measure.power_w == 7000

    with_device(image, story)


def test_a_device_with_another_wiring_has_to_begin_anew() -> None:
    image = Image("carlo-gavazzi-em24")

    async def story(device: TemplateDevice, clock: Clock) -> None:
        image.silent = True
        await clock.sleep(5)
        image.silent = False
        image.set("holding", 0x1002, 3)
        last_s = device.measured_at_s("meter")
        await clock.sleep(70)
        assert device.measured_at_s("meter") == last_s

    with_device(image, story)


def test_a_device_whose_ratings_have_changed_is_read_on() -> None:
    image = Image("my-pv-ac-elwa-2")

    async def story(device: TemplateDevice, clock: Clock) -> None:
        image.silent = True
        await clock.sleep(5)
        image.silent = False
        image.set("holding", 1002, 600)  # its owner wants the water less hot
        image.set("holding", 1000, 1600)
        await clock.sleep(70)
        assert device.read("heater").ac_measure.power_w == 1600

    with_device(image, story)


def test_what_is_none_of_these_is_told() -> None:
    image = Image("carlo-gavazzi-em24")
    image.set("holding", 0x000B, 7)

    async def main(clock: Clock) -> None:
        with pytest.raises(NotThisDevice, match="this is no Carlo Gavazzi EM24 Ethernet: code is 7"):
            await find(shipped("carlo-gavazzi-em24"), ImageWire(image, clock), clock)

    run(main)


def test_a_device_that_sleeps_at_the_start_is_there_and_unknown(tmp_path: Path) -> None:
    image = Image("carlo-gavazzi-em24")

    async def nothing(_device: TemplateDevice, _clock: Clock) -> None:
        pass

    image.silent = True
    with pytest.raises(TimedOut):
        with_device(image, nothing, directory=tmp_path)
    image.silent = False
    with_device(image, nothing, directory=tmp_path)
    image.silent = True

    async def story(device: TemplateDevice, clock: Clock) -> None:
        assert device.measured_at_s("meter") is None
        assert device.about.serial == "KV1234567890A"
        image.silent = False
        await clock.sleep(70)
        assert device.read("meter").ac_measure.power_w == 934.5

    with_device(image, story, directory=tmp_path)


def test_a_directory_belongs_to_one_device(tmp_path: Path) -> None:
    async def nothing(_device: TemplateDevice, _clock: Clock) -> None:
        pass

    with_device(Image("carlo-gavazzi-em24"), nothing, directory=tmp_path)
    other = Image("carlo-gavazzi-em24")
    other.set("holding", 0x5000, "text 7 KV9999999999A")
    with pytest.raises(ConfigError, match="KV9999999999A"):
        with_device(other, nothing, directory=tmp_path)
    with pytest.raises(ConfigError, match="directory of a carlo-gavazzi-em24"):
        with_device(Image("keba-p30"), nothing, directory=tmp_path)


def test_energy_of_the_time_between_is_there_after_a_restart_and_a_wrap_goes_on(tmp_path: Path) -> None:
    image = Image("sungrow-sh")
    image.set("input", 13036, "u32 low 0xFFFFFF00")

    async def told(device: TemplateDevice, _clock: Clock) -> tuple[float, int]:
        energy = device.read("meter").energy
        return energy.energy_in_wh, energy.counter_epoch

    before_wh, epoch = with_device(image, told, directory=tmp_path)
    image.set("input", 13036, "u32 low 0x100")
    after_wh, epoch_after = with_device(image, told, directory=tmp_path)
    assert after_wh - before_wh == 100 * 0x200
    assert epoch_after == epoch


def test_a_counter_that_was_read_wrong_once_is_not_passed_on() -> None:
    image = Image("eastron-sdm630")

    async def story(device: TemplateDevice, clock: Clock) -> None:
        before_wh = device.read("meter").energy.energy_in_wh
        image.set("input", 0x0048, "f32 0.5")
        await clock.sleep(0.6)
        assert device.read("meter").energy.energy_in_wh == before_wh
        image.set("input", 0x0048, "f32 1234.75")
        await clock.sleep(0.6)
        assert device.read("meter").energy.energy_in_wh == before_wh + 250

    with_device(image, story)


def test_a_turned_meter_is_turned_back() -> None:
    image = Image("eastron-sdm630")
    assert power_w(image) == 934.5
    assert power_w(image, turned=True) == -934.5
    assert power_w(image, power_turned=True) == -934.5
    assert power_w(image, turned=True, power_turned=True) == 934.5

    async def energy(device: TemplateDevice, _clock: Clock) -> tuple[float, float]:
        told = device.read("meter").energy
        return told.energy_in_wh, told.energy_out_wh

    assert with_device(image, energy, turned=True) == (321_250, 1_234_500)


def test_a_meter_whose_power_and_counters_disagree_says_so() -> None:
    image = Image("eastron-sdm630")

    async def story(device: TemplateDevice, clock: Clock) -> None:
        wh = 1_234_500.0
        for _ in range(600):
            image.set("input", 0x004A, f"f32 {(321_250 + (1_234_500 - wh)) / 1000}")
            await clock.sleep(1)
            wh -= 934.5 / 3600
        assert device.read("meter").fault.codes == ["power_contradicts_counters"]

    with_device(image, story)


def test_a_conductor_of_a_single_phase_is_told_by_a_person() -> None:
    async def terminals(device: TemplateDevice, _clock: Clock) -> object:
        return device.read("meter").ac_measure.terminals

    assert with_device(Image("eastron-sdm120"), terminals) is UNSET
    (line,) = with_device(Image("eastron-sdm120"), terminals, conductor="L2").items()
    assert (line[0], line[1].voltage_v) == ("L2", 229.5)


def test_conductors_that_do_not_come_to_the_whole_tell_no_power() -> None:
    image = Image("eastron-sdm630")
    image.set("input", 0x0010, "f32 3000")

    async def story(device: TemplateDevice, _clock: Clock) -> None:
        measure = device.read("meter").ac_measure
        assert measure.power_w == 934.5
        assert measure.terminals["L3"].power_w is UNSET
        assert measure.terminals["L3"].voltage_v == pytest.approx(229.9)

    with_device(image, story)


def test_an_option_that_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="connection-point"):
        power_w(Image("keba-p30"), connection_point=True)
    with pytest.raises(ConfigError, match="control"):
        power_w(Image("eastron-sdm630"), control=True)


def test_a_point_beyond_what_its_device_can_have_is_not_known() -> None:
    image = Image("sungrow-sh")
    image.set("input", 13033, "i32 low 25000")  # of a device of 10 kW
    assert power_w(image) is None


@pytest.mark.parametrize(
    ("name", "claimed"),
    [
        ("eastron-sdm630", ("meter",)),
        ("sungrow-sh", ("gateway", "hybrid", "meter")),
        ("huawei-sun2000", ("gateway", "meter")),
        ("alfen-eve", ("ev_charger",)),
        ("pylontech-force", ()),
    ],
)
def test_a_profile_is_claimed_where_its_core_is_there(name: str, claimed: tuple[str, ...]) -> None:
    async def story(device: TemplateDevice, _clock: Clock) -> None:
        assert device.about.profiles == claimed
        assert profiles(device.elements) == claimed

    control = bool(shipped(name).commands)
    with_device(Image(name), story, control=control)


def test_requests_are_as_far_apart_as_the_device_wants() -> None:
    image = Image("heidelberg-energy-control")
    asked_s: list[float] = []

    class Timed(ImageWire):
        async def _ask(self) -> None:
            asked_s.append(self.clock.now())
            await super()._ask()

    async def main(clock: Clock) -> None:
        template, wire = shipped(image.name), Timed(image, clock)
        device = TemplateDevice(template, await find(template, wire, clock), wire, clock)
        await device.start()
        await clock.sleep(5)
        await device.stop()

    run(main)
    apart_s = [after - before for before, after in pairwise(asked_s)]
    assert min(apart_s) >= 0.1


@pytest.mark.parametrize("name", names())
def test_every_device_is_a_module_of_which_a_hub_reads_all(name: str) -> None:
    image = Image(name)

    async def story(house: House) -> None:
        await house.clock.sleep(5)
        state = house.module.state()
        assert set(state.elements) == {one.id for one in house.device.elements}
        assert all(one.quality is UNSET or one.quality == "good" for one in state.elements.values())

    with_template(image, story, control=False)
    assert image.writes == []
