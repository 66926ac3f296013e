"""`make generate`: the only writer of generated files.

python -m tools.generate           write what differs
python -m tools.generate --check   write nothing; exit 1 and name the files that differ
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools import demands, devices, policy, sunspec
from tools.generate import lint, structs, tables, typescript

ROOT = Path(__file__).resolve().parents[2]


def outputs() -> dict[Path, str]:
    """Every generated file with its contents."""
    schemas = ROOT / "standard" / "schema" / "v1"
    release = demands.write(policy.on_disk(ROOT / "standard"))
    return {
        **{ROOT / "src/ores/model" / name: text for name, text in structs.generate(schemas).items()},
        **{ROOT / "dashboard/src/model" / name: text for name, text in typescript.generate(schemas).items()},
        **{ROOT / "standard/spec" / name: text for name, text in tables.generate(schemas).items()},
        ROOT / sunspec.PATH: sunspec.generate(),
        **{ROOT / path: text for path, text in devices.generate().items()},
        **({} if release is None else {ROOT / "standard" / demands.PATH: release}),
    }


def stale(wanted: dict[Path, str]) -> list[Path]:
    """Files that differ from what is wanted, and files in generated folders that nothing generates."""
    differing = [path for path, text in wanted.items() if not path.is_file() or path.read_text() != text]
    kept = {path.resolve() for path in wanted}
    folders = [
        (ROOT / "src/ores/model", "*.py"),
        (ROOT / "dashboard/src/model", "*.ts"),
        (ROOT / "standard/spec/reference", "*.md"),
        (ROOT / devices.FOLDER, "*.md"),
    ]
    orphans = [path for folder, glob in folders for path in folder.glob(glob) if path.resolve() not in kept]
    return [*differing, *orphans]


def main() -> int:
    """Generate, or check that what is there is current."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    arguments = parser.parse_args()
    problems = lint.problems(ROOT / "standard" / "schema" / "v1")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return 1
    wanted = outputs()
    differing = stale(wanted)
    for path in differing:
        name = path.relative_to(ROOT)
        if arguments.check:
            print(f"{name} is not current: run `make generate` and commit", file=sys.stderr)
        elif path in wanted:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(wanted[path])
            print(f"wrote {name}")
        else:
            path.unlink()
            print(f"removed {name}")
    return 1 if arguments.check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
