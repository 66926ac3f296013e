"""Runs the checks in their order, and tells a failure of the subject from a failure of the kit."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Generic, Protocol

from ores.conformance.check import BenchT, Check, CheckFunction, Failed, NotApplicable, Section, Unreachable
from ores.conformance.standard import Standard
from ores.conformance.transcript import Transcript
from ores.conformance.verdict import Result, Status

CHECK_S: Final = 120.0
JUDGEMENT_S: Final = 1200.0
LATE_S: Final = 0.15
TRIES: Final = 3
SLOW_S: Final = 2.0
SAME: Final = 3
FIRST_LINES: Final = 6
LAST_LINES: Final = 8

BLAMED: Final = frozenset({Status.FAIL, Status.WARN, Status.NOTE})


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a check ended, where it did not pass.

    Attributes:
        status: As it is before the level of the requirement is looked at.
        message: Why.
        unreachable: The subject did not answer at all.
    """

    status: Status
    message: str
    unreachable: bool = False


class OnBench(Protocol):
    """What the runner needs of a bench."""

    standard: Standard
    transcript: Transcript

    @property
    def elapsed_s(self) -> float:
        """Seconds since the judgement began."""

    @property
    def hopeless(self) -> str:
        """Why nothing more can be judged; empty while it can."""


class Lateness:
    """How late the kit itself was: a check that measures time is not to blame a module for it."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._task: Final = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while True:
            before_s = time.monotonic()
            await asyncio.sleep(0.02)
            self.worst_s = max(self.worst_s, time.monotonic() - before_s - 0.02)

    def stop(self) -> None:
        """End the watch."""
        self._task.cancel()


@dataclass(slots=True)
class Runner(Generic[BenchT]):
    """Runs checks on a bench.

    Attributes:
        bench: What the checks are given.
        facts: The same bench, as the runner sees it.
        say: Tells what will be done, before it is done.
        tell: Hears each result at once.
        alive: Whether the subject answers anything at all; waits a while for one that starts anew.
        only: Names of the checks to run; None runs all.
        stop_at_once: End with the first failure: for who only wants to know whether there is one.
        given_up: Why the rest is not judged; empty while it is.
    """

    bench: BenchT
    facts: OnBench
    say: Callable[[str], None]
    tell: Callable[[Result], None]
    alive: Callable[[], Awaitable[bool]]
    only: frozenset[str] | None = None
    stop_at_once: bool = False
    given_up: str = ""
    _silences: list[str] = field(default_factory=list)

    async def run(self, sections: Sequence[Section[BenchT]]) -> tuple[Result, ...]:
        """Run sections one after another; a result for each check, in order."""
        results: list[Result] = []
        lateness = Lateness()
        try:
            for section in sections:
                results += await self._section(section, lateness)
                if self.stop_at_once and any(found.status in BLAMED for found in results):
                    break
        finally:
            lateness.stop()
        return tuple(results)

    async def _section(self, section: Section[BenchT], lateness: Lateness) -> list[Result]:
        wanted = [check for check in section.checks if self.only is None or check.name in self.only]
        if not wanted and self.only is not None and (section.begin is None or not section.checks):
            return []  # a section without checks begins what is judged later, in a whole judgement
        if self.given_up:
            return [await self._check(check, lateness, None) for check in wanted]
        self.say(section.title)
        obstacle = await self._obstacle(section)
        found: list[Result] = []
        for check in wanted:
            found.append(await self._check(check, lateness, obstacle))
            if self.stop_at_once and found[-1].status in BLAMED:
                break
        if section.end is not None and obstacle is None and not self.given_up:
            trouble = await self._verdict(section.end)
            if trouble is not None:
                self.say(f"After “{section.name}”: {trouble.message}")
        if self.facts.hopeless:
            self.given_up = self.facts.hopeless
        return found

    async def _obstacle(self, section: Section[BenchT]) -> Verdict | None:
        """Why a section cannot begin: a prerequisite that is missing is a failure, and no reason to skip."""
        began_s = self.facts.elapsed_s
        verdict = None if section.begin is None else await self._verdict(section.begin)
        await self._heed(verdict, self.facts.elapsed_s - began_s)
        if verdict is None or verdict.status is Status.NOT_APPLICABLE:
            return verdict
        return replace(verdict, message=f"could not be judged: {verdict.message}")

    async def _check(self, check: Check[BenchT], lateness: Lateness, obstacle: Verdict | None) -> Result:
        if self.given_up and obstacle is None:
            obstacle = Verdict(Status.FAIL, self.given_up)
        for attempt in range(1, TRIES + 1):
            lateness.worst_s = 0.0
            began_s, mark = self.facts.elapsed_s, self.facts.transcript.mark
            verdict = obstacle or await self._verdict(check.run)
            late = check.timed and lateness.worst_s > LATE_S and attempt < TRIES
            if verdict is None or verdict.status is not Status.FAIL or not late:
                break
        result = self._result(check.name, verdict, began_s, mark, obstructed=obstacle is not None)
        self.tell(result)
        if obstacle is None:
            await self._heed(verdict, result.took_s)
        return result

    async def _heed(self, verdict: Verdict | None, took_s: float) -> None:
        """Give up where the subject is gone, or keeps the kit waiting for the same thing again and again."""
        if self.facts.elapsed_s > JUDGEMENT_S:
            self.given_up = (
                f"not judged: the judgement has lasted {JUDGEMENT_S / 60:g} minutes, and ends here"
            )
        if self.given_up or verdict is None or verdict.status is not Status.FAIL:
            self._silences.clear()
            return
        if not verdict.unreachable and took_s < SLOW_S:
            return
        if not await self.alive():
            self.given_up = f"not judged: the subject has fallen silent ({verdict.message})"
        self._silences.append(verdict.message)
        if self._silences[-SAME:] == [verdict.message] * SAME and took_s > SLOW_S:
            self.given_up = f"not judged: {SAME} times in a row {verdict.message}"
        if self.given_up:
            self.say("The rest is not judged.")

    async def _verdict(self, run_one: CheckFunction[BenchT]) -> Verdict | None:
        """None for a pass, else how it ended and why."""
        limit = asyncio.timeout(CHECK_S)
        try:
            async with limit:
                await run_one(self.bench)
        except Failed as error:
            return Verdict(Status.FAIL, str(error), isinstance(error, Unreachable))
        except NotApplicable as error:
            return Verdict(Status.NOT_APPLICABLE, str(error))
        except Exception as error:  # noqa: BLE001 - whatever else goes wrong is the kit's own fault, and said so
            if isinstance(error, TimeoutError) and limit.expired():
                return Verdict(
                    Status.FAIL, f"not over after {CHECK_S:g} s: the subject hangs", unreachable=True
                )
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Verdict(
                Status.KIT_FAILURE, f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
            )
        return None

    def _result(
        self, name: str, verdict: Verdict | None, began_s: float, mark: int, *, obstructed: bool
    ) -> Result:
        status, message = (verdict.status, verdict.message) if verdict else (Status.PASS, "")
        rows = self.facts.standard.proved_by(name)
        if status is Status.FAIL and rows:
            levels = {row.level for row in rows}
            if "MUST" not in levels:
                status = Status.WARN if "SHOULD" in levels else Status.NOTE
        lines = self.facts.transcript.since(mark)
        many = len(lines) > FIRST_LINES + LAST_LINES
        shown = [*lines[:FIRST_LINES], *lines[-LAST_LINES:]] if many else lines
        return Result(
            check=name,
            status=status,
            message=message,
            requirements=tuple(row.id for row in rows),
            began_s=round(began_s, 3),
            took_s=round(self.facts.elapsed_s - began_s, 3),
            evidence=tuple(line.shown() for line in shown),
            obstructed=obstructed,
        )
