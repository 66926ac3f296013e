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

from ores.adapters import kept
from ores.adapters.counters import KeptEnergy
from ores.adapters.modbus import Registers
from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.image import Image
from ores.adapters.sunspec.walk import FIRST, Placed, read_model, walk
from ores.link.errors import ConfigError, Unavailable

_FILE: Final = "sunspec.json"


class Found(msgspec.Struct, frozen=True):
    """A device as it was found.

    Attributes:
        placed: The chain of its models.
        registers: Of those that are known here, by address.
        energy: By element.
    """

    placed: list[Placed]
    registers: dict[int, list[int]]
    energy: dict[str, KeptEnergy] = {}

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
    before = load(directory)
    try:
        found = await find(registers)
    except Unavailable:
        if before is None:
            raise
        return before
    if before is not None:
        if before.label() != found.label():
            raise ConfigError(
                "device",
                found=_said(found.label()),
                allowed=f"{_said(before.label())}, whose directory this is; another one has another",
            )
        found = msgspec.structs.replace(found, energy=before.energy)
    save(directory, found)
    return found


def load(directory: Path) -> Found | None:
    """What was kept; None where nothing was, or nothing can be made of it."""
    return kept.load(directory / _FILE, Found)


def save(directory: Path, found: Found) -> None:
    """Keep it; raises `ConfigError` where the disk does not take it."""
    kept.save(directory / _FILE, found)


def _said(label: tuple[str | None, ...]) -> str:
    return " ".join(part for part in label if part) or "a device without a name"
