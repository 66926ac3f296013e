"""What was found of a device, kept: an inverter sleeps at night, and its module is there all the same.

```
directory/
  sunspec.json   the chain of models with their registers, and where the energy counters stand
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from ores.adapters.counters import Kept
from ores.adapters.modbus import Registers
from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.image import Image
from ores.adapters.sunspec.walk import FIRST, Placed, read_model, walk
from ores.link.errors import ConfigError, Unavailable
from ores.link.identity import read_private_file, write_private_file

_FILE: Final = "sunspec.json"


class KeptCounters(msgspec.Struct, frozen=True):
    """The two counters of an element: in and out."""

    counters: list[Kept | None]
    epoch: int


class Found(msgspec.Struct, frozen=True):
    """A device as it was found.

    Attributes:
        placed: The chain of its models.
        registers: Of those that are known here, by address.
        energy: By element.
    """

    placed: list[Placed]
    registers: dict[int, list[int]]
    energy: dict[str, KeptCounters] = {}

    def image(self) -> Image:
        """The models as they were read then; what they measured is old."""
        return Image(self.placed, self.registers)

    def label(self) -> tuple[str | None, ...]:
        """Maker, model and serial number: which device it is."""
        common = self.image().find(FIRST)
        return () if common is None else tuple(common.text(name) for name in ("Mn", "Md", "SN"))


async def find(registers: Registers) -> Found:
    """Walk a device and read all its models that are known here; nothing is written.

    Raises:
        NotSunSpec: It is none.
        Unavailable: It does not answer.
    """
    placed = await walk(registers)
    known = definitions()
    return Found(placed, {one.address: await read_model(registers, one) for one in placed if one.id in known})


async def find_or_remember(registers: Registers, directory: Path) -> Found:
    """The device as it is now; where it does not answer, as it was when it did.

    Raises:
        ConfigError: It is another device than the one that this directory belongs to.
        Unavailable: It does not answer, and never has.
    """
    kept = load(directory)
    try:
        found = await find(registers)
    except Unavailable:
        if kept is None:
            raise
        return kept
    if kept is not None:
        if kept.label() != found.label():
            raise ConfigError(
                "device",
                found=_said(found.label()),
                allowed=f"{_said(kept.label())}, whose directory this is; another one has another",
            )
        found = msgspec.structs.replace(found, energy=kept.energy)
    save(directory, found)
    return found


def load(directory: Path) -> Found | None:
    """What was kept; None where nothing was, or nothing can be made of it."""
    path = directory / _FILE
    if not path.exists():
        return None
    data = read_private_file(path, "the file removed, to have the device found again")
    try:
        return msgspec.json.decode(data, type=Found)
    except msgspec.DecodeError:
        return None  # all that is lost is found again, and counters get a new epoch where they must


def save(directory: Path, found: Found) -> None:
    """Keep it; raises `ConfigError` where the disk does not take it."""
    directory.mkdir(parents=True, exist_ok=True)
    write_private_file(directory / _FILE, msgspec.json.encode(found))


def _said(label: tuple[str | None, ...]) -> str:
    return " ".join(part for part in label if part) or "a device without a name"
