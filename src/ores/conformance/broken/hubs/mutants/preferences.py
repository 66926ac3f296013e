"""Hubs that take the owner's wishes wrongly, late, or not for long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from msgspec import UNSET

from ores.conformance.broken.hubs.mutants.doors import route
from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.control import decide as deciding
from ores.hub import arbiter
from ores.hub.api import handlers, serve
from ores.hub.api.wire import hub_of
from ores.hub.preferences import FILE, PreferencesStore
from ores.hub.state_dir import StateDir
from ores.link import identity
from ores.model import Preferences

LATE_S = 3.6


@broken_hub("hub-preferences-whole", also=("hub-preferences-kept",))
def keeps_what_is_not_said_again(tools: Tools) -> None:
    """A PUT is a PATCH."""
    right = PreferencesStore.put

    def merged(self: PreferencesStore, wanted: Preferences) -> Preferences:
        before = {name: getattr(self.get(), name) for name in wanted.__struct_fields__}
        said = {name: getattr(wanted, name) for name in wanted.__struct_fields__}
        said = {name: value for name, value in said.items() if value is not UNSET}
        return right(self, Preferences(**{**before, **said}))

    tools.attribute(PreferencesStore, "put", merged)


@broken_hub("hub-preferences-whole", variant="half")
def takes_the_half_that_it_likes(tools: Tools) -> None:
    """Field by field, until one is wrong."""
    right = handlers.put_preferences

    async def half(request: web.Request) -> web.Response:
        store = hub_of(request).preferences
        try:
            wanted = msgspec.json.decode(await request.read())
        except msgspec.MsgspecError:
            wanted = {}
        for name, value in wanted.items() if isinstance(wanted, dict) else ():
            now = msgspec.to_builtins(store.get())
            try:
                store.put(msgspec.convert({**now, name: value}, Preferences))
            except (msgspec.ValidationError, ValueError):
                break
        return await right(request)

    route(tools, "PUT", "/preferences", half)


@broken_hub("hub-preferences-kept")
def writes_preferences_when_it_has_time(tools: Tools) -> None:
    """Which it never has."""
    right = StateDir.save

    def lazy(self: StateDir, name: str, value: msgspec.Struct) -> None:
        if name != FILE:
            right(self, name, value)

    tools.attribute(StateDir, "save", lazy)


def _deciding_by(tools: Tools, change: Callable[[Preferences, float], Preferences]) -> None:
    """Decide by other preferences than those in force; `change` takes them and the moment."""
    right = deciding.decide

    def decide(seen: Any, offers: Any, memory: Any, now_s: float) -> Any:
        preferences = change(seen.preferences, now_s)
        return right(msgspec.structs.replace(seen, preferences=preferences), offers, memory, now_s)

    tools.attribute(arbiter, "decide", decide)


@broken_hub("hub-preferences-at-once")
def thinks_it_over(tools: Tools) -> None:
    """Whether batteries follow the house is slept on, for a while."""
    held: list[tuple[float, bool]] = []

    def late(preferences: Preferences, now_s: float) -> Preferences:
        if not held or held[-1][1] is not preferences.self_consumption:
            held.append((now_s if held else now_s - LATE_S, preferences.self_consumption))
        follows = next(one for at_s, one in reversed(held) if now_s - at_s >= LATE_S)
        return msgspec.structs.replace(preferences, self_consumption=follows)

    _deciding_by(tools, late)


@broken_hub("hub-connection-limits", also=("hub-stale-narrows",))
def imports_what_it_likes(tools: Tools) -> None:
    """A limit of import is for others."""
    _deciding_by(tools, lambda now, _: msgspec.structs.replace(now, import_max_w=UNSET))


@broken_hub(
    "hub-connection-limits",
    variant="export",
    also=("hub-island-suspends-grid-limits", "hub-leaves-former-alone", "hub-critical-circuits-last"),
)
def exports_what_it_likes(tools: Tools) -> None:
    """The sun shines for all."""
    _deciding_by(tools, lambda now, _: msgspec.structs.replace(now, export_max_w=UNSET))


@broken_hub("hub-connection-limits", variant="fuse")
def trusts_the_fuse(tools: Tools) -> None:
    """That is what it is for."""
    _deciding_by(tools, lambda now, _: msgspec.structs.replace(now, main_fuse_a=UNSET))


@broken_hub("hub-reserve-kept")
def keeps_nothing_back(tools: Tools) -> None:
    """Tonight there will be a grid, as always."""
    _deciding_by(tools, lambda now, _: msgspec.structs.replace(now, reserve_pct=0.0))


@broken_hub("certificate-stays")
def signs_anew_at_each_start(tools: Tools) -> None:
    """The key is the same, after all."""
    right = serve.Doors.__init__

    def signing(self: serve.Doors, hub: Any, path: Any) -> None:
        key: Any = load_pem_private_key(path.read_bytes(), None)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        other = path.with_name("door.pem")
        other.write_bytes(pem + identity._self_signed(key).public_bytes(Encoding.PEM))  # noqa: SLF001
        right(self, hub, other)

    tools.attribute(serve.Doors, "__init__", signing)
