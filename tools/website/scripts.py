"""What runs in the reader's browser: fetched once from npm, checked, and served by the site itself."""

from __future__ import annotations

import base64
import hashlib
import io
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from tools.node import npm
from tools.website.pages import ROOT

CACHE: Final = ROOT / ".site" / "scripts"


class Script(NamedTuple):
    """One script of a package: its name in `assets`, its place in the package, the package's SHA-512."""

    name: str
    package: str
    member: str
    sha512: str


SCRIPTS: Final = (
    # draws the diagrams
    Script(
        "mermaid.min.js",
        "mermaid@11.17.2",
        "package/dist/mermaid.min.js",
        "V6K3C8EBdEsPFZXSKMJe6ppQOENxuHARr9GvHX4hh47lAbhMRD9qf4oEK7LoaRQxULMa80/qt5gHO73aCleBBg==",
    ),
    # searches where the site is read from a disk
    Script(
        "iframe-worker.js",
        "iframe-worker@1.0.4",
        "package/shim/index.js",
        "roeaaI+Lg1LJNfgpCjoRe/+WzEjy9+Z08LoEvu85MCPbBjwm+qXz8Ag5U05lHa6V1CysZyGzE0SOkAtSUA5q7Q==",
    ),
)


def put(assets: Path) -> None:
    """Put the scripts into a folder.

    Raises:
        SystemExit: One cannot be fetched, or is not what was pinned.
    """
    CACHE.mkdir(parents=True, exist_ok=True)
    for script in SCRIPTS:
        kept = CACHE / f"{script.package.replace('@', '-')}.js"
        if not kept.is_file():
            kept.write_bytes(_fetched(script))
        (assets / script.name).write_bytes(kept.read_bytes())


def _fetched(script: Script) -> bytes:
    with tempfile.TemporaryDirectory() as directory:
        npm(["pack", script.package, "--silent"], cwd=Path(directory))
        (packed,) = Path(directory).glob("*.tgz")
        data = packed.read_bytes()
    found = base64.b64encode(hashlib.sha512(data).digest()).decode()
    if found != script.sha512:
        sys.exit(f"{script.package}: found SHA-512 {found}, pinned is {script.sha512}")
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        member = archive.extractfile(script.member)
        if member is None:
            sys.exit(f"{script.package} has no {script.member}")
        return member.read()
