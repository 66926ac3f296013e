"""Guessing passwords (section 6.3), last, as it locks the kit out."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench
from ores.conformance.hubs.checks.house import ready

section: Section[HubBench] = Section("tries", "Guesses passwords.", begin=ready)
