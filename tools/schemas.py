"""The standard's schemas, executed by jsonschema, with the standard's own rules where jsonschema is looser.

- An integer is written without fraction or exponent; JSON Schema alone would take 1.0.
- A pattern's `$` is the end of the text, as in ECMA-262; Python's also matches before a final newline.
- Text is I-JSON (RFC 7493).
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend
from referencing import Registry, Resource

STANDARD = Path(__file__).resolve().parents[1] / "standard"
SCHEMAS = STANDARD / "schema" / "v1"
DEPTH_MAX = 64


@functools.cache
def files() -> dict[str, dict[str, Any]]:
    """Every schema file by its name without ending."""
    return {path.stem: json.loads(path.read_text()) for path in sorted(SCHEMAS.glob("*.json"))}


@functools.cache
def homes() -> dict[str, str]:
    """The file that each definition lives in."""
    return {name: stem for stem, schema in files().items() for name in schema["$defs"]}


def messages() -> list[str]:
    """Names of all definitions that are objects: whatever could be sent."""
    return [name for name, home in homes().items() if files()[home]["$defs"][name].get("type") == "object"]


def resolved(schema: dict[str, Any], home: str) -> tuple[dict[str, Any], str]:
    """What a schema refers to, and the file it lives in; itself where it refers to nothing."""
    while "$ref" in schema:
        file, _, name = schema["$ref"].partition("#/$defs/")
        home = file.removesuffix(".json") or home
        schema = files()[home]["$defs"][name]
    return schema, home


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """A validator of one message."""
    found: Draft202012Validator = _strict()(
        {"$ref": f"{files()[homes()[name]]['$id']}#/$defs/{name}"}, registry=_registry()
    )
    return found


def read(data: bytes) -> Any:
    """I-JSON to plain values; of a repeated key the last one counts.

    Raises:
        ValueError: It is not I-JSON, or nests deeper than 64.
    """
    try:
        value = json.loads(data.decode("utf-8"), parse_constant=_no_number)
        json.dumps(value, ensure_ascii=False).encode("utf-8")  # lone surrogates have no UTF-8
    except RecursionError:
        raise ValueError("nests too deep") from None
    if _depth(value) > DEPTH_MAX:
        raise ValueError(f"nests deeper than {DEPTH_MAX}")
    return value


def accepts(name: str, data: bytes) -> bool:
    """Whether the standard takes these bytes for a message of this name."""
    try:
        return bool(validator(name).is_valid(read(data)))
    except ValueError:
        return False


@functools.cache
def _registry() -> Registry[Any]:
    return Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in files().values()
    )


@functools.cache
def _strict() -> Any:
    types = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    rules = {"pattern": _pattern}
    return extend(Draft202012Validator, rules, type_checker=types)  # type: ignore[no-untyped-call]


def _pattern(_: object, pattern: str, text: object, __: object) -> Iterator[ValidationError]:
    if isinstance(text, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), text):
        yield ValidationError(f"{text!r} does not match {pattern!r}")


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
