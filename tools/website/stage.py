"""The pages as they lie in the repository, gathered and made ready in a folder of their own."""

from __future__ import annotations

import posixpath
import re
import shutil
from pathlib import Path
from typing import Final

import yaml

from tools.website import markdown, tables
from tools.website.pages import ROOT, navigation, static, written

FOLDERS: Final = {
    "standard/spec/reference": ("All messages", "Every message, field by field; generated from the schemas."),
    "standard/schema/v1": ("Schemas", "The shapes: JSON Schema 2020-12, OpenAPI 3.1 and AsyncAPI 3."),
    "standard/registry": ("All files", "What has a name: the files behind the tables."),
    "standard/examples/valid": ("Valid examples", "Messages that every implementation takes."),
    "standard/examples/invalid": (
        "Invalid examples",
        "Messages that every implementation refuses, each for the reason in `index.yaml`.",
    ),
}
"""Folders that pages link to, and the title and text of their page."""


def stage(place: Path) -> tuple[Path, list[str]]:
    """Write all that the site is built from.

    Args:
        place: A folder of its own; what lies there is removed. The site is built in its folder `built`.

    Returns:
        The configuration to build with, and what is wrong with the pages.
    """
    shutil.rmtree(place, ignore_errors=True)
    pages, made = place / "pages", _made()
    sources = {path: (ROOT / path).read_text() for path in written()}
    homes = {name: path for path, text in sources.items() for name in markdown.ids(text)}
    wrong: list[str] = []
    for path, text in {**sources, **made}.items():
        _write(pages / path, _ready(path, text, homes, wrong))
    for path in static():
        (pages / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / path, pages / path)
    shutil.copytree(ROOT / "docs" / "assets", pages / "assets")
    added = {"nav": navigation(list(made)), "docs_dir": "pages", "site_dir": "built"}
    config = place / "mkdocs.yml"
    _write(config, (ROOT / "mkdocs.yml").read_text() + "\n" + yaml.safe_dump(added, sort_keys=False))
    return config, wrong


def _ready(here: str, text: str, homes: dict[str, str], wrong: list[str]) -> str:
    folder = posixpath.dirname(here)
    links = {
        name: "" if home == here else posixpath.relpath(home, folder or ".") for name, home in homes.items()
    }

    def unknown(name: str) -> None:
        wrong.append(f"{here}: [{name}] is the id of no sentence")

    def page_of(target: str) -> str:
        if re.match(r"[a-z]+:", target):
            return target
        whole = posixpath.normpath(posixpath.join(folder, target))
        if whole in FOLDERS:
            return posixpath.join(target, "index.md")
        if not here.startswith("standard/registry/") and re.fullmatch(r"standard/registry/\w+\.yaml", whole):
            return target.removesuffix(".yaml") + ".md"
        return target

    return markdown.prepared(text, homes=links, unknown=unknown, page_of=page_of)


def _made() -> dict[str, str]:
    """Pages that the site makes itself."""
    made = {}
    for folder, (title, about) in FOLDERS.items():
        inside = sorted(path for path in (ROOT / folder).rglob("*") if path.is_file())
        names = [path.relative_to(ROOT / folder).as_posix() for path in inside if path.name[0] != "."]
        made[f"{folder}/index.md"] = tables.listing(title, about, names)
    return {**made, **tables.registry()}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
