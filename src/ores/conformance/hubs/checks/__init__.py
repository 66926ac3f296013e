"""The checks of a hub, in the order in which they run."""

from __future__ import annotations

from typing import Final

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import (
    beside,
    decisions,
    doors,
    flexibility,
    history,
    island,
    joining,
    links,
    live,
    messages,
    modules,
    notices,
    people,
    preferences,
    proposing,
    restarts,
    sending,
    tolerance,
    tries,
)

SECTIONS: Final[tuple[Section[HubBench], ...]] = (
    doors.early,
    joining.section,
    beside.section,
    people.section,
    doors.section,
    proposing.section,
    tolerance.section,
    links.section,
    people.later,
    sending.section,
    modules.section,
    live.section,
    preferences.section,
    island.section,
    live.later,
    notices.section,
    history.section,
    flexibility.section,
    decisions.section,
    restarts.section,
    messages.section,
    tries.section,
)
