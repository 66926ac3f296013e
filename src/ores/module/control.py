"""Who decides what the parts do now: the lease in force, and under it the policy. No transport, no timers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from math import isnan
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.link.errors import ConfigError
from ores.model import (
    Element,
    ElementCommand,
    ElementOutcome,
    Lease,
    LeaseResult,
    Limits,
    Outcome,
    Policy,
)
from ores.module import leases
from ores.module.effective import NO_CEILINGS, Ceilings, ceilings_of, refusal, vet
from ores.module.leases import LeaseBook, WholeRefusal
from ores.module.part import Part
from ores.module.policy import PolicyFunction, Situation, default_commands, idle
from ores.module.reading import power_w

_log: Final = logging.getLogger("ores.module")

POLICY_FAILED: Final = "policy_failed"
SUN_TO_AC: Final = 0.95
"""Of the sun's direct current so much becomes alternating current at least; the store would give the rest."""
_WORSE: Final = {"applied": 0, "clipped": 1, "refused": 2}


class Control:
    """Leases, failsafe limits and policy over the parts of one module.

    Args:
        parts: In the order of the description.
        book: Of leases, with the epoch that the store has kept.
        policies: By kind; the first is followed until another is chosen.
        defaults: What switches and modes do where no policy says otherwise.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        book: LeaseBook,
        policies: Mapping[str, PolicyFunction],
        defaults: Mapping[str, ElementCommand],
    ) -> None:
        elements = [part.element for part in parts]
        self.book = book
        self.parts: Final = {part.element.id: part for part in parts}
        self.policies: Final = dict(policies)
        self.policy = Policy(kind=next(iter(policies)))
        self._ties: Final = [part for part in parts if part.element.capabilities.isolate is not UNSET]
        self._behind: Final = [
            (part, tie) for part in parts for tie in self._ties if _switches_behind(part, tie)
        ]
        self._islands: Final = [
            (part, feeding(part.element, elements))
            for part in parts
            if part.element.capabilities.form_grid is not UNSET
        ]
        self._carriers: Final = [found for part in parts if (found := self._carrier(part)) is not None]
        self._idle: Final = idle(elements)
        self._defaults: Final = {**default_commands(elements), **defaults}
        if (why := self._nonsense(defaults)) is not None:
            raise ConfigError("defaults", found=why, allowed="what the description declares")
        self._asked: Mapping[str, ElementCommand] | None = None
        self._wished: Mapping[str, ElementCommand] = {}

    def forget(self) -> None:
        """Nothing of an owner is left: neither a lease, nor its hub's epoch, nor the policy chosen."""
        self.book = LeaseBook(self.book.boot_id)
        for part in self.parts.values():
            part.lease(None)
        self.policy = Policy(kind=next(iter(self.policies)))

    def read(self, now_s: float) -> None:
        """Read every element, each for itself."""
        for part in self.parts.values():
            part.read(now_s)

    def look_for_hazards(self, now_s: float) -> bool:
        """Ask each element what endangers it; whether something has latched that was not before."""
        return bool([part for part in self.parts.values() if part.look_for_hazards(now_s)])

    def endangered(self) -> bool:
        """Whether protection keeps an element at 0."""
        return any(part.endangered for part in self.parts.values())

    def latched(self, *, after_reset: bool = False) -> dict[str, list[str]]:
        """Hazards that nobody has reset, by element; or what a reset would leave of them."""
        parts = ((name, part.hazards) for name, part in self.parts.items() if part.hazards is not None)
        found = ((name, one.still_active if after_reset else one.latched) for name, one in parts)
        return {name: sorted(inputs) for name, inputs in found if inputs}

    def set_failsafe(self, failsafe: Mapping[str, Limits], *, strict: bool) -> None:
        """Limits for when no lease gives one; `strict` makes all that can be limited 0."""
        for name, part in self.parts.items():
            if strict:
                part.fall_back_to(strictest(part))
            else:
                given = failsafe.get(name)
                part.fall_back_to(NO_CEILINGS if given is None else ceilings_of(given))

    def decide(self, now_s: float, utc: datetime | None, *, ending: bool = False) -> None:
        """Ask the policy, work out what holds, and tell the devices where that has changed.

        Args:
            now_s: Process time.
            utc: Wall time; None while it is unknown.
            ending: For the last time; see `Part.settle`.
        """
        islanded = any(tie.reading.isolate and tie.reading.isolate.closed is False for tie in self._ties)
        self._hold_islands(islanded=islanded)
        for part in self.parts.values():
            part.keep_reserve(islanded=islanded)
        for part, tie in self._behind:
            isolate = tie.reading.isolate
            part.look_at_tie(None if isinstance(isolate, UnsetType) else isolate.closed)
        if not islanded:
            for carrier, store, suns in self._carriers:
                if store.at_reserve() and not carrier.holds_island:
                    carrier.give_no_more_than(SUN_TO_AC * sum(map(_sun_w, suns)))
        wishes = self._wishes(utc)
        for name, part in self.parts.items():
            part.want(wishes[name])
            part.settle(now_s, ending=ending)

    def take(
        self,
        peer_id: str,
        lease: Lease,
        *,
        now_s: float,
        uptime_ms: int,
        keep_epoch: Callable[[str, int], str],
    ) -> LeaseResult:
        """Accept a lease and act on it at once, or refuse it as a whole.

        Args:
            peer_id: Whose key sent it.
            lease: As decoded.
            now_s: Process time of its receipt.
            uptime_ms: Of this boot, now.
            keep_epoch: Keeps a new hub's id or epoch safe before anything is done under it; says why where it
                cannot.
        """
        before = self.book
        book = leases.receive(before, peer_id, lease, now_s=now_s, uptime_ms=uptime_ms)
        if isinstance(book, WholeRefusal):
            return LeaseResult(
                epoch=lease.epoch, seq=lease.seq, result="refused", code=book.code, detail=book.detail
            )
        is_new = (book.controller, book.epoch) != (before.controller, before.epoch)
        if is_new and (why := keep_epoch(book.controller, book.epoch)):
            detail = f"the epoch could not be kept, so that nothing is done under it: {why}"
            return LeaseResult(
                epoch=lease.epoch, seq=lease.seq, result="refused", code="storage_failed", detail=detail[:512]
            )
        self.book = book
        refused = self._lease(lease.elements)
        for part in self.parts.values():
            part.settle(now_s)
        return self._result(lease, refused)

    def due_s(self) -> float:
        """When the first thing may be done that a least time holds back; infinite where there is none."""
        return min(part.due_s for part in self.parts.values())

    def expire(self, now_s: float) -> bool:
        """End the lease whose time has come: failsafe limits and policy take over.

        Returns:
            Whether there was one.
        """
        book = leases.expired(self.book, now_s)
        if book is self.book:
            return False
        self.book = book
        for part in self.parts.values():
            part.lease(None)
        return True

    def _carrier(self, store: Part) -> tuple[Part, Part, list[Part]] | None:
        """The element whose set-point empties a store that has none of its own, and the sun behind it."""
        if not store.has_reserve or store.rules.setpoint is not None:
            return None
        step = store.element
        while not isinstance(step.upstream, UnsetType):
            carrier = self.parts[step.upstream]
            step = carrier.element
            if carrier.rules.setpoint is not None:
                behind = feeding(step, [part.element for part in self.parts.values()])
                suns = [self.parts[name] for name in sorted(behind) if not self.parts[name].has_storage]
                return carrier, store, suns
        return None

    def _hold_islands(self, *, islanded: bool) -> None:
        """Free from limits and set-points what holds up an island now, and nothing else.

        A reading that fails in the night of an outage must not put out the lights: behind a tie that is known
        to be open, what formed the grid goes on forming it until it says otherwise.
        """
        if not self._islands:
            return
        holding: set[str] = set()
        for former, feeders in self._islands:
            forms = former.reading.form_grid
            forming = None if isinstance(forms, UnsetType) else forms.forming
            if forming is True or (forming is None and islanded and former.holds_island):
                holding |= {former.element.id, *feeders}
        for name, part in self.parts.items():
            part.hold_island(name in holding)

    def _lease(self, commands: Mapping[str, ElementCommand]) -> dict[str, dict[str, Outcome]]:
        """Hand each part what is asked of it.

        Returns:
            What was refused before any device was asked, by element and capability.
        """
        refused: dict[str, dict[str, Outcome]] = {}
        for name, part in self.parts.items():
            command = commands.get(name)
            if command is not None:
                command, refusals = vet(part.rules, command)
                if refusals:
                    refused[name] = refusals
            part.lease(command)
        for name in commands:
            if name in self.parts:
                continue
            why = refusal("unknown_element", f"the description has no element {name}")
            refused[name] = {
                field: why
                for field in ElementCommand.__struct_fields__
                if getattr(commands[name], field) is not UNSET
            }
        return refused

    def _result(self, lease: Lease, refused: Mapping[str, dict[str, Outcome]]) -> LeaseResult:
        worst = "applied"
        outcomes: dict[str, ElementOutcome] = {}
        for name, asked in lease.elements.items():
            found = dict(refused.get(name, ()))
            if (part := self.parts.get(name)) is not None:
                _add_outcomes(found, part, asked)
            if not found:
                continue
            outcomes[name] = ElementOutcome(**found)
            worst = max(worst, *(outcome.result for outcome in found.values()), key=_WORSE.__getitem__)
        return LeaseResult(epoch=lease.epoch, seq=lease.seq, result=worst, outcomes=outcomes or UNSET)

    def _wishes(self, utc: datetime | None) -> Mapping[str, ElementCommand]:
        """What the policy asks of each element, with the defaults where it is silent; idle where it fails."""
        readings = {name: part.reading for name, part in self.parts.items()}
        situation = Situation(readings, utc, self.policy)
        try:
            wishes = self.policies[self.policy.kind](situation)
            if self._asked is not None and wishes == self._asked:
                return self._wished  # what has been checked need not be checked again
            if (why := self._nonsense(wishes)) is not None:
                raise ValueError(why)  # noqa: TRY301  one way for all that a policy does wrong
        except Exception as error:  # noqa: BLE001  a maker's policy may fail in any way; the module idles then
            for part in self.parts.values():
                part.raise_fault(POLICY_FAILED, f"{self.policy.kind}: {error!r}")
            self._asked = None
            return self._completed(self._idle(situation))
        for part in self.parts.values():
            part.clear_fault(POLICY_FAILED)
        self._asked, self._wished = dict(wishes), self._completed(wishes)
        return self._wished

    def _completed(self, wishes: Mapping[str, ElementCommand]) -> Mapping[str, ElementCommand]:
        """Add what switches and modes do by default."""
        return {
            name: default if (wish := wishes.get(name)) is None else _completed(wish, default)
            for name, default in self._defaults.items()
        }

    def _nonsense(self, wishes: Mapping[str, ElementCommand]) -> str | None:
        for name, wish in wishes.items():
            part = self.parts.get(name)
            if part is None:
                return f"it asks of {name}, which is no element"
            if not isinstance(wish.setpoint, UnsetType):
                power_w: object = wish.setpoint.power_w  # of a policy that nobody has type-checked, too
                if not isinstance(power_w, int | float) or isnan(power_w):
                    return f"its set-point for {name} is not a number"
            if not isinstance(wish.mode, UnsetType) and wish.mode.mode not in part.rules.modes:
                return f"{name} does not know the mode {wish.mode.mode}"
        return None


def feeding(former: Element, elements: Sequence[Element]) -> frozenset[str]:
    """Ids of the stores and sources on direct current behind an element that forms a grid.

    Its power is theirs: a battery that may give nothing is a dark house, whatever its inverter may.
    """
    by_id = {one.id: one for one in elements}
    found = set()
    for one in elements:
        able = one.capabilities
        direct = one.connection == "dc" or (not isinstance(one.bus, UnsetType) and one.bus.startswith("dc"))
        gives = able.storage is not UNSET or able.produce is not UNSET or one.kind == "pv"
        if not (direct and gives) or able.ev is not UNSET:
            continue
        step = one
        while not isinstance(step.upstream, UnsetType) and step.upstream != former.id:
            step = by_id[step.upstream]
        if step.upstream == former.id:
            found.add(one.id)
    return frozenset(found)


def _switches_behind(part: Part, tie: Part) -> bool:
    """Whether a part is a switch on the bus that this tie cuts off."""
    able = tie.element.capabilities.isolate
    return (
        part.rules.has_switch and not isinstance(able, UnsetType) and part.element.bus == able.downstream_bus
    )


def _sun_w(part: Part) -> float:
    """What a source could give, else what it gives; 0 where neither is known."""
    produce = part.reading.produce
    if not isinstance(produce, UnsetType) and produce.available_w is not None:
        return produce.available_w
    return max(0.0, -(power_w(part.reading) or 0.0))


def strictest(part: Part) -> Ceilings:
    """0 wherever this element can be limited."""
    limit = part.rules.limit
    if limit is None:
        return NO_CEILINGS
    zero = {
        field: 0.0
        for field, can in (
            ("consume_max_w", limit.consume),
            ("produce_max_w", limit.produce),
            ("current_max_a", limit.current),
        )
        if can is True
    }
    return Ceilings(**zero)


def _add_outcomes(found: dict[str, Outcome], part: Part, asked: ElementCommand) -> None:
    if (why := part.outcome_device()) is not None:
        for field in ElementCommand.__struct_fields__:
            if getattr(asked, field) is not UNSET:
                found.setdefault(field, why)
        return
    if "limit" not in found and (outcome := part.outcome_limit(asked)) is not None:
        found["limit"] = outcome
    if "setpoint" not in found and (outcome := part.outcome_setpoint(asked)) is not None:
        found["setpoint"] = outcome
    for field, outcome in part.outcome_held(asked).items():
        found.setdefault(field, outcome)


def _completed(wish: ElementCommand, default: ElementCommand) -> ElementCommand:
    if wish.switch is UNSET and default.switch is not UNSET:
        wish = msgspec.structs.replace(wish, switch=default.switch)
    if wish.mode is UNSET and default.mode is not UNSET:
        wish = msgspec.structs.replace(wish, mode=default.mode)
    return wish
