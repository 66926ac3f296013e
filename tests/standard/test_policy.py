"""Each rule of the policy, broken once in a small standard; and what a minor version may well do."""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import policy, schemas

Standard = dict[str, Any]

SMALL: Standard = {
    "schema/v1/common.json": {
        "$defs": {
            "PowerW": {"type": "number", "x-unit": "W", "minimum": -10, "maximum": 10, "description": "Now."},
            "Word": {"type": "string", "minLength": 1, "maxLength": 64},
            "Words": {"type": "array", "maxItems": 3, "items": {"$ref": "#/$defs/Word"}},
        }
    },
    "schema/v1/state.json": {
        "$defs": {
            "Report": {
                "type": "object",
                "required": ["power_w"],
                "properties": {
                    "power_w": {"$ref": "common.json#/$defs/PowerW"},
                    "kind": {"$ref": "common.json#/$defs/Word", "x-known": ["pv", "load"]},
                    "phase": {"type": "string", "enum": ["L1", "L2"]},
                    "count": {"type": ["integer", "null"], "x-unit": "1", "minimum": 0, "maximum": 9},
                    "words": {"$ref": "common.json#/$defs/Words"},
                    "part": {"$ref": "#/$defs/Part"},
                },
            },
            "Part": {"type": "object", "properties": {"id": {"type": "string", "pattern": "^[a-z]$"}}},
            "Command": {
                "type": "object",
                "additionalProperties": False,
                "required": ["power_w"],
                "properties": {
                    "power_w": {"$ref": "common.json#/$defs/PowerW"},
                    "ttl_s": {"type": "number", "x-unit": "s", "exclusiveMinimum": 0, "maximum": 900},
                    "phase": {"type": "string", "enum": ["L1", "L2"]},
                },
            },
        }
    },
    "schema/v1/cloud.json": {"x-candidate": True, "$defs": {"Event": {"type": "object", "properties": {}}}},
    "schema/v1/openapi-module.yaml": {
        "info": {"title": "Module"},
        "paths": {
            "/state": {
                "get": {
                    "parameters": [{"name": "page", "in": "query", "schema": {"type": "integer"}}],
                    "x-errors": ["closed"],
                    "responses": {
                        "200": {
                            "content": {"application/json": {"schema": {"$ref": "state.json#/$defs/Report"}}}
                        }
                    },
                }
            }
        },
    },
    "schema/v1/asyncapi.yaml": {
        "info": {"title": "Streams"},
        "channels": {"stream": {}},
        "operations": {"reports": {"action": "send", "channel": "stream", "messages": ["state"]}},
    },
    "spec/04-protocol.md": (
        "- **[A-001]** It MUST hum. *Why:* A joy.\n- **[A-002]** It SHOULD sing. *Why:* So.\n"
    ),
    "spec/07-cloud.md": "- **[C-001]** It MUST ask. *Why:* So.\n",
    "registry/requirements.yaml": {
        "candidate": [7],
        "requirements": [
            {
                "id": "A-001",
                "chapter": 4,
                "profiles": ["module"],
                "class": "core",
                "level": "MUST",
                "check": "a",
            },
            {
                "id": "A-002",
                "chapter": 4,
                "profiles": ["hub"],
                "class": "extended",
                "level": "SHOULD",
                "check": "b",
            },
            {
                "id": "C-001",
                "chapter": 7,
                "profiles": ["hub"],
                "class": "core",
                "level": "MUST",
                "check": "c",
            },
        ],
    },
    "registry/errors.yaml": [{"code": "closed", "status": 403, "title": "Closed", "meaning": "Not open."}],
    "registry/capabilities.yaml": [
        {"name": "isolate", "meaning": "A tie.", "commands": ["request"], "requests": ["open", "close"]},
        {"name": "job", "candidate": True, "meaning": "A job."},
    ],
    "registry/policies.yaml": [{"name": "idle", "meaning": "Nothing."}],
    "registry/profiles.yaml": [
        {"name": "storage", "core": {"battery": ["limit"]}, "extended": {"battery": ["fault", "energy"]}},
        {"name": "appliance", "candidate": True, "core": {"load": ["job"]}, "extended": {}},
    ],
    "registry/errata.yaml": [],
    "conformance/v1.0.yaml": {"status": "frozen", "requirements": {"module": ["A-001"]}},
}


def files(standard: Standard) -> dict[str, str]:
    def text(path: str, value: Any) -> str:
        if isinstance(value, str):
            return value
        return json.dumps(value) if path.endswith(".json") else str(yaml.safe_dump(value))

    return {path: text(path, value) for path, value in standard.items()}


def after(change: Callable[[Standard], object]) -> list[str]:
    """What the policy says of one change."""
    changed = copy.deepcopy(SMALL)
    change(changed)
    return policy.breaks(files(SMALL), files(changed))


def report(standard: Standard) -> dict[str, Any]:
    return standard["schema/v1/state.json"]["$defs"]["Report"]  # type: ignore[no-any-return]


def command(standard: Standard) -> dict[str, Any]:
    return standard["schema/v1/state.json"]["$defs"]["Command"]  # type: ignore[no-any-return]


def value(standard: Standard, name: str) -> dict[str, Any]:
    return standard["schema/v1/common.json"]["$defs"][name]  # type: ignore[no-any-return]


def row(standard: Standard, file: str, at: int) -> dict[str, Any]:
    rows = standard[f"registry/{file}.yaml"]
    return (rows["requirements"] if file == "requirements" else rows)[at]  # type: ignore[no-any-return]


def rename(fields: dict[str, Any], old: str, new: str) -> None:
    fields[new] = fields.pop(old)


def operation(standard: Standard) -> dict[str, Any]:
    return standard["schema/v1/openapi-module.yaml"]["paths"]["/state"]["get"]  # type: ignore[no-any-return]


def added(standard: Standard, **more: Any) -> None:
    new = {
        "id": "A-003",
        "chapter": 4,
        "profiles": ["module"],
        "class": "core",
        "level": "MUST",
        "check": "d",
    }
    standard["registry/requirements.yaml"]["requirements"].append(new | more)
    standard["spec/04-protocol.md"] += "- **[A-003]** It MUST dance. *Why:* So.\n"


def says(standard: Standard, path: str, old: str, new: str) -> None:
    assert old in standard[path]
    standard[path] = standard[path].replace(old, new)


def erratum(standard: Standard, touched: str) -> None:
    standard["registry/errata.yaml"].append({"id": "E-2030-01", "touches": [touched]})


BREAKING: dict[str, tuple[Callable[[Standard], object], str]] = {
    "a file is gone": (lambda s: s.pop("schema/v1/common.json"), "common.json PowerW: removed"),
    "a definition is renamed": (
        lambda s: rename(s["schema/v1/state.json"]["$defs"], "Part", "Piece"),
        "Part: removed",
    ),
    "a field is gone": (lambda s: report(s)["properties"].pop("kind"), "Report.kind: removed or renamed"),
    "a field is renamed": (lambda s: rename(report(s)["properties"], "kind", "sort"), "Report.kind: removed"),
    "a field of a command is gone": (
        lambda s: command(s)["properties"].pop("ttl_s"),
        "Command.ttl_s: removed",
    ),
    "a field is now required in a command": (
        lambda s: command(s)["required"].append("ttl_s"),
        "ttl_s: is now required",
    ),
    "a new field is required in a command": (
        lambda s: (
            command(s)["properties"].update(new={"type": "boolean"}),
            command(s)["required"].append("new"),
        ),
        "Command.new: is now required",
    ),
    "a field is now required in a report": (
        lambda s: report(s)["required"].append("kind"),
        "kind: is now required",
    ),
    "a field need not be there": (lambda s: report(s)["required"].clear(), "power_w: was always there"),
    "a range narrows": (
        lambda s: value(s, "PowerW").update(maximum=9),
        "Command.power_w: maximum is narrower",
    ),
    "a range loses its end point": (
        lambda s: (value(s, "PowerW").pop("minimum"), value(s, "PowerW").update(exclusiveMinimum=-10)),
        "Command.power_w: minimum is narrower",
    ),
    "a range of a report widens": (
        lambda s: value(s, "PowerW").update(maximum=11),
        "Report.power_w: maximum is wider",
    ),
    "a text gets shorter": (
        lambda s: value(s, "Word").update(maxLength=63),
        "Report.kind: maxLength is narrower",
    ),
    "a list gets shorter": (
        lambda s: value(s, "Words").update(maxItems=2),
        "Report.words: maxItems is narrower",
    ),
    "words of a list get shorter": (
        lambda s: value(s, "Word").update(maxLength=9),
        "words.items: maxLength is narrower",
    ),
    "an enum loses a value": (
        lambda s: command(s)["properties"]["phase"]["enum"].pop(),
        "['L2'] is no longer allowed",
    ),
    "an enum of a report gains a value": (
        lambda s: report(s)["properties"]["phase"]["enum"].append("L3"),
        "can now be ['L3']",
    ),
    "what was open is an enum": (
        lambda s: report(s)["properties"]["kind"].update(enum=["pv"]),
        "is now one of ['pv']",
    ),
    "an open list loses a word": (
        lambda s: report(s)["properties"]["kind"]["x-known"].pop(),
        "the known word load is gone",
    ),
    "a unit changes": (lambda s: value(s, "PowerW").update({"x-unit": "kW"}), "x-unit was W, is kW"),
    "a pattern changes": (
        lambda s: s["schema/v1/state.json"]["$defs"]["Part"]["properties"]["id"].update(pattern="^[a-f]$"),
        "Part.id: pattern was",
    ),
    "a type is lost": (
        lambda s: report(s)["properties"]["count"].update(type="integer"),
        "can no longer be null",
    ),
    "a report can be null": (lambda s: value(s, "PowerW").update(type=["number", "null"]), "can now be null"),
    "a part is another message": (
        lambda s: report(s)["properties"].update(part={"$ref": "#/$defs/Command"}),
        "was a Part, is a Command",
    ),
    "a command takes what it does not know": (
        lambda s: command(s).pop("additionalProperties"),
        "were refused, are ignored",
    ),
    "a report refuses what it does not know": (
        lambda s: report(s).update(additionalProperties=False),
        "were ignored, are refused",
    ),
    "what is released is a candidate": (
        lambda s: s["schema/v1/state.json"].update({"x-candidate": True}),
        "candidate again",
    ),
    "an operation is gone": (
        lambda s: s["schema/v1/openapi-module.yaml"]["paths"].clear(),
        "GET /state: removed",
    ),
    "an operation gives something else": (
        lambda s: operation(s)["responses"].pop("200"),
        "gives something else",
    ),
    "a parameter is gone": (lambda s: operation(s)["parameters"].clear(), "parameter page is gone"),
    "a new parameter is required": (
        lambda s: operation(s)["parameters"].append({"name": "all", "in": "query", "required": True}),
        "the parameter all is now required",
    ),
    "a stream carries something else": (
        lambda s: s["schema/v1/asyncapi.yaml"]["operations"]["reports"]["messages"].clear(),
        "reports: gives something else",
    ),
    "a demand is gone": (lambda s: s["registry/requirements.yaml"]["requirements"].pop(0), "A-001: removed"),
    "a SHOULD is a MUST": (
        lambda s: row(s, "requirements", 1).update(level="MUST"),
        "A-002: level was SHOULD, is MUST",
    ),
    "a MUST is a SHOULD": (
        lambda s: row(s, "requirements", 0).update(level="SHOULD"),
        "A-001: level was MUST",
    ),
    "extended is core": (
        lambda s: row(s, "requirements", 1).update({"class": "core"}),
        "A-002: class was extended",
    ),
    "a demand binds more": (
        lambda s: row(s, "requirements", 1)["profiles"].append("module"),
        "A-002: profiles was",
    ),
    "a demand says something else": (
        lambda s: says(s, "spec/04-protocol.md", "hum", "roar"),
        "A-001: says something else",
    ),
    "a demand is added to the release": (added, "A-003: a demand added to a release"),
    "a chapter is a candidate again": (
        lambda s: s["registry/requirements.yaml"]["candidate"].append(4),
        "of 4: what is released",
    ),
    "an error is gone": (lambda s: s["registry/errors.yaml"].clear(), "error:closed: removed"),
    "an error means something else": (
        lambda s: row(s, "errors", 0).update(meaning="Open."),
        "error:closed: its meaning",
    ),
    "an error has another status": (
        lambda s: row(s, "errors", 0).update(status=409),
        "error:closed: its status",
    ),
    "a capability means something else": (
        lambda s: row(s, "capabilities", 0).update(meaning="A bow."),
        "capability:isolate: its",
    ),
    "a request is gone": (
        lambda s: row(s, "capabilities", 0)["requests"].pop(),
        "lost close of its requests",
    ),
    "a policy is gone": (lambda s: s["registry/policies.yaml"].clear(), "policy:idle: removed"),
    "a profile asks for more": (
        lambda s: row(s, "profiles", 0)["core"]["battery"].append("energy"),
        "storage: its core",
    ),
    "a profile offers less": (
        lambda s: row(s, "profiles", 0)["extended"]["battery"].pop(),
        "storage: lost energy",
    ),
    "a profile is gone": (lambda s: s["registry/profiles.yaml"].pop(0), "profile storage: removed"),
    "what is frozen changes": (
        lambda s: s["conformance/v1.0.yaml"]["requirements"]["module"].append("A-002"),
        "differs in requirements",
    ),
    "what is frozen is gone": (lambda s: s.pop("conformance/v1.0.yaml"), "conformance/v1.0.yaml: removed"),
}

ALLOWED: dict[str, Callable[[Standard], object]] = {
    "nothing": lambda s: None,
    "a report gains an optional field": lambda s: report(s)["properties"].update(new={"type": "boolean"}),
    "a command gains an optional field": lambda s: command(s)["properties"].update(new={"type": "boolean"}),
    "a command takes more": lambda s: command(s)["properties"]["ttl_s"].update(maximum=1800),
    "a command takes another word": lambda s: command(s)["properties"]["phase"]["enum"].append("L3"),
    "an open list gains a word": lambda s: report(s)["properties"]["kind"]["x-known"].append("heat"),
    "a definition is added": lambda s: s["schema/v1/state.json"]["$defs"].update(More={"type": "object"}),
    "a description is reworded": lambda s: value(s, "PowerW").update(description="At this moment."),
    "a candidate's message goes": lambda s: s["schema/v1/cloud.json"]["$defs"].clear(),
    "a candidate is released": lambda s: s["schema/v1/cloud.json"].pop("x-candidate"),
    "an operation is added": lambda s: s["schema/v1/openapi-module.yaml"]["paths"].update(
        {"/log": {"get": {"responses": {}}}}
    ),
    "an operation can fail in another way": lambda s: operation(s)["x-errors"].append("full"),
    "a demand is added to a later release": lambda s: added(s, since="1.1"),
    "a candidate's demand changes": lambda s: says(s, "spec/07-cloud.md", "ask", "beg"),
    "a check has another name": lambda s: row(s, "requirements", 0).update(check="hums"),
    "a reason is reworded": lambda s: says(s, "spec/04-protocol.md", "A joy.", "Joy."),
    "a sentence is mended by an erratum": lambda s: (
        says(s, "spec/04-protocol.md", "hum", "buzz"),
        erratum(s, "A-001"),
    ),
    "a meaning is mended by an erratum": lambda s: (
        row(s, "errors", 0).update(meaning="Shut."),
        erratum(s, "error:closed"),
    ),
    "an error is added": lambda s: s["registry/errors.yaml"].append(
        {"code": "full", "status": 503, "meaning": "No room."}
    ),
    "a profile offers more": lambda s: row(s, "profiles", 0)["extended"]["battery"].append("thermal"),
    "a candidate profile changes": lambda s: row(s, "profiles", 1)["core"].clear(),
    "a candidate capability goes": lambda s: s["registry/capabilities.yaml"].pop(),
}


@pytest.mark.parametrize("name", BREAKING)
def test_a_breaking_change_is_refused_by_name(name: str) -> None:
    change, sentence = BREAKING[name]
    found = after(change)
    assert any(sentence in one for one in found), found


@pytest.mark.parametrize("name", ALLOWED)
def test_what_a_minor_version_may_do_is_let_through(name: str) -> None:
    assert after(ALLOWED[name]) == []


def test_the_standard_of_today_does_not_break_itself() -> None:
    today = policy.on_disk(schemas.STANDARD)
    unfrozen = {path: text for path, text in today.items() if not path.startswith("conformance/")}
    assert len(unfrozen) > 30
    assert policy.breaks(unfrozen, unfrozen) == []


def test_a_release_without_its_freeze_is_found() -> None:
    draft = files(SMALL | {"conformance/v1.0.yaml": {"status": "draft"}})
    assert policy.breaks(draft, draft) == ["conformance/v1.0.yaml: was released without `status: frozen`"]


def test_nothing_has_been_broken_since_the_last_release() -> None:
    try:
        tag = policy.last_release()
    except policy.NoRelease as why:
        pytest.skip(f"no release of the standard to compare with: {why}")
    assert policy.breaks(policy.at(tag), policy.on_disk(schemas.STANDARD)) == []


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def test_the_last_release_is_read_from_its_tag(tmp_path: Path) -> None:
    for path, text in files(SMALL).items():
        (tmp_path / "standard" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "standard" / path).write_text(text)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "A release")
    with pytest.raises(policy.NoRelease):
        policy.last_release(tmp_path)
    git(tmp_path, "tag", "v9.9")
    git(tmp_path, "tag", "standard-v1.0")
    (tmp_path / "standard/registry/errors.yaml").write_text("[]")
    tag = policy.last_release(tmp_path)
    assert tag == "standard-v1.0"
    found = policy.breaks(policy.at(tag, tmp_path), policy.on_disk(tmp_path / "standard"))
    assert found == ["error:closed: removed or renamed"]


def test_a_folder_without_git_has_no_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(policy.NoRelease):
        policy.last_release(tmp_path)
