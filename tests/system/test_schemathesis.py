"""Schemathesis, which none of us wrote, reads the interfaces and tries a real module and a real hub.

Its checks are all on; `schemathesis/*.toml` says what is narrowed, and why.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.hub.hubhouse import House
from tools import schemas
from tools.openapi import bundled

from ores.hub.api.guard import Guard
from ores.link import client
from ores.link.clock import RealClock
from ores.link.endpoint import Peer, Reply
from ores.link.identity import new_identity
from ores.module.run import Running
from ores.sim.home import Home, on_sockets
from ores.sim.physics.config import HouseConfig
from ores.sim.sources.household import Household

HERE = Path(__file__).parent / "schemathesis"
SEED = 20250601
EXAMPLES = 8
LONG = [pytest.mark.long, pytest.mark.timeout(1800)]
THOROUGHLY = pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(300, marks=LONG)])
PASSWORD = "sun on the roof"


@dataclass
class Run:
    """One run of schemathesis.

    Attributes:
        document: Of the standard.
        url: Below which its paths are.
        how: Further arguments of its command line.
        refused_as: The code by which whoever runs it is refused, where it must not come in.
        public: The document asks for no session: what a hub without an owner does.
        session: Of whoever is logged in to a hub.
        examples: Drawn for each operation, beside those that its schema's edges give.
    """

    document: str
    url: str
    how: list[str] = field(default_factory=list)
    refused_as: str | None = None
    public: bool = False
    session: str | None = None
    examples: int = EXAMPLES

    async def report(self, directory: Path) -> dict[str, Any]:
        """What it has found; its words are in `report["said"]`."""
        document = bundled(self.document)
        if self.public:
            document["security"] = []
        place, found = directory / f"{self.document}.json", directory / "report.json"
        place.write_text(json.dumps(document))
        config = (HERE / f"{self.document.removeprefix('openapi-').removesuffix('.yaml')}.toml").read_text()
        if self.session is not None:
            config += f'\n[auth.openapi.session]\napi_key = "{self.session}"\n'
        settings = directory / "schemathesis.toml"
        settings.write_text(config)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", settings, "run", place),
            *("--url", self.url, "--seed", SEED, "--max-examples", self.examples, "--no-color"),
            *("--continue-on-failure", "--tls-verify", "false"),
            *("--report", "json", "--report-json-path", found, *self.how),
        ]
        environment = {
            **os.environ,
            "ORES_DOCUMENT": str(place),
            "PYTHONPATH": os.pathsep.join([str(schemas.STANDARD.parent), str(HERE)]),
            "PYTHONWARNINGS": "ignore",  # of its own parts, among them one about unverified certificates
        }
        if self.refused_as is not None:
            environment["ORES_REFUSED_AS"] = self.refused_as
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=environment,
            cwd=directory,  # where it keeps what it remembers
        )
        said, _ = await process.communicate()
        assert found.exists(), said.decode()
        return {**json.loads(found.read_text()), "said": said.decode()}


def found_nothing(report: dict[str, Any], operations: int) -> None:
    """Every operation was tried, and nothing was found."""
    assert report["exit_code"] == 0, report["said"]
    assert report["failures"] == []
    assert report["stop_reason"] == "completed"
    assert report["operations"]["tested"] == operations, report["said"]
    assert report["test_cases"]["generated"] > 20 * operations


@asynccontextmanager
async def a_module(
    name: str, directory: Path, spoil: Callable[[Running], None] = lambda _it: None
) -> AsyncIterator[tuple[str, Path]]:
    """A simulated device on a socket, paired; its address, and the key of the hub that controls it."""
    clock, config = RealClock(), HouseConfig()
    home = Home(config, Household(config, 2), clock, only=[name])
    async with on_sockets(home, directory, seed=SEED) as modules:
        it = modules[name]
        spoil(it)
        hub = new_identity()
        await client.pair("127.0.0.1", it.server.port, hub, it.desk.code, clock, name="Hub")
        key = directory / "hub.pem"
        key.write_bytes(hub.pem)
        yield f"https://127.0.0.1:{it.server.port}/ores/v1", key


@asynccontextmanager
async def a_hub(directory: Path) -> AsyncIterator[str]:
    """A hub with a battery and a meter, and its address."""
    house = House(RealClock(), data=directory / "hub", port=0)
    async with house.hub() as running:
        yield f"{running.url}ores/v1"


async def become_owner(url: str) -> str:
    """The session of a new owner."""
    wanted = {"name": "Sun", "password": PASSWORD}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/owner", json=wanted) as answer:
        assert answer.status == 201
        return answer.cookies["ores_session"].value


def operations(document: str) -> int:
    return sum(
        "operationId" in each for path in bundled(document)["paths"].values() for each in path.values()
    )


MODULE, HUB = operations("openapi-module.yaml"), operations("openapi-hub.yaml")


@pytest.mark.parametrize("name", ["battery", pytest.param("hybrid", marks=LONG)])
@THOROUGHLY
async def test_a_module_keeps_its_interface_towards_the_hub_that_controls_it(
    name: str, examples: int, tmp_path: Path
) -> None:
    async with a_module(name, tmp_path) as (url, key):
        # to release the module would end this run's own key
        how = ["--exclude-operation-id", "releasePairing", "--request-cert", str(key)]
        report = await Run("openapi-module.yaml", url, how, examples=examples).report(tmp_path)
    found_nothing(report, MODULE - 1)


async def test_a_module_keeps_its_interface_towards_a_stranger(tmp_path: Path) -> None:
    async with a_module("battery", tmp_path) as (url, _):
        report = await Run("openapi-module.yaml", url, refused_as="forbidden").report(tmp_path)
    found_nothing(report, MODULE)


async def test_a_hub_without_an_owner_keeps_its_interface(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as url:
        # to become the owner is for the next test: here it would close every other door
        how = ["--exclude-operation-id", "createOwner"]
        report = await Run("openapi-hub.yaml", url, how, public=True).report(tmp_path)
    found_nothing(report, HUB - 1)


async def test_a_hub_can_be_owned_by_whoever_is_first(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as url:
        how = ["--include-path", "/owner", "--include-path", "/session"]
        report = await Run("openapi-hub.yaml", url, how, examples=4).report(tmp_path)
    found_nothing(report, 4)


@THOROUGHLY
async def test_a_hub_keeps_its_interface_towards_its_owner(examples: int, tmp_path: Path) -> None:
    async with a_hub(tmp_path) as url:
        session = await become_owner(url)
        # to log out would end this run's own session
        how = ["--exclude-operation-id", "logOut"]
        report = await Run("openapi-hub.yaml", url, how, session=session, examples=examples).report(tmp_path)
    found_nothing(report, HUB - 1)


async def test_a_hub_tells_nobody_else_anything(tmp_path: Path) -> None:
    async with a_hub(tmp_path) as url:
        await become_owner(url)
        report = await Run("openapi-hub.yaml", url, refused_as="login_required").report(tmp_path)
    found_nothing(report, HUB)


def spoilt(it: Running) -> None:
    """Wrong in one way for each resource."""
    right = it.module.request

    def wrong(peer: Peer, method: str, path: str, body: bytes) -> Reply:
        reply = right(peer, method, path, body)
        said = json.loads(reply.body)
        match method, path:
            case "GET", "/state":
                del said["uptime_ms"]
            case "PUT", "/policy":
                return right(peer, "GET", path, b"")  # whatever was asked for
            case "PUT", "/failsafe" if reply.status >= 400:
                said["code"] = "no_such_code"
            case "PUT", "/settings" if reply.status == 400:
                return Reply(500, reply.body)
            case "PUT", "/faults":
                return Reply(405, reply.body)
        return Reply(reply.status, json.dumps(said).encode(), reply.allow)

    it.module.request = wrong


async def test_a_module_that_is_wrong_is_found_out(tmp_path: Path) -> None:
    async with a_module("battery", tmp_path, spoilt) as (url, key):
        how = ["--request-cert", str(key), "--phases", "coverage", "--exclude-tag", "pairing"]
        report = await Run("openapi-module.yaml", url, how).report(tmp_path)
    found = {
        operation: {each["type"] for each in report["failures"] if operation in each["operations"]}
        for each in report["failures"]
        for operation in each["operations"]
    }
    assert "JsonSchemaError" in found["GET /state"]
    assert "AcceptedNegativeData" in found["PUT /policy"]
    assert "CustomFailure" in found["PUT /failsafe"]
    assert "ServerError" in found["PUT /settings"]
    assert "UnsupportedMethodResponse" in found["PUT /faults"]
    assert report["exit_code"] == 1


async def test_a_hub_that_lets_everybody_in_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Guard, "check_person", lambda _self, _request: None)
    async with a_hub(tmp_path) as url:
        await become_owner(url)
        how = ["--phases", "coverage", "--include-path", "/live"]
        report = await Run("openapi-hub.yaml", url, how, refused_as="login_required").report(tmp_path)
    assert "CustomFailure" in {each["type"] for each in report["failures"]}
