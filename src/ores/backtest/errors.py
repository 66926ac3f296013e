"""What a person has to put right."""

from __future__ import annotations


class BacktestError(ValueError):
    """A human must act.

    Args:
        setting: As the person wrote it: an option, a column.
        found: What was found there.
        allowed: What is allowed.
    """

    def __init__(self, setting: str, *, found: object, allowed: str) -> None:
        super().__init__(f"{setting}: found {found!r}, allowed is {allowed}")
        self.setting = setting
        self.found = found
        self.allowed = allowed
