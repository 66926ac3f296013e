"""Hubs that are slow to command, say that modules let go of them, or have two things of one name."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub.api import app
from ores.hub.api.drafts import DRAFT_PATHS
from ores.hub.api.wire import answer
from ores.hub.membership import Membership
from ores.hub.module_link import ModuleLink
from ores.model import ModuleForgotten

LATER_S = 9.0


@broken_hub("hub-control-allowed")
def thinks_it_over(tools: Tools) -> None:
    """Control is a grave thing."""
    right = ModuleLink.set_watch_only

    def later(self: ModuleLink, *, watch_only: bool) -> None:
        if watch_only:
            right(self, watch_only=True)
        else:
            clock = self._clock
            clock.call_at(clock.now() + LATER_S, lambda: right(self, watch_only=False))

    tools.attribute(ModuleLink, "set_watch_only", later)


@broken_hub("hub-removes-module", also=("hub-releases-module",))
def says_that_all_let_go(tools: Tools) -> None:
    """It has asked, after all."""
    right = Membership._release  # noqa: SLF001 - the mutation's place

    async def sure(self: Membership, entry: Any) -> ModuleForgotten:
        await right(self, entry)
        return ModuleForgotten(released=True)

    tools.attribute(Membership, "_release", sure)


def _draft(tools: Tools, method: str, path: str, body: Any) -> None:
    """Answer one of the draft's paths with something of its own."""

    async def handler(_: web.Request) -> web.Response:
        return answer(body)

    tools.attribute(
        app,
        "DRAFT_PATHS",
        tuple((m, p, handler if (m, p) == (method, path) else h) for m, p, h in DRAFT_PATHS),
    )


@broken_hub("hub-draft-paths")
def has_settings_of_its_own(tools: Tools) -> None:
    """An app has settings, too."""
    _draft(tools, "GET", "/app/settings", {"theme": "dark"})


@broken_hub("hub-draft-paths", variant="built")
def promises_an_update(tools: Tools) -> None:
    """It will come."""
    _draft(tools, "POST", "/device/firmware/update", {"result": "accepted"})


@broken_hub("hub-draft-paths", variant="elements")
def shows_no_batteries(tools: Tools) -> None:
    """There is nothing to see."""
    _draft(tools, "GET", "/energystorage/status", {"modules": {}})
