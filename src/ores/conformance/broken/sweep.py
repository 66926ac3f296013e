"""A proxy before the reference that alters one field of one kind of message: drop, retype, rescale, delay.

The mutants of `mutants/` are what somebody thought of; these are what nobody did. Each field that the
reference ever sends is altered in each way, and the kit judges; what it does not notice is a survivor, and is
argued in `standard/conformance/survivors.yaml` or is a hole in the kit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from ores.conformance.broken.registry import Mutation
from ores.conformance.broken.seams import Asked, Seams

OPERATORS: Final = ("drop", "retype", "rescale", "delay")
ANY: Final = "*"
KEYED: Final = frozenset({"elements", "terminals", "outcomes", "modes", "faults"})
DELAY_S: Final = 2.5
SCALE: Final = 7.0


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a kind of message.

    Attributes:
        message: `state`, `result`, or a request such as `GET /policy`.
        path: Names from the outside in; `*` is any element, conductor or item.
    """

    message: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        return ".".join((self.message, *self.path))


@dataclass(frozen=True, slots=True)
class Alteration:
    """One field altered in one way."""

    field: Field
    operator: str

    def __str__(self) -> str:
        return f"{self.operator} {self.field}"


def mutation_of(name: str) -> Mutation:
    """The alteration that its text names, such as `drop state.elements.*.storage.soc_pct`.

    Raises:
        ValueError: It is none.
    """
    operator, _, field = name.partition(" ")
    message, *path = field.split(".")
    if operator not in OPERATORS or not message:
        raise ValueError(
            f"{name!r} is no alteration: OPERATOR MESSAGE.FIELD…, operators {', '.join(OPERATORS)}"
        )
    return lambda seams: install(seams, Alteration(Field(message, tuple(path)), operator))


def install(seams: Seams, alteration: Alteration) -> None:
    """Put the proxy into a module."""
    message, path = alteration.field.message, alteration.field.path
    change = _change(alteration.operator)

    def alter(body: Any) -> Any:
        if alteration.operator == "delay":
            time.sleep(DELAY_S)
            return body
        return _altered(body, path, change)

    if message == "state":
        seams.on_state(alter)
    elif message == "result":
        seams.on_result(alter)
    else:

        def answer(asked: Asked, status: int, body: Any) -> tuple[int, Any] | None:
            wanted = f"{asked.method} {asked.path.split('?')[0]}" == message and status == 200
            return (status, alter(body)) if wanted else None

        seams.answers.append(answer)


def alterations(lines: Sequence[tuple[str, Any]]) -> list[Alteration]:
    """Every alteration of what was seen.

    Args:
        lines: Kind of message and its body, as the reference sent them.
    """
    values: dict[Field, list[Any]] = {}
    for message, body in lines:
        for path, value in _leaves(body, ()):
            values.setdefault(Field(message, path), []).append(value)
    found = [
        Alteration(field, operator)
        for field, seen in sorted(values.items(), key=lambda item: str(item[0]))
        for operator in ("drop", "retype", "rescale")
        if operator != "rescale" or any(_is_number(value) for value in seen)
    ]
    messages = sorted({field.message for field in values})
    return found + [Alteration(Field(message, ()), "delay") for message in messages]


def _leaves(body: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every field below, with `*` for the keys of maps and the items of lists."""
    if isinstance(body, dict):
        keyed = bool(path) and path[-1] in KEYED
        for key, value in body.items():
            below = (*path, ANY if keyed else key)
            if not keyed:
                yield below, value
            yield from _leaves(value, below)
    elif isinstance(body, list):
        for item in body:
            yield from _leaves(item, (*path, ANY))


def _altered(body: Any, path: tuple[str, ...], change: Callable[[dict[str, Any], str], None]) -> Any:
    """A copy in which every field of the path is changed."""
    copy = json.loads(json.dumps(body))
    _walk(copy, path, change)
    return copy


def _walk(body: Any, path: tuple[str, ...], change: Callable[[dict[str, Any], str], None]) -> None:
    if not path:
        return
    name, *rest = path
    if name == ANY:
        inside = body.values() if isinstance(body, dict) else body if isinstance(body, list) else ()
        for item in inside:
            _walk(item, tuple(rest), change)
    elif isinstance(body, dict) and name in body:
        if rest:
            _walk(body[name], tuple(rest), change)
        else:
            change(body, name)


def _change(operator: str) -> Callable[[dict[str, Any], str], None]:
    return {"drop": _drop, "retype": _retype}.get(operator, _rescale)


def _drop(body: dict[str, Any], name: str) -> None:
    del body[name]


def _retype(body: dict[str, Any], name: str) -> None:
    """Text for a number or a truth, a number for everything else."""
    value = body[name]
    body[name] = json.dumps(value) if isinstance(value, bool | int | float) else 1


def _rescale(body: dict[str, Any], name: str) -> None:
    """The wrong unit, or the wrong sign where nothing else would be seen."""
    value = body[name]
    if _is_number(value):
        body[name] = type(value)(value * SCALE)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value != 0


def survivors_argued(folder: Path) -> dict[str, str]:
    """What `survivors.yaml` says: patterns of names, and why what they name may survive."""
    import yaml  # noqa: PLC0415 - only the sweep needs it

    path = folder / "conformance" / "survivors.yaml"
    return dict(yaml.safe_load(path.read_text())["survivors"]) if path.is_file() else {}


def argument_for(name: str, argued: Mapping[str, str]) -> str:
    """Why this alteration may survive, by the first pattern that it matches; empty where nothing says so."""
    return next((why for pattern, why in argued.items() if fnmatchcase(name, pattern)), "")
