"""What the kit reads out of a hub's connections: records, requests, frames, and what TLS it knows."""

import ssl
import struct

import pytest

from ores.conformance.hubs.door import Connection, Relay, _Records, frames_in, hello_in, requests_in


def record(kind: int, content: bytes) -> bytes:
    return struct.pack("!BHH", kind, 0x0303, len(content)) + content


@pytest.mark.parametrize("chunk", [1, 3, 7, 4096])
def test_lengths_of_records_are_read_however_the_bytes_are_cut(chunk: int) -> None:
    data = record(22, b"h" * 500) + record(23, b"x" * 117) + record(20, b"\1") + record(23, b"y" * 4113)
    connection = Connection(0.0)
    reader = _Records(connection)
    for at in range(0, len(data), chunk):
        reader.take(data[at : at + chunk])
    assert connection.records == [100, 4096]


def test_requests_are_read_with_their_sizes_until_a_stream_begins() -> None:
    first = b"PUT /failsafe HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
    second = b"GET /stream HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    asked = list(requests_in(first + b"12345" + second + b"\x81\x00"))
    assert [one.line for one in asked] == ["PUT /failsafe", "GET /stream"]
    assert [(one.head_bytes, one.body_bytes) for one in asked] == [(len(first), 5), (len(second), 0)]


def test_frames_are_unmasked_and_tell_fragments_and_kinds() -> None:
    head = b"GET /stream HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"
    mask = b"\1\2\3\4"
    long = b"a" * 300
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(long))
    data = (
        head + b"\x81\x82" + mask + b"ij" + b"\x02\xfe" + struct.pack("!H", 300) + mask + masked + b"\x81\x85"
    )
    text, binary = frames_in(data)
    assert (text.final, text.opcode, text.masked, text.payload) == (True, 1, True, b"hh")
    assert (binary.final, binary.opcode, binary.payload) == (False, 2, long)


def test_a_hello_tells_suites_groups_and_signatures() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ecdh_curve("secp384r1")
    sent = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), sent)
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    hello = hello_in(sent.read())
    assert hello is not None
    assert 0x1301 in hello.suites
    assert hello.groups & {0x0017, 0x0018} == {0x0018}
    assert 0x0403 in hello.signatures
    assert hello_in(b"GET / HTTP/1.1" + b" " * 60) is None


def test_one_connection_that_follows_another_is_not_two_at_once() -> None:
    relay = Relay(lambda: 0.0)
    relay.connections.extend([Connection(0.0, 5.0), Connection(4.9, 9.0), Connection(1.0)])
    assert relay.most_at_once() == 2
    relay.connections.append(Connection(2.0, 8.0))
    assert relay.most_at_once() == 3
