"""A judgement for machines: JSON, and JUnit XML for continuous integration."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ores.conformance.standard import Standard
from ores.conformance.verdict import Report, Status


def as_json(report: Report, *, evidence: bool = True) -> dict[str, Any]:
    """The report as one JSON document, `summary` first.

    Args:
        report: The judgement.
        evidence: With the messages of what did not pass; those of a pass are on the page.
    """
    whole = asdict(replace(report, messages=()))
    del whole["messages"]
    for result in whole["results"]:
        if not evidence or result["status"] in {Status.PASS, Status.NOT_APPLICABLE} or result["obstructed"]:
            del result["evidence"]
    counts = {status.value: report.count(status) for status in Status}
    return {"conforms": report.passed, "summary": counts, **whole}


def as_junit(report: Report) -> str:
    """The report as JUnit XML; warnings and notes are passes with a text."""
    failures, errors = report.count(Status.FAIL), report.count(Status.KIT_FAILURE)
    suite = ET.Element(
        "testsuite",
        name=f"ores conform {report.target}",
        tests=str(len(report.results)),
        failures=str(failures),
        errors=str(errors),
        skipped=str(report.count(Status.NOT_APPLICABLE)),
        time=f"{report.took_s:.3f}",
        timestamp=report.began,
    )
    for result in report.results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname="ores.conformance",
            name=result.check,
            time=f"{result.took_s:.3f}",
        )
        text = f"{' '.join(result.requirements)}: {result.message}"
        if result.status is Status.FAIL:
            ET.SubElement(case, "failure", message=text)
        elif result.status is Status.KIT_FAILURE:
            ET.SubElement(case, "error", message=text)
        elif result.status is Status.NOT_APPLICABLE:
            ET.SubElement(case, "skipped", message=text)
        elif result.message:
            ET.SubElement(case, "system-out").text = f"{result.status.value}: {text}"
    ET.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def write(report: Report, standard: Standard, folder: Path) -> list[Path]:
    """Write `report.json`, `junit.xml` and `report.html` into a folder, which is made.

    Returns:
        What was written.
    """
    from ores.conformance.report.html import as_html  # noqa: PLC0415 - only who writes pages needs it

    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "report.json": json.dumps(as_json(report), indent=1, ensure_ascii=False) + "\n",
        "junit.xml": as_junit(report),
        "report.html": as_html(report, standard),
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in files]
