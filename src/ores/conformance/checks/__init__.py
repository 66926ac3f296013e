"""The checks of a module, in the order in which they run.

First what a stranger sees, then pairing, then what a controller reads and commands, then restarts, and last
what leaves the module unpaired or locked.
"""

from __future__ import annotations

from typing import Final

from ores.conformance.bench import Bench
from ores.conformance.check import Section
from ores.conformance.checks import (
    claim,
    description,
    discovery,
    elements,
    extensions,
    failsafe,
    flexibility,
    holds,
    jobs,
    leases,
    lockout,
    memory,
    messages,
    moves,
    nonsense,
    pairing,
    readings,
    release,
    requests,
    resources,
    restart,
    results,
    states,
    strangers,
    stream,
    ties,
)

SECTIONS: Final[tuple[Section[Bench], ...]] = (
    strangers.section,
    pairing.section,
    discovery.section,
    description.section,
    elements.section,
    resources.section,
    nonsense.section,
    stream.section,
    leases.section,
    results.section,
    holds.section,
    flexibility.section,
    jobs.section,
    failsafe.section,
    requests.section,
    states.section,
    jobs.later,
    flexibility.later,
    restart.section,
    memory.section,
    claim.declared,
    readings.section,
    moves.section,
    ties.section,
    release.section,
    lockout.section,
    messages.section,
    extensions.section,
    claim.section,
)
