"""What was agreed about feeding into the grid."""

from __future__ import annotations

from msgspec import UNSET

from ores.control.failsafe import failsafe_limits
from ores.control.house import House
from ores.control.offers import CONNECTION, GRID_OBLIGATION, Offer


def export_limit(house: House) -> list[Offer]:
    """Propose the agreed limit; without a meter that shows the export, the failsafe limits."""
    export_max_w = house.preferences.export_max_w
    if export_max_w is UNSET:
        return []
    reason = (
        "nothing may be exported" if export_max_w == 0 else f"at most {export_max_w:.0f} W may be exported"
    )
    offers = [_offer(CONNECTION, reason, export_max_w)]
    if house.grid_w is None:
        reason = f"{reason}, and {house.unknown}"
        for module_id, failsafe in failsafe_limits(house.topology, house.preferences).items():
            for element_id, limits in failsafe.elements.items():
                if limits.produce_max_w is not UNSET:
                    offers.append(_offer(f"{module_id}/{element_id}", reason, limits.produce_max_w))
    return offers


def _offer(subject: str, reason: str, produce_max_w: float) -> Offer:
    return Offer(
        subject=subject,
        rank=GRID_OBLIGATION,
        source="export limit",
        rule="export_limit",
        reason=reason,
        produce_max_w=produce_max_w,
    )
