"""The broken modules by name; each is one mutation away from the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ores.conformance.broken.mutant import Mutants
from ores.conformance.broken.seams import Seams

Mutation = Callable[[Seams], None]

broken: Final = Mutants[Seams]("ores.conformance.broken.mutants")
