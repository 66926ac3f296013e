"""A device by its template as a device of the SDK: a task reads it, whoever asks gets what was read last."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import UNSET

from ores.adapters.device import RegisterDevice
from ores.adapters.modbus import Tables
from ores.adapters.templates import found as finding
from ores.adapters.templates.answers import Answers, known
from ores.adapters.templates.expression import Expression
from ores.adapters.templates.form import CONSTANT, Template
from ores.adapters.templates.found import Found, find
from ores.adapters.templates.orders import Budget, Line, Order
from ores.adapters.templates.reader import Reader, Words, decoded, decoders, values_of
from ores.adapters.templates.steering import Steering, shown_by
from ores.adapters.templates.views import views
from ores.link.clock import Clock
from ores.link.errors import PeerError
from ores.model import Element, ElementState
from ores.module import PolicyFunction, free, idle
from ores.module.effective import ceilings_of

_log: Final = logging.getLogger("ores.adapters")


class TemplateDevice(RegisterDevice[Tables, Order]):
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
        about = finding.about(template, found, name, profiles(self.elements))
        self._budget: Final = Budget(template, found.spent)
        super().__init__(
            about,
            self._ordered(about.name),
            registers,
            clock,
            directory=directory,
            period_s=max(period_s, template.transport.period_s),
        )
        self._found = found
        each_round = self._read_each_round()
        self._reader: Final = Reader(template, each_round, registers, clock)
        self._decoders: Final = decoders(template, each_round)
        self._again: Final = Reader(template, self._steered(), registers, clock)
        self._words: Words = {}
        self._values: dict[str, float | None] = {}
        self._looked_utc_s = 0.0
        for element, kept in found.energy.items():
            if element in self._views:
                self._views[element].counters.remember(kept)

    def taken_over(self) -> Literal["local"] | None:
        """Whether somebody at the device decides, and commands do nothing."""
        return "local" if self._template.local is not None and self._template.local(self._values) else None

    @property
    def values(self) -> Mapping[str, float | None]:
        """All that was read last, by point; for a person who looks."""
        return self._values

    async def _look(self) -> None:
        self._looked_utc_s = self._clock.utc().timestamp()
        self._words = await self._reader.read()
        self._values = {**self._known_values, **decoded(self._decoders, self._words)}

    def _shown(self) -> dict[str, ElementState]:
        curtailed = any(order.curtails for order in self._all_orders())
        return {
            name: view.read(self._values, self._looked_utc_s, curtailed=curtailed)
            for name, view in self._views.items()
        }

    async def _carry_out(self, order: Order) -> None:
        spent, utc_s = self._budget.taken, self._clock.utc().timestamp()
        line = Line(self._registers, self._again.read, self._clock.now(), utc_s)
        await order.carry_out(self._values, self._words, line)
        if self._budget.taken != spent:
            self._save()  # a restart must not give a new budget

    async def _recognise(self) -> None:
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

    def _ordered(self, name: str) -> dict[str, list[Order]]:
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
                    name,
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
        written = [name for order in self._all_orders() for name in order.command.points()]
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
        for order in self._all_orders():
            sums += [order.command.amount]
            sums += [one for step in order.command.steps() for one in step.values()]
        points = self._template.points
        used = {name for one in sums for name in one.names if name in points and not points[name].static}
        return sorted(used | set(self._steered()))

    def _keep(self, directory: Path) -> None:
        energy = {name: view.counters.kept for name, view in self._views.items()}
        kept = msgspec.structs.replace(self._found, energy=energy, spent=self._budget.spent)
        finding.save(directory, kept)


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
