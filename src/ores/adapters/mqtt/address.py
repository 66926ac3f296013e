"""Where a broker is, as a person writes it. Needs no library."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import msgspec

from ores.link.errors import ConfigError

PORT: Final = 1883
TLS_PORT: Final = 8883


class Broker(msgspec.Struct, frozen=True):
    """Where a broker is, and as whom to log in.

    Attributes:
        host: Name or address.
        port: TCP.
        user: Empty for none.
        password: Empty for none.
        tls: Whether the connection is encrypted.
        ca: File with the authority that vouches for the broker; empty for those of this machine.
        options: What else stood in the address, after `?`.
    """

    host: str
    port: int = PORT
    user: str = ""
    password: str = ""
    tls: bool = False
    ca: str = ""
    options: dict[str, str] = {}

    def __repr__(self) -> str:  # a password must not end up in a log
        return f"Broker({self.label!r})"

    @property
    def label(self) -> str:
        """Where it is, for people."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


def broker_of(text: str, setting: str, options: Sequence[str] = ()) -> Broker:
    """Read `mqtt://user:password@host:1883`, or only `host[:port]`.

    Args:
        text: As a person wrote it.
        setting: Where, for the error.
        options: Names that may stand after `?`, beside `ca`.

    Raises:
        ConfigError: It is no such address; says why, without the password.
    """
    allowed = "mqtt://[USER:PASSWORD@]HOST[:PORT], or mqtts:// for TLS"
    parts = urlsplit(text if "://" in text else f"mqtt://{text}")
    if parts.scheme not in {"mqtt", "mqtts"}:
        raise ConfigError(setting, found=f"{parts.scheme}://", allowed=allowed)
    if not parts.hostname or parts.path not in {"", "/"} or parts.fragment:
        raise ConfigError(setting, found=_without_password(parts), allowed=allowed)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError(setting, found=_without_password(parts), allowed=f"a port of 1 to 65535: {allowed}")
    known = ("ca", *options)
    found = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in found:
        if name not in known:
            raise ConfigError(setting, found=f"?{name}", allowed=", ".join(f"?{one}" for one in known))
    tls = parts.scheme == "mqtts"
    return Broker(
        host=parts.hostname,
        port=port or (TLS_PORT if tls else PORT),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
        ca=found.pop("ca", ""),
        options=found,
    )


def _without_password(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"[:120]
