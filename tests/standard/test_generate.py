"""The generator: what is committed is what it makes, and it makes the same twice."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tools import schemas
from tools.generate import structs, tables
from tools.generate.__main__ import ROOT, outputs, stale

import ores.model


@functools.cache
def wanted() -> dict[Path, str]:
    return outputs()


needs_node = pytest.mark.skipif(
    not (ROOT / "dashboard/node_modules/json-schema-to-typescript").is_dir(),
    reason="dashboard/node_modules is not there: `make setup` installs it",
)


def checked(root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-m", "tools.generate", "--check"]
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=False)


@needs_node
def test_what_is_committed_is_what_the_generator_makes_with_another_hash_seed() -> None:
    done = checked()
    assert done.returncode == 0, done.stderr


@needs_node
def test_a_generated_file_that_was_edited_and_one_that_nothing_makes_are_found() -> None:
    lease = ROOT / "src/ores/model/lease.py"
    orphan = ROOT / "standard/spec/reference/common.md"
    assert stale(wanted()) == []
    assert stale({**wanted(), lease: "edited"}) == [lease]
    assert stale({path: text for path, text in wanted().items() if path != orphan}) == [orphan]


@needs_node
def test_typescript_has_every_definition_once() -> None:
    text = wanted()[ROOT / "dashboard/src/model/index.ts"]
    exported = re.findall(r"^export (?:type|interface) (\w+)", text, re.MULTILINE)
    assert sorted(exported) == sorted(schemas.homes())


def test_every_definition_is_exported_and_no_other() -> None:
    assert sorted(ores.model.__all__) == sorted(schemas.homes())


@pytest.mark.parametrize("name", schemas.messages())
def test_a_struct_has_the_fields_of_its_schema_and_forbids_what_it_forbids(name: str) -> None:
    schema = schemas.files()[schemas.homes()[name]]["$defs"][name]
    struct = getattr(ores.model, name)
    config = struct.__struct_config__
    assert config.frozen
    assert config.forbid_unknown_fields == (schema.get("additionalProperties") is False)
    info = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    assert set(info) == set(schema["properties"])
    assert {name for name, field in info.items() if field.required} == set(schema.get("required", []))


def test_a_name_in_two_files_is_refused(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        definition = {"Twice": {"type": "object", "description": "A message.", "properties": {}}}
        schema = {"title": stem.upper(), "description": "Messages.", "$defs": definition}
        (tmp_path / f"{stem}.json").write_text(json.dumps(schema))
    with pytest.raises(SystemExit, match=r"Twice is defined in a\.json and in b\.json"):
        structs.generate(tmp_path)


def test_the_tables_name_every_field_with_its_unit() -> None:
    pages = tables.generate(schemas.SCHEMAS)
    assert (
        "| `ttl_s` | number | s | above 0 to 900 | yes | Life from its receipt. |"
        in pages["reference/lease.md"]
    )
    for name, home in schemas.homes().items():
        page = pages[f"reference/{home}.md"]
        assert f"## {name}\n" in page or f"| `{name}` |" in page


def test_links_between_tables_lead_somewhere() -> None:
    pages = tables.generate(schemas.SCHEMAS)
    for text in pages.values():
        for page, anchor in re.findall(r"\]\((\w+\.md)#?(\w*)\)", text):
            target = pages[f"reference/{page}"]
            assert not anchor or f"## {anchor}" in target.lower()


def test_the_generator_stays_small() -> None:
    own = list((ROOT / "tools/generate").glob("*.py")) + list((ROOT / "tools/generate").glob("*.mjs"))
    assert sum(len(path.read_text().splitlines()) for path in own) <= 500


def test_the_lock_file_has_the_packages_of_every_platform_and_no_download_address() -> None:
    """Written beside an existing node_modules it leaves other platforms out, and then `npm ci` fails."""
    text = (ROOT / "dashboard/package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    named = {name for package in packages.values() for name in package.get("optionalDependencies", {})}
    assert {name for name in named if f"node_modules/{name}" not in packages} == set()
    assert "resolved" not in text
