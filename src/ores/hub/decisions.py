"""Why each element is told what it is told: the decision that holds now, and those before it.

The arbiter speaks when something changes; while only the numbers move a little, the decision stays, and the
history keeps
the numbers second by second. So "since when" has an answer, and a battery does not write a book a day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

import msgspec
from msgspec import UNSET

from ores.control.rulings import Ruling
from ores.hub.history import History
from ores.hub.times import rfc3339
from ores.link import codec
from ores.link.clock import Clock
from ores.link.errors import InvalidMessage
from ores.model import Decision, LeaseResult

KEPT_IN_MEMORY = 1000
KIND = "decision"
_PAGES_MAX = 20
_BEFORE_EVERYTHING = 0.0
_AFTER_EVERYTHING = 253402300799.0

Element = tuple[str, str]
"""A module's id and an element's."""


class Decisions:
    """The log of decisions.

    Args:
        clock: Dates what is kept in the history.
        history: Keeps them across restarts.
        on_decision: Called with each that begins.
    """

    def __init__(
        self,
        clock: Clock,
        history: History,
        on_decision: Callable[[Decision], None] = lambda _decision: None,
    ) -> None:
        self._clock = clock
        self._history = history
        self.on_decision = on_decision
        self._ring: deque[Decision] = deque(maxlen=KEPT_IN_MEMORY)
        self._now: dict[Element, Decision] = {}
        self._worse_kept: dict[Element, object] = {}
        self._ring.extend(reversed(_read(history, _AFTER_EVERYTHING, KEPT_IN_MEMORY)))
        self._last_id = _number(self._ring[-1]) if self._ring else 0
        self.count = 0

    def take(self, rulings: Iterable[Ruling]) -> None:
        """What the arbiter has decided in this cycle that a person would notice as new."""
        for ruling in rulings:
            self._last_id += 1
            self._begin(ruling.decision(rfc3339(self._clock.utc()), self._last_id))

    def answered(self, module: str, result: LeaseResult) -> None:
        """The module's answer to what holds now; a worse answer than before is itself worth remembering."""
        outcomes = {} if result.outcomes is UNSET else result.outcomes
        whole_refused = result.result == "refused" and not outcomes
        for element, decision in list(self._now.items()):
            if element[0] != module or decision.command is UNSET or decision.watch_only is True:
                continue
            outcome = outcomes.get(element[1])
            word = "refused" if whole_refused else "applied"
            if outcome is not None:
                parts = [outcome.limit, outcome.setpoint, outcome.switch, outcome.mode]
                words = {part.result for part in parts if part is not UNSET}
                word = next((w for w in ("refused", "clipped") if w in words), "applied")
            if decision.result != word:
                self._now[element] = answered = msgspec.structs.replace(decision, result=word)
                self._replace_in_ring(answered)
                if word != "applied" and self._worse_kept.get(element) != decision.id:
                    self._worse_kept[element] = decision.id
                    self._keep(answered)  # once more, with the answer: the newer record of an id counts

    def forget_module(self, module: str) -> None:
        """The module is no longer ours; its past stays."""
        for element in [element for element in self._now if element[0] == module]:
            del self._now[element]
            self._worse_kept.pop(element, None)

    def page(
        self,
        *,
        module: str | None = None,
        element: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Decision]:
        """Newest first; may read the history, so best in a worker thread.

        Args:
            module: Only of this.
            element: Only of this.
            before: Only with a lower id.
            limit: 1 to 200.

        Raises:
            Unavailable: The history cannot be read.
        """

        def fits(decision: Decision) -> bool:
            return (
                (module is None or decision.module == module)
                and (element is None or decision.element == element)
                and (before is None or _number(decision) < before)
            )

        recent = list(self._ring)
        found = [decision for decision in reversed(recent) if fits(decision)][:limit]
        if len(found) < limit and len(recent) == KEPT_IN_MEMORY:
            known = {decision.id for decision in recent}
            older = _read(self._history, _AFTER_EVERYTHING, limit - len(found), fits, known)
            found.extend(older)
        return found

    def _begin(self, decision: Decision) -> None:
        self.count += 1
        self._now[decision.module, decision.element] = decision
        self._ring.append(decision)
        self._keep(decision)
        self.on_decision(decision)

    def _keep(self, decision: Decision) -> None:
        body = codec.encode(decision).decode()
        subject = f"{decision.module}/{decision.element}"
        self._history.record_event(self._clock.utc().timestamp(), KIND, subject, body)

    def _replace_in_ring(self, decision: Decision) -> None:
        for at in range(len(self._ring) - 1, -1, -1):
            if self._ring[at].id == decision.id:
                self._ring[at] = decision
                return


def _read(
    history: History,
    end_utc_s: float,
    limit: int,
    fits: Callable[[Decision], bool] = lambda _decision: True,
    known: Iterable[object] = (),
) -> list[Decision]:
    """Decisions out of the history, newest first."""
    found: list[Decision] = []
    skip = set(known)
    before: str | None = None
    for _ in range(_PAGES_MAX):
        page = history.events(_BEFORE_EVERYTHING, end_utc_s, kind=KIND, before=before, limit=1000)
        for event in page.events:
            try:
                decision = codec.decode(Decision, event.body.encode())
            except InvalidMessage:
                continue  # written by another version: the rest is still worth showing
            if decision.id not in skip and fits(decision):
                skip.add(decision.id)
                found.append(decision)
        before = page.next
        if before is None or len(found) >= limit:
            break
    return sorted(found, key=_number, reverse=True)[:limit]


def _number(decision: Decision) -> int:
    return 0 if decision.id is UNSET else decision.id
