"""A judgement as one page that needs nothing else: verdict, then requirement → check → result → evidence."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final

from ores.conformance.standard import Requirement, Standard
from ores.conformance.verdict import Report, Result, Status

STYLE: Final = (Path(__file__).parent / "style.css").read_text(encoding="utf-8")

PASSED_MAX: Final = 400
"""Characters of a message that are shown where all is well."""

WORDS: Final = {
    Status.PASS: "pass",
    Status.FAIL: "fail",
    Status.WARN: "warning",
    Status.NOTE: "note",
    Status.NOT_APPLICABLE: "not applicable",
    Status.KIT_FAILURE: "fault of the kit",
}


def as_html(report: Report, standard: Standard) -> str:
    """The page; no script, nothing loaded from elsewhere."""
    name = " ".join(str(report.subject.get(key, "")) for key in ("maker", "model")).strip() or report.target
    verdict = "conforms" if report.passed else "does not conform"
    css = "pass" if report.passed else "fail"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(name)} {verdict} to ORES {escape(report.kit["standard"])}</title>
<style>{STYLE}</style></head><body>
<h1>{escape(name)}</h1>
<p class="verdict {css}">{verdict} to ORES {escape(report.kit["standard"])}</p>
{_facts(report)}
{_trouble(report)}
<h2>Every requirement</h2>
<table><thead><tr><th>Requirement</th><th>Check</th><th>Result</th><th>Found</th></tr></thead>
<tbody>{"".join(_rows(report, standard))}</tbody></table>
</body></html>
"""


def _facts(report: Report) -> str:
    counts = ", ".join(
        f"{report.count(status)} {words}" for status, words in WORDS.items() if report.count(status)
    )
    facts = {
        **{key.replace("_", " "): value for key, value in report.subject.items()},
        "address": report.target,
        "judged": report.began,
        "took": f"{report.took_s:.0f} s",
        "kit": report.kit["kit"],
        "options": report.options,
        "checks": counts,
    }
    rows = "".join(f"<dt>{escape(key)}</dt><dd>{escape(_plain(value))}</dd>" for key, value in facts.items())
    return f"<dl>{rows}</dl>"


def _trouble(report: Report) -> str:
    bad = [
        result for result in report.results if result.status in {Status.FAIL, Status.KIT_FAILURE, Status.WARN}
    ]
    if not bad:
        return ""
    items = "".join(
        f'<li class="{result.status.value}"><strong>{escape(result.check)}</strong> '
        f"({escape(' '.join(result.requirements))}): {escape(result.message)}</li>"
        for result in bad
    )
    return f"<h2>To be mended</h2><ul>{items}</ul>"


def _rows(report: Report, standard: Standard) -> Iterable[str]:
    by_check = {result.check: result for result in report.results}
    for row in standard.requirements.values():
        if not _binds(row, report.kind, standard):
            continue
        yield _row(row, by_check.get(row.check or ""))


def _row(row: Requirement, result: Result | None) -> str:
    if result is None:
        state, css = (f"untestable: {row.untestable}" if row.untestable else "not judged"), "untested"
        found = ""
    else:
        state, css = WORDS[result.status], result.status.value
        found = escape(result.message) + _evidence(result)
    return (
        f'<tr><td class="id" id="{row.id}">{row.id}</td><td>{escape(row.check or "")}</td>'
        f'<td class="state {css}">{escape(state)}</td>'
        f'<td>{found}<div class="sentence">{_prose(row.sentence)}</div></td></tr>'
    )


def _evidence(result: Result) -> str:
    if not result.evidence:
        return ""
    most = PASSED_MAX if result.status is Status.PASS else None
    lines = "\n".join(
        f"{line['at_s']:8.3f} {line['by']:>7} ({line['peer']}) {line['what']}  "
        + _cut(_plain(line["body"]), most)
        for line in result.evidence
    )
    return f"<details><summary>{len(result.evidence)} messages</summary><pre>{escape(lines)}</pre></details>"


def _cut(text: str, most: int | None) -> str:
    """So that the page of a module with many elements can still be sent around."""
    return text if most is None or len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def _prose(text: str) -> str:
    """A sentence of a chapter, with its marks for code and emphasis."""
    coded = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
    return re.sub(r"\*([^*]+)\*", r"<em>\1</em>", coded)


def _binds(row: Requirement, kind: str, standard: Standard) -> bool:
    """Whether a requirement is about such a subject at all."""
    if kind == "hub":
        return "hub" in row.profiles
    return any(profile == "module" or profile in standard.profiles for profile in row.profiles)


def _plain(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
