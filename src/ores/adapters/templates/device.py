"""A device by its template as a device of the SDK: a task reads it, whoever asks gets what was read last."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters.kept import SAVE_S
from ores.adapters.modbus import Tables
from ores.adapters.rounds import Rounds
from ores.adapters.templates import found as finding
from ores.adapters.templates.answers import Answers, known
from ores.adapters.templates.expression import Expression
from ores.adapters.templates.form import CONSTANT, Template
from ores.adapters.templates.found import Found, find
from ores.adapters.templates.orders import Budget, Line, Order
from ores.adapters.templates.reader import Reader, Words, values_of
from ores.adapters.templates.steering import Steering, shown_by
from ores.adapters.templates.views import views
from ores.link.clock import Clock
from ores.link.errors import ConfigError, OresError, PeerError
from ores.model import Element, ElementState, Fault
from ores.module import About, Answer, Ceilings, Effective, PolicyFunction, Refused, free, idle
from ores.module.effective import ceilings_of

_log: Final = logging.getLogger("ores.adapters")


class TemplateDevice:
    """One device behind Modbus.

    Args:
        template: By which it is shown.
        found: As it was found, now or earlier.
        registers: To talk to it.
        clock: Process time.
        answers: What it cannot tell.
        directory: Where to keep what is to survive a restart; None for nowhere.
        name: What its owner calls it.
        period_s: Between two readings; never less than the template allows.

    Raises:
        ConfigError: A question is not answered, or an option does not fit the device.
    """

    def __init__(
        self,
        template: Template,
        found: Found,
        registers: Tables,
        clock: Clock,
        *,
        answers: Answers = Answers(),  # noqa: B008  it cannot be changed
        directory: Path | None = None,
        name: str = "",
        period_s: float = 0.5,
    ) -> None:
        self._template: Final = template
        self._answers: Final = answers
        self._asked: Final = known(template, answers.given)
        self._known_values = {**self._asked, **values_of(template, found.words)}
        shown = views(template, self._known_values, answers)
        self._views: Final = {view.element.id: view for view in shown}
        self.elements: Final = tuple(view.element for view in shown)
        self.policies: Final = _policies(template, self.elements)
        self.about: Final[About] = finding.about(template, found, name, profiles(self.elements))
        self._budget: Final = Budget(template, found.spent)
        self._orders: Final = self._ordered()
        self._found = found
        self._registers: Final = registers
        self._clock: Final = clock
        self._directory: Final = directory
        self._reader: Final = Reader(template, self._read_each_round(), registers, clock)
        self._again: Final = Reader(template, self._steered(), registers, clock)
        self._is_known = False
        self._words: Words = {}
        self._values: dict[str, float | None] = {}
        self._states: dict[str, ElementState] = {}
        self._measured_at_s: float | None = None
        self._saved_at_s = clock.now()
        self._changed: Callable[[], None] | None = None
        self._rounds: Final = Rounds(
            self.about.name,
            self._once,
            clock=clock,
            period_s=max(period_s, template.transport.period_s),
            failed=self._has_failed,
        )
        for element, kept in found.energy.items():
            if element in self._views:
                self._views[element].counters.remember(kept)

    async def start(self) -> None:
        """Begin to read it; back after the first time, whether it has answered or not."""
        await self._rounds.start()

    async def stop(self) -> None:
        """End, and let go of its connection: many devices have only one.

        What the device ends by itself is left to it; of what it does not, the failsafe limits are left.
        """
        await self._rounds.stop()
        try:
            if self._is_known and self._orders:
                await self._look()  # what was written last is not yet among what was read
                for orders in self._orders.values():
                    for order in orders:
                        order.yield_()
                await self._carry_out()
        except OresError as error:
            _log.warning("%s: its last command was not written: %s", self.about.name, error.detail)
        finally:
            self._registers.close()
            self._save()

    def read(self, element: str, /) -> ElementState:
        """What was read last; an element of which nothing has been read yet is unknown."""
        state = self._states[element]
        now_s = self._clock.now()
        codes = [code for order in self._orders.get(element, ()) for code in order.faults(now_s)]
        if not codes:
            return state
        own = [] if isinstance(state.fault, UnsetType) else state.fault.codes
        return msgspec.structs.replace(state, fault=Fault(codes=list(dict.fromkeys([*codes, *own]))[:16]))

    def measured_at_s(self, _element: str, /) -> float | None:
        """When the round began in which it was read."""
        return self._measured_at_s

    def tell(self, changed: Callable[[], None], /) -> None:
        """Each round may bring news."""
        self._changed = changed

    def apply(self, element: str, command: Effective, /) -> Answer:
        """Have it written in the next round, which begins now; see `answered` for what becomes of it."""
        answers = [order.give(command) for order in self._orders.get(element, ())]
        self._rounds.hurry()
        if not self._is_known:
            return Refused("the device does not answer")
        return next((one for one in answers if one is not None), None)

    def answered(self, element: str, /) -> Answer:
        """What speaks against the command: the device is silent, or does not hold what was written."""
        orders = self._orders.get(element)
        if not orders:
            return None
        if not self._is_known:
            return Refused("the device does not answer")
        return next((one.answer for one in orders if one.answer is not None), None)

    def fall_back(self, element: str, failsafe: Ceilings, /) -> None:
        """Some devices can keep a limit when the adapter is gone."""
        for order in self._orders.get(element, ()):
            order.failsafe = failsafe

    def taken_over(self) -> Literal["local"] | None:
        """Whether somebody at the device decides, and commands do nothing."""
        return "local" if self._template.local is not None and self._template.local(self._values) else None

    @property
    def values(self) -> Mapping[str, float | None]:
        """All that was read last, by point; for a person who looks."""
        return self._values

    async def _once(self) -> None:
        """One round: see that it is the same device still, and read it."""
        if not self._is_known:
            await self._recognise()
        began_s, utc_s = self._clock.now(), self._clock.utc().timestamp()
        await self._look()
        curtailed = any(order.curtails for orders in self._orders.values() for order in orders)
        self._states = {
            name: view.read(self._values, utc_s, curtailed=curtailed) for name, view in self._views.items()
        }
        self._measured_at_s = began_s
        await self._carry_out()
        if self._changed is not None:
            self._changed()
        if began_s - self._saved_at_s >= SAVE_S:
            self._saved_at_s = began_s
            self._save()

    async def _look(self) -> None:
        """Read all points of which something is made."""
        self._words = await self._reader.read()
        self._values = {**self._known_values, **values_of(self._template, self._words)}

    async def _carry_out(self) -> None:
        """Write what has been commanded."""
        utc_s = self._clock.utc().timestamp()
        for orders in self._orders.values():
            for order in orders:
                spent = self._budget.taken
                line = Line(self._registers, self._again.read, self._clock.now(), utc_s)
                await order.carry_out(self._values, self._words, line)
                if self._budget.taken != spent:
                    self._save()  # a restart must not give a new budget

    async def _recognise(self) -> None:
        """After a silence another device may have its address."""
        self._reader.begin_anew()
        self._again.begin_anew()
        now = await find(self._template, self._registers, self._clock)
        was, is_ = finding.label(self._template, self._found), finding.label(self._template, now)
        if was != is_:
            raise PeerError(f"another device is there: {is_} in place of {was}")
        values = {**self._asked, **values_of(self._template, now.words)}
        again = tuple(view.element for view in views(self._template, values, self._answers))
        if _shape(again) != _shape(self.elements):
            raise PeerError(f"{self.about.name} is another than before: its adapter has to begin anew")
        if again != self.elements:
            _log.warning("%s: its ratings have changed; they are told when it begins anew", self.about.name)
        self._known_values = values
        self._found = msgspec.structs.replace(now, energy=self._found.energy)
        self._is_known = True

    def _ordered(self) -> dict[str, list[Order]]:
        """The commands that the elements declare."""
        found: dict[str, list[Order]] = {}
        for command in self._template.commands:
            view = self._views.get(command.element)
            if view is None or not self._answers.control:
                continue
            able = view.element.capabilities
            if (able.setpoint if command.setpoint is not None else able.limit) is UNSET:
                continue
            if command.watchdog.timeout_s is None:
                _log.warning(
                    "%s: %s cannot fall back by itself: %s",
                    self.about.name,
                    command.element,
                    command.watchdog.says,
                )
            order = Order(
                command.element,
                Steering(self._template, command, ceilings_of(able.rating)),
                self._template,
                self._budget,
            )
            found.setdefault(command.element, []).append(order)
        return found

    def _steered(self) -> list[str]:
        """Points that have to be seen, to know what the device has been told."""
        written = [
            name for orders in self._orders.values() for order in orders for name in order.command.points()
        ]
        return shown_by(self._template.points, written)

    def _read_each_round(self) -> list[str]:
        """Points of which something is made, but for those that do not change."""
        sums: list[Expression] = [] if self._template.local is None else [self._template.local]
        for form in self._template.elements:
            if form.id not in self._views:
                continue
            sums += [
                one
                for capability, fields in form.sums.items()
                for key, one in fields.items()
                if key not in CONSTANT.get(capability, ())
            ]
            sums += [one for fields in form.terminals.values() for one in fields.values()]
            sums += [one for _, one in form.faults]
        for orders in self._orders.values():
            for order in orders:
                sums += [order.command.amount]
                sums += [one for step in order.command.steps() for one in step.values()]
        points = self._template.points
        used = {name for one in sums for name in one.names if name in points and not points[name].static}
        return sorted(used | set(self._steered()))

    def _has_failed(self, _error: OresError) -> None:
        self._is_known = False
        for orders in self._orders.values():
            for order in orders:
                order.lost()

    def _save(self) -> None:
        if self._directory is None:
            return
        energy = {name: view.counters.kept for name, view in self._views.items()}
        kept = msgspec.structs.replace(self._found, energy=energy, spent=self._budget.spent)
        try:
            finding.save(self._directory, kept)
        except ConfigError as error:
            _log.warning("%s: its counters are not kept: %s", self.about.name, error.detail)


def _shape(elements: Sequence[Element]) -> list[tuple[object, ...]]:
    """Elements without their numbers: what they are, where they hang and what they can do."""
    return [
        (one.id, one.kind, one.bus, one.upstream, one.connection, one.terminals, _abilities(one))
        for one in elements
    ]


def _abilities(one: Element) -> set[str]:
    able = one.capabilities
    return {name for name in able.__struct_fields__ if getattr(able, name) is not UNSET}


def profiles(elements: Sequence[Element]) -> tuple[str, ...]:
    """Profiles of the registry whose core these elements have."""
    by_kind: dict[str, list[set[str]]] = {}
    for one in elements:
        by_kind.setdefault(one.kind, []).append(_abilities(one))
    return tuple(
        name
        for name, core in _CORES.items()
        if all(
            kind in by_kind and all(needed <= able for able in by_kind[kind]) for kind, needed in core.items()
        )
    )


_CORES: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "micro_inverter": {"inverter": frozenset({"ac_measure", "energy", "rating", "limit", "produce"})},
    "gateway": {"inverter": frozenset({"ac_measure", "energy", "rating", "limit"})},
    "hybrid": {
        "inverter": frozenset({"ac_measure", "energy", "rating", "limit"}),
        "pv": frozenset({"produce", "dc_measure"}),
        "battery": frozenset({"storage", "dc_measure", "setpoint"}),
        "ac_port": frozenset({"ac_measure"}),
    },
    "storage": {
        "battery": frozenset({"ac_measure", "energy", "rating", "limit", "setpoint", "storage"}),
    },
    "ev_charger": {"evse": frozenset({"ac_measure", "energy", "rating", "limit", "ev"})},
    "meter": {"meter": frozenset({"ac_measure", "energy"})},
}
"""By profile and kind of element, as in the registry."""


def _policies(template: Template, elements: Sequence[Element]) -> dict[str, PolicyFunction]:
    """A store whose limits are kept by its set-point alone rests without one; others go their own way."""
    steered = [one for one in elements if one.capabilities.setpoint is not UNSET]
    released = {one.element for one in template.commands if one.setpoint is not None and one.released}
    if any(one.capabilities.limit is not UNSET or one.id not in released for one in steered):
        return {"idle": idle(elements)}
    return {"free": free, "idle": idle(elements)} if steered else {"free": free}
