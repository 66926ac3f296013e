"""What the tests of the SunSpec door share: a door without a socket, and how its registers are read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.points import Model
from ores.hub.doors.mqtt_energy import Totals
from ores.hub.doors.sunspec import Address, SunspecDoor
from ores.hub.hub import Hub
from ores.hub.state_dir import StateDir

BASE = 40_000
IDS = {1, 103, 120, 121, 123, 701, 702, 704, 203, 213, 124, 713, 160}


@contextmanager
def door_of(hub: Hub, *, control: bool = True, lasts_min: float = 60.0) -> Iterator[SunspecDoor]:
    with tempfile.TemporaryDirectory() as scratch:
        directory = StateDir(Path(scratch))
        address = Address(control=control, lasts_min=lasts_min)
        yield SunspecDoor(hub, address, Totals(directory, hub.notices))
        directory.close()


def walk(door: SunspecDoor) -> dict[int, tuple[int, Model]]:
    """The chain as a client walks it: address and model, by id."""
    assert tuple(door.read(BASE, 2)) == (0x5375, 0x6E53)
    at, found = BASE + 2, {}
    while True:
        number, length = door.read(at, 2)
        if number == 0xFFFF:
            assert length == 0
            return found
        assert number not in found
        registers = [word for one in range(at, at + 2 + length) for word in door.read(one, 1)]
        found[number] = (at, Model(definitions()[number], registers))
        at += 2 + length


def model(door: SunspecDoor, number: int) -> Model:
    return walk(door)[number][1]


def write(door: SunspecDoor, number: int, **raw: int) -> None:
    """Points in the order in which they are named, each in a request of its own."""
    at, found = walk(door)[number]
    for name, value in raw.items():
        offset, size = found.place(name)
        door.write(at + offset, [value >> 16 * one & 0xFFFF for one in reversed(range(size))])
