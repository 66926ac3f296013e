"""An inverter (101 to 103, 111 to 113, or 701) as one element."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.image import CONDUCTORS, PHASES, Image, Options, number, power_w
from ores.adapters.sunspec.points import Model
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    AcTerminal,
    ElementState,
    EnergyCapability,
    Fault,
    LimitCapability,
    Produce,
    ProduceCapability,
    Rating,
)
from ores.module import element

INVERTERS: Final = (701, 103, 102, 101, 113, 112, 111)
"""In the order in which they are preferred, where a device has several."""
DER: Final = 701
_CONNECTIONS: Final = ("single_phase", "split_phase", "three_phase")
CODES_MAX: Final = 8


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
        self._address: Final = address
        model = image.at(address)
        self._is_der: Final = model.definition.id == DER
        self._is_source: Final = source
        self._rating_w: Final = produce_max_w(image)
        phases = _phases(model)
        connection: str = _CONNECTIONS[phases - 1]
        self._lines: Final = CONDUCTORS[:phases] if phases > 1 else tuple(filter(None, [options.conductor]))
        counted = ("TotWhAbs", "TotWhInj") if self._is_der else ("", "WH")
        self.counters: Final = Counters(*counted, self._rating_w)
        rating = UNSET if self._rating_w is None else Rating(produce_max_w=self._rating_w)
        self.element: Final = element(
            "inverter",
            "inverter",
            bus="grid",
            connection=connection,
            terminals=self._lines or UNSET,
            ac_measure=AcMeasureCapability(),
            energy=EnergyCapability(),
            rating=rating,
            limit=LimitCapability(produce=True) if limited else UNSET,
            produce=ProduceCapability() if source else UNSET,
        )

    def read(self, image: Image) -> ElementState:
        """Power into the inverter: negative when the sun shines."""
        model = image.at(self._address)
        total_w = power_w(model, "W", self._rating_w, sign=-1.0)
        measure = AcMeasure(
            power_w=total_w,
            reactive_power_var=power_w(model, "Var", None, sign=-1.0) if self._is_der else UNSET,
            frequency_hz=number(model, "Hz", least=40.0, most=70.0),
            terminals={line: self._terminal(model, line) for line in self._lines} or UNSET,
        )
        return ElementState(
            ac_measure=measure,
            energy=self.counters.read(model, image.utc_s),
            produce=Produce(available_w=_available_w(model, total_w)) if self._is_source else UNSET,
            fault=fault(model),
            quality="bad" if total_w is None else UNSET,
        )

    def _terminal(self, model: Model, line: str) -> AcTerminal:
        """One conductor. Models before 701 know no power for each of them, and currents without a sign."""
        at = 0 if len(self._lines) == 1 else CONDUCTORS.index(line)
        if self._is_der:
            return AcTerminal(
                power_w=power_w(model, f"WL{at + 1}", self._rating_w, sign=-1.0),
                current_a=_magnitude(number(model, f"AL{at + 1}", least=-10_000.0, most=10_000.0)),
                voltage_v=number(model, f"VL{at + 1}", most=2_000.0),
            )
        return AcTerminal(
            current_a=number(model, f"Aph{PHASES[at]}", most=10_000.0),
            voltage_v=number(model, f"PhVph{PHASES[at]}", most=2_000.0),
        )


def fault(model: Model) -> Fault:
    """What the device says is wrong; the codes are SunSpec's names of events, in lower case."""
    events = (model.bits("Alrm") if "Alrm" in model else model.bits("Evt1")) or frozenset()
    codes = sorted(name.lower() for name in events)[:CODES_MAX]
    state = model.symbol("InvSt" if "InvSt" in model else "St")
    if state == "FAULT" and not codes:
        codes = ["device_fault"]
    return Fault(codes=codes)


def _available_w(model: Model, total_w: float | None) -> float | None:
    """What the sun could give, >= 0: known only where nothing holds it back (CAP-011)."""
    state = model.symbol("InvSt" if "InvSt" in model else "St")
    if state in {"SLEEPING", "OFF"}:
        return 0.0 if state == "SLEEPING" else None
    if state not in {"MPPT", "RUNNING"} or total_w is None:
        return None
    return max(0.0, -total_w)


def _phases(model: Model) -> int:
    if model.definition.id != DER:
        return model.definition.id % 10
    kind = model.whole("ACType")
    return 1 if kind is None or kind > 2 else kind + 1


def _magnitude(value: float | None) -> float | None:
    return None if value is None else abs(value)
