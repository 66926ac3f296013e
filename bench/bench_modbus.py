"""Thirty Modbus devices on one loop: read and decoded by the adapters, beside bare reads of the same blocks.

SunSpec devices and those of templates are mixed, each behind a connection of its own; another process serves
them (`modbus_devices.py`). The adapters run as in the hub, with uvloop and a task each, in watch mode, but
fifty times a second, without the rests that devices are given. The floor is pymodbus: a client and a task for
each device that as often reads the same blocks, and does nothing with them. Between the two, our connections
do the same; what they add is the connection's, the rest is decoding. All take turns. What counts is the
processor time of this process: a hub can run out of it, and what else the machine does meets it least.

Then the devices are read every half second, as in a home, with and without three more that hang. How long
after it was due is a round over? Windows with and without take turns. Noise is what the windows differ by in
which none of the devices hangs.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec
from pymodbus.client import AsyncModbusTcpClient
from tests.adapters.image import Image

from bench.figures import at_least, percentile, spread
from bench.modbus_devices import Served
from ores.adapters.modbus import ModbusTcp
from ores.adapters.sunspec.device import SunSpecDevice
from ores.adapters.sunspec.found import find as find_sunspec
from ores.adapters.templates.answers import Answers, parsed
from ores.adapters.templates.device import TemplateDevice
from ores.adapters.templates.form import Template
from ores.adapters.templates.found import find as find_by
from ores.adapters.templates.parse import shipped
from ores.link import clock as clocks
from ores.link.clock import Clock

ROOT = Path(__file__).resolve().parent.parent
TURNS = 10
TURN_S = 0.7
TURN_PERIOD_S = 0.02
"""So long that no device misses a round: each is read as often as all others, by us as by the floor."""
PERIOD_S = 0.5
"""As in a home."""
WINDOW_S = 3.0
WINDOWS = 3
"""Of each of three kinds: without, with, and without again."""
Device = SunSpecDevice | TemplateDevice
Block = tuple[str, int, int]
Ask = Callable[..., Awaitable[object]]
"""Reads a block: its address, and `count`."""


def run() -> dict[str, object]:
    """All figures."""
    logging.getLogger("ores.adapters").setLevel(logging.ERROR)  # that some do not answer is known
    with devices() as served:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        return {
            "polling_30_devices": clocks.run(partial(polling, served), speed=1),
            "3_of_33_hang": clocks.run(partial(hanging, served), speed=1),
        }


@contextmanager
def devices() -> Iterator[list[Served]]:
    """The process that serves them."""
    command = [sys.executable, "-m", "bench.modbus_devices"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        yield msgspec.convert(json.loads(child.stdout.readline()), list[Served])
        child.stdin.close()


class Noted(ModbusTcp):
    """Notes what is read."""

    def __init__(self, port: int, unit: int, clock: Clock) -> None:
        super().__init__("127.0.0.1", port, unit=unit, clock=clock)
        self.blocks: list[Block] = []

    async def read(self, address: int, count: int) -> list[int]:
        """As ever."""
        self.blocks.append(("holding", address, count))
        return await super().read(address, count)

    async def read_input(self, address: int, count: int) -> list[int]:
        """As ever."""
        self.blocks.append(("input", address, count))
        return await super().read_input(address, count)


def without_rests(name: str) -> Template:
    """A template whose device may be asked at any time."""
    template = shipped(name)
    transport = msgspec.structs.replace(template.transport, pause_s=0.0, period_s=0.0)
    return msgspec.structs.replace(template, transport=transport)


def unit_of(one: Served) -> int:
    """Behind which unit it answers."""
    return Image(one.name).unit if one.template else 1


async def adapted(one: Served, clock: Clock, registers: ModbusTcp, period_s: float) -> Device:
    """A device as its adapter shows it."""
    if not one.template:
        return SunSpecDevice(await find_sunspec(registers), registers, clock, period_s=period_s)
    template = without_rests(one.name)
    answers = Answers(given=parsed(template, Image(one.name).answers))
    found = await find_by(template, registers, clock)
    return TemplateDevice(template, found, registers, clock, answers=answers, period_s=period_s)


async def blocks_of(one: Served, clock: Clock) -> list[Block]:
    """What its adapter reads in each round."""
    registers = Noted(one.port, unit_of(one), clock)
    device = await adapted(one, clock, registers, TURN_PERIOD_S)
    rounds = 0
    done = asyncio.Event()

    def another() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 4:  # the first one also looks which device it is, and what it refuses
            registers.blocks.clear()
        if rounds == 5:
            found.extend(registers.blocks)
            done.set()

    found: list[Block] = []
    device.tell(another)
    await device.start()
    await done.wait()
    await device.stop()
    return found


class Turn(NamedTuple):
    """Registers read, and in how much processor time."""

    registers: int
    cpu_s: float


async def polling(served: list[Served], clock: Clock) -> dict[str, object]:
    """Registers in a second of processor time."""
    healthy = [one for one in served if not one.hangs]
    blocks = {one.port: await blocks_of(one, clock) for one in healthy}
    each = sum(count for many in blocks.values() for _, _, count in many)
    turns: dict[str, list[Turn]] = {"adapters": [], "of_it_connections": [], "floor_pymodbus": []}
    for _ in range(TURNS):
        turns["adapters"].append(await adapters_turn(healthy, blocks, clock))
        turns["of_it_connections"].append(await connections_turn(healthy, blocks, clock))
        turns["floor_pymodbus"].append(await bare_turn(healthy, blocks))
    figures: dict[str, object] = {
        "devices": len(healthy),
        "sunspec": sum(not one.template for one in healthy),
        "requests_per_round": sum(map(len, blocks.values())),
        "registers_per_round": each,
    }
    for name, many in turns.items():
        per_cpu_s = statistics.median(one.registers / one.cpu_s for one in many)
        figures[f"{name}_registers_per_cpu_s"] = round(per_cpu_s)
        figures[f"{name}_us_per_round"] = round(each / per_cpu_s * 1e6)
        figures[f"{name}_core_share_as_in_a_home_pct"] = round(100.0 * each / per_cpu_s / PERIOD_S, 2)
    both = zip(turns["adapters"], turns["floor_pymodbus"], strict=True)
    ratios = [ours.registers / ours.cpu_s / (floor.registers / floor.cpu_s) for ours, floor in both]
    return {
        **figures,
        "ratio_least": round(min(ratios), 2),
        "ratio_most": round(max(ratios), 2),
        **at_least(statistics.median(ratios), 0.8),
    }


async def adapters_turn(served: list[Served], blocks: dict[int, list[Block]], clock: Clock) -> Turn:
    """Read, decoded and shown as elements."""
    shown: list[Device] = []
    read = 0

    def rounds_of(port: int) -> Callable[[], None]:
        each = sum(count for _, _, count in blocks[port])

        def another() -> None:
            nonlocal read
            read += each

        return another

    for one in served:
        registers = ModbusTcp("127.0.0.1", one.port, unit=unit_of(one), clock=clock)
        device = await adapted(one, clock, registers, TURN_PERIOD_S)
        device.tell(rounds_of(one.port))
        shown.append(device)
    await asyncio.gather(*(device.start() for device in shown))
    turn = await counted(lambda: read)
    await asyncio.gather(*(device.stop() for device in shown))
    return turn


async def connections_turn(served: list[Served], blocks: dict[int, list[Block]], clock: Clock) -> Turn:
    """Read by our connections, and that is all."""
    lines = [ModbusTcp("127.0.0.1", one.port, unit=unit_of(one), clock=clock) for one in served]
    turn = await reading(
        [
            [(line.read if table == "holding" else line.read_input, at, count) for table, at, count in mine]
            for line, mine in zip(lines, (blocks[one.port] for one in served), strict=True)
        ]
    )
    for line in lines:
        line.close()
    return turn


async def bare_turn(served: list[Served], blocks: dict[int, list[Block]]) -> Turn:
    """Read by pymodbus alone."""
    clients = [AsyncModbusTcpClient("127.0.0.1", port=one.port, timeout=2.0, retries=0) for one in served]
    wanted: list[list[tuple[Ask, int, int]]] = []
    for client, one in zip(clients, served, strict=True):
        assert await client.connect()
        unit = unit_of(one)
        asks: dict[str, Ask] = {
            "holding": partial(client.read_holding_registers, device_id=unit),
            "input": partial(client.read_input_registers, device_id=unit),
        }
        for table, at, count in blocks[one.port]:
            assert len((await asks[table](at, count=count)).registers) == count  # type: ignore[attr-defined]
        wanted.append([(asks[table], at, count) for table, at, count in blocks[one.port]])
    turn = await reading(wanted)
    for client in clients:
        client.close()
    return turn


async def reading(wanted: Sequence[Sequence[tuple[Ask, int, int]]]) -> Turn:
    """A task for each device reads its blocks each period."""
    read = 0
    goes_on = True

    async def one_after_another(mine: Sequence[tuple[Ask, int, int]]) -> None:
        nonlocal read
        while goes_on:  # and not until it is cancelled: with an answer just there, that may be lost
            due_s = time.monotonic() + TURN_PERIOD_S
            for ask, at, count in mine:
                await ask(at, count=count)
                read += count
            await asyncio.sleep(due_s - time.monotonic())

    tasks = [asyncio.create_task(one_after_another(mine)) for mine in wanted]
    turn = await counted(lambda: read)
    goes_on = False
    await asyncio.gather(*tasks)
    return turn


async def counted(read: Callable[[], int]) -> Turn:
    """What a turn brings, when all have begun."""
    await asyncio.sleep(0.1)
    before, begun_s = read(), time.process_time()
    await asyncio.sleep(TURN_S)
    return Turn(read() - before, time.process_time() - begun_s)


Window = dict[int, list[float]]
"""How long after they were due the rounds of each device were over, s; by its port."""


class Lateness:
    """Notes when rounds are over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.window: Window = {}

    def watch(self, device: Device, port: int) -> None:
        """Note each of its rounds; one is due a period after the one before it began."""
        due_s: float | None = None

        def over() -> None:
            nonlocal due_s
            began_s = device.measured_at_s("")
            assert began_s is not None
            if due_s is not None:
                self.window.setdefault(port, []).append(self._clock.now() - due_s)
            due_s = began_s + PERIOD_S

        device.tell(over)


async def hanging(served: list[Served], clock: Clock) -> dict[str, object]:
    """What three devices that hang add to the rounds of the others."""
    healthy = [one for one in served if not one.hangs]
    meter = next(one for one in healthy if not one.template)
    registers = ModbusTcp("127.0.0.1", meter.port, clock=clock)
    found = await find_sunspec(registers)
    registers.close()
    lateness = Lateness(clock)
    shown: list[Device] = []
    for one in healthy:
        registers = ModbusTcp("127.0.0.1", one.port, unit=unit_of(one), clock=clock)
        shown.append(await adapted(one, clock, registers, PERIOD_S))
        lateness.watch(shown[-1], one.port)
        await shown[-1].start()
        await clock.sleep(PERIOD_S / len(healthy))
    kinds: dict[str, list[Window]] = {"without": [], "with": [], "without_again": []}
    for _ in range(WINDOWS):
        for kind, windows in kinds.items():
            # such as were found when they still answered
            hung = [
                SunSpecDevice(found, ModbusTcp("127.0.0.1", one.port, clock=clock), clock, period_s=PERIOD_S)
                for one in served
                if one.hangs and kind == "with"
            ]
            lateness.window = {}
            starts = [asyncio.create_task(one.start()) for one in hung]
            await clock.sleep(WINDOW_S)
            windows.append(lateness.window)
            await asyncio.gather(*starts)
            assert all(one.measured_at_s("") is None for one in hung)
            await asyncio.gather(*(one.stop() for one in hung))
    await asyncio.gather(*(one.stop() for one in shown))
    return compared(kinds)


def compared(kinds: dict[str, list[Window]]) -> dict[str, object]:
    """The distributions, and what they differ by; the median of windows, so that one disturbance is none."""
    figures: dict[str, object] = {"rounds": sum(len(every(one)) for many in kinds.values() for one in many)}
    for kind, windows in kinds.items():
        figures |= spread(f"late_{kind}", [late_s for one in windows for late_s in every(one)])
    holds = True
    for percent in (50, 90, 99):
        quiet = sorted(percentile(every(one), percent) for one in kinds["without"] + kinds["without_again"])
        hung_s = statistics.median(percentile(every(one), percent) for one in kinds["with"])
        added_s, noise_s = hung_s - statistics.median(quiet), quiet[-1] - quiet[0]
        holds = holds and added_s <= noise_s
        figures[f"added_p{percent}_us"] = round(added_s * 1e6, 1)
        figures[f"noise_p{percent}_us"] = round(noise_s * 1e6, 1)
    figures["added_to_worst_device_us"] = round(worst(kinds["with"], kinds["without"]) * 1e6, 1)
    figures["noise_of_worst_device_us"] = round(worst(kinds["without_again"], kinds["without"]) * 1e6, 1)
    return {**figures, "goal": "added <= noise: what windows without differ by", "holds": holds}


def every(window: Window) -> list[float]:
    """The rounds of all devices."""
    return [late_s for many in window.values() for late_s in many]


def worst(later: list[Window], before: list[Window]) -> float:
    """By how much the middle round of a device is later than before, s; of that which has it worst."""

    def middle_s(windows: list[Window], port: int) -> float:
        return statistics.median(late_s for one in windows for late_s in one[port])

    return max(middle_s(later, port) - middle_s(before, port) for port in before[0])


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
