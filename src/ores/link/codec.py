"""Messages to bytes and back, with nothing on the wire that the schema does not allow.

msgspec is fast but trusting: it writes NaN and infinity as null, and checks ranges only when it decodes. So
what goes out is decoded once more and compared; this finds a wrong number before the other side does. What
comes in is refused by size before it is parsed, and by depth before it can exhaust the stack. Every refusal
is an `InvalidMessage` that names the field, what was found, and what is allowed.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeVar

import msgspec

from ores.link.errors import InvalidMessage

T = TypeVar("T")

DEPTH_MAX = 64
LIMIT_BYTES = 1 << 20
FOUND_MAX_CHARS = 80
KEYS_TRIED_MAX = 256
"""Of one mapping, to name the key of what is wrong; as many as a module may have elements."""

# a decoder is worth keeping; the key says its type, which a dict cannot
_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
_encoder = msgspec.json.Encoder()
# The closing quote may be missing: else each quote of a hostile text is tried up to its end, for minutes.
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_WHERE = re.compile(r"(?s)(.*?)(?: - at `(?:key` in `)?(\$.*)`)?")
_EXPECTED = re.compile(r"(?s)Expected (.*?)(?:, got (.*))?")
_NAMED = re.compile(r"Object (missing required|contains unknown) field `(.*)`")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")

_Path = tuple[str | int, ...]


def encode(message: msgspec.Struct) -> bytes:
    """JSON text of a message, checked against its own type.

    Raises:
        InvalidMessage: A number is not finite or out of its range, or a value is not of its declared type.
    """
    try:
        data = _encoder.encode(message)
        same = _decoder(type(message)).decode(data) == message
    except (msgspec.MsgspecError, TypeError, ValueError, OverflowError) as error:
        raise _unsendable(message, error) from error
    if not same:
        raise _unsendable(message, None)
    return data


def decode(type_: type[T], data: bytes, *, limit_bytes: int = LIMIT_BYTES, unique_keys: bool = False) -> T:
    """Read one message.

    Args:
        type_: What it has to be.
        data: JSON text.
        limit_bytes: Longer data is refused before it is parsed, with the code `too_large`.
        unique_keys: Refuse an object that names a key twice. For commands: two readers may disagree on
            which counts.

    Raises:
        InvalidMessage: With the field, what was found, and what is allowed.
    """
    if len(data) > limit_bytes:
        raise InvalidMessage(
            f"the message is too large: {len(data)} bytes, allowed are {limit_bytes}",
            code="too_large",
            field="$",
            found=f"{len(data)} bytes",
            allowed=f"at most {limit_bytes} bytes",
        )
    if data.count(b"[") + data.count(b"{") > DEPTH_MAX and _deeper_than(data, DEPTH_MAX):
        raise _too_deep()
    try:
        if not data.isascii():
            data.decode("utf-8")  # msgspec does not look into the text of fields that it skips
        message: T = _decoder(type_).decode(data)
    except RecursionError as error:
        raise _too_deep() from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _unreadable(type_, data, error) from error
    if unique_keys:
        json.loads(data, object_pairs_hook=_refuse_twins)
    return message


def _decoder(type_: type[T]) -> msgspec.json.Decoder[T]:
    decoder = _decoders.get(type_)
    if decoder is None:
        decoder = _decoders[type_] = msgspec.json.Decoder(type_)
    return decoder


def _deeper_than(data: bytes, depth: int) -> bool:
    """Whether brackets outside of strings nest deeper than `depth`; each turn peels the innermost."""
    brackets = _STRINGS.sub(b"", data).translate(None, _NOT_BRACKETS)
    for _ in range(depth):
        if not brackets:
            return False
        peeled = brackets.replace(b"{}", b"").replace(b"[]", b"")
        if peeled == brackets:
            return brackets.count(b"[") + brackets.count(b"{") > depth  # does not even close
        brackets = peeled
    return bool(brackets)


def _too_deep() -> InvalidMessage:
    return InvalidMessage(
        f"the message nests deeper than {DEPTH_MAX}",
        field="$",
        found=f"more than {DEPTH_MAX} levels",
        allowed=f"at most {DEPTH_MAX} levels",
    )


def _refuse_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    seen = dict(pairs)
    if len(seen) < len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in names if names.count(name) > 1)
        raise InvalidMessage(
            f"the key {_short(twin)} appears twice in one object", field=twin, found="twice", allowed="once"
        )
    return seen


def _unsendable(message: msgspec.Struct, error: Exception | None) -> InvalidMessage:
    """Why this message must not go out; the tree keeps what JSON would have turned to null."""
    try:
        tree: object = msgspec.to_builtins(message)
    except (TypeError, ValueError, OverflowError) as unencodable:
        return InvalidMessage(f"not a JSON value: {unencodable}", found=type(message).__name__)
    for path, number in _numbers(tree, ()):
        if not math.isfinite(number):
            return _invalid(path, repr(number), "a finite number; null where it is unknown")
    if error is not None:
        return _explained(type(message), tree, str(error))
    again: object = msgspec.to_builtins(msgspec.convert(tree, type(message)))
    path = _first_difference(tree, again, ())
    return _invalid(
        path, _short(_at(tree, path)), f"what reads back the same, not {_short(_at(again, path))}"
    )


def _unreadable(type_: type, data: bytes, error: Exception) -> InvalidMessage:
    try:
        tree: object = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as malformed:
        return InvalidMessage(
            f"not JSON: {malformed}",
            field="$",
            found=_short(data[:FOUND_MAX_CHARS]),
            allowed="JSON text in UTF-8",
        )
    return _explained(type_, tree, str(error))


def _explained(type_: type, tree: object, text: str) -> InvalidMessage:
    """Turn msgspec's sentence into field, found and allowed."""
    said = _WHERE.fullmatch(text)
    what, where = (said[1], said[2] or "$") if said else (text, "$")
    path = _refined(type_, tree, where)
    if named := _NAMED.fullmatch(what):
        path = (*path, named[2])
        if named[1] == "contains unknown":
            return _invalid(path, _short(_at(tree, path)), "no field of this name")
        return _invalid(path, "nothing", "this field is required")
    found = _short(_at(tree, path))
    if expected := _EXPECTED.fullmatch(what):
        return _invalid(path, found, expected[1].replace("`", ""))
    return _invalid(path, found, f"one of the declared values ({what})")


def _invalid(path: _Path, found: str, allowed: str) -> InvalidMessage:
    field = "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return InvalidMessage(
        f"{field}: found {found}, allowed is {allowed}", field=field, found=found, allowed=allowed
    )


def _refined(type_: type, tree: object, where: str) -> _Path:
    """The path that msgspec names, with the keys of mappings that it leaves out as `[...]`.

    Each such key is found by leaving it alone in its mapping: the one with which reading still fails is the
    one.
    """
    path: _Path = ()
    for step in _STEP.finditer(where):
        if step[1] is not None:
            path = (*path, step[1])
        elif step[2] != "...":
            path = (*path, int(step[2]))
        else:
            inside = _at(tree, path)
            guilty = (
                key
                for key in islice(inside if isinstance(inside, dict) else (), KEYS_TRIED_MAX)
                if _fails(type_, _only(tree, path, key))
            )
            key = next(guilty, None)
            if key is None:
                return path
            tree = _only(tree, path, key)
            path = (*path, key)
    return path


def _fails(type_: type, tree: object) -> bool:
    try:
        msgspec.convert(tree, type_)
    except msgspec.ValidationError:
        return True
    return False


def _only(tree: object, path: _Path, key: str) -> object:
    """The tree with nothing but `key` in the mapping at `path`."""
    if not path:
        return {key: tree[key]} if isinstance(tree, dict) else tree
    step, rest = path[0], path[1:]
    if isinstance(tree, dict) and isinstance(step, str):
        return {**tree, step: _only(tree[step], rest, key)}
    if isinstance(tree, list) and isinstance(step, int):
        return [*tree[:step], _only(tree[step], rest, key), *tree[step + 1 :]]
    return tree


def _at(tree: object, path: _Path) -> object:
    """What stands at `path`, None where nothing does."""
    for step in path:
        match tree, step:
            case dict(), _:
                tree = tree.get(step)
            case list(), int() if step < len(tree):
                tree = tree[step]
            case _:
                return None
    return tree


def _numbers(tree: object, path: _Path) -> Iterator[tuple[_Path, float]]:
    if isinstance(tree, float):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _numbers(value, (*path, str(key)))
    elif isinstance(tree, list | tuple):
        for index, value in enumerate(tree):
            yield from _numbers(value, (*path, index))


def _first_difference(one: object, two: object, path: _Path) -> _Path:
    if isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        for key in one:
            if one[key] != two[key]:
                return _first_difference(one[key], two[key], (*path, str(key)))
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for index, pair in enumerate(zip(one, two, strict=True)):
            if pair[0] != pair[1]:
                return _first_difference(*pair, (*path, index))
    return path


def _short(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=repr)
    return text if len(text) <= FOUND_MAX_CHARS else text[: FOUND_MAX_CHARS - 1] + "…"
