"""Which modules are ours, where they are, and which were found and wait for their code."""

from __future__ import annotations

from contextlib import suppress

import msgspec

from ores.hub.federation import Federation
from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.clock import Clock
from ores.link.endpoint import Session
from ores.link.errors import ConfigError, InvalidMessage, OresError, Unavailable
from ores.link.identity import Identity
from ores.link.pairing import secret_of
from ores.link.pins import Pin, Pins
from ores.model import ModuleForgotten, PairModule

FILE = "modules.json"
FOUND_MAX = 256
RELEASE_S = 5.0
"""How long a person who removes a module waits for its answer at most."""


class Known(msgspec.Struct, frozen=True):
    """What is kept of one module beside its key."""

    address: str = ""
    watch_only: bool = False


class KnownFile(msgspec.Struct, frozen=True):
    """The file."""

    modules: dict[str, Known] = {}


class Membership:
    """Pairs, joins, watches and forgets modules.

    Args:
        directory: Keeps addresses and watch modes.
        identity: The hub's.
        pins: The keys of paired modules.
        federation: Talks to those that are paired.
        clock: Process time.
        notices: Learns when the file was damaged or cannot be written.
        name: What people call the hub.
    """

    def __init__(
        self,
        directory: StateDir,
        identity: Identity,
        pins: Pins,
        federation: Federation,
        clock: Clock,
        *,
        notices: Notices,
        name: str,
    ) -> None:
        self._directory = directory
        self._identity = identity
        self._pins = pins
        self._federation = federation
        self._clock = clock
        self._name = name
        self.found: dict[str, str] = {}
        self._notices = notices
        self._known = self._load()

    def join_paired(self) -> None:
        """Begin to talk to every paired module."""
        for entry in sorted(self._pins, key=lambda entry: entry.id):
            self._join(entry)

    def address(self, module_id: str) -> str:
        """`host:port`, empty where it is not known."""
        return self.found.get(module_id) or self._known.get(module_id, Known()).address

    def take_found(self, module_id: str, address: str) -> None:
        """Discovery has seen a module at `host:port`; a known one that has moved is met at its new place.

        Nothing announced is proven: an address is kept only when the module's key has been met there.
        """
        if module_id not in self.found and len(self.found) >= FOUND_MAX:
            del self.found[next(iter(self.found))]
        self.found[module_id] = address
        if (link := self._federation.links.get(module_id)) is not None:
            link.try_now()

    def take_lost(self, module_id: str) -> None:
        """Discovery no longer sees it; what is paired is still tried at its last place."""
        self.found.pop(module_id, None)

    async def pair(self, wanted: PairModule) -> str:
        """Pair by the owner's code and begin to talk.

        Returns:
            The module's id.

        Raises:
            InvalidMessage: Code or address cannot be one, or neither id nor address is given.
            Unavailable: The module of this id was not found on the network.
            OresError: As `ores.link.client.pair`.
        """
        from ores.link import client  # noqa: PLC0415  aiohttp's client is not needed for the first page

        _check_code(wanted.code)
        host, port = self._where(wanted)
        expected_id = None if wanted.id is msgspec.UNSET else wanted.id
        entry = await client.pair(
            host, port, self._identity, wanted.code, self._clock, name=self._name, expected_id=expected_id
        )
        self._pins.add(entry)
        self._keep_address(entry.id, join_address(host, port))
        self._join(entry)
        return entry.id

    async def forget(self, module_id: str) -> ModuleForgotten | None:
        """Trust a module no more, and release it where it can be reached.

        Returns:
            Whether it was released, and if not, why; None when it was not ours.

        Raises:
            ConfigError: It cannot be kept; nothing has happened then.
        """
        entry = self._pins.get(module_id)
        if entry is None and module_id not in self._federation.links:
            return None
        self._pins.remove(module_id)  # first: what cannot be written has not happened
        await self._federation.leave(module_id)  # a small module holds two connections, no more
        forgotten = await self._release(entry)
        if self._known.pop(module_id, None) is not None:
            self._save()
        return forgotten

    async def _release(self, entry: Pin | None) -> ModuleForgotten:
        """Ask a module to give up our pin; nobody waits long for one that is away."""
        from ores.link import client  # noqa: PLC0415  see pair

        if entry is None:
            return ModuleForgotten(released=False, detail="it is not paired over the network")
        try:
            async with self._clock.timeout(RELEASE_S):
                session = await self._connect(entry)
                try:
                    await client.release(session)
                finally:
                    await session.close()
        except OresError as error:
            return ModuleForgotten(released=False, detail=error.detail)
        return ModuleForgotten(released=True)

    def watch(self, module_id: str, *, watch_only: bool) -> bool:
        """Only read a module, or control it too; returns whether it is ours."""
        link = self._federation.links.get(module_id)
        if link is None:
            return False
        known = self._known.get(module_id, Known())
        self._keep(module_id, msgspec.structs.replace(known, watch_only=watch_only))
        link.set_watch_only(watch_only=watch_only)
        self._federation.on_changed(module_id)
        return True

    def watch_only(self, module_id: str) -> bool:
        """Whether the owner lets it only be read."""
        return self._known.get(module_id, Known()).watch_only

    def _join(self, entry: Pin) -> None:
        async def connect() -> Session:
            return await self._connect(entry)

        self._federation.join(entry.id, connect, watch_only=self.watch_only(entry.id))

    async def _connect(self, entry: Pin) -> Session:
        from ores.link import client  # noqa: PLC0415  see pair

        failed: OresError = Unavailable("it has not been found on the network yet", code="not_found_yet")
        # where it was last met may be right though somebody else announces its id
        known = self._known.get(entry.id, Known()).address
        for address in dict.fromkeys((self.found.get(entry.id) or known, known)):
            if not address:
                continue
            host, port = split_address(address)
            try:
                session = await client.connect(host, port, self._identity, entry, self._clock)
            except OresError as error:
                failed = error
                continue
            self._met_at(entry.id, address)
            return session
        raise failed

    def _met_at(self, module_id: str, address: str) -> None:
        try:
            self._keep_address(module_id, address)
        except ConfigError as error:  # a full disk: it is met at its new place all the same
            self._notices.raise_("not_saved", f"a module's new address: {error.detail}")

    def _keep_address(self, module_id: str, address: str) -> None:
        known = self._known.get(module_id, Known())
        if known.address != address:
            self._keep(module_id, msgspec.structs.replace(known, address=address))

    def _where(self, wanted: PairModule) -> tuple[str, int]:
        if wanted.address is not msgspec.UNSET:
            return split_address(wanted.address)
        if wanted.id is msgspec.UNSET:
            raise InvalidMessage(
                "$: found neither id nor address, allowed is one of them",
                field="$",
                found="neither id nor address",
                allowed="the id of a module that was found, or an address",
            )
        address = self.address(wanted.id)
        if not address:
            raise Unavailable(
                f"no module {wanted.id} was found on the network; is it on? Its address can be given instead",
                code="not_found_yet",
            )
        return split_address(address)

    def _load(self) -> dict[str, Known]:
        lost = self._directory.has_lost(FILE)  # and since then the disk has been full

        def report(code: str, text: str) -> None:
            nonlocal lost
            lost = True
            self._notices.raise_(code, f"{text} All modules are only watched until you allow control again.")

        if lost:
            report("file_damaged", f"{FILE} was damaged, safe defaults hold.")
        kept = self._directory.load(FILE, KnownFile, report)
        if lost:
            known = {entry.id: Known(watch_only=True) for entry in self._pins}
            with suppress(ConfigError):  # until the disk takes it, what was set aside says so at each start
                self._directory.save(FILE, KnownFile(modules=known))
            return known
        return {} if kept is None else dict(kept.modules)

    def _keep(self, module_id: str, known: Known) -> None:
        self._known[module_id] = known
        self._save()

    def _save(self) -> None:
        self._directory.save(FILE, KnownFile(modules=dict(sorted(self._known.items()))))


def _check_code(code: str) -> None:
    try:
        secret_of(code)
    except ConfigError as error:
        raise InvalidMessage(
            f"$.code: {error.detail}", field="$.code", found=str(error.found), allowed=error.allowed
        ) from None


def split_address(address: str) -> tuple[str, int]:
    """`host:port`, `[::1]:port` as its two parts.

    Raises:
        InvalidMessage: It is none.
    """
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise InvalidMessage(
            f"$.address: found {address[:80]!r}, allowed is host:port",
            field="$.address",
            found=address[:80],
            allowed="host:port, such as 192.168.1.20:8443",
        )
    return host, int(port)


def join_address(host: str, port: int) -> str:
    """The two parts as one text, the other way round."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
