"""The registry as pages: one table for each of its files, and the comment at its head as the text above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tools.website.pages import STANDARD


def registry() -> dict[str, str]:
    """Page to its Markdown, for each file of `standard/registry`."""
    return {
        f"standard/registry/{path.stem}.md": _page(path)
        for path in sorted((STANDARD / "registry").glob("*.yaml"))
    }


def listing(title: str, about: str, names: Iterable[str]) -> str:
    """A page that lists the files of its own folder."""
    return "\n".join([f"# {title}", "", about, "", *(f"- [`{name}`]({name})" for name in names), ""])


def _page(path: Path) -> str:
    text = path.read_text()
    found = yaml.safe_load(text)
    parts = [f"# {path.stem.capitalize()}", f"[`{path.name}`]({path.name}), the file itself.", _head(text)]
    rows = found
    if isinstance(found, dict):
        rows = found.get(path.stem, [])
        for name, value in found.items():
            if name != path.stem:
                parts.append(f"**{name.capitalize()}.** {_cell(value)}")
    if rows:
        parts.append(_table(rows))
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(text: str) -> str:
    """The comment that a file begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line.removeprefix("#").removeprefix(" "))
    if any(line.startswith("  ") for line in lines):  # words and what they mean, in columns
        return "```text\n" + "\n".join(lines) + "\n```"
    return "\n".join(lines)


def _table(rows: list[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    for row in rows:
        cells = [_cell(row.get(column), code=column in {"name", "code", "check"}) for column in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: object, *, code: bool = False) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case dict():
            return "; ".join(f"`{key}`: {_cell(item)}" for key, item in value.items())
        case list():
            return ", ".join(_cell(item) for item in value)
        case str() if code:
            return f"`{value}`"
        case _:
            return str(value).replace("|", "\\|").replace("\n", " ")
