"""The hybrid of the demo home through an outage, as its module tells it: the light stays on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import msgspec
import pytest
from msgspec import UNSET

from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.model import ElementState, Limits, State
from ores.module.module import Module
from ores.sim.home import Home, in_memory
from ores.sim.physics import world
from ores.sim.physics.config import HouseConfig
from ores.sim.sources.household import Household

CONFIG = replace(HouseConfig(), hybrid=replace(HouseConfig().hybrid, reconnect_s=60.0))

NO_EXPORT = {"inverter": Limits(produce_max_w=0.0), "battery": Limits(produce_max_w=0.0)}


def lived(story: Callable[[Home, Module, Clock], Awaitable[None]]) -> None:
    """A morning with sun, in a home of which only the hybrid speaks; it must export nothing."""

    async def main(clock: Clock) -> None:
        home = Home(CONFIG, Household(CONFIG, seed=1), clock, only=["hybrid"])
        (module,) = in_memory(home).values()
        await clock.sleep(1.0)
        module.keep_and_use(msgspec.structs.replace(module.saved, failsafe=NO_EXPORT))
        await clock.sleep(10.0)
        await story(home, module, clock)

    clocks.run(main, start_utc=CONFIG.site.start)


def inverter(state: State) -> ElementState:
    return state.elements["inverter"]


def test_an_outage_frees_the_inverter_at_once_and_the_grid_binds_it_again_at_once():
    async def story(home: Home, module: Module, clock: Clock) -> None:
        assert inverter(module.state()).limit.produce_max_w == 0.0
        world.cut_grid(home.plant.house)
        await clock.sleep(2.0)
        state = module.state()
        assert inverter(state).form_grid.forming is True
        assert inverter(state).limit.produce_max_w == 8000.0
        assert inverter(state).limit.limited_by == "rating"
        assert home.plant.live("backup")
        assert inverter(state).ac_measure.power_w < 0.0, "it carries the loads"
        world.restore_grid(home.plant.house)
        await clock.sleep(61.5)
        state = module.state()
        assert state.elements["tie"].isolate.closed is True
        assert inverter(state).limit.produce_max_w == 0.0
        assert inverter(state).form_grid.forming is False

    lived(story)


def test_the_inverter_is_what_forms_the_grid_and_hangs_below_the_tie():
    async def story(_home: Home, module: Module, _clock: Clock) -> None:
        by_id = {part.element.id: part.element for part in module.parts}
        assert by_id["inverter"].bus == "backup"
        assert by_id["inverter"].capabilities.form_grid is not UNSET
        assert by_id["tie"].capabilities.form_grid is UNSET

    lived(story)


@pytest.mark.parametrize(
    ("element", "request_", "code"),
    [
        ("inverter", "black_start", "interlocked"),
        ("inverter", "open", "unknown_request"),
        ("tie", "black_start", "unknown_request"),
    ],
)
def test_a_black_start_is_asked_of_what_would_form_the_grid(element, request_, code):
    async def story(_home: Home, module: Module, _clock: Clock) -> None:
        assert module.device.request(element, request_).code == code

    lived(story)


def test_a_tie_that_is_held_open_is_an_island_that_waits_for_nothing():
    async def story(home: Home, module: Module, clock: Clock) -> None:
        world.hold_open(home.plant.house, True)
        await clock.sleep(2.0)
        tie = module.state().elements["tie"]
        assert tie.fault is UNSET
        assert (tie.isolate.closed, tie.isolate.island_state) == (False, "island")
        assert tie.isolate.reconnect_in_s is None
        world.hold_open(home.plant.house, False)
        await clock.sleep(2.0)
        assert module.state().elements["tie"].isolate.closed is True, "the grid has been well all the while"

    lived(story)
