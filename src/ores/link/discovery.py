"""Finding modules on the local network: DNS-SD, service `_ores._tcp`.

What is announced is a hint, never a proof: the key fingerprint in it tells a hub which pin to expect, and TLS
then shows whether it holds. A cold browse takes about 1.2 s, so whoever needs it starts it first.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from zeroconf import (
    BadTypeInNameException,
    InterfaceChoice,
    IPVersion,
    NonUniqueNameException,
    ServiceStateChange,
    Zeroconf,
)
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from ores.link.errors import ConfigError
from ores.link.identity import Identity, id_of
from ores.link.server import BASE_PATH

SERVICE: Final = "_ores._tcp.local."
VERSION: Final = "1"
LOOPBACK: Final = ("127.0.0.1",)
_RESOLVE_MS: Final = 3000
_NAME_MAX_BYTES: Final = 36
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")


class Found(msgspec.Struct, frozen=True):
    """A module as it announces itself; nothing here is proven.

    Attributes:
        id: Of the module.
        fingerprint: SHA-256 of its SPKI, 64 hex digits; the id follows from it.
        name: For people.
        addresses: Where it listens, best first.
        port: TCP.
        path: Of its resources, such as `/ores/v1`.
        version: Of the standard, such as `1`.
    """

    id: str
    fingerprint: str
    name: str
    addresses: tuple[str, ...]
    port: int
    path: str
    version: str


async def announce(
    identity: Identity,
    port: int,
    *,
    name: str,
    interfaces: Sequence[str] | None = None,
    zeroconf: AsyncZeroconf | None = None,
) -> Announcement:
    """Say that a module listens here.

    Args:
        identity: Whose key and id are announced.
        port: TCP port of its server.
        name: For people; the id is added, so two modules of one name do not clash.
        interfaces: Addresses of the interfaces to use, `LOOPBACK` for this machine only; None for all.
        zeroconf: Shared by many announcements of one process.

    Raises:
        ConfigError: Multicast DNS cannot be used here, or the name is taken by a copy of this key.
    """
    own = zeroconf is None
    zeroconf = zeroconf or open_zeroconf(interfaces)
    addresses = tuple(interfaces) if interfaces is not None else await asyncio.to_thread(_own_addresses)
    info = AsyncServiceInfo(
        SERVICE,
        _instance(name, identity.id),
        port=port,
        parsed_addresses=list(addresses),
        server=f"ores-{identity.id}.local.",
        properties={
            "v": VERSION,
            "id": identity.id,
            "path": BASE_PATH,
            "fp": identity.fingerprint,
            "name": _shortened(name),
        },
    )
    try:
        await zeroconf.zeroconf.async_wait_for_start()
        await (await zeroconf.async_register_service(info))
    except (NonUniqueNameException, BadTypeInNameException, OSError) as error:
        if own:
            await zeroconf.async_close()
        raise ConfigError(
            "name", found=f"{name} ({type(error).__name__})", allowed="one module for each key, on a network"
        ) from error
    return Announcement(zeroconf, info, own)


class Announcement:
    """Made by `announce`; stands until it is closed."""

    def __init__(self, zeroconf: AsyncZeroconf, info: AsyncServiceInfo, own: bool) -> None:
        self._zeroconf: Final = zeroconf
        self._info: Final = info
        self._own: Final = own
        self._closed = False

    async def close(self) -> None:
        """Say goodbye; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        await (await self._zeroconf.async_unregister_service(self._info))
        if self._own:
            await self._zeroconf.async_close()


async def browse(
    on_found: Callable[[Found], None],
    on_gone: Callable[[str], None],
    *,
    interfaces: Sequence[str] | None = None,
    zeroconf: AsyncZeroconf | None = None,
) -> Browser:
    """Watch the network for modules.

    Args:
        on_found: Called for each new module, and again when what it announces changes.
        on_gone: Called with the id of a module that said goodbye or fell silent.
        interfaces: As for `announce`.
        zeroconf: Shared with announcements of this process.

    Raises:
        ConfigError: Multicast DNS cannot be used here.
    """
    own = zeroconf is None
    browser = Browser(zeroconf or open_zeroconf(interfaces), own, on_found, on_gone)
    await browser._start()  # noqa: SLF001  two-step start of our own class
    return browser


class Browser:
    """Made by `browse`; watches until it is closed."""

    def __init__(
        self,
        zeroconf: AsyncZeroconf,
        own: bool,
        on_found: Callable[[Found], None],
        on_gone: Callable[[str], None],
    ) -> None:
        self._zeroconf: Final = zeroconf
        self._own: Final = own
        self._on_found: Final = on_found
        self._on_gone: Final = on_gone
        self._known: dict[str, Found] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._browser: AsyncServiceBrowser | None = None

    @property
    def modules(self) -> list[Found]:
        """Who is there now, by id; a module with several entries counts once."""
        return sorted(
            {found.id: found for found in self._known.values()}.values(), key=lambda found: found.id
        )

    async def close(self) -> None:
        """Stop watching; a second call does nothing."""
        browser, self._browser = self._browser, None
        if browser is None:
            return
        await browser.async_cancel()
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        if self._own:
            await self._zeroconf.async_close()

    async def _start(self) -> None:
        await self._zeroconf.zeroconf.async_wait_for_start()
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._changed])

    def _changed(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        if state_change is ServiceStateChange.Removed:
            self._forget(name)
            return
        task = asyncio.ensure_future(self._look(zeroconf, service_type, name))
        self._looking.add(task)
        task.add_done_callback(self._looking.discard)

    async def _look(self, zeroconf: Zeroconf, service_type: str, name: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, _RESOLVE_MS):
            return
        found = read_announcement(info)
        if found is not None and self._known.get(name) != found:
            self._known[name] = found
            self._on_found(found)

    def _forget(self, name: str) -> None:
        gone = self._known.pop(name, None)
        if gone is not None and all(found.id != gone.id for found in self._known.values()):
            self._on_gone(gone.id)


def open_zeroconf(interfaces: Sequence[str] | None = None) -> AsyncZeroconf:
    """One multicast DNS stack, to be shared by what a process announces and browses.

    Raises:
        ConfigError: The interfaces do not exist, or multicast DNS cannot be used on them.
    """
    try:
        for address in interfaces or ():  # zeroconf would leave its sockets behind when one does not exist
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 0))
        return AsyncZeroconf(
            interfaces=InterfaceChoice.All if interfaces is None else list(interfaces),
            ip_version=IPVersion.V4Only,
        )
    except (OSError, RuntimeError) as error:
        raise ConfigError(
            "interfaces", found=f"{interfaces} ({error})", allowed="addresses of interfaces with multicast"
        ) from None


def read_announcement(info: AsyncServiceInfo) -> Found | None:
    """What a service record says, or None when it is no usable module (its id must follow from its key)."""
    text = {key: value or "" for key, value in info.decoded_properties.items()}
    fingerprint = text.get("fp", "")
    addresses = tuple(info.parsed_scoped_addresses())
    if not _FINGERPRINT.fullmatch(fingerprint) or text.get("id") != id_of(fingerprint):
        return None
    if not addresses or not info.port or not text.get("path", "").startswith("/"):
        return None
    return Found(
        id=text["id"],
        fingerprint=fingerprint,
        name=text.get("name") or text["id"],
        addresses=addresses,
        port=info.port,
        path=text["path"],
        version=text.get("v", ""),
    )


def _instance(name: str, module_id: str) -> str:
    """A name that no other module has: dots would end a label, and a label has at most 63 bytes."""
    clean = re.sub(r"[.\x00-\x1f\x7f]", " ", _shortened(name)).strip() or "ores"
    return f"{clean} {module_id}.{SERVICE}"


def _shortened(name: str) -> str:
    return name.encode()[:_NAME_MAX_BYTES].decode("utf-8", "ignore")


def _own_addresses() -> tuple[str, ...]:
    """Addresses of this machine, the one that leads outwards first; loopback where there is no other."""
    found: list[str] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing: only asks for the route
        found.append(probe.getsockname()[0])
    with suppress(OSError):
        entries = socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
        found += [str(entry[4][0]) for entry in entries]
    outside = [address for address in dict.fromkeys(found) if not address.startswith("127.")]
    return tuple(outside) or LOOPBACK
