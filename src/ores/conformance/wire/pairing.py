"""Codes and proofs of section 4.3."""

from __future__ import annotations

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Literal

from ores.conformance.check import Failed

Role = Literal["controller", "observer"]
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
SYMBOLS = 28


class BadCode(Exception):
    """What was typed is no pairing code; the message says what is wrong with it."""


def code_of(secret: bytes) -> str:
    """The text that people see for a secret of 16 bytes."""
    symbols = base64.b32encode(secret).decode().rstrip("=")
    check = _check_symbols(symbols)
    whole = symbols + check
    return "ORES-" + "-".join(whole[at : at + 4] for at in range(0, SYMBOLS, 4))


def secret_of(code: str) -> bytes:
    """The 16 bytes behind a typed code.

    Raises:
        BadCode: It is no code.
    """
    plain = "".join(letter for letter in code.upper() if letter not in " -\t")
    plain = plain.removeprefix("ORES").translate(str.maketrans("018", "OIB"))
    if len(plain) != SYMBOLS or any(letter not in ALPHABET for letter in plain):
        raise BadCode(f"a code is ORES- and {SYMBOLS} letters A-Z or digits 2-7; found {len(plain)} symbols")
    if _check_symbols(plain[:26]) != plain[26:]:
        raise BadCode("the last two symbols do not fit the rest: a typing error")
    return base64.b32decode(plain[:26] + "======")


def new_nonce() -> str:
    """32 fresh random bytes, as hex."""
    return secrets.token_hex(32)


def proof(
    secret: bytes,
    *,
    of: Literal["module", "hub"],
    module_fingerprint: str,
    hub_fingerprint: str,
    hub_nonce: str,
    module_nonce: str,
    role: str,
) -> str:
    """The proof of one side, as hex; fingerprints and nonces are hex."""
    message = (
        f"ORES-PAIRING-1 {of}".encode()
        + b"\0"
        + bytes.fromhex(module_fingerprint)
        + bytes.fromhex(hub_fingerprint)
        + bytes.fromhex(hub_nonce)
        + bytes.fromhex(module_nonce)
        + role.encode()
    )
    return hmac.new(secret, message, sha256).hexdigest()


def hex_bytes(value: object, name: str, length: int) -> str:
    """A hex text of so many bytes from a message of the subject.

    Raises:
        Failed: It is none.
    """
    if not isinstance(value, str) or len(value) != 2 * length:
        raise Failed(f"{name} is to be {2 * length} hex digits, found {value!r}")
    try:
        bytes.fromhex(value)
    except ValueError as error:
        raise Failed(f"{name} is to be {2 * length} hex digits, found {value!r}") from error
    return value


def _check_symbols(symbols: str) -> str:
    total = sum(place * ALPHABET.index(letter) for place, letter in enumerate(symbols, start=1)) % 1021
    return ALPHABET[total // 32] + ALPHABET[total % 32]
