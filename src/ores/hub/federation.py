"""The modules joined to this hub: one link each, in the order of their ids."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ores.hub.leases import LeaseCounts
from ores.hub.module_link import Connect, Events, ModuleLink
from ores.hub.notices import Notices
from ores.hub.promises import Promises
from ores.link.clock import Clock


class Federation:
    """All joined modules.

    Args:
        clock: Process time.
        notices: Learns of what goes wrong with a module.
        epoch: Of this start of the hub.
        on_changed: Called with the id of a module that joined, left, or is watched from now on.
        promises: Remember what modules keep without a hub.
    """

    def __init__(
        self,
        clock: Clock,
        notices: Notices,
        *,
        epoch: int,
        on_changed: Callable[[str], None] = lambda _id: None,
        promises: Promises | None = None,
    ) -> None:
        self._promises = promises
        self._clock = clock
        self._notices = notices
        self.epoch = epoch
        self.counts = LeaseCounts()
        self.links: dict[str, ModuleLink] = {}
        self.events: Events | None = None
        self.on_changed = on_changed

    def join(self, module_id: str, connect: Connect, *, watch_only: bool = False) -> ModuleLink:
        """Begin to talk to a module; one that is joined already stays as it is."""
        if (known := self.links.get(module_id)) is not None:
            return known
        if self.events is None:
            raise RuntimeError("somebody must listen before modules join")
        link = ModuleLink(
            module_id,
            connect,
            self._clock,
            self._notices,
            self.events,
            epoch=self.epoch,
            counts=self.counts,
            watch_only=watch_only,
            promises=self._promises,
        )
        self.links = dict(sorted({**self.links, module_id: link}.items()))
        link.start()
        self.on_changed(module_id)
        return link

    async def leave(self, module_id: str) -> None:
        """Talk to a module no more; its last lease runs out by itself."""
        link = self.links.pop(module_id, None)
        if link is not None:
            await link.stop()
            self._notices.forget_module(module_id)
            self.on_changed(module_id)

    async def stop(self) -> None:
        """End all links, all at once."""
        await asyncio.gather(*(link.stop() for link in self.links.values()))
