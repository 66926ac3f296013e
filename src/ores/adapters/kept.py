"""What an adapter keeps over a restart: one private file of JSON, which can be lost without harm."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

import msgspec

from ores.link.identity import read_private_file, write_private_file

SAVE_S: Final = 900.0
"""Between two times that energy counters are kept: flash wears out."""

T = TypeVar("T", bound=msgspec.Struct)


def load(path: Path, kind: type[T], advice: str = "have the device found again") -> T | None:
    """What was kept; None where nothing was, or nothing can be made of it.

    All that is lost then is found again, and counters get a new epoch where they must.

    Args:
        path: Of the file.
        kind: What it holds.
        advice: What a person has by removing it, where it cannot be read.

    Raises:
        ConfigError: It cannot be read, or is open to others.
    """
    if not path.exists():
        return None
    data = read_private_file(path, f"the file removed, to {advice}")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError:
        return None


def save(path: Path, what: msgspec.Struct) -> None:
    """Keep it; raises `ConfigError` where the disk does not take it."""
    write_private_file(path, msgspec.json.encode(what))
