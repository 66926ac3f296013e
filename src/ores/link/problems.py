"""Errors on the wire: RFC 9457 problems, with those codes of the registry that the link sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ores.link.endpoint import Reply
from ores.model import Problem

TITLES: Final[dict[str, tuple[int, str]]] = {
    "bad_request": (400, "Not HTTP as the standard uses it"),
    "forbidden": (403, "Not for this peer"),
    "not_found": (404, "No such resource"),
    "method_not_allowed": (405, "Method not allowed"),
    "request_timeout": (408, "Request too slow"),
    "too_large": (413, "Body too large"),
    "upgrade_required": (426, "WebSocket required"),
    "internal": (500, "Internal error"),
    "too_many_sessions": (503, "Too many sessions"),
    "invalid_message": (400, "Message not allowed by its schema"),
    "pairing_closed": (403, "Pairing is closed"),
    "pairing_locked": (429, "Pairing is locked"),
    "pairing_wrong_code": (403, "Wrong pairing code"),
    "pairing_replayed": (409, "Pairing replayed"),
    "pairing_not_started": (409, "Pairing not started"),
    "pairing_bad_certificate": (400, "Certificate cannot be pinned"),
    "pairing_role_refused": (403, "Role refused"),
    "pairing_has_controller": (409, "Another hub controls this module"),
    "storage_failed": (507, "Could not be kept"),
}
"""Code to HTTP status and title; a test compares them with the registry."""


def problem(
    code: str,
    detail: str,
    *,
    field: str | None = None,
    found: str | None = None,
    allowed: str | None = None,
    retry_after_s: float | None = None,
    allow: Sequence[str] = (),
) -> Reply:
    """A reply that says what went wrong.

    Args:
        code: One of `TITLES`.
        detail: One sentence for a person; shortened to 2048 characters.
        field: Where in the message, as a JSON path.
        found: There; shortened to 256 characters.
        allowed: There; shortened to 512 characters.
        retry_after_s: When trying again makes sense.
        allow: The methods that the resource knows, where it does not know the one that was used.
    """
    status, title = TITLES[code]
    body = Problem(
        title=title,
        status=status,
        code=code,
        detail=detail[:2048],
        field_=msgspec.UNSET if field is None else field[:256],
        found=msgspec.UNSET if found is None else found[:256],
        allowed=msgspec.UNSET if allowed is None else allowed[:512],
        retry_after_s=msgspec.UNSET if retry_after_s is None else retry_after_s,
    )
    return Reply(status, msgspec.json.encode(body), tuple(allow))
