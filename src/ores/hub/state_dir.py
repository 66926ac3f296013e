"""Where a hub keeps what must survive a restart, and that only one hub lives there.

```
DIR/
  lock               held while a hub runs
  identity.pem       key and certificate        } of ores.link.identity
  epoch              how often it has started   }
  pins.json          the modules it is paired with
  modules.json       what it knows of them beside their keys: address, watch mode
  failsafe-ID.json   what a module keeps without a hub, for when it is away
  preferences.json   what the owner wants
  owner.json         name and password hash of the first owner
  access.json        further users and the apps that are let in: hashes of passwords and tokens
  local-token        lets commands of the same user on this machine in without a password
  mqtt.json          energy counters as they were told over MQTT
  history.sqlite     series, events and decisions
```
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import msgspec

from ores.link import codec
from ores.link.errors import ConfigError, InvalidMessage
from ores.link.identity import write_private_file

T = TypeVar("T", bound=msgspec.Struct)

Report = Callable[[str, str], None]
"""Takes a notice: its code and its text."""


class StateDir:
    """An open, locked data directory.

    Args:
        path: Made (mode 0700) where it is missing.

    Raises:
        ConfigError: It cannot be written, or another hub runs in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(
                "--data",
                found=f"{path}: {error.strerror or error}",
                allowed="a directory that can be written",
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(
                "--data",
                found=f"{path}: another hub runs here",
                allowed="one hub per directory: stop the other one or choose another directory",
                code="already_running",
            ) from error

    def close(self) -> None:
        """Let another hub in; a second call does nothing."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def file(self, name: str) -> Path:
        """The path of one of the files above."""
        return self.path / name

    def load(self, name: str, type_: type[T], report: Report) -> T | None:
        """Read a file; a damaged one is set aside and reported, never overwritten and never trusted.

        Returns:
            None where there is none, or none that can be used: the caller takes the safe default.

        Raises:
            ConfigError: It is there and cannot be read (rights, disk).
        """
        path = self.file(name)
        try:
            return codec.decode(type_, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ConfigError(
                str(path), found=error.strerror or str(error), allowed="a file that this user can read"
            ) from error
        except InvalidMessage as error:
            aside = set_aside(path)
            report(
                "file_damaged",
                f"{name} is damaged ({error.detail}); it was set aside as {aside.name}, safe defaults hold.",
            )
            return None

    def has_lost(self, name: str) -> bool:
        """Whether a damaged file was set aside and nothing has taken its place: safe defaults hold still."""
        return not self.file(name).exists() and any(self.path.glob(f"{name}.damaged-*"))

    def save(self, name: str, value: msgspec.Struct) -> None:
        """Replace a file in one step.

        Raises:
            ConfigError: The disk is full or not writable; the old file is untouched.
            InvalidMessage: The value is not one that could be read back.
        """
        write_private_file(self.file(name), codec.encode(value))


def set_aside(path: Path) -> Path:
    """Rename a damaged file so that it is neither used nor lost; returns its new path."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    return aside
