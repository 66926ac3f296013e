"""The reports that are committed: each stands for an implementation, fits its page, and can be made again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.docs.walkthrough import ROOT, blocks, script_of, walk
from tools.reports.__main__ import CODE, MAX_BYTES, REPORTS
from tools.reports.implementations import ALL
from tools.reports.page import page

COMMITTED = sorted(path.parent for path in REPORTS.glob("*/README.md"))
KNOWN = {one.name: one for one in ALL}


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_report_is_of_an_implementation_that_conforms(folder: Path) -> None:
    report = json.loads((folder / "report.json").read_text())
    assert report["conforms"] is True
    text = (folder / "README.md").read_text()
    commands = [block.text for block in blocks(text) if block.info == "sh run"]
    assert commands == [KNOWN[folder.name].commands]
    assert "**conforms** to ORES 1.0" in text


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_report_can_be_sent_around_and_tells_nothing_of_the_machine(folder: Path) -> None:
    for name, most in MAX_BYTES.items():
        text = (folder / name).read_text()
        assert len(text.encode()) <= most
        assert CODE.search(text) is None
        assert not [place for place in ("home", "root", "tmp", "work") if f"/{place}/" in text]


def test_commands_are_run_as_the_page_has_them() -> None:
    for one in ALL:
        counts = dict.fromkeys(("pass", "fail", "warn", "note", "not_applicable", "kit_failure"), 0)
        report = {
            "subject": {"maker": "A", "model": "B"},
            "kind": "module",
            "conforms": True,
            "kit": {"kit": "1", "standard": "1.0"},
            "began": "2026-01-01T00:00:00+00:00",
            "took_s": 50.0,
            "options": {},
            "summary": counts,
            "results": [],
        }
        assert script_of(page(one, report, "")) == one.commands


@pytest.mark.kit
def test_reproducing_a_report_reproduces_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    shutil.copytree(ROOT / "docs" / "examples", tmp_path / "docs" / "examples")
    said = walk(f"```sh run\n{KNOWN['python-example'].commands}```\n", tmp_path)
    assert "conforms to ORES 1.0" in said
    made = list(tmp_path.glob("*/report/report.json"))
    assert json.loads(made[0].read_text())["conforms"] is True
