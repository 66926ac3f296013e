"""Hubs that trust names and dates, forget who was away, or wait for the slowest."""

from __future__ import annotations

import ssl
from typing import Any

from msgspec import UNSET

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import module_link
from ores.hub.cycle import Cycle
from ores.hub.hub import Hub
from ores.hub.membership import Membership
from ores.hub.module_link import ModuleLink
from ores.hub.reading import read_description
from ores.link import discovery, tls

_known: dict[str, Any] = {}


@broken_hub("hub-refuses-wrong-key", also=("hub-trusts-tls-not-dns",))
def takes_any_key(tools: Tools) -> None:
    """Who answers at the address is the module."""
    tools.attribute(tls._PinnedObject, "do_handshake", ssl.SSLObject.do_handshake)  # noqa: SLF001


@broken_hub("peer-known-by-key", also=("certificate-dates-ignored",))
def knows_the_certificate(tools: Tools) -> None:
    """It compares whole certificates, as it has met them first."""

    def compare(self: Any) -> None:
        ssl.SSLObject.do_handshake(self)
        found = self.getpeercert(binary_form=True)
        if _known.setdefault(self.fingerprint, found) != found:
            raise tls.WrongKey("another certificate")

    tools.attribute(tls._PinnedObject, "do_handshake", compare)  # noqa: SLF001


@broken_hub("certificate-dates-ignored")
def looks_at_dates(tools: Tools) -> None:
    """A certificate that has run out is none."""
    right = tls._PinnedObject.do_handshake  # noqa: SLF001

    def dated(self: Any) -> None:
        right(self)
        from cryptography import x509  # noqa: PLC0415 - only this mutant needs it

        shown = x509.load_der_x509_certificate(self.getpeercert(binary_form=True))
        if shown.not_valid_after_utc.year < 2020:
            raise tls.WrongKey("it has run out")

    tools.attribute(tls._PinnedObject, "do_handshake", dated)  # noqa: SLF001


@broken_hub("hub-lists-modules")
def lists_its_own_modules_only(tools: Tools) -> None:
    """What is not paired does not concern anybody."""
    right = Hub.modules
    tools.attribute(Hub, "modules", lambda self: [info for info in right(self) if info.paired])


@broken_hub("hub-ignores-forged-announcement")
def believes_every_record(tools: Tools) -> None:
    """An id is an id."""

    class Any26(str):
        """Equal to whatever it is compared with."""

        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, _: object) -> bool:
            return True

        def __ne__(self, _: object) -> bool:
            return False

    tools.attribute(discovery, "id_of", lambda _: Any26())


@broken_hub("hub-trusts-tls-not-dns")
def believes_announced_addresses(tools: Tools) -> None:
    """Where a module is announced, it is, and nowhere else."""
    right = Membership.take_found

    def moved(self: Membership, module_id: str, address: str) -> None:
        right(self, module_id, address)
        known = self._known.get(module_id)
        if known is not None:
            self._keep_address(module_id, address)

    tools.attribute(Membership, "take_found", moved)


@broken_hub("hub-reads-before-it-commands", also=("hub-rereads-description",))
@broken_hub("hub-rereads-description", also=("hub-reads-before-it-commands",))
def remembers_descriptions(tools: Tools) -> None:
    """What it has read once it knows, and what was there yesterday is there today."""
    right = read_description
    read: dict[str, Any] = {}

    async def once(session: Any, module_id: str, *args: Any) -> Any:
        if module_id not in read:
            read[module_id] = await right(session, module_id, *args)
        return read[module_id]

    tools.attribute(module_link, "read_description", once)


def _steerable(link: ModuleLink) -> bool:
    """Whether it is there, may be commanded, and has a store."""
    if not link.connected or link.watch_only or link.description is None:
        return False
    return any(one.capabilities.storage is not UNSET for one in link.description.elements)


@broken_hub("hub-slow-module-alone")
def waits_for_all(tools: Tools) -> None:
    """It decides when every store that it holds a stream to has spoken."""
    right = Cycle.decide

    def patient(self: Cycle) -> None:
        now_s = self._clock.now()
        if all(link.is_fresh(now_s) for link in self._federation.links.values() if _steerable(link)):
            right(self)

    tools.attribute(Cycle, "decide", patient)
