"""Connection points, kinds, ties and islands (sections 2.1, 2.5 and 3.3)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section(
    "island", "Brings a second meter, then opens a transfer switch.", begin=ready
)
