"""What outlasts a command, or waits for it: least times, and circuits on an island.

Least times: a compressor or a relay must survive a hub that does not care (HOLD-007).

What is asked too early is held back, and done when the time is over if it is still asked. Limits are never
held back: a set-point that waits is cut to them meanwhile.
"""

from __future__ import annotations

from math import inf
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from ores.model import Capabilities, ElementState
from ores.module.effective import Effective

_Position = TypeVar("_Position", bool, str)
_DUST_S: Final = 1e-6
"""Timers fire when they fire."""


class LeastTimes:
    """When one element changed last, and what may change by now.

    Args:
        able: What its description declares.
    """

    def __init__(self, able: Capabilities) -> None:
        switch = None if isinstance(able.switch, UnsetType) else able.switch
        mode = None if isinstance(able.mode, UnsetType) else able.mode
        setpoint = None if isinstance(able.setpoint, UnsetType) else able.setpoint
        self._on_s: Final = 0.0 if switch is None else _or_zero(switch.min_on_s)
        self._off_s: Final = 0.0 if switch is None else _or_zero(switch.min_off_s)
        self._mode_s: Final = 0.0 if mode is None else _or_zero(mode.hold_s)
        self._setpoint_s: Final = 0.0 if setpoint is None else _or_zero(setpoint.hold_s)
        self.any: Final = max(self._on_s, self._off_s, self._mode_s, self._setpoint_s) > 0
        self._contact: Final = _Place[bool]()
        self._mode: Final = _Place[str]()
        self._power_w: float | UnsetType | None = UNSET
        self._power_at_s = -inf

    def look(self, reading: ElementState, now_s: float) -> None:
        """Notice what has moved by itself, or by hand."""
        if not isinstance(reading.switch, UnsetType):
            self._contact.seen(reading.switch.closed, now_s)
        if not isinstance(reading.mode, UnsetType):
            self._mode.seen(reading.mode.mode, now_s)

    def hold(self, asked: Effective, now_s: float, *, free: bool = False) -> tuple[Effective, float]:
        """What may be done of this now, and when the rest may; infinite where there is no rest.

        Args:
            asked: By the formula.
            now_s: Process time.
            free: The loads of an island decide the power: no set-point is held on to.
        """
        closed, closed_s = self._contact.hold(
            asked.closed, self._on_s if self._contact.now else self._off_s, now_s
        )
        mode, mode_s = self._mode.hold(asked.mode, self._mode_s, now_s)
        power_w, power_s = asked.power_w, inf
        over_s = self._power_at_s + self._setpoint_s
        told_w = self._power_w
        if not (free or isinstance(told_w, UnsetType) or told_w == power_w) and now_s < over_s - _DUST_S:
            power_w, power_s = told_w, over_s
            if told_w is not None:
                power_w = min(max(told_w, -asked.produce_max_w), asked.consume_max_w) + 0.0
        until_s = min(closed_s, mode_s, power_s)
        if until_s == inf:
            return asked, until_s
        return msgspec.structs.replace(asked, closed=closed, mode=mode, power_w=power_w), until_s

    def told(self, effective: Effective, now_s: float) -> None:
        """The device has been told this, and may have done it."""
        self._contact.told(effective.closed, now_s)
        self._mode.told(effective.mode, now_s)
        if effective.power_w != self._power_w:
            # the first set-point of all is no change: there was none before
            self._power_at_s = -inf if isinstance(self._power_w, UnsetType) else now_s
            self._power_w = effective.power_w


class KeptOpen:
    """A switch that a lease has opened, on an island that outlives the lease (HOLD-010).

    A dead hub's circuits that closed all at once would trip what holds the island up.

    Attributes:
        now: Whether the switch stays open where no lease gives its position.
    """

    def __init__(self) -> None:
        self.now = False
        self._opened = False
        self._seen_open = False
        self._islanded = False

    def leased(self, *, closed: bool) -> None:
        """A lease gives the position."""
        if closed or not self._opened:
            self._seen_open = False
        self._opened = not closed
        self.now = self._opened and self._islanded

    def look(self, *, tie_closed: bool | None, switch_closed: bool | None, lease_opens: bool) -> None:
        """Notice where tie and switch are.

        Args:
            tie_closed: None where nobody knows: an island goes on until the tie is seen closed.
            switch_closed: The contact; None where nobody knows.
            lease_opens: The lease in force says that the switch is to be open.
        """
        if tie_closed is not None:
            self._islanded = not tie_closed
        if self._opened:
            by_hand = self._seen_open and switch_closed is True
            over = not self._islanded and not lease_opens
            self._opened = not (by_hand or over)
            self._seen_open = self._opened and (self._seen_open or switch_closed is False)
        self.now = self._opened and self._islanded


class _Place(Generic[_Position]):
    """A contact, or a mode: where it is, and since when."""

    def __init__(self) -> None:
        self._seen: _Position | None = None
        self._told: _Position | None = None
        self._moving = False
        self._since_s = -inf

    @property
    def now(self) -> _Position | None:
        """Where it is, or is moving to; None while nobody knows."""
        return self._told if self._moving or self._seen is None else self._seen

    def seen(self, position: _Position | None, now_s: float) -> None:
        if position is None or position == self._seen:
            return
        # arriving where it was sent is no change of its own: that was counted when it was sent
        arrived = self._moving and position == self._told
        if self._seen is not None and not arrived:
            self._since_s = now_s
        self._moving = self._moving and not arrived
        self._seen = position

    def hold(self, asked: _Position | None, least_s: float, now_s: float) -> tuple[_Position | None, float]:
        now = self.now
        over_s = self._since_s + least_s
        if asked is None or now is None or asked in {now, self._told} or now_s >= over_s - _DUST_S:
            return asked, inf
        return now, over_s

    def told(self, position: _Position | None, now_s: float) -> None:
        if position is None or position == self._told:
            return
        if position != self.now:
            self._since_s = now_s
        self._told = position
        self._moving = position != self._seen


def _or_zero(value: float | UnsetType) -> float:
    return 0.0 if isinstance(value, UnsetType) else value
