"""Measuring, as devices do it: with their own rounding, on the conductors they hang on."""

from __future__ import annotations

from math import floor

from msgspec import UNSET

from ores.model import AcMeasure, AcTerminal, Energy
from ores.sim.physics.config import GRID
from ores.sim.plant import Plant

COUNTER_STEP_WH = 0.1


def rounded(value: float, step: float) -> float:
    """To the device's resolution; 0 is none."""
    return round(round(value / step) * step, 6) if step else value


def connection_of(lines: tuple[str, ...]) -> str:
    """The schema's word for these conductors."""
    return {1: "single_phase", 2: "split_phase", 3: "three_phase"}[len(lines)]


class AcMeter:
    """Measures one element of the plant.

    Args:
        plant: The home.
        name: The element's name in the physics.
        resolution_w: Of the reading.
        detailed: Whether each conductor is shown with current and voltage.
        bus: Whose voltage it sees.
    """

    def __init__(
        self,
        plant: Plant,
        name: str,
        *,
        resolution_w: float = 1.0,
        detailed: bool = False,
        bus: str = GRID,
    ) -> None:
        self._plant = plant
        self._bus = bus
        self._rows = plant.rows(name)
        self._resolution_w = resolution_w
        self._detailed = detailed
        self._net = plant.net_energy(name)
        conductors = tuple(c.upper() for c in plant.house.config.wiring.conductors)
        shares = plant.shares(name)
        used = [i for i in range(len(conductors)) if shares is None or shares[i] > 0]
        self.lines = tuple(conductors[i] for i in used)
        self._used = used
        self._shares = None if shares is None else [shares[i] for i in used]

    @property
    def power_w(self) -> float:
        """Over all conductors, unrounded; positive into the element."""
        return sum(self._plant.power_w[self._rows])

    def measure(self) -> AcMeasure:
        """The reading; a dark bus has no voltage and no power, and both are known."""
        step = self._resolution_w
        per_line = self._plant.power_w[self._rows]
        if self._shares is not None:
            per_line = [per_line[0] * share for share in self._shares]
        power_w = rounded(sum(per_line), step)
        if not self._detailed:
            return AcMeasure(power_w=power_w)
        volts = self._plant.volts(self._bus)
        terminals = {}
        for line, used, line_w in zip(self.lines, self._used, per_line, strict=True):
            line_v = volts[used]
            terminals[line] = AcTerminal(
                power_w=rounded(line_w, step),
                current_a=round(abs(line_w) / line_v, 2) if line_v else 0.0,
                voltage_v=round(line_v, 1),
            )
        frequency_hz = round(self._plant.hertz(self._bus), 3)
        return AcMeasure(power_w=power_w, frequency_hz=frequency_hz, terminals=terminals or UNSET)

    def energy(self) -> Energy:
        """Its counters."""
        return Energy(
            energy_in_wh=counter(self._net.in_wh), energy_out_wh=counter(self._net.out_wh), counter_epoch=0
        )


def counter(energy_wh: float) -> float:
    """A counter shows only whole steps that are complete, so that it never falls."""
    return round(floor(energy_wh / COUNTER_STEP_WH) * COUNTER_STEP_WH, 1)
