"""What went over the wire, in order: the evidence of a judgement."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ores.conformance.check import Unreachable

SECRET_FIELDS: Final = frozenset({"hub_proof", "module_proof", "token", "password", "code_typed"})
CODE: Final = re.compile(r"ORES(-[A-Z2-7]{4}){7}")
TEXT_MAX: Final = 2000
ALL_MAX_BYTES: Final = 64 * 2**20
ALL_MAX_LINES: Final = 100_000
"""More than any honest judgement takes, and little enough for any machine that judges."""


@dataclass(frozen=True, slots=True)
class Line:
    """One message.

    Attributes:
        at_s: Seconds after the beginning of the judgement.
        by: `kit` or `subject`.
        peer: As whom the kit talked: controller, stranger, ….
        what: Such as `GET /state`, `200 GET /state`, `frame`.
        body: Parsed JSON; or the text that is none.
        raw: The body as it was on the wire.
        took_s: Of an answer, from the question on.
    """

    at_s: float
    by: str
    peer: str
    what: str
    body: Any
    raw: bytes
    took_s: float = 0.0

    def shown(self) -> Mapping[str, Any]:
        """For a report: secrets blotted out, long bodies cut."""
        body = without_secrets(self.body)
        text = body if isinstance(body, str) else json.dumps(body)
        if len(text) > TEXT_MAX:
            body = text[:TEXT_MAX] + f"… ({len(self.raw)} bytes)"
        return {
            "at_s": round(self.at_s, 3),
            "by": self.by,
            "peer": self.peer,
            "what": self.what,
            "body": body,
        }


def legible(raw: bytes) -> Any:
    """A body as it is kept: parsed JSON, else text; None where there is none."""
    if not raw:
        return None
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return raw[:TEXT_MAX].decode("utf-8", "replace")


def without_secrets(body: Any) -> Any:
    """The same, with proofs and other secrets replaced by how long they are."""
    if isinstance(body, dict):
        return {
            key: f"({len(str(value))} characters)" if key in SECRET_FIELDS else without_secrets(value)
            for key, value in body.items()
        }
    if isinstance(body, list):
        return [without_secrets(item) for item in body]
    return CODE.sub("(a pairing code)", body) if isinstance(body, str) else body


class Transcript:
    """All messages of a judgement, in the order in which the kit sent or saw them."""

    def __init__(self) -> None:
        self.lines: Final[list[Line]] = []
        self._bytes = 0

    def add(self, line: Line) -> None:
        """Keep a message.

        Raises:
            Unreachable: The subject has sent so much that the kit stops reading.
        """
        if line.by == "subject":
            self._bytes += len(line.raw)
            if self._bytes > ALL_MAX_BYTES or len(self.lines) > ALL_MAX_LINES:
                raise Unreachable(
                    f"the subject has sent {len(self.lines)} messages, {self._bytes >> 20} MiB; "
                    "the kit reads no more"
                )
        self.lines.append(line)

    @property
    def mark(self) -> int:
        """A place to read from later."""
        return len(self.lines)

    def since(self, mark: int) -> list[Line]:
        """What came after a place."""
        return self.lines[mark:]
