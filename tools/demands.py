"""What a release of the standard demands, in one file, so that a later silent change shows.

`standard/conformance/v1.0.yaml` is written by `make generate` as long as it says `status: draft`. Whoever
releases sets `status: frozen` and tags `standard-v1.0`; from then on nothing writes it, and `tools.policy`
holds it to the tag.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

Files = Mapping[str, str]
"""Text files of the folder `standard`, by their path in it."""

VERSION = "1.0"
PATH = f"conformance/v{VERSION}.yaml"
METHODS = ("get", "put", "post", "patch", "delete")
LEVELS = ("MUST", "SHOULD", "MAY")

_HEAD = f"""\
# What version {VERSION} of the standard demands: nothing else is asked of who claims it.
#
# status: draft    `make generate` writes this file from chapters, registry and schemas; never edit it.
# status: frozen   set when tag `standard-v{VERSION}` is made: nothing writes it any more, and `tools.policy`
#                  refuses every difference from the tag.
#
# requirements  ids by whom they bind (`module`, `hub`, a profile), class and level; no candidate chapters
# profiles      kinds of element with the capabilities that a profile asks for; `hub` has none
# sentences, schemas, operations
#               the first 12 hex digits of a SHA-256: of the sentence without its reason, of a definition
#               without its descriptions, of what an operation takes and gives. A silent change shows here.
"""
_FENCE = re.compile(r"^```(.*?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_DEMAND = re.compile(
    r"^(?:- )?\*\*\[([A-Z]+-[0-9]{3})\]\*\* (.+?)(?=\n\n|\n- |\n\||\n#|\Z)", re.MULTILINE | re.DOTALL
)


def write(files: Files) -> str | None:
    """The file's contents; None where it is frozen."""
    if PATH in files and yaml.safe_load(files[PATH])["status"] == "frozen":
        return None
    found = demands(files)
    lists = {key: found.pop(key) for key in ("sentences", "schemas", "operations")}
    body = "".join(
        yaml.safe_dump(part, sort_keys=False, width=110, allow_unicode=True, default_flow_style=flow)
        for part, flow in ((found, None), (lists, False))
    )
    return _HEAD + body


def demands(files: Files) -> dict[str, Any]:
    """What the file holds."""
    table = yaml.safe_load(files["registry/requirements.yaml"])
    rows = released(table)
    said = sentences(files)
    profiles = [row for row in yaml.safe_load(files["registry/profiles.yaml"]) if not row.get("candidate")]
    return {
        "ores": VERSION,
        "status": "draft",
        "candidate": table["candidate"],
        "requirements": _by_actor(rows, [row["name"] for row in profiles]),
        "profiles": {row["name"]: {key: row[key] for key in ("core", "extended")} for row in profiles},
        "sentences": {row["id"]: digest(said[row["id"]]) for row in rows if row["id"] in said},
        "schemas": {
            stem: {
                name: digest(normative(node))
                for name, node in schema["$defs"].items()
                if not node.get("x-candidate")
            }
            for stem, schema in schemas(files).items()
            if not schema.get("x-candidate")
        },
        "operations": {name: operations(document) for name, document in interfaces(files).items()},
    }


def released(table: dict[str, Any]) -> list[dict[str, Any]]:
    """Requirements that are no candidates, neither by chapter nor by the area of their id."""
    candidate = set(table["candidate"])
    return [
        row
        for row in table["requirements"]
        if row["chapter"] not in candidate and row["id"].partition("-")[0] not in candidate
    ]


def sentences(files: Files) -> dict[str, str]:
    """Each demand of the chapters without its reason, by its id."""
    found = {}
    for path in sorted(files):
        if re.fullmatch(r"spec/[0-9]{2}-[^/]+\.md", path):
            for name, text in _DEMAND.findall(_FENCE.sub("", files[path])):
                found[name] = " ".join(text.split()).partition(" *Why:* ")[0]
    return found


def schemas(files: Files) -> dict[str, dict[str, Any]]:
    """Every schema file by its name without ending."""
    paths = [path for path in sorted(files) if re.fullmatch(r"schema/v1/[^/]+\.json", path)]
    return {path.rpartition("/")[2].removesuffix(".json"): json.loads(files[path]) for path in paths}


def interfaces(files: Files) -> dict[str, dict[str, Any]]:
    """The OpenAPI and AsyncAPI documents by their file names, but for candidates."""
    paths = [path for path in sorted(files) if re.fullmatch(r"schema/v1/(open|async)api.*\.yaml", path)]
    documents = {path.rpartition("/")[2]: yaml.safe_load(files[path]) for path in paths}
    return {name: one for name, one in documents.items() if not one["info"].get("x-candidate")}


def operations(document: dict[str, Any]) -> dict[str, str]:
    """What can be asked of an interface, with a digest of what each takes and gives."""
    if "channels" in document:
        return {
            name: digest([one["action"], one["channel"], one["messages"]])
            for name, one in document["operations"].items()
        }
    return {
        f"{method.upper()} {path}": digest(carried(operation, document))
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }


def carried(operation: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What an operation takes and, when all is well, gives, without the words around it."""

    def shared(part: dict[str, Any], of: str) -> dict[str, Any]:
        found: dict[str, Any] = (
            document["components"][of][part["$ref"].rpartition("/")[2]] if "$ref" in part else part
        )
        return found

    def schema_of(part: dict[str, Any]) -> Any:
        part = shared(part, "responses")
        return {kind: normative(one.get("schema")) for kind, one in part.get("content", {}).items()}

    return {
        "parameters": [
            [one["name"], one["in"], bool(one.get("required")), normative(one.get("schema"))]
            for one in (shared(each, "parameters") for each in operation.get("parameters", []))
        ],
        "body": schema_of(operation.get("requestBody", {})),
        "answers": {
            status: schema_of(answer)
            for status, answer in operation["responses"].items()
            if status.startswith(("1", "2"))
        },
    }


def normative(node: Any, *, names: bool = False) -> Any:
    """A schema without the words that explain it.

    Args:
        node: A schema or a part of one.
        names: The keys are names of fields or definitions, one of which may be called `description`.
    """
    if isinstance(node, list):
        return [normative(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {
        key: normative(value, names=not names and key in {"properties", "$defs"})
        for key, value in node.items()
        if names or key not in {"description", "summary", "examples"}
    }


def digest(value: Any) -> str:
    """Twelve hex digits that change with the value."""
    data = json.dumps(value, sort_keys=True, ensure_ascii=False).encode()
    return hashlib.sha256(data).hexdigest()[:12]


def _by_actor(rows: list[dict[str, Any]], profiles: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for actor in ["module", *profiles]:
        of_actor = {
            kind: {
                level: ids
                for level in LEVELS
                if (ids := [row["id"] for row in rows if _is(row, actor, kind, level)])
            }
            for kind in ("core", "extended")
        }
        if any(of_actor.values()):
            found[actor] = {kind: levels for kind, levels in of_actor.items() if levels}
    return found


def _is(row: dict[str, Any], actor: str, kind: str, level: str) -> bool:
    return actor in row["profiles"] and (row["class"], row["level"]) == (kind, level)
