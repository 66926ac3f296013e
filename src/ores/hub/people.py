"""Everybody who is let in beside the first owner: further people with passwords, apps with tokens.

What is kept are hashes. When somebody is removed, sessions end at once; an open stream asks anew with each
picture whether its opener is still let in.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType

from ores.hub.callers import OWN_USER, Caller, Role
from ores.hub.notices import Notices
from ores.hub.owner import Credentials, Owner
from ores.hub.passwords import NOBODY, Hashed, check_name, digest, fits, invalid
from ores.hub.state_dir import StateDir
from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.link.errors import ConfigError, Forbidden
from ores.model import TokenCreated, TokenInfo, UserInfo

FILE = "access.json"
USERS_MAX = TOKENS_MAX = 64
EXPIRES_MIN_S, EXPIRES_MAX_S = 1, 315_360_000
INSTALLER_MAX_S = 30 * 86400
RESERVED = frozenset({"hub", "owner"})
"""In decisions these names speak for the hub itself and for the owner's preferences."""


class UserRow(msgspec.Struct, frozen=True):
    """One person, as kept."""

    name: str
    role: Role
    created: str
    salt: str
    scrypt: str
    expires: str | None = None


class TokenRow(msgspec.Struct, frozen=True):
    """One app, as kept."""

    id: str
    name: str
    role: Role
    created: str
    sha256: str
    expires: str | None = None


class AccessFile(msgspec.Struct, frozen=True):
    """The file."""

    users: list[UserRow] = []
    tokens: list[TokenRow] = []


class UserWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /users`, as typed; its password must not end up in a log or a refusal."""

    name: str
    password: str
    role: Role
    expires_in_s: int | UnsetType = UNSET

    def __repr__(self) -> str:
        return f"UserWanted({self.name!r}, {self.role!r})"


class TokenWanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /tokens`."""

    name: str
    role: Role
    expires_in_s: int | UnsetType = UNSET


class People:
    """Users and apps.

    Args:
        directory: Keeps them.
        notices: Learn when the file was damaged.
        clock: Dates and ends them.
        owner: The first of them, who keeps the sessions of all.
        on_removed: Called with the name of each who is let in no more.
    """

    def __init__(
        self,
        directory: StateDir,
        notices: Notices,
        clock: Clock,
        owner: Owner,
        on_removed: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._directory = directory
        self._notices = notices
        self._clock = clock
        self._owner = owner
        self.on_removed = on_removed
        kept = directory.load(FILE, AccessFile, self._lost) or AccessFile()
        self._users = {row.name: row for row in kept.users}
        self._tokens = {bytes.fromhex(row.sha256): row for row in kept.tokens}
        self._used: dict[str, datetime] = {}

    @property
    def owner(self) -> Owner:
        """The first owner."""
        return self._owner

    def names(self) -> frozenset[str]:
        """Of all who are let in."""
        own = {self._owner.name} - {""}
        return frozenset({*own, *self._users, *(row.name for row in self._tokens.values())})

    def by_session(self, token: str) -> Caller | None:
        """Whose browser this is."""
        name = self._owner.who(token)
        if name is None:
            return None
        if name == self._owner.name:
            return Caller(name=name, role="owner", by="session")
        row = self._users.get(name)
        return None if row is None or self._is_over(row) else Caller(name=name, role=row.role, by="session")

    def by_token(self, token: str) -> Caller | None:
        """Whose app this is."""
        row = self._tokens.get(digest(token))
        if row is None or self._is_over(row):
            return None
        self._used[row.id] = self._clock.utc()
        return Caller(name=row.name, role=row.role, by="token")

    def by_own_file(self, token: str) -> Caller | None:
        """A command of the hub's own user."""
        return OWN_USER if self._owner.is_local_token(token) else None

    def verify(self, tried: Credentials) -> bool:
        """Whether somebody of this name has this password; as slow for a name that nobody has."""
        return fits(tried.password, self._kept(tried.name))

    def users(self) -> list[UserInfo]:
        """The first owner, then the others by name."""
        first = [UserInfo(name=self._owner.name, role="owner")] if self._owner.name else []
        return first + [_user(row) for _, row in sorted(self._users.items()) if not self._is_over(row)]

    def add_user(self, wanted: UserWanted, kept: Hashed) -> UserInfo:
        """Let somebody in.

        Args:
            wanted: Who; `check_password` has taken the password.
            kept: The hash of it.

        Raises:
            InvalidMessage: A field cannot be; names it.
            Forbidden: The name is taken, there is a utility already, or there are too many.
            ConfigError: It cannot be kept.
        """
        expires = self._check(wanted.name, wanted.role, wanted.expires_in_s)
        if len(self._users) >= USERS_MAX:
            raise Forbidden(f"{USERS_MAX} users are let in already", code="too_many_accounts")
        row = UserRow(
            wanted.name, wanted.role, rfc3339(self._clock.utc()), kept.salt, kept.scrypt, expires=expires
        )
        self._save({**self._users, row.name: row}, self._tokens)
        return _user(row)

    def remove_user(self, name: str) -> bool:
        """Let somebody in no more; returns whether there was such a person.

        Raises:
            Forbidden: It is the first owner.
            ConfigError: It cannot be kept, and nothing has happened.
        """
        if name and name == self._owner.name:
            raise Forbidden("the first owner stays; a reset of the hub removes them", code="owner_stays")
        if name not in self._users:
            return False
        self._save({of: row for of, row in self._users.items() if of != name}, self._tokens)
        self._owner.end_sessions(name)
        self.on_removed(name)
        return True

    def has_user(self, name: str) -> bool:
        """Whether somebody of this name may log in."""
        return name in self._users or bool(name and name == self._owner.name)

    def set_password(self, name: str, new: Hashed) -> bool:
        """Another password for somebody, whose sessions end.

        Args:
            name: Whose.
            new: The hash of it.

        Returns:
            Whether there is such a person.

        Raises:
            ConfigError: It cannot be kept; the old one holds.
        """
        if name and name == self._owner.name:
            self._owner.set_password(new)
            return True
        if name not in self._users:
            return False
        row = msgspec.structs.replace(self._users[name], salt=new.salt, scrypt=new.scrypt)
        self._save({**self._users, name: row}, self._tokens)
        self._owner.end_sessions(name)
        return True

    def tokens(self) -> list[TokenInfo]:
        """Oldest first."""
        rows = sorted(self._tokens.values(), key=lambda row: (row.created, row.name))
        return [self._token(row) for row in rows if not self._is_over(row)]

    def add_token(self, wanted: TokenWanted) -> TokenCreated:
        """Let an app in.

        Returns:
            With the token, which nobody can read again.

        Raises:
            InvalidMessage: A field cannot be; names it.
            Forbidden: The name is taken, there is a utility already, or there are too many.
            ConfigError: It cannot be kept.
        """
        expires = self._check(wanted.name, wanted.role, wanted.expires_in_s)
        if len(self._tokens) >= TOKENS_MAX:
            raise Forbidden(f"{TOKENS_MAX} apps are let in already", code="too_many_accounts")
        token = f"ores_{secrets.token_urlsafe(32)}"
        sha256 = digest(token)
        created = rfc3339(self._clock.utc())
        row = TokenRow(secrets.token_hex(8), wanted.name, wanted.role, created, sha256.hex(), expires=expires)
        self._save(self._users, {**self._tokens, sha256: row})
        return TokenCreated(token=token, info=self._token(row))

    def revoke(self, token_id: str) -> bool:
        """Let an app in no more; returns whether there was one.

        Raises:
            ConfigError: It cannot be kept, and nothing has happened.
        """
        gone = next((row for row in self._tokens.values() if row.id == token_id), None)
        if gone is None:
            return False
        self._save(self._users, {of: row for of, row in self._tokens.items() if row.id != token_id})
        self.on_removed(gone.name)
        return True

    def _kept(self, name: str) -> Hashed:
        if name and name == self._owner.name:
            return self._owner.kept
        row = self._users.get(name)
        return NOBODY if row is None or self._is_over(row) else Hashed(salt=row.salt, scrypt=row.scrypt)

    def _check(self, name: str, role: Role, expires_in_s: int | UnsetType) -> str | None:
        """Refuse what cannot be let in; returns when it ends."""
        self._forget_what_is_over()
        check_name(name)
        longest_s = INSTALLER_MAX_S if role == "installer" else EXPIRES_MAX_S
        if expires_in_s is UNSET:
            if role == "installer":
                raise invalid(
                    "$.expires_in_s", "nothing", f"at most {longest_s} s: an installer stays a while"
                )
        elif not EXPIRES_MIN_S <= expires_in_s <= longest_s:
            raise invalid("$.expires_in_s", f"{expires_in_s}", f"{EXPIRES_MIN_S} to {longest_s} s")
        if name in self.names() | RESERVED:
            raise Forbidden(f"{name!r} is the name of another user or app", code="name_taken")
        if role == "utility" and any(row.role == "utility" for row in self._rows()):
            raise Forbidden("there is a utility already; remove it first", code="utility_exists")
        if expires_in_s is UNSET:
            return None
        return rfc3339(self._clock.utc() + timedelta(seconds=expires_in_s))

    def _rows(self) -> list[UserRow | TokenRow]:
        return [*self._users.values(), *self._tokens.values()]

    def _is_over(self, row: UserRow | TokenRow) -> bool:
        return row.expires is not None and datetime.fromisoformat(row.expires) <= self._clock.utc()

    def _forget_what_is_over(self) -> None:
        """It opens nothing any more; forgotten, it holds no name and no place either."""
        self._users = {name: row for name, row in self._users.items() if not self._is_over(row)}
        self._tokens = {key: row for key, row in self._tokens.items() if not self._is_over(row)}

    def _save(self, users: dict[str, UserRow], tokens: dict[bytes, TokenRow]) -> None:
        """On disk before it holds."""
        rows = AccessFile([row for _, row in sorted(users.items())], list(tokens.values()))
        self._directory.save(FILE, rows)
        self._users, self._tokens = users, tokens
        self._notices.clear("access_lost")

    def _token(self, row: TokenRow) -> TokenInfo:
        used = self._used.get(row.id)
        return TokenInfo(
            id=row.id,
            name=row.name,
            role=row.role,
            created=row.created,
            expires=row.expires or UNSET,
            last_used=UNSET if used is None else rfc3339(used),
        )

    def _lost(self, _code: str, text: str) -> None:
        """Nobody is let in by a damaged list; the owner is, and can make it anew."""
        self._notices.raise_("access_lost", f"{text} Users and apps have to be let in anew.", level="error")
        with suppress(ConfigError):
            self._directory.save(FILE, AccessFile())


def _user(row: UserRow) -> UserInfo:
    return UserInfo(name=row.name, role=row.role, created=row.created, expires=row.expires or UNSET)
