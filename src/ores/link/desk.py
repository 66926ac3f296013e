"""Where a module answers pairing: the pure machine of `pairing`, put to work on a clock, pins and a disk."""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Peer, Reply
from ores.link.errors import ConfigError, InvalidMessage
from ores.link.identity import Identity, read_private_file, write_private_file
from ores.link.pairing import ModulePairing, PairingRefused, code_of, new_secret, secret_of
from ores.link.pins import Pins
from ores.link.problems import TITLES, problem
from ores.model import PairingConfirm, PairingStart, PairingStatus

PATHS: Final = {"/pairing": ("GET", "DELETE"), "/pairing/start": ("POST",), "/pairing/confirm": ("POST",)}
STRANGER: Final = Peer(id="", role="stranger")
_BODY_MAX_BYTES: Final = 4096
_log: Final = logging.getLogger(__name__)


def load_or_create_secret(path: Path) -> bytes:
    """The secret behind a module's label, kept as the code itself so that a person can read it there.

    Raises:
        ConfigError: The file is damaged, open to others, or cannot be written.
    """
    if not path.exists():
        secret = new_secret()
        keep_secret(path, secret)
        return secret
    advice = "the code on the module's label; or remove the file for a new code"
    text = read_private_file(path, advice)
    try:
        return secret_of(text.decode("ascii"))
    except (ConfigError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), found=f"no code ({error})", allowed=advice) from None


def keep_secret(path: Path, secret: bytes) -> None:
    """Write the code of a secret as the label.

    Raises:
        ConfigError: The file cannot be written.
    """
    write_private_file(path, f"{code_of(secret)}\n".encode())


class PairingDesk:
    """Answers `/pairing` and what lies below it, and keeps what of it must outlive a reboot.

    Args:
        identity: The module's own.
        pins: Where a hub that has proven itself goes.
        clock: Measures windows and lock-outs.
        secret: Behind the code on the label.
        allow_observers: The owner lets further hubs read.
        seal: A file that is there while an unpaired module opens only by an act at the device; in memory only
            without one.
    """

    def __init__(
        self,
        identity: Identity,
        pins: Pins,
        clock: Clock,
        *,
        secret: bytes,
        allow_observers: bool = False,
        seal: Path | None = None,
    ) -> None:
        controller = pins.controller()
        self._seal: Final = seal
        self._pins: Final = pins
        self._clock: Final = clock
        self._secret = secret
        self._machine: Final = ModulePairing(
            identity.fingerprint,
            secret,
            controller=None if controller is None else controller.fingerprint,
            allow_observers=allow_observers,
            act_needed=seal is not None and seal.exists(),
        )

    @property
    def code(self) -> str:
        """What the label shows."""
        return code_of(self._secret)

    def press_button(self) -> float:
        """Listen for ten minutes; returns 0, or the seconds for which a lock-out holds the button off."""
        return self._machine.press_button(self._clock.now())

    def reset(self, secret: bytes | None = None) -> None:
        """Factory reset: forget every hub.

        Args:
            secret: A new one, and the old label is void. None: there is nothing but a printed label, which
                stays. Pairing is then open for ten minutes, and later only by an act at the device.

        Raises:
            ConfigError: The pins or the seal cannot be written; the pins are then unchanged.
        """
        if secret is None:
            self._keep_seal()
        self._pins.clear()
        if secret is None:
            self._machine.reset(self._secret)
            self._machine.free(self._clock.now())
            return
        self._secret = secret
        self._machine.reset(secret)
        if self._seal is not None:
            with suppress(OSError):  # one that stays only asks for a button that need not be
                self._seal.unlink(missing_ok=True)

    def pins_are_lost(self) -> None:
        """Who controlled it is not known any more: it opens by an act at the device only (SAFE-012)."""
        self._machine.lost()
        try:
            self._keep_seal()
        except ConfigError as error:  # it holds for this boot; a module that works is worth more than none
            _log.error("that the pins are lost could not be kept: %s", error.detail)

    def release(self, peer: Peer) -> PairingStatus:
        """A paired peer gives up its own pin; one that controlled leaves pairing open for ten minutes.

        Raises:
            ConfigError: It cannot be kept; the pin then is there still.
        """
        now_s = self._clock.now()
        if peer.role == "controller":
            self._keep_seal()  # before the pin: a module without either would be open for ever
        self._pins.remove(peer.id)
        if peer.role == "controller":
            self._machine.free(now_s)
        return self._machine.status(now_s)

    def answer(self, method: str, path: str, body: bytes, peer: Peer = STRANGER) -> Reply:
        """Answer one request to a path of `PATHS`; every refusal is a problem with its own code.

        Args:
            method: Of HTTP.
            path: Below the base path.
            body: As it came.
            peer: Who asks; it matters for a release only.
        """
        if method not in PATHS[path]:
            known = PATHS[path]
            return problem("method_not_allowed", f"{path} knows {', '.join(known)} only", allow=known)
        if method == "DELETE":
            return self._answer_release(peer)
        try:
            return Reply(200, msgspec.json.encode(self._answer(path, body)))
        except PairingRefused as refused:
            return problem(refused.code, refused.detail, retry_after_s=refused.retry_after_s)
        except InvalidMessage as invalid:
            return _of_invalid(invalid)
        except ConfigError as error:  # the pins could not be kept: neither side may believe that it is paired
            _log.error("pairing could not be kept: %s", error.detail)
            return problem(
                "storage_failed", f"the pairing could not be kept ({Path(error.setting).name}: {error.found})"
            )

    def _answer_release(self, peer: Peer) -> Reply:
        if self._pins.get(peer.id) is None:
            return problem("forbidden", "only a paired peer has a pin that it could give up")
        try:
            return Reply(200, msgspec.json.encode(self.release(peer)))
        except ConfigError as error:
            _log.error("a release could not be kept: %s", error.detail)
            return problem(
                "storage_failed", f"the pin is still there ({Path(error.setting).name}: {error.found})"
            )

    def _keep_seal(self) -> None:
        if self._seal is not None:
            write_private_file(self._seal, b"an unpaired module opens by its button only\n")

    def _answer(self, path: str, body: bytes) -> msgspec.Struct:
        now_s = self._clock.now()
        if path == "/pairing":
            return self._machine.status(now_s)
        if path == "/pairing/start":
            start = codec.decode(PairingStart, body, limit_bytes=_BODY_MAX_BYTES, unique_keys=True)
            return self._machine.start(now_s, start)
        confirm = codec.decode(PairingConfirm, body, limit_bytes=_BODY_MAX_BYTES, unique_keys=True)
        hub = self._machine.confirm(now_s, confirm)
        self._pins.add(hub)
        return self._machine.paired(hub)


def _of_invalid(error: InvalidMessage) -> Reply:
    """The problem of a message that its schema does not allow.

    What was found in it may be a code or a proof, and errors end up in logs (ERR-005).
    """
    if error.code in TITLES and error.code != "invalid_message":
        return problem(error.code, error.detail, field=error.field, found=error.found, allowed=error.allowed)
    detail = f"{error.field or '$'}: allowed is {error.allowed or 'what its schema says'}"
    return problem("invalid_message", detail, field=error.field, allowed=error.allowed)
