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
from collections.abc import Mapping
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


def flat(figures: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """All figures on one level, named by their way: `8_modules.reaction_p50_us`."""
    found: dict[str, object] = {}
    for name, value in figures.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found


def goals(figures: Mapping[str, object]) -> dict[str, str]:
    """What was aimed at and whether it holds, by place; from `goal`, `holds` and `ratio`."""
    found: dict[str, str] = {}
    for name, aim in figures.items():
        place, _, last = name.rpartition(".")
        if last == "goal":
            prefix = f"{place}." if place else ""
            word = "holds" if figures.get(f"{prefix}holds") else "MISSED"
            ratio = figures.get(f"{prefix}ratio", "-")
            found[place or "all"] = f"{word}  (ratio to the floor {ratio}; goal {aim})"
    return found


def machine() -> dict[str, object]:
    """What the figures were measured on."""
    return {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "load_average_1_min_before": round(os.getloadavg()[0], 2),  # others at work make every time longer
    }


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
            where = machine()
            figures = flat(measure(name))
        except subprocess.CalledProcessError as error:
            print(f"  failed (exit {error.returncode})", file=sys.stderr)
            failed += 1
            continue
        result = {"machine": where, "goals": goals(figures), "figures": figures}
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=2, sort_keys=True) + "\n")
        for figure, value in figures.items():
            print(f"  {figure}: {value}")
        for place, word in goals(figures).items():
            print(f"  => {place}: {word}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
