"""A browser driven over the DevTools protocol: enough to look at a page and to click in it."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no browser: install Debian's package chromium to look at the page"
)
FLAGS = (
    "--headless",
    "--no-sandbox",  # a container has no user namespaces
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)
WITHIN_WALL_S = 30.0


class Tab:
    """One page."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)

    async def _call(self, method: str, **params: object) -> dict:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": params})
        while (answer := await self._socket.receive_json()).get("id") != number:
            pass
        assert "error" not in answer, answer
        return answer["result"]

    async def open(self, url: str) -> None:
        await self._call("Page.navigate", url=url)

    async def look(self, script: str) -> object:
        """The value of an expression in the page."""
        result = await self._call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, script: str, wanted: object) -> None:
        """Wait, in the wall's time, until an expression has a value."""
        found = None
        with suppress(TimeoutError):
            async with asyncio.timeout(WITHIN_WALL_S):
                while (found := await self.look(script)) != wanted:
                    await asyncio.sleep(0.05)
        assert found == wanted


@asynccontextmanager
async def browser(directory: Path) -> AsyncIterator[Tab]:
    """A browser with one empty page and no memory."""
    child = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *FLAGS,
        f"--user-data-dir={directory}",
        "about:blank",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        said = directory / "DevToolsActivePort"
        async with asyncio.timeout(WITHIN_WALL_S):
            while not (said.exists() and said.read_text().count("\n")):
                await asyncio.sleep(0.05)
        port = said.read_text().split()[0]
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{port}/json/list") as answer:
                pages = [one for one in await answer.json() if one["type"] == "page"]
            async with http.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Tab(socket)
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
