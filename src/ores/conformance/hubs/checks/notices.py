"""What a person should know (section 6.9)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("notices", "Looks at what the hub has said of modules with faults, and of silent ones.", begin=ready)
