"""Peers from PyPI, each in an environment of its own, so that none of them is ours to depend on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

INSTALL_WITHIN_S = 600


class NoPeerError(Exception):
    """It cannot be had here; says why."""


def interpreter(name: str, requirement: str) -> Path:
    """Python with a package, installed at the first call and kept in the user's cache.

    Raises:
        NoPeerError: It cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ores-bench" / name
    python, ready = cache / "bin" / "python", cache / ".ready"
    if not ready.exists():
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(cache)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement],
        ):
            try:
                done = subprocess.run(
                    command, capture_output=True, text=True, timeout=INSTALL_WITHIN_S, check=False
                )
            except subprocess.TimeoutExpired:
                raise NoPeerError(f"{requirement} was not installed within {INSTALL_WITHIN_S} s") from None
            if done.returncode:
                last = (done.stderr.strip() or "no reason given").splitlines()[-1]
                raise NoPeerError(f"{requirement} could not be installed: {last}")
        ready.touch()
    return python
