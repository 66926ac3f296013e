"""The planner draws its plan, for people: what it comes to if things come as expected."""

from __future__ import annotations

import math
from typing import Final

from ores.control.drawn import Foresight, draw
from ores.control.stores import Stores
from ores.ems.inputs import Battery, Floats
from ores.ems.rolling import HORIZON_H
from ores.ems.standing import SLOT_S, Foreseen, Standing
from ores.hub.plan.messages import Ask, Band, Picture

DRAWN: Final = round(HORIZON_H * 3600 / SLOT_S)
"""Slots of a picture."""
_SLOT_H: Final = SLOT_S / 3600
_A_DAY: Final = 86_400 // SLOT_S


def battery(stores: Stores, soc_pct: float = 0.0) -> Battery:
    """All stores as one, as values are made for it and acted on."""
    return Battery(
        capacity_kwh=stores.capacity_kwh,
        soc_pct=soc_pct,
        charge_max_kw=stores.charge_max_kw,
        discharge_max_kw=stores.discharge_max_kw,
        charge_efficiency=stores.charge_efficiency,
        discharge_efficiency=stores.discharge_efficiency,
    )


def drawn(standing: Standing, ask: Ask, stored_kwh: float) -> Picture:
    """What is expected of the slots to come, and what the stores do then.

    Args:
        standing: What is known of the home.
        ask: The question.
        stored_kwh: At the start, above what is kept.
    """
    kept = [slot.kept for slot in standing.slots(ask.start_s, DRAWN)]
    foreseen = standing.foreseen(ask.start_s, DRAWN)
    one = draw(
        kept,
        foreseen.net_kwh / _SLOT_H,
        _SLOT_H,
        battery(ask.stores),
        stored_kwh=stored_kwh,
        told=ask.count,
    )
    return Picture(
        start_s=ask.start_s,
        import_per_kwh=[slot.price.import_per_kwh for slot in kept],
        export_per_kwh=[slot.price.export_per_kwh for slot in kept],
        net_kwh=foreseen.net_kwh.tolist(),
        load=_band(foreseen.load_kwh),
        pv=_band(foreseen.pv_kwh),
        battery_kw=one.planned.power_kw.tolist(),
        stored_kwh=one.planned.stored_kwh[1:].tolist(),
        does=list(one.does),
        costs=(one.planned.cost, one.following_cost, one.resting_cost),
        foresights=[
            Foresight(one.does[at], saves, _sun_short_kwh(foreseen, at)) for at, saves in enumerate(one.saves)
        ],
    )


def _sun_short_kwh(foreseen: Foreseen, at: int) -> float | None:
    """What is needed in the day from a slot on beyond what the sun gives, in a house that has any."""
    short = float((foreseen.load_kwh - foreseen.pv_kwh)[at : at + _A_DAY, 1].sum())
    has_sun = float(foreseen.pv_kwh[at : at + _A_DAY, 1].sum()) > 0.0
    return None if math.isnan(short) or not has_sun else short


def _band(kwh: Floats) -> Band:
    low, mean, high = (
        [None if math.isnan(value) else value for value in column] for column in kwh.T.tolist()
    )
    return Band(low, mean, high)
