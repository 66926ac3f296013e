"""The event loops that a link must work on: the standard one, and uvloop, which a plain install lacks."""

from __future__ import annotations

import asyncio
import importlib.util

LOOPS = {"asyncio": asyncio.new_event_loop}
if importlib.util.find_spec("uvloop") is not None:
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop
