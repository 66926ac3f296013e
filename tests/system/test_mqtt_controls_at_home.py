"""What is asked over MQTT, in a whole home: charger, heat pump, circuits, both batteries."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.system.houses import batteries_w, do, generated, in_one_process, power_w

from ores.cli.demo.in_memory import MemoryDemo
from ores.control.topology import compile_topology
from ores.hub.doors.mqtt_controls import Controls
from ores.hub.doors.mqtt_energy import Totals, house_parts
from ores.hub.state_dir import StateDir
from ores.link.clock import Clock
from ores.sim.world_api import Car, TurnOn


def controls_of(demo: MemoryDemo) -> Controls:
    controls = Controls(demo.running.hub)
    links = demo.running.hub.federation.links.values()
    controls.describe(compile_topology(link.known_description for link in links))
    return controls


def topic(controls: Controls, ending: str) -> str:
    (found,) = [entity.topic for entity in controls.entities if entity.topic.endswith(ending)]
    return found


def test_the_car_charges_now_whatever_the_sun_does() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        do(demo.home, Car(present=True))
        await clock.sleep(30)
        controls = controls_of(demo)
        charging = topic(controls, "socket/operation")
        controls.take(charging, "charge")
        await clock.sleep(60)
        assert power_w(demo.home, "car") > 5000.0
        controls.take(charging, "stop")
        assert controls.values()[charging] == "stop"
        await clock.sleep(60)
        assert power_w(demo.home, "car") < 50.0

    in_one_process(generated(start_hour=1.0), story)


def test_a_circuit_is_opened_and_says_where_it_stands() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        await clock.sleep(10)
        controls = controls_of(demo)
        office = topic(controls, "office/closed")
        assert controls.values()[office] == "ON"
        controls.take(office, "OFF")
        assert controls.values()[office] == "ON"
        await clock.sleep(5)
        assert controls.values()[office] == "OFF"
        controls.take("house/automatic", "PRESS")
        await clock.sleep(90)
        assert controls.values()[office] == "ON"

    in_one_process(generated(start_hour=10.0), story)


def test_the_heat_pump_and_the_batteries_do_what_is_asked() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        await clock.sleep(10)
        controls = controls_of(demo)
        mode = topic(controls, "heat/wanted_mode")
        controls.take(mode, "forced")
        controls.take("house/battery_operation", "charge")
        await clock.sleep(60)
        assert controls.values()[mode] == "forced"
        assert power_w(demo.home, "heat_pump") > 500.0
        assert batteries_w(demo.home) > 4000.0
        assert controls.values()["house/battery_operation"] == "charge"

    in_one_process(generated(start_hour=10.0), story)


def test_the_counters_of_a_home_know_what_its_parts_count() -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        await clock.sleep(10)
        described = [link.known_description for link in demo.running.hub.federation.links.values()]
        parts = {part.topic: part for part in house_parts(compile_topology(described), described)}
        grid = parts["house/grid_import_kwh"]
        assert (len(grid.counted), grid.summed) == (1, ())
        charged = parts["house/battery_charged_kwh"]
        assert (
            len(charged.counted) == len(charged.summed) == 1
        )  # the hybrid's battery does not count by itself
        assert len(parts["house/solar_kwh"].counted) == 8
        assert len(parts["house/solar_kwh"].summed) == 2

    in_one_process(generated(start_hour=10.0), story)


def test_the_counters_of_a_home_add_up_to_what_flowed(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: MemoryDemo) -> None:
        await clock.sleep(10)
        directory = StateDir(tmp_path)
        links = demo.running.hub.federation.links.values()
        described = [link.known_description for link in links]
        totals = Totals(directory, demo.running.hub.notices)
        totals.describe(house_parts(compile_topology(described), described))

        def look() -> None:
            states = {
                f"{link.id}/{name}": state
                for link in links
                if link.state is not None
                for name, state in link.state.elements.items()
            }
            totals.look(states, clock.now())

        look()
        true_wh = dict.fromkeys(("grid_import", "battery_charged"), 0.0)

        def truth() -> None:
            true_wh["grid_import"] += max(0.0, power_w(demo.home, "grid")) / 3600.0
            true_wh["battery_charged"] += max(0.0, batteries_w(demo.home)) / 3600.0

        do(demo.home, TurnOn(circuit="oven", power_w=3000.0))
        controls_of(demo).take("house/battery_operation", "charge")
        for _ in range(600):
            await clock.sleep(1)
            look()
            truth()
        totals.save()
        told = totals.values([])
        for name in ("grid_import", "battery_charged"):
            assert float(told[f"house/{name}_kwh"]) == pytest.approx(true_wh[name] / 1000.0, rel=0.02)
        assert float(told["house/solar_kwh"]) > 0.0
        assert float(told["house/battery_discharged_kwh"]) < 0.01
        directory.close()

    in_one_process(generated(start_hour=10.0), story)
