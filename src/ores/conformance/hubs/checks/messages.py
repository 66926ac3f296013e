"""What holds for every message of a hub"""

from __future__ import annotations

from ores.conformance.check import Section
from ores.conformance.hubs.bench import HubBench

section: Section[HubBench] = Section("messages", " judged last, over all that it has sent (sections 3.1, 4.14).:Reads once more all that the hub has sent.")
