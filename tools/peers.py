"""`make test-peers`: tests against software that none of us wrote, each peer in an environment of its own.

An environment is made once and kept in `.peers/` (or where ORES_PEERS says), named by what is in it. A peer
that cannot be installed, or whose Python is not here, is skipped by its test, which says its name and why.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

NO_TESTS_COLLECTED = 5
ROOT = Path(__file__).parents[1]
READY = "ready"
INSTALL_S = 1800


class NotInstalled(Exception):
    """A peer that is not here; the text names it and says why."""


def environment(name: str, requirements: Sequence[str], python: str = "3.11") -> Path:
    """The `bin` directory of a virtual environment with these packages.

    Args:
        name: Of the peer.
        requirements: As pip takes them; the versions pinned.
        python: Which one it needs, such as 3.11.

    Raises:
        NotInstalled: It cannot be; says why.
    """
    digest = hashlib.sha256("\n".join([python, *requirements]).encode()).hexdigest()[:12]
    home = Path(os.environ.get("ORES_PEERS", ROOT / ".peers")) / f"{name}-{digest}"
    if not (home / READY).exists():
        shutil.rmtree(home, ignore_errors=True)
        _run(name, [interpreter(name, python), "-m", "venv", str(home)])
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        _run(name, [*pip, *requirements])
        (home / READY).touch()
    return home / "bin"


class Packages(NamedTuple):
    """Packages of npm that are here.

    Attributes:
        node: The program that runs them.
        modules: Where they are, for NODE_PATH.
    """

    node: str
    modules: Path


def packages(name: str, requirements: Sequence[str]) -> Packages:
    """These packages of npm, in a folder of their own.

    Args:
        name: Of the peer.
        requirements: As npm takes them; the versions pinned.

    Raises:
        NotInstalled: They cannot be; says why.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotInstalled(f"{name} needs Node and npm, which are not on this machine")
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    home = Path(os.environ.get("ORES_PEERS", ROOT / ".peers")) / f"{name}-{digest}"
    if not (home / READY).exists():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel", "error"]
        _run(name, [npm, "install", "--prefix", str(home), *options, *requirements])
        (home / READY).touch()
    return Packages(node, home / "node_modules")


def interpreter(name: str, python: str) -> str:
    """A Python of this version: this one, one on the path, or one of pyenv's.

    Raises:
        NotInstalled: There is none.
    """
    versions = sorted(Path.home().glob(f".pyenv/versions/{python}.*/bin/python"))
    for found in [sys.executable, shutil.which(f"python{python}"), *map(str, versions)]:
        if found is None:
            continue
        code = "import sys; print('%d.%d' % sys.version_info[:2])"
        said = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
        if said.stdout.strip() == python:
            return found
    raise NotInstalled(f"{name} needs Python {python}, which is not on this machine")


def _run(name: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=INSTALL_S)
    except subprocess.TimeoutExpired as error:
        raise NotInstalled(f"{name} was not installed within {INSTALL_S} s") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()]
        raise NotInstalled(f"{name} cannot be installed: {' '.join(said)[-500:] or 'nothing is said'}")


def main() -> int:
    """Run the tests marked `peers`."""
    pytest = [sys.executable, "-m", "pytest", "-m", "peers", "-n", "2"]  # for nearly all of it waits
    code = subprocess.run(pytest, check=False).returncode
    if code == NO_TESTS_COLLECTED:
        print("no test against a peer exists yet")
        return 0
    return code


if __name__ == "__main__":
    sys.exit(main())
