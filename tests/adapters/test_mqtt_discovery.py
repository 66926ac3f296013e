"""Devices on a broker appear by themselves, as what they most probably are, and nothing is made up."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from msgspec import UNSET
from tests.adapters.mqtt_messages import (
    ALL,
    PLUG,
    TELEMETRY,
    as_one_device,
    esphome,
    said,
    tasmota,
    zigbee2mqtt,
)

from ores.adapters.mqtt.address import broker_of
from ores.adapters.mqtt.broker import Message
from ores.adapters.mqtt.found import Catalogue, about, assembled
from ores.adapters.mqtt.guess import Guessed, Said, guess
from ores.adapters.mqtt.shown import Shown
from ores.adapters.mqtt.template import Payload
from ores.adapters.mqtt.topic_map import TopicMap, load, shown
from ores.link.errors import ConfigError
from ores.module.description import check_elements


def catalogue(messages: list[Message]) -> Catalogue:
    it = Catalogue()
    for message in messages:
        it.hear(message)
    return it


def guessed(messages: list[Message], *, control: bool = False, **of: Said) -> Guessed:
    return guess(catalogue(messages).entities(), of, control=control)


def only(messages: list[Message], *, control: bool = False, **of: Said) -> Shown:
    (found,) = guessed(messages, control=control, **of).shown
    check_elements([found.element])
    return found


def points(it: Shown) -> dict[str, float]:
    return {source.point: source.scale for source in it.sources}


def test_a_zigbee_plug_is_a_load_that_is_only_read() -> None:
    it = only(zigbee2mqtt())
    assert (it.element.id, it.element.kind) == ("washer_plug", "load")
    assert points(it) == {"power_w": 1.0, "energy_in_wh": 1000.0, "voltage_v": 1.0}
    assert it.element.capabilities.switch is UNSET
    assert not it.steering
    assert {topic for there in it.there for topic in there.topics} == {
        "zigbee2mqtt/bridge/state",
        f"{PLUG}/availability",
    }


def test_a_plug_that_may_be_commanded_is_switched_in_its_own_words() -> None:
    it = only(zigbee2mqtt(), control=True)
    assert it.element.capabilities.switch is not UNSET
    (steering,) = it.steering
    assert (steering.topic, steering.on, steering.off) == (f"{PLUG}/set", "ON", "OFF")
    state = steering.state
    assert state is not None
    assert state.value(Payload('{"state": "OFF"}')).value == 0.0


def test_the_sun_is_shown_as_what_it_gives_and_a_days_energy_is_no_counter() -> None:
    it = only(esphome())
    assert it.element.kind == "pv"
    assert points(it) == {"power_w": -1000.0, "energy_out_wh": 1000.0}
    assert {source.point: source.hold_s for source in it.sources}["power_w"] == 20.0
    assert it.topics() >= {"roof/sensor/pv_power/state", "roof/status"}


def test_tasmota_needs_no_setting_for_it() -> None:
    it = only(tasmota(), control=True)
    assert points(it) == {
        "power_w": 1.0,
        "energy_in_wh": 1000.0,
        "voltage_v": 1.0,
        "current_a": 1.0,
        "closed": 1.0,
    }
    assert it.topics() >= {f"{TELEMETRY}/SENSOR", f"{TELEMETRY}/STATE", "stat/tasmota_A0B1C2/RESULT"}
    assert it.steering[0].topic == "cmnd/tasmota_A0B1C2/POWER"


def test_a_whole_device_in_one_message_is_understood_and_what_is_not_is_said() -> None:
    found = guessed(as_one_device())
    assert [one.element.id for one in found.shown] == ["wallbox"]
    assert points(found.shown[0]) == {"power_w": 1.0}
    assert guessed([*as_one_device()]).left_out == []


def test_a_template_that_is_not_understood_leaves_out_its_value_alone() -> None:
    odd = zigbee2mqtt()
    odd[0] = said(odd[0].topic, odd[0].payload.replace("{{ value_json.power }}", "{% set x %}"))
    found = guessed(odd)
    assert "power_w" not in points(found.shown[0])
    assert "is not understood" in found.left_out[0]


def test_what_is_taken_back_is_gone_and_our_own_hubs_are_not_taken_for_devices() -> None:
    it = catalogue(zigbee2mqtt())
    for message in zigbee2mqtt():
        it.hear(said(message.topic, ""))
    of_a_hub = esphome()[0]
    it.hear(said("homeassistant/sensor/ores_abc/house_grid_power_w/config", of_a_hub.payload))
    assert it.entities() == []
    with pytest.raises(ConfigError, match="no device that says what it is"):
        assembled(it, TopicMap(), control=False)


def test_a_person_says_what_a_guess_cannot_know() -> None:
    it = only(
        zigbee2mqtt(),
        **{"Washer plug": Said(connection_point=True, turned=True, conductor="L2", max_age_s=5)},
    )
    assert it.element.kind == "meter"
    measure = it.element.capabilities.ac_measure
    assert measure is not UNSET
    assert measure.connection_point is True
    assert points(it) == {"power_w": -1.0, "energy_out_wh": 1000.0, "voltage_v": 1.0}
    assert it.conductor == "L2"
    assert guessed(zigbee2mqtt(), zigbee2mqtt_0x0015=Said(show=False)).shown == []


def test_all_of_a_home_together_make_one_module() -> None:
    it = catalogue(list(ALL))
    found = assembled(it, TopicMap(), control=True)
    check_elements([one.element for one in found.shown])
    assert {one.element.id for one in found.shown} == {"washer_plug", "roof_solar", "boiler", "wallbox"}
    together = about(broker_of("broker", "BROKER"), found.shown, it, "")
    assert (together.name, together.serial) == ("MQTT devices", "mqtt://broker:1883")


MAP = """
devices:
  Washer plug: {kind: heat}
elements:
  grid:
    kind: meter
    connection_point: true
    power_w: {topic: meter/state, path: grid.power, unit: kW, turned: true, max_age_s: 10}
    energy_in_wh: {topic: meter/state, template: "{{ value_json.imported | float * 1000 }}"}
  battery:
    kind: battery
    capacity_wh: 10000
    rating_w: 3000
    power_w: {topic: battery/power}
    soc_pct: {topic: battery/soc}
    available: {topic: battery/lwt, online: up, offline: down}
    setpoint: {topic: battery/set, unit: kW, step: 0.1, turned: true, released: auto, refresh_s: 10}
"""


def test_a_map_says_what_is_not_found(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(MAP)
    told = load(file)
    watched, steered = shown(told, control=False), shown(told, control=True)
    check_elements([one.element for one in steered])
    assert [one.steering for one in watched] == [(), ()]
    assert watched[1].element.capabilities.setpoint is UNSET
    assert points(steered[0]) == {"power_w": -1000.0, "energy_in_wh": 1.0}
    assert steered[1].steering[0].refresh_s == 5.0
    found = assembled(catalogue(zigbee2mqtt()), told, control=False)
    assert {one.element.id: one.element.kind for one in found.shown} == {
        "grid": "meter",
        "battery": "battery",
        "washer_plug": "heat",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("elements: {grid: {kind: meter, power_w: {topic: a/+, path: x}}}", r"elements.grid.power_w.topic"),
        ("elements: {grid: {kind: meter, power_w: {topic: a, unit: hp}}}", "allowed is W, kW"),
        ("elements: {grid: {kind: meter, power_w: {topic: a, path: '{%'}}}", "elements.grid.power_w.path"),
        ("elements: {grid: {kind: spaceship}}", "spaceship"),
        ("elements: {grid: {kind: meter}}", "nothing that is told"),
        ("elements: {Grid: {kind: meter, power_w: {topic: a}}}", "first a letter"),
        ("elements: {b: {kind: battery, soc_pct: {topic: a}}}", "together with capacity_wh"),
        ("elements: {b: {kind: battery, power_w: {topic: a}, setpoint: {topic: b}}}", "b.rating_w"),
        ("elements: {b: {kind: load, power_w: {topic: a, max_age_s: 0}}}", "above 0"),
        ("elements: {b: {kind: load, watts: 1}}", "watts"),
        ("elements: [", "a YAML file"),
        ("devices: {Nobody: {kind: pv}}", "a device that is there: Washer plug"),
    ],
)
def test_a_map_that_cannot_be_says_where_and_what_is_allowed(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words):
        assembled(catalogue(zigbee2mqtt()), load(file), control=True)


def test_the_map_of_the_guide_is_one(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    file = tmp_path / "map.yaml"
    file.write_text(text)
    told = load(file)
    (battery,) = shown(told, control=True)
    check_elements([battery.element])
    assert battery.steering[0].released == "auto"
    assert set(told.devices) == {"Roof", "Main meter", "Hallway lamp"}


def mutated(message: Message, luck: random.Random) -> Message:
    """A message that somebody has broken."""
    payload = list(message.payload)
    for _ in range(luck.randint(1, 6)):
        at = luck.randrange(len(payload) + 1)
        match luck.randrange(4):
            case 0:
                payload[at : at + luck.randint(1, 9)] = []
            case 1:
                payload.insert(at, luck.choice('{}[]":,0123456789eE-+nulltruefalse~#\x00é'))
            case 2:
                payload[at:at] = payload[: luck.randint(0, 40)]
            case _:
                payload[at : at + 1] = list(luck.choice(["null", "1e999", "[]", "{}", '"#"', "-1", "true"]))
    return said(message.topic, "".join(payload))


def shake(times: int, seed: int) -> None:
    luck = random.Random(seed)
    for _ in range(times // 10):
        broken = [mutated(luck.choice(ALL), luck) for _ in range(10)]
        found = guess(catalogue(broken).entities(), {}, control=True)
        check_elements([one.element for one in found.shown]) if found.shown else None
        for one in found.shown:
            assert not any(sign in topic for topic in one.topics() for sign in "#+")
            for source in one.sources:
                value = source.value(Payload(luck.choice(broken).payload)).value
                assert value is None or -1e6 <= value <= 1e12


def test_ten_thousand_hostile_messages_break_nothing() -> None:
    shake(10_000, 1)


@pytest.mark.long
def test_a_million_hostile_messages_break_nothing() -> None:
    for seed in range(100):
        shake(10_000, seed)
