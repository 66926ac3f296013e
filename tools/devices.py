"""The pages about devices that have a template: one for each, and one that lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ores.adapters.templates import page, parse

FOLDER: Final = Path("docs/devices")
INDEX: Final = Path("docs/devices.md")


def generate() -> dict[Path, str]:
    """Every page, by its path."""
    templates = [parse.shipped(name) for name in parse.names()]
    pages = {FOLDER / f"{one.name}.md": page.page(one) for one in templates}
    return {INDEX: page.index(templates), **pages}
