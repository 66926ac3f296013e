"""Which pages the site has, and in what order: what is in the folders, so a new chapter appears by itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
STANDARD: Final = ROOT / "standard"
_STATIC: Final = ("docs/*.png", "docs/assets/*", "docs/examples/**/*", "standard/schema/**/*")
_STATIC_REGISTRY: Final = (
    "standard/registry/*.yaml",
    "standard/examples/**/*",
    "standard/conformance/*.yaml",
    "standard/conformance/reports/**/*.html",
    "standard/conformance/reports/**/*.json",
    "standard/conformance/reports/**/*.xml",
)
MAKERS: Final = ("your-first-module.md", "your-first-module-in-c.md", "claim-conformance.md")
UTILITIES: Final = ("adopt-as-a-utility.md",)


def written() -> list[str]:
    """Every page that somebody wrote or `make generate` made, from the root of the repository."""
    found = ["README.md", "standard/README.md", *_under("docs/**/*.md"), *_under("standard/spec/**/*.md")]
    return [*found, *_under("standard/conformance/**/*.md"), *_under("examples/*/*.md")]


def static() -> Iterator[str]:
    """What pages show or link to as it is."""
    for pattern in (*_STATIC, *_STATIC_REGISTRY):
        yield from _under(pattern)


def navigation(made: list[str]) -> list[dict[str, Any]]:
    """The order of the pages; `made` are those that the site makes itself."""
    every = written()
    chapters = [page for page in every if page.startswith("standard/spec/") and "/reference/" not in page]
    chapters.sort(key=lambda page: (not page.endswith("README.md"), page))
    reference = [page for page in every if page.startswith("standard/spec/reference/")]
    makers = [f"docs/{name}" for name in MAKERS if f"docs/{name}" in every]
    makers += [page for page in every if page.startswith("examples/")]
    utilities = [f"docs/{name}" for name in UTILITIES if f"docs/{name}" in every]
    devices = [page for page in every if page.startswith("docs/devices/")]
    rest = [
        page for page in every if page.startswith("docs/") and page not in {*makers, *utilities, *devices}
    ]
    reports = [page for page in every if page.startswith("standard/conformance/")]
    sections = {
        "Standard": [
            *chapters,
            {"Messages": [*(page for page in made if page.startswith("standard/spec/")), *reference]},
            {"Registry": [page for page in made if page.startswith("standard/registry/")]},
            {
                "Files": [
                    "standard/README.md",
                    *(page for page in made if "/schema/" in page or "/examples/" in page),
                ]
            },
        ],
        "Make a device": makers,
        "Utilities": utilities,
        "Conformance": reports,
        "Implementation": [*rest, {"Devices": devices}] if devices else rest,
    }
    return [{"Home": "README.md"}, *({name: pages} for name, pages in sections.items() if pages)]


def _under(pattern: str) -> list[str]:
    found = sorted(path for path in ROOT.glob(pattern) if path.is_file())
    return [path.relative_to(ROOT).as_posix() for path in found if not path.name.startswith(".")]
