"""Hubs with a wrong certificate, in a wrong role, or at a loss for words."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ores.conformance.broken.hubs.registry import Tools, broken_hub
from ores.hub import run
from ores.link import client
from ores.link.identity import Identity, load_or_create
from ores.link.pairing import PairingRefused

Builder = Callable[[ec.EllipticCurvePrivateKey, x509.Certificate], x509.Certificate]
CERTIFICATE_MAX_BYTES = 1024
MAKER = ec.generate_private_key(ec.SECP256R1())


def _certificate(tools: Tools, make: Builder) -> None:
    """Give the hub another certificate of its own key, the same at each start."""
    made: dict[bytes, Identity] = {}

    def other(directory: Path) -> Identity:
        right = load_or_create(directory)
        if right.certificate not in made:
            key = serialization.load_pem_private_key(right.pem, None)
            if not isinstance(key, ec.EllipticCurvePrivateKey):
                raise TypeError("the key is on P-256")
            certificate = make(key, x509.load_der_x509_certificate(right.certificate))
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ) + certificate.public_bytes(serialization.Encoding.PEM)
            der = certificate.public_bytes(serialization.Encoding.DER)
            made[right.certificate] = msgspec.structs.replace(right, certificate=der, pem=pem)
        return made[right.certificate]

    tools.attribute(run, "load_or_create", other)


def _built(
    key: ec.EllipticCurvePrivateKey, right: x509.Certificate, subject: x509.Name
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(right.serial_number)
        .not_valid_before(right.not_valid_before_utc)
        .not_valid_after(right.not_valid_after_utc)
    )


@broken_hub("certificate-self-signed", also=("certificate-stays",))
def has_its_certificate_from_an_authority(tools: Tools) -> None:
    """The maker signed it, whose key nobody in the house knows."""
    _certificate(tools, lambda key, right: _built(key, right, right.subject).sign(MAKER, hashes.SHA256()))


@broken_hub("certificate-self-signed", variant="sha384", also=("certificate-stays",))
def signs_with_another_hash(tools: Tools) -> None:
    """A longer hash, which no small peer has."""
    _certificate(tools, lambda key, right: _built(key, right, right.subject).sign(key, hashes.SHA384()))


@broken_hub("certificate-size", also=("certificate-stays",))
def carries_a_long_certificate(tools: Tools) -> None:
    """With the maker's address and opening hours: a byte or two more than allowed."""

    def padded(key: ec.EllipticCurvePrivateKey, right: x509.Certificate) -> x509.Certificate:
        length = 600
        while True:
            comment = x509.UnrecognizedExtension(
                x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"x" * length
            )
            builder = _built(key, right, right.subject).add_extension(comment, critical=False)
            made = builder.sign(key, hashes.SHA256())
            over = len(made.public_bytes(serialization.Encoding.DER)) - CERTIFICATE_MAX_BYTES
            if 0 < over <= 2:  # what base64 of the largest allowed has room for
                return made
            length -= over - 1 if over else -1

    _certificate(tools, padded)


@broken_hub("certificate-subject", also=("certificate-stays",))
def calls_itself_hub(tools: Tools) -> None:
    """All its brothers have that name, too."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub")])
    _certificate(tools, lambda key, right: _built(key, right, name).sign(key, hashes.SHA256()))


@broken_hub("hub-pairs-by-code", also=("hub-is-the-only-door",))
def pairs_as_an_observer(tools: Tools) -> None:
    """It only wants to look, at first."""
    tools.attribute(client, "pair", partial(client.pair, role="observer"))


@broken_hub("unknown-code-by-status")
def stumbles_over_new_codes(tools: Tools) -> None:
    """A code that is not in its table is a defect."""
    right = client._read  # noqa: SLF001 - the mutation's place

    def strict(kind: Any, reply: Any) -> Any:
        try:
            return right(kind, reply)
        except PairingRefused as error:
            if error.code == "pairing_too_hot_today":
                raise LookupError(error.code) from error
            raise

    tools.attribute(client, "_read", strict)
