"""What a person should know: raised when it begins, acknowledged once seen, ended when it is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta

import msgspec
from msgspec import UNSET, UnsetType

from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.model import Notice

ACTIVE_MAX = 64
ENDED_MAX = 256
ENDED_FOR = timedelta(hours=24)
"""For so long one that has ended is still listed for who asks."""
TEXT_MAX = 512


class Notices:
    """The notices that hold now, at most `ACTIVE_MAX`; the oldest makes room, errors last.

    Args:
        clock: Dates them.
        on_changed: Called with each that begins, is acknowledged or ends.
    """

    def __init__(self, clock: Clock, on_changed: Callable[[Notice], None] = lambda _notice: None) -> None:
        self._clock = clock
        self._active: dict[tuple[str, str], Notice] = {}
        self._ended: deque[tuple[datetime, Notice]] = deque(maxlen=ENDED_MAX)
        self._last_id = 0
        self.on_changed = on_changed

    def raise_(self, code: str, text: str, *, level: str = "warning", module: str = "") -> bool:
        """Say something; while it holds, the same code of the same module is not said again.

        Its text follows the newest cause: a module may be unreachable for one reason after another.

        Returns:
            Whether it is new.
        """
        key = (code, module)
        if (held := self._active.get(key)) is not None:
            self._active[key] = msgspec.structs.replace(held, text=text[:TEXT_MAX])
            return False
        if len(self._active) >= ACTIVE_MAX:
            mild = (held for held, notice in self._active.items() if notice.level != "error")
            del self._active[next(mild, next(iter(self._active)))]
        about: str | UnsetType = module or UNSET
        notice = Notice(
            id=self._new_id(),
            time=rfc3339(self._clock.utc()),
            level=level,
            code=code,
            text=text[:TEXT_MAX],
            module=about,
        )
        self._active[key] = notice
        self.on_changed(notice)
        return True

    def clear(self, code: str, module: str = "") -> None:
        """It is over; unknown ones are ignored."""
        if (notice := self._active.pop((code, module), None)) is not None:
            now = self._clock.utc()
            notice = msgspec.structs.replace(notice, ended=rfc3339(now))
            self._ended.append((now, notice))
            self.on_changed(notice)

    def forget_module(self, module: str) -> None:
        """The module is no longer ours."""
        for code, _ in [key for key in self._active if key[1] == module]:
            self.clear(code, module)

    def acknowledge(self, notice_id: int, by: str) -> Notice | None:
        """Somebody has seen it; the first who says so is remembered, and nothing else changes.

        Args:
            notice_id: Of one that holds, or that ended within `ENDED_FOR`.
            by: The name of who says so; empty where nobody has one.

        Returns:
            The notice; None where there is none of this id.
        """
        for key, notice in self._active.items():
            if notice.id == notice_id:
                self._active[key] = seen = self._seen(notice, by)
                return seen
        for at, (ended, notice) in enumerate(self._ended):
            if notice.id == notice_id:
                seen = self._seen(notice, by)
                self._ended[at] = ended, seen
                return seen
        return None

    def active(self) -> list[Notice]:
        """Those that hold, oldest first."""
        return list(self._active.values())

    def recent(self) -> list[Notice]:
        """Those that hold and those that ended within `ENDED_FOR`, oldest first."""
        since = self._clock.utc() - ENDED_FOR
        ended = [notice for at, notice in self._ended if at >= since]
        return sorted([*ended, *self._active.values()], key=lambda notice: notice.id)

    def _seen(self, notice: Notice, by: str) -> Notice:
        if notice.acknowledged is not UNSET:
            return notice
        now = rfc3339(self._clock.utc())
        seen = msgspec.structs.replace(notice, acknowledged=now, acknowledged_by=by or UNSET)
        self.on_changed(seen)
        return seen

    def _new_id(self) -> int:
        """Never given before, also by this hub's earlier runs: the time in ms, or the next number."""
        self._last_id = max(self._last_id + 1, int(self._clock.utc().timestamp() * 1000))
        return self._last_id
