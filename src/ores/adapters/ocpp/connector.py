"""One connector of a charger: what was said of it, and what holds of that now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.adapters.counters import Counter, KeptEnergy
from ores.adapters.ocpp.meter import LINES, Bounds, Sample, points
from ores.adapters.ocpp.orders import Order
from ores.adapters.ocpp.settings import Charger
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    AcTerminal,
    Element,
    ElementState,
    Energy,
    EnergyCapability,
    Ev,
    EvCapability,
    Fault,
    LimitCapability,
    Rating,
)
from ores.module import element

HOLD_SAMPLES, HOLD_LEAST_S = 3.0, 15.0
"""A reading holds so many periods of the charger's meter, and at least so long."""
LATE_S: Final = 120.0
"""What was measured longer ago, was kept while the charger was offline; it says nothing of now."""
DEVICE_FAULT: Final = "device_fault"
_PLUGGED: Final = {
    "Available": False,
    "Reserved": False,
    "Preparing": True,
    "Charging": True,
    "SuspendedEV": True,
    "SuspendedEVSE": True,
    "Finishing": True,
    "Occupied": True,
}
_OPEN: Final = frozenset({"Available", "Reserved", "Preparing", "Finishing"})
"""The charger says that it gives no energy (1.6, 4.9); then a meter that is silent is not missed."""
_ENERGIES: Final = ("energy_in_wh", "energy_out_wh")


class Kept(msgspec.Struct, frozen=True):
    """What to remember over a restart.

    Attributes:
        energy: Of its counters; None while nothing was counted.
        transaction: Under way; empty for none.
    """

    energy: KeptEnergy | None = None
    transaction: str = ""


class Connector:
    """Status, transaction, meter and orders of one connector.

    Args:
        number: From 1.
        settings: Of the charger.
        control: Whether it may be commanded.
        alone: It is the only one of its charger.
        kept: From before.
    """

    def __init__(
        self, number: int, settings: Charger, *, control: bool, alone: bool, kept: Kept | None
    ) -> None:
        self.number: Final = number
        self.id: Final = f"connector_{number}"
        self._settings: Final = settings
        lines = LINES if settings.phases == 3 else (settings.conductor or "L1",)
        w_per_a = settings.phases * settings.voltage_v
        self._bounds: Final = Bounds(lines, settings.rated_a, settings.rated_a * w_per_a, settings.voltage_v)
        self.element: Final = _element(self.id, self._bounds, settings, control=control)
        self.order: Final = (
            Order(
                self.id,
                number,
                whole_w_per_a=w_per_a,
                rated_a=settings.rated_a,
                min_a=settings.min_a,
                lease_s=settings.lease_s,
                alone=alone,
            )
            if control
            else None
        )
        self.status = ""
        self.error = ""
        self.transaction = "" if kept is None else kept.transaction
        energy = None if kept is None else kept.energy
        counters = [None, None] if energy is None else energy.counters
        self._epoch = 0 if energy is None else energy.epoch
        self._counters: Final = {
            point: Counter(one, range_wh=None, rating_w=self._bounds.power_max_w)
            for point, one in zip(_ENERGIES, counters, strict=True)
        }
        self._said: Final[dict[str, tuple[float, float]]] = {}
        self._told: Final[set[str]] = set()
        self.sampled_at_s = -inf
        self.hold_s: Final = max(HOLD_LEAST_S, HOLD_SAMPLES * settings.sample_s)

    def kept(self) -> Kept:
        """What to remember over a restart."""
        counters = [self._counters[point].kept for point in _ENERGIES]
        return Kept(KeptEnergy(counters, self._epoch), self.transaction)

    def says(self, status: str, error: str = "") -> None:
        """A status of OCPP, and what is wrong with the charger."""
        if status != "Occupied" or not _PLUGGED.get(self.status):  # else more is known already
            self.status = status
        self.error = error
        if _PLUGGED.get(status) is False:
            self._said.pop("soc_pct", None)
            self.transaction = ""  # whatever became of the word that it has ended

    def hear(self, samples: Sequence[Sample], now_s: float, utc_s: float, measured_s: float | None) -> None:
        """What the meter said.

        Args:
            samples: Of one instant.
            now_s: Process time.
            utc_s: Wall time.
            measured_s: Wall time at which it was measured, by the charger; None where it does not say.
        """
        found = points(samples, self._bounds)
        for point in _ENERGIES:
            if point in found:
                self._count(point, found.pop(point), now_s, utc_s)
        if measured_s is not None and utc_s - measured_s > LATE_S:
            return
        for point, value in found.items():
            self._said[point] = (value, now_s)
            self._told.add(point)
        if found:
            self.sampled_at_s = now_s
        if self.order is not None and "power_w" in found:
            self.order.measured(found["power_w"], now_s)

    def lost(self) -> None:
        """The charger is gone; what it said of the moment holds no more when it is back."""
        if self.order is not None:
            self.order.lost()

    def forget(self) -> None:
        """It is back, and has said nothing yet but what it counts."""
        for point in [one for one in self._said if one not in _ENERGIES]:
            del self._said[point]
        self.status = ""

    def state(self, now_s: float, period_s: float) -> ElementState:
        """What holds now."""
        values = {
            point: value
            for point, (value, at_s) in self._said.items()
            if point in _ENERGIES or now_s - at_s <= self.hold_s
        }
        plugged = _PLUGGED.get(self.status)
        quality: str | UnsetType = UNSET
        if "power_w" not in values and self.status in _OPEN:
            # its own word, and not its meter's
            values |= {point: 0.0 for point in self._told if point.startswith(("power_w", "current_a"))}
            values["power_w"], quality = 0.0, "estimated"
        elif "power_w" not in values:
            quality = "bad"
        elif now_s - self._said["power_w"][1] > period_s:
            quality = "estimated"  # it holds until another comes [FRESH-007]
        power_w = values.get("power_w")
        return ElementState(
            ac_measure=AcMeasure(power_w=power_w, terminals=self._terminals(values)),
            energy=Energy(
                energy_in_wh=values.get("energy_in_wh"),
                energy_out_wh=values.get("energy_out_wh"),
                counter_epoch=self._epoch,
            ),
            ev=Ev(
                connected=plugged,
                charging=None if plugged is None or self.status == "Occupied" else self.status == "Charging",
                soc_pct=values["soc_pct"] if plugged and "soc_pct" in values else UNSET,
            ),
            fault=Fault(codes=self._faults(now_s)),
            quality=quality,
        )

    def _terminals(self, values: Mapping[str, float]) -> dict[str, AcTerminal] | UnsetType:
        if self.element.terminals is UNSET:
            return UNSET
        return {line: AcTerminal(**self._on(line, values)) for line in self.element.terminals}

    def _on(self, line: str, values: Mapping[str, float]) -> dict[str, float | None]:
        """One conductor: what the charger tells of it; its power is not null where that of all is known."""
        found: dict[str, float | None] = {}
        for name in ("power_w", "current_a", "voltage_v"):
            point = f"{name}.{line}"
            if point in values or (point in self._told and not (name == "power_w" and "power_w" in values)):
                found[name] = values.get(point)
        return found

    def _faults(self, now_s: float) -> list[str]:
        codes = [] if self.order is None else self.order.faults(now_s)
        return [*codes, DEVICE_FAULT] if self.status == "Faulted" or self.error else codes

    def _count(self, point: str, raw_wh: float, now_s: float, utc_s: float) -> None:
        counter = self._counters[point]
        told_wh = counter.take(raw_wh, utc_s, self._epoch, max(int(utc_s), self._epoch + 1))
        if counter.kept is not None:
            self._epoch = max(self._epoch, counter.kept.epoch)
        if told_wh is not None:
            self._said[point] = (told_wh, now_s)


def _element(id_: str, bounds: Bounds, settings: Charger, *, control: bool) -> Element:
    known = settings.phases == 3 or settings.conductor
    return element(
        id_,
        "evse",
        bus="grid",
        terminals=list(bounds.lines) if known else UNSET,
        connection="three_phase" if settings.phases == 3 else "single_phase",
        ac_measure=AcMeasureCapability(),
        energy=EnergyCapability(),
        rating=Rating(
            consume_max_w=bounds.power_max_w,
            produce_max_w=0.0,
            current_max_a=settings.rated_a,
            voltage_v=settings.voltage_v,
        ),
        limit=LimitCapability(consume=True, current=True) if control else UNSET,
        ev=EvCapability(current_min_a=settings.min_a, current_max_a=settings.rated_a, step_a=0.1),
    )
