"""Runs the checks in their order, and tells a failure of the subject from a failure of the kit."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, Protocol

from ores.conformance.check import BenchT, Check, CheckFunction, Failed, NotApplicable, Section
from ores.conformance.standard import Standard
from ores.conformance.transcript import Transcript
from ores.conformance.verdict import Result, Status

CHECK_S: Final = 120.0
LATE_S: Final = 0.15
TRIES: Final = 3
FIRST_LINES: Final = 6
LAST_LINES: Final = 8

Verdict = tuple[Status, str]


class OnBench(Protocol):
    """What the runner needs of a bench."""

    standard: Standard
    transcript: Transcript

    @property
    def elapsed_s(self) -> float:
        """Seconds since the judgement began."""


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
        only: Names of the checks to run; None runs all.
        stop_at_once: End with the first failure: for who only wants to know whether there is one.
    """

    bench: BenchT
    facts: OnBench
    say: Callable[[str], None]
    tell: Callable[[Result], None]
    only: frozenset[str] | None = None
    stop_at_once: bool = False

    async def run(self, sections: Sequence[Section[BenchT]]) -> tuple[Result, ...]:
        """Run sections one after another; a result for each check, in order."""
        results: list[Result] = []
        lateness = Lateness()
        try:
            for section in sections:
                results += await self._section(section, lateness)
                if self.stop_at_once and any(found.status is Status.FAIL for found in results):
                    break
        finally:
            lateness.stop()
        return tuple(results)

    async def _section(self, section: Section[BenchT], lateness: Lateness) -> list[Result]:
        wanted = [check for check in section.checks if self.only is None or check.name in self.only]
        if not wanted and self.only is not None and section.begin is None:
            return []
        self.say(section.title)
        obstacle = await self._obstacle(section)
        found = [await self._check(check, lateness, obstacle) for check in wanted]
        if section.end is not None and obstacle is None:
            trouble = await self._verdict(section.end)
            if trouble is not None:
                self.say(f"After “{section.name}”: {trouble[1]}")
        return found

    async def _obstacle(self, section: Section[BenchT]) -> Verdict | None:
        """Why a section cannot begin: a prerequisite that is missing is a failure, and no reason to skip."""
        verdict = None if section.begin is None else await self._verdict(section.begin)
        if verdict is None or verdict[0] is Status.NOT_APPLICABLE:
            return verdict
        return verdict[0], f"could not be judged: {verdict[1]}"

    async def _check(self, check: Check[BenchT], lateness: Lateness, obstacle: Verdict | None) -> Result:
        for attempt in range(1, TRIES + 1):
            lateness.worst_s = 0.0
            began_s, mark = self.facts.elapsed_s, self.facts.transcript.mark
            verdict = obstacle or await self._verdict(check.run)
            late = check.timed and lateness.worst_s > LATE_S and attempt < TRIES
            if verdict is None or verdict[0] is not Status.FAIL or not late:
                break
        result = self._result(check.name, verdict, began_s, mark, obstructed=obstacle is not None)
        self.tell(result)
        return result

    async def _verdict(self, run_one: CheckFunction[BenchT]) -> Verdict | None:
        """None for a pass, else how it ended and why."""
        try:
            await asyncio.wait_for(run_one(self.bench), CHECK_S)
        except Failed as error:
            return Status.FAIL, str(error)
        except NotApplicable as error:
            return Status.NOT_APPLICABLE, str(error)
        except TimeoutError:
            return Status.FAIL, f"the check was not over after {CHECK_S:g} s: the subject hangs"
        except Exception as error:  # noqa: BLE001 - whatever else goes wrong is the kit's own fault, and said so
            where = traceback.extract_tb(error.__traceback__)[-1]
            return Status.KIT_FAILURE, f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
        return None

    def _result(
        self, name: str, verdict: Verdict | None, began_s: float, mark: int, *, obstructed: bool
    ) -> Result:
        status, message = verdict or (Status.PASS, "")
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
