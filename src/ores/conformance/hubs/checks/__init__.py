"""The checks of a hub, in the order in which they run."""

from __future__ import annotations

from typing import Final

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import (
    decisions,
    doors,
    flexibility,
    history,
    joining,
    live,
    messages,
    modules,
    notices,
    people,
    preferences,
    proposing,
)

SECTIONS: Final[tuple[Section[HubBench], ...]] = (
    doors.early,
    people.section,
    joining.section,
    live.section,
    doors.section,
    proposing.section,
    modules.section,
    notices.section,
    history.section,
    decisions.section,
    preferences.section,
    flexibility.section,
    messages.section,
)
