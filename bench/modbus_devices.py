"""The devices of `bench_modbus.py`, in a process of their own: what they cost must not count.

Registers are those of the tests: laid out by pysunspec2, or as makers document them. What answers is as lean
as can be, so that whoever asks is measured. Power, current, voltage and frequency are others at each request:
a device that always says the same could be read without being decoded.

`python -m bench.modbus_devices` prints a line of JSON and ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
from collections.abc import Mapping
from typing import cast

import msgspec

DEVICES = 30
SUNSPEC = ("meter", "battery", "inverter", "hybrid")
HANGING = ("silent", "half", "closed")
"""One takes questions and says nothing, one says half of its answer, one takes no connection."""
MOVING = frozenset({"W", "VA", "var", "Var", "A", "V", "Hz"})
ILLEGAL_ADDRESS = 2
_HEAD = struct.Struct(">HHHBBHH")


class Served(msgspec.Struct, frozen=True):
    """One device.

    Attributes:
        name: Of the device in the tests, or of the template.
        port: On this machine.
        template: It is no SunSpec device.
        hangs: How, of `HANGING`; empty for one that answers.
    """

    name: str
    port: int
    template: bool
    hangs: str = ""


class Held:
    """What a device has, and the answers that it has given: there are two of each, by turns.

    Args:
        tables: Registers by address, of the functions 3 and 4.
        moving: Of these addresses the lowest bit is another in the second answer.
    """

    def __init__(self, tables: Mapping[int, dict[int, int]], moving: set[tuple[int, int]]) -> None:
        self._tables = tables
        self._moving = moving
        self._answers: dict[bytes, list[bytes]] = {}

    def answer(self, request: bytes) -> bytes:
        """To a frame of a request, without its transaction."""
        both = self._answers.get(request)
        if both is None:
            both = self._answers[request] = [self._made(request, turn) for turn in (0, 1)]
        both.reverse()
        return both[0]

    def _made(self, request: bytes, turn: int) -> bytes:
        _, _, _, unit, function, at, count = _HEAD.unpack(b"\0\0" + request)
        held = self._tables.get(function, {})
        if not held or at < min(held) or at + count - 1 > max(held):
            return struct.pack(">HHBBB", 0, 3, unit, function | 0x80, ILLEGAL_ADDRESS)
        words = [
            held.get(one, 0) ^ (turn & ((function, one) in self._moving)) for one in range(at, at + count)
        ]
        return struct.pack(f">HHBBB{count}H", 0, 3 + 2 * count, unit, function, 2 * count, *words)


class Talk(asyncio.Protocol):
    """One connection; who asks, waits for the answer before it asks again."""

    def __init__(self, held: Held, hangs: str) -> None:
        self._held, self._hangs = held, hangs
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio has it."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio has it."""
        assert self._transport is not None
        if self._hangs != "silent":
            answer = data[:2] + self._held.answer(data[2:])
            self._transport.write(answer[: len(answer) // 2] if self._hangs else answer)


def sunspec(name: str) -> Held:
    """A SunSpec device of the tests."""
    from tests.adapters.devices import DEVICES as KNOWN  # noqa: PLC0415  only this process needs them

    from ores.adapters.sunspec.definitions import definitions  # noqa: PLC0415

    peer, _ = KNOWN[name]()
    moving: set[tuple[int, int]] = set()
    for (number, _), address in peer.address.items():
        known = definitions()[number]
        for point in known.points.values():
            if point.units in MOVING and not point.writable and number not in {120, 121, 702}:
                moving.add((3, address + point.at + point.size - 1))
    return Held({3: {peer.base + at: word for at, word in enumerate(peer.registers)}}, moving)


def templated(name: str) -> Held:
    """A device by its maker's documents."""
    from tests.adapters.image import Image  # noqa: PLC0415

    from ores.adapters.templates.parse import shipped  # noqa: PLC0415

    image = Image(name)
    functions = {"holding": 3, "input": 4}
    moving = {
        (functions[point.table], point.at + (point.size - 1 if point.words == "high_first" else 0))
        for point in shipped(name).points.values()
        if point.unit in MOVING and not point.static and not point.write_only and image.tables[point.table]
    }
    return Held({functions[table]: held for table, held in image.tables.items()}, moving)


def deaf() -> tuple[socket.socket, list[socket.socket]]:
    """A port that takes no connection: its queue is full."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
    return listening, waiting


async def main() -> None:
    """Serve all, until the input ends."""
    from tests.adapters.image import FOLDER  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    templates = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    kinds = [(name, True) for name in templates][: DEVICES - len(SUNSPEC)]
    kinds += [(SUNSPEC[at % len(SUNSPEC)], False) for at in range(DEVICES - len(kinds))]
    served: list[Served] = []
    for name, template, hangs in [(*kind, "") for kind in kinds] + [("meter", False, how) for how in HANGING]:
        if hangs == "closed":
            kept = deaf()
            served.append(Served(name, kept[0].getsockname()[1], template, hangs))
            continue
        held = templated(name) if template else sunspec(name)
        server = await loop.create_server(lambda held=held, hangs=hangs: Talk(held, hangs), "127.0.0.1", 0)  # type: ignore[misc]
        served.append(Served(name, server.sockets[0].getsockname()[1], template, hangs))
    print(json.dumps(msgspec.to_builtins(served)), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(main())
