"""Read, decide, act: at once when the connection point's meter speaks, and every second when it does not.

The path from a meter's frame to a battery's lease is one call stack: decode, freeze, decide, encode, send.
Remembering and showing come after, at aligned seconds; a second in which the meter's word has been decided on
is not decided on again, as nothing that hurries has come since.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from ores.hub.arbiter import Arbiter
from ores.hub.decisions import Decisions
from ores.hub.federation import Federation
from ores.hub.module_link import ModuleLink
from ores.hub.notices import Notices
from ores.link.clock import Clock, Handle
from ores.model import ElementCommand, LeaseResult

PERIOD_S = 1.0
JITTER_S = 0.02
"""Timers and meters are not exact; a decision that is this much younger than a second is a second old."""
METER_REST_S = 0.02
"""After a decision on a meter's word the next such waits this long; a meter that floods costs no more."""

Commands = Mapping[str, Mapping[str, ElementCommand]]
"""By module id and element id."""
_NOTHING: Mapping[str, ElementCommand] = {}

_log = logging.getLogger(__name__)


class Cycle:
    """The control cycle.

    Args:
        clock: Process time.
        federation: Whose modules are read and leased.
        arbiter: Decides.
        decisions: Remembers why.
        notices: Learns when deciding fails.
        witness: Called once per period.
    """

    def __init__(
        self,
        clock: Clock,
        federation: Federation,
        arbiter: Arbiter,
        decisions: Decisions,
        notices: Notices,
        *,
        witness: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._federation = federation
        self._arbiter = arbiter
        self._decisions = decisions
        self._notices = notices
        self._witness = witness
        self._rested_at_s = 0.0
        self._decided_at_s = -PERIOD_S
        self._later: Handle | None = None
        self._told: Commands = {}
        self._looked_at_all_at_s = -PERIOD_S
        self.cycles = 0
        self.missed = 0

    async def run(self) -> None:
        """Until cancelled."""
        fraction_s = self._clock.utc().timestamp() % PERIOD_S
        next_s = self._clock.now() + (PERIOD_S - fraction_s if fraction_s else 0.0)
        while True:
            await self._clock.sleep_until(next_s)
            skipped = int((self._clock.now() - next_s) / PERIOD_S)
            self.missed += skipped
            self.cycles += 1
            if self._clock.now() - self._decided_at_s >= PERIOD_S - JITTER_S:
                self.decide()
            self._safely(self._witness)
            next_s += (skipped + 1) * PERIOD_S

    def on_state(self, link: ModuleLink) -> None:
        """A meter's word decides at once; any state may let out a lease that waited for it."""
        self._arbiter.heard(link)
        if link.id == self._arbiter.meter:
            self._on_meter()
        else:
            link.flush_lease(self._clock.now())

    def on_result(self, link: ModuleLink, result: LeaseResult) -> None:
        """What came of a lease belongs to the decision behind it."""
        self._decisions.answered(link.id, result)

    def on_described(self, link: ModuleLink) -> None:
        """The house is another one now."""
        del link
        self._arbiter.modules_changed()

    def decide(self) -> None:
        """One decision on all that is known now, sent to all whom it concerns."""
        now_s = self._decided_at_s = self._clock.now()
        try:
            decided = self._arbiter.decide(now_s)
        except Exception as error:  # noqa: BLE001  no defect may end the cycle: modules fall to their failsafe
            if self._notices.raise_("arbiter_failed", f"{type(error).__name__}: {error}", level="error"):
                _log.exception("the arbiter failed")
            return
        self._notices.clear("arbiter_failed")
        self._tell(decided.commands, now_s)
        self._safely(lambda: self._decisions.take(decided.decisions))

    def _tell(self, commands: Commands, now_s: float) -> None:
        """Send what is new; and once a second look at all, for what is to be said again."""
        told, self._told = self._told, commands
        look_at_all = now_s - self._looked_at_all_at_s >= PERIOD_S - JITTER_S
        renewed = []
        for module_id, link in self._federation.links.items():
            of_module = commands.get(module_id, _NOTHING)
            if not look_at_all and of_module == told.get(module_id, _NOTHING):
                continue
            if link.leases.offer(of_module):
                link.flush_lease(now_s)
            elif link.leases.is_old(now_s):
                renewed.append(link)
        for link in renewed:  # what is only said again can wait for what is new
            link.flush_lease(now_s)
        if look_at_all:
            self._looked_at_all_at_s = now_s

    def _safely(self, remember_or_show: Callable[[], None]) -> None:
        try:
            remember_or_show()
        except Exception as error:  # noqa: BLE001  whatever cannot be remembered or shown, the house is still run
            if self._notices.raise_("internal", f"{type(error).__name__}: {error}", level="error"):
                _log.exception("a cycle could not be remembered or shown")

    def _on_meter(self) -> None:
        now_s = self._clock.now()
        if now_s >= self._rested_at_s:
            self._rested_at_s = now_s + METER_REST_S
            self.decide()
        elif self._later is None:
            self._later = self._clock.call_at(self._rested_at_s, self._meter_has_rested)

    def _meter_has_rested(self) -> None:
        self._later = None
        self._on_meter()
