"""What commands to foreign devices have in common: devices do not take them, and others command too."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Final

from ores.module import Answer, Ceilings, Effective, Refused

RETRY_MAX_S: Final = 60.0
OVERRIDDEN_S: Final = 60.0
"""For so long it is shown that somebody else has changed what we had told the device."""
NOT_TAKEN: Final = "command_not_taken"
OVERRIDDEN: Final = "command_overridden"
_log: Final = logging.getLogger("ores.adapters")


class Told:
    """One element that is commanded, and what has become of it; each change is logged once.

    Args:
        element: Id, for the log.
    """

    def __init__(self, element: str) -> None:
        self._element: Final = element
        self._failures = 0
        self._overridden_until_s = float("-inf")

    def faults(self, now_s: float) -> list[str]:
        """What a person should know of it."""
        codes = self._troubles()
        return [*codes, OVERRIDDEN] if now_s < self._overridden_until_s else codes

    def _troubles(self) -> list[str]:
        """Codes of what keeps the device from doing it."""
        return [NOT_TAKEN] if self._failures else []

    def _has_failed(self, what: str) -> None:
        if not self._failures:
            _log.warning("%s: %s", self._element, what)
        self._failures += 1

    def _works(self) -> None:
        if self._failures:
            _log.info("%s: the device does what it is told again", self._element)
        self._failures = 0

    def _overridden(self, now_s: float) -> None:
        """Somebody else commands the device; said, and put right."""
        if now_s >= self._overridden_until_s:
            _log.warning("%s: somebody else has changed what it was told", self._element)
        self._overridden_until_s = now_s + OVERRIDDEN_S


class RegisterOrder(Told, ABC):
    """The command of one element behind registers: it has answered when it has been read back.

    Args:
        element: Id, for the log.

    Attributes:
        failsafe: Limits for when nobody commands any more.
        answer: What speaks against the command; None for nothing yet.
    """

    def __init__(self, element: str) -> None:
        super().__init__(element)
        self.failsafe = Ceilings()
        self.answer: Answer = None
        self._command: Effective | None = None
        self._retry_at_s = 0.0

    def give(self, command: Effective) -> Answer:
        """From now on. None until something speaks against it."""
        if command != self._command:
            self._command = command
            self._retry_at_s, self.answer = 0.0, None  # that it failed before is told until it succeeds
        return self.answer

    def yield_(self) -> None:
        """The adapter ends; what it wanted last is still written."""

    @abstractmethod
    def lost(self) -> None:
        """The device was silent: what it holds now, nobody has overridden."""

    def _failed(self, why: str, now_s: float) -> None:
        self._has_failed(f"the device does not do what it is told: {why}")
        self._retry_at_s = now_s + min(RETRY_MAX_S, 2.0 ** min(self._failures, 16))
        self.answer = Refused(f"the device does not take it: {why}"[:512])

    def _works(self) -> None:
        super()._works()
        self.answer = None
