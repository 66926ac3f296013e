"""What the connection, its conductors and the circuits can bear."""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.failsafe import failsafe_limits, fuse_of
from ores.control.house import House
from ores.control.offers import CONNECTION, EQUIPMENT, GRID_OBLIGATION, Offer
from ores.control.strategies.kept import kept
from ores.control.topology import Topology
from ores.model import Preferences


def import_limit(house: House) -> list[Offer]:
    """Propose the agreed import limit, the main fuse of each conductor and the rating of each circuit."""
    offers = _agreed(house.topology, house.preferences)
    if house.grid_w is None and offers and not house.island:
        return [*offers, *_failsafe(house)]
    return offers


@kept
def _agreed(topology: Topology, preferences: Preferences) -> list[Offer]:
    offers: list[Offer] = []
    if preferences.import_max_w is not UNSET:
        reason = f"at most {preferences.import_max_w:.0f} W may be imported"
        offers.append(_offer(CONNECTION, GRID_OBLIGATION, reason, consume_max_w=preferences.import_max_w))
    fuse_a = fuse_of(topology, preferences)
    if fuse_a < inf and topology.meter is not None:
        reason = f"the main fuse bears {fuse_a:.0f} A"
        offers += [
            _offer(line, EQUIPMENT, reason, current_max_a=fuse_a) for line in topology.meter.conductors
        ]
    return offers + _circuits(topology, preferences)


def _circuits(topology: Topology, preferences: Preferences) -> list[Offer]:
    named = {} if preferences.circuit_max_a is UNSET else preferences.circuit_max_a
    offers = []
    for circuit in topology.circuits:
        key = circuit.place.key
        max_a = min(named.get(key, inf), circuit.place.current_max_a)
        if max_a < inf and (circuit.members or key in named):
            reason = f"{circuit.place.name} bears {max_a:.0f} A"
            offers.append(_offer(key, EQUIPMENT, reason, current_max_a=max_a))
    return offers


def _failsafe(house: House) -> list[Offer]:
    offers = []
    for module_id, failsafe in failsafe_limits(house.topology, house.preferences).items():
        for element_id, limits in failsafe.elements.items():
            consume_max_w = inf if limits.consume_max_w is UNSET else limits.consume_max_w
            current_max_a = inf if limits.current_max_a is UNSET else limits.current_max_a
            if consume_max_w < inf or current_max_a < inf:
                offers.append(
                    _offer(
                        f"{module_id}/{element_id}",
                        EQUIPMENT,
                        house.unknown,
                        consume_max_w=consume_max_w,
                        current_max_a=current_max_a,
                    )
                )
    return offers


def _offer(
    subject: str, rank: int, reason: str, *, consume_max_w: float = inf, current_max_a: float = inf
) -> Offer:
    return Offer(
        subject=subject,
        rank=rank,
        source="import limit" if rank == GRID_OBLIGATION else "wiring",
        rule="import_limit",
        reason=reason,
        consume_max_w=consume_max_w,
        current_max_a=current_max_a,
    )
