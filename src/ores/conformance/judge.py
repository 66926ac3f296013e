"""Judge a subject: from an address and a code to a report."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from ores.conformance import care
from ores.conformance.bench import Bench, Options
from ores.conformance.check import BenchT, Failed, Section, short
from ores.conformance.checks import SECTIONS
from ores.conformance.hubs.bench import HubBench, HubOptions
from ores.conformance.hubs.checks import SECTIONS as HUB_SECTIONS
from ores.conformance.runner import OnBench, Runner
from ores.conformance.standard import Standard
from ores.conformance.verdict import Report, Result
from ores.conformance.wire.caller import Answer
from ores.conformance.wire.pairing import secret_of
from ores.conformance.wire.target import context as tls_context
from ores.conformance.wire.target import hub_of, target_of

STANDARD_VERSION: Final = "1.0"
HTTP_OK: Final = 200
ABOUT: Final = ("id", "maker", "model", "firmware_version", "ores", "profiles")
WAYS_IN: Final = ("pairing-proof", "hub-pairs-by-code")
"""What every other check builds on: judged also where only some are."""
ABOUT_HUB: Final = ("id", "name", "version", "ores")


async def _nobody(_: str) -> bool:
    """Nobody sits at the terminal."""
    return False


@dataclass(frozen=True, slots=True)
class Manner:
    """How thoroughly to judge.

    Attributes:
        only: Names of the checks to run, the ways in beside them; empty runs all.
        stop_at_once: End with the first failure, warning or note.
    """

    only: frozenset[str] = frozenset()
    stop_at_once: bool = False


THOROUGH: Final = Manner()


@dataclass(frozen=True, slots=True)
class Judge:
    """How to judge.

    Attributes:
        options: What the person allows.
        profile: The profile that the module has to meet beside those it claims; None adds none.
        say: Tells what happens.
        tell: Hears each result at once.
        ask: Asks the person to act at the device.
        manner: How thoroughly.
        standard: What is demanded.
    """

    options: Options = field(default_factory=Options)
    profile: str | None = None
    say: Callable[[str], None] = lambda _: None
    tell: Callable[[Result], None] = lambda _: None
    ask: Callable[[str], Awaitable[bool]] = _nobody
    manner: Manner = THOROUGH
    standard: Standard = field(default_factory=Standard)

    async def module(self, address: str, code: str, sections: Sequence[Section[Bench]] = SECTIONS) -> Report:
        """Judge a module.

        Args:
            address: `https://HOST:PORT`.
            code: On its label.
            sections: The checks.

        Raises:
            BadTarget: The address is none.
            BadCode: The code is none.
            NoSubject: There is no ORES module at the address.
        """
        bench = Bench(self.standard, target_of(address), secret_of(code), self.options, self.say, self.ask)
        bench.profile = self.profile
        began = datetime.now(UTC)

        def heard(result: Result) -> None:
            bench.verdicts.append(result)
            self.tell(result)

        try:
            await _preflight(bench)
            results = await self._runner(bench, bench, heard, lambda: care.alive(bench)).run(sections)
        except asyncio.CancelledError:
            await care.leave(bench)
            raise
        finally:
            await bench.close()
        return Report(
            kind="module",
            subject=_about(bench.description),
            target=bench.target.url,
            began=began.isoformat(timespec="seconds"),
            took_s=round(bench.elapsed_s, 1),
            kit=kit_version(),
            options={"power_max_w": self.options.power_max_w, "profile": self.profile},
            results=results,
            messages=tuple((line.what, line.body) for line in bench.transcript.lines if line.by == "subject"),
        )

    async def hub(
        self, address: str, options: HubOptions, sections: Sequence[Section[HubBench]] = HUB_SECTIONS
    ) -> Report:
        """Judge a hub; the kit plays its modules.

        Args:
            address: `http://127.0.0.1:PORT` on the hub's machine, else `https://HOST:PORT`.
            options: What the person gives.
            sections: The checks.

        Raises:
            BadTarget: The address is none.
            NoSubject: There is no ORES hub at the address, or one that cannot be judged.
        """
        bench = HubBench(self.standard, hub_of(address), options, self.say, self.ask)
        began = datetime.now(UTC)

        def heard(result: Result) -> None:
            bench.verdicts.append(result)
            self.tell(result)

        try:
            await _preflight_hub(bench)
            results = await self._runner(bench, bench, heard, bench.alive).run(sections)
        except asyncio.CancelledError:
            self.say("Stopped. The modules that the kit played are taken away again.")
            raise
        finally:
            await bench.close()
        return Report(
            kind="hub",
            subject={name: bench.status[name] for name in ABOUT_HUB if name in bench.status},
            target=bench.target.root,
            began=began.isoformat(timespec="seconds"),
            took_s=round(bench.elapsed_s, 1),
            kit=kit_version(),
            options={"network": bench.options.network.url if bench.options.network else None},
            results=results,
            messages=tuple((line.what, line.body) for line in bench.transcript.lines if line.by == "subject"),
        )

    def _runner(
        self,
        bench: BenchT,
        facts: OnBench,
        tell: Callable[[Result], None],
        alive: Callable[[], Awaitable[bool]],
    ) -> Runner[BenchT]:
        only = self.manner.only.union(WAYS_IN) if self.manner.only else None
        return Runner(bench, facts, self.say, tell, alive, only, self.manner.stop_at_once)


class NoSubject(Exception):
    """There is nothing to judge; the message says what was found instead."""


async def _preflight(bench: Bench) -> None:
    """One clear sentence in place of two hundred failures, where there is no module at all.

    Raises:
        NoSubject: No TLS server, or one that serves no description.
    """
    where = bench.target.url
    try:
        raw = await bench.raw(tls=tls_context(lowest=ssl.TLSVersion.TLSv1_2))
        await raw.close()
        answer = await bench.stranger.request("GET", "/description")
    except Failed as error:
        raise NoSubject(f"there is no ORES module at {where}: {error}") from error
    finally:
        await bench.stranger.close()
    if trouble := _no_description(answer):
        raise NoSubject(f"there is no ORES module at {where}: GET /description gave {trouble}")


def _no_description(answer: Answer) -> str | None:
    """What was found in place of a description; None where it looks like one, right or wrong."""
    kind = answer.headers.get("content-type", "no content type")
    try:
        body = answer.json
    except Failed as error:
        return f"status {answer.status} with {kind}: {error}"
    if answer.status == HTTP_OK and isinstance(body, dict) and "ores" in body:
        return None
    return f"status {answer.status} with {short(body)}, and that is no Description"


async def _preflight_hub(bench: HubBench) -> None:
    """One clear sentence where there is no hub, or one whose modules the kit must not disturb.

    Raises:
        NoSubject: It says what was found instead.
    """
    where = bench.target.root
    try:
        session = (await bench.nobody.request("GET", "/session")).json
    except Failed as error:
        raise NoSubject(f"there is no ORES hub at {where}: {error}") from error
    if not isinstance(session, dict) or "owner_exists" not in session:
        raise NoSubject(
            f"there is no ORES hub at {where}: GET /session gave {short(session)}, and that is no SessionInfo"
        )
    if session["owner_exists"] and not bench.options.token:
        raise NoSubject(f"the hub at {where} has an owner: give --token, or judge it before anybody owns it")
    try:
        bench.status = await bench.owner.get("/status")
        modules = (await bench.owner.get("/modules"))["modules"]
    except (Failed, KeyError) as error:
        raise NoSubject(f"the hub at {where} cannot be judged: {error}") from error
    if paired := [module.get("id") for module in modules if module.get("paired")]:
        raise NoSubject(
            f"the hub at {where} controls modules ({', '.join(map(str, paired[:3]))}): a judgement would "
            "disturb the house; judge a hub without modules"
        )


def kit_version() -> dict[str, str]:
    """Of the kit and of the standard."""
    try:
        kit = version("ores-energy")
    except PackageNotFoundError:
        kit = "from source"
    return {"kit": kit, "standard": STANDARD_VERSION}


def _about(description: dict[str, Any]) -> dict[str, Any]:
    return {name: description[name] for name in ABOUT if name in description}
