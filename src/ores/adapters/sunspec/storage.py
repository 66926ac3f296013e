"""A store: on AC with an inverter of its own (701 with 713 or 802), or behind the inverter of a hybrid."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, UnsetType

from ores.adapters.sunspec.ac import AcSide, fault
from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.image import Image, Options, number, power_w
from ores.adapters.sunspec.inverter import MPPT, produce_max_w, store_directions
from ores.adapters.sunspec.inverter import NAME as INVERTER
from ores.adapters.sunspec.points import Model
from ores.model import (
    DcMeasure,
    DcMeasureCapability,
    ElementState,
    Fault,
    LimitCapability,
    Rating,
    SetpointCapability,
    SetpointState,
    Storage,
    StorageCapability,
)
from ores.module import element

NAME: Final = "battery"
STORES: Final = (713, 802, 124)
"""In the order in which they are preferred."""
RESPONSE_S: Final = 5.0
"""From a command until 90 % of it is seen: a round to write, one to see it, and what the device takes."""


def capacity_wh(image: Image, options: Options) -> float | None:
    """Usable energy from empty to full, > 0; None where neither the device nor a person says it."""
    if options.capacity_wh:
        return options.capacity_wh
    battery = image.find(802)
    for model in (image.find(713), battery, image.find(120)):
        rated_wh = number(model, "WHRtg", most=1e9)
        if not rated_wh or model is None:
            continue
        if model is battery:
            low, high = _window(battery)
            return rated_wh * (high - low) / 100.0
        return rated_wh
    return None


def charge_max_w(image: Image) -> float | None:
    """What the store takes at most, >= 0; None where nothing says it."""
    return _least(
        number(image.find(702), "WChaRteMaxRtg"),
        number(image.find(702), "WChaRteMax"),
        number(image.find(120), "MaxChaRte"),
        number(image.find(124), "WChaMax"),
        number(image.find(802), "WChaRteMax"),
    )


def discharge_max_w(image: Image) -> float | None:
    """What the store gives at most, >= 0; None where nothing says it."""
    return _least(
        number(image.find(702), "WDisChaRteMaxRtg"),
        number(image.find(702), "WDisChaRteMax"),
        number(image.find(120), "MaxDisChaRte"),
        number(image.find(802), "WDisChaRteMax"),
        produce_max_w(image),
    )


def storage(image: Image) -> Storage:
    """What is in the store, by the first model that says it."""
    der, battery, basic = image.find(713), image.find(802), image.find(124)
    soh_pct = number(der, "SoH", most=100.0)
    if soh_pct is None:
        soh_pct = number(battery, "SoH", most=100.0)
    soc_pct = number(der, "SoC", most=100.0)
    if soc_pct is None:
        soc_pct = _stretched(battery)
    if soc_pct is None:
        soc_pct = number(basic, "ChaState", most=100.0)
    return Storage(soc_pct=soc_pct, soh_pct=UNSET if soh_pct is None else soh_pct)


class AcStoreView:
    """A battery with its own inverter, on the grid side.

    Args:
        address: Of model 701.
        image: As it was found.
        options: What the device does not say.
        step_w: How fine set-points are; None where it takes none.
    """

    def __init__(self, address: int, image: Image, options: Options, step_w: float | None) -> None:
        charge_w, discharge_w = charge_max_w(image), discharge_max_w(image)
        self._charge_w, self._discharge_w = charge_w, discharge_w
        most_w = None if charge_w is None or discharge_w is None else max(charge_w, discharge_w)
        self._ac: Final = AcSide(address, image, options, most_w)
        self._is_steered: Final = step_w is not None
        self.counters: Final = self._ac.counters
        capacity = capacity_wh(image, options)
        setpoint: SetpointCapability | UnsetType = UNSET
        rating: Rating | UnsetType = UNSET
        if charge_w is not None and discharge_w is not None:
            rating = Rating(consume_max_w=charge_w, produce_max_w=discharge_w)
            if step_w is not None:
                setpoint = SetpointCapability(
                    consume_max_w=charge_w,
                    produce_max_w=discharge_w,
                    response_s=RESPONSE_S,
                    step_w=step_w,
                )
        self.element: Final = self._ac.element(
            NAME,
            "battery",
            rating=rating,
            limit=UNSET if setpoint is UNSET else LimitCapability(consume=True, produce=True),
            setpoint=setpoint,
            storage=_capability(capacity, reserve=setpoint is not UNSET),
        )

    def read(self, image: Image) -> ElementState:
        """Power into the battery: positive while it charges."""
        model = self._ac.model(image)
        measure = self._ac.measure(image)
        has_storage = self.element.capabilities.storage is not UNSET
        inside = storage(image)
        return ElementState(
            ac_measure=measure,
            energy=self.counters.read(model, image.utc_s),
            setpoint=self._range(inside.soc_pct) if self._is_steered else UNSET,
            storage=inside if has_storage else UNSET,
            fault=_faults(model, image),
            quality="bad" if measure.power_w is None else UNSET,
        )

    def _range(self, soc_pct: float | None) -> SetpointState:
        """What it can do now: a full one takes nothing, and an empty one gives nothing."""
        full, empty = soc_pct is not None and soc_pct >= 100.0, soc_pct is not None and soc_pct <= 0.0
        return SetpointState(
            consume_max_w=0.0 if full else self._charge_w,
            produce_max_w=0.0 if empty else self._discharge_w,
        )


class DcStoreView:
    """The battery of a hybrid, behind its inverter.

    Args:
        image: As it was found.
        options: What the device does not say.
    """

    def __init__(self, image: Image, options: Options) -> None:
        charge_w, discharge_w = charge_max_w(image), discharge_max_w(image)
        self._most_w: Final = max(charge_w or 0.0, discharge_w or 0.0) or None
        self.counters: Final = Counters("", "", None)
        self.element: Final = element(
            NAME,
            "battery",
            bus="dc",
            upstream=INVERTER,
            connection="dc",
            dc_measure=DcMeasureCapability(),
            rating=UNSET
            if charge_w is None or discharge_w is None
            else Rating(consume_max_w=charge_w, produce_max_w=discharge_w),
            storage=_capability(capacity_wh(image, options), reserve=False),
        )

    def read(self, image: Image) -> ElementState:
        """Power into the battery, where one of the models tells its direction."""
        power = self._power_w(image)
        has_storage = self.element.capabilities.storage is not UNSET
        return ElementState(
            dc_measure=DcMeasure(power_w=power, voltage_v=number(image.find(802), "V", most=2_000.0)),
            storage=storage(image) if has_storage else UNSET,
            fault=_battery_fault(image),
            quality="bad" if power is None else UNSET,
        )

    def _power_w(self, image: Image) -> float | None:
        """By 160 where its modules are the two directions, else by 802 and what it says that it does."""
        strings = image.find(MPPT)
        if strings is not None:
            _, charging, discharging = store_directions(strings)
            members = strings.members("module")
            if charging and discharging:
                into = power_w(members[charging[0]], "DCW", self._most_w, sign=1.0)
                out = power_w(members[discharging[0]], "DCW", self._most_w, sign=1.0)
                return None if into is None or out is None else into - out
        battery = image.find(802)
        if battery is None:
            return None
        power = power_w(battery, "W", self._most_w, sign=1.0)
        directions = {"CHARGING": 1.0, "DISCHARGING": -1.0}
        sign = directions.get(battery.symbol("ChaSt") or "")
        if power is None or sign is None:
            return 0.0 if power == 0.0 else None
        return sign * abs(power)


def _capability(capacity: float | None, *, reserve: bool) -> StorageCapability | UnsetType:
    if not capacity:
        return UNSET
    return StorageCapability(capacity_wh=capacity, reserve_setting=True if reserve else UNSET)


def _window(battery: Model) -> tuple[float, float]:
    """Between which states of charge a battery is used, in % of its rated energy."""
    low, high = number(battery, "SoCMin", most=100.0), number(battery, "SoCMax", most=100.0)
    low, high = low or 0.0, 100.0 if high is None else high
    return (low, high) if low < high else (0.0, 100.0)


def _stretched(battery: Model | None) -> float | None:
    """State of charge of 802 as a share of what is used (CAP-012)."""
    soc_pct = number(battery, "SoC", most=100.0)
    if battery is None or soc_pct is None:
        return None
    low, high = _window(battery)
    return min(100.0, max(0.0, 100.0 * (soc_pct - low) / (high - low)))


def _faults(model: Model, image: Image) -> Fault:
    codes = [*fault(model).codes, *_battery_fault(image).codes]
    return Fault(codes=list(dict.fromkeys(codes))[:16])


def _battery_fault(image: Image) -> Fault:
    battery, der = image.find(802), image.find(713)
    if der is not None and der.symbol("Sta") == "ERROR":
        return Fault(codes=["device_fault"])
    events = frozenset[str]() if battery is None else battery.bits("Evt1") or frozenset()
    return Fault(codes=sorted(name.lower() for name in events)[:8])


def _least(*told: float | None) -> float | None:
    known = [watts for watts in told if watts]
    return min(known) if known else None
