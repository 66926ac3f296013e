"""Which elements a SunSpec device is shown as, by chapter 11.2. Pure: models in, views out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from ores.adapters.sunspec.image import Image, Options, View
from ores.adapters.sunspec.inverter import INVERTERS, InverterView
from ores.adapters.sunspec.meter import METERS, MeterView
from ores.link.errors import ConfigError
from ores.module import About

COMMON: Final = 1


class Mapped(msgspec.Struct, frozen=True):
    """A device as it is shown.

    Attributes:
        views: One for each element, in their order.
        read: Ids of the models that have to be read in each round.
        profiles: Of the registry, that the module claims.
    """

    views: Sequence[View]
    read: frozenset[int]
    profiles: tuple[str, ...]


def mapped(image: Image, options: Options) -> Mapped:
    """Find what can be shown of a device.

    Raises:
        ConfigError: There is nothing, or an option does not fit it.
    """
    views: list[View] = []
    read: set[int] = set()
    profiles: list[str] = []
    if (inverter := image.find(*INVERTERS)) is not None:
        views.append(InverterView(image.address_of(inverter), image, options, limited=False, source=True))
        read.add(inverter.definition.id)
    meters = [at for at, model in image.models.items() if model.definition.id in METERS]
    for which, address in enumerate(meters):
        name = "meter" if which == 0 else f"meter_{which + 1}"
        first = msgspec.structs.replace(options, connection_point=options.connection_point and which == 0)
        views.append(MeterView(name, address, image.at(address), first))
        read.add(image.at(address).definition.id)
    if meters:
        profiles.append("meter")
    if not views:
        ids = ", ".join(str(model.definition.id) for model in image.models.values())
        raise ConfigError(
            "device", found=f"the models {ids}", allowed="one with an inverter, a meter or a store"
        )
    if options.connection_point and not meters:
        raise ConfigError("connection-point", found="a device without a meter", allowed="a meter")
    return Mapped(views, frozenset(read), tuple(profiles))


def about(image: Image, name: str, profiles: tuple[str, ...]) -> About:
    """What the device says of itself.

    Args:
        image: With model 1.
        name: What its owner calls it; empty for what is on its label.
        profiles: That the module claims.
    """
    common = image.find(COMMON)
    told = {point: None if common is None else common.text(point) for point in ("Mn", "Md", "SN", "Vr")}
    model = told["Md"] or "SunSpec device"
    return About(
        name=name or model,
        maker=told["Mn"] or "unknown",
        model=model,
        serial=told["SN"] or "unknown",
        firmware_version=told["Vr"] or "unknown",
        profiles=profiles,
    )
