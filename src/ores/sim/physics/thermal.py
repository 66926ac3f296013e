"""Heat: a network of capacities and conductances, stepped exactly.

A node i obeys C_i dT_i/dt = Σ_j G_ij (T_j - T_i) + G_i,out (T_out - T_i) + q_i. With inputs constant over
a step the solution is linear, T' = A T + B u, and A, B come from one matrix exponential (Van Loan,
Computing integrals involving the matrix exponential, IEEE Trans. Automatic Control 23, 1978). It is exact
and stable for any step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ores.sim.physics.config import Building, HouseConfig

Floats = NDArray[np.float64]

AIR, MASS, TANK, AC_BATTERY, HYBRID_BATTERY = range(5)
"""Rows of the temperatures: room air, building mass, hot water, the two packs."""

WATER_J_LITRE_K = 4186.0


def _exponential(m: Floats) -> Floats:
    """exp(m) by scaling, a Taylor series and squaring; small matrices, once per run."""
    squarings = max(0, int(np.ceil(np.log2(max(float(np.abs(m).sum(axis=1).max()), 1e-12)))) + 4)
    scaled = m / 2.0**squarings
    term = np.eye(len(m))
    total = term.copy()
    for order in range(1, 16):
        term = term @ scaled / order
        total += term
    for _ in range(squarings):
        total = total @ total
    return np.asarray(total, dtype=np.float64)


def discretise(
    capacity_j_k: Floats, conductance_w_k: Floats, outdoor_w_k: Floats, step_s: float
) -> tuple[Floats, Floats]:
    """The exact step of the network.

    Args:
        capacity_j_k: Shape (k,), > 0.
        conductance_w_k: Symmetric, shape (k, k), zero diagonal.
        outdoor_w_k: From each node to outdoors, shape (k,).
        step_s: Length of the step.

    Returns:
        A of shape (k, k) and B of shape (k, k + 1): T' = A T + B [T_out, q_1, ..., q_k].
    """
    k = len(capacity_j_k)
    flow = conductance_w_k - np.diag(conductance_w_k.sum(axis=1) + outdoor_w_k)
    inputs = np.hstack([outdoor_w_k[:, None], np.eye(k)])
    whole = np.zeros((2 * k + 1, 2 * k + 1))
    whole[:k, :k] = flow / capacity_j_k[:, None]
    whole[:k, k:] = inputs / capacity_j_k[:, None]
    result = _exponential(whole * step_s)
    return result[:k, :k].copy(), result[:k, k:].copy()


def capacity_j_k(building: Building) -> tuple[float, float]:
    """Heat capacity of the air with the furniture, 15 kJ/(m²·K), and of the mass ("medium", Table 12)."""
    return 15e3 * building.floor_m2, 165e3 * building.floor_m2


def home_network(config: HouseConfig, step_s: float) -> tuple[Floats, Floats]:
    """The five nodes of the home.

    Building: EN ISO 13790:2008, the simple hourly method. Mass 165 kJ/(m²·K) of floor ("medium", Table 12).
    Air and mass are joined by h_is = 3.45 W/(m²·K) on 4.5 times the floor area in series with h_ms = 9.1
    W/(m²·K) on 2.5 times the floor area. The air node holds the air and the furniture, 15 kJ/(m²·K). The
    pack of the hybrid stands indoors and warms the rooms; the AC battery stands in a garage, coupled half to
    indoors and half to outdoors.
    """
    house = config.building
    to_mass = 1.0 / (1.0 / (3.45 * 4.5 * house.floor_m2) + 1.0 / (9.1 * 2.5 * house.floor_m2))
    tank_j_k = max(config.heat_pump.tank_litres, 1.0) * WATER_J_LITRE_K
    capacity = np.array(
        [
            *capacity_j_k(house),
            tank_j_k,
            config.ac_battery.heat_capacity_j_k,
            config.hybrid.battery.heat_capacity_j_k,
        ]
    )
    joined = np.zeros((5, 5))
    joined[AIR, MASS] = to_mass
    joined[AIR, TANK] = config.heat_pump.tank_loss_w_k if config.heat_pump.tank_litres else 0.0
    joined[AIR, AC_BATTERY] = config.ac_battery.loss_w_k / 2.0
    joined[AIR, HYBRID_BATTERY] = config.hybrid.battery.loss_w_k
    outdoor = np.zeros(5)
    outdoor[AIR] = house.window_w_k
    outdoor[MASS] = house.envelope_w_k
    outdoor[AC_BATTERY] = config.ac_battery.loss_w_k / 2.0
    return discretise(capacity, joined + joined.T, outdoor, step_s)
