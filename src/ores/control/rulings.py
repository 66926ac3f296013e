"""What was decided about each element, and why; recorded when it changes so that a person would notice."""

from __future__ import annotations

from msgspec import UNSET, Struct

from ores.control.memory import Told
from ores.model import Decision, ElementCommand

# A number has changed noticeably when it moved by this much, or by this part of itself.
_NOTICE_W = 300.0
_NOTICE_PART = 0.25
# Even then it is not recorded more often than this, unless rule or limits change.
_QUIET_S = 15.0


class Ruling(Struct, frozen=True, kw_only=True):
    """A decision before the hub gives it time and number.

    Attributes:
        number: What the command comes to, in W, to judge whether it changed.
        rank: The rank's name.
        limited_by: Sources that narrowed the wish.
    """

    module_id: str
    element_id: str
    rule: str
    rank: str
    source: str
    reason: str
    limited_by: tuple[str, ...]
    command: ElementCommand | None
    watch_only: bool
    number: float

    def decision(self, time: str, number: int | None = None) -> Decision:
        """The decision as apps get it.

        Args:
            time: RFC 3339, UTC.
            number: Its id, if it has one.
        """
        return Decision(
            time=time,
            module=self.module_id,
            element=self.element_id,
            rule=self.rule[:64] or "none",
            reason=self.reason[:512],
            id=UNSET if number is None else number,
            command=UNSET if self.command is None else self.command,
            rank=self.rank,
            source=self.source[:64] or "hub",
            limited_by=list(self.limited_by[:16]) if self.limited_by else UNSET,
            watch_only=True if self.watch_only else UNSET,
        )


def noticed(ruling: Ruling, before: Told | None, now_s: float) -> Told | None:
    """What to remember if the ruling is worth recording; None while nothing noticeable has changed."""
    if before is not None and before.rule == ruling.rule and before.limited_by == ruling.limited_by:
        moved_w = abs(ruling.number - before.number)
        started_or_stopped = (ruling.number == 0.0) != (before.number == 0.0) and moved_w > 50.0
        much = moved_w > max(_NOTICE_W, _NOTICE_PART * abs(before.number))
        if not (much or started_or_stopped) or now_s - before.at_s < _QUIET_S:
            return None
    return Told(ruling.rule, ruling.limited_by, ruling.number, now_s)
