"""Hubs that say nothing, too much, or the wrong thing."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub.alerts import Alerts
from ores.hub.notices import Notices
from ores.hub.times import rfc3339
from ores.model import Notice

FAULT = "fault"
STALE = "module_stale"
GONE = "module_unreachable"


@broken_hub("hub-notice-silent-module")
def trusts_who_is_connected(tools: Tools) -> None:
    """Who has nothing to say is well."""
    tools.attribute(Alerts, "_judge_silence", lambda *_: None)


@broken_hub("hub-notice-silent-module", variant="gone")
def misses_nobody(tools: Tools) -> None:
    """Who has gone will have a reason."""
    right = Notices.raise_
    tools.attribute(
        Notices, "raise_", lambda self, code, text, **more: code != GONE and right(self, code, text, **more)
    )


@broken_hub("hub-notice-silent-module", variant="stays")
def never_says_that_it_is_over(tools: Tools) -> None:
    """People see for themselves."""
    right = Notices.clear
    tools.attribute(
        Notices, "clear", lambda self, code, module="": None if code == STALE else right(self, code, module)
    )


@broken_hub("hub-notice-fault")
def speaks_in_general(tools: Tools) -> None:
    """People need no codes."""
    right = Notices.raise_

    def general(self: Notices, code: str, text: str, **more: Any) -> bool:
        return right(self, code, "something is wrong" if code == FAULT else text, **more)

    tools.attribute(Notices, "raise_", general)


@broken_hub("hub-notice-once")
def says_it_again(tools: Tools) -> None:
    """Each state with a fault is a fault."""
    right_raise, right_clear = Notices.raise_, Notices.clear
    numbers = count(1)
    said: dict[str, list[str]] = {}

    def again(self: Notices, code: str, text: str, *, level: str = "warning", module: str = "") -> bool:
        if code == FAULT and len(said.setdefault(module, [])) < 8:
            code = f"{code}_{next(numbers)}"
            said[module].append(code)
        return right_raise(self, code, text, level=level, module=module)

    def clear(self: Notices, code: str, module: str = "") -> None:
        for one in said.pop(module, []) if code == FAULT else []:
            right_clear(self, one, module)
        right_clear(self, code, module)

    tools.attribute(Notices, "raise_", again)
    tools.attribute(Notices, "clear", clear)


@broken_hub("hub-notice-since")
def dates_the_newest_look(tools: Tools) -> None:
    """The time of a notice is when it was so."""
    right = Notices.raise_

    def fresh(self: Notices, code: str, text: str, *, level: str = "warning", module: str = "") -> bool:
        new = right(self, code, text, level=level, module=module)
        if code == STALE:
            held = self._active[code, module]
            self._active[code, module] = msgspec.structs.replace(held, time=rfc3339(self._clock.utc()))
        return new

    tools.attribute(Notices, "raise_", fresh)


@broken_hub("hub-notice-ended")
def forgets_the_night(tools: Tools) -> None:
    """What is over is over."""
    tools.attribute(Notices, "recent", Notices.active)


@broken_hub("hub-notice-acknowledged")
def remembers_the_last(tools: Tools) -> None:
    """Whoever came last cares most."""
    right = Notices._seen  # noqa: SLF001 - the mutation's place

    def last(self: Notices, notice: Notice, by: str) -> Notice:
        fresh = msgspec.structs.replace(notice, acknowledged=msgspec.UNSET, acknowledged_by=msgspec.UNSET)
        return right(self, fresh, by)

    tools.attribute(Notices, "_seen", last)


@broken_hub("hub-notice-acknowledged-only")
def takes_it_lightly(tools: Tools) -> None:
    """What somebody has seen is no warning any more."""
    right = Notices._seen  # noqa: SLF001

    def lightly(self: Notices, notice: Notice, by: str) -> Notice:
        return right(self, msgspec.structs.replace(notice, level="info"), by)

    tools.attribute(Notices, "_seen", lightly)
