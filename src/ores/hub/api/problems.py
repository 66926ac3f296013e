"""Every refusal as an RFC 9457 problem; no traceback ever leaves."""

from __future__ import annotations

from typing import Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from ores.link.errors import (
    ConfigError,
    Forbidden,
    InvalidMessage,
    OresError,
    PeerError,
    TimedOut,
    Unavailable,
)
from ores.link.problems import TITLES as LINK_TITLES
from ores.model import Problem

TITLES: Final[dict[str, tuple[int, str]]] = {
    **LINK_TITLES,
    "invalid_query": (400, "Query not allowed"),
    "login_required": (401, "Log in first"),
    "wrong_password": (401, "Wrong name or password"),
    "rank_not_allowed": (403, "Rank not allowed"),
    "source_not_allowed": (403, "Not in this name"),
    "loopback_only": (403, "Only from this machine"),
    "not_pinned": (403, "Key not pinned by the peer"),
    "wrong_key": (403, "Another key than the pinned one"),
    "foreign_origin": (403, "Asked by another site's page"),
    "owner_exists": (409, "There is an owner already"),
    "name_taken": (409, "Name taken"),
    "owner_stays": (409, "The first owner stays"),
    "utility_exists": (409, "There is a utility already"),
    "too_many_accounts": (409, "Too many users or apps"),
    "not_json": (415, "Body is not JSON"),
    "foreign_host": (421, "Not a name of this hub"),
    "too_many_tries": (429, "Too many tries"),
    "config": (500, "A person must act"),
    "not_built": (501, "Not built yet"),
    "peer_error": (502, "The module broke the standard"),
    "unavailable": (503, "Not now"),
    "disconnected": (503, "Connection gone"),
    "not_found_yet": (503, "Not found on the network yet"),
    "too_many_proposals": (503, "Too many proposals"),
    "too_many_pages": (503, "Too many open pages"),
    "timed_out": (504, "The module did not answer in time"),
}
"""Code to HTTP status and title; a test compares them with the registry."""

_KINDS: Final[tuple[tuple[type[OresError], tuple[int, str]], ...]] = (
    (InvalidMessage, (400, "Message not allowed by its schema")),
    (TimedOut, (504, "The module did not answer in time")),
    (Unavailable, (503, "Not now")),
    (Forbidden, (403, "Not allowed")),
    (PeerError, (502, "The module broke the standard")),
    (ConfigError, (400, "Not a value that can be taken")),
)
"""The narrower kind comes before the wider one."""

_encoder = msgspec.json.Encoder()


class ApiError(OresError):
    """A refusal that knows its code of `TITLES`."""

    def __init__(self, code: str, detail: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


def problem_response(error: OresError) -> web.Response:
    """What the caller is told."""
    status, title = TITLES.get(error.code) or _by_class(error)
    retry_after_s: float | None = getattr(error, "retry_after_s", None)
    body = Problem(
        title=title,
        status=status,
        code=error.code,
        detail=error.detail[:2048],
        field_=_short(getattr(error, "field", None) or getattr(error, "setting", None), 256),
        found=_short(getattr(error, "found", None), 256),
        allowed=_short(getattr(error, "allowed", None), 512),
        retry_after_s=UNSET if retry_after_s is None else retry_after_s,
    )
    headers = {} if retry_after_s is None else {"Retry-After": str(int(retry_after_s) + 1)}
    return web.Response(
        body=_encoder.encode(body), status=status, content_type="application/problem+json", headers=headers
    )


def of_http(status: int, reason: str) -> ApiError:
    """The HTTP library's own refusals in our words."""
    code = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 426: "upgrade_required"}.get(
        status
    )
    return ApiError(code or "bad_request", reason)


def _by_class(error: OresError) -> tuple[int, str]:
    """Codes of modules and of the link keep their name; their status follows from the kind of error."""
    return next((known for kind, known in _KINDS if isinstance(error, kind)), (500, "Internal error"))


def _short(value: object, length: int) -> str | msgspec.UnsetType:
    return UNSET if value is None else str(value)[:length]
