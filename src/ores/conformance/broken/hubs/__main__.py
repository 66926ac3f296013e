"""`python -m ores.conformance.broken.hubs [NAME] [DIRECTORY]`: run the reference hub, or a broken one.

SIGHUP restarts it on its data; the first line, JSON, says where it is and how to restart it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
from pathlib import Path

from ores.conformance.broken.hubs.registry import Mutation, Tools, broken_hub
from ores.hub import passwords
from ores.hub.config import HubConfig
from ores.hub.run import open_hub
from ores.link.clock import RealClock

QUICK = 2**10
"""Cost of the hash of a password; the real one is sixteen times as much."""


def free_port(host: str) -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def own_address() -> str:
    """An address of this machine that is not loopback; loopback where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


async def main(mutation: Mutation | None, directory: Path) -> None:
    """Run until terminated, again after each SIGHUP."""
    stop, again = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, again.set)
    address = own_address()
    port, https_port = free_port("127.0.0.1"), free_port(address)
    # a hundred guesses are to take seconds, and how slow a hash is shows nowhere on the wire
    passwords._N = QUICK  # noqa: SLF001
    tools = Tools(
        HubConfig(data=directory, name="Reference", port=port, listen=address, https_port=https_port)
    )
    if mutation is not None:
        mutation(tools)
    found = {
        "url": f"http://127.0.0.1:{port}",
        "network": f"https://{address}:{https_port}",
        "restart": f"kill -HUP {os.getpid()}",
    }
    told = False
    while not stop.is_set():
        again.clear()
        async with open_hub(tools.config, RealClock()):
            if not told:
                sys.stdout.write(json.dumps(found) + "\n")
                sys.stdout.flush()
                told = True
            waits = {asyncio.ensure_future(event.wait()) for event in (stop, again)}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()


def _mutation(name: str) -> Mutation | None:
    known = broken_hub.all()
    if name == "whole":
        return None
    if name not in known:
        sys.exit(f"NAME: found {name!r}, allowed is whole or one of {', '.join(known)}")
    return known[name].mutate


if __name__ == "__main__":
    chosen = _mutation(sys.argv[1] if len(sys.argv) > 1 else "whole")
    with tempfile.TemporaryDirectory(prefix="ores-broken-hub-") as scratch:
        asyncio.run(main(chosen, Path(sys.argv[2] if len(sys.argv) > 2 else scratch)))
