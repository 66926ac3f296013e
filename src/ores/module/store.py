"""What a module remembers over a reboot, in one file that is replaced in one step.

```
module.json     failsafe limits, policy, settings, the hub's epoch, energy counters
```

A lost or damaged file is not an empty one: whatever limits were agreed must be assumed to have been the
strictest. Then every failsafe limit is 0, with a fault that says so, until a hub writes them anew.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from ores.link.identity import read_private_file, write_private_file
from ores.model import ElementSettings, Limits, Policy

_FILE = "module.json"


class Saved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept.

    Attributes:
        failsafe: By element; an element that is absent is bound by its rating alone.
        strict: Nobody knows what was agreed: all failsafe limits are 0.
        policy: Chosen; None for the module's first.
        settings: By element.
        controller: Id of the hub that `epoch` belongs to.
        epoch: The highest seen of that hub.
        counters_wh: Energy in and out by element.
        counter_epoch: Changes when the counters could have gone backwards.
        latched: Hazards that nobody has reset at the device, by element.
        clean: The module was stopped after this was written, so the counters are exact.
    """

    failsafe: dict[str, Limits] = {}
    strict: bool = False
    policy: Policy | None = None
    settings: dict[str, ElementSettings] = {}
    controller: str = ""
    epoch: int = 0
    counters_wh: dict[str, tuple[float, float]] = {}
    counter_epoch: int = 0
    latched: dict[str, list[str]] = {}
    clean: bool = False


class Store(Protocol):
    """Keeps one `Saved`."""

    def load(self) -> Saved:
        """What was kept; the safe side where that is lost."""
        ...

    def save(self, saved: Saved) -> None:
        """Keep this.

        Raises:
            ConfigError: It cannot be kept; what was kept before still is.
        """
        ...


class MemoryStore:
    """Forgets when the process ends; a module made again with the same one has rebooted."""

    def __init__(self, saved: Saved | None = None) -> None:
        self._saved = Saved(clean=True) if saved is None else saved

    def load(self) -> Saved:
        """What was kept."""
        return self._saved

    def save(self, saved: Saved) -> None:
        """Keep this."""
        self._saved = saved


class FileStore:
    """A file in the module's own directory.

    Args:
        directory: Where the identity and the pins are, too.
        fresh_counter_epoch: For counters that begin anew; must differ from every earlier one, such as the
            wall time in s.
    """

    def __init__(self, directory: Path, *, fresh_counter_epoch: int) -> None:
        self._path = directory / _FILE
        self._paired = directory / "pins.json"
        self._fresh = fresh_counter_epoch

    def load(self) -> Saved:
        """What was kept. A damaged file is put aside as `module.json.damaged`.

        Raises:
            ConfigError: The file cannot be read, or others can read it.
        """
        if not self._path.exists():
            # pins without this file: it was there once, and has been lost
            return Saved(strict=self._paired.exists(), counter_epoch=self._fresh, clean=True)
        data = read_private_file(self._path, "the file from a backup; or remove it to start strictly limited")
        try:
            return msgspec.json.decode(data, type=Saved)
        except (msgspec.DecodeError, UnicodeDecodeError):
            with suppress(OSError):  # a disk that cannot rename will say so when we save
                self._path.replace(self._path.with_suffix(".json.damaged"))
            return Saved(strict=True, counter_epoch=self._fresh, clean=True)

    def save(self, saved: Saved) -> None:
        """Write the file; raises `ConfigError` when the disk does not take it."""
        write_private_file(self._path, msgspec.json.encode(saved))
