"""Home Assistant itself, in an environment of its own, driven over its own interfaces."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
from tests.system.mosquitto import free_port
from tools.peers import NotInstalled, environment


class Release(NamedTuple):
    """One that is tried.

    Attributes:
        version: Of Home Assistant.
        python: That it needs.
        requirements: What its manifests ask for the integrations that are used here.
    """

    version: str
    python: str
    requirements: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its environment, and in what is said of it."""
        return f"home-assistant-{self.version}"


RELEASES = (
    Release(
        "2024.3.3",
        "3.11",
        (
            "Pillow==10.2.0",
            "SQLAlchemy==2.0.27",
            "aiohttp-fast-url-dispatcher==0.3.0",
            "aiohttp-zlib-ng==0.3.1",
            "aiohttp_cors==0.7.0",
            "fnv-hash-fast==0.5.0",
            "home-assistant-frontend==20240307.0",
            "ifaddr==0.2.0",
            "janus==1.0.0",
            "josepy<2",  # what the acme of that time can still read
            "paho-mqtt==1.6.1",
            "psutil-home-assistant==0.0.1",
            "securetar==2024.2.1",
        ),
    ),
    Release(
        "2025.4.4",
        "3.13",
        (
            "Pillow==11.1.0",
            "SQLAlchemy==2.0.39",
            "cronsim==2.6",
            "fnv-hash-fast==1.4.0",
            "home-assistant-frontend==20250411.0",
            "ifaddr==0.2.0",
            "paho-mqtt==2.1.0",
            "psutil-home-assistant==0.0.1",
            "securetar==2025.2.1",
        ),
    ),
)
CONFIGURATION = """
http:
  server_host: 127.0.0.1
  server_port: {port}
api:
websocket_api:
config:
onboarding:
recorder:
  commit_interval: 1
history:
sensor:
energy:
logger:
  default: warning
"""
STARTS_WITHIN_S = 120.0
WITHIN_S = 60.0
State = dict[str, Any]


class HomeAssistant:
    """A running one, with somebody logged in."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url
        self._token = ""
        self._numbers = itertools.count(1)

    async def onboard(self) -> None:
        """Become its owner."""
        client = self._url + "/"
        owner = {
            "client_id": client,
            "name": "Ada",
            "username": "ada",
            "password": "correct horse",
            "language": "en",
        }
        code = (await self._post("/api/onboarding/users", owner))["auth_code"]
        form = {"grant_type": "authorization_code", "code": code, "client_id": client}
        async with self._http.post(f"{self._url}/auth/token", data=form) as answer:
            self._token = (await answer.json())["access_token"]

    async def add_mqtt(self, port: int) -> None:
        """What a person does under "Add integration"."""
        flow = await self._post("/api/config/config_entries/flow", {"handler": "mqtt"})
        broker = {"broker": "127.0.0.1", "port": port}
        done = await self._post(f"/api/config/config_entries/flow/{flow['flow_id']}", broker)
        assert done["type"] == "create_entry", done

    async def states(self) -> dict[str, State]:
        """All entities by their ids."""
        async with self._http.get(f"{self._url}/api/states", headers=self._headers) as answer:
            return {one["entity_id"]: one for one in await answer.json()}

    async def until(self, holds: Callable[[dict[str, State]], object]) -> dict[str, State]:
        """Wait until this holds for the entities."""
        async with asyncio.timeout(WITHIN_S):
            while not holds(states := await self.states()):
                await asyncio.sleep(0.5)
            return states

    async def call(self, service: str, entity: str, **data: object) -> None:
        """Call a service, `domain/name`, as a button of its page does."""
        await self._post(f"/api/services/{service}", {"entity_id": entity, **data})

    async def command(self, kind: str, **data: object) -> Any:
        """A command of its WebSocket interface."""
        async with self._http.ws_connect(f"{self._url}/api/websocket") as ws:
            await ws.receive_json()
            await ws.send_json({"type": "auth", "access_token": self._token})
            assert (await ws.receive_json())["type"] == "auth_ok"
            await ws.send_json({"id": next(self._numbers), "type": kind, **data})
            answer = await ws.receive_json()
        assert answer["success"], answer
        return answer["result"]

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    async def _post(self, path: str, body: object) -> Any:
        async with self._http.post(self._url + path, json=body, headers=self._headers) as answer:
            assert answer.status < 300, (path, answer.status, await answer.text())
            return await answer.json()


@asynccontextmanager
async def home_assistant(release: Release, directory: Path) -> AsyncIterator[HomeAssistant]:
    """One that runs for as long as the context lasts; skips where it cannot be installed, and says so."""
    try:
        wanted = (f"homeassistant=={release.version}", *release.requirements)
        bin_ = environment(release.name, wanted, release.python)
    except NotInstalled as error:
        pytest.skip(str(error))
    port = free_port()
    directory.mkdir(parents=True)
    (directory / "configuration.yaml").write_text(CONFIGURATION.format(port=port))
    command = [bin_ / "hass", "--config", directory, "--skip-pip"]
    with (directory / "hass.log").open("wb") as log:
        # a peer that is no part of what is measured here
        it = subprocess.Popen(command, stdout=log, stderr=log, preexec_fn=lambda: os.nice(10))  # noqa: PLW1509
    try:
        async with aiohttp.ClientSession() as http:
            running = HomeAssistant(http, f"http://127.0.0.1:{port}")
            async with asyncio.timeout(STARTS_WITHIN_S):
                while it.poll() is None and not await _answers(http, port):
                    await asyncio.sleep(0.5)
            assert it.poll() is None, (directory / "hass.log").read_text()
            await running.onboard()
            yield running
    finally:
        it.send_signal(signal.SIGTERM)
        try:
            it.wait(20)
        except subprocess.TimeoutExpired:
            it.kill()
            it.wait(10)


async def _answers(http: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with http.get(f"http://127.0.0.1:{port}/api/onboarding") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
