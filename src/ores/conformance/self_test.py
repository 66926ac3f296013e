"""The kit judged by itself: the reference passes, and every mutant fails its own check and nothing else.

A judgement is mostly waiting, so many run beside each other. A machine may be so busy that a good module
seems slow, or a bad one good: who does not come out as wanted is judged once more at the end, alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ores.conformance.broken.hubs.registry import broken_hub
from ores.conformance.broken.mutant import Mutant
from ores.conformance.broken.registry import broken
from ores.conformance.broken.sweep import alterations, argument_for, survivors_argued
from ores.conformance.check import BenchT, Section
from ores.conformance.checks import SECTIONS
from ores.conformance.checks.claim import SUMS
from ores.conformance.hubs.bench import HubOptions
from ores.conformance.hubs.checks import SECTIONS as HUB_SECTIONS
from ores.conformance.judge import THOROUGH, Judge, Manner, NoSubject
from ores.conformance.standard import Requirement, Standard
from ores.conformance.verdict import Report, Status
from ores.conformance.wire.target import BASE_PATH, hub_of

BAD: Final = frozenset({Status.FAIL, Status.WARN, Status.NOTE, Status.KIT_FAILURE})
BLAMED: Final = BAD - {Status.KIT_FAILURE}
READY_S: Final = 60.0
PER_PROCESSOR: Final = 8
"""A judgement lasts a minute and computes for five seconds: more would make good modules late."""
PER_PROCESSOR_QUICK: Final = 4
"""Where only one check is judged, there is less waiting beside the same start."""
ENDING_S: Final = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """How a mutant came out.

    Attributes:
        name: Of the mutant.
        check: That has to catch it.
        killed: It did.
        others: Checks that failed beside it without being registered to, each with its message.
    """

    name: str
    check: str
    killed: bool
    others: Mapping[str, str]

    @property
    def clean(self) -> bool:
        """Its own check failed, and none that should not have."""
        return self.killed and not self.others


@dataclass(frozen=True, slots=True)
class SelfTest:
    """The kit's own judgement.

    Attributes:
        requirements: How many there are, candidates apart.
        tested: With a check that exists.
        untestable: With an allowed reason.
        missing: Ids with neither, or whose check does not exist; and checks that no requirement names.
        checks: Names of the checks that exist.
        silent: Checks that the reference never passed.
        unbroken: Checks without a mutant.
        judged: Each mutant.
        reference: Failures of the reference itself, by check.
    """

    requirements: int
    tested: int
    untestable: int
    missing: tuple[str, ...]
    checks: tuple[str, ...]
    silent: tuple[str, ...]
    unbroken: tuple[str, ...]
    judged: tuple[Judged, ...]
    reference: Mapping[str, str] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Nothing is left to be desired."""
        gaps = self.missing or self.silent or self.unbroken or self.reference
        return not gaps and all(judged.clean for judged in self.judged)

    def as_json(self) -> dict[str, Any]:
        """For programs; the six numbers first."""
        return {
            "requirements": self.requirements,
            "tested": self.tested,
            "untestable": self.untestable,
            "checks": len(self.checks),
            "broken": len(self.judged),
            "killed": sum(judged.killed for judged in self.judged),
            "good": self.good,
            "missing": list(self.missing),
            "silent": list(self.silent),
            "unbroken": list(self.unbroken),
            "reference": dict(self.reference),
            "survivors": [judged.name for judged in self.judged if not judged.killed],
            "unclean": {judged.name: dict(judged.others) for judged in self.judged if judged.others},
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of subject: what runs it, what is wrong on purpose, and what has to be caught.

    Attributes:
        name: `module` or `hub`.
        runs: The package that runs one by its name.
        checks: Names of all checks of such a subject.
        broken: The mutants.
        judge: Judges the one that runs.
    """

    name: str
    runs: str
    checks: tuple[str, ...]
    broken: Mapping[str, Mutant[Any]]
    judge: Callable[[Judge, Mapping[str, str]], Awaitable[Report]]

    def binds(self, row: Requirement) -> bool:
        """Whether a requirement is about such subjects."""
        return any((profile == "hub") is (self.name == "hub") for profile in row.profiles)


def kinds() -> tuple[Kind, ...]:
    """Modules and hubs."""
    return (
        Kind(
            "module",
            "ores.conformance.broken",
            names_of(SECTIONS),
            broken.all(),
            lambda judge, at: judge.module(at["url"], at["code"]),
        ),
        Kind("hub", "ores.conformance.broken.hubs", names_of(HUB_SECTIONS), broken_hub.all(), _judge_hub),
    )


def _judge_hub(judge: Judge, at: Mapping[str, str]) -> Awaitable[Report]:
    return judge.hub(at["url"], HubOptions(network=hub_of(at["network"]), restart_command=at["restart"]))


def names_of(sections: Sequence[Section[BenchT]]) -> tuple[str, ...]:
    """The checks of sections, each once."""
    return tuple(dict.fromkeys(check.name for section in sections for check in section.checks))


async def self_test(
    *,
    only: Sequence[str] = (),
    kind: str = "",
    quick: bool = False,
    side_by_side: int = 0,
    tell: Callable[[Judged], None] = lambda _: None,
) -> SelfTest:
    """Judge the references and the mutants.

    Args:
        only: Names of mutants or of their checks; empty judges all.
        kind: `module` or `hub`; empty judges both.
        quick: A mutant meets the check that has to catch it, and all others only where that one does not:
            says whether the kit can be fooled, and not whether it blames the innocent.
        side_by_side: How many at once; 0 chooses by the number of processors.
        tell: Hears each mutant at once.
    """
    chosen = [one for one in kinds() if kind in {"", one.name}]
    usual = (PER_PROCESSOR_QUICK if quick else PER_PROCESSOR) * (os.cpu_count() or 1)
    with judges(side_by_side or usual) as pool:
        return _sum_up(Standard(), [await _test(one, only, pool, tell, quick=quick) for one in chosen])


def judges(side_by_side: int = 0) -> ProcessPoolExecutor:
    """Processes that judge, so many at once; 0 chooses by the number of processors.

    Each judgement has its own: a judge that computes must not make another one's module seem late.
    """
    count = side_by_side or PER_PROCESSOR * (os.cpu_count() or 1)
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


async def _test(
    kind: Kind,
    only: Sequence[str],
    pool: ProcessPoolExecutor,
    tell: Callable[[Judged], None],
    *,
    quick: bool,
) -> Tested:
    chosen = [one for one in kind.broken.values() if not only or one.name in only or one.check in only]
    if only and not chosen:
        return Tested(kind, None, ())
    judging = asyncio.create_task(judge_apart(pool, kind.name))

    async def compared(mutant: Mutant[Any], *checks: str) -> Judged:
        try:
            report = await judge_apart(pool, kind.name, mutant.name, Manner(frozenset(checks)))
        except (NoSubject, RuntimeError) as error:
            return Judged(mutant.name, mutant.check, killed=False, others={"": f"not judged: {error}"})
        reference = await judging
        failed = {found.check: found.message for found in reference.results if found.status in BAD}
        return _compare(mutant, report, failed)

    async def beside_others(mutant: Mutant[Any]) -> Judged:
        judged = await compared(mutant, *([mutant.check] if quick else []))
        if quick and not judged.killed:
            judged = await compared(mutant)
        if _as_wanted(judged, quick=quick):
            tell(judged)
        return judged

    judged = await asyncio.gather(*(beside_others(mutant) for mutant in chosen))
    for at, mutant in enumerate(chosen):
        if not _as_wanted(judged[at], quick=quick):
            judged[at] = await compared(mutant)  # alone
            tell(judged[at])
    if quick:
        judged = [replace(one, others={}) for one in judged]
    return Tested(kind, await judging, judged)


def _as_wanted(judged: Judged, *, quick: bool) -> bool:
    return judged.killed if quick else judged.clean


async def judge_apart(
    pool: ProcessPoolExecutor, kind: str, name: str = "whole", manner: Manner = THOROUGH
) -> Report:
    """Run a reference, a mutant or an alteration, and judge it, each in a process of its own.

    Args:
        pool: Of judges.
        kind: `module` or `hub`.
        name: Of what is run; `whole` is the reference.
        manner: How thoroughly.
    """
    return await asyncio.get_running_loop().run_in_executor(pool, _judge_here, kind, name, manner)


def _judge_here(kind: str, name: str, manner: Manner) -> Report:
    """In a judge's process."""
    return asyncio.run(judge_one(next(one for one in kinds() if one.name == kind), name, manner))


async def judge_one(kind: Kind, name: str = "whole", manner: Manner = THOROUGH) -> Report:
    """Run a reference, a mutant or an alteration in a process of its own, and judge it here."""
    async with running([sys.executable, "-m", kind.runs, name]) as at:
        report = await kind.judge(Judge(manner=manner), at)
        return report if name == "whole" else replace(report, messages=())


@contextlib.asynccontextmanager
async def running(command: Sequence[str]) -> AsyncIterator[dict[str, str]]:
    """A module in a process of its own; gives what it says of itself in its first line.

    Raises:
        RuntimeError: It did not start.
    """
    # not asyncio's own: its watcher and `terminate` may both wait for a child that has just ended
    started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)  # noqa: ASYNC220, S603
    with started as process:
        try:
            if process.stdout is None:
                raise RuntimeError("no standard output")
            try:
                async with asyncio.timeout(READY_S):
                    line = await asyncio.to_thread(process.stdout.readline)
            except TimeoutError as error:
                raise RuntimeError(f"{' '.join(command)} said nothing for {READY_S:g} s") from error
            if not line:
                raise RuntimeError(f"{' '.join(command)} ended without a word")
            yield json.loads(line)
        finally:
            await _end(process)


async def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and make it where it does not."""
    process.terminate()
    for _ in range(ENDING_S * 10):
        if process.poll() is not None:
            return
        await asyncio.sleep(0.1)
    process.kill()


def _compare(mutant: Mutant[Any], report: Report, reference: Mapping[str, str]) -> Judged:
    bad = {found.check: found.message for found in report.results if found.status in BAD}
    killed = any(
        found.check == mutant.check and found.status in BLAMED and not found.obstructed
        for found in report.results
    )
    allowed = {mutant.check, *mutant.also, *reference, *SUMS}
    others = {check: message for check, message in bad.items() if check not in allowed}
    return Judged(mutant.name, mutant.check, killed, others)


def _sum_up(standard: Standard, tested: Sequence[Tested]) -> SelfTest:
    """Of both kinds together; a sentence that binds both has to have its check in both."""
    rows = [
        row
        for row in standard.requirements.values()
        if not row.candidate and any(one.kind.binds(row) for one in tested)
    ]
    untestable = [row for row in rows if row.untestable]
    proved = [
        row
        for row in rows
        if row.check and all(row.check in one.kind.checks for one in tested if one.kind.binds(row))
    ]
    covered = {row.id for row in (*proved, *untestable)}
    named = {row.check for row in standard.requirements.values()}
    strays = [name for one in tested for name in one.kind.checks if name not in named]
    return SelfTest(
        requirements=len(rows),
        tested=len(proved),
        untestable=len(untestable),
        missing=(*(row.id for row in rows if row.id not in covered), *strays),
        checks=tuple(_named(one.kind, name) for one in tested for name in one.kind.checks),
        silent=tuple(name for one in tested for name in one.silent),
        unbroken=tuple(name for one in tested for name in one.unbroken),
        judged=tuple(judged for one in tested for judged in one.judged),
        reference={name: message for one in tested for name, message in one.failed.items()},
    )


def _named(kind: Kind, check: str) -> str:
    """A check that both kinds know is another one for a hub."""
    return check if kind.name == "module" or check.startswith("hub-") else f"{check} (hub)"


@dataclass(frozen=True, slots=True)
class Tested:
    """What came of one kind.

    Attributes:
        kind: Which.
        reference: How its reference did; None where none of its mutants was wanted.
        judged: Its mutants.
    """

    kind: Kind
    reference: Report | None
    judged: Sequence[Judged]

    @property
    def failed(self) -> dict[str, str]:
        """What the reference failed."""
        results = self.reference.results if self.reference else ()
        return {_named(self.kind, one.check): one.message for one in results if one.status in BAD}

    @property
    def silent(self) -> tuple[str, ...]:
        """Checks that the reference never passed."""
        if self.reference is None:
            return ()
        passed = {one.check for one in self.reference.results if one.status is Status.PASS}
        return tuple(_named(self.kind, name) for name in self.kind.checks if name not in passed)

    @property
    def unbroken(self) -> tuple[str, ...]:
        """Checks without a mutant."""
        caught = {one.check for one in self.kind.broken.values()}
        return tuple(_named(self.kind, name) for name in self.kind.checks if name not in caught)


@dataclass(frozen=True, slots=True)
class Swept:
    """What became of the alterations that nobody thought of.

    Attributes:
        tried: How many.
        survivors: Those that no check noticed, each with what `survivors.yaml` says of it; empty: nothing.
    """

    tried: int
    survivors: Mapping[str, str]

    @property
    def good(self) -> bool:
        """Every survivor is argued."""
        return all(self.survivors.values())


async def sweep(
    *,
    every: int = 1,
    only: str = "",
    side_by_side: int = 0,
    tell: Callable[[str, bool], None] = lambda _n, _k: None,
) -> Swept:
    """Alter each field that the reference sends, in each way, and see whether the kit notices.

    Args:
        every: Try only every so many-th alteration: a sample.
        only: Try only those whose name holds this text.
        side_by_side: How many at once; 0 chooses by the number of processors.
        tell: Hears each alteration and whether it was noticed.
    """
    with judges(side_by_side) as pool:
        seen = (await judge_apart(pool, "module")).messages
        names = [str(found) for found in alterations(_kinds(seen))]
        chosen = [name for name in names if only in name][::every]

        async def noticed(name: str) -> bool:
            try:
                report = await judge_apart(pool, "module", name, Manner(stop_at_once=True))
                found = any(result.status in BLAMED for result in report.results)
            except NoSubject:
                found = True
            tell(name, found)
            return found

        verdicts = await asyncio.gather(*(noticed(name) for name in chosen))
    argued = survivors_argued(Standard().folder)
    alive = [name for name, found in zip(chosen, verdicts, strict=True) if not found]
    return Swept(len(chosen), {name: argument_for(name, argued) for name in alive})


def _kinds(messages: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """Each message under the name by which the proxy knows it; refusals are left out."""
    found: list[tuple[str, Any]] = []
    for what, body in messages:
        if not isinstance(body, dict):
            continue
        if what == "frame":
            found += [(key, body[key]) for key in ("state", "result") if key in body]
        elif what.startswith("200 ") and not what.endswith(("/state", "/lease")):
            found.append((what.removeprefix("200 ").split("?")[0].replace(BASE_PATH, ""), body))
    return found
