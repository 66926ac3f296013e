"""What holds up an island follows the loads: no limit, set-point or dead hub puts out the lights."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from ores.model import (
    DcMeasure,
    DcMeasureCapability,
    ElementCommand,
    ElementSettings,
    ElementState,
    Failsafe,
    FormGrid,
    FormGridCapability,
    Isolate,
    IsolateCapability,
    LimitCapability,
    Limits,
    LimitState,
    Produce,
    ProduceCapability,
    Rating,
    SetpointCapability,
    SetpointCommand,
    Settings,
    Storage,
    StorageCapability,
    StorageSettings,
    Switch,
    SwitchCapability,
    SwitchCommand,
)
from ores.module import element


def hybrid():
    return [
        element(
            "inverter",
            "inverter",
            bus="backup",
            rating=Rating(consume_max_w=8000.0, produce_max_w=8000.0),
            limit=LimitCapability(consume=True, produce=True),
            form_grid=FormGridCapability(power_max_w=8000.0),
        ),
        element(
            "battery",
            "battery",
            bus="dc",
            upstream="inverter",
            connection="dc",
            dc_measure=DcMeasureCapability(),
            rating=Rating(consume_max_w=5000.0, produce_max_w=5000.0),
            limit=LimitCapability(consume=True, produce=True),
            setpoint=SetpointCapability(consume_max_w=5000.0, produce_max_w=5000.0, response_s=1.0),
            storage=StorageCapability(capacity_wh=10_000.0, reserve_setting=True),
        ),
        element(
            "charger",
            "battery",
            bus="backup",
            rating=Rating(consume_max_w=2000.0, produce_max_w=2000.0),
            limit=LimitCapability(consume=True, produce=True),
        ),
        element(
            "tie", "tie", bus="grid", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup")
        ),
    ]


@pytest.fixture
def home(things):
    device = things.Battery(*hybrid())
    device.readings["charger"] = ElementState()

    def grid(*, good, own=UNSET):
        device.readings["inverter"] = ElementState(form_grid=FormGrid(forming=not good), limit=own)
        device.readings["battery"] = ElementState(
            dc_measure=DcMeasure(power_w=0.0), storage=Storage(soc_pct=50.0)
        )
        device.readings["tie"] = ElementState(isolate=Isolate(closed=good, grid_ok=good))

    grid(good=True)
    bench = things.Bench(device)
    bench.grid = grid
    bench.told = lambda name: [command for which, command in device.applied if which == name][-1]
    return bench


def test_a_set_point_at_the_inverter_leaves_the_reserve_of_the_store_behind_it(things):
    device = things.Battery(
        element(
            "inverter",
            "inverter",
            rating=Rating(consume_max_w=8000.0, produce_max_w=8000.0),
            setpoint=SetpointCapability(consume_max_w=8000.0, produce_max_w=8000.0, response_s=1.0),
        ),
        element("sun", "pv", upstream="inverter", connection="dc", produce=ProduceCapability(peak_w=5000.0)),
        element(
            "store",
            "battery",
            upstream="inverter",
            connection="dc",
            storage=StorageCapability(capacity_wh=10_000.0, reserve_setting=True),
        ),
    )
    device.readings["inverter"] = ElementState()
    device.readings["sun"] = ElementState(produce=Produce(available_w=2000.0))
    device.readings["store"] = ElementState(storage=Storage(soc_pct=20.0))
    bench = things.Bench(device)
    reserve = ElementSettings(storage=StorageSettings(reserve_pct=30.0))
    assert bench.ask("PUT", "/settings", Settings(elements={"store": reserve})).status == 200
    outcome = bench.send({"inverter": ElementCommand(setpoint=SetpointCommand(power_w=-5000.0))})
    assert outcome.outcomes["inverter"].setpoint.power_w == pytest.approx(-1900.0)
    assert outcome.outcomes["inverter"].setpoint.limited_by == "reserve"
    told = len(device.applied)
    bench.clock.move(3.0)
    assert len(device.applied) == told
    device.readings["sun"] = ElementState(produce=Produce(available_w=None))
    bench.clock.move(4.0)
    assert device.told.power_w == 0.0
    device.readings["store"] = ElementState(storage=Storage(soc_pct=31.0))
    bench.clock.move(5.0)
    assert device.told.power_w == -5000.0


ZERO = Limits(consume_max_w=0.0, produce_max_w=0.0)


def test_zero_export_and_a_dead_hub_leave_the_light_on_in_an_outage(home):
    nothing = {"inverter": Limits(produce_max_w=0.0), "battery": ZERO, "charger": ZERO}
    assert home.ask("PUT", "/failsafe", Failsafe(elements=nothing)).status == 200
    assert home.told("inverter").produce_max_w == 0.0
    home.grid(good=False)
    home.clock.move(1.0)
    assert home.told("inverter").produce_max_w == 8000.0
    assert home.told("battery").produce_max_w == 5000.0
    assert home.told("charger").produce_max_w == 0.0, "it holds up nothing"
    assert home.state.elements["inverter"].limit == LimitState(
        consume_max_w=8000.0, produce_max_w=8000.0, limited_by="rating"
    )


def test_the_limits_are_back_when_the_tie_has_closed(home):
    home.ask("PUT", "/failsafe", Failsafe(elements={"inverter": Limits(produce_max_w=0.0)}))
    home.grid(good=False)
    home.clock.move(1.0)
    home.grid(good=True)
    home.clock.move(2.0)
    assert home.told("inverter").produce_max_w == 0.0
    assert home.state.elements["inverter"].limit.limited_by == "failsafe"


def test_a_lease_to_what_holds_up_an_island_is_answered_by_what_holds_instead(home):
    home.grid(good=False)
    home.clock.move(1.0)
    asked = ElementCommand(limit=Limits(produce_max_w=100.0), setpoint=SetpointCommand(power_w=3000.0))
    result = home.send({"battery": asked})
    assert result.result == "clipped"
    outcome = result.outcomes["battery"]
    assert (outcome.limit.produce_max_w, outcome.limit.limited_by) == (5000.0, "island")
    assert (outcome.setpoint.power_w, outcome.setpoint.limited_by) == (UNSET, "island")
    assert home.told("battery").power_w is None
    assert home.module.state().elements["battery"].setpoint.power_w is None


def test_the_device_s_own_protection_binds_on_an_island_too(home):
    home.grid(good=False, own=LimitState(produce_max_w=3000.0, limited_by="temperature"))
    home.clock.move(1.0)
    limit = home.state.elements["inverter"].limit
    assert (limit.produce_max_w, limit.limited_by) == (3000.0, "temperature")


def test_an_element_that_may_be_forming_but_is_not_known_to_stays_bound(home):
    home.ask("PUT", "/failsafe", Failsafe(elements={"inverter": Limits(produce_max_w=0.0)}))
    home.grid(good=False)
    home.module.device.readings["inverter"] = ElementState(form_grid=FormGrid(forming=None))
    home.clock.move(1.0)
    assert home.told("inverter").produce_max_w == 0.0


def test_a_reading_that_fails_in_an_outage_leaves_the_light_on_until_the_tie_closes(home):
    home.ask("PUT", "/failsafe", Failsafe(elements={"inverter": Limits(produce_max_w=0.0)}))
    home.grid(good=False)
    home.clock.move(1.0)
    home.module.device.fail_read = OSError("no answer on the bus")
    home.clock.move(2.0)
    assert home.told("inverter").produce_max_w == 8000.0
    home.module.device.readings["tie"] = ElementState(isolate=Isolate(closed=True, grid_ok=True))
    home.clock.move(3.0)
    assert home.told("inverter").produce_max_w == 0.0


def test_a_store_that_holds_up_its_own_outlets_may_use_its_reserve(things):
    device = things.Battery(
        element(
            "station",
            "battery",
            rating=Rating(consume_max_w=2000.0, produce_max_w=2000.0),
            limit=LimitCapability(consume=True, produce=True),
            form_grid=FormGridCapability(power_max_w=2000.0),
            storage=StorageCapability(capacity_wh=2000.0, reserve_setting=True),
        )
    )
    bench = things.Bench(device)
    reserve = ElementSettings(storage=StorageSettings(reserve_pct=60.0))
    device.readings["station"] = ElementState(
        storage=Storage(soc_pct=50.0), form_grid=FormGrid(forming=False)
    )
    assert bench.ask("PUT", "/settings", Settings(elements={"station": reserve})).status == 200
    bench.clock.move(1.0)
    assert device.told.produce_max_w == 0.0
    device.readings["station"] = ElementState(storage=Storage(soc_pct=50.0), form_grid=FormGrid(forming=True))
    bench.clock.move(2.0)
    assert device.told.produce_max_w == 2000.0


OPEN = ElementCommand(switch=SwitchCommand(closed=False))
CLOSED = ElementCommand(switch=SwitchCommand(closed=True))


@pytest.fixture
def panel(things):
    """A panel with its own tie: one circuit on the grid's side, one behind the tie."""

    class Panel(things.Battery):
        def read(self, element):
            told = [command for which, command in self.applied if which == element]
            if element not in {"pool", "oven"} or element in self.readings:
                return self.readings.get(element, ElementState())
            return ElementState(switch=Switch(closed=told[-1].closed if told else True))

    device = Panel(
        element("pool", "circuit", bus="grid", switch=SwitchCapability()),
        element("oven", "circuit", bus="backup", switch=SwitchCapability()),
        element(
            "tie", "tie", bus="grid", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup")
        ),
    )
    bench = things.Bench(device)

    def tie(closed):
        device.readings["tie"] = ElementState(isolate=Isolate(closed=closed, grid_ok=closed))

    tie(closed=False)
    bench.clock.move(1.0)
    bench.tie = tie
    bench.closed = lambda name: [command for which, command in device.applied if which == name][-1].closed
    return bench


def test_a_dead_hub_s_circuits_stay_open_on_the_island_and_there_alone(panel):
    panel.send({"pool": OPEN, "oven": OPEN}, ttl_s=5.0)
    panel.clock.move(20.0)
    assert (panel.closed("pool"), panel.closed("oven")) == (True, False)


def test_a_lease_that_says_nothing_of_a_circuit_leaves_it_open(panel):
    panel.send({"oven": OPEN})
    panel.clock.move(2.0)
    assert panel.send({}).result == "applied"
    assert panel.closed("oven") is False


def test_the_circuits_close_when_the_tie_has_closed(panel):
    panel.send({"oven": OPEN}, ttl_s=5.0)
    panel.clock.move(20.0)
    panel.tie(closed=None)
    panel.clock.move(21.0)
    assert panel.closed("oven") is False, "nobody knows whether it is over"
    panel.tie(closed=True)
    panel.clock.move(22.0)
    assert panel.closed("oven") is True
    panel.tie(closed=False)
    panel.clock.move(23.0)
    assert panel.closed("oven") is True, "the next island is another one"


def test_a_lease_closes_what_a_lease_had_opened_for_good(panel):
    panel.send({"oven": OPEN}, ttl_s=5.0)
    panel.clock.move(20.0)
    panel.send({"oven": CLOSED}, ttl_s=5.0)
    panel.clock.move(40.0)
    assert panel.closed("oven") is True


def test_a_person_closes_what_a_dead_hub_had_opened(panel):
    panel.send({"oven": OPEN}, ttl_s=5.0)
    panel.clock.move(20.0)
    panel.module.device.readings["oven"] = ElementState(switch=Switch(closed=True))
    panel.clock.move(21.0)
    assert panel.closed("oven") is True


def test_a_circuit_that_was_open_before_the_outage_stays_open_in_it(panel):
    panel.tie(closed=True)
    panel.clock.move(2.0)
    panel.send({"oven": OPEN}, ttl_s=10.0)
    panel.clock.move(5.0)
    panel.tie(closed=False)
    panel.clock.move(30.0)
    assert panel.closed("oven") is False
