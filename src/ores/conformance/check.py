"""A check: a small function that returns where the standard is kept, and else raises `Failed`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Generic, NoReturn, TypeVar

BenchT = TypeVar("BenchT")
CheckFunction = Callable[[BenchT], Awaitable[None]]


class Failed(Exception):
    """The subject breaks a requirement; the message says what was found and what is demanded."""


class NotApplicable(Exception):
    """The subject does not offer what the check is about."""


class Unreachable(Failed):
    """The subject cannot be talked to: no connection, no answer in time, or the connection ended."""


@dataclass(frozen=True, slots=True)
class Check(Generic[BenchT]):
    """A named check.

    Attributes:
        name: As in the registry of requirements.
        timed: Depends on time so finely that it is tried again where the kit itself was late.
    """

    name: str
    run: CheckFunction[BenchT]
    timed: bool = False


@dataclass(slots=True)
class Section(Generic[BenchT]):
    """Checks that belong together and run one after another.

    Attributes:
        name: For people.
        title: What is done to the subject, said before it is done.
        begin: Runs before the first check; when it fails, every check of the section fails with it.
        end: Runs after the last check, also when some failed.
    """

    name: str
    title: str
    begin: CheckFunction[BenchT] | None = None
    end: CheckFunction[BenchT] | None = None
    checks: list[Check[BenchT]] = field(default_factory=list)

    def check(
        self, name: str, *, timed: bool = False
    ) -> Callable[[CheckFunction[BenchT]], CheckFunction[BenchT]]:
        """Decorate a check's function with its name in the registry."""

        def keep(run: CheckFunction[BenchT]) -> CheckFunction[BenchT]:
            self.checks.append(Check(name, run, timed))
            return run

        return keep


def need(kept: object, message: str) -> None:
    """Fail with a sentence unless what is demanded is so.

    Raises:
        Failed: It is not.
    """
    if not kept:
        raise Failed(message)


def fail(message: str) -> NoReturn:
    """Fail with a sentence.

    Raises:
        Failed: Always.
    """
    raise Failed(message)


def not_applicable(reason: str) -> NoReturn:
    """The subject does not offer what this is about.

    Raises:
        NotApplicable: Always.
    """
    raise NotApplicable(reason)


SHORT: Final = 200


def short(value: Any) -> str:
    """A value for a sentence, never endless."""
    text = repr(value)
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def plain(error: Exception) -> str:
    """An error of a library for a sentence, never endless."""
    text = str(error) or type(error).__name__
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"
