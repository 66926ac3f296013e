"""What the command line shows of a hub: its state, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import msgspec
from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ores.model import Decision, Live, ModuleInfo, NoticeList

STATUS_STYLE = {"online": "green", "stale": "yellow", "connecting": "yellow", "gone": "red"}


class Modules(msgspec.Struct, frozen=True):
    """The answer of `GET /modules`."""

    modules: list[ModuleInfo]


class Decisions(msgspec.Struct, frozen=True):
    """The answer of `GET /decisions`."""

    decisions: list[Decision]


def console() -> Console:
    """Standard output."""
    return Console()


def print_json(message: object) -> None:
    """One JSON document on standard output, for programs."""
    sys.stdout.write(msgspec.json.encode(message).decode() + "\n")


def show_table(head: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> None:
    """A table of plain words, or a sentence where it would be empty."""
    if not rows:
        console().print(none)
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in head:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(plain(cell) for cell in row))
    console().print(table)


def power(power_w: float | UnsetType | None) -> str:
    """Power for a person; unknown is said, never shown as 0."""
    if power_w is None or isinstance(power_w, UnsetType):
        return "unknown"
    return f"{power_w:.0f} W" if abs(power_w) < 1000 else f"{power_w / 1000:.2f} kW"


def plain(text: str) -> str:
    """What others have written, as it stands: neither markup nor controls of the terminal."""
    return escape("".join(sign if sign.isprintable() else " " for sign in text))


def names(modules: Modules) -> dict[str, str]:
    """Module id to the name its maker gave it."""
    return {m.id: m.description.name if m.description else m.id for m in modules.modules}


def name_of(module_id: str, known: Mapping[str, str]) -> str:
    """A module's name, or the start of its id."""
    return known.get(module_id, module_id[:8])


def show_live(console: Console, live: Live, modules: Modules) -> None:
    """The house now: one line of flows, one row per module."""
    flow = live.flow
    parts = [
        ("grid", flow.grid_w),
        ("solar", flow.pv_w),
        ("battery", flow.battery_w),
        ("car", flow.ev_w),
        ("heat", flow.heat_w),
        ("house", flow.load_w),
    ]
    console.print("  ".join(f"[bold]{name}[/] {power(value)}" for name, value in parts))
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("module", "status", "doing", "why"):
        table.add_column(column, overflow="fold")
    known = names(modules)
    for module_id, module in sorted(live.modules.items(), key=lambda item: name_of(item[0], known)):
        style = STATUS_STYLE.get(module.status, "")
        age = f" {module.age_s:.0f} s" if module.status == "stale" and module.age_s else ""
        table.add_row(
            plain(name_of(module_id, known)),
            f"[{style}]{module.status}{age}[/]" if style else plain(module.status),
            plain(module.doing or ""),
            plain(module.why or ""),
        )
    waiting = [m for m in modules.modules if not m.paired]
    for found in waiting:
        table.add_row(
            plain(name_of(found.id, known)), "found", "", f"not paired: ores pair CODE --id {found.id}"
        )
    console.print(table)
    for notice in live.notices or []:
        console.print(f"[yellow]{plain(notice.level)}[/] {plain(notice.text)}")
    if not live.modules and not waiting:
        console.print("No module has been found yet.")


def show_decisions(console: Console, decisions: Decisions, modules: Modules) -> None:
    """Decisions, oldest first, so that the newest stands where the eye is."""
    known = names(modules)
    if not decisions.decisions:
        console.print("Nothing has been decided yet.")
    for decision in reversed(decisions.decisions):
        clock = decision.time[11:19]
        where = plain(f"{name_of(decision.module, known)}/{decision.element}")
        console.print(f"[dim]{clock}[/] [bold]{where}[/] {plain(decision.reason)}", highlight=False)
        if decision.limited_by is not UNSET and decision.limited_by:
            console.print(
                f"         narrowed by {plain(', '.join(decision.limited_by))}", style="dim", highlight=False
            )


def show_notices(console: Console, notices: NoticeList, known: Mapping[str, str]) -> None:
    """Notices, oldest first, each with the number by which it is marked as seen."""
    if not notices.notices:
        console.print("There is nothing to tell.")
    for notice in notices.notices:
        where = f"{name_of(notice.module, known)}: " if notice.module else ""
        seen = f", seen by {notice.acknowledged_by or 'somebody'}" if notice.acknowledged else ""
        ended = f", ended {notice.ended[11:19]}" if notice.ended else ""
        head = f"{notice.id} since {notice.time[:10]} {notice.time[11:19]}{ended}{seen}"
        console.print(f"[yellow]{plain(notice.level)}[/] {plain(where + notice.text)}", highlight=False)
        console.print(f"         {plain(head)}", style="dim", highlight=False)


def find_module(wanted: str, modules: Modules) -> str | None:
    """The one module that a person means by an id, the start of one, or part of a name; None when unclear."""
    known = names(modules)
    hits = [i for i, name in known.items() if i.startswith(wanted) or wanted.lower() in name.lower()]
    exact = [i for i, name in known.items() if wanted in {i, name}]
    if len(exact) == 1:
        return exact[0]
    return hits[0] if len(hits) == 1 else None
