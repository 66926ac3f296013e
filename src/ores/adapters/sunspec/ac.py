"""The AC side of an inverter (101 to 103, 111 to 113, 701): where it is connected, and what flows there."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET

from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.image import CONDUCTORS, PHASES, Image, Options, number, power_w
from ores.adapters.sunspec.points import Model
from ores.model import AcMeasure, AcMeasureCapability, AcTerminal, Element, EnergyCapability, Fault
from ores.module import element

INVERTERS: Final = (701, 103, 102, 101, 113, 112, 111)
"""In the order in which they are preferred, where a device has several."""
DER: Final = 701
CODES_MAX: Final = 8
_CONNECTIONS: Final = ("single_phase", "split_phase", "three_phase")


class AcSide:
    """What all inverters share.

    Args:
        address: Of the model.
        image: As it was found.
        options: What the device does not say.
        rating_w: The most that can flow in either direction; None where it is not known.
    """

    def __init__(self, address: int, image: Image, options: Options, rating_w: float | None) -> None:
        self._address: Final = address
        self._rating_w: Final = rating_w
        model = image.at(address)
        self.model_id: Final = model.definition.id
        self._is_der: Final = self.model_id == DER
        phases = _phases(model)
        self.connection: Final[str] = _CONNECTIONS[phases - 1]
        alone = (options.conductor,) if options.conductor else ()
        self.lines: Final = CONDUCTORS[:phases] if phases > 1 else alone
        counted = ("TotWhAbs", "TotWhInj") if self._is_der else ("", "WH")
        self.counters: Final = Counters(*counted, rating_w)

    def element(self, name: str, kind: str, **more: Any) -> Element:
        """The device as an element on the grid side: measured and counted, and `more` as the SDK takes it."""
        return element(
            name,
            kind,
            bus="grid",
            connection=self.connection,
            terminals=self.lines or UNSET,
            ac_measure=AcMeasureCapability(),
            energy=EnergyCapability(),
            **more,
        )

    def model(self, image: Image) -> Model:
        """The model that all of this is read from."""
        return image.at(self._address)

    def measure(self, image: Image) -> AcMeasure:
        """Power into the device: SunSpec counts what it gives as positive."""
        model = self.model(image)
        return AcMeasure(
            power_w=power_w(model, "W", self._rating_w, sign=-1.0),
            reactive_power_var=power_w(model, "Var", None, sign=-1.0) if self._is_der else UNSET,
            frequency_hz=number(model, "Hz", least=40.0, most=70.0),
            terminals={line: self._terminal(model, line) for line in self.lines} or UNSET,
        )

    def _terminal(self, model: Model, line: str) -> AcTerminal:
        """One conductor. Models before 701 know no power for each of them, and currents without a sign."""
        at = 0 if len(self.lines) == 1 else CONDUCTORS.index(line)
        if not self._is_der:
            return AcTerminal(
                current_a=number(model, f"Aph{PHASES[at]}", most=10_000.0),
                voltage_v=number(model, f"PhVph{PHASES[at]}", most=2_000.0),
            )
        current_a = number(model, f"AL{at + 1}", least=-10_000.0, most=10_000.0)
        return AcTerminal(
            power_w=power_w(model, f"WL{at + 1}", self._rating_w, sign=-1.0),
            current_a=None if current_a is None else abs(current_a),
            voltage_v=number(model, f"VL{at + 1}", most=2_000.0),
        )


def state(model: Model) -> str | None:
    """What the inverter says that it does; 101 and 701 have the same words, and other numbers for them."""
    return model.symbol("InvSt" if "InvSt" in model else "St")


def fault(model: Model) -> Fault:
    """What the device says is wrong; the codes are SunSpec's names of events, in lower case."""
    events = model.bits("Alrm" if "Alrm" in model else "Evt1") or frozenset()
    codes = sorted(name.lower() for name in events)[:CODES_MAX]
    return Fault(codes=codes or (["device_fault"] if state(model) == "FAULT" else []))


def _phases(model: Model) -> int:
    if model.definition.id != DER:
        return model.definition.id % 10
    kind = model.whole("ACType")
    if kind in {0, 1, 2}:
        return kind + 1
    # the example that pysunspec2 ships has 3, which is none of the three: count the conductors
    return max(1, sum(model.whole(f"WL{line}") is not None for line in (1, 2, 3)))
