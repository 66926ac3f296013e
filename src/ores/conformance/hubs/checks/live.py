"""The house as the hub shows it now: streams, flow, what is stale (sections 6.4 and 3.5)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("live", "Lets modules fall silent and come back, and watches what the hub shows.", begin=ready)
