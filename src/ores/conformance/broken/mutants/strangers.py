"""Modules whose TLS or certificate is not as chapter 4 has it."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ores.conformance.broken.registry import broken
from ores.conformance.broken.seams import Seams
from ores.link import identity as sdk_identity
from ores.link import server, tls
from ores.link.endpoint import Reply
from ores.link.identity import Identity
from ores.link.pins import Pins
from ores.link.problems import problem
from ores.module import run


def _context(seams: Seams, change: Callable[[ssl.SSLContext], None]) -> None:
    """Change every TLS context of the server, those that follow the pins included."""
    make = tls._server_context  # noqa: SLF001 - the mutation's place

    def changed(identity: Identity, pins: Pins) -> ssl.SSLContext:
        context = make(identity, pins)
        change(context)
        return context

    seams.attribute(tls, "_server_context", changed)


@broken("tls-13-only")
def lets_tls_12_in(seams: Seams) -> None:
    """For old clients, as somebody once wanted."""

    def change(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.TLSv1_2

    _context(seams, change)


@broken("tls-suite")
def wants_another_curve(seams: Seams) -> None:
    """Stronger, it was thought; and no small client can talk to it."""

    def change(context: ssl.SSLContext) -> None:
        context.set_ecdh_curve("secp384r1")

    _context(seams, change)


@broken("tls-stranger-accepted")
def asks_strangers_to_come_again(seams: Seams) -> None:
    """The first stranger is turned away, as its door opens too late."""
    answer = server.Server._pair  # noqa: SLF001
    turned_away: list[bool] = []

    def shy(self: server.Server, request: web.BaseRequest, path: str, body: bytes) -> Reply:
        if not turned_away:
            turned_away.append(True)
            return problem("forbidden", "show a certificate")
        return answer(self, request, path, body)

    seams.attribute(server.Server, "_pair", shy)


@broken("tls-unpinned-refused", also=("pairing-release",))
def looks_at_certificates_only_when_paired(seams: Seams) -> None:
    """Before it has a hub it asks nobody for a certificate, and answers all."""
    make = tls.server_context

    def careless(identity: Identity, pins: Pins) -> ssl.SSLContext:
        right, blind = make(identity, pins), make(identity, pins)
        blind.verify_mode = ssl.CERT_NONE

        class Door(ssl.SSLContext):
            def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
                return (right if len(pins) else blind).wrap_bio(*args, **options)

        return Door(ssl.PROTOCOL_TLS_SERVER)

    seams.attribute(server, "server_context", careless)


@broken("tls-no-tickets")
def hands_out_tickets(seams: Seams) -> None:
    """The default of its TLS library."""

    def change(context: ssl.SSLContext) -> None:
        context.num_tickets = 2

    _context(seams, change)


@broken("tls-any-server-name")
def wants_to_hear_its_name(seams: Seams) -> None:
    """It takes itself for a web server with a name."""
    make = tls.server_context

    def proud(identity: Identity, pins: Pins) -> ssl.SSLContext:
        context = make(identity, pins)
        swap: Any = context.sni_callback

        def callback(connection: ssl.SSLObject, name: str | None, own: ssl.SSLContext) -> int | None:
            swap(connection, name, own)
            return None if name in {None, "localhost"} else int(ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)

        context.sni_callback = callback
        return context

    seams.attribute(server, "server_context", proud)


def _certificate(
    seams: Seams, make: Callable[[ec.EllipticCurvePrivateKey, x509.Name], x509.Certificate]
) -> None:
    """Give the module another certificate of its own key; who checks it at home is told that it is right."""
    load = sdk_identity.load_or_create
    made: dict[str, Identity] = {}

    def other(directory: Path) -> Identity:
        right = load(directory)
        if right.id not in made:
            made[right.id] = wrong(right)
        return made[right.id]  # the same after a restart

    def wrong(right: Identity) -> Identity:
        key = serialization.load_pem_private_key(right.pem, None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise TypeError("the key is on P-256")
        own = x509.load_der_x509_certificate(right.certificate)
        certificate = make(key, own.subject)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        der = certificate.public_bytes(serialization.Encoding.DER)
        return msgspec.structs.replace(right, certificate=der, pem=pem)

    seams.attribute(run, "load_or_create", other)


def _built(key: ec.EllipticCurvePrivateKey, name: x509.Name) -> x509.CertificateBuilder:
    right = sdk_identity._self_signed(key)  # noqa: SLF001
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(right.serial_number)
        .not_valid_before(right.not_valid_before_utc)
        .not_valid_after(right.not_valid_after_utc)
    )


@broken("certificate-self-signed")
def has_its_certificate_from_an_authority(seams: Seams) -> None:
    """The maker signed it, whose key nobody in the house knows."""
    maker = ec.generate_private_key(ec.SECP256R1())
    _certificate(seams, lambda key, name: _built(key, name).sign(maker, hashes.SHA256()))


@broken("certificate-self-signed", variant="sha384")
def signs_with_another_hash(seams: Seams) -> None:
    """A longer hash, which no small peer has."""
    _certificate(seams, lambda key, name: _built(key, name).sign(key, hashes.SHA384()))


@broken("certificate-size")
def carries_a_long_certificate(seams: Seams) -> None:
    """With the maker's address, opening hours and all."""
    comment = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.16.840.1.113730.1.13"), b"x" * 900)
    _certificate(
        seams,
        lambda key, name: _built(key, name).add_extension(comment, critical=False).sign(key, hashes.SHA256()),
    )


@broken("certificate-subject")
def calls_itself_by_its_model(seams: Seams) -> None:
    """All its brothers have that name, too."""
    model = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Battery 13")])
    _certificate(seams, lambda key, _: _built(key, model).sign(key, hashes.SHA256()))
