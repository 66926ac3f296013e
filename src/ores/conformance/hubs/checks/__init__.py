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
    people.section,
    joining.section,
    doors.section,
    tolerance.section,
    links.section,
    proposing.section,
    sending.section,
    live.section,
    modules.section,
    live.later,
    notices.section,
    history.section,
    preferences.section,
    flexibility.section,
    island.section,
    decisions.section,
    restarts.section,
    messages.section,
    tries.section,
)
