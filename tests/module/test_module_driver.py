"""Drivers fail in their own ways; the module and its other elements do not."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest
from msgspec import UNSET

from ores.link.errors import ConfigError
from ores.model import (
    AcMeasure,
    AcTerminal,
    ElementState,
    Energy,
    Fault,
    LimitState,
    SetpointState,
    Storage,
    Switch,
)
from ores.module import About, Module, setpoint


@pytest.fixture
def two(things):
    """A bench with two batteries in one module, of which the first gets into trouble."""
    bench = things.Bench(things.Battery(things.battery_element("sick"), things.battery_element("well")))
    bench.device = bench.module.device
    return bench


def test_an_exception_makes_one_element_unknown_and_harms_no_other(two):
    two.device.fail_read = OSError("no answer on the bus")
    two.clock.move(1.0)
    sick, well = two.state.elements["sick"], two.state.elements["well"]
    assert (sick.ac_measure.power_w, sick.storage.soc_pct, sick.quality) == (None, None, "bad")
    assert sick.fault.codes == ["read_failed"]
    assert (well.ac_measure.power_w, well.storage.soc_pct, well.fault) == (0.0, 50.0, msgspec.UNSET)
    two.device.fail_read = None
    two.clock.move(2.0)
    assert two.state.elements["sick"].ac_measure.power_w == 0.0
    assert two.state.elements["sick"].fault is msgspec.UNSET


@pytest.mark.parametrize("wrong", [nan, inf, -inf, 2e6, "many", None])
def test_a_power_that_is_no_number_is_unknown_and_never_zero(two, wrong):
    reading = ElementState(
        ac_measure=AcMeasure(power_w=wrong, frequency_hz=50.0), storage=Storage(soc_pct=40.0)
    )
    two.device.readings["sick"] = reading
    two.clock.move(1.0)
    sick = two.state.elements["sick"]
    assert (sick.ac_measure.power_w, sick.ac_measure.frequency_hz, sick.storage.soc_pct) == (None, 50.0, 40.0)
    if wrong is not None:
        assert (sick.quality, sick.fault.codes) == ("bad", ["read_invalid"])
    assert two.state.elements["well"].quality is msgspec.UNSET


def test_an_unsound_value_that_cannot_be_unknown_takes_its_capability_along(two):
    two.device.readings["sick"] = ElementState(
        ac_measure=AcMeasure(power_w=1.0, terminals={"L1": AcTerminal(power_w=nan, voltage_v=9e9)}),
        limit=LimitState(consume_max_w=nan),
        storage=Storage(soc_pct=140.0),
    )
    two.clock.move(1.0)
    sick = two.state.elements["sick"]
    assert sick.storage.soc_pct is None
    assert sick.limit.consume_max_w == 5000.0
    assert sick.quality == "bad"


@pytest.mark.parametrize("reading", [None, {"ac_measure": 1}, ElementState(ac_measure=object()), 7])
def test_a_reading_that_is_none_at_all_makes_the_element_unknown(two, reading):
    two.device.readings["sick"] = reading
    two.clock.move(1.0)
    assert two.state.elements["sick"].fault.codes == ["read_failed"]
    assert two.state.elements["sick"].ac_measure.power_w is None


def test_a_device_that_narrows_itself_says_why_and_its_setpoint_follows(two):
    two.send({"well": setpoint(3000.0)}, ttl_s=60.0)
    two.device.readings["well"] = ElementState(
        ac_measure=AcMeasure(power_w=3000.0),
        limit=LimitState(consume_max_w=1000.0, limited_by="temperature"),
        setpoint=SetpointState(consume_max_w=900.0, produce_max_w=None),
    )
    two.clock.move(1.0)
    well = two.state.elements["well"]
    assert (well.limit.consume_max_w, well.limit.limited_by) == (1000.0, "temperature")
    assert (well.setpoint.power_w, well.setpoint.consume_max_w, well.setpoint.produce_max_w) == (
        900.0,
        900.0,
        4000.0,
    )
    assert two.device.told.power_w == 900.0


def test_faults_of_the_device_stand_beside_those_of_driving_it(two):
    two.device.readings["sick"] = ElementState(
        ac_measure=AcMeasure(power_w=nan), fault=Fault(codes=["overheated"], latched=True)
    )
    two.clock.move(1.0)
    fault = two.state.elements["sick"].fault
    assert (fault.codes, fault.latched) == (["overheated", "read_invalid"], True)
    faults = msgspec.json.decode(two.ask("GET", "/faults").body)
    assert faults == {"elements": {"sick": {"codes": ["overheated", "read_invalid"], "latched": True}}}


def test_a_policy_that_fails_leaves_the_module_idle(things):
    def broken(situation):
        raise ZeroDivisionError

    bench = things.Bench(things.Battery(), policies={"broken": broken})
    assert bench.module.device.told.power_w == 0.0
    assert bench.state.elements["battery"].fault.codes == ["policy_failed"]


@pytest.mark.parametrize("power_w", [nan])
def test_a_policy_that_asks_for_no_number_leaves_the_module_idle(things, power_w):
    bench = things.Bench(
        things.Battery(), policies={"broken": lambda situation: {"battery": setpoint(power_w)}}
    )
    assert bench.module.device.told.power_w == 0.0


def test_a_policy_may_keep_and_change_its_own_answer(things):
    answer = {}

    def growing(situation):
        answer["battery"] = setpoint(situation.readings["battery"].ac_measure.power_w + 100.0)
        return answer

    bench = things.Bench(things.Battery(), policies={"growing": growing})
    bench.clock.move(3.0)
    assert [command.power_w for _, command in bench.module.device.applied] == [100.0, 200.0, 300.0, 400.0]


def test_defaults_for_what_there_is_not_are_found_at_the_start(things):
    with pytest.raises(ConfigError, match="roof"):
        things.Bench(things.Battery(), defaults={"roof": setpoint(0.0)})


def test_energy_is_counted_for_a_device_that_only_knows_power(things):
    battery = things.Battery()
    bench = things.Bench(battery, policies={"free": lambda situation: {}})
    battery.power_w = 3600.0
    bench.clock.move(1.0)
    bench.clock.move(11.0)
    energy = bench.state.elements["battery"].energy
    assert (energy.energy_in_wh, energy.energy_out_wh) == pytest.approx((10.5, 0.0))


def test_what_flows_while_power_is_unknown_is_not_guessed(things):
    battery = things.Battery()
    battery.power_w = 3600.0
    bench = things.Bench(battery, policies={"free": lambda situation: {}})
    bench.clock.move(1.0)
    battery.power_w = None
    bench.clock.move(100.0)
    battery.power_w = 3600.0
    bench.clock.move(102.0)
    assert bench.state.elements["battery"].energy.energy_in_wh == pytest.approx(2.0)


def test_a_device_that_counts_energy_itself_is_believed(two):
    own = Energy(energy_in_wh=7.0, energy_out_wh=8.0, counter_epoch=3)
    two.device.readings["well"] = ElementState(ac_measure=AcMeasure(power_w=0.0), energy=own)
    two.clock.move(1.0)
    assert two.state.elements["well"].energy == own


def test_a_jump_is_told_at_once_and_at_most_ten_times_a_second(things):
    battery = things.Battery()
    bench = things.Bench(battery, policies={"free": lambda situation: {}}, notable_w=50.0)
    before = len(bench.states())
    bench.clock.move(0.5)
    for at_s in (0.51, 0.52, 0.53, 0.58):
        bench.clock.move(at_s)
        battery.power_w = at_s * 1e4
        bench.module.changed()
    bench.clock.move(0.99)
    told = bench.states()[before:]
    assert [state.uptime_ms for state in told] == [510, 610]
    assert told[-1].elements["battery"].ac_measure.power_w == 5800.0


def test_a_device_that_notices_changes_itself_is_told_whom_to_call(things):
    class Meter(things.Battery):
        def tell(self, changed):
            self.changed = changed

    meter = Meter()
    bench = things.Bench(meter, policies={"free": lambda situation: {}})
    bench.clock.move(0.5)
    meter.power_w = 3000.0
    meter.changed()
    assert (bench.state.uptime_ms, bench.state.elements["battery"].ac_measure.power_w) == (500, 3000.0)


def test_a_device_may_have_news_in_the_moment_in_which_it_learns_whom_to_call(things):
    class Eager(things.Battery):
        def tell(self, changed):
            changed()

    bench = things.Bench(Eager())
    assert bench.state.uptime_ms == 0
    assert len(bench.states()) == 1


def test_a_small_change_waits_for_its_period(things):
    battery = things.Battery()
    bench = things.Bench(battery, policies={"free": lambda situation: {}}, notable_w=50.0)
    bench.clock.move(0.5)
    battery.power_w = 49.0
    bench.module.changed()
    assert bench.state.uptime_ms == 0


def test_a_switch_that_moves_is_told_at_once(two):
    two.clock.move(0.5)
    two.device.readings["sick"] = ElementState(ac_measure=AcMeasure(power_w=0.0), switch=Switch(closed=False))
    two.module.changed()
    assert two.state.uptime_ms == 500


def test_a_device_that_promises_commands_must_take_them(things):
    class Deaf:
        elements = (things.battery_element(),)

        def read(self, element):
            return ElementState()

    about = About(name="a", maker="b", model="c", serial="d")
    with pytest.raises(ConfigError, match="no `apply`"):
        Module(Deaf(), about, module_id="m" * 26, clock=things.HandClock())


def test_what_a_driver_leaves_out_is_unknown_and_not_gone(things):
    bench = things.Bench(things.Battery())
    bench.module.device.readings["battery"] = ElementState()
    bench.clock.move(1.0)
    told = bench.state.elements["battery"]
    assert told.ac_measure.power_w is None
    assert told.storage.soc_pct is None
    assert told.energy.energy_in_wh is not None, "the module counts"
    assert told.quality is UNSET


def test_counters_that_a_driver_leaves_out_once_are_unknown_and_do_not_begin_anew(things):
    bench = things.Bench(things.Battery())
    whole = ElementState(
        ac_measure=AcMeasure(power_w=1.0),
        storage=Storage(soc_pct=50.0),
        energy=Energy(energy_in_wh=7.0, energy_out_wh=8.0, counter_epoch=3),
    )
    bench.module.device.readings["battery"] = whole
    bench.clock.move(1.0)
    bench.module.device.readings["battery"] = msgspec.structs.replace(whole, energy=UNSET)
    bench.clock.move(2.0)
    assert bench.state.elements["battery"].energy == Energy(
        energy_in_wh=None, energy_out_wh=None, counter_epoch=3
    )


class Knob:
    """A battery with a knob on its front."""

    def __init__(self, battery):
        self._battery = battery
        self.elements = battery.elements
        self.says = None
        self.news = None

    def read(self, element):
        return self._battery.read(element)

    def apply(self, element, command):
        return self._battery.apply(element, command)

    def tell(self, changed):
        self.news = changed

    def taken_over(self):
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.mark.parametrize("who", ["local", "protection"])
def test_a_hand_at_the_device_or_its_protection_is_said_at_once_and_the_lease_runs_on(things, who):
    device = Knob(things.Battery())
    bench = things.Bench(device)
    bench.send({"battery": setpoint(1000.0)}, ttl_s=10.0)
    bench.clock.move(1.5)
    device.says = who
    device.news()
    assert bench.state.control_source == who
    assert bench.state.lease.expires_in_s == 8.5
    device.says = None
    bench.clock.move(2.0)
    assert bench.state.control_source == "lease"


@pytest.mark.parametrize("says", ["somebody", 7, ["local"], OSError("no answer")])
def test_a_device_that_cannot_say_who_decides_is_a_fault_and_no_more(things, says):
    device = Knob(things.Battery())
    bench = things.Bench(device)
    device.says = says
    bench.clock.move(1.0)
    assert bench.state.control_source == "policy"
    assert bench.state.elements["battery"].fault.codes == ["control_source_invalid"]
    device.says = None
    bench.clock.move(2.0)
    assert bench.state.elements["battery"].fault is UNSET
