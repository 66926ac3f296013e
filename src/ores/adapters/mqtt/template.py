"""The templates by which devices say where in a payload their value is: the few forms that are used.

```
{{ value_json.ENERGY.Power }}      {{ value_json['power'] | float / 1000 }}      {{ value | round(1) }}
{{ 'online' if value_json.state == 'up' else 'offline' }}
```

It is no Jinja: what comes from a broker is not run as a program. What is not one of these forms is refused,
and its entity is not shown. A default for a missing number is not taken, for what is not known is never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import Final

import msgspec

from ores.link.errors import PeerError

TEXT_MAX: Final = 1000
DEPTH_MAX: Final = 20
"""Of expressions within expressions."""
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<name>[A-Za-z_]\w*)|(?P<text>'[^'\\]*'|\"[^\"\\]*\")"
    r"|(?P<sign>==|!=|[-+*/().|,\[\]]))"
)


class Missing:
    """What a payload says nothing of; that is not the same as null."""


MISSING: Final = Missing()
Value = object
"""A number, a text, true or false, None, what JSON nests; or `MISSING`."""
Evaluate = Callable[["Payload"], Value]


class Payload:
    """One payload; its JSON is read at most once.

    Args:
        text: As it came.
    """

    def __init__(self, text: str) -> None:
        self.text: Final = text
        self._json: object = None
        self._is_read = False

    @property
    def json(self) -> object:
        """What it says as JSON; `MISSING` where it is none."""
        if not self._is_read:
            self._is_read = True
            try:
                self._json = msgspec.json.decode(self.text)
            except (msgspec.DecodeError, RecursionError):
                self._json = MISSING
        return self._json


def template(text: str) -> Evaluate:
    """Read a template.

    Args:
        text: As the device told it; empty takes the payload as it is.

    Raises:
        PeerError: It is none of the forms above.
    """
    body = text.strip()
    if not body:
        return lambda payload: payload.text
    if not (body.startswith("{{") and body.endswith("}}")) or len(body) > TEXT_MAX:
        raise PeerError(f"the template {text[:80]!r} is not understood")
    inside = body[2:-2].removeprefix("-").removesuffix("-").strip()  # `{{-` and `-}}` cut white space
    if "{{" in inside or "}}" in inside or "{%" in inside:
        raise PeerError(f"the template {text[:80]!r} is not understood")
    return _Reader(inside, text).read()


def path(text: str) -> Evaluate:
    """A place in a JSON payload, as a person writes it in a map: `ENERGY.Power` or `phases[0].w`.

    Raises:
        PeerError: It is none.
    """
    return template(
        f"{{{{ value_json.{text} }}}}" if not text.startswith("[") else f"{{{{ value_json{text} }}}}"
    )


def number(value: Value) -> float | None:
    """A finite number, or None: for text that is none, for true and false, and for what is missing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


class _Reader:
    """Reads an expression, one token after the other."""

    def __init__(self, text: str, whole: str) -> None:
        self._whole: Final = whole
        self._tokens: Final = self._split(text)
        self._at = 0
        self._depth = 0

    def read(self) -> Evaluate:
        found = self._choice()
        if self._at != len(self._tokens):
            raise self._refused()
        return found

    def _split(self, text: str) -> list[tuple[str, str]]:
        tokens, at = [], 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._refused()
            kind = match.lastgroup or ""
            tokens.append((kind, match[kind]))
            at = match.end()
        return tokens

    def _refused(self) -> PeerError:
        return PeerError(f"the template {self._whole[:80]!r} is not understood")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")

    def _next(self) -> tuple[str, str]:
        token = self._peek()
        self._at += 1
        return token

    def _skip(self, word: str) -> bool:
        if self._peek()[1] == word and self._peek()[0] != "text":
            self._at += 1
            return True
        return False

    def _need(self, word: str) -> None:
        if not self._skip(word):
            raise self._refused()

    def _choice(self) -> Evaluate:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._refused()
        then = self._comparison()
        if self._skip("if"):
            condition = self._comparison()
            self._need("else")
            otherwise = self._choice()
            then = _chosen(condition, then, otherwise)
        self._depth -= 1
        return then

    def _comparison(self) -> Evaluate:
        left = self._sum()
        for sign in ("==", "!="):
            if self._skip(sign):
                return _compared(left, self._sum(), wanted=sign == "==")
        return left

    def _sum(self) -> Evaluate:
        left = self._product()
        while self._peek()[1] in {"+", "-"}:
            left = _calculated(self._next()[1], left, self._product())
        return left

    def _product(self) -> Evaluate:
        left = self._filtered()
        while self._peek()[1] in {"*", "/"}:
            left = _calculated(self._next()[1], left, self._filtered())
        return left

    def _filtered(self) -> Evaluate:
        found = self._primary()
        while self._skip("|"):
            kind, name = self._next()
            if kind != "name" or name not in _FILTERS:
                raise self._refused()
            found = _through(_FILTERS[name], found, self._arguments())
        return found

    def _arguments(self) -> list[Evaluate]:
        found: list[Evaluate] = []
        if self._skip("("):
            while not self._skip(")"):
                found.append(self._choice())
                if self._peek()[1] != ")":
                    self._need(",")
        return found

    def _primary(self) -> Evaluate:
        kind, text = self._next()
        if kind == "number":
            return _constant(float(text))
        if kind == "text":
            return _constant(text[1:-1])
        if text == "-":
            return _calculated("-", _constant(0.0), self._place_or_number())
        if text == "(":
            found = self._choice()
            self._need(")")
            return found
        if kind == "name" and text in {"value", "value_json"}:
            return self._place(_raw if text == "value" else _json)
        if text.lower() in {"true", "false", "none"}:
            return _constant({"true": True, "false": False}.get(text.lower()))
        raise self._refused()

    def _place_or_number(self) -> Evaluate:
        if self._peek()[1] == "-":  # one sign is enough, and many would go deep
            raise self._refused()
        return self._primary()

    def _place(self, found: Evaluate) -> Evaluate:
        while True:
            if self._skip("."):
                kind, name = self._next()
                if kind not in {"name", "number"}:
                    raise self._refused()
                found = _inside(found, name if kind == "name" else int(float(name)))
            elif self._skip("["):
                kind, name = self._next()
                if kind not in {"text", "number"}:
                    raise self._refused()
                found = _inside(found, name[1:-1] if kind == "text" else int(float(name)))
                self._need("]")
            else:
                return found


def _raw(payload: Payload) -> Value:
    return payload.text


def _json(payload: Payload) -> Value:
    return payload.json


def _constant(value: Value) -> Evaluate:
    return lambda _payload: value


def _inside(outer: Evaluate, key: str | int) -> Evaluate:
    def found(payload: Payload) -> Value:
        value = outer(payload)
        if isinstance(value, dict):
            return value.get(key if isinstance(key, str) else str(key), MISSING)
        if isinstance(value, list) and isinstance(key, int):
            return value[key] if 0 <= key < len(value) else MISSING
        return MISSING

    return found


def _chosen(condition: Evaluate, then: Evaluate, otherwise: Evaluate) -> Evaluate:
    def found(payload: Payload) -> Value:
        holds = condition(payload)
        if holds is MISSING:
            return MISSING
        return then(payload) if holds else otherwise(payload)

    return found


def _compared(left: Evaluate, right: Evaluate, *, wanted: bool) -> Evaluate:
    def found(payload: Payload) -> Value:
        one, other = left(payload), right(payload)
        return MISSING if one is MISSING or other is MISSING else (one == other) is wanted

    return found


def _calculated(sign: str, left: Evaluate, right: Evaluate) -> Evaluate:
    def found(payload: Payload) -> Value:
        values = left(payload), right(payload)
        if any(value is MISSING for value in values):
            return MISSING
        one, other = number(values[0]), number(values[1])
        if one is None or other is None or (sign == "/" and other == 0):
            return None
        return (
            {"+": one + other, "-": one - other, "*": one * other}.get(sign) if sign != "/" else one / other
        )

    return found


def _through(filter_: Callable[[Value, list[Value]], Value], of: Evaluate, with_: list[Evaluate]) -> Evaluate:
    def found(payload: Payload) -> Value:
        value = of(payload)
        return MISSING if value is MISSING else filter_(value, [one(payload) for one in with_])

    return found


def _round(value: Value, arguments: list[Value]) -> Value:
    found = number(value)
    digits = number(arguments[0]) if arguments else 0
    return None if found is None or digits is None or not 0 <= digits <= 12 else round(found, int(digits))


def _int(value: Value, _arguments: list[Value]) -> Value:
    found = number(value)
    return None if found is None else int(found)


def _abs(value: Value, _arguments: list[Value]) -> Value:
    found = number(value)
    return None if found is None else abs(found)


_FILTERS: Final[dict[str, Callable[[Value, list[Value]], Value]]] = {
    "float": lambda value, _arguments: number(value),
    "int": _int,
    "round": _round,
    "abs": _abs,
    "default": lambda value, _arguments: value,
    "d": lambda value, _arguments: value,
    "is_defined": lambda value, _arguments: value,
    "string": lambda value, _arguments: None if value is None else str(value),
    "trim": lambda value, _arguments: value.strip() if isinstance(value, str) else value,
    "lower": lambda value, _arguments: value.lower() if isinstance(value, str) else value,
    "upper": lambda value, _arguments: value.upper() if isinstance(value, str) else value,
}
