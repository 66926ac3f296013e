"""Failsafe limits divided over all modules, those that are away too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from ores.control.failsafe import failsafe_limits
from ores.control.topology import Topology, compile_topology
from ores.hub.notices import Notices
from ores.hub.persistent import PersistentKeeper
from ores.hub.promises import NONE, beyond, binds
from ores.model import Description, Failsafe, Preferences


class Shares:
    """What each module is to keep.

    Attributes:
        limits: By module id, of all that have described themselves once.
        narrow_only: Nobody may be told anything wider yet.
    """

    def __init__(self, limits: Mapping[str, Failsafe], *, narrow_only: bool) -> None:
        self.limits = limits
        self.narrow_only = narrow_only


class Divider:
    """Divides the agreed limits; remembers the topology, which changes far less often than who is there."""

    def __init__(self) -> None:
        self._descriptions: list[Description] = []
        self._topology = compile_topology(())

    def divide(self, keepers: Iterable[PersistentKeeper], preferences: Preferences) -> Shares:
        """Divide so that the agreed limits hold at every moment, whoever goes away now.

        What a module that cannot be told keeps is taken from the others. First everybody narrows; only then
        does anybody widen, so that the sum holds on the way too.

        Args:
            keepers: Of all modules of the federation.
            preferences: With the agreed limits.
        """
        every = list(keepers)
        described = [keeper for keeper in every if keeper.promise.description is not None]
        away = {keeper.id: keeper.promise.kept or NONE for keeper in described if not keeper.can_be_told}
        limits = failsafe_limits(self._compile(described), preferences, away)
        ready = len(described) == len(every) and all(
            keeper.is_read and binds(keeper.promise.kept or NONE, limits[keeper.id])
            for keeper in described
            if keeper.can_be_told and keeper.id in limits
        )
        shares = {keeper.id: limits.get(keeper.id, NONE) for keeper in described}
        return Shares(shares, narrow_only=not ready)

    def _compile(self, described: Iterable[PersistentKeeper]) -> Topology:
        descriptions = [d for keeper in described if (d := keeper.promise.description) is not None]
        if descriptions != self._descriptions:
            self._topology = compile_topology(descriptions)
            self._descriptions = descriptions
        return self._topology


def tell_of_what_is_not_kept(keeper: PersistentKeeper, share: Failsafe, notices: Notices) -> None:
    """Say it of a module that keeps more than its share and cannot be told so now."""
    wide = list(beyond(keeper.promise.kept or NONE, share))
    if not wide:
        notices.clear("failsafe_not_kept", keeper.id)
        return
    if keeper.can_be_told:
        return  # it is being told
    kept = "; ".join(
        f"{element} {name} {'no limit' if found is UNSET else f'{found:g}'} instead of {value:g}"
        for element, name, found, value in wide
    )
    why = "it is only watched" if keeper.watch_only else "it will be told when it answers"
    notices.raise_(
        "failsafe_not_kept",
        f"without a hub it may still go beyond its share of what was agreed ({kept}); {why}, "
        "and the others keep as much less meanwhile as they can",
        module=keeper.id,
    )
