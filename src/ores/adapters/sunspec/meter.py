"""A meter (201 to 204, 211 to 214) as one element."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from ores.adapters.signs import SignWatch
from ores.adapters.sunspec.energy import Counters
from ores.adapters.sunspec.image import CONDUCTORS, PHASES, Image, Options, number, power_w
from ores.adapters.sunspec.points import Model
from ores.model import AcMeasure, AcMeasureCapability, AcTerminal, ElementState, EnergyCapability, Fault
from ores.module import element

METERS: Final = (201, 202, 203, 204, 211, 212, 213, 214)
SIGN: Final = "power_contradicts_counters"
POWER_MAX_W: Final = 100_000.0
"""More does not flow through a meter of a home."""
_CONNECTIONS: Final = {
    1: ("single_phase", 1),
    2: ("split_phase", 2),
    3: ("three_phase", 3),
    4: ("three_phase", 3),
}
"""By the last digit of the model; 4 has no neutral."""


class MeterView:
    """One meter.

    Args:
        name: Id of the element.
        address: Of its model.
        model: As it was found.
        options: What the model does not say.
    """

    def __init__(self, name: str, address: int, model: Model, options: Options) -> None:
        self._address: Final = address
        self._sign: Final = -1.0 if options.turned != options.power_turned else 1.0
        connection, count = _CONNECTIONS[model.definition.id % 10]
        self._lines: Final = _lines(count, options.conductor)
        names = ("TotWhImp", "TotWhExp")
        counted = names if not options.turned else names[::-1]
        self.counters: Final = Counters(*counted, POWER_MAX_W)
        self._signs: Final = SignWatch()
        self.element: Final = element(
            name,
            "meter",
            bus="grid",
            connection=connection,
            terminals=self._lines or UNSET,
            ac_measure=AcMeasureCapability(connection_point=True if options.connection_point else UNSET),
            energy=EnergyCapability(),
        )

    def read(self, image: Image) -> ElementState:
        """Power over all conductors and on each of them; positive is towards the loads behind the meter."""
        model = image.at(self._address)
        total_w = power_w(model, "W", POWER_MAX_W / 2, sign=self._sign)
        terminals = {line: self._terminal(model, line) for line in self._lines}
        measure = AcMeasure(
            power_w=total_w,
            frequency_hz=number(model, "Hz", least=40.0, most=70.0),
            terminals=terminals or UNSET,
        )
        energy = self.counters.read(model, image.utc_s)
        turned = self._signs.look(total_w, energy, image.utc_s)
        return ElementState(
            ac_measure=measure,
            energy=energy,
            fault=Fault(codes=[SIGN] if turned else []),
            quality="bad" if total_w is None else UNSET,
        )

    def _terminal(self, model: Model, line: str) -> AcTerminal:
        """One conductor. With a single one the total is what flows there."""
        alone = len(self._lines) == 1
        phase = PHASES[0 if alone else CONDUCTORS.index(line)]
        line_w = power_w(model, f"Wph{phase}", POWER_MAX_W / 2, sign=self._sign)
        if alone and line_w is None:
            line_w = power_w(model, "W", POWER_MAX_W / 2, sign=self._sign)
        current_a = number(model, f"Aph{phase}", least=-10_000.0, most=10_000.0)
        return AcTerminal(
            power_w=line_w,
            current_a=None if current_a is None else abs(current_a),
            voltage_v=number(model, f"PhVph{phase}", most=2_000.0),
        )


def _lines(count: int, conductor: str) -> Sequence[str]:
    """Conductors; the one of a single phase only where a person has said which it is."""
    if count == 1:
        return [conductor] if conductor else []
    return CONDUCTORS[:count]
