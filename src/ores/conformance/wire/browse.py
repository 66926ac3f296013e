"""Announcements on the local network, heard by DNS-SD (section 4.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from zeroconf import ServiceStateChange, Zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

SERVICE: Final = "_ores._tcp.local."


@dataclass(frozen=True, slots=True)
class Announced:
    """One service instance.

    Attributes:
        instance: Its name, without the type.
        port: Of its server.
        txt: The keys of its TXT record; a key without a value is empty.
    """

    instance: str
    port: int | None
    txt: Mapping[str, str]


class Browse:
    """Listens while the context lasts; what is heard is kept."""

    def __init__(self) -> None:
        self.heard: Final[dict[str, Announced]] = {}
        self.gone: Final[set[str]] = set()
        self._tasks: Final[set[asyncio.Task[None]]] = set()
        self._news: Final = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._zeroconf = AsyncZeroconf()
        self._browser = AsyncServiceBrowser(self._zeroconf.zeroconf, SERVICE, handlers=[self._change])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._browser.async_cancel()
        for task in self._tasks:
            task.cancel()
        await self._zeroconf.async_close()

    async def find(self, module_id: str, timeout_s: float) -> Announced | None:
        """The announcement whose TXT record has this id, or whose name ends with it; None: there is none."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while True:
            for found in self.heard.values():
                if found.txt.get("id") == module_id or found.instance.endswith(module_id):
                    return found
            left_s = deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                return None
            await self._wait(left_s)

    async def farewell(self, instance: str, timeout_s: float) -> bool:
        """Whether an instance says goodbye within so long."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while instance not in self.gone:
            left_s = deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            await self._wait(left_s)
        return True

    async def _wait(self, timeout_s: float) -> None:
        self._news.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return

    def _change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange
    ) -> None:
        instance = name.removesuffix("." + service_type)
        if state_change is ServiceStateChange.Removed:
            self.gone.add(instance)
            self._news.set()
            return
        task = asyncio.ensure_future(self._read(zeroconf, service_type, name, instance))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read(self, zeroconf: Zeroconf, service_type: str, name: str, instance: str) -> None:
        info = AsyncServiceInfo(service_type, name)
        if not await info.async_request(zeroconf, 3000):
            return
        txt = {
            key.decode("utf-8", "replace"): (value or b"").decode("utf-8", "replace")
            for key, value in info.properties.items()
        }
        self.heard[instance] = Announced(instance, info.port, txt)
        self._news.set()
