"""Passwords: what may be one, how it is kept, and how often it may be guessed.

Everything here is transport time (the wall's): whoever guesses passwords does so in real time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable

import msgspec

from ores.link.errors import InvalidMessage, OresError, Unavailable

PASSWORD_MIN, PASSWORD_MAX = 10, 256
NAME_MAX = 64
TRIES_FREE = 5
LOCK_FIRST_S, LOCK_MAX_S = 30.0, 3600.0
REMOTES_MAX = 1024
TRIES_IN_ALL, TRIES_IN_ALL_S = 100, 3600.0
"""Wrong passwords from everywhere together within this time, before only this machine is listened to."""

# 16 MiB and about a quarter of a second on a small machine (RFC 7914; what OWASP gives for 16 MiB)
_N, _R, _P, _LENGTH = 2**14, 8, 5, 32


class Hashed(msgspec.Struct, frozen=True):
    """What is kept: never the password."""

    salt: str
    scrypt: str


NOBODY = Hashed(salt="00" * 16, scrypt="")
"""Fits no password, and takes as long to find out."""


class WrongPassword(OresError):
    """The name or the password is nobody's who may log in."""

    code = "wrong_password"


class TooManyTries(Unavailable):
    """Wait before the next try.

    Attributes:
        retry_after_s: How long.
    """

    code = "too_many_tries"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(f"too many wrong passwords; try again in {retry_after_s:.0f} s")
        self.retry_after_s = retry_after_s


class Tries:
    """How often each address, and all together, have guessed wrong.

    Args:
        wall_s: Transport time, monotonic, in s.
    """

    def __init__(self, wall_s: Callable[[], float]) -> None:
        self._wall_s = wall_s
        self._of: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._wrong_at_s: deque[float] = deque(maxlen=TRIES_IN_ALL)

    def check(self, remote: str, *, here: bool = False) -> None:
        """Refuse whoever has guessed too often, before any work is done for them.

        Args:
            remote: The address that asks.
            here: It is this machine, which strangers' guesses do not lock out.

        Raises:
            TooManyTries: With how long to wait.
        """
        now_s = self._wall_s()
        count, until_s = self._of.get(remote, (0, 0.0))
        if count >= TRIES_FREE and until_s > now_s:
            raise TooManyTries(until_s - now_s)
        if not here and len(self._wrong_at_s) == TRIES_IN_ALL:
            left_s = self._wrong_at_s[0] + TRIES_IN_ALL_S - now_s
            if left_s > 0:
                raise TooManyTries(left_s)

    def wrong(self, remote: str) -> None:
        """One more wrong guess."""
        count = self._of.pop(remote, (0, 0.0))[0] + 1
        lock_s = min(LOCK_MAX_S, LOCK_FIRST_S * 2.0 ** max(0, count - TRIES_FREE))
        self._of[remote] = (count, self._wall_s() + lock_s)
        self._wrong_at_s.append(self._wall_s())
        while len(self._of) > REMOTES_MAX:
            self._of.popitem(last=False)

    def right(self, remote: str) -> None:
        """The right one was known there."""
        self._of.pop(remote, None)


def hashed(password: str) -> Hashed:
    """What to keep of a password; slow on purpose, so call it in a worker thread."""
    salt = secrets.token_bytes(16)
    return Hashed(salt=salt.hex(), scrypt=_scrypt(password, salt).hex())


def fits(password: str, kept: Hashed) -> bool:
    """Whether it is this password; slow on purpose, so call it in a worker thread."""
    found = _scrypt(password[:PASSWORD_MAX], bytes.fromhex(kept.salt)).hex()
    return hmac.compare_digest(found, kept.scrypt)


def check_name(name: str) -> None:
    """Refuse what cannot be a name.

    Raises:
        InvalidMessage: Names the field.
    """
    if not 1 <= len(name) <= NAME_MAX:
        raise invalid("$.name", f"{len(name)} characters", f"1 to {NAME_MAX} characters")


def check_password(password: str) -> None:
    """Refuse what cannot be a password; it is never repeated.

    Raises:
        InvalidMessage: Names the field.
    """
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        raise invalid(
            "$.password", f"{len(password)} characters", f"{PASSWORD_MIN} to {PASSWORD_MAX} characters"
        )


def invalid(field: str, found: str, allowed: str) -> InvalidMessage:
    """A refusal that names the field, what was found and what is allowed."""
    return InvalidMessage(
        f"{field}: found {found}, allowed is {allowed}", field=field, found=found, allowed=allowed
    )


def digest(token: str) -> bytes:
    """What is kept of a token that is random enough to need no slow hash."""
    # a header may hold bytes that are no text; they arrive as surrogates and must not be an error of ours
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_LENGTH, maxmem=64 * 1024 * 1024
    )
