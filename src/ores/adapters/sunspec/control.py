"""Commands into registers. Pure: what holds for an element in, what has to stand in the device out.

Each command ends by a timer of the device, so that it does not outlive the adapter (MAP-003): it is written
with each renewal, before what it ends, and the switch that brings it into force comes last.
"""

from __future__ import annotations

from math import ceil, floor, isfinite
from typing import Final, Protocol

import msgspec

from ores.adapters.sunspec.image import Image, number
from ores.adapters.sunspec.points import Model
from ores.module import Ceilings, Effective

TIMER_S: Final = 60
"""How long a command outlives the adapter; it is renewed at half of it."""
ON, OFF, WATTS = 1, 0, 1
_DUST: Final = 1e-9


class Wanted(msgspec.Struct, frozen=True):
    """What has to stand in one model.

    Attributes:
        model: Id.
        steps: Points with their raw values, in the order in which they are to be written; those of one step
            may go in one request.
        released: Nothing is asked of the element any more.
    """

    model: int
    steps: list[dict[str, int]]
    released: bool = False

    @property
    def points(self) -> dict[str, int]:
        """All of them together."""
        return {name: raw for step in self.steps for name, raw in step.items()}


class Steering(Protocol):
    """How one element is commanded."""

    def models(self) -> frozenset[int]:
        """Ids that have to be read in each round, so that what stands there is known."""
        ...

    def timed(self, image: Image) -> bool:
        """Whether the device ends the command by itself."""
        ...

    def is_ours(self, image: Image) -> bool:
        """Whether an adapter has written what stands in the device, perhaps before a restart."""
        ...

    def wanted(self, image: Image, command: Effective, failsafe: Ceilings) -> list[Wanted]:
        """What has to stand in the device.

        Args:
            image: As it is now.
            command: To be carried out.
            failsafe: Limits that hold when nobody commands any more.

        Raises:
            ValueError: The device cannot be told that.
        """
        ...


class PercentLimit:
    """A limit on what an inverter gives, in percent of `WMax`: 704, or 123 with 121."""

    def __init__(self, model: int) -> None:
        self._model: Final = model
        is_der = model == 704
        self._basis: Final = 702 if is_der else 121
        self._percent: Final = "WMaxLimPct"
        self._timer: Final = "WMaxLimPctRvrtTms" if is_der else "WMaxLimPct_RvrtTms"
        self._delay: Final = "" if is_der else "WMaxLimPct_WinTms"
        self._enable: Final = "WMaxLimPctEna" if is_der else "WMaxLim_Ena"
        self._reverted: Final = ("WMaxLimPctRvrt", "WMaxLimPctEnaRvrt") if is_der else None

    def models(self) -> frozenset[int]:
        """See `Steering`."""
        return frozenset({self._model, self._basis})

    def timed(self, image: Image) -> bool:
        """See `Steering`."""
        return has(image.find(self._model), self._timer)

    def is_ours(self, image: Image) -> bool:
        """See `Steering`. A limit that an installer sets is to last, and has no timer."""
        model = image.find(self._model)
        return model is not None and self.timed(image) and model.whole(self._timer) == TIMER_S

    def wanted(self, image: Image, command: Effective, failsafe: Ceilings) -> list[Wanted]:
        """See `Steering`."""
        model, most_w = image.find(self._model), self._most_w(image)
        if model is None or not most_w:
            raise ValueError("the power that percent are counted of is not known")
        if command.produce_max_w >= most_w * (1 - _DUST):
            return [Wanted(self._model, [{self._enable: OFF}], released=True)]
        values = {self._percent: _percent(model, self._percent, command.produce_max_w, most_w)}
        if has(model, self._delay):
            values[self._delay] = 0  # a random delay is for a whole street, not for a house
        if self.timed(image):
            values[self._timer] = TIMER_S
        if self._reverted is not None:
            values |= self._after(model, most_w, failsafe.produce_max_w)
        return [Wanted(self._model, [values, {self._enable: ON}])]

    def _after(self, model: Model, most_w: float, failsafe_w: float) -> dict[str, int]:
        """What is left when the timer has run out: the failsafe limit."""
        assert self._reverted is not None  # noqa: S101  asked for where it is there
        percent, enable = self._reverted
        if not (has(model, percent) and has(model, enable)):
            return {}
        if not isfinite(failsafe_w) or failsafe_w >= most_w:
            return {enable: OFF}
        return {percent: _percent(model, percent, failsafe_w, most_w), enable: ON}

    def _most_w(self, image: Image) -> float | None:
        told = number(image.find(self._basis), "WMax")
        return told or number(image.find(702 if self._model == 704 else 120), self._nameplate)

    @property
    def _nameplate(self) -> str:
        return "WMaxRtg" if self._model == 704 else "WRtg"


class PowerSetpoint:
    """The set-point of an AC battery: 704. Positive is generation there."""

    def models(self) -> frozenset[int]:
        """See `Steering`."""
        return frozenset({704})

    def timed(self, image: Image) -> bool:
        """See `Steering`."""
        return has(image.find(704), "WSetRvrtTms")

    def is_ours(self, image: Image) -> bool:
        """See `Steering`."""
        model = image.find(704)
        return model is not None and model.whole("WSetRvrtTms") == TIMER_S

    def wanted(self, image: Image, command: Effective, failsafe: Ceilings) -> list[Wanted]:  # noqa: ARG002
        """See `Steering`. When the timer has run out, the battery goes its own way."""
        model = image.find(704)
        scale = None if model is None else model.scale("WSet")
        if model is None or scale is None:
            raise ValueError("the scale of set-points is not known")
        power_w = command.power_w or 0.0
        values = {"WSetMod": WATTS, "WSet": toward_zero(-power_w, scale)}
        timer = {"WSetRvrtTms": TIMER_S}
        if has(model, "WSetEnaRvrt"):
            timer["WSetEnaRvrt"] = OFF
        return [Wanted(704, [values, timer, {"WSetEna": ON}])]


def limit_of(image: Image) -> PercentLimit | None:
    """How the inverter is limited; None where it cannot be."""
    for number_ in (704, 123):
        steering = PercentLimit(number_)
        model = image.find(number_)
        if has(model, "WMaxLimPct") and model is not None and model.scale("WMaxLimPct") is not None:
            try:
                steering.wanted(image, Effective(produce_max_w=0.0), Ceilings())
            except ValueError:
                continue
            return steering
    return None


def setpoint_of(image: Image) -> tuple[PowerSetpoint, float] | None:
    """How a battery is given a set-point, and how fine, in W; None where it cannot be.

    A battery that would keep its last set-point for ever gets none (MAP-004).
    """
    steering = PowerSetpoint()
    model = image.find(704)
    scale = None if model is None else model.scale("WSet")
    if model is None or scale is None or not (steering.timed(image) and has(model, "WSet")):
        return None
    return steering, max(1.0, 10.0**scale)


def holds(model: Model, wanted: Wanted) -> bool:
    """Whether a model holds what is wanted of it."""
    return all(model.whole(name) == raw for name, raw in wanted.points.items())


def writes(model: Model, step: dict[str, int]) -> list[tuple[int, list[int]]]:
    """The requests of one step: offset from the model's id, and registers; points side by side go together.

    Raises:
        ValueError: A point cannot hold its value.
    """
    found: list[tuple[int, list[int]]] = []
    for name in sorted(step, key=model.place):
        at, _ = model.place(name)
        registers = model.registers_of(name, step[name])
        if found and found[-1][0] + len(found[-1][1]) == at:
            found[-1][1].extend(registers)
        else:
            found.append((at, registers))
    return found


def has(model: Model | None, name: str) -> bool:
    """Whether a device implements a point."""
    return model is not None and name in model and model.whole(name) is not None


def toward_zero(value: float, scale: int) -> int:
    """A scaled value as it stands in the register, rounded so that it never asks for more."""
    raw = value / 10.0**scale
    return floor(raw + _DUST) if raw >= 0 else ceil(raw - _DUST)


def _percent(model: Model, name: str, limit_w: float, most_w: float) -> int:
    """A limit in percent, rounded downwards: towards the limit."""
    scale = model.scale(name)
    if scale is None:
        raise ValueError(f"{name} has no scale factor")
    return toward_zero(100.0 * max(0.0, limit_w) / most_w, scale)
