"""What hangs on which conductor of which bus, as one matrix.

Every element is one row of one power matrix, or one row per conductor where its split changes (car,
ports, grid). Power is positive into the element; at the grid, positive is import.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import BACKUP, GRID, HouseConfig

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Element:
    """Where an element stands in the power matrix.

    Attributes:
        name: E.g. "oven", "micro3", "ac_battery", "grid_port", "string1".
        bus: "grid", "backup", "utility" (the connection point per conductor), "meter" (`grid_net`, the same
            summed over the conductors, so that its counters net them), "dc" (in the hybrid), "tie" or "loss".
        rows: Its row, or one row per conductor.
        shares: Part on each conductor; None where rows are per conductor or the element has no conductors.
    """

    name: str
    bus: str
    rows: slice
    shares: tuple[float, ...] | None


@dataclass(frozen=True)
class Layout:
    """The rows of the power matrix and the matrix that closes both buses.

    Attributes:
        elements: By name, in row order.
        rows: Number of rows.
        summed: Number of leading rows that the closing matrix reads.
        closing: Shape (3 conductors + 1, summed): `backup_port`, `grid_port`, `grid` and `grid_net` from the
            rows above them.
        grid_side: Shape (conductors, summed): `grid` when the tie is open.
        on_backup: Per circuit and the unmetered rest (last), whether it hangs on the backup bus.
        backup_shares: Shape (conductors, circuits + 1): consumption of the backup bus per conductor.
    """

    elements: dict[str, Element]
    rows: int
    summed: int
    closing: Floats
    grid_side: Floats
    on_backup: NDArray[np.bool_]
    backup_shares: Floats

    def row(self, name: str) -> slice:
        """Rows of an element."""
        return self.elements[name].rows


def micro_shares(config: HouseConfig) -> tuple[tuple[float, ...], ...]:
    """Share vector of each micro-inverter; by default one conductor each, in turn."""
    count = len(config.wiring.conductors)
    if config.gateway.shares is not None:
        return config.gateway.shares
    return tuple(
        tuple(1.0 if c == i % count else 0.0 for c in range(count)) for i in range(config.gateway.count)
    )


def lay_out(config: HouseConfig) -> Layout:
    """Give every element its rows and build the matrix that sums the buses per conductor."""
    phases = len(config.wiring.conductors)
    balanced = (1.0 / phases,) * phases
    elements: dict[str, Element] = {}
    top = 0

    def add(name: str, bus: str, shares: tuple[float, ...] | None, rows: int = 1) -> None:
        nonlocal top
        elements[name] = Element(name, bus, slice(top, top + rows), shares)
        top += rows

    loads = (*config.circuits, config.unmetered)
    for circuit in loads:
        add(circuit.name, circuit.bus, circuit.shares)
    for index, shares in enumerate(micro_shares(config)):
        add(f"micro{index + 1}", GRID, shares)
    add("ac_battery", GRID, balanced)
    add("heat_pump", GRID, balanced)
    add("car", GRID, None, phases)
    add("inverter", "tie", balanced)
    summed = top
    add("backup_port", BACKUP, None, phases)
    add("grid_port", GRID, None, phases)
    add("grid", "utility", None, phases)
    add("grid_net", "meter", None)
    for index in range(len(config.hybrid.strings)):
        add(f"string{index + 1}", "dc", None)
    add("hybrid_battery", "dc", None)
    add("inverter_dc", "dc", None)
    add("hybrid_standby", "dc", None)
    for store in ("ac_battery", "hybrid_battery", "car"):
        add(f"{store}_loss", "loss", None)
    add("inverter_loss", "loss", None)
    add("ac_battery_standby", "loss", None)

    closing = np.zeros((3, phases, summed))
    for element in elements.values():
        if element.rows.stop > summed:
            continue
        share = np.eye(phases) if element.shares is None else np.array(element.shares)[:, None]
        if element.bus == GRID:
            closing[2, :, element.rows] = share
        else:
            # What the backup bus consumes and what the inverter converts both pass the grid port.
            closing[1, :, element.rows] = share
            closing[2, :, element.rows] = share
            if element.bus == BACKUP:
                closing[0, :, element.rows] = -share
    on_backup = np.array([c.bus == BACKUP for c in loads])
    backup_shares = np.array([c.shares if c.bus == BACKUP else (0.0,) * phases for c in loads]).T.copy()
    return Layout(
        elements=elements,
        rows=top,
        summed=summed,
        closing=np.vstack([closing.reshape(3 * phases, summed), closing[2].sum(axis=0)]),
        grid_side=closing[2] - closing[1],
        on_backup=on_backup,
        backup_shares=backup_shares,
    )
