"""What an MQTT device has been told, and what came of it: sent, confirmed, renewed, overridden. Pure."""

from __future__ import annotations

from math import inf
from typing import Final

from ores.adapters.mqtt.shown import Steering
from ores.adapters.orders import RETRY_MAX_S, Told
from ores.module import Answer, Effective, Refused

CONFIRM_S: Final = 10.0
"""Within this a device says that it does what it was told; battery-powered Zigbee is slow."""
REST_S: Final = 1.0
"""Between two commands: many devices write each to flash, and radio is slow."""


class Order(Told):
    """One thing that a device is told.

    Args:
        element: Id, for the log.
        steering: How.
        most_w: Of the element; told where a limit has ended.
    """

    def __init__(self, element: str, steering: Steering, most_w: float) -> None:
        super().__init__(element)
        self.steering: Final = steering
        self._most_w: Final = most_w
        self._wanted: float | None = None
        self._is_wanted = False
        self._sent_at_s = -inf
        self._due_at_s = inf
        self._confirmed = False
        self._tried = False
        self._is_contradicted = False

    def give(self, command: Effective, now_s: float, position: float | None = None) -> None:
        """From now on; the same again changes nothing.

        Args:
            command: All that the element has to do.
            now_s: Process time.
            position: Of a switch now, 1 for closed; None where it is not known, or it is none.
        """
        wanted = self._of(command)
        if self._is_wanted and wanted == self._wanted:
            return
        nothing_to_undo = wanted is None and not self._is_wanted
        self._wanted, self._is_wanted, self._is_contradicted = wanted, True, False
        self._confirmed, self._failures, self._tried = False, 0, False
        self._due_at_s = inf if nothing_to_undo else max(now_s, self._sent_at_s + REST_S)
        if self.steering.what == "closed" and wanted is not None and wanted == position:
            self._confirmed = self._tried = True  # it stands there already, and a relay wears
            self._due_at_s = inf

    def due_at_s(self) -> float:
        """When something is to be sent; infinite for never."""
        return self._due_at_s

    def send(self, now_s: float) -> str | None:
        """The payload that is due now; what follows is reckoned from here."""
        if now_s < self._due_at_s:
            return None
        if self.steering.state is not None and not self._confirmed and self._tried:
            self._has_failed("the device does not say that it does what it is told")
        if self._is_contradicted:
            self._overridden(now_s)
            self._is_contradicted = False
        self._sent_at_s, self._tried = now_s, True
        self._due_at_s = self._next_s(now_s)
        return self._payload()

    def heard(self, value: float | None, now_s: float) -> None:
        """What the device says holds: a position as 1 or 0, or W; None where it does not know."""
        if self._wanted is None or value is None or not (self._tried or self._is_contradicted):
            return
        if abs(value - self._wanted) <= (
            0.0 if self.steering.what == "closed" else self.steering.tolerance_w
        ):
            self._works()
            self._confirmed, self._is_contradicted = True, False
            self._due_at_s = self._next_s(self._sent_at_s)
        elif self._confirmed:
            # told again only after a while: its owner may have switched it, and then nothing else is wanted
            self._confirmed, self._tried, self._is_contradicted = False, False, True
            self._due_at_s = now_s + CONFIRM_S

    def lost(self) -> None:
        """The broker was away: what was sent may not have come."""
        self._confirmed = False
        if self._is_wanted and (self._wanted is not None or self.steering.released):
            self._due_at_s = -inf

    def answer(self) -> Answer:
        """What speaks against the command."""
        if self._failures:
            return Refused(f"the device does not say that it does it ({self.steering.topic})"[:512])
        return None

    def is_ours(self, value: float) -> bool:
        """Whether a position is the one that was ordered, and so nobody's own choice."""
        return self._is_wanted and self._wanted == value

    def _next_s(self, sent_at_s: float) -> float:
        if self.steering.state is not None and not self._confirmed and self._wanted is not None:
            return sent_at_s + min(RETRY_MAX_S, CONFIRM_S * 2.0 ** min(self._failures, 8))
        if self.steering.refresh_s is not None and self._wanted is not None:
            return sent_at_s + self.steering.refresh_s
        return inf

    def _of(self, command: Effective) -> float | None:
        what = self.steering.what
        if what == "closed":
            return None if command.closed is None else float(command.closed)
        if what == "power_w":
            return command.power_w
        limit_w = command.produce_max_w if what == "produce_max_w" else command.consume_max_w
        return min(limit_w, self._most_w)

    def _payload(self) -> str | None:
        steering = self.steering
        if self._wanted is None:
            return steering.released or None
        if steering.what == "closed":
            return steering.on if self._wanted else steering.off
        number = round(self._wanted * steering.scale / steering.step) * steering.step
        return f"{number + 0.0:.6f}".rstrip("0").rstrip(".")
