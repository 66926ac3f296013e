"""What is wrong on purpose, of whatever kind: mutants by name, and attributes replaced in this process."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

HoldT = TypeVar("HoldT")
"""What a mutation takes hold of."""


@dataclass(slots=True)
class Patches:
    """Attributes that were replaced in this process, to be taken back.

    Attributes:
        undo: Takes one back each, the last one first.
    """

    undo: list[Callable[[], None]] = field(default_factory=list, kw_only=True)

    def attribute(self, owner: object, name: str, value: object) -> None:
        """Replace an attribute of a module or class."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        self.undo.append(lambda: setattr(owner, name, before))

    def take_back(self) -> None:
        """Undo what was replaced."""
        while self.undo:
            self.undo.pop()()


@dataclass(frozen=True, slots=True)
class Mutant(Generic[HoldT]):
    """A subject with one mutation.

    Attributes:
        name: The check that has to catch it, with `/WORD` behind it where there are several.
        check: That check.
        also: Checks that may fail with it, because they look at the same thing.
        mutate: The mutation.
    """

    name: str
    check: str
    also: frozenset[str]
    mutate: Callable[[HoldT], None]


class Mutants(Generic[HoldT]):
    """Registers the mutants of one kind of subject, as a decorator of mutations.

    Args:
        rooms: The package in whose modules they are written.
    """

    def __init__(self, rooms: str) -> None:
        self._rooms: Final = rooms
        self._found: Final[dict[str, Mutant[HoldT]]] = {}

    def __call__(
        self, check: str, *, variant: str = "", also: tuple[str, ...] = ()
    ) -> Callable[[Callable[[HoldT], None]], Callable[[HoldT], None]]:
        """Register a mutation with the check that has to catch it.

        Args:
            check: Its name in the registry of requirements.
            variant: A word, where one check has several mutants.
            also: Checks that may fail as well.
        """

        def keep(mutate: Callable[[HoldT], None]) -> Callable[[HoldT], None]:
            name = f"{check}/{variant}" if variant else check
            if name in self._found:
                raise ValueError(f"two mutants are called {name}")
            self._found[name] = Mutant(name, check, frozenset(also), mutate)
            return mutate

        return keep

    def all(self) -> Mapping[str, Mutant[HoldT]]:
        """By name; the rooms in which they are written are read at the first call."""
        package = importlib.import_module(self._rooms)
        for found in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{found.name}")
        return dict(sorted(self._found.items()))
