"""What only the owner knows of a device, checked against what its template asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from ores.adapters.templates.form import Question, Template
from ores.link.errors import ConfigError

_YES: Final = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What the device cannot tell.

    Attributes:
        control: Its owner lets it be commanded; otherwise it is only read.
        connection_point: Its first meter stands at the grid connection point.
        turned: Its meter is mounted the other way round: power and counters are turned.
        power_turned: Its meter shows import as negative, and counts it as import.
        conductor: Where a device with one phase is connected; empty where nobody has said.
        given: Answers to the template's questions, as numbers; yes is 1 and no 0.
    """

    control: bool = False
    connection_point: bool = False
    turned: bool = False
    power_turned: bool = False
    conductor: str = ""
    given: Mapping[str, float] = {}


def parsed(template: Template, said: Sequence[str]) -> dict[str, float]:
    """Answers as a person writes them: `capacity_wh=9600`, `backup=yes`.

    Raises:
        ConfigError: One answers nothing that is asked, or is not among what is allowed.
    """
    found: dict[str, float] = {}
    for one in said:
        name, equals, value = one.partition("=")
        name = name.strip()
        question = template.questions.get(name)
        if question is None or not equals:
            allowed = ", ".join(f"{key}=…" for key in template.questions) or "nothing: it has no questions"
            raise ConfigError("set", found=one, allowed=allowed)
        found[name] = _number(name, question, value.strip())
    return found


def of_form(template: Template, filled: Mapping[str, object]) -> dict[str, float]:
    """Answers out of the form of `form`, as JSON has them.

    Raises:
        ConfigError: One answers nothing that is asked, or is not among what is allowed.
    """
    words = {True: "yes", False: "no"}
    said = {
        name: words[value] if isinstance(value, bool) else value
        for name, value in filled.items()
        if value is not None
    }
    return parsed(template, [f"{name}={value}" for name, value in said.items()])


def known(template: Template, given: Mapping[str, float]) -> dict[str, float | None]:
    """An answer to each question: what was given, else what is usual, else unknown where that is allowed.

    Raises:
        ConfigError: A question that has to be answered has not been.
    """
    answers: dict[str, float | None] = {}
    for name, question in template.questions.items():
        answers[name] = given.get(name, question.default)
        if answers[name] is None and not question.optional:
            raise ConfigError(
                name, found="no answer", allowed=f"--set {name}={_allowed(question)}: {question.ask}"
            )
    return answers


def form(template: Template) -> dict[str, object]:
    """The questions as a form: an object of JSON Schema, for whoever draws it."""
    fields: dict[str, object] = {}
    for name, one in template.questions.items():
        field: dict[str, object] = {"title": one.ask}
        field["type"] = {"yes_no": "boolean", "integer": "integer"}.get(one.type, "number")
        if one.choices:
            field["enum"] = list(one.choices)
        told = {"minimum": one.least, "maximum": one.most, "x-unit": one.unit or None}
        field |= {key: value for key, value in told.items() if value is not None}
        if one.default is not None:
            field["default"] = bool(one.default) if one.type == "yes_no" else one.default
        fields[name] = field
    needed = [name for name, one in template.questions.items() if one.default is None and not one.optional]
    return {"title": template.title, "type": "object", "properties": fields, "required": needed}


def _number(name: str, question: Question, value: str) -> float:
    """One answer.

    Raises:
        ConfigError: It is none.
    """
    try:
        number = _YES[value.lower()] if question.type == "yes_no" else float(value)
    except (KeyError, ValueError):
        raise ConfigError(name, found=value, allowed=_allowed(question)) from None
    least, most = question.least, question.most
    if (
        number != number  # noqa: PLR0124  not a number is unequal to itself
        or abs(number) > 1e12
        or (question.type == "integer" and number != int(number))
        or (question.choices and number not in question.choices)
        or (least is not None and number < least)
        or (most is not None and number > most)
    ):
        raise ConfigError(name, found=value, allowed=_allowed(question))
    return number


def _allowed(question: Question) -> str:
    """What may be answered, in words."""
    if question.type == "yes_no":
        return "yes or no"
    if question.choices:
        return "one of " + ", ".join(f"{one:g}" for one in question.choices)
    parts = ["a whole number" if question.type == "integer" else "a number"]
    parts += [question.unit and f"in {question.unit}"]
    if question.least is not None:
        parts.append(f"of at least {question.least:g}")
    if question.most is not None:
        parts.append(f"of at most {question.most:g}")
    return " ".join(one for one in parts if one)
