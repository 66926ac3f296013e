"""Build the wheel, install it alone in a fresh environment, check what it brings, run the SDK's tests.

A plain install is for device makers: the model, the link and the module SDK, with few dependencies.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import Distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPECTED = {
    "aiohttp",
    "cryptography",
    "jsonschema",
    "msgspec",
    "pyyaml",
    "referencing",
    "rich",
    "typer",
    "zeroconf",
}
NOT_IN_A_PLAIN_INSTALL = {"numpy", "pvlib", "pandas", "pyarrow", "uvloop", "scipy"}
TEST_TOOLS = ["pytest", "pytest-asyncio", "pytest-timeout", "hypothesis", "pyyaml"]


def main() -> int:
    """Exit 1 with a sentence on the first thing that is wrong."""
    with tempfile.TemporaryDirectory() as scratch:
        build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", scratch, str(ROOT)]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
        wheel = next(Path(scratch).glob("*.whl"))
        home = Path(scratch) / "venv"
        venv.create(home, with_pip=True)
        python = home / "bin" / "python"
        pip = [str(python), "-m", "pip", "install", "--quiet", "--constraint", str(ROOT / "constraints.txt")]
        subprocess.run([*pip, str(wheel)], check=True)
        installed = (
            home / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
        )
        if wrong := _wrong(installed):
            print(wrong, file=sys.stderr)
            return 1
        subprocess.run([*pip, *TEST_TOOLS], check=True)
        tests = ["tests/link", "tests/module"]
        command = [
            str(python),
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not long and not peers and not kit",
            *tests,
        ]
        return subprocess.run(command, check=False, cwd=ROOT).returncode


def _wrong(installed: Path) -> str | None:
    """The first thing about the plain install that is not as promised."""
    distribution = Distribution.at(next(installed.glob("ores_energy-*.dist-info")))
    plain = [line for line in distribution.requires or [] if "extra ==" not in line]
    names = {re.split(r"[ <>=!~;\[]", line, maxsplit=1)[0] for line in plain}
    if names != EXPECTED:
        return f"the wheel's dependencies are {sorted(names)}, expected are {sorted(EXPECTED)}"
    heavy = {path.name for path in installed.iterdir()} & NOT_IN_A_PLAIN_INSTALL
    if heavy:
        return f"a plain install brought {sorted(heavy)}"
    if not (installed / "ores/standard/schema/v1/lease.json").is_file():
        return "the wheel does not carry the standard (ores/standard/schema/v1/lease.json)"
    return None


if __name__ == "__main__":
    sys.exit(main())
