"""Which elements a SunSpec device is shown as, by chapter 11.2. Pure: models in, views out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import UNSET

from ores.adapters.sunspec.ac import DER, INVERTERS
from ores.adapters.sunspec.control import Steering, limit_of, setpoint_of
from ores.adapters.sunspec.image import Image, Options, View
from ores.adapters.sunspec.inverter import MPPT, InverterView, StringView, store_directions
from ores.adapters.sunspec.meter import METERS, MeterView
from ores.adapters.sunspec.points import Model
from ores.adapters.sunspec.storage import STORES, AcStoreView, DcStoreView
from ores.adapters.sunspec.walk import FIRST
from ores.link.errors import ConfigError
from ores.module import About

LOCAL: Final = 715
PV_PORT: Final = "PV"


class Mapped(msgspec.Struct, frozen=True):
    """A device as it is shown.

    Attributes:
        views: One for each element, in their order.
        steering: How elements are commanded, by id; those that are not are only read.
        read: Ids of the models that have to be read in each round.
        profiles: Of the registry, that the module claims.
    """

    views: Sequence[View]
    steering: Mapping[str, Steering]
    read: frozenset[int]
    profiles: tuple[str, ...]


def mapped(image: Image, options: Options) -> Mapped:
    """Find what can be shown of a device.

    Raises:
        ConfigError: There is nothing, or an option does not fit it.
    """
    views, steering, read = _generator(image, options)
    meters = [at for at, model in image.models.items() if model.definition.id in METERS]
    for which, address in enumerate(meters):
        name = "meter" if which == 0 else f"meter_{which + 1}"
        first = msgspec.structs.replace(options, connection_point=options.connection_point and which == 0)
        views.append(MeterView(name, address, image.at(address), first))
        read.add(image.at(address).definition.id)
    if not views:
        ids = ", ".join(str(model.definition.id) for model in image.models.values())
        raise ConfigError("device", found=f"models {ids}", allowed="one with an inverter, a meter or a store")
    if options.connection_point and not meters:
        raise ConfigError("connection-point", found="a device without a meter", allowed="a meter")
    if options.control and not steering:
        raise ConfigError(
            "control", found="a device that takes no commands", allowed="only without --control"
        )
    read |= {LOCAL} if image.find(LOCAL) is not None else set()
    for one in steering.values():
        read |= one.models()
    return Mapped(views, steering, frozenset(read), _profiles(views))


def about(image: Image, name: str, profiles: tuple[str, ...]) -> About:
    """What the device says of itself.

    Args:
        image: With model 1.
        name: What its owner calls it; empty for what is on its label.
        profiles: That the module claims.
    """
    common = image.find(FIRST)
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


def _generator(image: Image, options: Options) -> tuple[list[View], dict[str, Steering], set[int]]:
    """An inverter with all that is behind it; nothing where there is none."""
    inverter = image.find(*INVERTERS)
    if inverter is None:
        return [], {}, set()
    address = image.address_of(inverter)
    stores = {number for number in STORES if _says_anything(image.find(number))}
    read = {inverter.definition.id, *stores}
    if stores and inverter.definition.id == DER and not _has_sun(image):
        setpoint = setpoint_of(image) if options.control else None
        store = AcStoreView(address, image, options, None if setpoint is None else setpoint[1])
        if setpoint is None or store.element.capabilities.setpoint is UNSET:
            return [store], {}, read
        return [store], {store.element.id: setpoint[0]}, read
    limit = limit_of(image) if options.control else None
    view = InverterView(address, image, options, limited=limit is not None, source=not stores)
    views: list[View] = [view, *_strings(image, source=bool(stores))]
    if stores:
        views.append(DcStoreView(image, options))
    if len(views) > 1:
        read.add(MPPT)
    return views, {} if limit is None else {view.element.id: limit}, read


def _strings(image: Image, *, source: bool) -> list[View]:
    model = image.find(MPPT)
    if model is None:
        return []
    strings, _, _ = store_directions(model)
    address = image.address_of(model)
    return [
        StringView(f"string_{at + 1}", address, which, image, source=source)
        for at, which in enumerate(strings)
    ]


def _says_anything(store: Model | None) -> bool:
    """Whether there is a store: devices without one carry its model all the same, with nothing in it."""
    points = ("SoC", "WHRtg", "ChaState", "WChaMax")
    return store is not None and any(name in store and store.number(name) for name in points)


def _has_sun(image: Image) -> bool:
    """Whether strings are behind an inverter with a store, so that it is a hybrid."""
    if image.find(MPPT) is not None:
        return True
    ports = image.find(714)
    return ports is not None and any(port.symbol("PrtTyp") == PV_PORT for port in ports.members("Prt"))


def _profiles(views: Sequence[View]) -> tuple[str, ...]:
    """Profiles whose core the elements have; a hybrid has no port that could be read, and claims none."""
    able = {view.element.id: view.element.capabilities for view in views}
    found: list[str] = []
    if "inverter" in able and able["inverter"].limit is not UNSET:
        found.append("gateway")
        if able["inverter"].produce is not UNSET:
            found.append("micro_inverter")
    battery = able.get("battery")
    if battery is not None and battery.setpoint is not UNSET and battery.storage is not UNSET:
        found.append("storage")
    if "meter" in able:
        found.append("meter")
    return tuple(found)
