"""What was found of a device, kept: a device may sleep when its adapter starts, and is there all the same.

```
directory/
  template.json   the static registers, where the energy counters stand, and what was written to flash
```
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import msgspec

from ores.adapters import kept
from ores.adapters.counters import KeptEnergy
from ores.adapters.modbus import Tables
from ores.adapters.templates.form import Sign, Template
from ores.adapters.templates.reader import Reader, Words, text_of, values_of
from ores.link.clock import Clock
from ores.link.errors import ConfigError, PeerError, Unavailable
from ores.module import About

_FILE: Final = "template.json"


class NotThisDevice(PeerError):
    """What answers is not the device of the template."""


class Found(msgspec.Struct, frozen=True):
    """A device as it was found.

    Attributes:
        template: Its name.
        words: Static registers and those by which it was recognised; None for what it does not have.
        energy: By element.
        spent: Wall times of writes to flash, by point.
    """

    template: str
    words: dict[str, list[int] | None]
    energy: dict[str, KeptEnergy] = {}
    spent: dict[str, list[float]] = {}


def looked_at(template: Template) -> list[str]:
    """Points that say which device it is."""
    static = [name for name, point in template.points.items() if point.static]
    return list(dict.fromkeys([*(sign.point for sign in template.detect), *static]))


async def find(template: Template, registers: Tables, clock: Clock) -> Found:
    """See that it is the device of the template, and read what does not change; nothing is written.

    Raises:
        NotThisDevice: It is another one.
        Unavailable: It does not answer.
    """
    signs = [sign.point for sign in template.detect]
    words = await Reader(template, dict.fromkeys(signs), registers, clock).read()
    for sign in template.detect:
        if not shows(template, sign, words):
            found = text_of(template, words, sign.point) or "nothing that can be"
            raise NotThisDevice(f"this is no {template.title}: {sign.point} is {found}")
    rest = [name for name in looked_at(template) if name not in words]
    words |= await Reader(template, rest, registers, clock).read()
    if not words:  # that anybody is there at all, any of its points tells
        some = next(name for name, point in template.points.items() if not point.write_only)
        await Reader(template, [some], registers, clock).read()
    return Found(template.name, words)


def shows(template: Template, sign: Sign, words: Words) -> bool:
    """Whether what was read is what only this device has."""
    if sign.matches:
        return re.search(sign.matches, text_of(template, words, sign.point) or "") is not None
    value = values_of(template, {sign.point: words.get(sign.point)}).get(sign.point)
    return (
        value is not None
        and (not sign.is_ or value in sign.is_)
        and (sign.least is None or value >= sign.least)
        and (sign.most is None or value <= sign.most)
    )


async def find_or_remember(template: Template, registers: Tables, clock: Clock, directory: Path) -> Found:
    """The device as it is now; where it does not answer, as it was when it did.

    Raises:
        ConfigError: It is another device than the one that this directory belongs to.
        NotThisDevice: It is not the device of the template.
        Unavailable: It does not answer, and never has.
    """
    before = load(directory)
    if before is not None and before.template != template.name:
        raise ConfigError("data", found=f"the directory of a {before.template}", allowed="one of its own")
    try:
        found = await find(template, registers, clock)
    except Unavailable:
        if before is None:
            raise
        return before
    if before is not None:
        was, is_ = label(template, before), label(template, found)
        if was != is_:
            raise ConfigError(
                "device", found=is_, allowed=f"{was}, whose directory this is; another one has another"
            )
        found = msgspec.structs.replace(found, energy=before.energy, spent=before.spent)
    save(directory, found)
    return found


def label(template: Template, found: Found) -> str:
    """Which device it is, as well as it can tell: maker, name and serial number."""
    return f"{template.maker} {template.title} {about(template, found, '').serial}"


def about(template: Template, found: Found, name: str, profiles: tuple[str, ...] = ()) -> About:
    """What the device says of itself, and the template of it.

    Args:
        template: Of the device.
        found: As it was found.
        name: What its owner calls it; empty for what is on its label.
        profiles: That the module claims.
    """
    told = {key: text_of(template, found.words, point) for key, point in template.identity.items()}
    return About(
        name=name or template.title,
        maker=template.maker,
        model=told.get("model") or template.models[0],
        serial=told.get("serial") or "unknown",
        firmware_version=told.get("firmware_version") or "unknown",
        profiles=profiles,
    )


def load(directory: Path) -> Found | None:
    """What was kept; None where nothing was, or nothing can be made of it."""
    return kept.load(directory / _FILE, Found)


def save(directory: Path, found: Found) -> None:
    """Keep it; raises `ConfigError` where the disk does not take it."""
    kept.save(directory / _FILE, found)
