"""Build the page from dashboard/ into src/ores/hub/page, with the machine's Node or the one from PyPI."""

from __future__ import annotations

import sys
from pathlib import Path

from tools.node import npm

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Install what the lock file names, then build."""
    dashboard = ROOT / "dashboard"
    npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=dashboard)
    npm(["run", "build", "--loglevel=error"], cwd=dashboard)
    return 0 if (ROOT / "src/ores/hub/page/index.html").is_file() else 1


if __name__ == "__main__":
    sys.exit(main())
