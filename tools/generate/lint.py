"""Rules that every schema keeps and JSON Schema itself does not ask for.

- A number has its unit (`x-unit`), a range, and a field name that ends with the unit.
- Whatever can grow has a bound: text, lists, maps. A small device must know the worst case.
- A map says what its keys are, by a `$ref`, so that both validators hold them to it.
- A pattern is anchored at both ends; without that, it would accept anything around what it names.
- A message says what it is; `required` names only what exists.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Problem = tuple[str, str]

# What a field name ends with. `1` is a count or a ratio and needs nothing.
_SUFFIX = {
    "W": "_w", "W/s": "_w_per_s", "Wh": "_wh", "VA": "_va", "var": "_var", "A": "_a", "V": "_v", "1": "",
    "%": "_pct", "°C": "_c", "s": "_s", "ms": "_ms", "currency/kWh": "_per_kwh", "Hz": "_hz",
    "g/kWh": "_g_per_kwh", "as the series says": "",
}  # fmt: skip


def problems(schemas: Path) -> list[str]:
    """One sentence per broken rule, naming the place."""
    files = {path.name: json.loads(path.read_text()) for path in sorted(schemas.glob("*.json"))}
    return [
        f"{name}{place}: {problem}"
        for name, schema in files.items()
        for place, problem in _walk(schema, "#", files, name)
    ]


def _walk(
    node: Any, place: str, files: dict[str, Any], home: str, table: str | None = None
) -> Iterator[Problem]:
    """Schemas below `node`; `table` is "properties" or "$defs" where `node` maps names to schemas."""
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(item, f"{place}/{index}", files, home)
    if not isinstance(node, dict):
        return
    if table is None:
        kinds = _kinds(node)
        for problem in [*_number(node, kinds), *_bounds(node, kinds), *_object(node, kinds, place)]:
            yield place, problem
    for key, value in node.items():
        if table == "properties":
            for problem in _name(key, value, files, home):
                yield f"{place}/{key}", problem
        inner = key if table is None and key in {"properties", "$defs"} else None
        yield from _walk(value, f"{place}/{key}", files, home, inner)


def _kinds(node: dict[str, Any]) -> set[str]:
    kinds = node.get("type", [])
    return set(kinds) if isinstance(kinds, list) else {kinds}


def _number(node: dict[str, Any], kinds: set[str]) -> Iterator[str]:
    if kinds & {"number", "integer"}:
        if "x-unit" not in node:
            yield "a number without `x-unit`"
        elif node["x-unit"] not in _SUFFIX:
            yield f"a unit that no field name can end with: {node['x-unit']}"
        for end in ("inimum", "aximum"):
            if not {f"m{end}", f"exclusiveM{end}"} & node.keys():
                yield f"a number without m{end}"


def _bounds(node: dict[str, Any], kinds: set[str]) -> Iterator[str]:
    if "string" in kinds and not {"pattern", "maxLength", "enum"} & node.keys():
        yield "text without `maxLength`, `pattern` or `enum`"
    pattern = node.get("pattern", "^$")
    if isinstance(pattern, str) and not (pattern.startswith("^") and pattern.endswith("$")):
        yield "a pattern that is not anchored with ^ and $"
    if "array" in kinds and "maxItems" not in node:
        yield "a list without `maxItems`"
    if isinstance(node.get("additionalProperties"), dict):
        if "maxProperties" not in node:
            yield "a map without `maxProperties`"
        if "$ref" not in node.get("propertyNames", {}):
            yield "a map without `propertyNames` by `$ref`"


def _object(node: dict[str, Any], kinds: set[str], place: str) -> Iterator[str]:
    if "object" not in kinds:
        return
    if place.count("/") == 2 and "description" not in node:
        yield "a message without a description"
    for name in node.get("required", []):
        if name not in node.get("properties", {}):
            yield f"`required` names {name}, which is not among the properties"


def _name(name: str, field: dict[str, Any], files: dict[str, Any], home: str) -> Iterator[str]:
    """A number's field, or a map of numbers, ends with the unit's suffix."""
    inner = field.get("additionalProperties")
    schema, where = field if "$ref" in field or not isinstance(inner, dict) else inner, home
    while "$ref" in schema:
        file, _, pointer = schema["$ref"].partition("#/$defs/")
        where = file or where
        schema = files.get(where, {}).get("$defs", {}).get(pointer)
        if schema is None:
            yield f"a `$ref` to {file or home}#/$defs/{pointer}, which is nowhere"
            return
    suffix = _SUFFIX.get(schema.get("x-unit", "1"), "")
    if not name.endswith(suffix):
        yield f"a number in {schema['x-unit']} whose name does not end with `{suffix}`"
