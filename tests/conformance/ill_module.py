"""The reference module with an illness that no check is about: `python ill_module.py ILLNESS DIRECTORY`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from ores.conformance.broken.run import main
from ores.conformance.broken.seams import Tampered


def dies(seams):
    """At the first failsafe limits that are sent."""
    seams.requests.append(lambda asked: os._exit(1) if asked.method == "PUT" else asked)


def hangs(seams):
    """The same, but it keeps its connections."""
    seams.requests.append(lambda asked: time.sleep(600) if asked.method == "PUT" else asked)


def falls_mute(seams):
    """Its stream opens, and brings nothing."""
    seams.frames.append(lambda frame: {})


def sends_a_frame_of_100_mb(seams):
    """In place of each state."""
    seams.frames.append(lambda frame: b" " * 10**8)


def floods(seams):
    """Each state comes with 200 KB of blanks, and ten thousand times."""
    inner = Tampered.open_stream

    def open_stream(self, peer, send):
        def many(frame):
            for _ in range(10_000):
                send(b" " * 200_000 + frame)

        return inner(self, peer, many)

    seams.attribute(Tampered, "open_stream", open_stream)


if __name__ == "__main__":
    asyncio.run(main(globals()[sys.argv[1]], Path(sys.argv[2])))
