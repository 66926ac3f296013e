"""What takes its time and disturbs nothing: begun with the full house, it runs beside all other checks."""

from __future__ import annotations

from typing import Final

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks import links, live, modules, people, proposing, sending, tolerance

EARLY: Final = (
    *tolerance.EARLY,
    *links.EARLY,
    proposing.brief,
    modules.freed,
    modules.removed,
    sending.steady,
    sending.wide,
)


async def begin(bench: HubBench) -> None:
    """The full house, somebody who watches it, and all that runs beside."""
    await live.ready(bench)
    if bench.password:
        bench.early(people.lent)
    bench.early(*EARLY)


section: Section[HubBench] = Section(
    "beside",
    "Brings modules with which something is the matter, beside all that follows.",
    begin=begin,
)
