"""Hubs that do not tell what they only think, or forget what they thought."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.control.rulings import Ruling
from ores.hub.decisions import Decisions
from ores.hub.membership import Membership


@broken_hub("hub-decision-watch-only")
def boasts(tools: Tools) -> None:
    """What it would do counts as done."""
    right = Ruling.decision

    def bold(self: Ruling, *args: Any) -> Any:
        return msgspec.structs.replace(right(self, *args), watch_only=UNSET)

    tools.attribute(Ruling, "decision", bold)


@broken_hub("hub-decisions-kept")
def has_a_memory_of_its_own(tools: Tools) -> None:
    """Decisions are kept in its head."""
    tools.attribute(Decisions, "_keep", lambda *_: None)


@broken_hub("hub-watch-kept")
def starts_afresh(tools: Tools) -> None:
    """After a restart all modules are free."""
    tools.attribute(Membership, "watch_only", lambda *_: False)
