"""SunSpec's model definitions: which point stands where, of which type, with which scale factor.

They are data, in `models.json` beside this file, generated from what the SunSpec Alliance publishes.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

import msgspec

HEAD_REGISTERS: Final = 2
"""Id and length, before the points of each model; the length does not count them."""


class Point(msgspec.Struct, frozen=True):
    """One value of a model.

    Attributes:
        at: Registers from the beginning of its group; in a model, that is from the model's id.
        size: In registers.
        type: `int16`, `acc32`, `enum16` …
        sf: The point that holds its scale factor; empty where there is none.
        units: As published.
        mandatory: Whether a device must have it.
        writable: Whether it is a setting.
        symbols: Of an enum the values, of a bit field the bit numbers.
    """

    at: int
    size: int
    type: str
    sf: str = ""
    units: str = ""
    mandatory: bool = False
    writable: bool = False
    symbols: dict[str, int] = {}


class Group(msgspec.Struct, frozen=True):
    """Points inside a model that stand together.

    Attributes:
        name: As SunSpec writes it.
        at: Registers from the beginning of the model.
        size: Of one of them, in registers.
        points: By name, counted from the beginning of the group.
        repeats: None where it stands once; the point that counts it; empty where it fills the model.
    """

    name: str
    at: int
    size: int
    points: dict[str, Point]
    repeats: str | None = None


class Definition(msgspec.Struct, frozen=True):
    """One model: its own points, and its groups behind them.

    Attributes:
        id: Its number.
        name: As SunSpec writes it.
        size: Registers from the id on, without groups that repeat.
        points: By name, from the id on.
        groups: Behind them.
    """

    id: int
    name: str
    size: int
    points: dict[str, Point]
    groups: tuple[Group, ...] = ()


class _File(msgspec.Struct):
    note: str
    models: list[Definition]


@cache
def definitions() -> dict[int, Definition]:
    """All that are known here, by id."""
    data = (resources.files(__package__) / "models.json").read_bytes()
    return {model.id: model for model in msgspec.json.decode(data, type=_File).models}
