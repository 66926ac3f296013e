"""The truth about a home, step by step: energies, cost, whether physics balances, whether limits were kept.

Nothing here is known to the hub; it is what a run is judged by.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import msgspec

from ores.sim.physics.battery import AC, HYBRID
from ores.sim.physics.config import BACKUP, GRID
from ores.sim.plant import Plant

GRACE_S = 5.0
"""An excursion beyond an agreed limit must be over within 5 s (ENA Engineering Recommendation G100, export
limitation schemes); what lasts longer is a violation."""
TOLERANCE_W = 25.0
BINDING_SHARE = 0.98


class Agreed(msgspec.Struct, frozen=True, kw_only=True):
    """What the home has agreed to; infinite where nothing is agreed.

    Attributes:
        import_max_w: At the connection point, >= 0.
        export_max_w: At the connection point, >= 0.
        fuse_a: Of each conductor.
        circuit_max_a: Of a circuit's conductor, by its name in the physics.
        price_per_kwh: Of import.
        export_price_per_kwh: Of export.
    """

    import_max_w: float = inf
    export_max_w: float = inf
    fuse_a: float = inf
    circuit_max_a: dict[str, float] = {}
    price_per_kwh: float = 0.30
    export_price_per_kwh: float = 0.08


class Watch:
    """One limit: how long it bound, how often and how far it was exceeded for longer than the grace.

    Args:
        limit: In the unit of the value.
        tolerance: Added to it before anything counts; the resolution of meters.
    """

    def __init__(self, limit: float, tolerance: float) -> None:
        self.limit = limit
        self.binding_s = 0.0
        self.violations = 0
        self.beyond_s = 0.0
        self.worst = 0.0
        self._tolerance = tolerance
        self._since_s = 0.0

    def see(self, value: float, step_s: float, *, binds: bool = False) -> None:
        """Count one step.

        Args:
            value: What flowed.
            step_s: For how long.
            binds: That something was held back for this limit, even if the value stayed below it.
        """
        if binds or value >= BINDING_SHARE * self.limit > 0:
            self.binding_s += step_s
        if value <= self.limit + self._tolerance:
            self._since_s = 0.0
            return
        before_s, self._since_s = self._since_s, self._since_s + step_s
        if self._since_s > GRACE_S:
            self.beyond_s += step_s
            self.worst = max(self.worst, value - self.limit)
            if before_s <= GRACE_S:
                self.violations += 1


class Ledger:
    """Keeps the books of one home.

    Args:
        plant: The home.
        agreed: Its limits and prices.
    """

    def __init__(self, plant: Plant, agreed: Agreed) -> None:
        self.agreed = agreed
        self._plant = plant
        self._grid = plant.net_energy("grid")
        self._volts = plant.house.config.wiring.voltage_v
        self._lines = range(len(plant.house.config.wiring.conductors))
        self._grid_rows = plant.rows("grid")
        self.balance_error = 0.0
        self.watches = self._watches()
        self._on_grid = self._shares_of(GRID)
        self._on_backup = self._shares_of(BACKUP)
        self._stored_before_wh = self._stored_wh()

    def _watches(self) -> dict[str, Watch]:
        agreed = self.agreed
        watches = {
            "import": Watch(agreed.import_max_w, TOLERANCE_W),
            "export": Watch(agreed.export_max_w, TOLERANCE_W),
        }
        conductors = self._plant.house.config.wiring.conductors
        watches |= {f"fuse_{c}": Watch(agreed.fuse_a, TOLERANCE_W / self._volts) for c in conductors}
        circuits = agreed.circuit_max_a.items()
        watches |= {f"circuit_{name}": Watch(limit, TOLERANCE_W / self._volts) for name, limit in circuits}
        return watches

    def _shares_of(self, bus: str) -> list[tuple[int, list[float]]]:
        """Row and share per conductor of each element on a bus, to sum it independently of the physics."""
        rows = []
        for element in self._plant.house.layout.elements.values():
            if element.bus != bus:
                continue
            for offset, row in enumerate(range(element.rows.start, element.rows.stop)):
                own = [float(line == offset) for line in self._lines]
                rows.append((row, own if element.shares is None else list(element.shares)))
        return rows

    def record(self) -> None:
        """Book the step that has just been done."""
        power_w, step_s = self._plant.power_w, self._plant.house.step_s
        grid = power_w[self._grid_rows]
        net_w = sum(grid)
        watches = self.watches
        watches["import"].see(net_w, step_s)
        watches["export"].see(-net_w, step_s, binds=self._curtailed())
        for line, conductor in enumerate(self._plant.house.config.wiring.conductors):
            watches[f"fuse_{conductor}"].see(abs(grid[line]) / self._volts, step_s)
        for name in self.agreed.circuit_max_a:
            rows = self._plant.rows(name)
            share = max(self._plant.shares(name) or (1.0,))
            watches[f"circuit_{name}"].see(max(power_w[rows]) * share / self._volts, step_s)
        self.balance_error = max(
            self.balance_error, self._imbalance(self._on_grid, grid), self._imbalance(self._on_backup, None)
        )

    def _curtailed(self) -> bool:
        """Whether the sun gives less than it could because of a limit."""
        if self.agreed.export_max_w == inf:
            return False
        plant, home = self._plant, self._plant.home
        first = plant.rows("micro1") if plant.house.config.gateway.count else None
        if first is None:
            return False
        return bool(-plant.power_w[first.start] < 0.95 * float(plant.house.micro_available_w[home]) - 1.0)

    def _imbalance(self, bus: list[tuple[int, list[float]]], boundary: list[float] | None) -> float:
        """|Σ power| / Σ|power| over a bus, the worst conductor."""
        power_w = self._plant.power_w
        worst = 0.0
        for line in self._lines:
            total = size = 0.0
            for row, shares in bus:
                part = power_w[row] * shares[line]
                total += part
                size += abs(part)
            if boundary is not None:
                total -= boundary[line]
                size += abs(boundary[line])
            if size > 1.0:
                worst = max(worst, abs(total) / size)
        return worst

    def _stored_wh(self) -> list[float]:
        energy_wh = self._plant.house.stores.energy_wh
        return [float(energy_wh[row, self._plant.home]) for row in (AC, HYBRID)]

    @contextmanager
    def by_hand(self) -> Iterator[None]:
        """What happens to the stores inside is a scene change, not physics, and is not held against it."""
        before = self._stored_wh()
        yield
        changes = [after - was for after, was in zip(self._stored_wh(), before, strict=True)]
        self._stored_before_wh = [
            was + change for was, change in zip(self._stored_before_wh, changes, strict=True)
        ]

    def storage_error(self) -> float:
        """|Δstored − (∫terminal − named losses)| over what went through the terminals; the worse store."""
        house, home = self._plant.house, self._plant.home
        worst = 0.0
        after = self._stored_wh()
        for at, name, losses in (
            (0, "ac_battery", ("ac_battery_loss", "ac_battery_standby")),
            (1, "hybrid_battery", ("hybrid_battery_loss",)),
        ):
            into, out = house.energy_in_wh(name, home), house.energy_out_wh(name, home)
            lost = sum(house.energy_in_wh(loss, home) for loss in losses)
            change = after[at] - self._stored_before_wh[at]
            worst = max(worst, abs(change - (into - out - lost)) / max(1.0, into + out))
        return worst

    def summary(self) -> dict[str, object]:
        """Everything as plain numbers, for the one line at the end of a run."""
        plant, house, home = self._plant, self._plant.house, self._plant.home
        imported, exported = self._grid.in_wh / 1000.0, self._grid.out_wh / 1000.0
        loads = [c.name for c in (*house.config.circuits, house.config.unmetered)]
        used = {name: house.energy_in_wh(name, home) / 1000.0 for name in (*loads, "heat_pump", "car")}
        consumed = sum(used.values())
        micros = [f"micro{i + 1}" for i in range(house.config.gateway.count)]
        strings = [f"string{i + 1}" for i in range(len(house.config.hybrid.strings))]
        agreed = self.agreed
        return {
            "hours": round(plant.now_s / 3600.0, 6),
            "energy_kwh": {
                "grid": {"in": imported, "out": exported},
                "solar_gateway": {"out": sum(house.energy_out_wh(m, home) for m in micros) / 1000.0},
                "hybrid_solar": {"out": sum(house.energy_out_wh(s, home) for s in strings) / 1000.0},
                **{
                    name: {
                        "in": house.energy_in_wh(name, home) / 1000.0,
                        "out": house.energy_out_wh(name, home) / 1000.0,
                    }
                    for name in ("ac_battery", "hybrid_battery")
                },
                "car": {"in": used["car"]},
                "heat_pump": {"in": used["heat_pump"]},
                "panel": {"in": sum(used[c.name] for c in house.config.circuits)},
                "unmetered": {"in": used[house.config.unmetered.name]},
            },
            "consumption_kwh": consumed,
            "cost": imported * agreed.price_per_kwh - exported * agreed.export_price_per_kwh,
            "self_sufficiency": 1.0 - imported / consumed if consumed > 0 else None,
            "limit_violations": sum(watch.violations for watch in self.watches.values()),
            "limits": {
                name: {"binding_s": w.binding_s, "beyond_s": w.beyond_s, "worst": w.worst}
                for name, w in self.watches.items()
                if w.limit != inf
            },
            "energy_balance_error": self.balance_error,
            "storage_error": self.storage_error(),
        }
