"""What TLS itself guarantees, seen without HTTP."""

from __future__ import annotations

import ssl
from contextlib import suppress

import pytest

from ores.link.identity import Identity, new_identity
from ores.link.pins import Pins, pin
from ores.link.tls import WrongKey, client_context, server_context


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends of one handshake, in memory, until the client could read its first answer."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server.wrap_bio(to_server, to_client, server_side=True)
    two = client.wrap_bio(to_client, to_server, server_hostname="any.ores")
    for _ in range(4):
        for end in (two, one):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    one.write(b"hello")
    assert two.read(5) == b"hello"
    return one, two


SERVER, HUB = new_identity(), new_identity()


def test_a_pinned_client_is_known_by_its_certificate() -> None:
    context = server_context(SERVER, Pins([pin(HUB.certificate, "controller")]))
    one, two = handshake(context, client_context(HUB, SERVER.fingerprint))
    assert one.getpeercert(binary_form=True) == HUB.certificate
    assert two.version() == "TLSv1.3"


def test_a_client_without_certificate_is_a_stranger() -> None:
    one, _ = handshake(server_context(SERVER, Pins()), client_context(None, SERVER.fingerprint))
    assert one.getpeercert(binary_form=True) is None


def test_an_unpinned_certificate_ends_the_handshake() -> None:
    context = server_context(SERVER, Pins([pin(HUB.certificate, "controller")]))
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, client_context(new_identity(), SERVER.fingerprint))


def test_many_pins_do_not_shadow_each_other() -> None:
    hubs = [new_identity() for _ in range(20)]
    context = server_context(SERVER, Pins([pin(hub.certificate, "observer") for hub in hubs]))
    for hub in hubs:
        one, _ = handshake(context, client_context(hub, SERVER.fingerprint))
        assert one.getpeercert(binary_form=True) == hub.certificate


def test_pins_come_and_go_without_a_restart() -> None:
    pins = Pins()
    context = server_context(SERVER, pins)
    client = client_context(HUB, SERVER.fingerprint)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, client)
    pins.add(pin(HUB.certificate, "controller"))
    handshake(context, client)
    pins.remove(HUB.id)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(context, client)


def test_another_key_under_a_pinned_id_is_refused() -> None:
    with pytest.raises(WrongKey, match=f"the server is {SERVER.id}, pinned is {HUB.id}"):
        handshake(server_context(SERVER, Pins()), client_context(None, HUB.fingerprint))


def test_a_copied_certificate_without_its_key_is_worth_nothing() -> None:
    thief = new_identity()
    own_key = thief.pem[: thief.pem.index(b"-----BEGIN CERT")]
    stolen = HUB.pem[HUB.pem.index(b"-----BEGIN CERT") :]
    forged = Identity(
        id=HUB.id, fingerprint=HUB.fingerprint, certificate=HUB.certificate, pem=own_key + stolen
    )
    with pytest.raises(ssl.SSLError, match=r"(?i)mismatch"):
        client_context(forged, None)


def test_nothing_older_than_tls_1_3_is_spoken() -> None:
    old = client_context(None, None)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(server_context(SERVER, Pins()), old)


@pytest.mark.parametrize("fingerprint", [SERVER.fingerprint, None], ids=["paired", "stranger"])
def test_no_record_to_a_module_holds_more_than_it_has_memory_for(fingerprint: str | None) -> None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(SERVER, Pins()).wrap_bio(to_server, to_client, server_side=True)
    client = client_context(None, fingerprint).wrap_bio(to_client, to_server, server_hostname="any.ores")
    for _ in range(4):
        for end in (client, server):
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
    message = bytes(range(256)) * 40
    written = 0
    while written < len(message):  # as the event loops do
        written += client.write(message[written:])
    wire = to_server.read()
    sizes, at = [], 0
    while at < len(wire):
        sizes.append(int.from_bytes(wire[at + 3 : at + 5]))
        at += 5 + sizes[-1]
    overhead = 1 + 16  # of the kind of content, and of AES-GCM (RFC 8446, 5.2)
    assert max(sizes) == 4096 + overhead
    to_server.write(wire)
    assert b"".join(server.read(8192) for _ in sizes) == message
