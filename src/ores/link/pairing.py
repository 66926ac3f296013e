"""Pairing: how a hub and a module come to trust each other's key. Pure: no I/O, time and randomness come in.

Both know a secret of 128 bits: the module from birth, the hub from the code on the module's label. They talk
over TLS that proves only the module's key, so far unknown:

```
hub                                        module
 │ start    certificate, nonce, name, role ─▶│  a try, until it is confirmed
 │◀─ nonce, proof                            │  the hub checks it against the key that it met in TLS:
 │                                           │  whoever sits in between has another key, and is found
 │ confirm  proof                          ─▶│  pins the hub's key
 │◀─ role                                    │  the hub pins the module's
```

A proof is an HMAC over the side it comes from, both keys, both nonces and the role. With 128 bits behind it,
a proof can be shown to anyone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from ores.link.errors import ConfigError, Forbidden, PeerError
from ores.link.identity import Identity, id_of
from ores.link.pins import Pin, pin
from ores.model import PairingChallenge, PairingConfirm, PairingResult, PairingStart, PairingStatus

Random = Callable[[int], bytes]
"""Makes that many unpredictable bytes."""

SECRET_BYTES: Final = 16
NONCE_BYTES: Final = 32
TRIES_MAX: Final = 5
WINDOW_S: Final = 600.0
"""How long a paired module listens after its button was pressed."""
CONFIRM_WITHIN_S: Final = 60.0
FIRST_REOPEN_S: Final = 30.0
"""After a lock-out the button works again after this; doubled with each further lock-out."""
LAST_REOPEN_S: Final = 3600.0
_NONCES_KEPT: Final = 256

_ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MISREAD: Final = str.maketrans(
    "018", "OIB"
)  # digits that base32 leaves out, because people take them for these
_CHECK_PRIME: Final = 1021  # the largest prime that two symbols of five bits can carry


class PairingRefused(Forbidden):
    """The module does not pair now; `code` says why.

    Attributes:
        retry_after_s: When trying again makes sense; None when a person must act first.
    """

    code = "pairing_closed"

    def __init__(self, detail: str, *, code: str, retry_after_s: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


def new_secret(random: Random = secrets.token_bytes) -> bytes:
    """A fresh secret of 16 bytes: for a new module, and after each factory reset or transfer."""
    return random(SECRET_BYTES)


def code_of(secret: bytes) -> str:
    """What is printed on the label: `ORES-` and seven groups of four symbols, two of them a check."""
    if len(secret) != SECRET_BYTES:
        raise ConfigError("pairing secret", found=f"{len(secret)} bytes", allowed=f"{SECRET_BYTES} bytes")
    symbols = base64.b32encode(secret).decode("ascii").rstrip("=")
    text = symbols + _check_symbols(symbols)
    return "-".join(["ORES", *(text[at : at + 4] for at in range(0, len(text), 4))])


def secret_of(code: str) -> bytes:
    """Read a typed code; case, blanks and dashes do not matter.

    Raises:
        ConfigError: It cannot be a code. The check symbols find any one wrong symbol and any two swapped
            ones, before the module counts a try. The code itself is not repeated in the error.
    """
    text = "".join(symbol for symbol in code.upper() if not symbol.isspace() and symbol != "-")
    text = text.translate(_MISREAD)
    if len(text) == 32:
        text = text.removeprefix("ORES")
    allowed = "the code on the module's label: ORES- and seven groups of four symbols"
    if len(text) != 28:
        raise ConfigError("pairing code", found=f"{len(text)} symbols instead of 28", allowed=allowed)
    if strange := sorted(set(text) - set(_ALPHABET)):
        raise ConfigError("pairing code", found=f"the symbols {' '.join(strange)}", allowed=allowed)
    symbols, check = text[:26], text[26:]
    if _check_symbols(symbols) != check:
        raise ConfigError(
            "pairing code", found="a mistyped symbol (the check at its end fails)", allowed=allowed
        )
    secret = base64.b32decode(symbols + "======")
    if base64.b32encode(secret).decode("ascii").rstrip("=") != symbols:
        raise ConfigError("pairing code", found="a symbol that no code has at its end", allowed=allowed)
    return secret


def proof(
    secret: bytes,
    side: Literal["hub", "module"],
    *,
    module_fingerprint: str,
    hub_fingerprint: str,
    hub_nonce: str,
    module_nonce: str,
    role: str,
) -> str:
    """HMAC-SHA-256 that shows knowledge of the secret for this pairing only, as hex.

    Every part but the last has a fixed length, so that no two pairings write the same text.
    """
    text = b"".join(
        (
            f"ORES-PAIRING-1 {side}\0".encode(),
            bytes.fromhex(module_fingerprint),
            bytes.fromhex(hub_fingerprint),
            bytes.fromhex(hub_nonce),
            bytes.fromhex(module_nonce),
            role.encode(),
        )
    )
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


class _Try(msgspec.Struct, frozen=True):
    """A start that waits for its confirmation."""

    hub: Pin
    hub_nonce: str
    module_nonce: str
    until_s: float


class ModulePairing:
    """The module's side. All times are process time in s.

    Args:
        fingerprint: Of the module's own key.
        secret: Behind the code on the label.
        controller: Fingerprint of the hub that controls the module already, if any.
        allow_observers: The owner lets further hubs read.
        act_needed: Somebody must act at the device before it pairs, though nobody controls it (LIFE-004).
        random: Makes the nonces.
    """

    def __init__(
        self,
        fingerprint: str,
        secret: bytes,
        *,
        controller: str | None = None,
        allow_observers: bool = False,
        act_needed: bool = False,
        random: Random = secrets.token_bytes,
    ) -> None:
        self.allow_observers = allow_observers
        self._act_needed = act_needed
        self._fingerprint: Final = fingerprint
        self._secret = secret
        self._controller = controller
        self._random: Final = random
        self._open_until_s = 0.0
        self._tries = 0
        self._locked_at_s: float | None = None
        self._lockouts = 0
        self._pending: _Try | None = None
        self._seen: deque[str] = deque(maxlen=_NONCES_KEPT)

    def status(self, now_s: float) -> PairingStatus:
        """What a stranger may know."""
        closed = self._closed_because(now_s)
        return PairingStatus(
            open=closed is None,
            paired=self._controller is not None,
            closed_because=msgspec.UNSET if closed is None else closed.code,
        )

    def press_button(self, now_s: float) -> float:
        """Somebody stands at the module: listen for ten minutes, and end a lock-out.

        Returns:
            0 when the module listens now; else the seconds until the button works again after a lock-out.
        """
        if self._locked_at_s is not None:
            left_s = self._locked_at_s + self._reopen_s() - now_s
            if left_s > 0:
                return left_s
        self._locked_at_s = None
        self._tries = 0
        self._open_until_s = now_s + WINDOW_S
        return 0.0

    def reset(self, secret: bytes, controller: str | None = None) -> None:
        """Factory reset or transfer: a new secret, and nothing of the old owner's pairing goes on.

        Nor does a lock-out: it guarded the old secret, and whoever resets stands at the device.

        Args:
            secret: A new one; the old label is void.
            controller: Fingerprint of a hub that stays; None leaves the module unpaired and listening.
        """
        self._secret = secret
        self._controller = controller
        self._act_needed = False
        self._pending = None
        self._open_until_s = 0.0
        self._tries = self._lockouts = 0
        self._locked_at_s = None
        self._seen.clear()

    def lost(self) -> None:
        """Its pins are lost, so that it is somebody's, and nobody knows whose (SAFE-012)."""
        self._act_needed = True

    def free(self, now_s: float) -> None:
        """Nobody controls it now, but the code is known: it listens for ten minutes, then by an act only.

        A lock-out stays: it guards the same code.
        """
        self._controller = None
        self._act_needed = True
        self._open_until_s = now_s + WINDOW_S

    def start(self, now_s: float, message: PairingStart) -> PairingChallenge:
        """Answer a hub that wants to pair. Counts as a try until it is confirmed.

        Raises:
            PairingRefused: Closed, locked, replayed, a certificate that cannot be pinned, or a role that is
                not free.
        """
        if (closed := self._closed_because(now_s)) is not None:
            raise closed
        if message.hub_nonce in self._seen:
            raise PairingRefused("this nonce has been used before", code="pairing_replayed")
        hub = self._check_hub(message)
        self._seen.append(message.hub_nonce)
        self._tries += 1
        if self._tries == TRIES_MAX:
            self._lock(now_s)  # of the last try the confirmation may still be right
        module_nonce = self._random(NONCE_BYTES).hex()
        self._pending = _Try(hub, message.hub_nonce, module_nonce, now_s + CONFIRM_WITHIN_S)
        return PairingChallenge(module_nonce=module_nonce, module_proof=self._proof(self._pending, "module"))

    def confirm(self, now_s: float, message: PairingConfirm) -> Pin:
        """Check the hub's proof. The caller keeps the pin safe and then calls `paired`.

        Raises:
            PairingRefused: The code was wrong, nothing was started, or the message is an old one.
        """
        pending = self._pending
        if pending is None or pending.hub_nonce != message.hub_nonce or now_s > pending.until_s:
            if message.hub_nonce in self._seen:
                raise PairingRefused("this pairing has ended already", code="pairing_replayed")
            raise PairingRefused("there was no start with this nonce", code="pairing_not_started")
        self._pending = None  # one answer each, right or wrong
        if not hmac.compare_digest(self._proof(pending, "hub"), message.hub_proof):
            left = TRIES_MAX - self._tries
            raise PairingRefused(
                f"the code is not the one on this module's label; {left} tries left",
                code="pairing_wrong_code",
            )
        return pending.hub

    def paired(self, hub: Pin) -> PairingResult:
        """The pin of `confirm` is on disk: the pairing holds, and the window closes."""
        self._tries = 0
        self._lockouts = 0
        self._locked_at_s = None
        self._open_until_s = 0.0
        role: Literal["controller", "observer"] = "observer"
        if hub.role == "controller":
            self._controller = hub.fingerprint
            role = "controller"
        return PairingResult(role=role, module_id=id_of(self._fingerprint))

    def _closed_because(self, now_s: float) -> PairingRefused | None:
        if self._locked_at_s is not None:
            left_s = max(0.0, self._locked_at_s + self._reopen_s() - now_s)
            return PairingRefused(
                f"locked after {TRIES_MAX} wrong tries: press the module's button, or switch it off and on",
                code="pairing_locked",
                retry_after_s=left_s,
            )
        if (self._controller is None and not self._act_needed) or now_s < self._open_until_s:
            return None
        why = "was reset or released" if self._controller is None else "is paired already"
        return PairingRefused(f"the module {why}; its button opens it for ten minutes", code="pairing_closed")

    def _check_hub(self, message: PairingStart) -> Pin:
        try:
            certificate = base64.b64decode(message.hub_certificate, validate=True)
            hub = pin(certificate, message.role, message.name)
        except ValueError as error:
            raise PairingRefused(f"the hub's certificate: {error}", code="pairing_bad_certificate") from None
        if hub.role == "observer" and not self.allow_observers:
            raise PairingRefused("the owner allows no observers", code="pairing_role_refused")
        if hub.role == "controller" and self._controller not in {None, hub.fingerprint}:
            raise PairingRefused(
                "another hub controls this module; reset the module to release it",
                code="pairing_has_controller",
            )
        return hub

    def _lock(self, now_s: float) -> None:
        self._locked_at_s = now_s
        self._lockouts += 1

    def _reopen_s(self) -> float:
        return float(min(LAST_REOPEN_S, FIRST_REOPEN_S * 2 ** (self._lockouts - 1)))

    def _proof(self, pending: _Try, side: Literal["hub", "module"]) -> str:
        return proof(
            self._secret,
            side,
            module_fingerprint=self._fingerprint,
            hub_fingerprint=pending.hub.fingerprint,
            hub_nonce=pending.hub_nonce,
            module_nonce=pending.module_nonce,
            role=pending.hub.role,
        )


class HubPairing:
    """The hub's side of one pairing.

    Args:
        identity: The hub's own.
        secret: Read from the module's label.
        name: What people call the hub, 1 to 64 characters.
        role: Wanted.
        random: Makes the nonce.
    """

    def __init__(
        self,
        identity: Identity,
        secret: bytes,
        *,
        name: str,
        role: Literal["controller", "observer"] = "controller",
        random: Random = secrets.token_bytes,
    ) -> None:
        self._identity: Final = identity
        self._secret: Final = secret
        self._name: Final = name
        self._role: Final = role
        self._nonce: Final = random(NONCE_BYTES).hex()

    def start(self) -> PairingStart:
        """The first message."""
        return PairingStart(
            hub_certificate=base64.b64encode(self._identity.certificate).decode("ascii"),
            hub_nonce=self._nonce,
            name=self._name,
            role=self._role,
        )

    def confirm(self, module_fingerprint: str, challenge: PairingChallenge) -> PairingConfirm:
        """Check the module's proof and give ours.

        Args:
            module_fingerprint: Of the key that was met in the TLS handshake.
            challenge: The module's answer to the start.

        Raises:
            PairingRefused: The module does not know this code *for this key*: the code is wrong, or somebody
                sits in between. Nothing of ours has been revealed.
        """
        expected = self._proof("module", module_fingerprint, challenge.module_nonce)
        if not hmac.compare_digest(expected, challenge.module_proof):
            raise PairingRefused(
                "the module's proof does not fit: either the code is not the one on this module's label, "
                "or somebody else answered in its place",
                code="pairing_wrong_code",
            )
        return PairingConfirm(
            hub_nonce=self._nonce, hub_proof=self._proof("hub", module_fingerprint, challenge.module_nonce)
        )

    def finish(self, module_certificate: bytes, module_fingerprint: str, result: PairingResult) -> Pin:
        """The module has pinned us; make the pin of the module.

        Raises:
            PeerError: The answer does not fit what was agreed.
        """
        try:
            module = pin(module_certificate, "module")
        except ValueError as error:
            raise PeerError(f"the module's certificate: {error}") from None
        agreed = (module_fingerprint, id_of(module_fingerprint), self._role)
        if (module.fingerprint, result.module_id, result.role) != agreed:
            raise PeerError(
                f"the module answered as {result.module_id} with role {result.role}, agreed was {agreed}"
            )
        return module

    def _proof(self, side: Literal["hub", "module"], module_fingerprint: str, module_nonce: str) -> str:
        return proof(
            self._secret,
            side,
            module_fingerprint=module_fingerprint,
            hub_fingerprint=self._identity.fingerprint,
            hub_nonce=self._nonce,
            module_nonce=module_nonce,
            role=self._role,
        )


def _check_symbols(symbols: str) -> str:
    """Two symbols from a weighted sum, as in an ISBN: they change with any one symbol and any swap."""
    total = sum((at + 1) * _ALPHABET.index(symbol) for at, symbol in enumerate(symbols)) % _CHECK_PRIME
    return _ALPHABET[total // 32] + _ALPHABET[total % 32]
