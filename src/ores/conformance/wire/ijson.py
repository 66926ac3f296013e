"""I-JSON (RFC 7493) read strictly, and what a lenient reader would have overlooked."""

from __future__ import annotations

import json
import re
from typing import Any, Final, NoReturn

from ores.conformance.check import Failed

SURROGATE: Final = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
"""Without one of these nothing has to be walked through: UTF-8 itself has no surrogates."""


class WrittenFloat(float):
    """A number that was written with a fraction or an exponent, as `3.0` is."""


def read(data: bytes | str) -> Any:
    """Parse a message of the subject.

    Raises:
        Failed: It is no I-JSON; the message says why.
    """
    try:
        text = data.decode("utf-8") if isinstance(data, bytes) else data
    except UnicodeDecodeError as error:
        raise Failed(f"a message is not UTF-8: {error.reason} at byte {error.start}") from error
    if text.startswith("﻿"):
        raise Failed("a message begins with a byte-order mark, which I-JSON does not allow")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_float=WrittenFloat, parse_constant=_constant
        )
        if SURROGATE.search(text):
            _no_lone_surrogate(value)
    except (ValueError, RecursionError) as error:
        raise Failed(f"a message is no JSON ({error}): {text[:120]!r}") from error
    return value


def lenient(data: bytes) -> Any:
    """The same as a forgiving reader takes it, for what is judged apart from its form."""
    return json.loads(data)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        doubled = next(name for name in names if names.count(name) > 1)
        raise Failed(f"an object names {doubled!r} twice, which I-JSON does not allow")
    return found


def _constant(word: str) -> NoReturn:
    raise Failed(f"a message holds {word}, which is no number in JSON")


def _no_lone_surrogate(value: Any) -> None:
    """I-JSON texts are Unicode; half a surrogate pair is none.

    Raises:
        Failed: A text holds a lone surrogate.
    """
    if isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise Failed(f"a text holds a lone surrogate: {value[:40]!r}")
    elif isinstance(value, dict):
        for key, item in value.items():
            _no_lone_surrogate(key)
            _no_lone_surrogate(item)
    elif isinstance(value, list):
        for item in value:
            _no_lone_surrogate(item)
