"""What the command line shows."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ores.cli import show
from ores.model import Decision, Flow, Live, ModuleInfo, ModuleLive, Notice

MODULE = "a" * 26
OTHER = "b" * 26
FLOW = Flow(grid_w=None, pv_w=-2400.0, battery_w=1100.0, ev_w=0.0, heat_w=None, load_w=900.0)


def shown(live: Live, modules: show.Modules) -> str:
    out = io.StringIO()
    show.show_live(Console(file=out, width=160, color_system=None), live, modules)
    return out.getvalue()


def live(**modules: ModuleLive) -> Live:
    return Live(time="2026-06-21T10:00:00Z", cycle=1, flow=FLOW, modules=modules)


def test_unknown_is_said_and_never_shown_as_0() -> None:
    text = shown(live(), show.Modules(modules=[]))
    assert "grid unknown" in text
    assert "solar -2.40 kW" in text
    assert "heat unknown" in text


def test_a_stale_module_says_since_when() -> None:
    text = shown(
        live(**{MODULE: ModuleLive(status="stale", age_s=12.0, elements={})}), show.Modules(modules=[])
    )
    assert "stale 12 s" in text


def test_a_found_module_says_how_to_pair_it() -> None:
    found = ModuleInfo(id=OTHER, status="found", paired=False)
    assert f"ores pair CODE --id {OTHER}" in shown(live(), show.Modules(modules=[found]))


def test_an_empty_house_says_so() -> None:
    assert "No module has been found yet." in shown(live(), show.Modules(modules=[]))


def test_notices_are_shown() -> None:
    notice = Notice(id=1, time="2026-06-21T10:00:00Z", level="warning", code="x", text="the disk is full")
    picture = Live(time="2026-06-21T10:00:00Z", cycle=1, flow=FLOW, modules={}, notices=[notice])
    assert "the disk is full" in shown(picture, show.Modules(modules=[]))


def test_why_ends_with_the_newest_and_names_what_narrowed_it() -> None:
    old = Decision(time="2026-06-21T10:00:00Z", module=MODULE, element="battery", rule="x", reason="resting")
    new = Decision(
        time="2026-06-21T10:00:09Z",
        module=MODULE,
        element="battery",
        rule="x",
        reason="charging 2.0 kW",
        limited_by=["wiring"],
    )
    out = io.StringIO()
    decisions = show.Decisions(decisions=[new, old])
    show.show_decisions(Console(file=out, width=160, color_system=None), decisions, show.Modules(modules=[]))
    lines = out.getvalue().splitlines()
    assert "resting" in lines[0]
    assert "charging 2.0 kW" in lines[1]
    assert "narrowed by wiring" in lines[2]


def test_a_module_is_meant_by_a_part_of_its_name_or_id_when_that_is_clear() -> None:
    modules = show.Modules(
        modules=[
            ModuleInfo(id=MODULE, status="online", paired=True),
            ModuleInfo(id=OTHER, status="online", paired=True),
        ]
    )
    assert show.find_module("aaa", modules) == MODULE
    assert show.find_module("", modules) is None
    assert show.find_module("zzz", modules) is None


@pytest.mark.parametrize("said", ["box [/]", "[/red] box", "box \\", "[bold]box", "bo\x1b]0;x\x07x"])
def test_what_a_module_says_is_neither_markup_nor_a_command_to_the_terminal(said: str) -> None:
    told = ModuleLive(status="online", elements={}, doing=said, why=said)
    notice = Notice(id=1, time="2026-06-21T10:00:00Z", level="warning", code="x", text=said)
    picture = Live(time="2026-06-21T10:00:00Z", cycle=1, flow=FLOW, modules={MODULE: told}, notices=[notice])
    text = shown(picture, show.Modules(modules=[]))
    decision = Decision(
        time="2026-06-21T10:00:00Z",
        module=MODULE,
        element="battery",
        rule="x",
        reason=said,
        limited_by=[said],
    )
    out = io.StringIO()
    show.show_decisions(
        Console(file=out, width=160, color_system=None),
        show.Decisions(decisions=[decision]),
        show.Modules(modules=[]),
    )
    for printed in (text, out.getvalue()):
        assert printed.count(said.replace("\x1b", " ").replace("\x07", " ")) >= 2
        assert "\x1b" not in printed
