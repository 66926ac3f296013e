"""The hub over MQTT, with a real broker between."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.hub.hubhouse import BATTERY, METER, House
from tests.system.mosquitto import Listener, listening, mosquitto

from ores.adapters.mqtt.broker import Connection
from ores.hub.run import RunningHub
from ores.link.clock import RealClock
from ores.link.errors import ConfigError

UNITS = {"power": "W", "energy": "kWh", "battery": "%"}


def house(port: int, data: Path, options: str = "every_s=1", login: str = "") -> House:
    return House(RealClock(), data=data, mqtt=f"mqtt://{login}127.0.0.1:{port}?{options}")


def base(running: RunningHub) -> str:
    return f"ores/{running.hub.id}"


def configs(heard: dict[str, str]) -> dict[str, dict[str, object]]:
    return {
        topic: json.loads(payload)
        for topic, payload in heard.items()
        if topic.endswith("/config") and payload
    }


async def discovered(to: Listener, running: RunningHub) -> None:
    own = base(running)
    await to.until(lambda heard: heard.get(f"{own}/house/soc_pct", "None") != "None")
    await to.until(lambda heard: heard.get(f"{own}/house/grid_power_w", "None") != "None")
    both = [f"{own}/{BATTERY}/status", f"{own}/{METER}/status"]
    told = [str(one["state_topic"]) for one in configs(to.newest).values() if "state_topic" in one]
    await to.until(lambda heard: all(topic in heard for topic in [*both, *told]))


async def test_everything_is_discovered_once_with_units_and_told_live(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            own = base(running)
            await to.until(lambda heard: abs(float(heard[f"{own}/house/grid_power_w"])) < 50)
            assert to.newest[f"{own}/status"] == to.newest[f"{own}/{BATTERY}/status"] == "online"
            found = configs(to.newest)
            ids = [one["unique_id"] for one in found.values()]
            assert len(set(ids)) == len(ids) > 12
            for one in found.values():
                kind = one.get("device_class")
                assert UNITS.get(str(kind), one.get("unit_of_measurement")) == one.get("unit_of_measurement")
                assert {"topic": f"{own}/status"} in one["availability"]  # type: ignore[operator]
                state = one.get("state_topic")
                assert state is None or state in to.newest, one
            home.world.load_w = 2000.0
            await to.until(lambda heard: float(heard[f"{own}/{BATTERY}/battery/power_w"]) < -1900)
            assert not [topic for topic, _, retained in to.heard if retained]
        await asyncio.sleep(0)


async def test_commands_are_answered_on_their_state_topic_and_act(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            own, operation = base(running), f"{base(running)}/{BATTERY}/battery/operation"
            await to.say(f"{operation}/set", "charge")
            await to.until(lambda heard: heard[operation] == "charge")
            await to.until(lambda heard: float(heard[f"{own}/{BATTERY}/battery/power_w"]) == 3000)
            to.heard.clear()
            await to.say(f"{operation}/set", "explode")
            await to.until(lambda _heard: (operation, "charge", False) in to.heard)
            notices = {one.code: one.text for one in running.hub.notices.active()}
            assert "allowed is automatic, charge, hold" in notices["mqtt_command_refused"]
            await to.say(f"{own}/house/automatic/set", "PRESS")
            await to.until(lambda heard: heard[operation] == "automatic")
            assert "mqtt_command_refused" not in {one.code for one in running.hub.notices.active()}


async def test_a_retained_command_is_not_carried_out_again(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to:
            async with home.hub() as running:
                await discovered(to, running)
                operation = f"{base(running)}/{BATTERY}/battery/operation"
            await to.say(f"{operation}/set", "charge", retain=True)
            to.newest.clear()
            async with home.hub() as running:
                await discovered(to, running)
                await to.until(lambda heard: operation in heard)
                assert to.newest[operation] == "automatic"


async def test_an_old_value_of_a_silent_module_is_not_told(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            own = base(running)
            home.kill(METER)
            for session in home.sessions[METER]:
                await session.close()
            await to.until(lambda heard: heard[f"{own}/{METER}/status"] == "offline")
            await to.until(lambda heard: heard[f"{own}/house/grid_power_w"] == "None")
            assert to.newest[f"{own}/{METER}/meter/power_w"] == "None"


async def test_everything_is_said_again_when_home_assistant_starts(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            before = dict(to.newest)
            to.newest.clear()
            await to.say("homeassistant/status", "online")
            await to.until(lambda heard: before.keys() <= heard.keys(), within_s=3.0)


async def test_what_is_no_longer_there_is_no_longer_discovered(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            left = f"homeassistant/sensor/ores_{running.hub.id}/{'x' * 26}_gone_power_w/config"
            await to.say(left, {"name": "of a module that was removed while the hub was off"}, retain=True)
            of_meter = [topic for topic in configs(to.newest) if METER in topic]
            await running.hub.federation.leave(METER)
            await to.until(lambda heard: not any(heard[topic] for topic in [left, *of_meter]))
            assert any(BATTERY in topic for topic in configs(to.newest))


async def test_a_broker_that_comes_later_or_goes_delays_no_cycle(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        pass
    home = house(port, tmp_path / "hub")
    async with home.hub() as running:
        await asyncio.sleep(1.5)
        assert "mqtt_unreachable" in {one.code for one in running.hub.notices.active()}
        with mosquitto(tmp_path / "broker", port):
            async with listening(port) as to:
                await discovered(to, running)
            assert "mqtt_unreachable" not in {one.code for one in running.hub.notices.active()}
        await asyncio.sleep(1.5)
        assert "mqtt_unreachable" in {one.code for one in running.hub.notices.active()}
        assert running.hub.summary().missed_cycles == 0


async def test_a_broker_that_hangs_delays_no_cycle(tmp_path: Path) -> None:
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen(1)
        home = house(hanging.getsockname()[1], tmp_path / "hub")
        async with home.hub() as running:
            await asyncio.sleep(3.0)
            assert running.hub.summary().missed_cycles == 0
            assert running.hub.summary().leases_applied > 0


async def test_a_broker_that_wants_a_password_gets_it(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker", passwords="ada:s3cret/@") as port:
        right = house(port, tmp_path / "right", login="ada:s3cret%2F%40@")
        async with listening(port, username="ada", password="s3cret/@") as to, right.hub() as running:
            await discovered(to, running)
        wrong = house(port, tmp_path / "wrong", login="ada:wrong@")
        async with wrong.hub() as running:
            await asyncio.sleep(1.5)
            (notice,) = [one for one in running.hub.notices.active() if one.code == "mqtt_unreachable"]
            assert "does not let ada in" in notice.text
            assert "wrong" not in notice.text


async def test_an_encrypted_broker_is_believed_by_its_certificate(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker", tls=True) as port:
        ca = tmp_path / "broker" / "broker.pem"
        home = House(RealClock(), data=tmp_path / "hub", mqtt=f"mqtts://127.0.0.1:{port}?ca={ca}")
        async with home.hub() as running:
            await asyncio.sleep(1.5)
            assert "mqtt_unreachable" not in {one.code for one in running.hub.notices.active()}


# the library leaves it to the collector to close a socket whose handshake fails
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning"
)
async def test_a_broker_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker", tls=True) as port:
        home = House(RealClock(), data=tmp_path / "hub", mqtt=f"mqtts://127.0.0.1:{port}")
        async with home.hub() as running:
            await asyncio.sleep(1.5)
            (notice,) = [one for one in running.hub.notices.active() if one.code == "mqtt_unreachable"]
            assert "CERTIFICATE_VERIFY_FAILED" in notice.text


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://broker", "http://"),
        ("mqtt://ada:secret@/", "mqtt://"),
        ("mqtt://broker:99999", "port"),
        ("mqtt://broker?colour=red", "?colour"),
        ("mqtt://broker?every_s=0", "1 to 30 s"),
        ("mqtt://broker?control=maybe", "yes, or no"),
        ("mqtt://broker?currency=euro", "three capitals"),
        ("mqtts://broker?ca=nowhere.pem", "nowhere.pem"),
    ],
)
async def test_an_address_that_cannot_be_is_refused_without_its_password(
    tmp_path: Path, address: str, said: str
) -> None:
    home = House(RealClock(), data=tmp_path, mqtt=address)
    with pytest.raises(ConfigError) as refused:
        async with home.hub():
            pass
    assert said in refused.value.detail
    assert "secret" not in refused.value.detail


async def test_who_is_only_to_read_is_shown_no_controls(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub", "every_s=1&control=no&discovery=ha")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
            assert configs(to.newest)
            assert {topic.split("/")[0] for topic in configs(to.newest)} == {"ha"}
            assert not [one for one in configs(to.newest).values() if "command_topic" in one]
            await to.say(f"{base(running)}/{BATTERY}/battery/operation/set", "charge")
            await asyncio.sleep(0.3)
            assert not running.hub.proposals.held()


async def test_the_price_is_told_in_the_currency_that_was_said(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub", "every_s=1&currency=CHF")
        async with listening(port) as to, home.hub() as running:
            running.hub.preferences.put(
                msgspec.structs.replace(running.hub.preferences.get(), price_per_kwh=0.3123)
            )
            await discovered(to, running)
            own = f"{base(running)}/house"
            await to.until(lambda heard: heard[f"{own}/price_per_kwh"] == "0.3123")
            assert to.newest[f"{own}/export_price_per_kwh"] == "None"
            units = {one.get("unit_of_measurement") for one in configs(to.newest).values()}
            assert "CHF/kWh" in units


def hub_process(tmp_path: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ores.cli", "hub", "--json", "--port", "0", "--no-discover"]
    return subprocess.Popen([*command, "--data", str(tmp_path), *words], stdout=subprocess.PIPE, text=True)


async def test_a_hub_that_is_killed_is_offline_by_its_last_will_and_one_that_ends_says_so(
    tmp_path: Path,
) -> None:
    with mosquitto(tmp_path / "broker") as port:
        async with listening(port, "ores/+/status") as to:
            for end in (signal.SIGTERM, signal.SIGKILL):
                to.newest.clear()
                hub = hub_process(tmp_path / "hub", "--mqtt", f"127.0.0.1:{port}")
                try:
                    await to.until(lambda heard: "online" in heard.values())
                    hub.send_signal(end)
                    await to.until(lambda heard: "offline" in heard.values())
                finally:
                    hub.kill()
                    hub.wait(10)
                    assert hub.stdout is not None
                    hub.stdout.close()


async def test_a_good_bye_is_said_although_a_cancellation_is_lost(tmp_path: Path, monkeypatch) -> None:
    publish, values, losses = Connection.publish, asyncio.Event(), []

    async def losing(self: Connection, topic: str, payload: str, **how: bool) -> None:
        await publish(self, topic, payload, **how)
        if topic.endswith("power_w") and not losses:
            values.set()
            try:
                await asyncio.sleep(10.0)
            except asyncio.CancelledError as lost:
                losses.append(lost)

    monkeypatch.setattr(Connection, "publish", losing)
    with mosquitto(tmp_path / "broker") as port:
        home = house(port, tmp_path / "hub")
        async with listening(port, "ores/+/status") as to:
            async with home.hub() as running:
                status = f"{base(running)}/status"
                await to.until(lambda heard: heard.get(status) == "online")
                await values.wait()
            await to.until(lambda heard: heard[status] == "offline", within_s=5.0)
    assert losses


async def test_a_simulated_home_leaves_nothing_with_the_broker(tmp_path: Path) -> None:
    with mosquitto(tmp_path / "broker") as port:
        home = House(RealClock(), data=tmp_path, simulated=True, mqtt=f"127.0.0.1:{port}?every_s=1")
        async with listening(port) as to, home.hub() as running:
            await discovered(to, running)
        async with listening(port) as to:
            await asyncio.sleep(0.5)
            assert to.heard == []


def test_a_hub_without_a_broker_does_not_carry_the_library() -> None:
    code = "import sys, ores.hub.run, ores.hub.api.serve; print('aiomqtt' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert said.strip() == "False"
