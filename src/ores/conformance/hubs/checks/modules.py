"""Which modules there are, and which the hub may command (section 6.5)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("modules", "Lets modules be watched, commanded and removed.", begin=ready)
