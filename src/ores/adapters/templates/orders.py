"""What an element has been told, and what has become of it: written, read back, renewed, overridden."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from ores.adapters.modbus import Rejected, Tables
from ores.adapters.orders import RegisterOrder
from ores.adapters.templates.expression import Values
from ores.adapters.templates.form import Template
from ores.adapters.templates.reader import Words
from ores.adapters.templates.steering import Steering, Wanted, Write, holds, requests, shown_by
from ores.module import Effective

RENEW_SHARE: Final = 0.5
"""Of the time after which the device ends a command."""
SHOWS_AFTER_S: Final = 3.0
"""Many devices show what was written only with their next cycle."""
DAY_S: Final = 86_400.0
KEPT_SHARE: Final = 0.25
"""Of a budget of writes."""
SPENT: Final = "write_budget_spent"
_NOT_KEPT: Final = "it does not keep what was written"


class Line(msgspec.Struct, frozen=True):
    """To the device, and what time it is.

    Attributes:
        registers: To write to.
        read: Reads points again.
        now_s: Process time.
        utc_s: Wall time.
    """

    registers: Tables
    read: Callable[[list[str]], Awaitable[Words]]
    now_s: float
    utc_s: float


class Budget:
    """How often points that are kept in flash may be written: so many times in any 24 hours.

    Args:
        template: Of the device.
        spent: Wall times of earlier writes, by point.
    """

    def __init__(self, template: Template, spent: dict[str, list[float]]) -> None:
        self._points: Final = template.points
        self.taken = 0
        self.spent: Final = {name: list(times) for name, times in spent.items() if name in template.points}

    def allows(self, name: str, utc_s: float, *, lifts: bool) -> bool:
        """Whether this point may be written once more.

        Args:
            name: Of the point.
            utc_s: Wall time.
            lifts: It is to end what was commanded; for that a share is kept back, so that no device is left
                held down for the rest of a day.
        """
        most = self._points[name].writes_per_day
        if most is None:
            return True
        if not lifts:
            most -= max(1, int(KEPT_SHARE * most))
        # a clock that was set back neither locks a device for years nor gives a new budget
        times = [min(at_s, utc_s) for at_s in self.spent.get(name, ()) if at_s > utc_s - DAY_S]
        self.spent[name] = times
        return len(times) < most

    def take(self, name: str, utc_s: float) -> None:
        """It is written."""
        if self._points[name].writes_per_day is not None:
            self.spent.setdefault(name, []).append(utc_s)
            self.taken += 1


class Order(RegisterOrder):
    """The command of one element.

    Args:
        element: Id, for the log.
        steering: How it is told.
        template: Of the device.
        budget: Of the device.
    """

    def __init__(self, element: str, steering: Steering, template: Template, budget: Budget) -> None:
        super().__init__(element)
        self._steering: Final = steering
        self.command: Final = steering.command
        self._points: Final = template.points
        self._budget: Final = budget
        dog = steering.command.watchdog
        self._renew_s: Final = (
            None if dog.timeout_s is None or dog.any_request else RENEW_SHARE * dog.timeout_s
        )
        self._in_force: Effective | None = None
        self._engaged = False
        self._unseen_since_s: float | None = None
        self._written: Wanted | None = None
        self._seen = False
        self._written_at_s = float("-inf")
        self._renew_at_s = 0.0
        self._is_spent = False

    @property
    def curtails(self) -> bool:
        """Whether the element is held back, or still is, or is about to be."""
        return any(self._steering.curtails(one) for one in (self._command, self._in_force))

    def yield_(self) -> None:
        """The adapter ends: what the device does not end by itself is left as the failsafe limits have it."""
        rating, failsafe = self._steering.rating, self.failsafe
        if self.command.setpoint is not None:
            self.give(Effective(power_w=None))
        elif self.command.watchdog.timeout_s is None:
            self.give(
                Effective(
                    consume_max_w=min(rating.consume_max_w, failsafe.consume_max_w),
                    produce_max_w=min(rating.produce_max_w, failsafe.produce_max_w),
                    current_max_a=min(rating.current_max_a, failsafe.current_max_a),
                )
            )

    def lost(self) -> None:
        """See `RegisterOrder`; what had a time has ended."""
        self._written, self._seen, self._unseen_since_s = None, False, None
        if self.command.watchdog.timeout_s is not None:
            self._engaged, self._in_force = False, None

    def _troubles(self) -> list[str]:
        return [SPENT] if self._is_spent else super()._troubles()

    async def carry_out(self, values: Values, words: Words, line: Line) -> None:
        """Write what has to be written, and believe it when it has been read back.

        Args:
            values: As they are now.
            words: The registers that they came from.
            line: To the device.

        Raises:
            Unavailable: The device does not answer any more.
        """
        now_s = line.now_s
        if self._command is None or now_s < self._retry_at_s:
            return
        try:
            wanted = self._steering.wanted(values, self._command, self.failsafe)
            if self._is_left_alone(wanted):
                return
            stands = self._stands(wanted, words)
            if stands:
                self._holds(wanted)
            if not self._is_due(wanted, words, now_s, stands=stands):
                return
            writes = await self._write(wanted, words, line, renewing=stands)
            self._written, self._written_at_s, self._seen = wanted, now_s, stands
            self._engaged = True
            self._renew_at_s = now_s + (self._renew_s or 0.0)
            if self._unseen_since_s is None and not stands:
                self._unseen_since_s = now_s
            again = await line.read(shown_by(self._points, writes))
        except (Rejected, ValueError) as error:
            self._failed(str(error), now_s)
            return
        if self._stands(wanted, {**words, **again}):
            self._holds(wanted)
        elif self._failures:
            self._failed(_NOT_KEPT, now_s)

    def _is_left_alone(self, wanted: Wanted) -> bool:
        """What nobody asks for, and nobody has asked for, is its owner's.

        A limiter that an installer has set is not lifted because a hub has no limit; a device that falls back
        by itself has to be told that nothing binds it.
        """
        lasting = self.command.setpoint is not None or self.command.watchdog.timeout_s is None
        return wanted.released and lasting and not self._engaged

    def _holds(self, wanted: Wanted) -> None:
        """The device does what it was told."""
        self._written, self._seen, self._unseen_since_s = wanted, True, None
        self._in_force = self._command
        if wanted.released:
            self._engaged = False
        self._is_spent = False
        self._works()

    def _is_due(self, wanted: Wanted, words: Words, now_s: float, *, stands: bool) -> bool:
        """Whether to write now.

        Raises:
            ValueError: The device has not done what was written.
        """
        if stands:
            ended = wanted.released and self.command.setpoint is not None
            return self._renew_s is not None and not ended and now_s >= self._renew_at_s
        if self._written is not None and self._stands(self._written, words):
            self._seen, self._unseen_since_s = True, None
        if self._unseen_since_s is not None and now_s >= self._unseen_since_s + SHOWS_AFTER_S:
            raise ValueError(_NOT_KEPT)
        if wanted != self._written:
            return now_s >= self._written_at_s + self.command.every_s
        if self._seen:
            self._overridden(now_s)
        return self._seen

    def _stands(self, wanted: Wanted, words: Words) -> bool:
        """Whether the device shows all of it; what it does not show stands when it was written last."""
        for write in wanted.writes:
            shown = holds(self._points, words, write)
            if shown is None:
                shown = self._written is not None and write in self._written.writes
            if not shown:
                return False
        return True

    async def _write(self, wanted: Wanted, words: Words, line: Line, *, renewing: bool) -> list[str]:
        """The steps; what is kept in flash only where it is not there yet, and while the budget lasts."""
        only = self.command.watchdog.refresh if renewing else ()
        done: list[str] = []
        steps: list[list[Write]] = []
        for step in wanted.steps:
            left = [
                one
                for one in step
                if (not only or one.name in only)
                and (self._points[one.name].writes_per_day is None or not holds(self._points, words, one))
            ]
            for one in left:
                if not self._budget.allows(one.name, line.utc_s, lifts=wanted.released):
                    self._is_spent = True
                    raise ValueError(f"{one.name} is kept in flash, and was written often enough for a day")
            steps.append(left)
        for left in steps:
            for one in left:
                self._budget.take(one.name, line.utc_s)
            for address, values, function in requests(self._points, left):
                if function == 6:
                    await line.registers.write_one(address, values[0])
                else:
                    await line.registers.write(address, values)
            done += [one.name for one in left]
        return done

    def _failed(self, why: str, now_s: float) -> None:
        super()._failed(why, now_s)
        self._written, self._seen, self._unseen_since_s = None, False, None
