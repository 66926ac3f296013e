"""What a module shows to whom it has never met: TLS and its certificate (sections 4.2, 4.4)."""

from __future__ import annotations

import ssl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ores.conformance.bench import Bench
from ores.conformance.check import Section, Unreachable, fail, need
from ores.conformance.wire import hello
from ores.conformance.wire.identity import id_of
from ores.conformance.wire.target import RawConnection, connect, context

CERTIFICATE_MAX_BYTES = 1024

section: Section[Bench] = Section(
    "strangers",
    "Looks at the module as a stranger: TLS and certificate. Nothing is changed.",
    begin=Bench.meet,
)


@section.check("tls-13-only")
async def tls_13_only(bench: Bench) -> None:
    """TLS-001: an offer of TLS 1.2 at most comes to nothing."""
    older = context(lowest=ssl.TLSVersion.TLSv1_2, highest=ssl.TLSVersion.TLSv1_2)
    try:
        raw = await connect(bench.target, older)
    except Unreachable:
        return
    version = raw.tls.version()
    await raw.close()
    fail(f"a client that offers TLS 1.2 at most was let in with {version}; all but 1.3 are to be refused")


@section.check("tls-suite")
async def tls_suite(bench: Bench) -> None:
    """TLS-002: the one suite, curve and signature that all have is enough."""
    found = await hello.offer_the_least(bench.target)
    need(
        (found.version, found.suite, found.group, found.retry)
        == (hello.TLS_13, hello.AES_128_GCM_SHA256, hello.SECP256R1, False),
        f"an offer of TLS_AES_128_GCM_SHA256, secp256r1 and ecdsa_secp256r1_sha256 was answered with {found}",
    )


@section.check("tls-stranger-accepted")
async def tls_stranger_accepted(bench: Bench) -> None:
    """TLS-003: who shows no certificate may still pair."""
    answer = await bench.stranger.request("GET", "/pairing")
    need(
        answer.status == 200,
        f"GET /pairing without a certificate was answered with {answer.status}; 200 is demanded",
    )


@section.check("tls-unpinned-refused")
async def tls_unpinned_refused(bench: Bench) -> None:
    """TLS-004: a key that is not pinned gets no answer at all."""
    try:
        answer = await bench.unknown.request("GET", "/pairing")
    except Unreachable:
        return
    finally:
        await bench.unknown.close()
    fail(
        f"a client certificate whose key is not pinned was answered with {answer.status}; "
        "no request is to be answered"
    )


@section.check("tls-no-tickets")
async def tls_no_tickets(bench: Bench) -> None:
    """TLS-006: neither session tickets nor early data."""
    raw = await bench.raw()
    try:
        await _ask(raw, bench)
        session = raw.tls.session
        ticket = session is not None and session.has_ticket
    finally:
        await raw.close()
    need(not ticket, "the server sent a session ticket, which would outlive the removal of a pin")


@section.check("tls-any-server-name")
async def tls_any_server_name(bench: Bench) -> None:
    """TLS-007: any name, or none, is as good."""
    for name in ("something.else.example", None):
        raw = await bench.raw(server_name=name)
        try:
            answer = await _ask(raw, bench)
        finally:
            await raw.close()
        need(
            answer.startswith(b"HTTP/1.1 200"),
            f"with the server name {name!r} GET /pairing was answered with {answer[:40]!r}; 200 is demanded",
        )


async def _ask(raw: RawConnection, bench: Bench) -> bytes:
    """`GET /pairing` by hand; the first bytes of the answer."""
    request = f"GET {bench.target.path}/pairing HTTP/1.1\r\nHost: {bench.target.host}\r\n\r\n"
    await raw.send(request.encode())
    return await raw.receive()


@section.check("certificate-self-signed")
async def certificate_self_signed(bench: Bench) -> None:
    """IDENT-004: of a P-256 key, signed by that key with ECDSA and SHA-256."""
    raw = await bench.raw()
    certificate = raw.certificate
    await raw.close()
    key = certificate.public_key()
    need(
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1),
        f"the certificate holds a {type(key).__name__}; a key on P-256 is demanded",
    )
    algorithm = certificate.signature_hash_algorithm
    need(
        isinstance(algorithm, hashes.SHA256),
        f"the certificate is signed with {getattr(algorithm, 'name', 'no hash')}; SHA-256 is demanded",
    )
    assert isinstance(key, ec.EllipticCurvePublicKey)  # noqa: S101 - seen above
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        fail("the certificate is not signed by its own key")


@section.check("certificate-size")
async def certificate_size(bench: Bench) -> None:
    """IDENT-005: a small peer keeps it whole."""
    raw = await bench.raw()
    der = raw.tls.getpeercert(binary_form=True) or b""
    await raw.close()
    need(
        len(der) <= CERTIFICATE_MAX_BYTES,
        f"the certificate has {len(der)} bytes in DER; {CERTIFICATE_MAX_BYTES} are the most",
    )


@section.check("certificate-subject")
async def certificate_subject(bench: Bench) -> None:
    """IDENT-006: subject and issuer are the one attribute CN with the id of the key."""
    raw = await bench.raw()
    certificate = raw.certificate
    await raw.close()
    wanted = id_of(bench.fingerprint)
    for what, name in (("subject", certificate.subject), ("issuer", certificate.issuer)):
        found = [(attribute.oid, attribute.value) for attribute in name]
        need(
            found == [(NameOID.COMMON_NAME, wanted)],
            f"the {what} of the certificate is {name.rfc4514_string()!r}; CN={wanted} alone is demanded",
        )
