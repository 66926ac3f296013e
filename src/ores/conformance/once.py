"""Scenarios that several checks look at: each runs once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from ores.conformance.check import BenchT, Failed

OUTCOME = TypeVar("OUTCOME")


class Once(Generic[BenchT]):
    """Runs a scenario for whoever asks first; all others are given what came of it.

    Args:
        bench: What scenarios are given.
    """

    def __init__(self, bench: BenchT) -> None:
        self._bench: Final = bench
        self._outcomes: Final[dict[Any, asyncio.Future[Any]]] = {}

    async def __call__(self, scenario: Callable[[BenchT], Awaitable[OUTCOME]]) -> OUTCOME:
        """What came of the scenario; a failure fails every check that looks at it."""
        if scenario not in self._outcomes:
            outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
            self._outcomes[scenario] = outcome
            try:
                outcome.set_result(await scenario(self._bench))
            except Exception as error:  # noqa: BLE001 - handed to every check that looks at it
                outcome.set_exception(error)
                outcome.exception()  # seen: several checks, or none, may look at it
            except asyncio.CancelledError:
                outcome.set_exception(Failed("what this check looks at was not over in time"))
                outcome.exception()
                raise
        return await self._outcomes[scenario]  # type: ignore[no-any-return]

    async def stop(self) -> None:
        """Whoever still waits for a scenario waits no more."""
        for outcome in self._outcomes.values():
            outcome.cancel()
        await asyncio.gather(*self._outcomes.values(), return_exceptions=True)
