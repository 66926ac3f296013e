"""`python -m ores.conformance.broken [NAME] [DIRECTORY]`: run the reference module, or a mutant of it."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from ores.conformance.broken.registry import Mutation, broken
from ores.conformance.broken.run import main
from ores.conformance.broken.sweep import mutation_of


def _mutation(name: str) -> Mutation | None:
    """By name: the reference, a mutant, or an alteration such as `drop state.elements.*.storage.soc_pct`."""
    if name == "whole":
        return None
    known = broken.all()
    if name in known:
        return known[name].mutate
    try:
        return mutation_of(name)
    except ValueError:
        sys.exit(f"NAME: found {name!r}, allowed is whole, an alteration, or one of {', '.join(known)}")


if __name__ == "__main__":
    mutation = _mutation(sys.argv[1] if len(sys.argv) > 1 else "whole")
    with tempfile.TemporaryDirectory(prefix="ores-broken-") as scratch:
        asyncio.run(main(mutation, Path(sys.argv[2] if len(sys.argv) > 2 else scratch)))
