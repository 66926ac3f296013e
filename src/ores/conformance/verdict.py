"""What comes out of a judgement: a result for each check, and the report of all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """How a check ended."""

    PASS = "pass"  # noqa: S105 - a verdict, no secret
    FAIL = "fail"
    WARN = "warn"
    NOTE = "note"
    NOT_APPLICABLE = "not_applicable"
    KIT_FAILURE = "kit_failure"


@dataclass(frozen=True, slots=True)
class Result:
    """The verdict of one check.

    Attributes:
        check: Its name in the registry of requirements.
        status: `warn` is a SHOULD and `note` a MAY not met; `kit_failure` says nothing of the subject.
        message: What was found, in a sentence; empty for a pass.
        requirements: The ids it proves.
        began_s: Seconds after the beginning of the judgement.
        took_s: How long it took.
        evidence: The messages exchanged, as lines of the transcript.
        obstructed: It never ran: what it builds on had failed.
    """

    check: str
    status: Status
    message: str = ""
    requirements: tuple[str, ...] = ()
    began_s: float = 0.0
    took_s: float = 0.0
    evidence: tuple[Mapping[str, Any], ...] = ()
    obstructed: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """The whole judgement of a subject.

    Attributes:
        kind: `module` or `hub`.
        subject: What it said of itself: id, maker, model, firmware_version, profiles.
        target: Where it was found.
        began: RFC 3339, UTC.
        took_s: How long the judgement took.
        kit: Version of the kit, and of the standard it read.
        options: The options with which it ran, without secrets.
        messages: All that the subject said: what it was, and its body. Not part of what is published.
    """

    kind: str
    subject: Mapping[str, Any]
    target: str
    began: str
    took_s: float
    kit: Mapping[str, str]
    options: Mapping[str, Any]
    results: tuple[Result, ...] = field(default=())
    messages: tuple[tuple[str, Any], ...] = field(default=(), repr=False)

    def count(self, status: Status) -> int:
        """How many checks ended so."""
        return sum(result.status is status for result in self.results)

    @property
    def passed(self) -> bool:
        """Nothing failed, neither subject nor kit, and something was proved."""
        bad = self.count(Status.FAIL) + self.count(Status.KIT_FAILURE)
        return bad == 0 and self.count(Status.PASS) > 0
