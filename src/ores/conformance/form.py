"""The form of messages, whoever sent them: I-JSON, schemas, integers, ranges (section 3.1)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from typing import Any, Final

from jsonschema.exceptions import ValidationError

from ores.conformance.check import Failed, need, short
from ores.conformance.transcript import Line
from ores.conformance.wire import ijson

LIMITS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"})


class Wrong:
    """What a message breaks in its schema.

    Attributes:
        text: Where, and what.
        integer: Only that an integer is written with a fraction or an exponent.
        range: Only that a number is out of range.
    """

    def __init__(self, error: ValidationError) -> None:
        value, rule, of = error.instance, str(error.validator), error.validator_value
        self.text = f"{error.json_path}: {short(error.message)}"
        self.integer = rule == "type" and of == "integer" and isinstance(value, float) and value.is_integer()
        self.range = rule in LIMITS


def judge_i_json(lines: Iterable[Line]) -> None:
    """MSG-001: I-JSON in UTF-8, without a byte-order mark.

    Raises:
        Failed: A message is none.
    """
    for line in lines:
        try:
            ijson.read(line.raw)
        except Failed as error:
            raise Failed(f"{line.what} at {line.at_s:.1f} s: {error}") from error


def judge_valid(found: Iterable[tuple[Line, Wrong]]) -> None:
    """MSG-002: integers and ranges of numbers are judged apart.

    Raises:
        Failed: A message is not as its schema says.
    """
    for line, wrong in found:
        if not (wrong.integer or wrong.range):
            raise Failed(f"{line.what} at {line.at_s:.1f} s is not as its schema says: {wrong.text}")


def judge_integers(found: Iterable[tuple[Line, Wrong]]) -> None:
    """MSG-003: an integer has neither fraction nor exponent.

    Raises:
        Failed: One has.
    """
    for line, wrong in found:
        need(
            not wrong.integer, f"{line.what} at {line.at_s:.1f} s: {wrong.text}; integers are written as such"
        )


def judge_numbers(lines: Iterable[Line], found: Iterable[tuple[Line, Wrong]]) -> None:
    """MSG-005: finite, and in the range of the schema.

    Raises:
        Failed: A number is not.
    """
    for line in lines:
        endless = first_endless(line.body)
        need(endless is None, f"{line.what} at {line.at_s:.1f} s holds {endless}, which is no finite number")
    for line, wrong in found:
        need(not wrong.range, f"{line.what} at {line.at_s:.1f} s is out of range: {wrong.text}")


def first_endless(value: Any) -> str | None:
    """The first number that is not finite; lenient readers take `1e999` for one."""
    if isinstance(value, float) and not isfinite(value):
        return json.dumps(value)
    if isinstance(value, dict):
        return next((found for item in value.values() if (found := first_endless(item))), None)
    if isinstance(value, list):
        return next((found for item in value if (found := first_endless(item))), None)
    return None
