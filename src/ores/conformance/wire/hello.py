"""A TLS 1.3 ClientHello by hand (RFC 8446, 4.1.2): the only way to offer exactly what a small stack has."""

from __future__ import annotations

import asyncio
import secrets
import struct
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ores.conformance.check import Failed, Unreachable
from ores.conformance.wire.target import CONNECT_S, Target

AES_128_GCM_SHA256: Final = 0x1301
SECP256R1: Final = 0x0017
ECDSA_SECP256R1_SHA256: Final = 0x0403
TLS_13: Final = 0x0304

HANDSHAKE: Final = 22
ALERT: Final = 21
SERVER_HELLO: Final = 2
SUPPORTED_VERSIONS: Final = 43
KEY_SHARE: Final = 51
RETRY_RANDOM: Final = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the server chose.

    Attributes:
        version: From its extension; 0x0303 where it has none.
        suite: Cipher suite.
        group: Of its key share; None where it sent none.
        retry: It asked for another hello (HelloRetryRequest) in place of going on.
    """

    version: int
    suite: int
    group: int | None
    retry: bool


async def offer_the_least(target: Target) -> ServerHello:
    """Offer the one suite, curve and signature that all have to accept, and nothing else.

    Raises:
        Unreachable: The server refuses, or answers with what is no ServerHello.
        Failed: It answers with half of one.
    """
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(target.host, target.port)
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"no connection to {target.host}:{target.port}: {error}") from error
    try:
        writer.write(_client_hello(target.host))
        async with asyncio.timeout(CONNECT_S):
            kind, _, length = struct.unpack("!BHH", await reader.readexactly(5))
            record = await reader.readexactly(length)
    except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
        raise Unreachable("the server ended the connection at a ClientHello") from error
    finally:
        writer.transport.abort()
    if kind == ALERT:
        raise Unreachable(f"the server refused a ClientHello with the alert {int.from_bytes(record[1:2])}")
    if kind != HANDSHAKE or record[:1] != bytes([SERVER_HELLO]):
        raise Unreachable(f"the server answered a ClientHello with a record of type {kind}")
    try:
        return _server_hello(record[4:])
    except (IndexError, struct.error) as error:
        raise Failed("the server answered a ClientHello with a ServerHello that ends too early") from error


def _server_hello(body: bytes) -> ServerHello:
    """Version, random, session id, suite, compression, extensions (RFC 8446, 4.1.3)."""
    random = body[2:34]
    at = 35 + body[34]
    suite = int.from_bytes(body[at : at + 2], "big")
    at += 5
    version, group = 0x0303, None
    while at + 4 <= len(body):
        kind, length = struct.unpack("!HH", body[at : at + 4])
        value = body[at + 4 : at + 4 + length]
        if kind == SUPPORTED_VERSIONS:
            version = int.from_bytes(value, "big")
        elif kind == KEY_SHARE:
            group = int.from_bytes(value[:2], "big")
        at += 4 + length
    return ServerHello(version, suite, group, random == RETRY_RANDOM)


def _client_hello(host: str) -> bytes:
    point = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    name = host.encode("idna") if not host.replace(".", "").isdigit() and ":" not in host else b"module.local"
    share = struct.pack("!HH", SECP256R1, len(point)) + point
    extensions = b"".join(
        struct.pack("!HH", kind, len(value)) + value
        for kind, value in (
            (0, struct.pack("!HBH", len(name) + 3, 0, len(name)) + name),
            (10, struct.pack("!HH", 2, SECP256R1)),
            (13, struct.pack("!HH", 2, ECDSA_SECP256R1_SHA256)),
            (SUPPORTED_VERSIONS, struct.pack("!BH", 2, TLS_13)),
            (KEY_SHARE, struct.pack("!H", len(share)) + share),
        )
    )
    body = b"".join(
        (
            b"\x03\x03",
            secrets.token_bytes(32),
            b"\x20" + secrets.token_bytes(32),
            struct.pack("!HH", 2, AES_128_GCM_SHA256),
            b"\x01\x00",
            struct.pack("!H", len(extensions)) + extensions,
        )
    )
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + struct.pack("!H", len(handshake)) + handshake
