"""Rules that every schema keeps and JSON Schema cannot say: a number has its unit, a field its name in full."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

_NUMBERS = {"number", "integer"}


def problems(schemas: Path) -> list[str]:
    """One sentence per broken rule, naming the place."""
    return [
        f"{path.name}{place}: {problem}"
        for path in sorted(schemas.glob("*.json"))
        for place, problem in _walk(json.loads(path.read_text()), "#")
    ]


def _walk(node: object, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(item, f"{place}/{index}")
    if not isinstance(node, dict):
        return
    kinds = node.get("type", [])
    kinds = set(kinds if isinstance(kinds, list) else [kinds]) if isinstance(kinds, (str, list)) else set()
    if kinds & _NUMBERS:
        if "x-unit" not in node:
            yield place, "a number without `x-unit`"
        if not ({"minimum", "exclusiveMinimum"} & node.keys() and {"maximum", "exclusiveMaximum"} & node.keys()):
            yield place, "a number without a range"
    if "object" in kinds and place.count("/") == 2 and "description" not in node:
        yield place, "a message without a description"
    for key, value in node.items():
        yield from _walk(value, f"{place}/{key}")
