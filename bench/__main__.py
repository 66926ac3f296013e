"""`make bench`: run every measurement in a process of its own and write `bench/results/<name>.json`.

python -m bench              all of them
python -m bench control      only bench_control.py
python -m bench --list       their names
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


def names() -> list[str]:
    """Every `bench_<name>.py` beside this file."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def measure(name: str) -> dict[str, object]:
    """The figures of one measurement: what its `run()` returns, from a fresh process."""
    code = f"import json, sys; from bench.bench_{name} import run; print(); print(json.dumps(run()))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True
    )
    figures: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return figures


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}


def main() -> int:
    """Run what was asked for; a failing measurement fails the run but not the others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--list", action="store_true")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(names()))
        return 0
    unknown = set(arguments.names) - set(names())
    if unknown:
        print(
            f"no such measurement: {', '.join(sorted(unknown))}; there are: {', '.join(names())}",
            file=sys.stderr,
        )
        return 2
    RESULTS.mkdir(exist_ok=True)
    failed = 0
    for name in arguments.names or names():
        print(f"{name} …", flush=True)
        try:
            figures = measure(name)
        except subprocess.CalledProcessError as error:
            print(f"  failed (exit {error.returncode})", file=sys.stderr)
            failed += 1
            continue
        result = {"machine": machine(), "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
        for figure, value in figures.items():
            print(f"  {figure}: {value}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
