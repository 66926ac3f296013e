"""The elements that a template describes, and what was read as their states. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters.signs import SignWatch
from ores.adapters.templates.answers import Answers
from ores.adapters.templates.energy import Counters
from ores.adapters.templates.expression import Expression, Values
from ores.adapters.templates.form import CONSTANT, Command, ElementForm, Template
from ores.link.errors import ConfigError
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    AcTerminal,
    DcMeasure,
    DcMeasureCapability,
    Element,
    ElementState,
    EnergyCapability,
    Ev,
    EvCapability,
    Fault,
    FormGrid,
    FormGridCapability,
    Isolate,
    IsolateCapability,
    LimitCapability,
    Produce,
    ProduceCapability,
    Rating,
    SetpointCapability,
    SetpointState,
    Storage,
    StorageCapability,
    Thermal,
    ThermalCapability,
)
from ores.module import element

PLAUSIBLE: Final = 2.0
"""Times its rating: no device has more."""
DISAGREE_W: Final = 5.0
DISAGREE_SHARE: Final = 0.01
"""So far the powers of the conductors may be from the whole: they are measured one after the other."""
SIGN: Final = "power_contradicts_counters"
_LINES: Final = {"single_phase": 1, "split_phase": 2, "three_phase": 3}
_DESCRIBED: Final[Mapping[str, type[msgspec.Struct]]] = {
    "rating": Rating,
    "produce": ProduceCapability,
    "storage": StorageCapability,
    "ev": EvCapability,
    "isolate": IsolateCapability,
    "form_grid": FormGridCapability,
    "thermal": ThermalCapability,
}
_MEASURED: Final[Mapping[str, type[msgspec.Struct]]] = {
    "produce": Produce,
    "storage": Storage,
    "ev": Ev,
    "isolate": Isolate,
    "form_grid": FormGrid,
    "thermal": Thermal,
}
_TRUTHS: Final = frozenset({"connected", "charging", "closed", "grid_ok", "forming"})
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "power_w": (-1e6, 1e6), "reactive_power_var": (-1e6, 1e6), "frequency_hz": (0.0, 500.0),
    "current_a": (-10_000.0, 10_000.0), "voltage_v": (0.0, 2000.0), "soc_pct": (0.0, 100.0),
    "soh_pct": (0.0, 100.0), "temperature_c": (-273.15, 2000.0), "available_w": (0.0, 1e6),
    "heat_w": (0.0, 1e6),
}  # fmt: skip
"""What a sum may come to; beyond it, it is not known."""


class View:
    """One element.

    Args:
        form: As the template has it.
        template: Of the device.
        known: Static points and answers.
        answers: Of its owner.
        commands: By which it is told what to do; empty where it is only read.
        first_meter: It is the first meter of the device.
    """

    def __init__(
        self,
        form: ElementForm,
        template: Template,
        known: Values,
        answers: Answers,
        commands: list[Command],
        *,
        first_meter: bool,
    ) -> None:
        self._form: Final = form
        is_meter = form.kind == "meter"
        self._turned: Final = is_meter and answers.turned
        self._sign: Final = -1.0 if is_meter and answers.turned != answers.power_turned else 1.0
        self._signs: Final = SignWatch() if is_meter else None
        connection = _connection(form, known)
        self._lines: Final = _lines(form, connection, answers)
        described = _described(form, known)
        rating = described.get("rating")
        self._most_w: Final = _most_w(rating)
        limit, setpoint = _commandable(commands, known, rating)
        self._setpoint: Final = setpoint
        energy = form.sums.get("energy", {})
        sums = (energy.get("energy_in_wh"), energy.get("energy_out_wh"))
        self.counters: Final = Counters(sums[::-1] if self._turned else sums, template.points, self._most_w)
        at_point = form.connection_point or (first_meter and answers.connection_point)
        self.element: Final[Element] = element(
            form.id,
            form.kind,
            bus=form.bus or UNSET,
            upstream=form.upstream or UNSET,
            connection=connection or UNSET,
            terminals=list(self._lines) or UNSET,
            ac_measure=_ac_capability(form, known, at_point=at_point),
            dc_measure=DcMeasureCapability() if "dc_measure" in form.sums else UNSET,
            energy=EnergyCapability(resolution_wh=self.counters.resolution_wh or UNSET) if energy else UNSET,
            limit=limit,
            setpoint=setpoint,
            **described,
        )
        able = self.element.capabilities
        self._parts: Final = [
            (capability, kind, _fields(form.sums[capability], kind, CONSTANT.get(capability, ())))
            for capability, kind in _MEASURED.items()
            if getattr(able, capability) is not UNSET
        ]

    def read(self, values: Values, utc_s: float, *, curtailed: bool) -> ElementState:
        """What was read as a state.

        Args:
            values: All points, and what is known beforehand.
            utc_s: Wall time of the reading.
            curtailed: Something holds back what the sun could give, so that nobody sees it.
        """
        parts: dict[str, Any] = {}
        power_w: float | None = 0.0
        if "ac_measure" in self._form.sums:
            measure = self._ac(values)
            power_w, parts["ac_measure"] = measure.power_w, measure
        elif "dc_measure" in self._form.sums:
            direct = self._dc(values)
            power_w, parts["dc_measure"] = direct.power_w, direct
        for capability, kind, fields in self._parts:
            parts[capability] = kind(**{key: read(values) for key, read in fields})
        if curtailed and "produce" in parts:
            parts["produce"] = Produce(available_w=None)
        codes = [code for code, when in self._form.faults if when(values)]
        if "energy" in self._form.sums:
            parts["energy"] = self.counters.read(values, utc_s)
            if self._signs is not None and self._signs.look(power_w, parts["energy"], utc_s):
                codes.append(SIGN)
        if not isinstance(self._setpoint, UnsetType):
            parts["setpoint"] = _reach(self._setpoint, parts.get("storage"))
        return ElementState(
            **parts, fault=Fault(codes=codes[:16]), quality="bad" if power_w is None else UNSET
        )

    def _ac(self, values: Values) -> AcMeasure:
        sums = self._form.sums["ac_measure"]
        more = {
            key: _within(key, sums[key], values)
            for key in ("reactive_power_var", "frequency_hz")
            if key in sums
        }
        terminals = {
            line: AcTerminal(**self._terminal(self._form.terminals[given], values))
            for line, given in self._lines.items()
            if given in self._form.terminals
        }
        power_w = self._power(sums["power_w"], values)
        return AcMeasure(power_w=power_w, terminals=_agreeing(terminals, power_w) or UNSET, **more)

    def _terminal(self, sums: Mapping[str, Expression], values: Values) -> dict[str, float | None]:
        found: dict[str, float | None] = {}
        for key, one in sums.items():
            value = self._power(one, values) if key == "power_w" else _within(key, one, values)
            # current has no sign on AC
            found[key] = abs(value) if key == "current_a" and value is not None else value
        return found

    def _dc(self, values: Values) -> DcMeasure:
        sums = self._form.sums["dc_measure"]
        more = {key: _within(key, sums[key], values) for key in ("current_a", "voltage_v") if key in sums}
        return DcMeasure(power_w=self._power(sums["power_w"], values), **more)

    def _power(self, one: Expression, values: Values) -> float | None:
        """Power into the element; None beyond what the device can have."""
        value = _within("power_w", one, values)
        if value is None or (self._most_w is not None and abs(value) > PLAUSIBLE * self._most_w):
            return None
        return self._sign * value + 0.0  # + 0.0 turns -0.0 into 0.0


def views(template: Template, known: Values, answers: Answers) -> list[View]:
    """The elements of a device.

    Args:
        template: Of the device.
        known: Static points and answers to its questions.
        answers: What else its owner has said.

    Raises:
        ConfigError: An option does not fit the device.
    """
    found: list[View] = []
    meters = 0
    for form in template.elements:
        if form.when is not None and not form.when(known):
            continue
        commands = [one for one in template.commands if answers.control and one.element == form.id]
        is_first = form.kind == "meter" and not meters
        meters += form.kind == "meter"
        found.append(View(form, template, known, answers, commands, first_meter=is_first))
    if answers.connection_point and not meters:
        raise ConfigError("connection-point", found="a device without a meter", allowed="a meter")
    able = [view.element.capabilities for view in found]
    if answers.control and all(one.limit is UNSET and one.setpoint is UNSET for one in able):
        raise ConfigError(
            "control", found="a device that takes no commands", allowed="only without --control"
        )
    return found


def _ac_capability(form: ElementForm, known: Values, *, at_point: bool) -> AcMeasureCapability | UnsetType:
    if "ac_measure" not in form.sums:
        return UNSET
    accuracy = form.sums["ac_measure"].get("accuracy_pct")
    accuracy_pct = None if accuracy is None else accuracy(known)
    return AcMeasureCapability(
        accuracy_pct=UNSET if accuracy_pct is None else accuracy_pct,
        connection_point=True if at_point else UNSET,
    )


def _connection(form: ElementForm, known: Values) -> str:
    if form.connection_by is None:
        return form.connection
    value = form.connection_by(known)
    return form.connections.get(-1 if value is None else int(value), "")


def _lines(form: ElementForm, connection: str, answers: Answers) -> dict[str, str]:
    """Conductors, and what the template calls them; the one of a single phase only where it is known."""
    count = _LINES.get(connection, 0)
    if "ac_measure" not in form.sums or not count:
        return {}
    given = list(form.terminals) or ["L1", "L2", "L3"]
    if count == 1:
        return {answers.conductor: given[0]} if answers.conductor else {}
    return {line: line for line in given[:count]} if len(given) >= count else {}


def _described(form: ElementForm, known: Values) -> dict[str, Any]:
    """Capabilities with what does not change; one that lacks what it has to say is left out."""
    found: dict[str, Any] = {}
    for capability, kind in _DESCRIBED.items():
        if capability not in form.sums:
            continue
        fields: dict[str, float | str] = dict(form.words[capability])
        for key in CONSTANT.get(capability, ()):
            one = form.sums[capability].get(key)
            value = None if one is None else one(known)
            # of a register, 0 says that nobody has set it; a template that says 0 means it
            if one is not None and value is not None and value >= 0 and (value or not one.names):
                fields[key] = value
        required = {one.name for one in msgspec.structs.fields(kind) if one.required}
        if required <= fields.keys() and (fields or not kind.__struct_fields__ or capability == "produce"):
            found[capability] = kind(**fields)
    return found


def _most_w(rating: Rating | None) -> float | None:
    """The most that can flow in either direction; None where it is not known."""
    if rating is None:
        return None
    told = [one for one in (rating.consume_max_w, rating.produce_max_w) if not isinstance(one, UnsetType)]
    return max(told) if told and max(told) > 0 else None


def _commandable(
    commands: list[Command], known: Values, rating: Rating | None
) -> tuple[LimitCapability | UnsetType, SetpointCapability | UnsetType]:
    """What can be commanded: a limit needs a rating that stays when it ends, a set-point its range."""
    limit: LimitCapability | UnsetType = UNSET
    setpoint: SetpointCapability | UnsetType = UNSET
    for command in commands:
        rated = {
            direction
            for direction, field in (
                ("consume", "consume_max_w"), ("produce", "produce_max_w"), ("current", "current_max_a"),
            )
            if rating is not None and getattr(rating, field) is not UNSET
        }  # fmt: skip
        if command.limit and rated.issuperset(command.limit):
            limit = LimitCapability(**dict.fromkeys(command.limit, True))
        if command.setpoint is not None:
            told = {key: one(known) for key, one in command.setpoint.items()}
            fields = {key: value for key, value in told.items() if value is not None and value >= 0}
            for key in ("consume_max_w", "produce_max_w"):
                most = UNSET if rating is None else getattr(rating, key)
                if key in fields and not isinstance(most, UnsetType):
                    fields[key] = min(fields[key], most)
            if {"consume_max_w", "produce_max_w", "response_s"} <= fields.keys():
                setpoint = SetpointCapability(**fields)
    return limit, setpoint


def _reach(able: SetpointCapability, inside: Storage | None) -> SetpointState:
    """What it can do now: a full store takes nothing, and an empty one gives nothing."""
    soc_pct = None if inside is None else inside.soc_pct
    full, empty = soc_pct is not None and soc_pct >= 100.0, soc_pct is not None and soc_pct <= 0.0
    return SetpointState(
        consume_max_w=0.0 if full else able.consume_max_w,
        produce_max_w=0.0 if empty else able.produce_max_w,
    )


def _agreeing(terminals: dict[str, AcTerminal], power_w: float | None) -> dict[str, AcTerminal]:
    """Conductors; without their powers where these do not come to the whole: one is not what it seems."""
    told = [one.power_w for one in terminals.values() if not isinstance(one.power_w, UnsetType)]
    known = [one for one in told if one is not None]
    if not told or power_w is None:
        return terminals
    apart_w = abs(sum(known) - power_w)
    if len(known) == len(terminals) and apart_w <= max(DISAGREE_W, DISAGREE_SHARE * abs(power_w)):
        return terminals
    return {line: msgspec.structs.replace(one, power_w=UNSET) for line, one in terminals.items()}


def _fields(
    sums: Mapping[str, Expression], kind: type[msgspec.Struct], constant: Collection[str]
) -> list[tuple[str, Callable[[Values], float | bool | None]]]:
    """What changes of a capability, and how each of it is worked out."""
    return [
        (key, partial(_truth, one) if key in _TRUTHS else partial(_within, key, one))
        for key, one in sums.items()
        if key in kind.__struct_fields__ and key not in constant
    ]


def _truth(one: Expression, values: Values) -> bool | None:
    value = one(values)
    return None if value is None else bool(value)


def _within(key: str, one: Expression, values: Values) -> float | None:
    """A sum, where it comes to something that can be."""
    value = one(values)
    least, most = _RANGES[key]
    return value + 0.0 if value is not None and least <= value <= most else None
