"""Where a module answers pairing: the pure machine of `pairing`, put to work on a clock, pins and a disk."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

import msgspec

from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Reply
from ores.link.errors import ConfigError, InvalidMessage
from ores.link.identity import Identity, read_private_file, write_private_file
from ores.link.pairing import ModulePairing, PairingRefused, code_of, new_secret, secret_of
from ores.link.pins import Pins
from ores.link.problems import TITLES, problem
from ores.model import PairingConfirm, PairingStart

PATHS: Final = {"/pairing": "GET", "/pairing/start": "POST", "/pairing/confirm": "POST"}
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
    """Answers `/pairing`, `/pairing/start` and `/pairing/confirm`.

    Args:
        identity: The module's own.
        pins: Where a hub that has proven itself goes.
        clock: Measures windows and lock-outs.
        secret: Behind the code on the label.
        allow_observers: The owner lets further hubs read.
    """

    def __init__(
        self, identity: Identity, pins: Pins, clock: Clock, *, secret: bytes, allow_observers: bool = False
    ) -> None:
        controller = pins.controller()
        self._pins: Final = pins
        self._clock: Final = clock
        self._secret = secret
        self._machine: Final = ModulePairing(
            identity.fingerprint,
            secret,
            controller=None if controller is None else controller.fingerprint,
            allow_observers=allow_observers,
        )

    @property
    def code(self) -> str:
        """What the label shows."""
        return code_of(self._secret)

    def press_button(self) -> float:
        """Listen for ten minutes; returns 0, or the seconds for which a lock-out holds the button off."""
        return self._machine.press_button(self._clock.now())

    def reset(self, secret: bytes) -> None:
        """Factory reset or transfer: forget every hub; the old label is void.

        Raises:
            ConfigError: The pins cannot be written; nothing has changed then.
        """
        self._pins.clear()
        self._secret = secret
        self._machine.reset(secret)

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answer one request to a path of `PATHS`; every refusal is a problem with its own code."""
        if PATHS[path] != method:
            return problem("method_not_allowed", f"{path} knows {PATHS[path]} only")
        try:
            return Reply(200, msgspec.json.encode(self._answer(path, body)))
        except PairingRefused as refused:
            return problem(refused.code, refused.detail, retry_after_s=refused.retry_after_s)
        except InvalidMessage as invalid:
            code = invalid.code if invalid.code in TITLES else "invalid_message"
            return problem(
                code, invalid.detail, field=invalid.field, found=invalid.found, allowed=invalid.allowed
            )
        except ConfigError as error:  # the pins could not be kept: neither side may believe that it is paired
            _log.error("pairing could not be kept: %s", error.detail)
            return problem(
                "internal", f"the pairing could not be kept ({Path(error.setting).name}: {error.found})"
            )

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
