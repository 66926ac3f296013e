"""The page of a report: who was judged, by what, how it went, and how to do it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tools.reports.implementations import Implementation

WORDS: Final = {
    "pass": "passed",
    "fail": "failed",
    "warn": "warnings: a SHOULD is not followed",
    "note": "notes: a MAY is not used",
    "not_applicable": "not applicable: what the requirement is about is not offered",
    "kit_failure": "faults of the kit",
}

_FILES: Final = (
    "Every requirement with its check, its result and the messages that were exchanged is in "
    "[report.html](report.html); the same for programs is [report.json](report.json) and "
    "[junit.xml](junit.xml)."
)


def page(one: Implementation, report: Mapping[str, Any], size: str) -> str:
    """In Markdown; every block of commands runs as it stands.

    Args:
        one: What was judged.
        report: As `report.json` has it.
        size: What it takes of a device; empty where nothing is said of it.
    """
    subject = report["subject"]
    about = " ".join(str(subject[key]) for key in ("maker", "model", "name") if key in subject)
    firmware = subject.get("firmware_version") or subject.get("version") or "not told"
    facts = {
        "what": f"{report['kind']}, {about}",
        "firmware": firmware,
        "profiles": ", ".join(subject.get("profiles", [])) or "hub",
        "result": f"**{'conforms' if report['conforms'] else 'does not conform'}** "
        f"to ORES {report['kit']['standard']}, core and extended",
        "judged": f"{report['began']}, in {report['took_s']:.0f} s, by kit {report['kit']['kit']}",
        "options": ", ".join(f"{name} {value}" for name, value in report["options"].items() if value)
        or "none",
    }
    parts = [
        f"# {one.title}: report for ORES {report['kit']['standard']}",
        one.what,
        _table(("", ""), facts.items()),
        _table(("checks", ""), ((str(report["summary"][key]), words) for key, words in WORDS.items())),
        _FILES,
        *_trouble(report),
        *([f"## Footprint\n\n```text\n{size}\n```"] if size else []),
        "## Reproduce\n\nIn a checkout, after `make setup`, with `.venv/bin` in `PATH`:",
        f"```sh run\n{one.commands}```",
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: tuple[str, str], rows: Any) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)]
    return "\n".join(lines)


def _trouble(report: Mapping[str, Any]) -> list[str]:
    """What was not as it should be, each with what was found."""
    bad = [result for result in report["results"] if result["status"] in {"fail", "warn", "kit_failure"}]
    if not bad:
        return []
    items = (
        f"- {result['status']} `{result['check']}` ({' '.join(result['requirements'])}): {result['message']}"
        for result in bad
    )
    return ["## To be mended", "\n".join(items)]
