"""Decisions that are only thought, and those of before a restart (section 6.8)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("decisions", "Looks at decisions that were not carried out, and restarts the hub.", begin=ready)
