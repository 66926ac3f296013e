"""Build the site: `python -m tools.website [DIRECTORY]`. A broken link, anchor or id fails it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tools.website import scripts
from tools.website.links import broken
from tools.website.pages import ROOT
from tools.website.stage import stage

_ELSEWHERE = "https://unpkg.com/iframe-worker/shim"


def main(arguments: list[str]) -> int:
    """Gather the pages, build them, and let them fetch nothing from elsewhere."""
    site = Path(arguments[0] if arguments else ROOT / "site").resolve()
    config, wrong = stage(ROOT / ".site" / "stage")
    scripts.put(config.parent / "pages" / "assets")
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean", "--config-file", str(config)]
    done = subprocess.run(command, cwd=config.parent, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        wrong += [done.stdout, done.stderr.partition("Traceback (most recent")[0]]
        print("\n".join(wrong), file=sys.stderr)
        return 1
    built = config.parent / "built"
    for page in built.rglob("*.html"):
        local = os.path.relpath(built / "assets" / "iframe-worker.js", page.parent)
        page.write_text(page.read_text().replace(_ELSEWHERE, local))
    if wrong := [*wrong, *broken(built)]:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(built, site)
    print(f"the site is in {site}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
