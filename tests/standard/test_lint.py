"""Each rule of the schemas, broken once: a lint that cannot fail proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tools import schemas
from tools.generate import lint

COUNT = {"type": "integer", "x-unit": "1", "minimum": 0, "maximum": 1}
POWER: dict[str, Any] = {"type": "number", "x-unit": "W", "minimum": 0, "maximum": 1}
WORD = {"type": "string", "maxLength": 64}
KEYS = {"$ref": "#/$defs/Word"}
GOOD: dict[str, Any] = {
    "power_w": POWER,
    "name": WORD,
    "words": {"type": "array", "maxItems": 3, "items": KEYS},
    "limits_w": {"type": "object", "maxProperties": 3, "propertyNames": KEYS, "additionalProperties": POWER},
}


def without(schema: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in schema.items() if name != key}


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "no unit": ({"power_w": {"type": "number", "minimum": 0, "maximum": 1}}, "a number without `x-unit`"),
    "no unit beside null": (
        {"power_w": {"type": ["number", "null"], "minimum": 0, "maximum": 1}},
        "a number without `x-unit`",
    ),
    "no unit in a list": (
        {"counts": {"type": "array", "maxItems": 1, "items": without(COUNT, "x-unit")}},
        "a number without `x-unit`",
    ),
    "strange unit": ({"power_w": POWER | {"x-unit": "hp"}}, "a unit that no field name can end with: hp"),
    "no lower end": ({"power_w": without(POWER, "minimum")}, "a number without minimum"),
    "no upper end": ({"power_w": without(POWER, "maximum")}, "a number without maximum"),
    "unit not in the name": ({"power": POWER}, "a number in W whose name does not end with `_w`"),
    "wrong unit in the name": ({"power_kw": POWER}, "a number in W whose name does not end with `_w`"),
    "unit not in the name, by reference": (
        {"power": {"$ref": "#/$defs/Power"}},
        "a number in W whose name does not end with `_w`",
    ),
    "unit not in the name of a map": (
        {"limits": GOOD["limits_w"]},
        "a number in W whose name does not end with `_w`",
    ),
    "reference to nowhere": (
        {"a": {"$ref": "other.json#/$defs/A"}},
        "a `$ref` to other.json#/$defs/A, which is nowhere",
    ),
    "endless text": ({"name": {"type": "string"}}, "text without `maxLength`, `pattern` or `enum`"),
    "endless list": ({"words": {"type": "array", "items": WORD}}, "a list without `maxItems`"),
    "endless map": (
        {"words": {"type": "object", "propertyNames": KEYS, "additionalProperties": WORD}},
        "a map without `maxProperties`",
    ),
    "map with any keys": (
        {"words": {"type": "object", "maxProperties": 1, "additionalProperties": WORD}},
        "a map without `propertyNames` by `$ref`",
    ),
    "open pattern": (
        {"name": {"type": "string", "pattern": "[a-z]{1,3}$"}},
        "a pattern that is not anchored with ^ and $",
    ),
}


def found(folder: Path, definitions: dict[str, Any]) -> list[str]:
    (folder / "a.json").write_text(json.dumps({"$defs": {"Word": WORD, "Power": POWER, **definitions}}))
    return lint.problems(folder)


def message(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "description": "A message.", "properties": properties}


def test_a_good_schema_has_no_problems(tmp_path: Path) -> None:
    assert found(tmp_path, {"M": message(GOOD)}) == []


@pytest.mark.parametrize(("properties", "problem"), BROKEN.values(), ids=BROKEN)
def test_each_rule_is_enforced(properties: dict[str, Any], problem: str, tmp_path: Path) -> None:
    problems = found(tmp_path, {"M": message(properties)})
    place = f"a.json#/$defs/M/properties/{next(iter(properties))}"
    assert len(problems) == 1
    assert problems[0].startswith(place)
    assert problems[0].endswith(problem)


def test_a_message_says_what_it_is(tmp_path: Path) -> None:
    assert found(tmp_path, {"M": {"type": "object", "properties": {}}}) == [
        "a.json#/$defs/M: a message without a description"
    ]


def test_what_is_required_exists(tmp_path: Path) -> None:
    assert found(tmp_path, {"M": {**message(GOOD), "required": ["power_w", "misspelt"]}}) == [
        "a.json#/$defs/M: `required` names misspelt, which is not among the properties"
    ]


def test_fields_may_be_called_like_keywords(tmp_path: Path) -> None:
    assert found(tmp_path, {"M": message({"type": WORD, "pattern": WORD, "properties": WORD})}) == []


def test_the_standard_keeps_its_own_rules() -> None:
    assert lint.problems(schemas.SCHEMAS) == []
