"""What a person should know now: raised when it begins, gone when it is over."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from ores.hub.times import rfc3339
from ores.link.clock import Clock
from ores.model import Notice

ACTIVE_MAX = 64
TEXT_MAX = 512


class Notices:
    """The notices that hold now, at most `ACTIVE_MAX`; the oldest makes room, errors last.

    Args:
        clock: Dates them.
        on_raised: Called with each new one.
    """

    def __init__(self, clock: Clock, on_raised: Callable[[Notice], None] = lambda _notice: None) -> None:
        self._clock = clock
        self._active: dict[tuple[str, str], Notice] = {}
        self.on_raised = on_raised

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
            time=rfc3339(self._clock.utc()), level=level, code=code, text=text[:TEXT_MAX], module=about
        )
        self._active[key] = notice
        self.on_raised(notice)
        return True

    def clear(self, code: str, module: str = "") -> None:
        """It is over; unknown ones are ignored."""
        self._active.pop((code, module), None)

    def forget_module(self, module: str) -> None:
        """The module is no longer ours."""
        for key in [key for key in self._active if key[1] == module]:
            del self._active[key]

    def active(self) -> list[Notice]:
        """Those that hold, oldest first."""
        return list(self._active.values())
