"""A hub of a simulated home is a SunSpec device to software that knows nothing of ORES."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.system.mosquitto import free_port
from tests.system.sunspec_readers import PY20305, PYSUNSPEC2
from tools.peers import NotInstalled, environment

from ores.cli.hub_api import HubApi
from ores.hub.doors.sunspec_models import REST_W
from ores.link.errors import OresError
from ores.model import DecisionList, Live

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]

NOON = "12"
SETTLES_S = "12"
RATED_W = 16_200.0
IDS = [1, 103, 120, 121, 123, 701, 702, 704, 203, 213, 124, 713, 160]


class Home:
    """A demonstration in a process of its own, at noon.

    Args:
        directory: Where it keeps its state.
    """

    def __init__(self, directory: Path) -> None:
        self.port, page, world = free_port(), free_port(), free_port()
        self.api = HubApi(f"http://127.0.0.1:{page}", directory / "hub")
        command = [sys.executable, "-m", "ores.cli", "demo", "--port", str(page), "--world-port", str(world)]
        command += ["--start-hour", NOON, "--data", str(directory)]
        allowed = os.environ | {"ORES_SUNSPEC": f"{self.port}?control=yes"}
        with (directory / "said.txt").open("wb") as said:
            self.process = subprocess.Popen(command, env=allowed, stdout=said, stderr=said)
        self._directory, self._world_port = directory, world

    def live(self) -> Live:
        return self.api.get("/live", Live)

    def until_it_runs(self) -> None:
        """All modules are there, and each has described itself."""
        until = time.monotonic() + 90.0
        while time.monotonic() < until:
            assert self.process.poll() is None, (self._directory / "said.txt").read_text()
            try:
                self.api = HubApi(self.api._base.removesuffix("/ores/v1"), self._directory / "hub")
                live = self.live()
                if (
                    len(live.modules) >= 7
                    and live.flow.load_w is not None
                    and (live.flow.pv_w or 0.0) < -REST_W
                ):
                    return
            except OresError:
                pass
            time.sleep(0.5)
        raise AssertionError((self._directory / "said.txt").read_text())

    def turn_on(self, circuit: str, power_w: float) -> None:
        """Somebody in the house does."""
        body = json.dumps({"circuit": circuit, "power_w": power_w}).encode()
        to = http.client.HTTPConnection("127.0.0.1", self._world_port, timeout=10)
        to.request("POST", "/world/turn_on", body, {"Content-Type": "application/json"})
        assert to.getresponse().status == 200
        to.close()

    def decisions(self) -> list[Any]:
        return [*self.api.get("/decisions?limit=200", DecisionList).decisions]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    it = Home(tmp_path_factory.mktemp("home"))
    try:
        it.until_it_runs()
        yield it
    finally:
        it.process.send_signal(signal.SIGINT)
        try:
            it.process.wait(30)
        except subprocess.TimeoutExpired:
            it.process.kill()


def told_by(name: str, requirements: Sequence[str], program: str, home: Home) -> dict[str, Any]:
    """What a program says that runs in the environment of a peer; skips loudly where that cannot be had."""
    try:
        python = environment(name, requirements) / "python"
    except NotInstalled as error:
        pytest.skip(str(error))
    command = [python, "-c", program, str(home.port), SETTLES_S]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_pysunspec2_scans_reads_and_limits_the_house(home: Home) -> None:
    said = told_by("pysunspec2", ["pysunspec2==1.3.7"], PYSUNSPEC2, home)
    assert (said["base"], said["ids"], said["errors"]) == (40_000, IDS, [])
    models = said["models"]
    assert models["1"]["Mn"] == "ORES"
    for rated in (models["120"]["WRtg"], models["121"]["WMax"], models["702"]["WMaxRtg"]):
        assert rated == RATED_W
    assert models["103"]["W"] == pytest.approx(models["701"]["W"], abs=500)
    assert models["203"]["W"] == pytest.approx(models["213"]["W"], abs=500)
    assert 210 < models["203"]["PhVphA"] < 250
    assert models["103"]["PF"] is None  # nobody measures it
    assert 0 < models["713"]["SoC"] < 100
    assert [one["DCW"] > 0 for one in said["strings"]] == [True, True]
    written, followed = said["704 written"], said["123 follows"]
    assert (written["WMaxLimPctEna"], written["WMaxLimPct"], written["WMaxLimPctRvrtTms"]) == (1, 20.0, 300)
    assert 290 < written["WMaxLimPctRvrtRem"] <= 300
    assert (followed["WMaxLim_Ena"], followed["WMaxLimPct"], followed["WMaxLimPct_RvrtTms"]) == (1, 20.0, 300)
    assert (said["123 written"]["WMaxLimPct"], said["704 follows"]["WMaxLimPct"]) == (15.0, 15.0)
    assert said["704 follows"]["WMaxLimPctRvrtRem"] <= 60
    assert said["limited"]["W"] <= 0.20 * RATED_W + 100
    assert said["limited more"]["W"] <= 0.15 * RATED_W + 100
    assert said["limited"]["ThrotPct"] == 20
    assert "2" in said["refusal"], said["refusal"]
    assert said["released"]["WMaxLimPctEna"] == 0
    assert any("sunspec" in (decision.limited_by or []) for decision in home.decisions())


def test_mbpoll_reads_the_mark_and_the_first_model(home: Home) -> None:
    if shutil.which("mbpoll") is None:
        pytest.skip("mbpoll is not installed: apt-get install mbpoll (Debian)")
    command = ["mbpoll", "-m", "tcp", "-p", str(home.port), "-a", "1", "-0", "-r", "40000", "-c", "4"]
    done = subprocess.run(
        [*command, "-t", "4:hex", "-1", "127.0.0.1"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("[400")]
    assert found == ["0x5375", "0x6E53", "0x0001", "0x0042"]


def test_py20305_reads_the_house_as_a_der_and_carries_out_its_limits(home: Home) -> None:
    home.turn_on("oven", 3000.0)
    said = told_by("py20305", ["py20305[sunspec]==0.16.1", "pysunspec2==1.3.7"], PY20305, home)
    assert said["nameplate"]["WMaxRtg"] == {"value": 16_200, "multiplier": 0}
    assert said["configuration"]["WMax"] == {"value": 16_200, "multiplier": 0}
    assert said["status"]["connectStatus"]["value"] == 1
    assert said["before"]["WHAvail"] > 0
    assert said["limited"]["W"] <= 0.10 * RATED_W + 100
    assert said["generation limited"]["W"] <= 3000.0 + 100
    assert said["nothing given"]["W"] <= 100
    assert said["meter"]["W"] > 2000  # import, by what it has learned of our counters
