"""`ores conform`: judge from the command line."""

from __future__ import annotations

import asyncio
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.markup import escape

from ores.conformance.bench import Options
from ores.conformance.hubs.bench import HubOptions
from ores.conformance.judge import Judge, Manner, NoSubject
from ores.conformance.report import files, terminal
from ores.conformance.standard import Standard
from ores.conformance.verdict import Report
from ores.conformance.wire.pairing import BadCode
from ores.conformance.wire.target import BadTarget, hub_of

EXIT_CONFORMS: Final = 0
EXIT_DOES_NOT: Final = 1
EXIT_USAGE: Final = 2
EXIT_STOPPED: Final = 130


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was typed."""

    address: str
    code: str
    profile: str | None
    report: Path | None
    power_max_w: float
    restart_command: str | None
    only: tuple[str, ...]
    as_json: bool
    verbose: bool
    hub: bool = False
    token: str = ""
    network: str = ""


def conform(wanted: Wanted) -> int:
    """Judge a module, or a hub, and say how it went.

    Returns:
        0 where it conforms, 1 where it does not, 2 where the question makes no sense, 130 after Ctrl-C.
    """
    standard = Standard()
    if trouble := _trouble(wanted, standard):
        return _usage(trouble)
    console = Console(stderr=wanted.as_json, soft_wrap=True)
    judge = Judge(
        options=Options(wanted.power_max_w, wanted.restart_command, may_ask=sys.stdin.isatty()),
        profile=wanted.profile,
        say=lambda text: console.print(f"[bold]{text}[/]", highlight=False),
        tell=terminal.teller(console, verbose=wanted.verbose),
        ask=_ask,
        manner=Manner(frozenset(wanted.only)),
        standard=standard,
    )
    try:
        report = asyncio.run(_judged(judge, wanted))
    except (BadTarget, BadCode) as error:
        return _usage(str(error))
    except NoSubject as error:
        sys.stderr.write(f"ores conform: {error}\n")
        return EXIT_DOES_NOT
    except KeyboardInterrupt:
        sys.stderr.write("ores conform: stopped before the end; there is no verdict\n")
        return EXIT_STOPPED
    try:
        _hand_over(report, wanted, standard, console)
    except OSError as error:
        return _usage(f"--report: {wanted.report} cannot be written: {error.strerror or error}")
    return EXIT_CONFORMS if report.passed else EXIT_DOES_NOT


async def _judged(judge: Judge, wanted: Wanted) -> Report:
    if not wanted.hub:
        return await judge.module(wanted.address, wanted.code)
    options = HubOptions(
        token=wanted.token,
        network=hub_of(wanted.network) if wanted.network else None,
        restart_command=wanted.restart_command,
        may_ask=sys.stdin.isatty(),
    )
    return await judge.hub(wanted.address, options)


def _hand_over(report: Report, wanted: Wanted, standard: Standard, console: Console) -> None:
    terminal.summary(console, report)
    if wanted.as_json:
        sys.stdout.write(json.dumps(files.as_json(report, evidence=False), ensure_ascii=False) + "\n")
    if wanted.report is not None:
        for path in files.write(report, standard, wanted.report):
            console.print(f"[dim]wrote {path}[/]", highlight=False)


def _trouble(wanted: Wanted, standard: Standard) -> str | None:
    """What is wrong with the question."""
    if wanted.profile is not None and wanted.profile not in standard.profiles:
        return f"--profile: found {wanted.profile!r}, allowed is one of {', '.join(standard.profiles)}"
    known = {row.check for row in standard.requirements.values()}
    for name in wanted.only:
        if name not in known:
            return f"--only: found {name!r}, which is no check of the registry"
    if not 0 < wanted.power_max_w < math.inf:
        return f"--max-power: found {wanted.power_max_w:g}, allowed is more than 0 W"
    return _not_writable(wanted.report) if wanted.report is not None else None


def _not_writable(folder: Path) -> str | None:
    """Said before anything is done to a device, and not after a minute of judging it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"--report: {folder} cannot be written: {error.strerror or error}"


def _usage(text: str) -> int:
    sys.stderr.write(f"ores conform: {text}\n")
    return EXIT_USAGE


async def _ask(what: str) -> bool:
    """Ask the person, where there is one. No thread waits for the answer, so Ctrl-C ends the question too."""
    if not sys.stdin.isatty():
        return False
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    sys.stderr.write(f"{what} Press Enter when it is done. ")
    sys.stderr.flush()
    loop.add_reader(sys.stdin, done.set)
    try:
        await done.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return bool(sys.stdin.readline())


def test_the_kit(only: tuple[str, ...], kind: str, *, quick: bool, as_json: bool) -> int:
    """Judge the kit by its own mutants and say how it went.

    Args:
        only: Names of mutants, or of their checks; empty judges all.
        kind: `module` or `hub`; empty judges both.
        quick: Mutants meet their own checks alone.
        as_json: One object on standard output, for programs.

    Returns:
        0 where every mutant was caught and nothing else was blamed, else 1.
    """
    from ores.conformance.self_test import Judged, self_test  # noqa: PLC0415 - needs the SDK, the kit does not

    console = Console(stderr=as_json, soft_wrap=True)

    def tell(judged: Judged) -> None:
        mark = "[green]✓[/]" if judged.clean else "[bold red]✗[/]"
        found = "" if judged.killed else "  survived"
        others = "".join(f"\n     also {name}: {message}" for name, message in judged.others.items())
        console.print(f" {mark} {judged.name}{found}{escape(others)}", highlight=False)

    result = asyncio.run(self_test(only=only, kind=kind, quick=quick, tell=tell))
    found = result.as_json()
    if as_json:
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    else:
        for name, value in found.items():
            console.print(f"[bold]{name}[/] {escape(str(value))}", highlight=False)
    return EXIT_CONFORMS if result.good else EXIT_DOES_NOT


def sweep_the_kit(only: str, every: int, *, as_json: bool) -> int:
    """Alter what the reference says, field by field, and list what the kit does not notice.

    Returns:
        0 where every survivor is argued, else 1.
    """
    from ores.conformance.self_test import sweep  # noqa: PLC0415 - as above

    console = Console(stderr=as_json, soft_wrap=True)

    def tell(name: str, noticed: bool) -> None:
        if not noticed:
            console.print(f" [yellow]survived[/] {escape(name)}", highlight=False)

    result = asyncio.run(sweep(every=every, only=only, tell=tell))
    if as_json:
        found = {"tried": result.tried, "survivors": dict(result.survivors), "good": result.good}
        sys.stdout.write(json.dumps(found, ensure_ascii=False) + "\n")
    console.print(
        f"{result.tried} alterations, {len(result.survivors)} survived, "
        f"{sum(not why for why in result.survivors.values())} of them without an argument."
    )
    return EXIT_CONFORMS if result.good else EXIT_DOES_NOT
