"""Whom we trust: the keys we have paired with, changeable while everything runs.

A pin is a peer's key with the role it was given. The set is written to disk before a pairing is answered:
after a power cut both sides remember the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final, Literal

import msgspec

from ores.link.errors import ConfigError
from ores.link.identity import (
    check_certificate,
    id_of,
    read_private_file,
    spki_fingerprint,
    write_private_file,
)

Role = Literal["controller", "observer", "module"]
"""What a pinned peer is to us: our hub, a hub that only reads, or a module that we talk to."""


class Pin(msgspec.Struct, frozen=True):
    """One peer that we trust.

    Attributes:
        id: Derived from its key.
        fingerprint: SHA-256 of its SPKI, 64 hex digits; this is what is compared.
        role: What it may do.
        name: What people call it.
        certificate: DER; carries the key into OpenSSL's store.
    """

    id: str
    fingerprint: str
    role: Role
    name: str
    certificate: bytes


def pin(certificate: bytes, role: Role, name: str = "") -> Pin:
    """Make a pin of a certificate.

    Raises:
        ValueError: The certificate cannot be pinned; says why.
    """
    fingerprint = check_certificate(certificate)
    return Pin(id=id_of(fingerprint), fingerprint=fingerprint, role=role, name=name, certificate=certificate)


class Pins:
    """The set of pins; whoever serves or connects sees a change at once.

    Args:
        entries: To start with.
        path: Where to keep them; in memory only without one.
    """

    def __init__(self, entries: Iterable[Pin] = (), *, path: Path | None = None) -> None:
        self._by_fingerprint = {entry.fingerprint: entry for entry in entries}
        self._path: Final = path
        self.version = 0  # rises with each change
        self._watchers: list[Callable[[], None]] = []

    @staticmethod
    def load(path: Path) -> Pins:
        """Read the set from a file; empty where there is none yet.

        Raises:
            ConfigError: The file is damaged or open to others.
        """
        if not path.exists():
            return Pins(path=path)
        advice = "the file from a backup; or remove it, reset the modules and pair again"
        data = read_private_file(path, advice)
        try:
            entries = msgspec.json.decode(data, type=list[Pin])
            checked = [pin(entry.certificate, entry.role, entry.name) for entry in entries]
        except (msgspec.DecodeError, ValueError) as error:
            raise ConfigError(str(path), found=f"a damaged file ({error})", allowed=advice) from None
        if checked != entries:
            raise ConfigError(str(path), found="ids that do not belong to their keys", allowed=advice)
        return Pins(checked, path=path)

    def __iter__(self) -> Iterator[Pin]:
        return iter(tuple(self._by_fingerprint.values()))

    def __len__(self) -> int:
        return len(self._by_fingerprint)

    def get(self, module_id: str) -> Pin | None:
        """The pin of an id, if there is one."""
        return next((entry for entry in self._by_fingerprint.values() if entry.id == module_id), None)

    def of(self, certificate: bytes) -> Pin | None:
        """The pin of whoever proved to own this certificate's key, if there is one."""
        return self._by_fingerprint.get(spki_fingerprint(certificate))

    def controller(self) -> Pin | None:
        """The one hub that controls us, if we are paired."""
        return next((entry for entry in self._by_fingerprint.values() if entry.role == "controller"), None)

    def add(self, entry: Pin) -> None:
        """Trust a peer from now on; replaces its earlier pin.

        Raises:
            ConfigError: The set cannot be written; it is then unchanged.
        """
        self._replace({**self._by_fingerprint, entry.fingerprint: entry})

    def remove(self, module_id: str) -> None:
        """Trust a peer no longer; its open connections are closed. Unknown ids are ignored.

        Raises:
            ConfigError: The set cannot be written; it is then unchanged.
        """
        self._replace({key: entry for key, entry in self._by_fingerprint.items() if entry.id != module_id})

    def clear(self) -> None:
        """Trust nobody any longer: factory reset, or transfer to a new owner.

        Raises:
            ConfigError: The set cannot be written; it is then unchanged.
        """
        self._replace({})

    def watch(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Call back after each change.

        Returns:
            Ends the watch.
        """
        self._watchers.append(changed)
        return lambda: self._watchers.remove(changed)

    def _replace(self, entries: dict[str, Pin]) -> None:
        if self._path is not None:
            write_private_file(self._path, msgspec.json.encode(list(entries.values())))
        self._by_fingerprint = entries
        self.version += 1
        for watcher in tuple(self._watchers):
            watcher()
