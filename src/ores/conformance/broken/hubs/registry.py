"""The broken hubs by name; each is one mutation away from the reference hub."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ores.hub.config import HubConfig


@dataclass
class Tools:
    """Where a mutation takes hold of a hub.

    Attributes:
        config: What the hub is told at its start.
        undo: Takes replaced attributes back.
    """

    config: HubConfig
    undo: list[Callable[[], None]] = field(default_factory=list)

    def attribute(self, owner: object, name: str, value: object) -> None:
        """Replace an attribute of the hub in this process."""
        before = getattr(owner, name)
        setattr(owner, name, value)
        self.undo.append(lambda: setattr(owner, name, before))

    def configure(self, **changes: Any) -> None:
        """Tell the hub something else at its start."""
        self.config = replace(self.config, **changes)


Mutation = Callable[[Tools], None]


@dataclass(frozen=True, slots=True)
class BrokenHub:
    """A hub with one mutation.

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


_BROKEN: Final[dict[str, BrokenHub]] = {}


def broken_hub(
    check: str, *, variant: str = "", also: tuple[str, ...] = ()
) -> Callable[[Mutation], Mutation]:
    """Register a mutation with the check that has to catch it.

    Args:
        check: Its name in the registry of requirements.
        variant: A word, where one check has several.
        also: Checks that may fail as well.
    """

    def keep(mutate: Mutation) -> Mutation:
        name = f"{check}/{variant}" if variant else check
        if name in _BROKEN:
            raise ValueError(f"two broken hubs are called {name}")
        _BROKEN[name] = BrokenHub(name, check, frozenset(also), mutate)
        return mutate

    return keep


def broken_hubs() -> Mapping[str, BrokenHub]:
    """All of them, by name."""
    package = importlib.import_module("ores.conformance.broken.hubs.mutants")
    for found in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{found.name}")
    return dict(sorted(_BROKEN.items()))
