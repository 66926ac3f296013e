"""`python -m ores.conformance.broken [NAME] [DIRECTORY]`: run the reference module, or a mutant of it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from ores.conformance.broken.registry import mutants
from ores.conformance.broken.run import main

if __name__ == "__main__":
    name = sys.argv[1] if len(sys.argv) > 1 else "whole"
    known = mutants()
    if name != "whole" and name not in known:
        sys.exit(f"NAME: found {name!r}, allowed is whole or one of {', '.join(known)}")
    mutation = None if name == "whole" else known[name].mutate
    with tempfile.TemporaryDirectory(prefix="ores-broken-") as scratch:
        asyncio.run(main(mutation, Path(sys.argv[2] if len(sys.argv) > 2 else scratch)))
