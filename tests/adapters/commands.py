"""Commands as a person runs them, in processes of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ORES = [sys.executable, "-m", "ores.cli"]


@contextmanager
def played(by: str, name: str) -> Iterator[int]:
    """A device that a module of these tests plays; gives the port."""
    command = [sys.executable, "-m", f"tests.adapters.{by}", name]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


@contextmanager
def adapted(*what: str, port: int, directory: Path, options: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The device as a module, until it is asked to end; gives what `ores adapter serve` says."""
    where = [*what, f"127.0.0.1:{port}", "--data", str(directory), "--json"]
    command = [*ORES, "adapter", "serve", *where, *options]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run(
        [*ORES, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
