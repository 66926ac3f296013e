"""What may be asked of the house over SunSpec: a limit on what its sun and its stores give, in percent.

Models 123 and 704 are two windows on the same limit. It becomes a proposal for each element that takes a
limit, at the owner's rank: one voice among others, which can only narrow. It ends by the timer that was
written with it, or, as nothing here lasts for ever, by the hub's own where there is none.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from ores.adapters.sunspec.definitions import Point
from ores.hub.callers import Caller, check_proposal
from ores.hub.doors.sunspec_models import PERCENT_SCALE, Limit
from ores.hub.doors.sunspec_registers import number_of
from ores.hub.doors.sunspec_server import FAILURE, ILLEGAL_ADDRESS, ILLEGAL_VALUE, Refusal
from ores.hub.doors.sunspec_shape import Held, Member, Shape
from ores.hub.hub import Hub
from ores.link.errors import OresError, Unavailable
from ores.model import Bounds, Proposal, Subject

SOURCE: Final = "sunspec"
CALLER: Final = Caller(name=SOURCE, role="owner", by="machine")
LASTS_MAX_S: Final = 604_800
"""No proposal lives longer."""
NOT_HELD: Final = "sunspec_limit_not_held"
FULL: Final = round(100.0 * 10.0**-PERCENT_SCALE)
"""100 %, as it stands in a register."""

_ALLOWED: Final[Mapping[tuple[int, str], range]] = {
    (123, "Conn"): range(1, 2),  # opening the house's connection is no lease: nobody may by Modbus
    (123, "WMaxLimPct"): range(FULL + 1),
    (123, "WMaxLimPct_WinTms"): range(1),  # a random delay is for a street of inverters, not for one house
    (123, "WMaxLimPct_RvrtTms"): range(0xFFFF),
    (123, "WMaxLimPct_RmpTms"): range(1),
    (123, "WMaxLim_Ena"): range(2),
    (704, "WMaxLimPctEna"): range(2),
    (704, "WMaxLimPct"): range(FULL + 1),
    (704, "WMaxLimPctRvrt"): range(FULL + 1),
    (704, "WMaxLimPctEnaRvrt"): range(1),  # a limit that begins when another ends would never end
    (704, "WMaxLimPctRvrtTms"): range(LASTS_MAX_S + 1),
}
"""What may be written, and which values."""
_PERCENT: Final = frozenset({"WMaxLimPct"})
_ENABLE: Final = frozenset({"WMaxLim_Ena", "WMaxLimPctEna"})
_TIMER: Final = frozenset({"WMaxLimPct_RvrtTms", "WMaxLimPctRvrtTms"})
_AFTER: Final = frozenset({"WMaxLimPctRvrt"})


class Controls:
    """The limit of one hub.

    Args:
        hub: Whose arbiter decides.
        lasts_s: How long a limit holds that was written without a timer.
    """

    def __init__(self, hub: Hub, lasts_s: float) -> None:
        self._hub: Final = hub
        self._lasts_s: Final = lasts_s
        self._percent = self._after = 100.0
        self._timer_s = 0
        self._enabled = False
        self._ends_at_s = 0.0
        self._members: tuple[Member, ...] = ()
        self._gives_max_w: float | None = None

    def describe(self, shape: Shape) -> None:
        """What there is to be limited now; a limit that holds, holds for it."""
        steered = self._steered(shape)
        if steered == self._members:
            return
        self._members, self._gives_max_w = steered, shape.gives_max_w
        if self.limit().enabled:
            try:
                self._propose(self._ends_at_s - self._hub.clock.now())
            except OresError as error:
                self._hub.notices.raise_(NOT_HELD, f"what is limited over SunSpec: {error.detail}")

    def limit(self) -> Limit:
        """What holds now."""
        remains_s = self._ends_at_s - self._hub.clock.now() if self._enabled else 0.0
        if self._enabled and remains_s <= 0.0:
            self._end()
        return Limit(self._percent, self._enabled, self._timer_s, max(0, ceil(remains_s)), self._after)

    def take(self, model: int, points: Mapping[str, Point], written: Mapping[str, list[int]]) -> None:
        """Do what was written: all of it, or nothing.

        Args:
            model: Id.
            points: Its own.
            written: Registers by the name of their point.

        Raises:
            Refusal: A point cannot be written, or not so.
        """
        values = {}
        for name, registers in written.items():
            allowed = _ALLOWED.get((model, name))
            if allowed is None:
                raise Refusal(ILLEGAL_ADDRESS)
            value = number_of(points[name], registers)
            if value not in allowed:
                raise Refusal(ILLEGAL_VALUE)
            values[name] = value
        self._apply(values)

    def _apply(self, values: Mapping[str, int]) -> None:
        held = self.limit()
        for name, value in values.items():
            if name in _PERCENT:
                self._percent = value * 10.0**PERCENT_SCALE
            elif name in _AFTER:
                self._after = value * 10.0**PERCENT_SCALE
            elif name in _TIMER:
                self._timer_s = value
            elif name in _ENABLE:
                self._enabled = value == 1
        if not values.keys() & (_PERCENT | _TIMER | _ENABLE):
            return
        if not self._enabled:
            self._end()
            return
        lasts_s = float(self._timer_s or self._lasts_s)
        try:
            self._propose(lasts_s)
        except OresError:
            self._percent, self._enabled, self._timer_s = held.percent, held.enabled, held.timer_s
            raise Refusal(FAILURE) from None
        self._ends_at_s = self._hub.clock.now() + lasts_s

    def _end(self) -> None:
        self._enabled = False
        self._hub.proposals.remove_source(SOURCE)
        self._hub.notices.clear(NOT_HELD)

    def _propose(self, lasts_s: float) -> None:
        """Share the limit by what each can give, after what takes no limit has been taken off."""
        hub = self._hub
        if self._gives_max_w is None:
            raise Unavailable(
                "nobody knows what the house can give, so that there is nothing to take percent of"
            )
        free_w = self._gives_max_w * self._percent / 100.0
        fixed_w = sum(one.gives_w or 0.0 for one in self._members if not one.held)
        movable_w = self._gives_max_w - fixed_w
        part = max(0.0, free_w - fixed_w) / movable_w if movable_w > 0 else 0.0
        made = [
            self._proposal(held, part * held.share * (one.gives_w or 0.0), lasts_s)
            for one in self._members
            for held in one.held
        ]
        hub.proposals.remove_source(SOURCE)
        for proposal in made:
            check_proposal(CALLER, proposal, hub.people.names())
            hub.proposals.put(proposal)
        if free_w < fixed_w:
            text = (
                f"{free_w:.0f} W were asked over SunSpec; {fixed_w:.0f} W can come from what takes no limit"
            )
            hub.notices.raise_(NOT_HELD, text)
        else:
            hub.notices.clear(NOT_HELD)

    def _proposal(self, held: Held, limit_w: float, lasts_s: float) -> Proposal:
        return Proposal(
            id=held.place.key,
            subject=Subject(kind="element", module=held.place.module_id, element=held.place.element_id),
            rank="owner_wish",
            bounds=Bounds(produce_max_w=limit_w),
            source=SOURCE,
            reason=f"sun and batteries may give {self._percent:g} % (over SunSpec)",
            ttl_s=min(max(lasts_s, 1.0), LASTS_MAX_S),
        )

    def _steered(self, shape: Shape) -> tuple[Member, ...]:
        """Members; what is only watched takes no limit."""
        links = self._hub.federation.links
        watched = {key for key, link in links.items() if link.watch_only}
        return tuple(
            Member(one.place, one.gives_w) if one.place.module_id in watched else one for one in shape.members
        )
