"""Proposals that stay the same for as long as the house and the owner's wants do."""

from __future__ import annotations

from collections.abc import Callable

from ores.control.offers import Offer
from ores.control.topology import Topology
from ores.model import Preferences

Make = Callable[[Topology, Preferences], list[Offer]]


def kept(make: Make) -> Make:
    """Make proposals once for the same topology and preferences: they are frozen, and new ones when changed.

    It is only a shortcut: what it returns is what `make` would.
    """
    last: tuple[Topology, Preferences, list[Offer]] | None = None

    def again(topology: Topology, preferences: Preferences) -> list[Offer]:
        nonlocal last
        if last is None or last[0] is not topology or last[1] is not preferences:
            last = (topology, preferences, make(topology, preferences))
        return last[2]

    return again
