"""Something stays in the batteries for an outage."""

from __future__ import annotations

from ores.control.house import House
from ores.control.offers import CONNECTION, OWNER_BOUNDS, Offer
from ores.control.strategies.kept import kept
from ores.control.topology import Topology
from ores.model import Preferences


def backup_reserve(house: House) -> list[Offer]:
    """Propose that batteries are not discharged below the reserve; on an island it is there to be used."""
    if house.preferences.reserve_pct <= 0.0 or house.island:
        return []
    return _reserve(house.topology, house.preferences)


@kept
def _reserve(_topology: Topology, preferences: Preferences) -> list[Offer]:
    reserve_pct = preferences.reserve_pct
    return [
        Offer(
            subject=CONNECTION,
            rank=OWNER_BOUNDS,
            source="backup reserve",
            rule="backup_reserve",
            reason=f"{reserve_pct:.0f} % are kept for an outage",
            soc_min_pct=reserve_pct,
        )
    ]
