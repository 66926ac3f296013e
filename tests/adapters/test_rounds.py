"""The task of a device: patient with what does not answer, and not to be ended by a mistake."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from tests.adapters.wire import run

from ores.adapters.rounds import WAIT_MAX_S, Rounds
from ores.link.clock import Clock
from ores.link.errors import OresError, TimedOut


def rounds_at(*outcomes: Exception | None, until_s: float = 10.0, period_s: float = 1.0) -> list[float]:
    """When rounds began whose first ones end like this, and the later ones well."""

    async def main(clock: Clock) -> list[float]:
        left = list(outcomes)
        began: list[float] = []

        async def once() -> None:
            began.append(clock.now())
            outcome = left.pop(0) if left else None
            if outcome is not None:
                raise outcome

        rounds = Rounds("it", once, clock=clock, period_s=period_s, failed=lambda _error: None)
        await rounds.start()
        await clock.sleep_until(until_s)
        await rounds.stop()
        return began

    return run(main)


def test_rounds_keep_their_period() -> None:
    assert rounds_at(until_s=3.5) == [0.0, 1.0, 2.0, 3.0]


def test_each_failure_doubles_the_wait_and_success_ends_it() -> None:
    assert rounds_at(*[TimedOut("no answer")] * 3, until_s=16.5) == [0.0, 2.0, 6.0, 14.0, 15.0, 16.0]


def test_the_wait_has_an_end() -> None:
    began = rounds_at(*[TimedOut("no answer")] * 30, until_s=600.0)
    assert began[-1] - began[-2] == WAIT_MAX_S


@pytest.mark.parametrize("mistake", [KeyError("W"), ValueError("no"), ZeroDivisionError()])
def test_a_mistake_of_ours_does_not_end_the_task(mistake: Exception) -> None:
    assert len(rounds_at(mistake, until_s=5.5)) == 5


def test_what_is_to_be_done_begins_at_once_unless_the_device_is_left_in_peace() -> None:
    async def main(clock: Clock, fails: bool) -> int:
        count = 0

        async def once() -> None:
            nonlocal count
            count += 1
            if fails:
                raise OresError("no")

        rounds = Rounds("it", once, clock=clock, period_s=10.0, failed=lambda _error: None)
        await rounds.start()
        rounds.hurry()
        await clock.sleep(0.1)
        await rounds.stop()
        return count

    assert run(lambda clock: main(clock, fails=False)) == 2
    assert run(lambda clock: main(clock, fails=True)) == 1


def test_they_end_although_a_cancellation_is_lost() -> None:
    """As it is where an answer comes at the same moment."""

    async def main(clock: Clock) -> int:
        count = 0

        async def once() -> None:
            nonlocal count
            count += 1
            with suppress(asyncio.CancelledError):
                await clock.sleep(0.5)

        rounds = Rounds("it", once, clock=clock, period_s=1.0, failed=lambda _error: None)
        await rounds.start()
        await clock.sleep_until(1.2)
        await rounds.stop()
        return count

    assert run(main) == 2
