"""The owner of a hub: a name and password, sessions of browsers, a token for commands on this machine.

Everything here is transport time (the wall's): whoever guesses passwords does so in real time.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from ores.hub.notices import Notices
from ores.hub.passwords import (
    NOBODY,
    Hashed,
    TooManyTries,
    Tries,
    WrongPassword,
    check_name,
    check_password,
    digest,
    fits,
    hashed,
)
from ores.hub.state_dir import StateDir
from ores.link.errors import Forbidden
from ores.link.identity import write_private_file

__all__ = ["Credentials", "Owner", "TooManyTries", "WrongPassword"]

FILE = "owner.json"
TOKEN_FILE = "local-token"  # noqa: S105  the name of a file
SESSION_S = 30 * 86400.0
SESSIONS_MAX = 64


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


class Owner:
    """The first owner, and the sessions of everybody who logs in.

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
        self._sessions: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._tries = Tries(wall_s)
        token = secrets.token_urlsafe(32)
        write_private_file(directory.file(TOKEN_FILE), token.encode())
        self._token = digest(token)

    @property
    def exists(self) -> bool:
        """Whether the page asks who you are. A lost owner file does not open the house: it locks the page."""
        return self._kept is not None or self._locked_out

    @property
    def name(self) -> str:
        """Of the owner; empty where there is none."""
        return "" if self._kept is None else self._kept.name

    @property
    def kept(self) -> Hashed:
        """The hash of the owner's password; one that nothing fits where there is no owner."""
        return NOBODY if self._kept is None else Hashed(salt=self._kept.salt, scrypt=self._kept.scrypt)

    def create(self, wanted: Credentials) -> None:
        """Become the owner; slow on purpose, so call it in a worker thread.

        Raises:
            Forbidden: There is one already.
            InvalidMessage: The name or password cannot be taken.
            ConfigError: It cannot be saved.
        """
        if self.exists:
            raise Forbidden("this hub has an owner already", code="owner_exists")
        check_name(wanted.name)
        check_password(wanted.password)
        self._keep(wanted.name, hashed(wanted.password))

    def set_password(self, new: Hashed) -> None:
        """Another password for the owner that there is; its sessions end.

        Raises:
            ConfigError: It cannot be saved; the old one holds.
        """
        self._keep(self.name, new)
        self.end_sessions(self.name)

    def check_tries(self, remote: str, *, here: bool = False) -> None:
        """Refuse whoever has guessed too often; see `Tries.check`."""
        self._tries.check(remote, here=here)

    def verify(self, tried: Credentials) -> bool:
        """Whether this is the owner; slow on purpose, so call it in a worker thread."""
        right = fits(tried.password, self.kept)
        return right and hmac.compare_digest(tried.name.encode(), self.name.encode())

    def count_try(self, remote: str, *, right: bool) -> None:
        """Count a try.

        Raises:
            WrongPassword: It was wrong.
        """
        if not right:
            self._tries.wrong(remote)
            raise WrongPassword("the name or the password is not right")
        self._tries.right(remote)

    def log_in(self, remote: str, *, right: bool, name: str | None = None) -> str:
        """Count a try and open a session for a right one.

        Args:
            remote: The address that asks.
            right: Name and password were.
            name: Whose session it is; the owner's where it is None.

        Returns:
            The session's token, for the cookie.

        Raises:
            WrongPassword: It was wrong.
        """
        self.count_try(remote, right=right)
        token = secrets.token_urlsafe(32)
        self._sessions[digest(token)] = self._wall_s() + SESSION_S, self.name if name is None else name
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return token

    def log_out(self, token: str) -> None:
        """End a session; an unknown one is ignored."""
        self._sessions.pop(digest(token), None)

    def end_sessions(self, name: str) -> None:
        """Log somebody out everywhere."""
        for key in [key for key, (_, whose) in self._sessions.items() if whose == name]:
            del self._sessions[key]

    def who(self, token: str) -> str | None:
        """Whose session this is; None where it is none, or has ended."""
        until_s, name = self._sessions.get(digest(token), (0.0, ""))
        return name if self._wall_s() < until_s else None

    def knows(self, token: str) -> bool:
        """Whether a session's token is valid."""
        return self.who(token) is not None

    def is_local_token(self, token: str) -> bool:
        """Whether somebody could read the token file of this hub, as its own user can."""
        return hmac.compare_digest(digest(token), self._token)

    def _keep(self, name: str, new: Hashed) -> None:
        kept = OwnerFile(name, new.salt, new.scrypt)
        self._directory.save(FILE, kept)
        self._kept = kept

    def _reporter(self, notices: Notices) -> Callable[[str, str], None]:
        def report(code: str, text: str) -> None:
            self._locked_out = True
            notices.raise_(
                code, f"{text} Nobody can log in until {FILE} is restored or removed by hand.", level="error"
            )

        return report
