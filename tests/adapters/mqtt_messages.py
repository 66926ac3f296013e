"""What devices say of themselves on a broker, as their documentation shows it."""

from __future__ import annotations

import json

from ores.adapters.mqtt.broker import Message

PLUG = "zigbee2mqtt/Washer plug"
TELEMETRY = "tele/tasmota_A0B1C2"


def said(topic: str, payload: object, *, retained: bool = True) -> Message:
    return Message(topic, payload if isinstance(payload, str) else json.dumps(payload), retained)


def zigbee2mqtt() -> list[Message]:
    """A plug with a meter, in Zigbee2MQTT's words."""
    device = {
        "identifiers": ["zigbee2mqtt_0x0015"],
        "name": "Washer plug",
        "manufacturer": "Innr",
        "model": "SP",
    }
    shared = {
        "device": device,
        "state_topic": PLUG,
        "availability_mode": "all",
        "availability": [
            {"topic": "zigbee2mqtt/bridge/state", "value_template": "{{ value_json.state }}"},
            {"topic": f"{PLUG}/availability", "value_template": "{{ value_json.state }}"},
        ],
    }
    found = [
        said(
            f"homeassistant/sensor/0x0015/{key}/config",
            {
                **shared,
                "device_class": device_class,
                "state_class": state_class,
                "unit_of_measurement": unit,
                "unique_id": f"0x0015_{key}_zigbee2mqtt",
                "value_template": f"{{{{ value_json.{key} }}}}",
            },
        )
        for key, device_class, unit, state_class in (
            ("power", "power", "W", "measurement"),
            ("energy", "energy", "kWh", "total_increasing"),
            ("voltage", "voltage", "V", "measurement"),
            ("linkquality", "", "lqi", "measurement"),
        )
    ]
    switch = {
        **shared,
        "unique_id": "0x0015_switch_zigbee2mqtt",
        "command_topic": f"{PLUG}/set",
        "value_template": "{{ value_json.state }}",
        "payload_on": "ON",
        "payload_off": "OFF",
    }
    return [*found, said("homeassistant/switch/0x0015/switch/config", switch)]


def esphome() -> list[Message]:
    """The sun on a roof, in ESPHome's abbreviations."""
    shared = {
        "~": "roof",
        "avty_t": "~/status",
        "dev": {"ids": "a1b2", "name": "roof-solar", "mf": "Espressif"},
    }
    power = {
        **shared,
        "dev_cla": "power",
        "unit_of_meas": "kW",
        "stat_cla": "measurement",
        "name": "PV Power",
        "stat_t": "~/sensor/pv_power/state",
        "uniq_id": "ESPpv_power",
        "exp_aft": 20,
    }
    energy = {
        **shared,
        "dev_cla": "energy",
        "unit_of_meas": "kWh",
        "stat_cla": "total_increasing",
        "name": "PV Energy",
        "stat_t": "~/sensor/pv_energy/state",
        "uniq_id": "ESPpv_energy",
    }
    today = {**energy, "name": "PV Energy today", "uniq_id": "ESPtoday", "stat_t": "~/sensor/today/state"}
    return [
        said("homeassistant/sensor/roof/pv_power/config", power),
        said("homeassistant/sensor/roof/pv_energy/config", energy),
        said("homeassistant/sensor/roof/today/config", today),
    ]


def tasmota() -> list[Message]:
    """A boiler's relay with a meter, in Tasmota's own words."""
    config = {
        "dn": "Boiler",
        "fn": ["Boiler", None],
        "md": "Sonoff POW R2",
        "ofln": "Offline",
        "onln": "Online",
        "state": ["OFF", "ON", "TOGGLE", "HOLD"],
        "t": "tasmota_A0B1C2",
        "ft": "%prefix%/%topic%/",
        "tp": ["cmnd", "stat", "tele"],
        "rl": [1, 0, 0, 0],
        "ver": 1,
    }
    sensors = {"sn": {"ENERGY": {"Total": 1.0, "Yesterday": 1, "Power": 0, "Voltage": 230, "Current": 0}}}
    return [
        said("tasmota/discovery/A0B1C2/config", config),
        said("tasmota/discovery/A0B1C2/sensors", {**sensors, "ver": 1}),
    ]


def as_one_device() -> list[Message]:
    """A charger in the form that tells a device at once."""
    told = {
        "dev": {"ids": ["wb-1"], "name": "Wallbox"},
        "o": {"name": "evcc"},
        "state_topic": "wallbox/state",
        "cmps": {
            "p": {
                "p": "sensor",
                "dev_cla": "power",
                "unit_of_meas": "W",
                "val_tpl": "{{ value_json.w }}",
                "uniq_id": "wb_w",
            },
            "odd": {
                "p": "sensor",
                "dev_cla": "energy",
                "unit_of_meas": "kWh",
                "val_tpl": "{% x %}",
                "uniq_id": "y",
            },
            "light": {"p": "light", "uniq_id": "wb_light"},
        },
    }
    return [said("homeassistant/device/wb1/config", told)]


ALL = (*zigbee2mqtt(), *esphome(), *tasmota(), *as_one_device())
