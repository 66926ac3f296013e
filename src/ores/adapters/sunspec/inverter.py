"""An inverter as one element, and its strings (160, 714) as one each."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from ores.adapters.sunspec.ac import AcSide, fault, state
from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.image import Image, Options, number, power_w
from ores.adapters.sunspec.points import Model, Values
from ores.model import (
    DcMeasure,
    DcMeasureCapability,
    ElementState,
    EnergyCapability,
    LimitCapability,
    Produce,
    ProduceCapability,
    Rating,
)
from ores.module import element

NAME: Final = "inverter"
MPPT: Final = 160


def produce_max_w(image: Image) -> float | None:
    """What the inverter can give at most, >= 0: its nameplate, or its setting where that is lower."""
    der, nameplate, settings = image.find(702), image.find(120), image.find(121)
    told = (
        number(der, "WMaxRtg"),
        number(der, "WMax"),
        number(nameplate, "WRtg"),
        number(settings, "WMax"),
    )
    known = [watts for watts in told if watts]
    return min(known) if known else None


class InverterView:
    """One inverter.

    Args:
        address: Of its model.
        image: As it was found.
        options: What the device does not say.
        limited: It takes limits.
        source: It has no store behind it, so that all that it gives is the sun's, and told here (CAP-020).
    """

    def __init__(self, address: int, image: Image, options: Options, *, limited: bool, source: bool) -> None:
        rating_w = produce_max_w(image)
        self._ac: Final = AcSide(address, image, options, rating_w)
        self._is_source: Final = source
        self.counters: Final = self._ac.counters
        self.element: Final = self._ac.element(
            NAME,
            "inverter",
            rating=UNSET if rating_w is None else Rating(produce_max_w=rating_w),
            limit=LimitCapability(produce=True) if limited else UNSET,
            produce=ProduceCapability() if source else UNSET,
        )

    def read(self, image: Image) -> ElementState:
        """Power into the inverter: negative when the sun shines."""
        model = self._ac.model(image)
        measure = self._ac.measure(image)
        return ElementState(
            ac_measure=measure,
            energy=self.counters.read(model, image.utc_s),
            produce=_produce(state(model), measure.power_w) if self._is_source else UNSET,
            fault=fault(model),
            quality="bad" if measure.power_w is None else UNSET,
        )


class StringView:
    """One string of an inverter, by model 160.

    Args:
        name: Id of the element.
        address: Of the model.
        which: Of its modules, from 0.
        image: As it was found.
        source: The sun is told here, and not at the inverter (CAP-020).
    """

    def __init__(self, name: str, address: int, which: int, image: Image, *, source: bool) -> None:
        self._address, self._which = address, which
        self._is_source: Final = source
        self._rating_w: Final = produce_max_w(image)
        self.counters: Final = Counters("", "DCWH", self._rating_w)
        self._counts: Final = self._values(image.at(address)).number("DCWH") is not None
        self.element: Final = element(
            name,
            "pv",
            bus="dc",
            upstream=NAME,
            connection="dc",
            dc_measure=DcMeasureCapability(),
            energy=EnergyCapability() if self._counts else UNSET,
            produce=ProduceCapability() if source else UNSET,
        )

    def read(self, image: Image) -> ElementState:
        """Power into the string: negative when the sun shines."""
        values = self._values(image.at(self._address))
        power = power_w(values, "DCW", self._rating_w, sign=-1.0)
        current_a = number(values, "DCA", most=10_000.0)
        return ElementState(
            dc_measure=DcMeasure(
                power_w=power,
                current_a=None if current_a is None else 0.0 - current_a,
                voltage_v=number(values, "DCV", most=2_000.0),
            ),
            energy=self.counters.read(values, image.utc_s) if self._counts else UNSET,
            produce=_produce(values.symbol("DCSt"), power) if self._is_source else UNSET,
            quality="bad" if power is None else UNSET,
        )

    def _values(self, model: Model) -> Values:
        members = model.members("module")
        return members[self._which] if self._which < len(members) else Model(model.definition, ())


def store_directions(model: Model) -> tuple[list[int], list[int], list[int]]:
    """Which modules of a model 160 are strings, which the battery's charging, which its discharging.

    Hybrids name the latter two `StCha` and `StDisCha`; nothing else tells them apart from strings.
    """
    strings: list[int] = []
    charging: list[int] = []
    discharging: list[int] = []
    for which, values in enumerate(model.members("module")):
        name = (values.text("IDStr") or "").lower()
        (discharging if "discha" in name else charging if "cha" in name else strings).append(which)
    return strings, charging, discharging


def _produce(said: str | None, power: float | None) -> Produce:
    """What the sun could give, >= 0: known only where nothing holds it back (CAP-011)."""
    if said == "SLEEPING":
        return Produce(available_w=0.0)
    if said not in {"MPPT", "RUNNING"} or power is None:
        return Produce(available_w=None)
    return Produce(available_w=max(0.0, -power))
