"""Dangers: the module protects by itself, and only a person at the device says that it is over."""

from __future__ import annotations

import msgspec
import pytest

from ores.link.errors import ConfigError
from ores.model import (
    AcMeasure,
    ElementCommand,
    ElementState,
    Failsafe,
    Fault,
    FormGrid,
    FormGridCapability,
    HazardCapability,
    HazardInput,
    Isolate,
    IsolateCapability,
    Limits,
    Policy,
    Rating,
    Request,
    SetpointCapability,
    Switch,
    SwitchCapability,
    SwitchCommand,
)
from ores.module import MemoryStore, element, setpoint

WATCHED = HazardCapability(inputs=["smoke", "cell_overvoltage"])


def watched(things):
    """A battery that watches for dangers; a test raises them."""

    class Watched(things.Battery):
        def __init__(self, *elements):
            made = things.battery_element()
            able = msgspec.structs.replace(made.capabilities, hazard=WATCHED)
            super().__init__(*(elements or [msgspec.structs.replace(made, capabilities=able)]))
            self.dangers = set()
            self.blind = None

        def active_hazards(self, element):
            if self.blind is not None:
                raise self.blind
            return self.dangers

        def tell(self, changed):
            self.changed = changed

    return Watched()


def see(bench, battery, *dangers):
    """The device has news; a fifth of a second later, for it may have told its state just before."""
    bench.clock.move(bench.clock.now() + 0.2)
    battery.dangers = set(dangers)
    battery.changed()


def hazards(bench):
    return bench.module.state().elements["battery"].hazard.hazards


def test_all_is_well_is_said_and_not_left_out(things):
    bench = things.Bench(watched(things))
    assert hazards(bench) == {}


def test_smoke_takes_the_power_away_at_once_and_is_told(things):
    bench = things.Bench(battery := watched(things))
    bench.clock.move(1.0)
    bench.send({"battery": setpoint(2000.0)})
    bench.clock.move(1.5)
    told = len(bench.states())
    see(bench, battery, "smoke")
    assert battery.power_w == 0.0
    assert (battery.told.consume_max_w, battery.told.produce_max_w) == (0.0, 0.0)
    assert len(bench.states()) == told + 1
    state = bench.state
    assert state.control_source == "protection"
    of = state.elements["battery"]
    assert of.hazard.hazards == {"smoke": HazardInput(active=True, latched=True, for_s=0.0)}
    assert (of.limit.consume_max_w, of.limit.produce_max_w, of.limit.limited_by) == (0.0, 0.0, "protection")
    assert (of.setpoint.power_w, of.setpoint.consume_max_w) == (0.0, 0.0)


def test_what_is_over_stays_latched_and_no_message_changes_that(things):
    bench = things.Bench(battery := watched(things), restart=lambda: None)
    see(bench, battery, "smoke")
    bench.clock.move(3.0)
    see(bench, battery)
    bench.clock.move(10.0)
    assert hazards(bench) == {"smoke": HazardInput(active=False, latched=True, for_s=9.8)}
    result = bench.send({"battery": setpoint(-1000.0)})
    assert result.result == "clipped"
    outcome = result.outcomes["battery"].setpoint
    assert (outcome.power_w, outcome.limited_by) == (0.0, "protection")
    for path, message in (
        ("/failsafe", Failsafe(elements={"battery": Limits(consume_max_w=5000.0)})),
        ("/policy", Policy(kind="free")),
    ):
        assert bench.ask("PUT", path, message).status == 200
    for request in ("reset", "black_start", "restart"):
        bench.ask("POST", "/requests", Request(element="battery", request=request))
        bench.ask("POST", "/requests", Request(request=request))
    bench.clock.move(20.0)
    assert battery.power_w == 0.0
    assert battery.told.produce_max_w == 0.0
    assert hazards(bench)["smoke"].latched is True


def test_a_person_at_the_device_resets_what_is_over(things):
    bench = things.Bench(battery := watched(things))
    bench.send({"battery": setpoint(2000.0)}, ttl_s=600.0)
    see(bench, battery, "smoke", "cell_overvoltage")
    see(bench, battery, "smoke")
    assert bench.module.reset_on_site() == {"battery": ["smoke"]}
    assert set(hazards(bench)) == {"smoke"}
    assert battery.power_w == 0.0
    see(bench, battery)
    assert bench.module.reset_on_site() == {}
    assert hazards(bench) == {}
    assert bench.state.control_source == "lease"
    assert battery.power_w == 2000.0, "its time has run on meanwhile, and is not over"


def test_a_latch_outlasts_reboot_and_factory_reset(things):
    store = MemoryStore()
    bench = things.Bench(battery := watched(things), store=store)
    see(bench, battery, "smoke")
    see(bench, battery)
    again = things.Bench(other := watched(things), store=store)
    assert hazards(again) == {"smoke": HazardInput(active=False, latched=True, for_s=None)}
    assert other.told.consume_max_w == 0.0, "from the first moment on"
    again.module.factory_reset()
    assert hazards(again)["smoke"].latched is True
    assert hazards(things.Bench(watched(things), store=store))["smoke"].latched is True
    again.module.reset_on_site()
    assert hazards(things.Bench(watched(things), store=store)) == {}
    assert bench is not again


def test_a_latch_that_cannot_be_kept_holds_and_a_reset_that_cannot_be_kept_does_not(things):
    class Full(MemoryStore):
        full = False

        def save(self, saved):
            if self.full:
                raise ConfigError("disk", found="full", allowed="room")
            super().save(saved)

    store = Full()
    bench = things.Bench(battery := watched(things), store=store)
    store.full = True
    see(bench, battery, "smoke")
    assert battery.told.produce_max_w == 0.0
    see(bench, battery)
    assert store.load().latched == {}
    with pytest.raises(ConfigError, match="reset"):
        bench.module.reset_on_site()
    assert hazards(bench)["smoke"].latched is True
    store.full = False
    bench.clock.move(11.0)
    assert store.load().latched == {"battery": ["smoke"]}, "it is tried again"


def test_a_detector_that_cannot_be_read_is_a_danger_for_as_long_as_that_lasts(things):
    bench = things.Bench(battery := watched(things))
    bench.send({"battery": setpoint(2000.0)}, ttl_s=600.0)
    battery.blind = OSError("wire cut")
    see(bench, battery)
    assert battery.power_w == 0.0
    assert hazards(bench) == {
        name: HazardInput(active=None, latched=False, for_s=None) for name in WATCHED.inputs
    }
    assert "hazard_unknown" in bench.module.state().elements["battery"].fault.codes
    battery.blind = None
    bench.clock.move(1.0)
    assert hazards(bench) == {}
    assert battery.power_w == 2000.0


@pytest.mark.parametrize("nonsense", [{"meteor"}, "smoke", None, {1}])
def test_a_device_that_says_nonsense_of_its_dangers_has_no_power(things, nonsense):
    bench = things.Bench(battery := watched(things))
    bench.clock.move(0.2)
    battery.dangers = nonsense
    battery.changed()
    assert battery.told.consume_max_w == 0.0
    assert "hazard_unknown" in bench.module.state().elements["battery"].fault.codes


def test_a_switch_is_opened_though_its_least_time_is_not_over(things):
    circuit = element(
        "battery",
        "circuit",
        bus="grid",
        switch=SwitchCapability(min_on_s=600.0),
        hazard=WATCHED,
    )
    battery = watched(things)
    battery.elements = [circuit]
    battery.readings["battery"] = ElementState(switch=Switch(closed=True))
    bench = things.Bench(battery)
    bench.clock.move(1.0)
    see(bench, battery, "smoke")
    assert battery.told.closed is False
    result = bench.send({"battery": ElementCommand(switch=SwitchCommand(closed=True))})
    assert result.outcomes["battery"].switch.limited_by == "protection"
    assert battery.told.closed is False


def test_who_holds_up_an_island_goes_dark_rather_than_burn(things):
    former = element(
        "battery",
        "battery",
        bus="backup",
        rating=Rating(consume_max_w=3000.0, produce_max_w=3000.0),
        setpoint=SetpointCapability(consume_max_w=3000.0, produce_max_w=3000.0, response_s=1.0),
        form_grid=FormGridCapability(power_max_w=3000.0),
        hazard=WATCHED,
    )
    tie = element("tie", "tie", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup"))
    battery = watched(things)
    battery.elements = [former, tie]
    battery.readings = {
        "battery": ElementState(ac_measure=AcMeasure(power_w=-500.0), form_grid=FormGrid(forming=True)),
        "tie": ElementState(isolate=Isolate(closed=False, grid_ok=False)),
    }
    battery.request = lambda element, request: None
    bench = things.Bench(battery)
    see(bench, battery, "smoke")
    name, told = [each for each in battery.applied if each[0] == "battery"][-1]
    assert (name, told.produce_max_w, told.consume_max_w) == ("battery", 0.0, 0.0)
    asked = Request(element="battery", request="black_start")
    reply = msgspec.json.decode(bench.ask("POST", "/requests", asked).body)
    assert (reply["result"], reply["code"]) == ("refused", "interlocked")


def test_a_hazard_that_nothing_can_be_done_about_is_found_at_the_makers_desk(things):
    battery = watched(things)
    battery.elements = [element("battery", "battery", hazard=WATCHED)]
    with pytest.raises(ConfigError, match="no limit, set-point or switch"):
        things.Bench(battery)


def test_whoever_declares_a_hazard_has_to_watch_for_it(things):
    battery = things.Battery(watched(things).elements[0])
    with pytest.raises(ConfigError, match="active_hazards"):
        things.Bench(battery)


def test_an_element_without_a_fault_does_not_speak_of_one(things):
    bench = things.Bench(battery := things.Battery())
    assert b'"fault":{}' in bench.module.pages[0]
    battery.readings["battery"] = ElementState(ac_measure=AcMeasure(power_w=0.0), fault=Fault(codes=[]))
    bench.clock.move(1.0)
    assert bench.state.elements["battery"].fault is msgspec.UNSET
