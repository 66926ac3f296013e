"""Home Assistant discovers the hub over mosquitto, and what its user does acts on the house."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.hub.hubhouse import House
from tests.system.home_assistant import RELEASES, HomeAssistant, Release, State, home_assistant
from tests.system.mosquitto import mosquitto

from ores.link.clock import RealClock
from ores.model import AcMeasure, AcMeasureCapability, Element, ElementState, Switch, SwitchCapability
from ores.module import Effective, element

pytestmark = [pytest.mark.peers, pytest.mark.timeout(2400)]

PLUG = "p" * 26
STATISTICS_WITHIN_S = 400.0
"""Home Assistant makes them every five minutes."""
NO_COST = {"stat_cost": None, "entity_energy_price": None, "number_energy_price": None}
NO_COMPENSATION = {"stat_compensation": None, "entity_energy_price": None, "number_energy_price": None}


@dataclass
class Plug:
    closed: bool = True
    commands: list[Effective] = field(default_factory=list)
    elements: Sequence[Element] = (
        element("plug", "load", bus="grid", ac_measure=AcMeasureCapability(), switch=SwitchCapability()),
    )

    def read(self, element: str) -> ElementState:
        power_w = 60.0 if self.closed else 0.0
        return ElementState(ac_measure=AcMeasure(power_w=power_w), switch=Switch(closed=self.closed))

    def apply(self, element: str, command: Effective) -> None:
        self.commands.append(command)
        self.closed = command.closed is not False


def entity(states: dict[str, State], domain: str, name: str) -> str:
    """The one entity of a domain whose friendly name is this, device first."""
    names = {one: str(state["attributes"].get("friendly_name")) for one, state in states.items()}
    found = [one for one, friendly in names.items() if one.startswith(f"{domain}.") and friendly == name]
    assert len(found) == 1, (name, sorted(names.items()))
    return found[0]


def is_known(states: dict[str, State], part: str) -> bool:
    return any(
        part in one and state["state"] not in {"unknown", "unavailable"} for one, state in states.items()
    )


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.version)
async def test_home_assistant_sees_and_steers_the_house(release: Release, tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        async with home_assistant(release, tmp_path / "ha") as ha:
            await ha.add_mqtt(port)
            home = House(RealClock(), data=tmp_path / "hub", mqtt=f"mqtt://127.0.0.1:{port}?every_s=1")
            plug = Plug()
            home.add(PLUG, plug, "plug")  # type: ignore[arg-type]
            async with home.hub() as running:
                await ha.until(lambda now: is_known(now, "grid_power"))
                await everything_is_there(ha, home)
                await its_commands_act(ha, home, plug)
                await ha.until(lambda now: is_known(now, "grid_import"))
                await the_energy_dashboard_is_content(ha)
                assert running.hub.summary().missed_cycles == 0
                grid = entity(await ha.states(), "sensor", "ORES hub Grid power")
            gone = await ha.until(lambda now: now[grid]["state"] == "unavailable")
            ours = [
                state for state in gone.values() if "ORES" in str(state["attributes"].get("friendly_name"))
            ]
            assert {state["state"] for state in ours} == {"unavailable"}


async def everything_is_there(ha: HomeAssistant, home: House) -> None:
    states = await ha.states()
    for name in ("Grid power", "Battery power", "Other consumption"):
        told = states[entity(states, "sensor", f"ORES hub {name}")]
        assert told["attributes"]["unit_of_measurement"] == "W", told
    soc = states[entity(states, "sensor", "ORES hub Battery")]
    assert (soc["state"], soc["attributes"]["device_class"]) == ("50.0", "battery")
    assert entity(states, "sensor", "battery Power")
    assert entity(states, "sensor", "meter Activity")


async def its_commands_act(ha: HomeAssistant, home: House, plug: Plug) -> None:
    states = await ha.states()
    operation, wanted = (
        entity(states, "select", "battery Operation"),
        entity(states, "number", "battery Wanted power"),
    )
    await ha.call("select/select_option", operation, option="charge")
    await ha.until(lambda now: now[operation]["state"] == "charge")
    await ha.until(lambda _now: home.world.battery_w == 3000.0)

    await ha.call("number/set_value", wanted, value=-800)
    await ha.until(lambda now: float(now[wanted]["state"]) == -800.0)
    await ha.until(lambda _now: home.world.battery_w == -800.0)
    await ha.until(lambda now: now[operation]["state"] == "set-point")

    await ha.call("button/press", entity(states, "button", "ORES hub Back to automatic"))
    await ha.until(lambda now: now[operation]["state"] == "automatic")
    await ha.until(lambda now: now[wanted]["state"] == "unknown")

    switch = entity(states, "switch", "plug Switch")
    assert states[switch]["state"] == "on"
    await ha.call("switch/turn_off", switch)
    await ha.until(lambda now: now[switch]["state"] == "off")
    assert plug.closed is False

    reserve = entity(states, "number", "ORES hub Battery reserve")
    await ha.call("number/set_value", reserve, value=70)
    await ha.until(lambda now: float(now[reserve]["state"]) == 70.0)
    await ha.until(lambda _now: home.world.battery_w >= 0.0)
    await ha.call("number/set_value", reserve, value=1)  # below what its owner keeps
    await ha.until(lambda now: float(now[reserve]["state"]) == 10.0)


async def the_energy_dashboard_is_content(ha: HomeAssistant) -> None:
    states = await ha.states()

    def sensor(name: str) -> str:
        return entity(states, "sensor", f"ORES hub {name}")

    sources = [
        {
            "type": "grid",
            "flow_from": [{"stat_energy_from": sensor("Grid import"), **NO_COST}],
            "flow_to": [{"stat_energy_to": sensor("Grid export"), **NO_COMPENSATION}],
            "cost_adjustment_day": 0.0,
        },
        {
            "type": "battery",
            "stat_energy_from": sensor("Battery discharged"),
            "stat_energy_to": sensor("Battery charged"),
        },
    ]
    await ha.command("energy/save_prefs", energy_sources=sources)
    async with asyncio.timeout(STATISTICS_WITHIN_S):
        while issues := [issue async for issue in complaints(ha)]:
            assert {issue["type"] for issue in issues} <= {"statistics_not_defined"}, issues
            await asyncio.sleep(5.0)


async def complaints(ha: HomeAssistant) -> AsyncIterator[dict[str, object]]:
    validated = await ha.command("energy/validate")
    for source in validated["energy_sources"]:
        for issue in source:
            yield issue
