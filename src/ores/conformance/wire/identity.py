"""Keys, ids and certificates as section 4.2 makes them."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOT_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def fingerprint_of(certificate: x509.Certificate) -> str:
    """SHA-256 of the SubjectPublicKeyInfo, as 64 lower-case hex digits."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def id_of(fingerprint: str) -> str:
    """The id that follows from a fingerprint: base32 of its first 16 bytes."""
    return base64.b32encode(bytes.fromhex(fingerprint)[:16]).decode().rstrip("=").lower()


@dataclass(frozen=True)
class Identity:
    """A key of the kit, with the certificate that carries it.

    Attributes:
        key: On P-256.
        certificate: Signed by the key itself.
    """

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @cached_property
    def der(self) -> bytes:
        """The certificate in DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @cached_property
    def fingerprint(self) -> str:
        """Of the key, 64 hex digits."""
        return fingerprint_of(self.certificate)

    @property
    def id(self) -> str:
        """The id of the key."""
        return id_of(self.fingerprint)

    def renewed(self) -> Identity:
        """Another certificate of the same key."""
        return new_identity(key=self.key)

    def write(self, path: Path) -> Path:
        """Key and certificate as one PEM file that only this user reads, as `ssl` wants them."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + self.certificate.public_bytes(serialization.Encoding.PEM)
        path.touch(mode=0o600)
        path.write_bytes(pem)
        return path


def new_identity(
    *,
    curve: ec.EllipticCurve | None = None,
    name: str | None = None,
    not_before: datetime = NOT_BEFORE,
    not_after: datetime = NOT_AFTER,
    signer: ec.EllipticCurvePrivateKey | None = None,
    padding_bytes: int = 0,
    key: ec.EllipticCurvePrivateKey | None = None,
) -> Identity:
    """A new key with its certificate, right in all points or wrong in those that are named.

    Args:
        curve: Another curve than P-256.
        name: Another common name than the id of the key.
        not_before: Beginning of validity.
        not_after: End of validity.
        signer: Another key that signs.
        padding_bytes: Length of a comment that makes the certificate larger.
        key: A key that is there already.
    """
    key = key or ec.generate_private_key(curve or ec.SECP256R1())
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    common_name = name if name is not None else id_of(hashlib.sha256(spki).hexdigest())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if padding_bytes:
        comment = x509.UnrecognizedExtension(
            x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"x" * padding_bytes
        )
        builder = builder.add_extension(comment, critical=False)
    return Identity(key, builder.sign(signer or key, hashes.SHA256()))
