"""Looking for modules on the local network, beside everything else: no start waits for it."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

from ores.hub.membership import Membership, join_address
from ores.hub.notices import Notices
from ores.link.clock import Clock
from ores.link.errors import ConfigError

if TYPE_CHECKING:
    from ores.link.discovery import Found

AGAIN_S = 60.0


async def discover(
    membership: Membership, notices: Notices, clock: Clock, interfaces: tuple[str, ...] | None
) -> None:
    """Watch until cancelled; where multicast DNS cannot be used, say so and try again.

    Args:
        membership: Learns who is where.
        notices: Learn when nothing can be found.
        clock: Measures the rest between tries.
        interfaces: Addresses of the interfaces to use; None for all.
    """
    while True:
        try:
            await _watch(membership, notices, interfaces)
        except ConfigError as error:
            notices.raise_(
                "discovery_unavailable",
                f"modules cannot be found by themselves ({error.detail}); give their addresses instead",
            )
            await clock.sleep(AGAIN_S)


async def _watch(membership: Membership, notices: Notices, interfaces: tuple[str, ...] | None) -> None:
    # zeroconf takes a tenth of a second to import: in a thread, so that the page is there first
    await asyncio.to_thread(import_module, "ores.link.discovery")
    from ores.link.discovery import browse, open_zeroconf  # noqa: PLC0415

    def found(module: Found) -> None:
        membership.take_found(module.id, join_address(module.addresses[0], module.port))

    zeroconf = open_zeroconf(interfaces)
    try:
        browser = await browse(found, membership.take_lost, zeroconf=zeroconf)
        notices.clear("discovery_unavailable")
        try:
            await asyncio.Event().wait()
        finally:
            await browser.close()
    finally:
        # one that is closed while it starts would leave its sockets behind
        await zeroconf.zeroconf.async_wait_for_start()
        await zeroconf.async_close()
