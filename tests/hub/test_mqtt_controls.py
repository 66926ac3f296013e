"""What is asked over MQTT is one voice among others, and ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.hub.hubhouse import BATTERY, START, House

from ores.control.topology import compile_topology
from ores.hub.doors.mqtt_controls import SOURCE, Controls
from ores.hub.run import RunningHub
from ores.link.clock import Clock, run
from ores.link.errors import InvalidMessage
from ores.model import Bounds, Preferences, Proposal, Subject

OPERATION = f"{BATTERY}/battery/operation"
WANTED = f"{BATTERY}/battery/wanted_power_w"
Story = Callable[[Clock, House, RunningHub, Controls], Awaitable[None]]


def in_a_house(story: Story, **wants: object) -> None:
    """A battery and a meter, with a hub whose controls are ours."""

    async def main(clock: Clock) -> None:
        house = House(clock)
        preferences = Preferences(self_consumption=True, ev_mode="off", reserve_pct=10.0, **wants)  # type: ignore[arg-type]
        async with house.hub(preferences) as running:
            running.hub.preferences.put(preferences)
            await clock.sleep(5)
            await story(clock, house, running, controls_of(running))

    run(main, start_utc=START)


def controls_of(running: RunningHub) -> Controls:
    controls = Controls(running.hub)
    links = running.hub.federation.links.values()
    controls.describe(compile_topology(link.known_description for link in links))
    return controls


def test_charge_now_charges_and_ends_after_its_time() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        assert controls.values()[OPERATION] == "automatic"
        controls.take(OPERATION, "charge")
        assert controls.values()[OPERATION] == "charge"
        assert controls.values()[WANTED] == "3000"
        await clock.sleep(3)
        assert house.world.battery_w == 3000.0
        assert "over MQTT" in (running.hub.live().modules[BATTERY].why or "")
        await clock.sleep(3600)
        assert controls.values()[OPERATION] == "automatic"
        assert abs(house.world.grid_w) < 20

    in_a_house(story)


def test_the_house_holds_all_its_batteries() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        controls.take("house/battery_operation", "hold")
        await clock.sleep(3)
        assert house.world.battery_w == 0.0
        assert controls.values()["house/battery_operation"] == controls.values()[OPERATION] == "hold"
        controls.take("house/automatic", "PRESS")
        await clock.sleep(3)
        assert house.world.battery_w == pytest.approx(-500.0, abs=20.0)

    in_a_house(story)


def test_a_command_lasts_as_long_as_was_said() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        controls.take("house/command_lasts_min", "2")
        controls.take(WANTED, "-700")
        assert controls.values()[OPERATION] == "set-point"
        await clock.sleep(100)
        assert house.world.battery_w == -700.0
        await clock.sleep(30)
        assert controls.values()[WANTED] == "None"
        assert controls.values()[OPERATION] == "automatic"

    in_a_house(story)


def test_what_the_grid_allows_is_not_exceeded_by_a_wish() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        controls.take(OPERATION, "charge")
        await clock.sleep(5)
        assert house.world.grid_w <= 2000.0 + 20.0
        assert controls.values()[OPERATION] == "charge"  # what was asked; the decision says why not all

    in_a_house(story, import_max_w=2000.0)


def test_a_stronger_voice_wins() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        running.hub.proposals.put(
            Proposal(
                subject=Subject(kind="module", module=BATTERY),
                rank="grid_obligation",
                source="utility",
                reason="no charging",
                ttl_s=600.0,
                bounds=Bounds(consume_max_w=400.0),
            )
        )
        controls.take(OPERATION, "charge")
        await clock.sleep(5)
        assert house.world.battery_w <= 400.0

    in_a_house(story)


def test_the_reserve_is_raised_and_never_lowered() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        reserve = "house/reserve_pct"
        controls.take(reserve, "60")
        assert controls.values()[reserve] == "60"
        await clock.sleep(3)
        assert house.world.battery_w >= 0.0  # it stands at 50 %
        controls.take(reserve, "5")
        assert controls.values()[reserve] == "10"
        await clock.sleep(3)
        assert house.world.battery_w < -400.0

    in_a_house(story)


def test_an_export_limit_narrows_what_was_agreed_and_never_widens_it() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        limit = "house/export_max_w"
        assert controls.values()[limit] == "800"
        controls.take(limit, "5000")
        assert controls.values()[limit] == "800"
        controls.take(limit, "200")
        assert controls.values()[limit] == "200"
        controls.take(limit, "None")
        assert controls.values()[limit] == "800"
        assert controls.values()["house/import_max_w"] == "None"

    in_a_house(story, export_max_w=800.0)


@pytest.mark.parametrize(
    ("topic", "payload", "allowed"),
    [
        ("house/reserve_pct", "101", "0 to 100"),
        ("house/reserve_pct", "nan", "0 to 100"),
        ("house/reserve_pct", "", "a number of 0 to 100"),
        (WANTED, "9000", "-3000 to 3000"),
        (OPERATION, "explode", "automatic, charge, hold, discharge, set-point"),
        ("house/automatic", "now", "PRESS"),
    ],
)
def test_what_cannot_be_is_refused_with_what_is_allowed(topic: str, payload: str, allowed: str) -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        before = controls.values()
        with pytest.raises(InvalidMessage) as refused:
            controls.take(topic, payload)
        assert refused.value.allowed == allowed
        assert controls.values() == before

    in_a_house(story)


def test_a_module_in_watch_mode_takes_no_commands() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        running.hub.federation.links[BATTERY].set_watch_only(watch_only=True)
        again = controls_of(running)
        assert not [entity for entity in again.entities if entity.module == BATTERY]
        assert "house/reserve_pct" not in again.values()
        assert again.take(OPERATION, "charge") is False

    in_a_house(story)


def test_all_that_is_proposed_is_of_one_source_and_of_the_owners_ranks() -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        for topic, payload in (("house/reserve_pct", "50"), ("house/import_max_w", "1000"), (WANTED, "10")):
            controls.take(topic, payload)
        held = [one.proposal for one in running.hub.proposals.held()]
        assert {one.source for one in held} == {SOURCE}
        assert {one.rank for one in held} == {"owner_bounds", "owner_wish"}
        assert all(one.ttl_s == 3600.0 for one in held)

    in_a_house(story)


TOPICS = st.sampled_from(["house/reserve_pct", "house/export_max_w", "house/import_max_w", WANTED, OPERATION])


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(TOPICS, st.one_of(st.text(max_size=8), st.floats().map(str))), max_size=8))
def test_no_payload_takes_the_battery_out_of_its_range(asked: list[tuple[str, str]]) -> None:
    async def story(clock: Clock, house: House, running: RunningHub, controls: Controls) -> None:
        for topic, payload in asked:
            try:
                controls.take(topic, payload)
            except InvalidMessage:
                continue
        await clock.sleep(3)
        assert -3000.0 <= house.world.battery_w <= 3000.0
        for one in running.hub.proposals.held():
            assert msgspec.convert(msgspec.to_builtins(one.proposal), Proposal) == one.proposal
        await asyncio.sleep(0)

    in_a_house(story)
