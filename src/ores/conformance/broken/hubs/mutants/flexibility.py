"""Hubs that make too much, or too little, of what modules know about themselves."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.control import flexibility as table
from ores.control import told
from ores.hub import flexibility, hub
from ores.hub.flexibility import FlexibilityKeeper
from ores.hub.module_link import ModuleLink
from ores.model import (
    ElementFlexibility,
    FlexibilityInUse,
    StoreFlexibility,
)

EXTENDED = "conformance-extended-complete"


@broken_hub("hub-flexibility-derived")
def has_one_conductor_everywhere(tools: Tools) -> None:
    """An ampere makes 230 W."""
    tools.attribute(table, "_conductors", lambda _: 1)


@broken_hub("hub-flexibility-derived", variant="capacity")
def believes_the_label(tools: Tools) -> None:
    """What was printed on the store when it was new."""
    right = table._store  # noqa: SLF001 - the mutation's place

    def new(element: Any, state: Any, elements: Any) -> Any:
        if not isinstance(state.storage, type(UNSET)):
            state = replace(state, storage=replace(state.storage, capacity_wh=UNSET))
        return right(element, state, elements)

    tools.attribute(table, "_store", new)


@broken_hub("hub-flexibility-unknown")
def takes_unknown_for_empty(tools: Tools) -> None:
    """A store of which nothing is known has nothing in it."""
    right = table._store  # noqa: SLF001 - the mutation's place

    def empty(element: Any, state: Any, elements: Any) -> Any:
        found = right(element, state, elements)
        if isinstance(found, StoreFlexibility) and found.energy_wh is None:
            return replace(found, energy_wh=0.0)
        return found

    tools.attribute(table, "_store", empty)


@broken_hub("hub-flexibility-unknown", variant="distrusted")
def trusts_what_is_bad(tools: Tools) -> None:
    """Better a bad number than none."""
    tools.attribute(table, "_DISTRUSTED", frozenset())


@broken_hub("hub-flexibility-stale")
def never_forgets(tools: Tools) -> None:
    """Once seen, always there."""
    right = hub.Hub.flexibility

    def all_links(self: hub.Hub) -> Any:
        fresh = ModuleLink.is_fresh
        ModuleLink.is_fresh = lambda *_: True  # type: ignore[method-assign]
        try:
            return right(self)
        finally:
            ModuleLink.is_fresh = fresh  # type: ignore[method-assign]

    tools.attribute(hub.Hub, "flexibility", all_links)


@broken_hub("hub-flexibility-told")
def mixes_both(tools: Tools) -> None:
    """What is not told is derived beside it."""
    right = told.taken

    def mixed(word: Any, derived: Any, *able: Any) -> Any:
        found = right(word, derived, *able)
        missing = {name: getattr(derived, name) for name in found.__struct_fields__}
        return replace(found, **{name: of for name, of in missing.items() if getattr(found, name) is UNSET})

    tools.attribute(flexibility, "taken", mixed)


def _told(tools: Tools, holds: Any) -> None:
    """Let another word hold; `holds` takes keeper, state and moment."""

    def held(self: FlexibilityKeeper, state: Any, now_s: float) -> Any:
        word = self._told
        if word is None or not holds(self, word, state, now_s):
            return None
        return word, (state.uptime_ms - word.uptime_ms) / 1000.0

    tools.attribute(FlexibilityKeeper, "told", held)


@broken_hub("hub-flexibility-expires")
def keeps_what_it_was_told(tools: Tools) -> None:
    """Until it is told something else."""
    _told(tools, lambda _self, word, state, _now_s: word.boot_id == state.boot_id)


@broken_hub("hub-flexibility-expires", variant="boot")
def takes_the_word_of_another_boot(tools: Tools) -> None:
    """A module is a module."""
    _told(tools, lambda self, word, _state, now_s: now_s - self._received_s <= word.valid_s)


@broken_hub("hub-flexibility-newest-state")
def keeps_the_content_that_was_told(tools: Tools) -> None:
    """The module has said so itself."""
    tools.attribute(told, "_newer", lambda word, _derived, _fields: word)


@broken_hub("hub-flexibility-asked-again")
def waits_for_the_end(tools: Tools) -> None:
    """News can wait until what was told has grown old."""
    tools.attribute(FlexibilityKeeper, "look", lambda *_: None)


@broken_hub("hub-flexibility-asked-again", variant="late")
def lets_it_grow_old(tools: Tools) -> None:
    """It asks again when nothing holds any more."""
    right = FlexibilityKeeper._rest  # noqa: SLF001 - the mutation's place

    async def long(self: FlexibilityKeeper, seconds: float) -> None:
        await right(self, 4 * seconds)

    tools.attribute(FlexibilityKeeper, "_rest", long)


@broken_hub("hub-flexibility-rate", also=("hub-flexibility-expires",))
def asks_whenever_it_likes(tools: Tools) -> None:
    """At each piece of news."""
    tools.attribute(flexibility, "LEAST_S", 0.5)


@broken_hub("hub-flexibility-widens-nothing")
def believes_every_power(tools: Tools) -> None:
    """If the module says that it can."""
    tools.attribute(told, "_bounded", lambda word, _derived: word)


@broken_hub("hub-flexibility-widens-nothing", variant="reserve")
def lets_the_reserve_be_talked_away(tools: Tools) -> None:
    """The module needs none."""
    tools.attribute(told, "_reserve", lambda told_wh, _derived_wh: told_wh)


def _says(tools: Tools, source: str) -> None:
    def made(*, source: str, flexibility: ElementFlexibility) -> FlexibilityInUse:
        del source
        return FlexibilityInUse(source=wanted, flexibility=flexibility)

    wanted = source
    tools.attribute(flexibility, "FlexibilityInUse", made)


@broken_hub("hub-flexibility-source", also=("hub-flexibility-expires",))
def calls_all_of_it_told(tools: Tools) -> None:
    """In a way it was."""
    _says(tools, "told")


@broken_hub(EXTENDED, also=("hub-flexibility-source",))
def claims_flexibility_and_calls_all_of_it_derived(tools: Tools) -> None:
    """By whomever."""
    _says(tools, "derived")


@broken_hub("flexibility-counts-from-its-moment", also=("flexibility-overdue-is-now",))
def passes_on_what_was_said(tools: Tools) -> None:
    """In ten minutes is in ten minutes, whenever it was said."""
    tools.attribute(flexibility, "later", lambda word, _by_s: word)


@broken_hub("flexibility-overdue-is-now", also=("message-numbers-in-range",))
def counts_below_zero(tools: Tools) -> None:
    """It was due a moment ago."""

    def sooner(part: Any, by_s: float, *fields: str) -> Any:
        known = {name: value for name in fields if isinstance(value := getattr(part, name), int | float)}
        return replace(part, **{name: value - by_s for name, value in known.items()})

    tools.attribute(told, "_sooner", sooner)
