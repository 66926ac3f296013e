"""What `ores adapter serve ocpp` runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from ores.adapters.ocpp.central import listening
from ores.adapters.ocpp.charger import OcppCharger
from ores.adapters.ocpp.settings import PORT, assembled
from ores.adapters.serve import serving
from ores.cli.adapter_run import announce
from ores.cli.until import asked_to_end
from ores.link import clock as clocks
from ores.link.clock import Clock


def serve(
    ids: Sequence[str],
    directory: Path,
    file: Path | None,
    words: Sequence[str],
    *,
    control: bool,
    period_s: float,
    port: int,
    as_json: bool,
) -> None:
    """Be the central system of chargers, and show each as a module, until the process is asked to end.

    Args:
        ids: Of chargers, beside those that the file names.
        directory: Each charger's module has one of its own in it.
        file: What an owner says of the chargers; None for nothing.
        words: `NAME=VALUE`, in place of a file.
        control: Whether they may be commanded.
        period_s: Between two states.
        port: On which chargers call in; 0 for the usual one.
        as_json: For programs.

    Raises:
        ConfigError: Something in the command or the file is not right; says what.
    """
    settings = assembled(file, ids, words)

    async def main(clock: Clock) -> None:
        stop = asked_to_end()
        chargers = {
            id_: OcppCharger(
                id_, settings, clock, control=control, directory=directory / _safe(id_), period_s=period_s
            )
            for id_ in settings.chargers
        }
        async with listening(chargers, clock, port=port or PORT, tls=settings.tls) as listens_on:
            if not as_json:
                _tell(listens_on, sorted(chargers), control=control)
            tasks = [
                asyncio.create_task(
                    _show(one, directory / _safe(one.id), clock, stop, period_s=period_s, as_json=as_json)
                )
                for one in chargers.values()
            ]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)

    clocks.run(main, speed=1)


async def _show(
    charger: OcppCharger,
    directory: Path,
    clock: Clock,
    stop: asyncio.Event,
    *,
    period_s: float,
    as_json: bool,
) -> None:
    """One charger as a module, from when it is known until the process is asked to end."""
    known, ends = asyncio.create_task(charger.found()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([known, ends], return_when=asyncio.FIRST_COMPLETED)
        if not known.done():
            return
        async with serving(charger, directory, clock=clock, report_period_s=period_s) as it:
            announce(it, charger.about.name, controlled=charger.is_controlled, as_json=as_json)
            await stop.wait()
    finally:
        known.cancel()
        ends.cancel()


def _safe(id_: str) -> str:
    """As the name of a directory: no dots, and two ids never share one."""
    return "".join(one if one.isalnum() or one in "-_" else f"%{ord(one):02x}" for one in id_)


def _tell(port: int, ids: Sequence[str], *, control: bool) -> None:
    mode = "controlled" if control else "only read"
    Console(stderr=True).print(f"listens on port {port} for chargers, which are {mode}; they call")
    for id_ in ids:
        Console(stderr=True).print(f"  ws://ADDRESS:{port}/{id_}", highlight=False)
