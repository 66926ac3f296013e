"""The module in C, built by its Makefile and judged as any maker's."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from tools.reports.implementations import ALL

from ores.conformance.judge import Judge
from ores.conformance.verdict import Status

SOURCES = Path(__file__).resolve().parents[2] / "examples" / "c-module"
MISSING = next(one for one in ALL if one.name == "c-module").missing()

pytestmark = [pytest.mark.kit, pytest.mark.skipif(bool(MISSING), reason=MISSING or "all is there")]


@pytest.fixture(scope="module")
def program(tmp_path_factory) -> Path:
    """Built apart from the checkout, so that nothing that lies there helps."""
    folder = tmp_path_factory.mktemp("c-module")
    unmade = shutil.ignore_patterns("build", "ores-module", "__pycache__")
    shutil.copytree(SOURCES, folder, ignore=unmade, dirs_exist_ok=True)
    subprocess.run(["make", "-s", "-C", folder], check=True, timeout=120)
    return folder / "ores-module"


@contextlib.contextmanager
def running(program: Path, state: Path):
    """What it says of itself in its first line."""
    process = subprocess.Popen(
        [program, "--port", "0", "--state", state], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        _, err = process.communicate(timeout=10)
    assert (process.returncode, err) == (0, "")


async def test_the_module_in_c_passes_its_profile(program, tmp_path):
    with running(program, tmp_path / "state") as at:
        report = await Judge(profile="storage").module(at["url"], at["code"])
    bad = {Status.FAIL, Status.WARN, Status.NOTE, Status.KIT_FAILURE}
    assert {one.check: one.message for one in report.results if one.status in bad} == {}
    assert report.subject["profiles"] == ["storage"]
    assert report.count(Status.PASS) > 130
