"""Where the subject is, and TLS towards it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from cryptography import x509

from ores.conformance.check import Failed, Unreachable
from ores.conformance.wire.identity import fingerprint_of

CONNECT_S = 6.0
BASE_PATH = "/ores/v1"


class BadTarget(Exception):
    """The address is none; the message says what is allowed."""


@dataclass(frozen=True, slots=True)
class Target:
    """Host, port and base path of the subject.

    Attributes:
        host: Name or address.
        port: TCP.
        path: Base path of its resources, without a slash at the end.
        scheme: `https`; `http` for a hub on its own machine.
    """

    host: str
    port: int
    path: str = BASE_PATH
    scheme: str = "https"

    @property
    def root(self) -> str:
        """The address of the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address of its resources."""
        return self.root + self.path


def target_of(address: str, schemes: Sequence[str] = ("https",)) -> Target:
    """Read an address as people type it: `https://HOST:PORT`, with or without the path.

    Args:
        address: As typed; without a scheme it is https.
        schemes: That are allowed.

    Raises:
        BadTarget: It is none.
    """
    allowed = " or ".join(f"{scheme}://HOST:PORT" for scheme in schemes)
    try:
        parts = urlsplit(address if "//" in address else f"https://{address}")
    except ValueError as error:
        raise BadTarget(f"an address is {allowed}; found {address!r}") from error
    try:
        port = parts.port
    except ValueError as error:
        raise BadTarget(f"the port of {address!r} is no number from 1 to 65535") from error
    if parts.scheme not in schemes or not parts.hostname:
        raise BadTarget(f"an address is {allowed}; found {address!r}")
    usual = 443 if parts.scheme == "https" else 80
    return Target(parts.hostname, port or usual, parts.path.rstrip("/") or BASE_PATH, parts.scheme)


def hub_of(address: str) -> Target:
    """Read the address of a hub: on its own machine it may be `http://HOST:PORT`.

    Raises:
        BadTarget: It is none.
    """
    return target_of(address, ("http", "https"))


def context(
    identity_file: Path | None = None,
    *,
    lowest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    highest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
) -> ssl.SSLContext:
    """TLS that shows the kit's certificate, or none, and leaves it to the kit whom to trust."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.minimum_version = lowest
    made.maximum_version = highest
    if identity_file is not None:
        made.load_cert_chain(identity_file)
    return made


@dataclass(slots=True)
class RawConnection:
    """A TLS connection by hand, for what no well-behaved client would send."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def tls(self) -> ssl.SSLObject:
        """The TLS session."""
        found: ssl.SSLObject = self.writer.get_extra_info("ssl_object")
        return found

    @property
    def certificate(self) -> x509.Certificate:
        """The subject's certificate.

        Raises:
            Unreachable: It showed none.
            Failed: It is none.
        """
        der = self.tls.getpeercert(binary_form=True)
        if der is None:
            raise Unreachable("the server shows no certificate")
        try:
            return x509.load_der_x509_certificate(der)
        except ValueError as error:
            raise Failed(f"the certificate cannot be read: {error}") from error

    @property
    def fingerprint(self) -> str:
        """Of the subject's key."""
        return fingerprint_of(self.certificate)

    async def send(self, data: bytes) -> None:
        """Send bytes as they are.

        Raises:
            Unreachable: The connection has ended.
        """
        try:
            self.writer.write(data)
            await self.writer.drain()
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(f"the connection ended while the kit was sending: {error}") from error

    async def receive(self, most_bytes: int = 65536, *, timeout_s: float = 5.0) -> bytes:
        """What comes next; empty at the end of the connection.

        Raises:
            Unreachable: Nothing came in time, or the connection broke.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self.reader.read(most_bytes)
        except TimeoutError as error:
            raise Unreachable(f"nothing came within {timeout_s:g} s") from error
        except (OSError, ssl.SSLError) as error:
            raise Unreachable(f"the connection broke: {error}") from error

    async def close(self) -> None:
        """End it."""
        self.writer.close()
        try:
            async with asyncio.timeout(1.0):
                await self.writer.wait_closed()
        except TimeoutError:
            self.writer.transport.abort()  # a peer that hangs does not answer a goodbye
        except (OSError, ssl.SSLError):
            return


async def connect(
    target: Target,
    tls: ssl.SSLContext | None = None,
    *,
    server_name: str | None = "",
    timeout_s: float = CONNECT_S,
) -> RawConnection:
    """Open a TLS connection by hand.

    Args:
        target: Where.
        tls: The context; None is a stranger's.
        server_name: The SNI to send; empty for the host, None for none.
        timeout_s: For connection and handshake together.

    Raises:
        Unreachable: It did not come about; the message says why.
    """
    name = target.host if server_name == "" else server_name
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(
                target.host, target.port, ssl=tls or context(), server_hostname=name or "", limit=2**20
            )
    except TimeoutError as error:
        raise Unreachable(
            f"no TLS connection to {target.host}:{target.port} within {timeout_s:g} s"
        ) from error
    except UnicodeError as error:
        raise Unreachable(f"{target.host!r} is no name of a host") from error
    except (OSError, ssl.SSLError) as error:
        raise Unreachable(f"no TLS connection to {target.host}:{target.port}: {_plain(error)}") from error
    return RawConnection(reader, writer)


def _plain(error: Exception) -> str:
    """The error in words of people."""
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(text).replace("_", " ").lower()
