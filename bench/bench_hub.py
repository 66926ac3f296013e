"""The hub as a process: how fast its page is there, what it keeps in memory, how long its cycles take.

Memory is read after a simulated hour, in lock-step: the real `ores hub` with sockets, mutual TLS and history,
and 50 modules in another process. PSS is the kernel's (/proc/PID/smaps_rollup), of the hub and whatever it
started. Cycles are those of a hub in real time, measured in the thread's own processor time: what others on
the machine do must not count.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from bench.bench_reaction import house, timed
from bench.figures import percentile, spread
from bench.homes import FIFTY, STORAGE_W, World, served
from ores.cli.demo.hub_process import HubProcess
from ores.link import clock as clocks
from ores.link.clock import Clock
from ores.link.lockstep import Conductor
from ores.model import FromModule, Preferences

ROOT = Path(__file__).resolve().parent.parent
STARTS = 7
HOUR_S = 3600.0
CYCLES = 300
MIB = 1 << 20

BARE = """
import json, sys
from aiohttp import web
app = web.Application()
async def page(request): return web.Response(text="page")
app.router.add_get("/", page)
async def ready(app): pass
import asyncio
async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"url": f"http://127.0.0.1:{runner.addresses[0][1]}/"}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
asyncio.run(main())
"""


def run() -> dict[str, object]:
    """All figures."""
    return {
        "start": starts(),
        "memory_50_modules": clocks.run(hour),
        "cycle_50_modules": clocks.run(cycles, speed=1),
    }


def starts() -> dict[str, object]:
    """From the command to the first page served, beside a bare aiohttp server, in turns."""
    hub = [sys.executable, "-m", "ores.cli", "hub", "--json", "--port", "0", "--end-with-input"]
    ours: list[tuple[float, float]] = []
    floor: list[tuple[float, float]] = []
    for _ in range(STARTS):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(first_page([*hub, "--data", folder]))
        floor.append(first_page([sys.executable, "-c", BARE]))
    wall_s, bare_s = (statistics.median(wall for wall, _ in times) for times in (ours, floor))
    return {
        "to_first_page_s": round(wall_s, 3),
        "to_first_page_best_s": round(min(wall for wall, _ in ours), 3),
        "cpu_s": round(statistics.median(cpu for _, cpu in ours), 2),
        "floor_bare_aiohttp_s": round(bare_s, 3),
        "ratio": round(wall_s / bare_s, 2),
        "goal": "to_first_page_s <= 2",
        "holds": wall_s <= 2.0,
    }


def first_page(command: list[str]) -> tuple[float, float]:
    """Wall and processor time until the page is there, s."""
    begun_s = time.perf_counter()
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        url = json.loads(child.stdout.readline())["url"]
        with urllib.request.urlopen(url) as answer:  # noqa: S310  our own address
            answer.read()
        wall_s = time.perf_counter() - begun_s
        ticks = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        child.stdin.close()
    return wall_s, sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")


async def hour(clock: Clock) -> dict[str, object]:
    """An hour with 50 modules: PSS of the hub's process, and of all that it started."""
    world = World()
    floor_mib = bare_mib()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = str(folder / "time.sock")
        conductor = await Conductor.start(clock, address, name="home")
        stack.push_async_callback(conductor.close)
        modules = await stack.enter_async_context(served(FIFTY, world, clock))
        hub = HubProcess(clock, folder / "hub", join=address, speed=100_000)
        await hub.start()
        await conductor.joined("hub")
        codes = {str(number): (it.address, it.desk.code) for number, it in enumerate(modules)}
        await hub.acquaint(codes, Preferences(self_consumption=True, ev_mode="surplus", reserve_pct=10.0))
        began_s, begun_wall_s = clock.now(), time.perf_counter()
        early_mib = 0.0
        for minute in range(1, 61):
            world.load_w = STORAGE_W * (minute % 13 - 6)
            await clock.sleep_until(began_s + 60.0 * minute)
            if minute == 5:
                early_mib = pss_mib(hub.pid)
        control_mib, all_mib = pss_mib(hub.pid), sum(pss_mib(pid) for pid in family(hub.pid))
        processes = len(family(hub.pid))
        wall_s = time.perf_counter() - begun_wall_s
        summary = await hub.end()
    return {
        "time": f"simulated, in lock-step: {HOUR_S:.0f} s in {wall_s:.0f} s of the wall",
        "sim_s_per_s": round(HOUR_S / wall_s, 1),
        "cycles": summary["cycles"],
        "missed_cycles": summary["missed_cycles"],
        "leases_applied": summary["leases_applied"],
        "processes": processes,
        "control_pss_after_5_min_mib": round(early_mib, 1),
        "control_pss_mib": round(control_mib, 1),
        "all_processes_pss_mib": round(all_mib, 1),
        "floor_bare_aiohttp_pss_mib": round(floor_mib, 1),
        "ratio": round(control_mib / floor_mib, 2),
        "goal": "control_pss_mib <= 120, all_processes_pss_mib <= 350",
        "holds": control_mib <= 120.0 and all_mib <= 350.0,
    }


def bare_mib() -> float:
    """PSS of a bare aiohttp server that has served nothing."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        found = pss_mib(child.pid)
        child.stdin.close()
    return found


def pss_mib(pid: int) -> float:
    """Proportional set size of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024 / MIB
    raise ValueError(f"no Pss of process {pid}")


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in family(int(child)))]


async def cycles(clock: Clock) -> dict[str, object]:
    """Freeze, decide and send of the running hub, each second and at each jump of the meter; no states."""
    world = World()
    took: list[float] = []
    floor: list[float] = []
    async with house(FIFTY, world, clock, lambda _kind, module: module) as (modules, running):
        frames = [it.module.state_frame() for it in modules]
        decoder = msgspec.json.Decoder(FromModule)

        running.hub.cycle.decide = timed(running.hub.cycle.decide, took, time.thread_time)  # type: ignore[method-assign]
        meter = modules[0].module
        while len(took) < CYCLES:
            await asyncio.sleep(0.06)
            begun_s = time.thread_time()
            for frame in frames:
                decoder.decode(frame)
            floor.append(time.thread_time() - begun_s)
            await asyncio.sleep(0.06)
            world.load_w = 1.2 * STORAGE_W * 12 * (1 if len(floor) % 2 else -1)
            meter.changed()
        missed = running.hub.cycle.missed
    return {
        "cycles": len(took),
        "missed_cycles": missed,
        **spread("cycle", took),
        "cycle_max_us": round(max(took) * 1e6, 1),
        **spread("floor_decode_50_states", floor),
        "ratio": round(percentile(took, 99) / percentile(floor, 99), 2),
        "goal": "p99 <= 10 x p99 of decoding the same 50 states",
        "holds": percentile(took, 99) <= 10 * percentile(floor, 99),
    }


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
