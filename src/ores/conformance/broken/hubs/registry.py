"""The broken hubs by name; each is one mutation away from the reference hub."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from ores.conformance.broken.mutant import Mutants, Patches
from ores.hub.config import HubConfig


@dataclass(slots=True)
class Tools(Patches):
    """Where a mutation takes hold of a hub.

    Attributes:
        config: What the hub is told at its start.
    """

    config: HubConfig

    def configure(self, **changes: Any) -> None:
        """Tell the hub something else at its start."""
        self.config = replace(self.config, **changes)


Mutation = Callable[[Tools], None]

broken_hub: Final = Mutants[Tools]("ores.conformance.broken.hubs.mutants")
