"""What makers add to reports, over all that the module has sent (section 12.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ores.conformance.bench import Bench
from ores.conformance.check import Section, need, short
from ores.conformance.checks.messages import from_module, schema_of
from ores.conformance.standard import Standard
from ores.conformance.transcript import Line

MAKERS_KEY: Final = re.compile(r"x-[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")

section: Section[Bench] = Section("extensions", "Looks for fields that are not of the standard.")


@section.check("vendor-fields-named")
async def vendor_fields_named(bench: Bench) -> None:
    """EXT-001: a maker's field is an object under `x-` and a domain name."""
    for line in from_module(bench):
        schema = _described(line) or schema_of(bench, line)
        if schema is not None and isinstance(line.body, dict):
            judge_named(bench.standard, schema, line, line.body)


def judge_named(standard: Standard, schema: tuple[str, str], line: Line, message: Mapping[str, Any]) -> None:
    """Judge the fields of one message.

    Raises:
        Failed: One is neither of the standard nor named after its maker.
    """
    for path, key, value in foreign(standard, schema, message):
        need(
            MAKERS_KEY.fullmatch(key) and isinstance(value, dict),
            f"{line.what} at {line.at_s:.1f} s has {path}.{key} = {short(value)}, which is not of the "
            "standard; a maker's own is an object whose key is such as x-example.com",
        )


def _described(line: Line) -> tuple[str, str] | None:
    """Whatever a stranger is told too much of a description (SEC-001) is of the standard all the same."""
    return ("description", "Description") if line.what.startswith("200 GET /description") else None


def foreign(
    standard: Standard, schema: tuple[str, str], message: Mapping[str, Any]
) -> Iterator[tuple[str, str, Any]]:
    """Every field of a message that its schema does not name.

    Args:
        standard: Whose schemas.
        schema: File and name, such as `("state", "State")`.
        message: Parsed JSON.

    Yields:
        The path of the object, the key, and what stands there.
    """
    file, name = schema
    yield from _foreign(standard, file, standard.schema(file)["$defs"][name], message, "$")


def _foreign(
    standard: Standard, file: str, node: Any, value: Any, path: str
) -> Iterator[tuple[str, str, Any]]:
    if "$ref" in node:
        target, _, name = node["$ref"].partition("#/$defs/")
        file = target.removesuffix(".json") or file
        yield from _foreign(standard, file, standard.schema(file)["$defs"][name], value, path)
        return
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _foreign(standard, file, node.get("items", {}), item, f"{path}[{number}]")
    elif isinstance(value, dict) and (fields := _fields(node)) is not None:
        for key, item in value.items():
            inner = fields.get(key, node.get("additionalProperties"))
            if isinstance(inner, dict):
                yield from _foreign(standard, file, inner, item, f"{path}.{key}")
            elif inner is None:
                yield path, key, item


def _fields(node: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The fields that a schema names; None where it leaves an object to others."""
    if "properties" in node or "additionalProperties" in node:
        found: Mapping[str, Any] = node.get("properties", {})
        return found
    return None
