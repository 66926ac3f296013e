"""What a SunSpec device is made of: the chain of its models, from the mark `SunS` to the end.

After the mark each model begins with its id and its length, and the next one follows where it ends.
"""

from __future__ import annotations

from typing import Final

import msgspec

from ores.adapters.modbus import ILLEGAL_ADDRESS, READ_MAX, Registers, Rejected
from ores.adapters.sunspec.definitions import HEAD_REGISTERS, definitions
from ores.link.errors import PeerError

BASES: Final = (40_000, 0, 50_000)
"""Where the mark may stand, in the order in which to look."""
MARK: Final = [0x5375, 0x6E53]
END_ID: Final = 0xFFFF
MODELS_MAX: Final = 100
"""A chain that is longer is garbage."""
ADDRESS_MAX: Final = 65_535
FIRST: Final = 1
"""The first model says who made the device."""


class Placed(msgspec.Struct, frozen=True):
    """Where a model stands in a device.

    Attributes:
        id: Of the model.
        address: Of its id.
        size: Registers with id and length.
    """

    id: int
    address: int
    size: int


class NotSunSpec(PeerError):
    """There is no SunSpec device behind these registers."""


async def walk(registers: Registers) -> list[Placed]:
    """Find all models of a device; nothing is written.

    Raises:
        NotSunSpec: The mark stands nowhere, or what follows it is no chain of models.
        Unavailable: The device does not answer.
    """
    base = await _base(registers)
    found: list[Placed] = []
    address = base + len(MARK)
    while address + HEAD_REGISTERS <= ADDRESS_MAX + 1:
        try:
            model, length = await registers.read(address, HEAD_REGISTERS)
        except Rejected as error:
            if error.exception != ILLEGAL_ADDRESS or not found:
                raise
            break  # some devices end without saying so
        if model == END_ID:
            break
        placed = Placed(model, address, HEAD_REGISTERS + length)
        if model == 0 or placed.address + placed.size > ADDRESS_MAX + 1 or len(found) == MODELS_MAX:
            raise NotSunSpec(f"no model can be {model} with {length} registers, after {len(found)} models")
        found.append(placed)
        address += placed.size
    if not found or found[0].id != FIRST:
        raise NotSunSpec(f"the first model is {found[0].id if found else 'missing'}, and not {FIRST}")
    return found


async def read_model(registers: Registers, placed: Placed) -> list[int]:
    """All registers of a model, in as few requests as possible."""
    found: list[int] = []
    while (left := placed.size - len(found)) > 0:
        found += await registers.read(placed.address + len(found), min(left, READ_MAX))
    return found


class Request(msgspec.Struct, frozen=True):
    """Registers that are read together."""

    address: int
    count: int


def requests(models: list[Placed]) -> list[Request]:
    """As few requests as cover these models; each model is in one of them, with its scale factors.

    A model that is too long for one request is cut: its first part holds the scale factors, and the groups
    that repeat follow in whole groups.
    """
    found: list[Request] = []
    for placed in sorted(models, key=lambda one: one.address):
        for part in _parts(placed):
            last = found[-1] if found else None
            if last is not None and part.address + part.count - last.address <= READ_MAX:
                found[-1] = Request(last.address, part.address + part.count - last.address)
            else:
                found.append(part)
    return found


def _parts(placed: Placed) -> list[Request]:
    if placed.size <= READ_MAX:
        return [Request(placed.address, placed.size)]
    definition = definitions().get(placed.id)
    groups = [] if definition is None else [one for one in definition.groups if one.repeats is not None]
    if not groups:
        return [Request(placed.address, READ_MAX)]
    group = groups[0]
    whole = (READ_MAX - group.at) // group.size * group.size
    parts = [Request(placed.address, group.at + whole)]
    at = group.at + whole
    while at < placed.size:
        count = min(READ_MAX // group.size * group.size, placed.size - at)
        parts.append(Request(placed.address + at, count))
        at += count
    return parts


async def _base(registers: Registers) -> int:
    for base in BASES:
        try:
            if await registers.read(base, len(MARK)) == MARK:
                return base
        except Rejected:
            continue  # there is nothing at this address; the mark may stand at another
    raise NotSunSpec(f"the mark SunS stands at none of the registers {', '.join(map(str, BASES))}")
