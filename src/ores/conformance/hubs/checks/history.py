"""What the hub has recorded (section 6.10)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("history", "Asks for the last minutes.", begin=ready)
