"""A dishwasher as an ordinary module: armed by people, started once, never stopped; and who tells more."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tools import schemas

from ores.link.clock import VirtualClock
from ores.link.endpoint import Peer
from ores.model import ElementState
from ores.module.module import Module
from ores.sim.devices.dishwasher import CIRCUIT, RESPONSE_S, DishwasherDevice
from ores.sim.home import KINDS, Home, in_memory
from ores.sim.physics import world
from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.dishwasher import ECO, FILL_S, MARGIN_S, Dishwasher
from ores.sim.plant import Plant
from ores.sim.sources.household import Household

HUB = Peer(id="h" * 26, role="controller")
LENGTH_S = sum(stage.duration_s for stage in ECO)
ENERGY_WH = sum(stage.duration_s * stage.power_w for stage in ECO) / 3600.0


def run(
    machine: Dishwasher, now_s: float, seconds: float, *, live: bool = True, step_s: float = 10.0
) -> float:
    """Let it live for a while; the time then."""
    end_s = now_s + seconds
    while now_s < end_s - 1e-6:
        machine.step(now_s, step_s, live=live)
        now_s += step_s
    return now_s


def armed(latest_in_s: float = 36_000.0, earliest_in_s: float = 0.0) -> Dishwasher:
    machine = Dishwasher()
    machine.load_and_arm(0.0, latest_in_s=latest_in_s, earliest_in_s=earliest_in_s)
    return machine


# ---- the machine ---------------------------------------------------------------------------------------


def test_a_programme_takes_its_time_and_its_energy() -> None:
    machine = armed()
    machine.start(0.0)
    run(machine, 0.0, LENGTH_S + 60.0)
    assert machine.phase == "done"
    assert machine.energy_wh == pytest.approx(ENERGY_WH + 0.8 * (LENGTH_S + 60.0) / 3600.0, rel=1e-3)


@given(latest_in_s=st.floats(LENGTH_S + MARGIN_S, 86_400.0))
def test_what_nobody_starts_starts_by_itself_and_is_done_in_time(latest_in_s: float) -> None:
    machine, now_s = armed(latest_in_s), 0.0
    while machine.phase != "done":
        machine.step(now_s, 10.0, live=True)
        now_s += 10.0
        assert now_s < 2 * 86_400.0
    assert latest_in_s - 2.0 * MARGIN_S <= now_s <= latest_in_s


def test_a_loss_of_voltage_pauses_it_and_the_rest_follows() -> None:
    machine = armed()
    machine.start(0.0)
    now_s = run(machine, 0.0, 1000.0)
    left_s = machine.duration_s
    now_s = run(machine, now_s, 500.0, live=False)
    assert (machine.phase, machine.power_w, machine.duration_s) == ("paused", 0.0, left_s)
    run(machine, now_s, left_s + 10.0)
    assert machine.phase == "done"


def test_an_open_door_pauses_it() -> None:
    machine = armed()
    machine.start(0.0)
    now_s = run(machine, 0.0, 1000.0)
    machine.hold(True)
    now_s = run(machine, now_s, 100.0)
    assert machine.phase == "paused"
    machine.hold(False)
    run(machine, now_s, 10.0)
    assert machine.phase == "running"


def test_whoever_empties_it_takes_the_arming_back() -> None:
    machine = armed()
    machine.take_out()
    assert run(machine, 0.0, 40_000.0)
    assert machine.phase == "idle"


@pytest.mark.parametrize(
    ("latest_in_s", "earliest_in_s"), [(LENGTH_S, 0.0), (36_000.0, 30_000.0), (36_000.0, -1.0)]
)
def test_a_programme_that_does_not_fit_is_not_taken(latest_in_s: float, earliest_in_s: float) -> None:
    with pytest.raises(ScenarioError, match="latest_in_s"):
        armed(latest_in_s, earliest_in_s)


def test_it_is_not_loaded_twice() -> None:
    machine = armed()
    with pytest.raises(ScenarioError, match="waiting"):
        machine.load_and_arm(0.0, latest_in_s=36_000.0)


# ---- the module ----------------------------------------------------------------------------------------


class Kitchen:
    """A home with a dishwasher, and time that is moved by hand."""

    def __init__(self, *names: str) -> None:
        config = HouseConfig()
        self.home = Home(
            config, Household(config), VirtualClock(config.site.start), only=names or ["dishwasher"]
        )
        self.plant: Plant = self.home.plant
        self.modules = in_memory(self.home)
        for module in self.modules.values():
            module.start()
        self.plant.step()

    @property
    def device(self) -> DishwasherDevice:
        device = self.home.devices["dishwasher"]
        assert isinstance(device, DishwasherDevice)
        return device

    def wait(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.plant.step()

    def ask_to_start(self) -> dict[str, Any]:
        [module] = self.modules.values()
        body = json.dumps({"element": "machine", "request": "start"}).encode()
        reply = module.request(HUB, "POST", "/requests", body)
        assert schemas.accepts("RequestResult", reply.body)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    def job(self) -> dict[str, Any]:
        state: ElementState = self.device.read("machine")
        shown: dict[str, Any] = msgspec.to_builtins(state)["job"]
        return shown


def told(module: Module) -> dict[str, Any]:
    module.changed()
    reply = module.request(HUB, "GET", "/flexibility", b"")
    assert reply.status == 200
    assert schemas.accepts("Flexibility", reply.body), reply.body
    found: dict[str, Any] = json.loads(reply.body)["elements"]
    return found


def test_a_home_has_seven_devices_and_a_dishwasher_only_when_asked() -> None:
    config = HouseConfig()
    home = Home(config, Household(config), VirtualClock(config.site.start))
    assert len(home.devices) == 7
    assert set(KINDS) - set(home.devices) == {"dishwasher"}


def test_it_waits_and_says_for_how_long() -> None:
    kitchen = Kitchen()
    job = kitchen.job()
    assert job["phase"] == "waiting"
    assert job["latest_end_in_s"] == pytest.approx(7.0 * 3600.0, abs=5.0)  # the run begins at midnight
    assert (job["duration_s"], job["energy_wh"]) == (LENGTH_S, round(ENERGY_WH, 1))


def test_a_start_makes_it_run_soon_and_a_second_one_is_refused() -> None:
    kitchen = Kitchen()
    assert kitchen.ask_to_start() == {"result": "accepted"}
    assert kitchen.ask_to_start()["code"] == "interlocked"
    kitchen.wait(RESPONSE_S)
    assert kitchen.job()["phase"] == "running"
    assert kitchen.ask_to_start()["code"] == "interlocked"
    assert FILL_S < RESPONSE_S


def test_without_an_arming_there_is_no_start() -> None:
    kitchen = Kitchen()
    kitchen.device.machine.take_out()
    assert kitchen.ask_to_start()["code"] == "interlocked"
    kitchen.wait(60)
    assert kitchen.job() == {"phase": "idle"}


def test_not_before_its_people_allow_it() -> None:
    kitchen = Kitchen()
    kitchen.device.machine.take_out()
    kitchen.device.machine.load_and_arm(kitchen.plant.now_s, latest_in_s=36_000.0, earliest_in_s=120.0)
    assert kitchen.job()["earliest_start_in_s"] == 120
    assert kitchen.ask_to_start()["code"] == "interlocked"
    kitchen.wait(121)
    assert kitchen.ask_to_start() == {"result": "accepted"}


def test_what_it_draws_is_drawn_from_the_house() -> None:
    kitchen = Kitchen()
    kitchen.plant.actions.circuit_closed[:] = 1.0
    before_w = kitchen.plant.house.power(CIRCUIT)
    kitchen.ask_to_start()
    kitchen.wait(60)
    drawn_w = kitchen.device.machine.power_w
    assert drawn_w > 50.0
    assert kitchen.plant.house.power(CIRCUIT) - before_w == pytest.approx(drawn_w, abs=1.0)


def test_a_circuit_that_is_opened_pauses_it() -> None:
    kitchen = Kitchen()
    kitchen.ask_to_start()
    kitchen.wait(60)
    row = [circuit.name for circuit in kitchen.plant.house.config.circuits].index(CIRCUIT)
    kitchen.plant.actions.circuit_closed[row] = 0.0
    kitchen.wait(2)
    assert kitchen.job()["phase"] == "paused"
    kitchen.plant.actions.circuit_closed[row] = 1.0
    kitchen.wait(2)
    assert kitchen.job()["phase"] == "running"


def test_a_power_cut_pauses_it() -> None:
    kitchen = Kitchen()
    kitchen.ask_to_start()
    kitchen.wait(60)
    world.cut_grid(kitchen.plant.house)
    kitchen.wait(2)
    assert kitchen.job()["phase"] == "paused"


def test_what_is_told_agrees_with_the_state_and_adds_up() -> None:
    kitchen = Kitchen()
    [module] = kitchen.modules.values()
    for seconds in (1, 900, 5000):
        job = told(module)["machine"]["job"]
        state = kitchen.job()
        assert {name: job[name] for name in state} == state
        taken_wh = sum(slot["duration_s"] * slot["power_w"] for slot in job["profile"]) / 3600.0
        assert taken_wh == pytest.approx(job["energy_wh"], abs=0.1)
        assert sum(slot["duration_s"] for slot in job["profile"]) == pytest.approx(job["duration_s"], abs=1)
        if state["phase"] == "waiting":
            kitchen.ask_to_start()
        kitchen.wait(seconds)


def test_its_people_load_it_every_evening() -> None:
    kitchen = Kitchen()
    device, starts, before = kitchen.device, 0, "waiting"
    for step in range(48 * 360):  # in steps of ten seconds, without the house
        device.advance(step * 10.0, 10.0)
        starts += device.machine.phase == "running" and before != "running"
        before = device.machine.phase
    assert starts == 2


# ---- who tells more ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["charger", "heat_pump"])
def test_what_they_tell_is_valid_within_the_rating_and_agrees_with_the_state(name: str) -> None:
    kitchen = Kitchen(name)
    kitchen.wait(120)
    [module] = kitchen.modules.values()
    [(element, parts)] = told(module).items()
    state = msgspec.to_builtins(kitchen.home.devices[name].read(element))
    rating_w = kitchen.home.devices[name].elements[0].capabilities.rating.consume_max_w
    assert parts.get("power", {}).get("consume_max_w", 0.0) <= rating_w
    for level in parts["store"]["levels"]:
        powers = [point["power_w"] for point in level["points"]]
        assert powers == sorted(powers)
        assert powers[-1] <= rating_w
    ends = [level["energy_to_wh"] for level in parts["store"]["levels"]]
    assert [level["energy_from_wh"] for level in parts["store"]["levels"]] == [0.0, *ends[:-1]]
    assert 0.0 <= parts["store"]["energy_wh"] <= parts["store"]["capacity_wh"] == ends[-1]
    if name == "charger":
        assert parts["vehicle"]["energy_needed_wh"] == state["ev"]["energy_needed_wh"]
        assert parts["store"]["energy_wh"] / 600.0 == pytest.approx(state["ev"]["soc_pct"], abs=0.1)
    else:
        assert parts["modes"]["mode"] == state["mode"]["mode"]
        assert parts["thermal"]["temperature_c"] == state["thermal"]["temperature_c"]


def test_a_car_that_is_away_is_no_store() -> None:
    kitchen = Kitchen("charger")
    world.move_car(kitchen.plant.house, False)
    kitchen.wait(2)
    [module] = kitchen.modules.values()
    assert told(module)["socket"].keys() == {"power", "vehicle"}


def test_the_level_of_a_car_says_what_the_physics_does() -> None:
    """Near full, the pack takes no more than its level says, within the step of the levels."""
    kitchen = Kitchen("charger")
    house = kitchen.plant.house
    world.set_soc_pct(house, "car", 92.5)
    kitchen.wait(3)
    [module] = kitchen.modules.values()
    store = told(module)["socket"]["store"]
    here = next(
        one for one in store["levels"] if one["energy_from_wh"] <= store["energy_wh"] < one["energy_to_wh"]
    )
    assert house.power("car") == pytest.approx(here["points"][-1]["power_w"], rel=0.05)


def test_warmth_moves_as_the_store_of_heat_says() -> None:
    """Half an hour at a standstill: the house loses what leakage and usage say, within a few watts."""
    kitchen = Kitchen("heat_pump")
    kitchen.plant.actions.heat_pump_mode[:] = 1.0
    kitchen.wait(600)
    [module] = kitchen.modules.values()
    before = told(module)["heat"]["store"]
    kitchen.wait(1800)
    after = told(module)["heat"]["store"]
    said_w = before["usage"][0]["power_w"] - before["levels"][0]["leakage_w"]
    seen_w = (after["energy_wh"] - before["energy_wh"]) / 0.5
    assert abs(seen_w - said_w) < 150.0  # the sun and the tank's warmth are not forecast
    assert timedelta(seconds=kitchen.plant.now_s) < timedelta(hours=1)
