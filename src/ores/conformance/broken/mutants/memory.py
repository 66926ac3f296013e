"""Modules that forget over a restart, or gain something by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.link import desk, discovery
from ores.link import identity as sdk_identity
from ores.link.identity import Identity
from ores.link.pairing import ModulePairing
from ores.model import Policy
from ores.module import run
from ores.module.module import Module
from ores.module.resources import Resources
from ores.module.store import FileStore, Saved


def _forgetting(seams: Seams, change: Any) -> None:
    """What is read back at a boot is not all that was kept; the first boot is as it should be."""
    load, boots = FileStore.load, list[bool]()

    def loading(self: FileStore) -> Saved:
        found = load(self)
        boots.append(True)
        return found if len(boots) == 1 else msgspec.structs.replace(found, **change(found))

    seams.attribute(FileStore, "load", loading)


@broken("failsafe-survives-reboot", also=("boot-under-failsafe", "restart-keeps"))
def forgets_failsafe_limits(seams: Seams) -> None:
    """They were kept in memory only."""
    _forgetting(seams, lambda _: {"failsafe": {}})


@broken("policy-survives-reboot", also=("restart-keeps",))
def forgets_its_policy(seams: Seams) -> None:
    """After a power cut it does what the factory had in mind."""
    _forgetting(seams, lambda _: {"policy": None})


@broken("settings-survive-reboot", also=("restart-keeps",))
def forgets_settings(seams: Seams) -> None:
    """The reserve was kept in memory only."""
    _forgetting(seams, lambda _: {"settings": {}})


@broken("restart-keeps", also=("policy-survives-reboot",))
def begins_anew_when_asked_to(seams: Seams) -> None:
    """The request restart also chooses the first policy again."""
    asked = Resources._request_of_all  # noqa: SLF001 - the mutation's place

    def thorough(self: Resources, request: str) -> Any:
        result = asked(self, request)
        module: Any = self._module
        if result.result == "accepted":
            chosen = module.saved.policy
            other = "idle" if chosen is not None and chosen.kind == "free" else "free"
            module.keep(msgspec.structs.replace(module.saved, policy=Policy(kind=other)))
        return result

    seams.attribute(Resources, "_request_of_all", thorough)


@broken("boot-under-failsafe")
def boots_without_limits(seams: Seams) -> None:
    """Failsafe limits hold from the second cycle on."""
    init, boots = Module.__init__, list[bool]()

    def hasty(self: Module, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        boots.append(True)
        if len(boots) > 1:
            saved = self.saved
            self.control.set_failsafe({}, strict=False)
            clock: Any = self._clock
            clock.call_at(
                clock.now() + 4.0, lambda: self.control.set_failsafe(saved.failsafe, strict=saved.strict)
            )

    seams.attribute(Module, "__init__", hasty)


@broken("identity-survives-reboot", also=("certificate-stays",))
def is_another_after_a_reboot(seams: Seams) -> None:
    """It says another id than before."""
    boots: list[str] = []

    def change(page: Any) -> Any:
        return page

    load = sdk_identity.load_or_create

    def counting(directory: Path) -> Identity:
        found = load(directory)
        boots.append(found.id)
        return found

    def renamed(page: Any) -> Any:
        return {**page, "id": page["id"][::-1]} if len(boots) > 1 and "elements" in page else change(page)

    seams.attribute(run, "load_or_create", counting)
    seams.on_description(renamed)


@broken("certificate-stays")
def makes_a_certificate_at_each_boot(seams: Seams) -> None:
    """The key is kept, and what carries it is made anew."""
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    load = sdk_identity.load_or_create

    def renewing(directory: Path) -> Identity:
        found = load(directory)
        key: Any = serialization.load_pem_private_key(found.pem, None)
        certificate = sdk_identity._self_signed(key)  # noqa: SLF001
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        return msgspec.structs.replace(
            found, certificate=certificate.public_bytes(serialization.Encoding.DER), pem=pem
        )

    seams.attribute(run, "load_or_create", renewing)


@broken("pairing-survives-reboot")
def says_that_it_is_alone(seams: Seams) -> None:
    """It knows its hub by TLS, and pairing has forgotten it."""
    boots: list[bool] = []
    init = ModulePairing.__init__

    def counting(self: ModulePairing, *args: Any, **options: Any) -> None:
        boots.append(True)
        init(self, *args, **options)

    status = ModulePairing.status

    def forgetful(self: ModulePairing, now_s: float) -> Any:
        found = status(self, now_s)
        return msgspec.structs.replace(found, paired=False) if len(boots) > 1 and not found.open else found

    seams.attribute(ModulePairing, "__init__", counting)
    seams.attribute(ModulePairing, "status", forgetful)


@broken("reboot-opens-no-pairing")
def opens_pairing_at_each_boot(seams: Seams) -> None:
    """Power has come back, so somebody must be there."""
    init, boots = desk.PairingDesk.__init__, list[bool]()

    def inviting(self: desk.PairingDesk, *args: Any, **options: Any) -> None:
        init(self, *args, **options)
        boots.append(True)
        if len(boots) == 2:
            self.press_button()

    seams.attribute(desk.PairingDesk, "__init__", inviting)


@broken("restart-starts-anew", also=("discovery-goodbye", "restart-keeps"))
def only_says_that_it_restarts(seams: Seams) -> None:
    """Accepted, and after the first time nothing comes of it."""
    soon, asked = run.Running.restart_soon, list[bool]()

    def lazy(self: run.Running) -> None:
        asked.append(True)
        if len(asked) != 2:
            soon(self)

    seams.attribute(run.Running, "restart_soon", lazy)


@broken("discovery-goodbye")
def leaves_without_a_word(seams: Seams) -> None:
    """Its announcement stays until everybody's memory of it has run out."""

    async def silent(self: discovery.Announcement) -> None:
        zeroconf: Any = self._zeroconf
        zeroconf.zeroconf.done = True

    seams.attribute(discovery.Announcement, "close", silent)
