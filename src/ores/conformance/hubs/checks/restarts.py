"""What a hub knows and keeps over a restart."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("restarts", "Restarts the hub.", begin=ready)
