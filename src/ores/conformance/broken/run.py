"""Run the reference module, as it is or with a mutation."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ores.conformance.broken.registry import Mutation
from ores.conformance.broken.seams import Asked, Seams, Tampered
from ores.conformance.broken.whole import ABOUT, Whole, elements
from ores.link.clock import Clock, RealClock
from ores.link.desk import STRANGER, PairingDesk
from ores.link.endpoint import Endpoint, Peer, Reply
from ores.link.server import Server, serve
from ores.module import run as sdk
from ores.module.policy import PolicyFunction, free, idle, schedule


def policies() -> dict[str, PolicyFunction]:
    """What the reference does on its own; the first until another is chosen."""
    return {"idle": idle(elements()), "free": free, "schedule": schedule("battery")}


@asynccontextmanager
async def standing(mutation: Mutation | None, directory: Path) -> AsyncIterator[sdk.Running]:
    """The reference module on the network, with a mutation or without.

    Args:
        mutation: None runs it as it is.
        directory: Of this module alone.
    """
    seams = Seams()

    async def tampered_serve(endpoint: Endpoint, *args: Any, **options: Any) -> Server:
        return await serve(Tampered(endpoint, seams), *args, **options)

    def device(clock: Clock) -> Whole:
        made = Whole(clock)
        for change in seams.devices:
            change(made)
        return made

    answer = PairingDesk.answer

    def tampered_answer(
        self: PairingDesk, method: str, path: str, body: bytes, peer: Peer = STRANGER
    ) -> Reply:
        return seams.changed(Asked(peer, method, path, None), answer(self, method, path, body, peer))

    seams.attribute(sdk, "serve", tampered_serve)
    seams.attribute(PairingDesk, "answer", tampered_answer)
    if mutation is not None:
        mutation(seams)
    options: dict[str, Any] = {
        "policies": policies(),
        "announced": True,
        **seams.options,
    }
    about = options.pop("about", ABOUT)
    try:
        async with sdk.running(device, directory, about, clock=RealClock(), **options) as it:
            yield it
    finally:
        seams.take_back()


async def main(mutation: Mutation | None, directory: Path) -> None:
    """Run until terminated; one line of JSON says where it is."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    where = ["localhost"]

    def noticed(seams: Seams) -> None:
        if mutation is not None:
            mutation(seams)
        where[0] = seams.options.get("host", where[0])

    async with standing(noticed, directory) as it:
        found = {"url": f"https://{where[0]}:{it.server.port}", "id": it.identity.id, "code": it.desk.code}
        sys.stdout.write(json.dumps(found) + "\n")
        sys.stdout.flush()
        await stop.wait()
