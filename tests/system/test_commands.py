"""The commands as a person types them, with everything behind them real."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.system.houses import do, generated, in_lock_step

from ores.cli.demo.on_sockets import Demo
from ores.link.clock import Clock
from ores.sim.world_api import TurnOn

ORES = [sys.executable, "-m", "ores.cli"]


def said_by(*words: str) -> str:
    """What a command prints."""
    return subprocess.run([*ORES, *words], check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize("link", ["sockets", "memory"])
def test_a_headless_demonstration_ends_with_one_line_that_says_how_it_went(link: str) -> None:
    words = ("demo", "--headless", "--hours", "0.02", "--start-hour", "10", "--speed", "6000", "--json")
    line = said_by(*words, "--link", link)
    assert line.count("\n") == 1
    summary = json.loads(line)
    assert summary["missed_cycles"] == 0
    assert summary["limit_violations"] == 0
    assert summary["energy_balance_error"] <= 1e-6
    assert summary["storage_error"] <= 1e-6
    assert summary["speed"] > 1.0
    assert summary["cost"] < 1.0
    assert 0.0 <= summary["self_sufficiency"] <= 1.0
    energy = summary["energy_kwh"]
    assert energy["solar_gateway"]["out"] > 0.0
    assert {"grid", "solar_gateway", "hybrid_solar", "ac_battery", "car", "heat_pump", "panel"} <= set(energy)
    leases = summary["hub"]
    assert leases["leases_sent"] >= leases["leases_applied"] > 0
    assert (leases["leases_refused"], leases["leases_expired"]) == (0, 0)


def test_status_shows_the_house_and_why_says_what_the_oven_changed(tmp_path: Path) -> None:
    async def story(clock: Clock, demo: Demo) -> None:
        await clock.sleep(20.0)
        do(demo.home, TurnOn(circuit="oven", power_w=3000.0))
        await clock.sleep(10.0)
        at = ("--url", demo.hub.url)
        with clock.hold():
            status = await asyncio.to_thread(said_by, "status", *at)
            why = await asyncio.to_thread(said_by, "why", "Garage battery", *at)
        for name in ("Garage battery", "Hybrid inverter", "Grid meter", "Panel"):
            assert re.search(rf"{name}\s+online", status), status
        assert re.search(r"grid \S+ k?W\s+solar", status), status
        assert "Garage battery/battery" in why
        assert "the house uses" in why or "the sun gives" in why

    in_lock_step(generated(start_hour=10.0), tmp_path, story)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_demonstration_that_ends_takes_its_hub_along(tmp_path: Path, number: signal.Signals) -> None:
    words = ("demo", "--speed", "50", "--port", "0", "--world-port", "0", "--data", str(tmp_path))
    demo = subprocess.Popen([*ORES, *words], stderr=subprocess.PIPE, text=True)
    try:
        while "Ctrl-C" not in (line := demo.stderr.readline()):
            assert line or demo.poll() is None, "it ended before it began"
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) == 1, "the hub"
        demo.send_signal(number)
        assert demo.wait(30) == (-number if number == signal.SIGKILL else 0)
        _, alive = psutil.wait_procs(children, timeout=20)
        assert alive == []
    finally:
        demo.kill()
        demo.communicate()
