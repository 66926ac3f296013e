"""Devices that say over MQTT what they are, as modules of a hub, with a real broker between."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.adapters.mqtt_messages import PLUG, esphome, tasmota, zigbee2mqtt
from tests.hub.hubhouse import House
from tests.system.mosquitto import Listener, listening, mosquitto

from ores.adapters.mqtt.address import broker_of
from ores.adapters.mqtt.device import MqttDevices
from ores.adapters.mqtt.found import about, assembled, look
from ores.adapters.mqtt.topic_map import TopicMap
from ores.link.clock import RealClock
from ores.link.errors import Unavailable
from ores.model import Proposal, Subject, Wish
from ores.module import Module

PLUGS = "p" * 26
ORES = [sys.executable, "-m", "ores.cli"]


@asynccontextmanager
async def a_plug(to: Listener, power_w: float = 120.0) -> AsyncIterator[list[str]]:
    """A plug behind Zigbee2MQTT: says what it is, reports, and does what it is told; what it was told."""
    told: list[str] = []
    closed = True

    async def live() -> None:
        nonlocal closed
        for message in zigbee2mqtt():
            await to.say(message.topic, message.payload, retain=True)
        await to.say("zigbee2mqtt/bridge/state", {"state": "online"}, retain=True)
        await to.say(f"{PLUG}/availability", {"state": "online"}, retain=True)
        while True:
            orders = [payload for topic, payload, _ in to.heard if topic == f"{PLUG}/set"]
            for order in orders[len(told) :]:
                told.append(order)
                closed = order == "ON"
            report = {"power": power_w if closed else 0, "energy": 1.5, "voltage": 230}
            await to.say(PLUG, {**report, "state": "ON" if closed else "OFF"})
            await asyncio.sleep(0.2)

    task = asyncio.create_task(live())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait({task})


async def until(holds: object) -> None:
    async with asyncio.timeout(20.0):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.05)


async def test_a_plug_appears_by_itself_and_a_hub_switches_it(tmp_path: Path) -> None:
    clock = RealClock()
    with mosquitto(tmp_path / "broker") as port:
        broker = broker_of(f"127.0.0.1:{port}", "BROKER")
        async with listening(port) as to, a_plug(to) as told:
            await to.until(lambda heard: PLUG in heard)
            catalogue = await look(broker, clock, tmp_path / "plugs")
            shown = assembled(catalogue, TopicMap(), control=True).shown
            it = MqttDevices(broker, shown, clock, about=about(broker, shown, catalogue, ""))
            await it.start()
            house = House(clock, tmp_path / "hub")
            house.modules[PLUGS] = Module(it, it.about, module_id=PLUGS, clock=clock, policies=it.policies)
            house.modules[PLUGS].start()
            try:
                async with house.hub() as running:
                    link = running.hub.federation.links[PLUGS]
                    await until(
                        lambda: link.state and link.state.elements["washer_plug"].ac_measure.power_w == 120
                    )  # type: ignore[union-attr]
                    assert told == []
                    running.hub.proposals.put(
                        Proposal(
                            subject=Subject(kind="element", module=PLUGS, element="washer_plug"),
                            rank="owner_wish",
                            source="test",
                            reason="wash later",
                            ttl_s=4.0,
                            wish=Wish(closed=False),
                        )
                    )
                    await until(lambda: told == ["OFF"])
                    await until(lambda: link.state.elements["washer_plug"].ac_measure.power_w == 0)  # type: ignore[union-attr]
                    await until(
                        lambda: told == ["OFF", "ON"]
                    )  # its time is over, and it is as its owner had it
                    assert running.hub.summary().leases_refused == 0
            finally:
                await it.stop()


async def test_a_broker_that_is_away_leaves_what_was_found_and_nothing_known(tmp_path: Path) -> None:
    clock = RealClock()
    with mosquitto(tmp_path / "broker") as port:
        broker = broker_of(f"127.0.0.1:{port}", "BROKER")
        with pytest.raises(Unavailable):
            await look(broker_of("127.0.0.1:1", "BROKER"), clock, tmp_path / "nowhere")
        async with listening(port) as to, a_plug(to):
            await to.until(lambda heard: PLUG in heard)
            await look(broker, clock, tmp_path / "plugs")
    catalogue = await look(broker, clock, tmp_path / "plugs")
    shown = assembled(catalogue, TopicMap(), control=False).shown
    assert [one.element.id for one in shown] == ["washer_plug"]
    it = MqttDevices(broker, shown, clock, about=about(broker, shown, catalogue, ""))
    await it.start()
    try:
        assert it.read("washer_plug").ac_measure.power_w is None  # type: ignore[union-attr]
        with mosquitto(tmp_path / "broker", port):
            async with listening(port) as to, a_plug(to, 77.0):
                await until(lambda: it.read("washer_plug").ac_measure.power_w == 77)  # type: ignore[union-attr]
    finally:
        await it.stop()


async def test_the_command_shows_what_is_there_and_notices_what_comes(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        async with listening(port) as to:
            for message in esphome():
                await to.say(message.topic, message.payload, retain=True)
            words = [
                "adapter",
                "serve",
                "mqtt",
                f"mqtt://127.0.0.1:{port}",
                "--data",
                str(tmp_path / "module"),
            ]
            serving = subprocess.Popen(
                [*ORES, *words],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            assert serving.stderr is not None
            lines: list[str] = []

            async def says(text: str) -> None:
                while not any(text in line for line in lines):
                    line = await asyncio.to_thread(serving.stderr.readline)  # type: ignore[union-attr]
                    assert line, "".join(lines)
                    lines.append(line)

            try:
                async with asyncio.timeout(60):
                    await says("roof_solar: pv")
                    assert "only read" in "".join(lines)
                    lines.clear()
                    for message in tasmota():
                        await to.say(message.topic, message.payload, retain=True)
                    await says("boiler: load")
            finally:
                serving.send_signal(signal.SIGTERM)
                _, rest = serving.communicate(timeout=20)
            assert serving.returncode == 0, rest


BATTERY = """
elements:
  battery:
    kind: battery
    capacity_wh: 10000
    rating_w: 3000
    power_w: {topic: battery/state, path: w}
    energy_in_wh: {topic: battery/state, path: charged_kwh, unit: kWh}
    energy_out_wh: {topic: battery/state, path: discharged_kwh, unit: kWh}
    soc_pct: {topic: battery/state, path: soc}
    setpoint: {topic: battery/set, step: 1, response_s: 1, refresh_s: 10, state: {topic: battery/set_point}}
"""


@asynccontextmanager
async def a_battery(to: Listener) -> AsyncIterator[None]:
    """One that does what a plain topic says, and counts."""

    async def live() -> None:
        soc, counted = 50.0, [10.0, 5.0]
        while True:
            power_w = float(to.newest.get("battery/set", "0"))
            counted[power_w < 0] += abs(power_w) * 0.2 / 3.6e6
            soc += power_w * 0.2 / 3600 / 100
            await to.say("battery/set_point", f"{power_w:g}")
            told = {"w": power_w, "charged_kwh": counted[0], "discharged_kwh": counted[1]}
            await to.say("battery/state", {**told, "soc": round(soc, 3)})
            await asyncio.sleep(0.2)

    task = asyncio.create_task(live())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.mark.kit
async def test_a_battery_and_a_plug_on_a_broker_conform(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(BATTERY)
    with mosquitto(tmp_path / "broker") as port:
        async with listening(port) as to, a_plug(to), a_battery(to):
            words = [
                "adapter",
                "serve",
                "mqtt",
                f"127.0.0.1:{port}",
                "--data",
                str(tmp_path / "it"),
                "--control",
            ]
            serving = await asyncio.create_subprocess_exec(
                *ORES, *words, "--map", str(tmp_path / "map.yaml"), "--json", stdout=asyncio.subprocess.PIPE
            )
            try:
                assert serving.stdout is not None
                said = json.loads(await serving.stdout.readline())
                judge = await asyncio.create_subprocess_exec(
                    *[*ORES, "conform", f"https://127.0.0.1:{said['port']}", "--code", said["code"]],
                    *["--profile", "storage"],
                    stdout=asyncio.subprocess.PIPE,
                )
                out, _ = await judge.communicate()
                assert judge.returncode == 0, out.decode()[-5000:]
                assert "conforms to ORES 1.0" in out.decode()
            finally:
                serving.terminate()
                await serving.wait()


def test_a_mistake_in_the_command_is_one_sentence(tmp_path: Path) -> None:
    words = ["adapter", "serve", "mqtt", "mqtt://ada:secret@127.0.0.1:1", "--data", str(tmp_path)]
    done = subprocess.run([*ORES, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("ores: mqtt://127.0.0.1:1: ")
    assert "secret" not in done.stderr
    assert not done.stdout
