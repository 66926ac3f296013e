"""`ores adapter serve template`, `ores adapter try` and `ores adapter templates`, as a person runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORES = [sys.executable, "-m", "ores.cli"]


@contextmanager
def device(name: str) -> Iterator[int]:
    """The image of a device in a process of its own; gives the port."""
    command = [sys.executable, "-m", "tests.adapters.image", name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def adapted(name: str, port: int, directory: Path, *options: str) -> Iterator[dict[str, Any]]:
    """The device as a module; gives what `ores adapter serve` says."""
    where = ["template", name, f"127.0.0.1:{port}", "--data", str(directory), "--json"]
    command = [*ORES, "adapter", "serve", *where, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*ORES, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.kit
@pytest.mark.parametrize(
    ("name", "profile", "options"),
    [
        ("eastron-sdm630", "meter", ["--connection-point"]),
        ("sungrow-sh", "hybrid", ["--control"]),
        ("alfen-eve", "ev_charger", ["--control"]),
    ],
)
def test_a_device_by_its_template_conforms(
    name: str, profile: str, options: list[str], tmp_path: Path
) -> None:
    with device(name) as port, adapted(name, port, tmp_path / "state", *options) as said:
        where = [f"https://localhost:{said['port']}", "--code", said["code"], "--profile", profile]
        command = [*ORES, "conform", *where]
        judged = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert judged.returncode == 0, judged.stdout[-5000:]
    assert "conforms to ORES 1.0" in judged.stdout
