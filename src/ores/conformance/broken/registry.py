"""The mutants by name; each is one mutation away from the reference."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from ores.conformance.broken.seams import Seams

Mutation = Callable[[Seams], None]


@dataclass(frozen=True, slots=True)
class Mutant:
    """A module with one mutation.

    Attributes:
        name: The check that has to catch it, with `/WORD` behind it where there are several.
        check: That check.
        also: Checks that may fail with it, because they look at the same thing.
        mutate: The mutation.
    """

    name: str
    check: str
    also: frozenset[str]
    mutate: Mutation


_MUTANTS: Final[dict[str, Mutant]] = {}


def broken(check: str, *, variant: str = "", also: tuple[str, ...] = ()) -> Callable[[Mutation], Mutation]:
    """Register a mutation with the check that has to catch it.

    Args:
        check: Its name in the registry of requirements.
        variant: A word, where one check has several mutants.
        also: Checks that may fail as well.
    """

    def keep(mutate: Mutation) -> Mutation:
        name = f"{check}/{variant}" if variant else check
        if name in _MUTANTS:
            raise ValueError(f"two mutants are called {name}")
        _MUTANTS[name] = Mutant(name, check, frozenset(also), mutate)
        return mutate

    return keep


def mutants() -> Mapping[str, Mutant]:
    """All of them, by name; the rooms in which they are written are read at the first call."""
    package = importlib.import_module("ores.conformance.broken.mutants")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")
    return dict(sorted(_MUTANTS.items()))
