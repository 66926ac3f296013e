"""Telling every open page at once: encoded once, and a slow page loses pictures, never the hub its time.

How often a page is told is transport time (the wall's): a page is looked at by a person, however fast the
house runs.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

EVENTS_MAX = 256
PAGES_MAX = 32


class Page:
    """One open page: the newest picture of the house and the events it has not yet had."""

    def __init__(self) -> None:
        self._live: bytes | None = None
        self._events: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self.too_slow = False

    def show(self, live: bytes) -> None:
        """The newest picture; one that was not yet sent is dropped."""
        self._live = live
        self._wake.set()

    def tell(self, event: bytes) -> None:
        """An event; a page that lets too many pile up is given up."""
        if len(self._events) >= EVENTS_MAX:
            self.too_slow = True
        else:
            self._events.append(event)
        self._wake.set()

    async def next(self) -> bytes | None:
        """What to send next; None when the page is given up."""
        while not self.too_slow:
            if self._events:
                return self._events.popleft()
            if self._live is not None:
                live, self._live = self._live, None
                return live
            self._wake.clear()
            await self._wake.wait()
        return None


class Fanout:
    """All open pages.

    Args:
        live_per_s: Pictures per second of the wall, at most.
    """

    def __init__(self, live_per_s: float = 1.0) -> None:
        # a tenth less than the period, so that a cycle that comes a little early is not skipped
        self._every_wall_s = 0.9 / live_per_s
        self._pages: set[Page] = set()
        self._make: Callable[[], bytes] | None = None
        self._shown_wall_s = float("-inf")
        self._later: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._pages)

    def open(self) -> Page | None:
        """A new page; None when there are too many."""
        if len(self._pages) >= PAGES_MAX:
            return None
        page = Page()
        self._pages.add(page)
        return page

    def close(self, page: Page) -> None:
        """The page has gone."""
        self._pages.discard(page)

    def show(self, make: Callable[[], bytes]) -> None:
        """A new picture of the house; it is drawn only when it will be seen."""
        if not self._pages:
            return
        self._make = make
        wait_s = self._shown_wall_s + self._every_wall_s - asyncio.get_running_loop().time()
        if wait_s <= 0:
            self._show_now()
        elif self._later is None:
            self._later = asyncio.get_running_loop().call_later(wait_s, self._show_now)

    def tell(self, event: bytes) -> None:
        """An event for every page."""
        for page in self._pages:
            page.tell(event)

    def stop(self) -> None:
        """Show nothing any more."""
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _show_now(self) -> None:
        self.stop()
        make, self._make = self._make, None
        if make is None or not self._pages:
            return
        self._shown_wall_s = asyncio.get_running_loop().time()
        live = make()
        for page in self._pages:
            page.show(live)
