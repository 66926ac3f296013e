"""What one module is told: sent on change and at a third of its life, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, trunc

import msgspec
from msgspec import UNSET, UnsetType

from ores.link import codec
from ores.link.errors import InvalidMessage
from ores.model import (
    ElementCommand,
    Lease,
    LeaseResult,
    Limits,
    SetpointCommand,
    State,
    ToModule,
)

TTL_S = 10.0
"""Life of a lease to a module that reports often."""
SHORT_TTL_S = 3.0
"""Life of a lease to a module that shares an export limit: so long it may give blindly after the hub."""
TTL_MAX_S = 900.0
EARLY_S = 0.1
"""Rather this much before a third of the life than a whole cycle after it."""
STATE_AGE_MAX_S = 4.0
"""A module refuses a lease that answers a state older than 5 s; a second is left for the way."""
FRAME_MAX_BYTES = 4096


_TENTHS = 10.0
"""A tenth of a watt is as good as more digits (LEASE-025)."""
_THOUSANDTHS = 1000.0


@dataclass(slots=True)
class LeaseCounts:
    """How leases fared, since the hub started."""

    sent: int = 0
    applied: int = 0
    clipped: int = 0
    refused: int = 0
    expired: int = 0


class LeaseKeeper:
    """Keeps one module's lease alive and current.

    Args:
        epoch: Of this start of the hub.
        counts: Shared by all modules.
        on_problem: Told of a lease that cannot be sent.
    """

    def __init__(
        self,
        epoch: int,
        counts: LeaseCounts,
        on_problem: Callable[[str], None],
    ) -> None:
        self._epoch = epoch
        self.ttl_s = TTL_S
        self._report_period_s = 0.0
        self._short = False
        self._counts = counts
        self._on_problem = on_problem
        self._seq = 0
        self._wanted: Mapping[str, ElementCommand] = {}
        self._sent: Mapping[str, ElementCommand] | None = None
        self._sent_at_s = -1e9
        self._sent_boot = ""
        self._ours_in_force = False
        self.result: LeaseResult | None = None

    def set_report_period(self, report_period_s: float) -> None:
        """A module that reports rarely gets longer leases: it takes one only in answer to a fresh state."""
        self._report_period_s = report_period_s
        self._set_ttl()

    def set_short(self, *, short: bool) -> None:
        """Whether what the module does blindly must end soon."""
        self._short = short
        self._set_ttl()

    def _set_ttl(self) -> None:
        least_s = SHORT_TTL_S if self._short else TTL_S
        self.ttl_s = min(TTL_MAX_S, max(least_s, 3.0 * self._report_period_s))

    @property
    def commands(self) -> Mapping[str, ElementCommand]:
        """What the module is to do, as last offered."""
        return self._wanted

    def offer(self, commands: Mapping[str, ElementCommand]) -> bool:
        """What the module is to do from now on; replaces all before.

        Returns:
            Whether it is something else than it was last told.
        """
        self._wanted = commands
        return commands != self._sent and bool(commands or self._sent)

    def is_old(self, now_s: float) -> bool:
        """Whether a lease is wanted, and the last one has used up a third of its life."""
        return bool(self._wanted) and now_s - self._sent_at_s >= self.ttl_s / 3.0 - EARLY_S

    def forget_sent(self) -> None:
        """The stream is new: whatever was under way may be lost."""
        self._sent = None

    def flush(self, state: State, state_age_s: float, now_s: float, send: Callable[[bytes], None]) -> None:
        """Send on change or after a third of the life, if the state is fresh enough to answer.

        Args:
            state: The newest of the module.
            state_age_s: Since it came.
            now_s: Process time.
            send: Of the open stream.
        """
        if state_age_s > STATE_AGE_MAX_S or not self._is_due(state, now_s):
            return
        lease = Lease(
            epoch=self._epoch,
            seq=self._seq + 1,
            boot_id=state.boot_id,
            uptime_ms=state.uptime_ms,
            ttl_s=self.ttl_s,
            elements={name: _written(command) for name, command in self._wanted.items()},
        )
        try:
            frame = codec.encode(ToModule(lease=lease))
        except InvalidMessage as error:
            self._on_problem(f"a lease could not be written: {error.detail}")
            return
        if len(frame) > FRAME_MAX_BYTES:
            self._on_problem(f"a lease of {len(frame)} bytes is too large for the module ({FRAME_MAX_BYTES})")
            return
        self._seq += 1
        self._sent = self._wanted
        self._sent_at_s = now_s
        self._sent_boot = state.boot_id
        self._counts.sent += 1
        send(frame)

    def _is_due(self, state: State, now_s: float) -> bool:
        if self._sent is None or state.boot_id != self._sent_boot:
            return bool(self._wanted)
        if self._wanted != self._sent:
            return True
        return self.is_old(now_s)

    def take_result(self, result: LeaseResult) -> bool:
        """Count the module's answer.

        Returns:
            Whether it answers the newest lease of this hub.
        """
        if result.epoch != self._epoch:
            return False
        match result.result:
            case "applied":
                self._counts.applied += 1
            case "clipped":
                self._counts.clipped += 1
            case _:
                self._counts.refused += 1
        if result.seq != self._seq:
            return False
        self.result = result
        if result.result == "refused" and result.code is not UNSET:
            self._sent = None  # refused as a whole, such as for its age: say it again to the next state
        return True

    def take_state(self, state: State) -> None:
        """Notice when a lease of ours has run out on the module's side."""
        if state.boot_id != self._sent_boot:
            self._sent = None  # it began anew, and knows of nothing
        in_force = state.lease is not UNSET and state.lease.epoch == self._epoch
        if self._ours_in_force and not in_force and self._sent and state.boot_id == self._sent_boot:
            self._counts.expired += 1
            self._sent = None
        self._ours_in_force = in_force


def _written(command: ElementCommand) -> ElementCommand:
    """The command in numbers of ten characters at most, cut off towards 0: that only narrows."""
    limit, setpoint = command.limit, command.setpoint
    if limit is not UNSET:
        limit = Limits(
            consume_max_w=_cut(limit.consume_max_w, _TENTHS),
            produce_max_w=_cut(limit.produce_max_w, _TENTHS),
            current_max_a=_cut(limit.current_max_a, _THOUSANDTHS),
        )
    if setpoint is not UNSET:
        power_w = _cut(setpoint.power_w, _TENTHS)
        setpoint = setpoint if power_w is UNSET else SetpointCommand(power_w=power_w)
    return msgspec.structs.replace(command, limit=limit, setpoint=setpoint)


def _cut(value: float | UnsetType, parts: float) -> float | UnsetType:
    if value is UNSET or not isfinite(value):
        return value  # what no message can carry is refused where it is written
    near = round(value * parts)
    # 0.3 A is 300 thousandths, though its double lies a little below
    return (near if abs(near - value * parts) < 1e-6 else trunc(value * parts)) / parts
