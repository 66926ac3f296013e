"""The commands that ask a running hub."""

from __future__ import annotations

from pathlib import Path

import msgspec
from rich.console import Console

from ores.cli import show
from ores.cli.flexibility import show_flexibility
from ores.cli.hub_api import HubApi
from ores.cli.preferences import changed
from ores.link.errors import ConfigError
from ores.model import HouseFlexibility, Live, ModuleInfo, Notice, NoticeList, PairModule, Preferences


def status(url: str, data: Path | None, *, as_json: bool) -> None:
    """Show the house now."""
    hub = HubApi(url, data)
    live = hub.get("/live", Live)
    if as_json:
        show.print_json(live)
        return
    show.show_live(Console(), live, hub.get("/modules", show.Modules))


def flexibility(url: str, data: Path | None, *, as_json: bool) -> None:
    """Show what the house could do."""
    hub = HubApi(url, data)
    house = hub.get("/flexibility", HouseFlexibility)
    if as_json:
        show.print_json(house)
        return
    show_flexibility(Console(), house, hub.get("/modules", show.Modules))


def why(url: str, data: Path | None, subject: str | None, limit: int, *, as_json: bool) -> None:
    """Show the newest decisions."""
    hub = HubApi(url, data)
    modules = hub.get("/modules", show.Modules)
    query = f"/decisions?limit={limit}"
    if subject is not None:
        wanted, _, element = subject.partition("/")
        module_id = show.find_module(wanted, modules)
        if module_id is None:
            allowed = "one of " + ", ".join(sorted(show.names(modules).values()))
            raise ConfigError("MODULE", found=wanted, allowed=allowed)
        query += f"&module={module_id}" + (f"&element={element}" if element else "")
    decisions = hub.get(query, show.Decisions)
    if as_json:
        show.print_json(decisions)
        return
    show.show_decisions(Console(), decisions, modules)


def pair(
    url: str, data: Path | None, code: str, module_id: str | None, address: str | None, *, as_json: bool
) -> None:
    """Join a module to the hub."""
    if (module_id is None) == (address is None):
        raise ConfigError("--id, --address", found=[module_id, address], allowed="exactly one of them")
    wanted = (
        PairModule(code=code, id=module_id) if module_id else PairModule(code=code, address=address or "")
    )
    joined = HubApi(url, data).send("POST", "/modules", wanted, ModuleInfo)
    if as_json:
        show.print_json(joined)
        return
    name = joined.description.name if joined.description else joined.id
    Console().print(f"{show.plain(name)} is paired.")


def prefer(url: str, data: Path | None, changes: list[str], *, as_json: bool) -> None:
    """Show preferences, or change some and show them as the hub took them."""
    hub = HubApi(url, data)
    preferences = hub.get("/preferences", Preferences)
    if changes:
        wanted = changed(preferences, changes)
        preferences = hub.send("PUT", "/preferences", wanted, Preferences)
    if as_json:
        show.print_json(preferences)
        return
    console = Console()
    for name, value in msgspec.to_builtins(preferences).items():
        console.print(f"[bold]{name}[/] = {value}", highlight=False)


def notices(url: str, data: Path | None, *, ended: bool, seen: int | None, as_json: bool) -> None:
    """Show notices, or acknowledge one and show it."""
    hub = HubApi(url, data)
    if seen is not None:
        found = NoticeList(notices=[hub.send("PUT", f"/notices/{seen}/acknowledged", None, Notice)])
    else:
        found = hub.get(f"/notices?ended={str(ended).lower()}", NoticeList)
    if as_json:
        show.print_json(found)
        return
    known = show.names(hub.get("/modules", show.Modules))
    show.show_notices(Console(), found, known)
