"""`ores adapter serve ocpp`, as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.adapters.commands import ORES, ROOT
from tests.system.mosquitto import free_port


@contextmanager
def charging(by: str, directory: Path, *options: str) -> Iterator[dict[str, Any]]:
    """A charger that a module of these tests plays, and what `ores adapter serve` says of it."""
    port = free_port()
    serve = [*ORES, "adapter", "serve", "ocpp", "GARAGE", "--port", str(port), "--data", str(directory)]
    play = [sys.executable, "-m", f"tests.adapters.{by}", str(port), "GARAGE"]
    with (
        subprocess.Popen(
            [*serve, "--json", "--control", "--set", "tags=all", *options],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as serving,
        subprocess.Popen(play, cwd=ROOT) as playing,
    ):
        assert serving.stdout is not None
        try:
            yield json.loads(serving.stdout.readline())
        finally:
            serving.terminate()
            playing.kill()
            assert serving.wait(20) == 0


def test_a_charger_that_calls_is_shown(tmp_path: Path) -> None:
    with charging("charge_point_16", tmp_path) as said:
        assert said["code"].startswith("ORES-")
    assert (tmp_path / "GARAGE" / "ocpp.json").exists()


@pytest.mark.kit
@pytest.mark.parametrize("by", ["charge_point_16", "charge_point_201"])
def test_a_charger_conforms(by: str, tmp_path: Path) -> None:
    with charging(by, tmp_path, "--set", "sample_s=1") as said:
        judge = [*ORES, "conform", f"https://localhost:{said['port']}", "--code", said["code"]]
        judged = subprocess.run(
            [*judge, "--profile", "ev_charger"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
    assert judged.returncode == 0, judged.stdout[-5000:]
    assert "conforms to ORES 1.0" in judged.stdout
