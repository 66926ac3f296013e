"""TLS 1.3 between two pinned keys: no names, no authorities, no dates.

A server cannot be shown an unknown self-signed certificate: OpenSSL ends the handshake before Python is
asked. So a peer without a certificate is a stranger, who may pair and read what is public; a peer with one
must be pinned. Pins change while a server runs: the SNI callback, which runs before the client's certificate
is judged, swaps in a context with today's pins. Session tickets are off, for a ticket would outlive the
removal of a pin.

The curve is P-256. Python 3.11 cannot order the TLS 1.3 ciphers; AES-128-GCM, the one that every small module
has, is always offered and accepted.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ores.link.identity import Identity, id_of, spki_fingerprint
from ores.link.pins import Pins

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_NO_CHECK_TIME: Final = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME, which Python does not name: a device without a clock must still get in."""


RECORD_MAX_BYTES: Final = 4096
"""Of content, in a TLS record towards a module."""


class WrongKey(ssl.SSLCertVerificationError):
    """The server's key is not the pinned one."""


def server_context(identity: Identity, pins: Pins) -> ssl.SSLContext:
    """A context for a server that follows its pins while it runs.

    Args:
        identity: The server's own.
        pins: Whose certificates are accepted; later changes count from the next handshake on.
    """
    current, version = _server_context(identity, pins), pins.version

    def swap(connection: ssl.SSLSocket | ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal current, version
        if version != pins.version:
            current, version = _server_context(identity, pins), pins.version
        connection.context = current

    door = _server_context(identity, pins)
    door.sni_callback = swap
    door.sslobject_class = _RejectingObject
    return door


def client_context(identity: Identity | None, fingerprint: str | None) -> ssl.SSLContext:
    """A context for a client that trusts one key.

    Args:
        identity: Shown to the server; None for a stranger who wants to pair.
        fingerprint: The server's pinned SPKI, 64 hex digits; None to take whatever key is met (pairing checks
            it afterwards).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # OpenSSL still checks that the server owns the key of the certificate it shows; that it is the pinned key
    # is checked in `_PinnedObject`, before a request of ours is sent.
    context.verify_mode = ssl.CERT_NONE
    _common(context)
    if identity is not None:
        _load_identity(context, identity)
    if fingerprint is None:
        context.sslobject_class = _SmallRecords
    else:
        context.sslobject_class = type("_Pinned", (_PinnedObject,), {"fingerprint": fingerprint})
    return context


class _SmallRecords(ssl.SSLObject):
    """A TLS connection that puts no more into a record than a small server has memory for (TLS-009).

    A record can be checked only when all of it has come. Both event loops send what a write has left over.
    """

    def write(self, data: ReadableBuffer) -> int:
        return super().write(memoryview(data).cast("B")[:RECORD_MAX_BYTES])


class _PinnedObject(_SmallRecords):
    """A TLS connection whose handshake fails unless the server's key is the pinned one."""

    fingerprint: str

    def do_handshake(self) -> None:
        super().do_handshake()
        certificate = self.getpeercert(binary_form=True)
        found = spki_fingerprint(certificate) if certificate else ""
        if found != self.fingerprint:
            met = id_of(found) if found else "nobody"
            raise WrongKey(f"the server is {met}, pinned is {id_of(self.fingerprint)}")


class _RejectingObject(ssl.SSLObject):
    """A TLS connection that tells a client why it is refused.

    asyncio and uvloop drop a failed handshake together with the alert that OpenSSL has prepared for the peer.
    Asking once for "more input" makes them send it; whatever comes next ends the connection.
    """

    _rejection: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        if self._rejection is not None:
            raise self._rejection
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            self._rejection = error
            raise ssl.SSLWantReadError from error


def _server_context(identity: Identity, pins: Pins) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    _common(context)
    context.num_tickets = 0
    _load_identity(context, identity)
    for entry in pins:
        context.load_verify_locations(cadata=entry.certificate)
    return context


def _common(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    context.set_ecdh_curve("prime256v1")


def _load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    # Python's OpenSSL reads keys from files only. On Linux that file is in memory; elsewhere it is private
    # (mode 0600) and lives for a moment.
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("ores"), "wb") as file:
            file.write(identity.pem)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        return
    handle, name = tempfile.mkstemp(prefix="ores-", suffix=".pem")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(identity.pem)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
