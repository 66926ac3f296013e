"""A command into registers. Pure: what holds for an element in, what has to stand in the device out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from ores.adapters.templates.expression import Values
from ores.adapters.templates.form import Command, Step, Template
from ores.adapters.templates.points import Point, agrees, raw_of, registers_of, scaled
from ores.adapters.templates.reader import Words
from ores.module import Ceilings, Effective

_FIELDS: Final = {"consume": "consume_max_w", "produce": "produce_max_w", "current": "current_max_a"}
_DUST: Final = 1e-9


class Write(msgspec.Struct, frozen=True):
    """One point that is to hold something.

    Attributes:
        name: Of the point.
        registers: What is to stand in it.
    """

    name: str
    registers: tuple[int, ...]


class Wanted(msgspec.Struct, frozen=True):
    """What has to stand in the device.

    Attributes:
        steps: Written one after the other; points of one step that lie side by side go in one request.
        released: Nothing is asked of the element any more.
    """

    steps: tuple[tuple[Write, ...], ...]
    released: bool = False

    @property
    def writes(self) -> list[Write]:
        """All of them; of a point that is written twice, the last."""
        return list({one.name: one for step in self.steps for one in step}.values())


class Steering:
    """How one element is told what to do.

    Args:
        template: Of the device.
        command: By which this is done.
        rating: Of the element.
    """

    def __init__(self, template: Template, command: Command, rating: Ceilings) -> None:
        self._points: Final = template.points
        self.command: Final = command
        self.rating: Final = rating

    def frees(self, command: Effective) -> bool:
        """Whether this is a limit that holds nothing back."""
        return bool(self.command.limit) and all(
            getattr(command, _FIELDS[way]) >= getattr(self.rating, _FIELDS[way]) * (1 - _DUST)
            for way in self.command.limit
        )

    def curtails(self, command: Effective | None) -> bool:
        """Whether this holds back what the element could give."""
        return (
            command is not None
            and "produce" in self.command.limit
            and command.produce_max_w < self.rating.produce_max_w * (1 - _DUST)
        )

    def wanted(self, values: Values, command: Effective, failsafe: Ceilings) -> Wanted:
        """What has to stand in the device.

        Args:
            values: As they are now, with what is known beforehand.
            command: To be carried out.
            failsafe: Limits that hold when nobody commands any more.

        Raises:
            ValueError: The device cannot be told that.
        """
        if self.command.setpoint is not None and command.power_w is None and self.command.released:
            return Wanted(tuple(self._step(step, values) for step in self.command.released), released=True)
        given: dict[str, float | None] = {
            **values,
            # what has no set-point where one is needed rests
            "power_w": command.power_w or 0.0,
            "consume_max_w": command.consume_max_w,
            "produce_max_w": command.produce_max_w,
            "current_max_a": command.current_max_a,
            "failsafe_consume_max_w": failsafe.consume_max_w,
            "failsafe_produce_max_w": failsafe.produce_max_w,
            "failsafe_current_max_a": failsafe.current_max_a,
        }
        amount = self.command.amount(given)
        if amount is None:
            raise ValueError("not all is known that it takes to say how much")
        given["amount"] = amount
        for case in self.command.cases:
            below = None if case.below is None else case.below(given)
            above = None if case.above is None else case.above(given)
            if (case.below is not None and below is None) or (case.above is not None and above is None):
                raise ValueError("not all is known that it takes to say which case this is")
            if (below is None or amount < below) and (above is None or amount > above):
                return Wanted(tuple(self._step(step, given) for step in case.write), self.frees(command))
        raise ValueError(f"no case for {amount}")

    def _step(self, step: Step, given: Values) -> tuple[Write, ...]:
        found = []
        for name, one in step.items():
            value = one(given)
            if value is None:
                raise ValueError(f"what {name} has to be is not known")
            found.append(Write(name, tuple(registers_of(self._points[name], value))))
        return tuple(found)


def holds(points: Mapping[str, Point], words: Words, write: Write) -> bool | None:
    """Whether the device shows what was to be written; None where it does not show it."""
    point = points[write.name]
    if point.readback:
        shown = words.get(point.readback)
        if shown is None:
            return None
        there = points[point.readback]
        value = _value(point, write.registers)
        try:
            return agrees(there, shown, registers_of(there, value))
        except ValueError:
            return False
    if point.write_only:
        return None
    shown = words.get(write.name)
    return shown is not None and agrees(point, shown, write.registers)


def shown_by(points: Mapping[str, Point], names: list[str]) -> list[str]:
    """The points that have to be read to see what was written to these."""
    seen = [points[name].readback or ("" if points[name].write_only else name) for name in names]
    return [name for name in dict.fromkeys(seen) if name]


def _value(point: Point, registers: tuple[int, ...]) -> float:
    """What was written, in the unit."""
    raw = raw_of(point, registers)
    return 0.0 if raw is None else scaled(raw, point.scale)


def requests(points: Mapping[str, Point], step: list[Write]) -> list[tuple[int, list[int], int]]:
    """The requests of one step: address, registers, and the function to write them with."""
    found: list[tuple[int, list[int], int]] = []
    for write in sorted(step, key=lambda one: points[one.name].at):
        point = points[write.name]
        if point.function == 6:
            found += [(point.at + at, [word], 6) for at, word in enumerate(write.registers)]
            continue
        last = found[-1] if found else None
        if last is not None and last[2] == 16 and last[0] + len(last[1]) == point.at:
            last[1].extend(write.registers)
        else:
            found.append((point.at, list(write.registers), 16))
    return found
