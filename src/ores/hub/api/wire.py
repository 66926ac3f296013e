"""Reading requests and writing answers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from ores.hub.api.problems import ApiError
from ores.hub.hub import Hub
from ores.link import codec
from ores.link.errors import InvalidMessage

T = TypeVar("T")

HUB: Final = web.AppKey("hub", Hub)
BODY_MAX_BYTES: Final = 65_536
BODY_WITHIN_WALL_S: Final = 10.0
"""Whoever dribbles a body must not hold a connection, or simulated time, for ever."""

_encoder = msgspec.json.Encoder()


def hub_of(request: web.Request) -> Hub:
    """The hub that answers."""
    return request.app[HUB]


async def read(request: web.Request, type_: type[T]) -> T:
    """The body as a message.

    Raises:
        ApiError: It is not declared as JSON, or does not arrive in time.
        InvalidMessage: It is none of this type; names field, found and allowed.
    """
    if request.content_type != "application/json":
        raise ApiError(
            "not_json", f"Content-Type: found {request.content_type!r}, allowed is application/json"
        )
    try:
        async with asyncio.timeout(BODY_WITHIN_WALL_S):  # noqa: TID251  transport time
            body = await request.read()
    except TimeoutError:
        raise ApiError(
            "request_timeout", f"the body did not arrive within {BODY_WITHIN_WALL_S:g} s"
        ) from None
    except ConnectionError:
        raise ApiError("bad_request", "the connection ended before the body did") from None
    return codec.decode(type_, body, limit_bytes=BODY_MAX_BYTES, unique_keys=True)


def answer(message: object, status: int = 200) -> web.Response:
    """JSON text of a message."""
    return web.Response(body=_encoder.encode(message), status=status, content_type="application/json")


def bad_query(name: str, found: str, allowed: str) -> InvalidMessage:
    """A parameter of the query that cannot be."""
    name, found = name[:40], found[:80]
    return InvalidMessage(
        f"{name}: found {found!r}, allowed is {allowed}",
        code="invalid_query",
        field=name,
        found=found,
        allowed=allowed,
    )


def query_int(request: web.Request, name: str, default: int, low: int, high: int) -> int:
    """A whole number of the query.

    Raises:
        InvalidMessage: Names the parameter, what was found, what is allowed.
    """
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 17 and low <= int(text) <= high):
        raise bad_query(name, text, f"{low} to {high}")
    return int(text)


def checked(name: str, text: str, type_: type[str], allowed: str) -> str:
    """A word of the query that is of a type of the schemas, such as `ModuleId`.

    Raises:
        InvalidMessage: Names the parameter, what was found, what is allowed.
    """
    try:
        if not text.endswith("\n"):  # which the `$` of Python's patterns lets through
            return msgspec.convert(text, type_)
    except msgspec.ValidationError:
        pass
    raise bad_query(name, text, allowed)


def query_time(request: web.Request, name: str, default: datetime) -> datetime:
    """An instant of the query, RFC 3339.

    Raises:
        InvalidMessage: Names the parameter, what was found, what is allowed.
    """
    text = request.query.get(name)
    if text is None:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None or at.year < 1970:
        raise bad_query(name, text, "RFC 3339 such as 2025-06-01T12:00:00Z")
    return at.astimezone(UTC)


def refuse_unknown(request: web.Request, *known: str) -> None:
    """Refuse parameters that nobody reads: a misspelt one would silently ask for something else.

    Raises:
        InvalidMessage: Names the parameter.
    """
    for name in request.query:
        if name not in known:
            raise bad_query(name, "a parameter of this name", ", ".join(known) or "none")
