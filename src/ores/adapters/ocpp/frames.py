"""The three frames of OCPP-J, as text. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

FRAME_MAX_BYTES: Final = 65_536
"""Longer is no charger's: the longest schedules and lists of settings fit in a few kilobytes."""
ID_MAX: Final = 36
CALL, RESULT, ERROR = 2, 3, 4
_SAID_MAX: Final = 255
Payload = dict[str, object]


class Call(msgspec.Struct, frozen=True):
    """Who sends it wants an answer."""

    id: str
    action: str
    payload: Payload

    def text(self) -> str:
        """As it is sent."""
        return _text([CALL, self.id, self.action, self.payload])


class Result(msgspec.Struct, frozen=True):
    """The answer."""

    id: str
    payload: Payload

    def text(self) -> str:
        """As it is sent."""
        return _text([RESULT, self.id, self.payload])


class Error(msgspec.Struct, frozen=True):
    """There is no answer, because of this."""

    id: str
    code: str
    detail: str

    def text(self) -> str:
        """As it is sent."""
        return _text([ERROR, self.id, self.code, self.detail[:_SAID_MAX], {}])


class Broken(msgspec.Struct, frozen=True):
    """What is no frame.

    Attributes:
        why: For the log, and for the other side.
        id: Of the call that it was to be; empty where that cannot be told.
    """

    why: str
    id: str = ""


def read(text: str) -> Call | Result | Error | Broken:
    """What came. JSON that is none, not-a-number included, is broken like all else that is not expected."""
    try:
        parts = msgspec.json.decode(text) if len(text) <= FRAME_MAX_BYTES else None
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Broken("it is not JSON")
    match parts:
        case [int() as kind, str() as id_, *rest] if 0 < len(id_) <= ID_MAX:
            return _of(kind, id_, rest)
        case _:
            return Broken("it is no list of a kind, an id and more, or too long")


def _of(kind: int, id_: str, rest: list[object]) -> Call | Result | Error | Broken:
    match kind, rest:
        case 2, [str() as action, dict() as payload]:
            return Call(id_, action, payload)
        case 3, [dict() as payload]:
            return Result(id_, payload)
        case 4, [str() as code, str() as detail, *_]:
            return Error(id_, code[:_SAID_MAX], detail[:_SAID_MAX])
        case _:
            return Broken("its parts are not those of its kind", id_ if kind == CALL else "")


def _text(parts: list[object]) -> str:
    return msgspec.json.encode(parts).decode()
