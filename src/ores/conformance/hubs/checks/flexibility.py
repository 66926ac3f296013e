"""What a hub makes of what modules know about themselves (chapter 5)."""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench

section: Section[HubBench] = Section("flexibility", "Lets played modules tell what they expect, and looks at what the hub makes of it.")
