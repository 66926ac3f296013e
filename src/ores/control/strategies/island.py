"""On an island what can wait does wait, so that the light stays on."""

from __future__ import annotations

from math import inf

from msgspec import UNSET

from ores.control.house import House
from ores.control.offers import ISLAND_BALANCE, Offer

# Deferrable loads run on an island only while the stores are this full.
PLENTY_PCT = 80.0
# Circuits that are not critical are opened below this charge or this part of the former's power.
LOW_PCT = 20.0
LOW_HEADROOM_PART = 0.1


def island(house: House) -> list[Offer]:
    """Propose to pause chargers and heat, and to open circuits when headroom or charge runs low."""
    if not house.island:
        return []
    charges = [unit.soc_pct for unit in house.batteries]
    soc_pct = min((soc for soc in charges if soc is not None), default=0.0)
    if soc_pct >= PLENTY_PCT and not _headroom_is_low(house):
        return []
    reason = f"the house is an island with {soc_pct:.0f} % in store"
    offers = [_offer(unit.key, reason, consume_max_w=0.0) for unit in house.chargers]
    offers += [_offer(unit.key, reason, mode=unit.heat.blocked or None) for unit in house.heats]
    if soc_pct < LOW_PCT or _headroom_is_low(house):
        offers += [
            _offer(circuit.place.key, reason, closed=False)
            for circuit in house.topology.circuits
            if circuit.switchable and not circuit.critical
        ]
    return offers


def _offer(
    subject: str,
    reason: str,
    *,
    consume_max_w: float = inf,
    mode: str | None = None,
    closed: bool | None = None,
) -> Offer:
    return Offer(
        subject=subject,
        rank=ISLAND_BALANCE,
        source="island",
        rule="island",
        reason=reason,
        consume_max_w=consume_max_w,
        mode=mode,
        closed=closed,
    )


def _headroom_is_low(house: House) -> bool:
    """Whether what forms the island is near its end; unknown counts as near."""
    for place in house.topology.formers:
        state = house.state(place)
        if state is None or state.form_grid is UNSET or state.form_grid.forming is not True:
            continue
        headroom_w = state.form_grid.headroom_w
        if headroom_w is UNSET or headroom_w is None:
            return True
        return headroom_w < LOW_HEADROOM_PART * house.topology.former_max_w[place.key]
    return False
