"""The registry, the schemas and the code name the same things."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tools import schemas

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"[a-z][a-z0-9_]*")


def registry(name: str) -> dict[str, dict[str, Any]]:
    rows = yaml.safe_load((schemas.STANDARD / "registry" / f"{name}.yaml").read_text())
    key = "code" if name == "errors" else "name"
    found = {row[key]: row for row in rows}
    assert len(found) == len(rows), f"{name}.yaml names something twice"
    return found


def fields(message: str) -> set[str]:
    return set(schemas.files()[schemas.homes()[message]]["$defs"][message]["properties"])


def known(message: str, field: str) -> set[str]:
    return set(schemas.files()[schemas.homes()[message]]["$defs"][message]["properties"][field]["x-known"])


CAPABILITIES = registry("capabilities")
ERRORS = registry("errors")
PROFILES = registry("profiles")


def test_every_capability_of_the_schemas_has_a_row_and_every_row_is_in_the_schemas() -> None:
    in_schemas = fields("Capabilities") | fields("ElementState") | fields("ElementCommand") - {"quality"}
    assert in_schemas - {"quality"} == set(CAPABILITIES)


@pytest.mark.parametrize(
    ("way", "message"),
    [("lease", "ElementCommand"), ("setting", "ElementSettings")],
)
def test_the_registry_says_how_each_capability_is_commanded(way: str, message: str) -> None:
    assert {name for name, row in CAPABILITIES.items() if way in row.get("commands", [])} == fields(message)


def test_the_requests_of_the_registry_are_those_of_the_schema() -> None:
    named = {request for row in CAPABILITIES.values() for request in row.get("requests", [])}
    of_the_module = known("Description", "requests")
    assert not named & of_the_module
    assert named | of_the_module == known("Request", "request")


def test_the_policies_of_the_registry_are_those_of_the_schema() -> None:
    assert set(registry("policies")) == known("Policy", "kind")


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_names_known_kinds_and_capabilities(name: str) -> None:
    row = PROFILES[name]
    for part in (row["core"], row["extended"]):
        assert set(part) <= known("Element", "kind")
        assert {capability for each in part.values() for capability in each} <= set(CAPABILITIES)
    for kind, core in row["core"].items():
        assert not set(core) & set(row["extended"].get(kind, [])), "core is not extended"


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_an_error_says_what_it_means_and_fits_the_schema(row: dict[str, Any]) -> None:
    assert set(row) == {"code", "status", "title", "meaning"}
    assert CODE.fullmatch(row["code"])
    assert row["status"] is None or 400 <= row["status"] <= 599
    assert len(row["title"]) <= 128
    assert row["meaning"].endswith(".")


def codes_in(source: str) -> Iterator[str]:
    """Literal codes: `code = "…"` with or without a type, `code="…"`, `problem("…")`, keys of TITLES."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Assign(targets=[ast.Name(id="code")], value=ast.Constant(value=str(code))):
                yield code
            case ast.AnnAssign(target=ast.Name(id="code"), value=ast.Constant(value=str(code))):
                yield code
            case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
                yield code
            case ast.Call(
                func=ast.Name(id="problem" | "refusal" | "Refusal" | "WholeRefusal" | "ApiError"),
                args=[ast.Constant(value=str(code)), *_],
            ):
                yield code
            case ast.AnnAssign(target=ast.Name(id="TITLES"), value=ast.Dict(keys=keys)):
                yield from (key.value for key in keys if isinstance(key, ast.Constant))


def test_a_code_is_found_wherever_it_is_written() -> None:
    source = """
class E(Exception):
    code = "one"
def f() -> None:
    raise E(code="two")
    return refusal("three", "why")
TITLES: dict = {"four": (400, "Four"), **others}
"""
    assert set(codes_in(source)) == {"one", "two", "three", "four"}


def test_every_error_code_in_the_code_has_a_row() -> None:
    missing = {
        f"{path.relative_to(ROOT)}: {code}"
        for path in (ROOT / "src" / "ores").rglob("*.py")
        for code in codes_in(path.read_text())
        if CODE.fullmatch(code) and code not in ERRORS
    }
    assert not missing, "add a row to standard/registry/errors.yaml, or use a code that it has"


def test_titles_and_statuses_in_the_code_are_those_of_the_registry() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {code}"
        for path in (ROOT / "src" / "ores").rglob("problems.py")
        for code, (status, title) in titles(path.read_text()).items()
        if code in ERRORS and (ERRORS[code]["status"], ERRORS[code]["title"]) != (status, title)
    ]
    assert not wrong


def titles(source: str) -> dict[str, tuple[int, str]]:
    found: dict[str, tuple[int, str]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Dict):
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                if isinstance(key, ast.Constant):
                    found[key.value] = ast.literal_eval(value)
    return found
