"""The OpenAPI documents of the standard in one piece, for tools that do not follow references to files.

`python -m tools.openapi openapi-module.yaml` prints one as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml

from tools import schemas


def bundled(name: str) -> dict[str, Any]:
    """A document whose references all lead to its own `components`.

    Paths with servers of their own are left out: such a tool is told one address, and would ask elsewhere.

    Args:
        name: Of its file in `standard/schema/v1`.
    """
    document = yaml.safe_load((schemas.SCHEMAS / name).read_text())
    document["paths"] = {path: item for path, item in document["paths"].items() if "servers" not in item}
    found: dict[str, Any] = {}
    document = _inlined(document, "", found)
    document["components"]["schemas"] = dict(sorted(found.items()))
    return dict(document)


def _inlined(node: Any, home: str, found: dict[str, Any]) -> Any:
    """A copy of `node`, which stands in the schema file `home`; whatever it refers to goes into `found`."""
    if isinstance(node, list):
        return [_inlined(item, home, found) for item in node]
    if not isinstance(node, dict):
        return node
    file, separator, name = str(node.get("$ref", "")).partition("#/$defs/")
    if not separator:
        return {key: _inlined(value, home, found) for key, value in node.items()}
    home = file.removesuffix(".json") or home
    if name not in found:
        found[name] = {}  # it may refer to itself
        found[name] = _inlined(schemas.files()[home]["$defs"][name], home, found)
    beside = {key: _inlined(value, home, found) for key, value in node.items() if key != "$ref"}
    return {**beside, "$ref": f"#/components/schemas/{name}"}


if __name__ == "__main__":
    print(json.dumps(bundled(sys.argv[1]), indent=2))
