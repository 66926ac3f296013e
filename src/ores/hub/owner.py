"""The owner of a hub: a name and password, sessions of browsers, a token for commands on this machine.

Everything here is transport time (the wall's): whoever guesses passwords does so in real time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from ores.hub.notices import Notices
from ores.hub.state_dir import StateDir
from ores.link.errors import Forbidden, InvalidMessage, OresError, Unavailable
from ores.link.identity import write_private_file

FILE = "owner.json"
TOKEN_FILE = "local-token"  # noqa: S105  the name of a file
PASSWORD_MIN, PASSWORD_MAX = 10, 256
SESSION_S = 30 * 86400.0
SESSIONS_MAX = 64
TRIES_FREE = 5
LOCK_FIRST_S, LOCK_MAX_S = 30.0, 3600.0
REMOTES_MAX = 1024

# 16 MiB and about a quarter of a second on a small machine (RFC 7914; what OWASP gives for 16 MiB)
_N, _R, _P, _LENGTH = 2**14, 8, 5, 32


class OwnerFile(msgspec.Struct, frozen=True):
    """What is kept: never the password."""

    name: str
    salt: str
    scrypt: str


class Credentials(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A name and a password, as typed."""

    name: str
    password: str

    def __repr__(self) -> str:  # a password must not end up in a log
        return f"Credentials({self.name!r})"


class WrongPassword(OresError):
    """The name or the password is not the owner's."""

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


class Owner:
    """Who may do what.

    Args:
        directory: Keeps name and hash.
        notices: Learns when the file was damaged.
        wall_s: Transport time, monotonic, in s.
    """

    def __init__(self, directory: StateDir, notices: Notices, wall_s: Callable[[], float]) -> None:
        self._directory = directory
        self._wall_s = wall_s
        # also after a restart: a damaged file must never open the house
        self._locked_out = any(directory.path.glob(f"{FILE}.damaged-*"))
        self._kept = directory.load(FILE, OwnerFile, self._reporter(notices))
        self._sessions: OrderedDict[bytes, float] = OrderedDict()
        self._tries: OrderedDict[str, tuple[int, float]] = OrderedDict()
        token = secrets.token_urlsafe(32)
        write_private_file(directory.file(TOKEN_FILE), token.encode())
        self._token = _digest(token)

    @property
    def exists(self) -> bool:
        """Whether the page asks who you are. A lost owner file does not open the house: it locks the page."""
        return self._kept is not None or self._locked_out

    @property
    def name(self) -> str:
        """Of the owner; empty where there is none."""
        return "" if self._kept is None else self._kept.name

    def create(self, wanted: Credentials) -> None:
        """Become the owner; slow on purpose, so call it in a worker thread.

        Raises:
            Forbidden: There is one already.
            InvalidMessage: The name or password cannot be taken.
            ConfigError: It cannot be saved.
        """
        if self.exists:
            raise Forbidden("this hub has an owner already", code="owner_exists")
        _check(wanted)
        salt = secrets.token_bytes(16)
        kept = OwnerFile(wanted.name, salt.hex(), _scrypt(wanted.password, salt).hex())
        self._directory.save(FILE, kept)
        self._kept = kept

    def check_tries(self, remote: str) -> None:
        """Refuse whoever has guessed too often, before any work is done for them.

        Raises:
            TooManyTries: With how long to wait.
        """
        count, until_s = self._tries.get(remote, (0, 0.0))
        left_s = until_s - self._wall_s()
        if count >= TRIES_FREE and left_s > 0:
            raise TooManyTries(left_s)

    def verify(self, tried: Credentials) -> bool:
        """Whether this is the owner; slow on purpose, so call it in a worker thread."""
        kept = self._kept
        salt = bytes(16) if kept is None else bytes.fromhex(kept.salt)
        found = _scrypt(tried.password[:PASSWORD_MAX], salt).hex()
        if kept is None:
            return False
        same_name = hmac.compare_digest(tried.name.encode(), kept.name.encode())
        return hmac.compare_digest(found, kept.scrypt) and same_name

    def log_in(self, remote: str, *, right: bool) -> str:
        """Count a try and open a session for a right one.

        Returns:
            The session's token, for the cookie.

        Raises:
            WrongPassword: It was wrong.
        """
        if not right:
            count = self._tries.pop(remote, (0, 0.0))[0] + 1
            lock_s = min(LOCK_MAX_S, LOCK_FIRST_S * 2.0 ** max(0, count - TRIES_FREE))
            self._tries[remote] = (count, self._wall_s() + lock_s)
            while len(self._tries) > REMOTES_MAX:
                self._tries.popitem(last=False)
            raise WrongPassword("the name or the password is not the owner's")
        self._tries.pop(remote, None)
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = self._wall_s() + SESSION_S
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return token

    def log_out(self, token: str) -> None:
        """End a session; an unknown one is ignored."""
        self._sessions.pop(_digest(token), None)

    def knows(self, token: str) -> bool:
        """Whether a session's token is valid."""
        until_s = self._sessions.get(_digest(token))
        return until_s is not None and self._wall_s() < until_s

    def is_local_token(self, token: str) -> bool:
        """Whether somebody could read the token file of this hub, as its own user can."""
        return hmac.compare_digest(_digest(token), self._token)

    def _reporter(self, notices: Notices) -> Callable[[str, str], None]:
        def report(code: str, text: str) -> None:
            self._locked_out = True
            notices.raise_(
                code, f"{text} Nobody can log in until {FILE} is restored or removed by hand.", level="error"
            )

        return report


def _check(wanted: Credentials) -> None:
    if not 1 <= len(wanted.name) <= 64:
        raise _invalid("$.name", f"{len(wanted.name)} characters", "1 to 64 characters")
    if not PASSWORD_MIN <= len(wanted.password) <= PASSWORD_MAX:
        raise _invalid(
            "$.password", f"{len(wanted.password)} characters", f"{PASSWORD_MIN} to {PASSWORD_MAX} characters"
        )


def _invalid(field: str, found: str, allowed: str) -> InvalidMessage:
    return InvalidMessage(
        f"{field}: found {found}, allowed is {allowed}", field=field, found=found, allowed=allowed
    )


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_N, r=_R, p=_P, dklen=_LENGTH, maxmem=64 * 1024 * 1024
    )


def _digest(token: str) -> bytes:
    # a header may hold bytes that are no text; they arrive as surrogates and must not be an error of ours
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
