"""The demonstration's hub, in a process of its own, as in a house: started, made acquainted, ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import aiohttp
import msgspec

from ores.link.clock import Clock
from ores.link.errors import OresError, Unavailable
from ores.model import PairModule, Preferences, Problem

READY_WITHIN_S = 30.0
END_WITHIN_S = 15.0


class Ready(msgspec.Struct, frozen=True):
    """What `ores hub --json` prints once its page is served."""

    url: str


class HubProcess:
    """One hub as a child process.

    Args:
        clock: Held while the child is waited for, so that simulated time does not run away.
        data: Its data directory; a hub started there again is the same hub.
        port: Of its page, 0 picks a free one.
        join: Address of the conductor at any speed but 1.
        speed: Of the demonstration.
        tariff: By which it plans, or None.
    """

    def __init__(
        self,
        clock: Clock,
        data: Path,
        *,
        port: int = 0,
        join: str | None = None,
        speed: float = 1.0,
        tariff: str | None = None,
    ) -> None:
        self._clock = clock
        self._data = data
        self._port = port
        self._join = join
        self._speed = speed
        self._tariff = tariff
        self._child: asyncio.subprocess.Process | None = None
        self.url = ""

    async def start(self) -> None:
        """Start it and wait until its page is served.

        Raises:
            OresError: It ended instead; what it said stands on the terminal.
        """
        command = [sys.executable, "-m", "ores.cli", "hub", "--json", "--data", str(self._data)]
        command += ["--port", str(self._port), "--name", "Demo home", "--no-discover", "--simulated"]
        command += ["--end-with-input"]
        command += [] if self._tariff is None else ["--tariff", self._tariff]
        if self._join is not None:
            command += ["--join", self._join, "--speed", str(self._speed)]
        else:  # the same wall clock as the home, which lives on a day of its own
            command += ["--clock", self._clock.utc().isoformat(timespec="microseconds")]
        with self._clock.hold():
            self._child = await asyncio.create_subprocess_exec(
                # its input ends when this process does, however it ends, and then the hub ends, too
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            line = await self._line(READY_WITHIN_S)
            if not line:
                raise OresError(f"the hub did not start (exit {await self._child.wait()})")
            self.url = msgspec.json.decode(line, type=Ready).url

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._running().pid

    async def acquaint(self, modules: Mapping[str, tuple[str, str]], preferences: Preferences) -> None:
        """What the owner does: pair every module with its code, and say what is wanted.

        Args:
            modules: Address (host:port) and code, by name.
            preferences: Of the owner.
        """
        with self._clock.hold():
            async with aiohttp.ClientSession() as http:
                for address, code in modules.values():
                    await self._send(http, "POST", "modules", PairModule(address=address, code=code))
                await self._send(http, "PUT", "preferences", preferences)

    async def end(self) -> dict[str, object]:
        """End it in order; its own summary of the run."""
        child = self._running()
        with self._clock.hold():
            with contextlib.suppress(ProcessLookupError):
                child.send_signal(signal.SIGTERM)
            line = await self._line(END_WITHIN_S)
            await child.wait()
        summary: dict[str, object] = msgspec.json.decode(line) if line else {}
        return summary

    async def died(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        return await self._running().wait()

    def kill(self) -> None:
        """Kill it at once, as a power cut would."""
        with contextlib.suppress(ProcessLookupError):
            self._running().kill()

    def _running(self) -> asyncio.subprocess.Process:
        if self._child is None:
            raise RuntimeError("the hub has not been started")
        return self._child

    async def _line(self, within_s: float) -> bytes:
        stdout = self._running().stdout
        if stdout is None:
            raise RuntimeError("the hub was started without a pipe")
        try:
            async with asyncio.timeout(within_s):  # noqa: TID251  a child process lives in the wall's time
                return await stdout.readline()
        except TimeoutError as error:
            self.kill()
            raise Unavailable(f"the hub said nothing for {within_s:.0f} s") from error

    async def _send(self, http: aiohttp.ClientSession, method: str, path: str, message: object) -> None:
        body = msgspec.json.encode(message)
        headers = {"Content-Type": "application/json"}
        url = f"{self.url}ores/v1/{path}"
        async with http.request(method, url, data=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status >= 400:
                problem = msgspec.json.decode(text, type=Problem)
                raise OresError(f"{method} /{path}: {problem.detail or problem.title}", code=problem.code)
