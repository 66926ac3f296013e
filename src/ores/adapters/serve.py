"""An adapted device behind the SDK's server: a module on the network like any other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from ores.link.clock import Clock
from ores.module import About, Device, PolicyFunction
from ores.module.run import Running, running


class Adapter(Device, Protocol):
    """A foreign device as one of the SDK's, with a task of its own.

    Its calls never wait for the device: the task reads it, and `measured_at_s` (see `KnowsAge`) tells how old
    that is, so that a device that does not answer becomes stale, and then unknown.
    """

    @property
    def about(self) -> About:
        """What the device says of itself."""
        ...

    @property
    def policies(self) -> Mapping[str, PolicyFunction]:
        """What it can do on its own; the first is followed until another is chosen."""
        ...

    async def start(self) -> None:
        """Begin to talk to the device; back after the first try, whether it has answered or not."""
        ...

    async def stop(self) -> None:
        """End, and let go of the device."""
        ...


@asynccontextmanager
async def serving(
    adapter: Adapter,
    directory: Path,
    *,
    clock: Clock,
    host: str | None = None,
    port: int = 0,
    report_period_s: float = 1.0,
    announced: bool = True,
    interfaces: Sequence[str] | None = None,
) -> AsyncIterator[Running]:
    """Show an adapted device as a module, for as long as the context lasts.

    Args:
        adapter: Started here, and stopped at the end.
        directory: Of this module alone; made where it is missing.
        clock: Process time.
        host: As for `running`; so are all that follow.
        port: TCP port; 0 picks a free one.
        report_period_s: Between two states.
        announced: Make it known by DNS-SD.
        interfaces: Addresses to announce on; None for all.

    Raises:
        ConfigError: The directory, the description or the port cannot be used; says why.
    """
    try:
        await adapter.start()
        async with running(
            lambda _clock: adapter,
            directory,
            adapter.about,
            clock=clock,
            policies=adapter.policies,
            host=host,
            port=port,
            report_period_s=report_period_s,
            announced=announced,
            interfaces=interfaces,
        ) as it:
            yield it
    finally:
        await adapter.stop()
