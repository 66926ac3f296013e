"""The guide for utilities: its messages are valid, its script runs as printed, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tools import schemas

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs/adopt-as-a-utility.md"
SCRIPT = ROOT / "docs/examples/check_message.py"
TEXT = GUIDE.read_text()
MESSAGES = re.findall(r"(?ms)^```json (\w+)\n(.*?)^```$", TEXT)


def checked(name: str, file: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), name, str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_script_is_printed_as_it_runs() -> None:
    assert f"```python\n{SCRIPT.read_text()}```" in TEXT


@pytest.mark.parametrize(("name", "message"), MESSAGES, ids=[name for name, _ in MESSAGES])
def test_the_messages_of_the_guide_are_valid(name: str, message: str) -> None:
    schemas.validator(name).validate(schemas.read(message.encode()))


def test_the_script_takes_what_is_valid_and_names_the_field_of_what_is_not() -> None:
    examples = schemas.STANDARD / "examples"
    good = checked("Envelope", examples / "valid/Envelope/noon.json")
    assert (good.returncode, good.stdout) == (0, "valid\n")
    bad = checked("EnvelopeLimits", examples / "invalid/EnvelopeLimits/signed_export.json")
    assert bad.returncode == 1
    assert bad.stdout.startswith("$.export_max_w: ")


def test_every_link_of_the_guide_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        found = (GUIDE.parent / file).resolve()
        assert found.exists(), target
        if anchor:
            heads = re.findall(r"(?m)^#+ (.+)$", found.read_text())
            assert anchor in {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_demands_that_the_guide_names_exist() -> None:
    rows = (schemas.STANDARD / "registry/requirements.yaml").read_text()
    for name in re.findall(r"\[([A-Z]+-[0-9]{3})\]", TEXT):
        assert f"{{id: {name}," in rows
