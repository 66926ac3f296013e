"""What no schema sees: a template whose parts contradict each other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from ores.adapters.templates.expression import UNKNOWN, Expression
from ores.adapters.templates.form import CONSTANT, Command, ElementForm, Step, Template

Problem = tuple[str, object, str]
"""Field, what was found, what is allowed."""
COMMANDED: Final = frozenset({
    "power_w", "consume_max_w", "produce_max_w", "current_max_a", "failsafe_consume_max_w",
    "failsafe_produce_max_w", "failsafe_current_max_a", "amount",
})  # fmt: skip
"""Names that a command brings along."""


def contradictions(template: Template) -> Iterator[Problem]:
    """What no schema can see."""
    yield from _points_at_odds(template)
    yield from _names_at_odds(template)
    yield from _signs_at_odds(template)
    for at, command in enumerate(template.commands):
        yield from _command_at_odds(template, command, f"commands[{at}]")


def _points_at_odds(template: Template) -> Iterator[Problem]:
    for name, point in template.points.items():
        where = f"points.{name}"
        if name in template.questions or name in COMMANDED or name == UNKNOWN:
            yield where, name, "a name that no question and no command has"
        if (point.type == "text") != (point.registers > 0):
            yield f"{where}.registers", point.registers or "none", "for a text, and for nothing else"
        if not point.scale:
            yield f"{where}.scale", point.scale, "another number than 0"
        if point.at + point.size > 65_536 or point.size > template.transport.registers_max:
            yield f"{where}.at", point.at, "what fits into one request"
        if point.readback and point.readback not in template.points:
            yield f"{where}.readback", point.readback, "a point of this template"
        if point.unit == "%" and point.type == "text":
            yield f"{where}.unit", point.unit, "no unit for a text"
    for key, name in template.identity.items():
        if name not in template.points or not template.points[name].static:
            yield f"identity.{key}", name, "a static point of this template"


def _names_at_odds(template: Template) -> Iterator[Problem]:
    known = template.points.keys() | template.questions.keys()
    numbers = {name for name in known if name not in template.points or template.points[name].type != "text"}
    for where, one, more in _all_sums(template):
        if strange := sorted(one.names - numbers - more):
            near = ", ".join(sorted(numbers | more))
            yield where, strange[0], f"a number among the points and questions: {near}"
        written = [name for name in one.names if name in template.points and template.points[name].write_only]
        if written:
            yield where, written[0], "a point that can be read"
    ids = [one.id for one in template.elements]
    for at, element in enumerate(template.elements):
        if element.upstream and element.upstream not in ids:
            yield f"elements[{at}].upstream", element.upstream, f"one of {', '.join(ids)}"
    for where, one in _constants(template):
        changing = [
            name for name in one.names if name in template.points and not template.points[name].static
        ]
        if changing:
            yield where, changing[0], "static points and questions: a description does not change"


Place = tuple[str, Expression]
"""Where a sum stands, and the sum."""


def _all_sums(template: Template) -> Iterator[tuple[str, Expression, frozenset[str]]]:
    """Each sum, where it stands, and the names that it may use beside points and questions."""
    nothing: frozenset[str] = frozenset()
    if template.local is not None:
        yield "local", template.local, nothing
    for at, element in enumerate(template.elements):
        for where, one in _of_element(element, f"elements[{at}]"):
            yield where, one, nothing
    for where, one in _constants(template):
        yield where, one, nothing
    for at, command in enumerate(template.commands):
        yield f"commands[{at}].amount", command.amount, COMMANDED - {"amount"}
        for which, case in enumerate(command.cases):
            for where, one in _of_steps(case.write, f"commands[{at}].cases[{which}].write"):
                yield where, one, COMMANDED
        for where, one in _of_steps(command.released, f"commands[{at}].released"):
            yield where, one, nothing


def _of_element(element: ElementForm, where: str) -> Iterator[Place]:
    for capability, fields in element.sums.items():
        for key, one in fields.items():
            yield f"{where}.{capability}.{key}", one
    for line, fields in element.terminals.items():
        for key, one in fields.items():
            yield f"{where}.ac_measure.terminals.{line}.{key}", one
    for code, one in element.faults:
        yield f"{where}.faults.{code}", one


def _of_steps(steps: Iterable[Step], where: str) -> Iterator[Place]:
    for step in steps:
        for key, one in step.items():
            yield f"{where}.{key}", one


def _constants(template: Template) -> Iterator[Place]:
    """Sums that say what does not change."""
    for at, element in enumerate(template.elements):
        yield from _constants_of(element, f"elements[{at}]")
    for at, command in enumerate(template.commands):
        for key, one in (command.setpoint or {}).items():
            yield f"commands[{at}].setpoint.{key}", one
        for which, case in enumerate(command.cases):
            for key, found in (("below", case.below), ("above", case.above)):
                if found is not None:
                    yield f"commands[{at}].cases[{which}].{key}", found


def _constants_of(element: ElementForm, where: str) -> Iterator[Place]:
    for key, found in (("when", element.when), ("connection.by", element.connection_by)):
        if found is not None:
            yield f"{where}.{key}", found
    for capability, fields in element.sums.items():
        for key, one in fields.items():
            if key in CONSTANT.get(capability, ()):
                yield f"{where}.{capability}.{key}", one


def _signs_at_odds(template: Template) -> Iterator[Problem]:
    for at, sign in enumerate(template.detect):
        where = f"detect[{at}]"
        point = template.points.get(sign.point)
        if point is None or point.write_only:
            yield f"{where}.point", sign.point, "a point of this template that can be read"
        elif (point.type == "text") != bool(sign.matches):
            yield f"{where}.matches", sign.matches or "none", "for a text, and for nothing else"
        elif not (sign.matches or sign.is_ or sign.least is not None or sign.most is not None):
            yield where, "nothing to compare with", "is, least, most or matches"
        if sign.matches:
            try:
                re.compile(sign.matches)
            except re.error as error:
                yield f"{where}.matches", sign.matches, f"a regular expression: {error}"


def _command_at_odds(template: Template, command: Command, where: str) -> Iterator[Problem]:
    if all(one.id != command.element for one in template.elements):
        yield f"{where}.element", command.element, "an element of this template"
    if command.setpoint is not None and command.watchdog.timeout_s is None:
        # the standard asks for it: a battery that keeps its last command empties itself into the street
        yield f"{where}.watchdog", "none, with a set-point", "a set-point that ends by itself (MAP-004)"
    if command.cases[-1].below is not None or command.cases[-1].above is not None:
        yield f"{where}.cases", "a last case with a condition", "a last case for all that is left"
    for name in command.points():
        yield from _written_at_odds(template, command, name, where)
    for name in command.watchdog.refresh:
        if name not in command.points():
            yield f"{where}.watchdog.refresh", name, f"one of {', '.join(command.points())}"


def _written_at_odds(template: Template, command: Command, name: str, where: str) -> Iterator[Problem]:
    point, dog = template.points.get(name), command.watchdog
    if point is None:
        yield f"{where}.cases", name, "points of this template"
        return
    if point.table != "holding" or point.type == "text" or point.values is not None:
        yield f"points.{name}", f"{point.table} {point.type}", "a number in a holding register, to be written"
    if point.static:
        yield f"points.{name}.static", name, "a point that is read in each round, for it is written"
    renewed = dog.timeout_s is not None and not dog.any_request and (not dog.refresh or name in dog.refresh)
    if point.writes_per_day is not None and renewed:
        yield f"{where}.watchdog.refresh", name, "points that are not kept in flash"
