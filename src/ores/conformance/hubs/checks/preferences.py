"""What the owner wants, and what a house may take (section 6.12)"""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench

section: Section[HubBench] = Section("preferences", "Changes what the owner wants, and looks at what the modules are told.")
