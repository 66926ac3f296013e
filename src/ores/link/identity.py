"""Who we are: a P-256 key, its self-signed certificate, and how often we have started.

The id of a module derives from its public key, so nobody can claim another's. Peers pin the key (its SPKI)
and ignore names and dates; the certificate only carries the key through TLS. On disk an identity is a
directory that only its owner can read:

```
identity.pem   private key and certificate, written in one piece so that the two cannot disagree
epoch          how often a hub has started; fences a hub restored from a backup, or cloned
```
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ores.link.errors import ConfigError

CERTIFICATE_MAX_BYTES: Final = 1024
"""A module with little memory keeps its peers' certificates whole."""

# A key outlives every clock that a device may have; RFC 5280 writes "no end" like this (section 4.1.2.5).
_VALID_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_VALID_UNTIL: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


_RESTORE: Final = (
    "the file from a backup; or remove the directory to start over with a new key and pair again"
)


class Identity(msgspec.Struct, frozen=True):
    """One key and its certificate.

    Attributes:
        id: 26 characters, derived from the key.
        fingerprint: SHA-256 of the SPKI, 64 lower-case hex digits.
        certificate: Self-signed, DER, at most 1024 bytes.
        pem: Private key and certificate as PEM; secret.
    """

    id: str
    fingerprint: str
    certificate: bytes
    pem: bytes

    def __repr__(self) -> str:  # a key must not end up in a log
        return f"Identity({self.id})"


def new_identity(private_value: int | None = None) -> Identity:
    """Make a fresh key and certificate, kept in memory only.

    Args:
        private_value: Take this number as the key: for simulated devices, whose keys protect nothing and
            whose ids must be the same in every run. Never for a thing that exists.
    """
    key = (
        ec.generate_private_key(ec.SECP256R1())
        if private_value is None
        else ec.derive_private_key(private_value, ec.SECP256R1())
    )
    certificate = _self_signed(key)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    return _identity(certificate, pem)


def load_or_create(directory: Path) -> Identity:
    """The identity kept in a directory; made at the first start.

    Args:
        directory: Created with mode 0700 where it is missing.

    Raises:
        ConfigError: A file cannot be read or written, is damaged, or is readable by others.
    """
    path = directory / "identity.pem"
    if path.exists():
        return _load(path)
    if _in_use(directory):
        raise ConfigError(str(path), found="no file, though the directory has been in use", allowed=_RESTORE)
    identity = new_identity()
    # The epoch goes first: a crash between the two leaves a directory that still counts as new.
    write_private_file(directory / "epoch", b"0\n")
    write_private_file(path, identity.pem)
    return identity


def next_epoch(directory: Path) -> int:
    """Count one more start of a hub and return the new epoch, at least 1.

    Modules refuse leases of a lower epoch than they have seen: a hub restored from a backup, or a clone, is
    fenced until a person decides which one lives.

    Raises:
        ConfigError: The file is missing, damaged or cannot be written.
    """
    path = directory / "epoch"
    advice = "a whole number above the last epoch used (any module's state tells it in its lease)"
    try:
        text = path.read_text("ascii").strip()
    except FileNotFoundError:
        raise ConfigError(str(path), found="no file", allowed=advice) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), found=str(error), allowed=advice) from None
    if not text.isdecimal() or len(text) > 15:
        raise ConfigError(str(path), found=text[:40], allowed=advice)
    epoch = int(text) + 1
    write_private_file(path, f"{epoch}\n".encode())
    return epoch


@lru_cache(maxsize=512)
def spki_fingerprint(certificate: bytes) -> str:
    """SHA-256 of the certificate's SubjectPublicKeyInfo as 64 lower-case hex digits.

    Raises:
        ValueError: Not a certificate.
    """
    return hashlib.sha256(_spki(x509.load_der_x509_certificate(certificate))).hexdigest()


def id_of(fingerprint: str) -> str:
    """The module id of a key: base32 of the first 16 bytes of its SPKI's SHA-256, 26 characters."""
    return base64.b32encode(bytes.fromhex(fingerprint)[:16]).decode("ascii").rstrip("=").lower()


def check_certificate(certificate: bytes) -> str:
    """Accept a peer's certificate as one that can be pinned, and return its SPKI fingerprint.

    The subject must be the id of the key: where subjects are alike, OpenSSL takes one pinned certificate for
    another's issuer.

    Args:
        certificate: DER.

    Raises:
        ValueError: Says which demand it misses.
    """
    if len(certificate) > CERTIFICATE_MAX_BYTES:
        raise ValueError(f"{len(certificate)} bytes; at most {CERTIFICATE_MAX_BYTES} are allowed")
    try:
        parsed = x509.load_der_x509_certificate(certificate)
        key = parsed.public_key()
        parsed.verify_directly_issued_by(parsed)
    except InvalidSignature:
        raise ValueError("not signed by its own key") from None
    except (ValueError, TypeError) as error:
        raise ValueError(f"not a self-signed X.509 certificate: {error}") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("its key is not on the curve P-256")  # noqa: TRY004  of a file, not of an argument
    fingerprint = hashlib.sha256(_spki(parsed)).hexdigest()
    if parsed.subject != _name(id_of(fingerprint)):
        raise ValueError(f"its subject is not CN={id_of(fingerprint)}, the id of its key")
    return fingerprint


def write_private_file(path: Path, data: bytes) -> None:
    """Replace a file in one step, readable by its owner only.

    After a crash there is the old one or the new one, never a part of one.

    Raises:
        ConfigError: The disk is full, or the directory cannot be written; the old file is untouched.
    """
    temporary: str | None = None
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)  # the new name itself must survive a power cut
        finally:
            os.close(directory)
    except OSError as error:
        if temporary is not None:
            with suppress(OSError):
                Path(temporary).unlink()
        raise ConfigError(
            str(path), found=error.strerror or str(error), allowed="a writable directory with free space"
        ) from error


def read_private_file(path: Path, advice: str) -> bytes:
    """Read a file that holds secrets or trust.

    Args:
        path: The file.
        advice: What a person may put there when it cannot be used.

    Raises:
        ConfigError: It is missing, unreadable, or open to others.
    """
    try:
        mode = path.stat().st_mode & 0o777
        if mode & 0o077:
            raise ConfigError(str(path), found=f"mode {mode:o}", allowed=f"600: run `chmod 600 {path}`")
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), found=error.strerror or str(error), allowed=advice) from None


def _load(path: Path) -> Identity:
    pem = read_private_file(path, _RESTORE)
    try:
        key = serialization.load_pem_private_key(pem, None)
        certificate = x509.load_pem_x509_certificate(pem)
    except (ValueError, TypeError) as error:
        raise ConfigError(str(path), found=f"a damaged file ({error})", allowed=_RESTORE) from None
    if key.public_key() != certificate.public_key():
        raise ConfigError(str(path), found="a key and a certificate that do not match", allowed=_RESTORE)
    identity = _identity(certificate, pem)
    try:
        check_certificate(identity.certificate)
    except ValueError as error:
        raise ConfigError(str(path), found=f"a certificate that fails: {error}", allowed=_RESTORE) from None
    return identity


def _in_use(directory: Path) -> bool:
    if (directory / "pins.json").exists():
        return True
    epoch = directory / "epoch"
    return epoch.exists() and epoch.read_bytes() != b"0\n"


def _identity(certificate: x509.Certificate, pem: bytes) -> Identity:
    fingerprint = hashlib.sha256(_spki(certificate)).hexdigest()
    der = certificate.public_bytes(serialization.Encoding.DER)
    return Identity(id=id_of(fingerprint), fingerprint=fingerprint, certificate=der, pem=pem)


def _self_signed(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    public = key.public_key()
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = _name(id_of(hashlib.sha256(spki).hexdigest()))
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(secrets.randbits(63) | 1)
        .not_valid_before(_VALID_FROM)
        .not_valid_after(_VALID_UNTIL)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _name(module_id: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, module_id)])


def _spki(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
