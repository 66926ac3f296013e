"""The hub's end of bench_lockstep, in a process of its own: hears every state, sends leases, decides nothing.

Usage: lockstep_hub FOLDER SECONDS PORT…        in lock-step, over the link
       lockstep_hub --bare FOLDER SECONDS MODULES PORT    the same frames over bare aiohttp, without a clock

The folder holds the conductor's socket `time.sock`, and the identities of the hub (`hub/`) and of the bare
server (`bare/`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp

from ores.link import client
from ores.link.clock import Clock
from ores.link.identity import load_or_create, new_identity
from ores.link.lockstep import run_joined
from ores.link.pins import pin
from ores.link.tls import client_context

FIRST_MODULE_KEY = 100
LEASE = (
    b'{"lease":{"epoch":1,"seq":1000,"boot_id":"0123456789abcdef","uptime_ms":10000,"ttl_s":10.0,'
    b'"elements":{"battery":{"setpoint":{"power_w":500.0}}}}}'
)
LEASE_EVERY_S = 3


async def in_lock_step(clock: Clock, folder: Path, seconds: int, ports: list[int]) -> dict[str, object]:
    """Hear each module once per simulated second."""
    heard = hashlib.sha256()
    frames = 0

    def listener(number: int) -> Callable[[bytes], None]:
        def on_frame(frame: bytes) -> None:
            nonlocal frames
            frames += 1
            heard.update(f"{clock.now()} {number} {len(frame)};".encode())

        return on_frame

    ours = load_or_create(folder / "hub")
    sessions, sends = [], []
    for number, port in enumerate(ports):
        theirs = pin(new_identity(FIRST_MODULE_KEY + number).certificate, "module")
        session = await client.connect("127.0.0.1", port, ours, theirs, clock)
        sessions.append(session)
        sends.append(await session.open_stream(listener(number), lambda _reason: None))
    await clock.sleep(1.0)
    began_s, watch = clock.now(), Watch()
    for cycle in range(seconds):
        await clock.sleep_until(began_s + cycle + 1)
        if cycle % LEASE_EVERY_S == 0:
            for send in sends:
                send(LEASE)
    took = watch.took()
    for session in sessions:
        await session.close()
    return {**took, "frames": frames, "heard": heard.hexdigest()}


async def bare(folder: Path, seconds: int, modules: int, port: int) -> dict[str, object]:
    """Ask for a second, hear every module, answer every third time; as fast as it goes."""
    tls = client_context(load_or_create(folder / "hub"), load_or_create(folder / "bare").fingerprint)
    lease = LEASE.decode()
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        sockets = [
            await stack.enter_async_context(
                http.ws_connect(f"wss://127.0.0.1:{port}/", ssl=tls, server_hostname="bare.ores", compress=0)
            )
            for _ in range(modules)
        ]
        watch = Watch()
        for cycle in range(seconds):
            await sockets[0].send_str("go")
            for socket in sockets:
                await socket.receive()
            if cycle % LEASE_EVERY_S == 0:
                for socket in sockets:
                    await socket.send_str(lease)
        return watch.took()


class Watch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall_s, self._cpu_s = time.perf_counter(), time.process_time()

    def took(self) -> dict[str, object]:
        """Both, in s."""
        return {"wall_s": time.perf_counter() - self._wall_s, "cpu_s": time.process_time() - self._cpu_s}


def main(arguments: list[str]) -> dict[str, object]:
    """Run as asked; see the usage."""
    if arguments[0] == "--bare":
        folder, *numbers = arguments[1:]
        seconds, modules, port = (int(number) for number in numbers)
        return asyncio.run(bare(Path(folder), seconds, modules, port))
    folder, seconds_, *ports = arguments

    return run_joined(
        lambda clock: in_lock_step(clock, Path(folder), int(seconds_), [int(port) for port in ports]),
        join=str(Path(folder) / "time.sock"),
        name="hub",
    )


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])), flush=True)
