"""What was read of a device in one round, and what a person has said about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import msgspec

from ores.adapters.sunspec.definitions import definitions
from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.points import Model, Values
from ores.adapters.sunspec.walk import Placed
from ores.model import Element, ElementState

CONDUCTORS: Final = ("L1", "L2", "L3")
PHASES: Final = ("A", "B", "C")
"""What SunSpec calls them."""
PLAUSIBLE: Final = 2.0
"""Times its rating: no device has more, but a scale factor that was read wrong makes ten times as much."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the device cannot tell.

    Attributes:
        control: Its owner lets it be commanded; otherwise it is only read.
        connection_point: Its meter stands at the grid connection point.
        turned: Its meter is mounted the other way round: power and counters are turned.
        power_turned: Its meter shows import as negative, and counts it as import.
        conductor: Where a device with one phase is connected; empty where nobody has said.
        capacity_wh: Usable, of a store that does not tell; None where nobody has said.
    """

    control: bool = False
    connection_point: bool = False
    turned: bool = False
    power_turned: bool = False
    conductor: str = ""
    capacity_wh: float | None = None


class Image:
    """The models of a device, as they were read last.

    Args:
        placed: The chain.
        registers: By address of the model; what is missing has not been read.
        utc_s: Wall time of the reading.
    """

    def __init__(
        self, placed: Sequence[Placed], registers: Mapping[int, Sequence[int]], utc_s: float = 0.0
    ) -> None:
        known = definitions()
        self.utc_s: Final = utc_s
        self.models: Final = {
            one.address: Model(known[one.id], registers[one.address])
            for one in placed
            if one.id in known and one.address in registers
        }

    def at(self, address: int) -> Model:
        """The model at an address of the chain."""
        return self.models[address]

    def address_of(self, model: Model) -> int:
        """Where a model of this image stands."""
        return next(address for address, one in self.models.items() if one is model)

    def find(self, *ids: int) -> Model | None:
        """The first model of the first of these ids that is there."""
        for number in ids:
            for model in self.models.values():
                if model.definition.id == number:
                    return model
        return None


class View(Protocol):
    """One element, made from models."""

    @property
    def element(self) -> Element:
        """Its description."""
        ...

    @property
    def counters(self) -> Counters:
        """Of its energy."""
        ...

    def read(self, image: Image) -> ElementState:
        """What the models say of it now."""
        ...


def number(model: Values | None, name: str, *, least: float = 0.0, most: float = 1e6) -> float | None:
    """A quantity within a range; None where there is no such model, point or value.

    Args:
        model: Where to look.
        name: Of the point.
        least: What is below it is no value.
        most: What is above it is no value.
    """
    if model is None or name not in model:
        return None
    value = model.number(name)
    return value if value is not None and least <= value <= most else None


def power_w(model: Values, name: str, rating_w: float | None, *, sign: float) -> float | None:
    """Active power, turned where SunSpec counts it the other way; None beyond what the device can have.

    Args:
        model: Where to look.
        name: Of the point.
        rating_w: Of the device; None where it is not known.
        sign: 1 where positive flows into the element there, −1 where out of it.
    """
    most_w = 1e6 if rating_w is None else PLAUSIBLE * rating_w
    value = number(model, name, least=-most_w, most=most_w)
    return None if value is None else sign * value + 0.0  # + 0.0 turns -0.0 into 0.0
