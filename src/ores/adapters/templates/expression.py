"""Small sums over what was read, as they stand in a template: `export_w - import_w`, `state in (2, 3)`.

`unknown` stands for what is not known, as in `power if meter == 1 else unknown`.

The text is parsed by Python's own grammar and then taken apart here; nothing of it is ever run as Python.
What is not known makes unknown whatever is worked out from it, and so does a division by zero.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

Values = Mapping[str, float | None]
Worked = Callable[[Values], float | None]
LENGTH_MAX: Final = 400
UNKNOWN: Final = "unknown"
"""The one name that stands for nothing that was read."""
_DEPTH_MAX: Final = 40


class Expression:
    """A sum, ready to be worked out many times.

    Args:
        text: As it stands in the template; a number stands for itself.

    Raises:
        ValueError: It is none; the text says what is wrong.
    """

    __slots__ = ("_work", "names", "text")

    def __init__(self, text: str | float) -> None:
        self.text: Final = str(text)
        if len(self.text) > LENGTH_MAX:
            raise ValueError(f"longer than {LENGTH_MAX} characters")
        try:
            tree = ast.parse(self.text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise ValueError("no sum that can be read") from error
        names: set[str] = set()
        self._work: Final = _compiled(tree.body, names, 0)
        self.names: Final = frozenset(names)

    def __call__(self, values: Values) -> float | None:
        """Work it out.

        Args:
            values: By name; a name that is missing there is unknown.

        Returns:
            A number (1 for true, 0 for false), infinite where one of the values is; None where it is not
            known.
        """
        try:
            value = self._work(values)
        except (ZeroDivisionError, OverflowError, ValueError):
            return None
        return None if value is None or math.isnan(value) else value

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def _compiled(node: ast.expr, names: set[str], depth: int) -> Worked:
    """One node as a function."""
    if depth > _DEPTH_MAX:
        raise ValueError("nested too deeply")
    for kind, make in _MAKERS.items():
        if isinstance(node, kind):
            return make(node, names, depth + 1)
    raise ValueError(f"{ast.unparse(node)[:40]} is not allowed in a sum")


def _constant(node: ast.expr, _names: set[str], _depth: int) -> Worked:
    value = node.value if isinstance(node, ast.Constant) else None
    number = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return lambda _values: number


def _name(node: ast.expr, names: set[str], _depth: int) -> Worked:
    assert isinstance(node, ast.Name)  # noqa: S101  by the table
    name = node.id
    if name == UNKNOWN:
        return lambda _values: None
    names.add(name)
    return lambda values: values.get(name)


def _unary(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.UnaryOp)  # noqa: S101  by the table
    inner = _compiled(node.operand, names, depth)
    if isinstance(node.op, ast.USub):
        return lambda values: None if (value := inner(values)) is None else 0.0 - value
    if isinstance(node.op, ast.Not):
        return lambda values: None if (value := inner(values)) is None else float(not value)
    raise ValueError("of signs there are - and not")


def _binary(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.BinOp)  # noqa: S101  by the table
    operate = _OPERATORS.get(type(node.op))
    if operate is None:
        raise ValueError("of operations there are + - * / // and %")
    return _all_known(
        [_compiled(node.left, names, depth), _compiled(node.right, names, depth)],
        lambda both: operate(both[0], both[1]),
    )


def _compare(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.Compare)  # noqa: S101  by the table
    if len(node.ops) != 1:
        raise ValueError("one comparison at a time")
    left, op, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(op, ast.In | ast.NotIn):
        if not isinstance(right, ast.Tuple):
            raise ValueError("what is in what: the second is numbers in brackets")  # noqa: TRY004  of the text
        parts = [_compiled(one, names, depth) for one in (left, *right.elts)]
        inside = isinstance(op, ast.In)
        return _all_known(parts, lambda found: float((found[0] in found[1:]) is inside))
    test = _TESTS.get(type(op))
    if test is None:
        raise ValueError("of comparisons there are == != < <= > >= in and not in")
    parts = [_compiled(left, names, depth), _compiled(right, names, depth)]
    return _all_known(parts, lambda both: float(test(both[0], both[1])))


def _bool(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.BoolOp)  # noqa: S101  by the table
    parts = [_compiled(one, names, depth) for one in node.values]
    join = all if isinstance(node.op, ast.And) else any
    return _all_known(parts, lambda found: float(join(found)))


def _choice(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.IfExp)  # noqa: S101  by the table
    test, then, other = (_compiled(one, names, depth) for one in (node.test, node.body, node.orelse))

    def work(values: Values) -> float | None:
        decided = test(values)
        if decided is None:
            return None
        return then(values) if decided else other(values)

    return work


def _call(node: ast.expr, names: set[str], depth: int) -> Worked:
    assert isinstance(node, ast.Call)  # noqa: S101  by the table
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    least, most, function = _FUNCTIONS.get(name, (0, 0, sum))
    if not most or node.keywords:
        raise ValueError(f"of functions there are {', '.join(_FUNCTIONS)}")
    if not least <= len(node.args) <= most:
        raise ValueError(f"{name} takes {least} to {most} values, and not {len(node.args)}")
    parts = [_compiled(one, names, depth) for one in node.args]
    if name == "first":  # the one function that is there for what is not known
        return lambda values: next((found for one in parts if (found := one(values)) is not None), None)
    return _all_known(parts, function)


def _all_known(parts: list[Worked], function: Callable[[list[float]], float]) -> Worked:
    """Unknown as soon as one of the parts is."""

    def work(values: Values) -> float | None:
        found = []
        for part in parts:
            value = part(values)
            if value is None:
                return None
            found.append(value)
        return function(found)

    return work


def _bit(found: list[float]) -> float:
    """Whether one bit of a whole number is set, counted from 0 at the low end."""
    return float(int(found[0]) >> min(63, max(0, int(found[1]))) & 1)


_MAKERS: Final[Mapping[type[ast.expr], Callable[[ast.expr, set[str], int], Worked]]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.UnaryOp: _unary,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.BoolOp: _bool,
    ast.IfExp: _choice,
    ast.Call: _call,
}
_OPERATORS: Final[Mapping[type[ast.operator], Callable[[float, float], float]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: lambda a, b: float(a // b),
    ast.Mod: lambda a, b: float(a % b),
}
_TESTS: Final[Mapping[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_FUNCTIONS: Final[Mapping[str, tuple[int, int, Callable[[list[float]], float]]]] = {
    "min": (1, 8, min),
    "max": (1, 8, max),
    "abs": (1, 1, lambda found: abs(found[0])),
    "floor": (1, 1, lambda found: float(math.floor(found[0]))),
    "round": (1, 1, lambda found: float(round(found[0]))),
    "bit": (2, 2, _bit),
    "first": (2, 8, lambda found: found[0]),
}
"""By name: how many values at least, how many at most, and what is made of them."""
