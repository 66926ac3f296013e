"""Whoever does what the maker's pages say gets what they promise."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.docs.walkthrough import ROOT, blocks, script_of, walk

DOCS = ROOT / "docs"
PAGES = ["your-first-module.md", "your-first-module-in-c.md", "claim-conformance.md"]


def headers_of_openssl() -> bool:
    if shutil.which("gcc") is None:
        return False
    asked = ["gcc", "-E", "-x", "c", "-include", "openssl/ssl.h", "/dev/null"]
    return subprocess.run(asked, check=False, capture_output=True).returncode == 0


needs_a_compiler = pytest.mark.skipif(
    not headers_of_openssl(), reason="no C compiler or no headers of OpenSSL: apt-get install gcc libssl-dev"
)


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_said_to_be_only_shown(page: str) -> None:
    assert "sh run" in {block.info for block in blocks((DOCS / page).read_text())}
    assert script_of((DOCS / page).read_text())


def test_a_block_that_nobody_runs_is_found() -> None:
    with pytest.raises(ValueError, match="neither run nor said to be only shown"):
        script_of("```sh\nrm -rf nothing\n```\n")


def test_a_command_that_fails_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="exit 1"):
        walk("```sh run\nsleep 60 &\n```\n\n```sh run\nfalse\necho not reached\n```\n", tmp_path)


def test_a_first_module_in_python_joins_a_hub_and_conforms(tmp_path: Path) -> None:
    said = walk((DOCS / "your-first-module.md").read_text(), tmp_path)
    assert "is paired." in said
    assert "conforms to ORES 1.0" in said
    assert '"control_source":"policy"' in said


@pytest.mark.kit
@needs_a_compiler
def test_a_first_module_in_c_conforms(tmp_path: Path) -> None:
    unmade = shutil.ignore_patterns("build", "ores-module", "__pycache__")
    shutil.copytree(ROOT / "examples/c-module", tmp_path / "examples/c-module", ignore=unmade)
    said = walk((DOCS / "your-first-module-in-c.md").read_text(), tmp_path)
    assert "conforms to ORES 1.0" in said


@pytest.mark.kit
def test_a_claim_has_its_report(tmp_path: Path) -> None:
    walk((DOCS / "claim-conformance.md").read_text(), tmp_path)
    assert (tmp_path / "report" / "report.html").stat().st_size > 10_000
