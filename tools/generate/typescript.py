"""TypeScript types for the page, by json-schema-to-typescript.

Each definition is compiled on its own, with a reference written as the name of its type: that keeps the names
and the descriptions beside a `$ref`, which a dereferencing compiler would lose.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tools.node import node, npm

_SCRIPT = Path(__file__).with_name("typescript.mjs")
_DASHBOARD = Path(__file__).resolve().parents[2] / "dashboard"


def generate(schemas: Path) -> dict[str, str]:
    """File name to contents: one `index.ts` with every message."""
    if not (_DASHBOARD / "node_modules/json-schema-to-typescript").is_dir():
        npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=_DASHBOARD)
    definitions = {
        name: _by_name(definition)
        for path in sorted(schemas.glob("*.json"))
        for name, definition in json.loads(path.read_text())["$defs"].items()
    }
    return {"index.ts": node(_SCRIPT, cwd=_DASHBOARD, stdin=json.dumps(definitions))}


def _by_name(node: Any) -> Any:
    """The same schema with references as type names, and what a type cannot say in the description."""
    if isinstance(node, list):
        return [_by_name(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {key: _by_name(value) for key, value in node.items() if key not in {"$ref", "propertyNames"}}
    if isinstance(node.get("$ref"), str):
        made["tsType"] = node["$ref"].rsplit("/", 1)[1]
    notes = [node["description"]] if isinstance(node.get("description"), str) else []
    if "x-known" in node:
        notes.append(f"Known: {', '.join(node['x-known'])}.")
    if "x-unit" in node:
        notes.append(f"Unit: {node['x-unit']}.")
    return {**made, "description": " ".join(notes)} if notes else made
