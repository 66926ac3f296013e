"""The hand-written examples: the valid are taken by both validators, the invalid refused for their reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import schemas

import ores.model
from ores.link import codec
from ores.link.errors import InvalidMessage

EXAMPLES = schemas.STANDARD / "examples"
VALID = sorted((EXAMPLES / "valid").glob("*/*.json"))
INVALID = sorted((EXAMPLES / "invalid").glob("*/*.json"))
INDEX: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((EXAMPLES / "invalid/index.yaml").read_text())


def name(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


def test_every_message_has_a_valid_example() -> None:
    assert {path.parent.name for path in VALID} == set(schemas.messages())


def test_every_command_has_an_invalid_example() -> None:
    closed = {
        message
        for message in schemas.messages()
        if schemas.files()[schemas.homes()[message]]["$defs"][message].get("additionalProperties") is False
    }
    small = {
        "Bounds",
        "ElementSettings",
        "ModeCommand",
        "StorageSettings",
        "Wish",
    }  # parts of those that have one
    assert closed - small <= set(INDEX)


def test_every_invalid_example_says_why() -> None:
    rows = {f"{message}/{example}" for message, examples in INDEX.items() for example in examples}
    assert rows == {name(path) for path in INVALID}


@pytest.mark.parametrize("path", VALID, ids=map(name, VALID))
def test_a_valid_example_is_taken(path: Path) -> None:
    data = path.read_bytes()
    schemas.validator(path.parent.name).validate(schemas.read(data))
    message = codec.decode(getattr(ores.model, path.parent.name), data, unique_keys=True)
    assert schemas.accepts(path.parent.name, codec.encode(message))


@pytest.mark.parametrize("path", INVALID, ids=map(name, INVALID))
def test_an_invalid_example_is_refused(path: Path) -> None:
    assert not schemas.accepts(path.parent.name, path.read_bytes())
    with pytest.raises(InvalidMessage):
        codec.decode(getattr(ores.model, path.parent.name), path.read_bytes())


@pytest.mark.parametrize("path", INVALID, ids=map(name, INVALID))
def test_an_invalid_example_has_the_one_fault_that_it_names(path: Path) -> None:
    """At the stated field, and nowhere else."""
    stated = INDEX[path.parent.name][path.stem]["field"]
    try:
        value = schemas.read(path.read_bytes())
    except ValueError:
        return  # no JSON: there is no field to compare
    [error] = schemas.validator(path.parent.name).iter_errors(value)
    where = error.json_path
    if error.validator in {"required", "additionalProperties", "pattern", "propertyNames"}:
        assert stated.startswith(where), error.message
    else:
        assert where == stated, error.message


@pytest.mark.parametrize("path", [*VALID, *INVALID], ids=map(name, [*VALID, *INVALID]))
def test_an_example_is_small_enough_for_a_small_device(path: Path) -> None:
    text = path.read_text()
    assert text.endswith("\n")
    small = json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False)
    assert len(small.encode("utf-8", "surrogatepass")) <= 4096
