"""The pages as they are written, made ready for Python-Markdown: what differs from how a forge shows them.

- An id such as **[LEASE-004]** gets an anchor where its sentence stands, and is a link to it everywhere else.
- The words after a fence's language (`json Lease invalid $.ttl_s: …`, `sh run`) become the block's title.
- A list needs no empty line before it, and two spaces are enough below a point.
- A link to a folder, or to a file of the registry, leads to the page that stands for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

_DEFINED: Final = re.compile(r"\*\*\[([A-Z]{2,12}-\d{3})\]\*\*")
_MENTIONED: Final = re.compile(r"(?<![\w\[*-])(\[?)([A-Z]{2,12}-\d{3})(\]?)(?![\w-])(?!\()")
_FENCE: Final = re.compile(r"^( *)(`{3,}|~{3,})\s*(\S*)\s*(.*)$")
_POINT: Final = re.compile(r"^( *)([-*]|\d+\.) +\S")
_LINK: Final = re.compile(r"(\]\()([^)#\s]+)(#[^)\s]*)?(\))")
_SPACES: Final = 4
"""What Python-Markdown wants below a point."""


def ids(text: str) -> list[str]:
    """The requirements whose sentences stand in a page."""
    return _DEFINED.findall(text)


def prepared(
    text: str, *, homes: Mapping[str, str], unknown: Callable[[str], None], page_of: Callable[[str], str]
) -> str:
    """A page for Python-Markdown.

    Args:
        text: As it is written.
        homes: Of each id of a requirement, the relative address of the page with its sentence; empty for the
            page itself.
        unknown: Told of an id in brackets that has no sentence.
        page_of: From the target of a link to the target on the site.
    """
    lines: list[str] = []
    fence = more = ""
    for line in text.splitlines():
        found = _FENCE.match(line)
        if fence:
            lines.append(more + line if line else line)
            if found and found[2].startswith(fence) and not found[3]:
                fence = ""
            continue
        if found:
            fence, more = found[2], _missing(line)
            lines.append(more + _titled(found))
            continue
        if _POINT.match(line) and lines and lines[-1].strip() and not _in_list(lines):
            lines.append("")
        lines.append(_missing(line) + _linked(line, homes, unknown, page_of))
    return "\n".join(lines) + "\n"


def _titled(found: re.Match[str]) -> str:
    indent, ticks, language, rest = found.groups()
    name, _, broken = rest.partition(" invalid ")
    if language == "json" and name:
        title = f"{name}, refused at {broken}" if broken else name
        return f'{indent}{ticks}json title="{title.replace(chr(34), chr(39))}"'
    if rest.startswith("write="):
        return f'{indent}{ticks}{language} title="{rest.removeprefix("write=")}"'
    known = {"vectors": "text", "console": "text"}
    return f"{indent}{ticks}{known.get(language, language or 'text')}"


def _missing(line: str) -> str:
    """The spaces that Python-Markdown wants besides: inside a point it wants four, a forge two or three."""
    inside = len(line) - len(line.lstrip(" "))
    return " " * (_SPACES - inside) if inside in {2, 3} else ""


def _in_list(lines: list[str]) -> bool:
    for line in reversed(lines):
        if not line.strip():
            return False
        if _POINT.match(line):
            return True
    return False


def _linked(
    line: str, homes: Mapping[str, str], unknown: Callable[[str], None], page_of: Callable[[str], str]
) -> str:
    line = _LINK.sub(lambda it: f"{it[1]}{page_of(it[2])}{it[3] or ''}{it[4]}", line)

    def mention(it: re.Match[str]) -> str:
        if it[2] in homes:
            return f"[{it[2]}]({homes[it[2]]}#{it[2]})"
        if it[1] and it[3]:
            unknown(it[2])
        return it[0]

    parts = re.split(r"(`[^`]*`|\]\([^)]*\))", line)
    for place in range(0, len(parts), 2):
        text = _DEFINED.sub(lambda it: f"**[{it[1]}](#{it[1]}){{ #{it[1]} .requirement }}**", parts[place])
        if text == parts[place]:
            text = _MENTIONED.sub(mention, text)
        parts[place] = text
    return "".join(parts)
