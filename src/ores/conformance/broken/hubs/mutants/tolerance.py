"""Hubs that know only their own version, or do not leave modules alone."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import module_link
from ores.hub.api import app
from ores.hub.membership import Membership
from ores.hub.module_link import ModuleLink
from ores.hub.reading import read_description
from ores.link import client
from ores.link.errors import PeerError
from ores.link.limits import DEFAULT_LIMITS, Limits
from ores.model import ModuleForgotten


def _on_frame(tools: Tools, bad: Any) -> None:
    """Take no frame about which something is bad."""
    right = ModuleLink._on_frame  # noqa: SLF001 - the mutation's place

    def strict(self: ModuleLink, frame: bytes) -> None:
        if not bad(json.loads(frame)):
            right(self, frame)

    tools.attribute(ModuleLink, "_on_frame", strict)


@broken_hub("unknown-fields-ignored")
def refuses_unknown_fields(tools: Tools) -> None:
    """What is not in its schema is an error."""
    _on_frame(tools, lambda frame: "mood" in frame.get("state", {}) or "mood" in frame.get("result", {}))


@broken_hub("unknown-words-kept", also=("hub-live-as-reported",))
def refuses_unknown_words(tools: Tools) -> None:
    """Its lists are closed."""
    known = frozenset({"lease", "policy", "local", "protection"})
    _on_frame(
        tools, lambda frame: "state" in frame and frame["state"].get("control_source", "policy") not in known
    )


@broken_hub("hub-any-minor-version", also=("hub-ignores-kind", "hub-live-as-reported"))
def knows_its_own_version_only(tools: Tools) -> None:
    """1.7 is not 1.0."""
    right = read_description

    async def exact(*args: Any) -> Any:
        found = await right(*args)
        if found.ores != "1.0":
            raise PeerError(f"version {found.ores}")
        return found

    tools.attribute(module_link, "read_description", exact)


@broken_hub("hub-bounds-messages")
def takes_messages_of_any_length(tools: Tools) -> None:
    """Memory is cheap."""
    large = msgspec.structs.replace(DEFAULT_LIMITS, frame_max_bytes=10_000_000)
    right = client.connect

    async def generous(*args: Any, limits: Limits = large, **options: Any) -> Any:
        return await right(*args, limits=limits, **options)

    tools.attribute(client, "connect", generous)
    tools.attribute(module_link, "FRAME_MAX_BYTES", 10_000_000)


@broken_hub("hub-watch-mode", also=("hub-watch-kept", "hub-decision-watch-only", "hub-control-allowed"))
def commands_what_it_watches(tools: Tools) -> None:
    """To watch is to help."""
    tools.attribute(ModuleLink, "set_watch_only", lambda *_args, **_how: None)


@broken_hub("hub-releases-module", also=("hub-removes-module",))
def leaves_without_a_word(tools: Tools) -> None:
    """It forgets a module, and the module waits."""

    async def silent(_: Membership, _entry: Any) -> ModuleForgotten:
        return ModuleForgotten(released=True)

    tools.attribute(Membership, "_release", silent)


@broken_hub("hub-resources", also=("hub-removal-at-once",))
def takes_no_token_back(tools: Tools) -> None:
    """One resource is yet to be written."""
    tools.attribute(app, "ROUTES", tuple(one for one in app.ROUTES if one[1] != "/tokens/{id}"))
