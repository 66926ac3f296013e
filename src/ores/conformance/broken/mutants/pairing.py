"""Modules that let in whom they should not, or keep out whom they should let in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography import x509

from ores.conformance.broken.any_certificate import take_any_certificate
from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.link import desk, pairing, pins, server
from ores.link.endpoint import Peer, Reply
from ores.link.identity import spki_fingerprint
from ores.link.pairing import ModulePairing, PairingRefused
from ores.link.pins import Pin
from ores.model import PairingChallenge, PairingConfirm, PairingStart, PairingStatus
from ores.module import Module
from ores.module.leases import LeaseBook


@broken("pairing-status")
def says_a_reason_while_it_is_open(seams: Seams) -> None:
    """The field is always there, and says nothing."""
    status = ModulePairing.status

    def chatty(self: ModulePairing, now_s: float) -> PairingStatus:
        found = status(self, now_s)
        return msgspec.structs.replace(found, closed_because="none") if found.open else found

    seams.attribute(ModulePairing, "status", chatty)


@broken("pairing-wrong-code")
def calls_a_wrong_code_a_replay(seams: Seams) -> None:
    """Its list of codes of errors has slipped by a line."""
    confirm = ModulePairing.confirm

    def slipped(self: ModulePairing, now_s: float, message: PairingConfirm) -> Pin:
        try:
            return confirm(self, now_s, message)
        except PairingRefused as refused:
            if refused.code == "pairing_wrong_code":
                raise PairingRefused(refused.detail, code="pairing_replayed") from None
            raise

    seams.attribute(ModulePairing, "confirm", slipped)


@broken("pairing-one-answer")
def lets_one_guess_again(seams: Seams) -> None:
    """A wrong proof leaves the start as it was."""
    confirm = ModulePairing.confirm

    def patient(self: ModulePairing, now_s: float, message: PairingConfirm) -> Pin:
        pending = self._pending
        try:
            return confirm(self, now_s, message)
        except PairingRefused as refused:
            if refused.code == "pairing_wrong_code":
                self._pending = pending
            raise

    seams.attribute(ModulePairing, "confirm", patient)


@broken("pairing-newest-start-counts")
def remembers_older_starts(seams: Seams) -> None:
    """It keeps a list where one place is enough."""
    start, confirm = ModulePairing.start, ModulePairing.confirm
    kept: dict[str, Any] = {}

    def keeping(self: ModulePairing, now_s: float, message: PairingStart) -> PairingChallenge:
        challenge = start(self, now_s, message)
        kept[message.hub_nonce] = self._pending
        return challenge

    def recalling(self: ModulePairing, now_s: float, message: PairingConfirm) -> Pin:
        self._pending = kept.pop(message.hub_nonce, None)
        return confirm(self, now_s, message)

    seams.attribute(ModulePairing, "start", keeping)
    seams.attribute(ModulePairing, "confirm", recalling)


@broken("pairing-nonce-fresh")
def has_one_nonce(seams: Seams) -> None:
    """Its source of random numbers is a constant."""
    constant = hashlib.sha256(b"random").digest()
    begin = ModulePairing.__init__

    def numb(self: ModulePairing, *args: Any, **options: Any) -> None:
        begin(self, *args, **options, random=lambda length: constant[:length])

    seams.attribute(ModulePairing, "__init__", numb)


@broken("pairing-proof")
def proves_without_its_key(seams: Seams) -> None:
    """Its proof is over the hub's key twice: who sits between could pass it on."""
    proof = ModulePairing._proof  # noqa: SLF001

    def loose(self: ModulePairing, pending: Any, side: Any) -> str:
        if side == "hub":
            return proof(self, pending, side)
        return pairing.proof(
            self._secret,
            side,
            module_fingerprint=pending.hub.fingerprint,
            hub_fingerprint=pending.hub.fingerprint,
            hub_nonce=pending.hub_nonce,
            module_nonce=pending.module_nonce,
            role=pending.hub.role,
        )

    seams.attribute(ModulePairing, "_proof", loose)


@broken("pairing-closed-when-paired", also=("reboot-opens-no-pairing",))
def is_always_open_to_observers(seams: Seams) -> None:
    """Paired or not, a start is considered: an observer is turned away for another reason."""
    closed = ModulePairing._closed_because  # noqa: SLF001

    def ajar(self: ModulePairing, now_s: float) -> PairingRefused | None:
        found = closed(self, now_s)
        return None if found is not None and found.code == "pairing_closed" else found

    seams.attribute(ModulePairing, "_closed_because", ajar)


@broken("pairing-one-controller", also=("pairing-closed-when-paired", "reboot-opens-no-pairing"))
def takes_a_second_controller(seams: Seams) -> None:
    """Whoever comes last commands as well."""
    closed, check = ModulePairing._closed_because, ModulePairing._check_hub  # noqa: SLF001

    def open_to_all(self: ModulePairing, now_s: float) -> PairingRefused | None:
        found = closed(self, now_s)
        return None if found is not None and found.code == "pairing_closed" else found

    def takes_all(self: ModulePairing, message: PairingStart) -> Pin:
        controller, self._controller = self._controller, None
        try:
            return check(self, message)
        finally:
            self._controller = controller

    seams.attribute(ModulePairing, "_closed_because", open_to_all)
    seams.attribute(ModulePairing, "_check_hub", takes_all)


@broken("pairing-bad-certificate", variant="subject")
def pins_any_name(seams: Seams) -> None:
    """It reads the key out of the certificate and looks at nothing else."""

    def careless(certificate: bytes) -> str:
        return spki_fingerprint(certificate)

    seams.attribute(pins, "check_certificate", careless)


@broken("pairing-replay")
def takes_a_nonce_twice(seams: Seams) -> None:
    """It remembers no nonces."""
    start = ModulePairing.start

    def forgetful(self: ModulePairing, now_s: float, message: PairingStart) -> PairingChallenge:
        self._seen.clear()
        return start(self, now_s, message)

    seams.attribute(ModulePairing, "start", forgetful)


@broken("pairing-observer-refused")
def answers_observers_wrongly(seams: Seams) -> None:
    """It refuses them, with the code for something else."""
    check = ModulePairing._check_hub  # noqa: SLF001

    def confused(self: ModulePairing, message: PairingStart) -> Pin:
        if message.role == "observer":
            raise PairingRefused("observers come later", code="pairing_has_controller")
        return check(self, message)

    seams.attribute(ModulePairing, "_check_hub", confused)


@broken("pairing-release", also=("tls-unpinned-dropped",))
def releases_in_words_only(seams: Seams) -> None:
    """The pin is forgotten by pairing, and not by TLS."""
    remove = pins.Pins.remove
    kept: list[Pin] = []

    def half(self: pins.Pins, module_id: str) -> None:
        kept.extend(entry for entry in self if entry.id == module_id)
        before = tuple(self)
        remove(self, module_id)
        self._replace(
            {entry.fingerprint: msgspec.structs.replace(entry, role="observer") for entry in before}
        )

    seams.attribute(pins.Pins, "remove", half)


@broken("tls-unpinned-dropped")
def leaves_streams_open(seams: Seams) -> None:
    """Whoever is inside stays inside."""
    seams.attribute(server.Server, "_drop_unpinned", lambda self: None)  # noqa: ARG005


@broken("pairing-release-opens")
def closes_behind_its_hub(seams: Seams) -> None:
    """After a release it says that its button is to be pressed, and forgets that at once."""
    release, answer = desk.PairingDesk.release, desk.PairingDesk.answer
    released: list[bool] = []

    def remembering(self: desk.PairingDesk, peer: Peer) -> PairingStatus:
        if not released:
            released.append(True)
        return release(self, peer)

    def sulking(
        self: desk.PairingDesk, method: str, path: str, body: bytes, peer: Peer = desk.STRANGER
    ) -> Reply:
        if released == [True] and (method, path) == ("GET", "/pairing"):
            released.append(False)
            return Reply(200, b'{"open":false,"paired":false,"closed_because":"pairing_closed"}')
        return answer(self, method, path, body, peer)

    seams.attribute(desk.PairingDesk, "release", remembering)
    seams.attribute(desk.PairingDesk, "answer", sulking)


def _when_released(seams: Seams, then: Callable[[Module], None]) -> None:
    """Do something else when the controller has gone; `then` is called after what is right."""
    right = Module.controlled_by

    def controlled_by(self: Module, controller: str | None) -> None:
        right(self, controller)
        if controller is None:
            then(self)

    seams.attribute(Module, "controlled_by", controlled_by)


@broken("pairing-release-keeps-failsafe")
def takes_a_release_for_a_reset(seams: Seams) -> None:
    """Its failsafe limits go with its hub."""
    _when_released(
        seams, lambda module: module.keep_and_use(msgspec.structs.replace(module.saved, failsafe={}))
    )


@broken("pairing-release-forgets-epoch")
def remembers_how_far_its_hub_had_counted(seams: Seams) -> None:
    """A hub that is set up anew is taken for an old one."""
    right = Module.controlled_by

    def controlled_by(self: Module, controller: str | None) -> None:
        book = self.control.book
        right(self, controller)
        if controller is None and book.controller:
            self.control.book = LeaseBook(book.boot_id, book.controller, book.epoch, book.seq)

    seams.attribute(Module, "controlled_by", controlled_by)


@broken("certificate-dates-ignored")
def looks_at_dates(seams: Seams) -> None:
    """It has a clock and is proud of it."""
    check = ModulePairing._check_hub  # noqa: SLF001

    def strict(self: ModulePairing, message: PairingStart) -> Pin:
        found = x509.load_der_x509_certificate(base64.b64decode(message.hub_certificate))
        if found.not_valid_after_utc.year < 2020:
            raise PairingRefused("this certificate is no longer valid", code="pairing_bad_certificate")
        return check(self, message)

    seams.attribute(ModulePairing, "_check_hub", strict)


@broken("peer-known-by-key")
def knows_its_hub_by_name(seams: Seams) -> None:
    """The common name of a certificate is what it looks for among its pins."""

    def of(self: pins.Pins, certificate: bytes) -> Pin | None:
        subject = x509.load_der_x509_certificate(certificate).subject
        name = subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value
        return next((entry for entry in self if entry.id == name), None)

    take_any_certificate(seams)
    seams.attribute(pins.Pins, "of", of)


@broken("unpinned-lease-ends")
def obeys_who_has_gone(seams: Seams) -> None:
    """The lease of a controller that was removed goes on, at least until the next one."""
    right = Module.controlled_by
    left: list[LeaseBook] = []

    def controlled_by(self: Module, controller: str | None) -> None:
        if controller is None:
            left.append(self.control.book)
        right(self, controller)
        if controller is not None and left:
            old = left.pop()
            self.control.book = LeaseBook(old.boot_id, controller, 0, 0, old.lease, old.expires_at_s)

    seams.attribute(Module, "controlled_by", controlled_by)


@broken("pairing-locks", variant="later", also=("pairing-lock-holds",))
def locks_after_seven(seams: Seams) -> None:
    """Two more guesses for everybody."""
    seams.attribute(pairing, "TRIES_MAX", 7)


@broken("pairing-lock-holds")
def unlocks_by_itself(seams: Seams) -> None:
    """After a second all is forgotten."""
    closed = ModulePairing._closed_because  # noqa: SLF001

    def forgiving(self: ModulePairing, now_s: float) -> PairingRefused | None:
        if self._locked_at_s is not None and now_s > self._locked_at_s + 1:
            self._locked_at_s, self._tries = None, 0
        return closed(self, now_s)

    seams.attribute(ModulePairing, "_closed_because", forgiving)
