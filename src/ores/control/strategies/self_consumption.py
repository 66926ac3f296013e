"""Batteries follow the house so that the grid power stays at the owner's target."""

from __future__ import annotations

from msgspec import UNSET

from ores.control.house import House
from ores.control.offers import CONNECTION, POLICY, Offer
from ores.control.strategies.kept import kept
from ores.control.topology import Topology
from ores.model import Preferences


def self_consumption(house: House) -> list[Offer]:
    """Propose the grid power that the owner wants, where there is a meter to see it."""
    if not house.preferences.self_consumption or house.grid_w is None:
        return []
    return _target(house.topology, house.preferences)


@kept
def _target(_topology: Topology, preferences: Preferences) -> list[Offer]:
    target_w = 0.0 if preferences.grid_target_w is UNSET else preferences.grid_target_w
    return [
        Offer(
            subject=CONNECTION,
            rank=POLICY,
            source="owner",
            rule="self_consumption",
            reason="the owner wants to use the sun at home",
            power_w=target_w,
        )
    ]
