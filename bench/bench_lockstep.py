"""How much faster than time the home runs in lock-step, over real sockets and mutual TLS, in two processes.

First with ends that decide nothing: each module sends a state of 500 bytes per second, the hub hears it and
sends each a lease every third second. Its floor is the same frames over bare aiohttp WebSockets with the same
TLS and event loop, without any clock: asked for, heard, answered, as fast as it goes. Lock-step alone (both
processes woken each second with nothing to say) is told beside it. Then the whole demonstration home with its
real hub, whose floor is the same home in one process without sockets. Each run is done twice and must come
out the same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiohttp import web

from bench.lockstep_hub import FIRST_MODULE_KEY
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.endpoint import Peer, Reply
from ores.link.identity import load_or_create, new_identity
from ores.link.lockstep import Conductor
from ores.link.pins import Pins, pin
from ores.link.server import serve
from ores.link.tls import server_context

ROOT = Path(__file__).resolve().parent.parent
DESIGN = {8: 3500.0, 50: 1384.0}
"""Simulated seconds per second that the design was measured with, on another day."""
SECONDS = {0: 2000, 8: 1000, 50: 300}
ROUNDS = 3
STATE = b'{"state":{"elements":"' + b"." * 476 + b'"}}'
DEMO_HOURS = 0.25


def run() -> dict[str, object]:
    """All figures; speeds in simulated seconds per second of the wall."""
    figures: dict[str, object] = {
        "lock_step_alone_sim_s_per_s": round(max(speed(0, in_lock_step(0)) for _ in range(ROUNDS)), 1)
    }
    for modules in DESIGN:
        figures[f"{modules}_modules"] = trivial(modules)
    sockets, memory = demo("sockets"), demo("memory")
    figures["demo_home_over_sockets"] = {
        **sockets,
        "floor_over_memory_sim_s_per_s": memory["sim_s_per_s"],
        "ratio": round(sockets["sim_s_per_s"] / memory["sim_s_per_s"], 2),
    }
    figures["demo_home_over_memory"] = memory
    return figures


def trivial(modules: int) -> dict[str, object]:
    """Lock-step and bare frames in turns; the best of each, since others on the machine can only add."""
    runs, floors = [], []
    for _ in range(ROUNDS):
        runs.append(in_lock_step(modules))
        floors.append(asyncio.run(bare(modules)))
    ours = max(speed(modules, each) for each in runs)
    floor = max(speed(modules, each) for each in floors)
    seconds = SECONDS[modules]
    outcomes = {(each["frames"], each["heard"], each["leases_heard"]) for each in runs}
    return {
        "sim_s_per_s": round(ours, 1),
        "floor_bare_frames_s_per_s": round(floor, 1),
        "ratio": round(ours / floor, 2),
        "cpu_ms_per_sim_s": round(min(cpu_s(each) for each in runs) / seconds * 1e3, 3),
        "floor_cpu_ms_per_sim_s": round(min(cpu_s(each) for each in floors) / seconds * 1e3, 3),
        "frames_heard": runs[0]["frames"],
        "identical_runs": len(outcomes) == 1,
        "design_sim_s_per_s": DESIGN[modules],
        "goal": "identical_runs; the design's speed is told, not asked for",
        "holds": len(outcomes) == 1,
    }


def speed(modules: int, said: dict[str, Any]) -> float:
    """Seconds per second."""
    return float(SECONDS[modules] / said["wall_s"])


def cpu_s(said: dict[str, Any]) -> float:
    """Of both processes."""
    return float(said["cpu_s"] + said["modules_cpu_s"])


def in_lock_step(modules: int) -> dict[str, Any]:
    """What was heard at both ends, and how long it took."""
    return clocks.run(lambda clock: conducted(clock, modules, SECONDS[modules]))


class Trivial:
    """A module that says the same once per second, and hashes what it hears."""

    def __init__(self, clock: Clock, heard: Callable[[bytes], None]) -> None:
        self._clock = clock
        self._heard = heard
        self._open = False

    def request(self, _peer: Peer, _method: str, _path: str, _body: bytes) -> Reply:
        """Nothing can be asked."""
        return Reply(404, b"{}")

    def open_stream(self, _peer: Peer, send: Callable[[bytes], None]) -> Trivial:
        """Begin to speak."""
        self._open = True

        def speak() -> None:
            if self._open:
                self._clock.call_at(self._clock.now() + 1.0, speak)
                send(STATE)

        speak()
        return self

    def receive(self, frame: bytes) -> None:
        """Hear a lease."""
        self._heard(frame)

    def closed(self) -> None:
        """Nobody listens any more."""
        self._open = False


async def conducted(clock: Clock, modules: int, seconds: int) -> dict[str, Any]:
    """Serve the modules here and conduct; the hub joins from its own process."""
    heard = hashlib.sha256()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        hub = Pins([pin(load_or_create(folder / "hub").certificate, "controller")])
        conductor = await Conductor.start(clock, str(folder / "time.sock"), name="home")
        stack.push_async_callback(conductor.close)
        ports = []
        for number in range(modules):

            def listen(frame: bytes, number: int = number) -> None:
                heard.update(f"{clock.now()} {number} {len(frame)};".encode())

            identity = new_identity(FIRST_MODULE_KEY + number)
            server = await serve(Trivial(clock, listen), identity, hub, clock=clock, host="127.0.0.1")
            stack.push_async_callback(server.close)
            ports.append(str(server.port))
        with clock.hold():
            child = await other_end(str(folder), str(seconds), *ports)
        await conductor.joined("hub")
        begun_cpu_s = time.process_time()
        ended = asyncio.create_task(child.communicate())
        while not ended.done():
            await clock.sleep(seconds / 20)
        modules_cpu_s = time.process_time() - begun_cpu_s
        out, _ = ended.result()
    return {**json.loads(out), "modules_cpu_s": modules_cpu_s, "leases_heard": heard.hexdigest()}


async def bare(modules: int) -> dict[str, Any]:
    """The floor's modules: one bare server, which sends on all its sockets when one of them says go."""
    sockets: list[web.WebSocketResponse] = []
    state = STATE.decode()

    async def answer(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        sockets.append(socket)
        async for message in socket:
            if message.data == "go":
                for each in sockets:
                    await each.send_str(state)
        return socket

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hub = Pins([pin(load_or_create(folder / "hub").certificate, "controller")])
        tls = server_context(load_or_create(folder / "bare"), hub)
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        port = str(runner.addresses[0][1])
        begun_cpu_s = time.process_time()
        child = await other_end("--bare", name, str(SECONDS[modules]), str(modules), port)
        out, _ = await child.communicate()
        modules_cpu_s = time.process_time() - begun_cpu_s
        await runner.cleanup()
    return {**json.loads(out), "modules_cpu_s": modules_cpu_s}


async def other_end(*arguments: str) -> asyncio.subprocess.Process:
    """The hub's end in a process of its own."""
    command = [sys.executable, "-m", "bench.lockstep_hub", *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE, cwd=ROOT)


def demo(link: str) -> dict[str, Any]:
    """The demonstration home, run twice."""
    summaries = []
    for _ in range(2):
        command = ["-m", "ores.cli", "demo", "--headless", "--json", "--hours", str(DEMO_HOURS)]
        done = subprocess.run(
            [sys.executable, *command, "--speed", "100000", "--start-hour", "12", "--link", link],
            check=True,
            stdout=subprocess.PIPE,
        )
        summaries.append(json.loads(done.stdout))
    speeds = [summary.pop("speed") for summary in summaries]
    missed = sum(summary["missed_cycles"] for summary in summaries)
    identical = summaries[0] == summaries[1]
    return {
        "sim_s_per_s": round(max(speeds), 1),
        "simulated_s": DEMO_HOURS * 3600.0,
        "missed_cycles": missed,
        "identical_runs": identical,
        "goal": "identical_runs, missed_cycles = 0",
        "holds": identical and missed == 0,
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
