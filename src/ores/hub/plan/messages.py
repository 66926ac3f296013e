"""What the hub and its planner say to each other: frames of MessagePack, each after its length."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from ores.control.stores import Stores
from ores.ems.rolling import Kept
from ores.ems.standing import Slot
from ores.ems.worth import Price

LENGTH_BYTES: Final = 4
LONGEST: Final = 1 << 24
"""Of a frame, in bytes: two orders above the past of six weeks."""


class Past(msgspec.Struct, frozen=True):
    """Slots that have passed, rising; None is unknown."""

    start_s: list[int]
    net_kwh: list[float | None]
    bought_kwh: list[float | None]


class Ask(msgspec.Struct, frozen=True):
    """What the planner is asked.

    Attributes:
        tariff_json: A tariff file; the first time only.
        tariff_id: Of one in it.
        stores: Facts; the same in each question to one planner.
        sells: Whether anything may be fed in.
        past: What has passed since the last question.
        start_s: Of the slot that runs.
        count: Of slots wanted.
    """

    tariff_json: str
    tariff_id: str
    stores: Stores
    sells: bool
    past: Past
    start_s: int
    count: int


class ToldSlot(msgspec.Struct, frozen=True):
    """A `Slot`, in plain numbers."""

    start_s: int
    same_until_s: int | None
    outcomes_kwh: list[float]
    after: list[list[float]]
    import_per_kwh: float
    export_per_kwh: float
    steps: list[tuple[float, float]]


class Told(msgspec.Struct, frozen=True):
    """What the planner answers; `error` alone where it could not."""

    slots: list[ToldSlot] = []
    levels_kwh: list[float] = []
    persistence: float = 0.0
    trust: float = 0.0
    error: str = ""


def told(slots: list[Slot]) -> Told:
    """Slots as they are sent."""
    kept = slots[0].kept
    return Told(
        [_told(slot) for slot in slots],
        kept.levels_kwh.tolist(),
        kept.persistence,
        kept.trust,
    )


def _told(slot: Slot) -> ToldSlot:
    price = slot.kept.price
    return ToldSlot(
        slot.start_s,
        slot.same_until_s,
        slot.kept.outcomes_kwh.tolist(),
        slot.kept.after.tolist(),
        price.import_per_kwh,
        price.export_per_kwh,
        list(price.steps),
    )


def slots(message: Told, start_s: int) -> list[Slot]:
    """Slots as they were sent, checked: nothing that the planner says is acted on otherwise.

    Raises:
        ValueError: Says what is not as it must be.
    """
    levels = np.array(message.levels_kwh)
    if not message.slots or message.slots[0].start_s != start_s:
        raise ValueError("its answer is about another time")
    if len(levels) < 2 or not (np.diff(levels) > 0.0).all():
        raise ValueError("its levels of charge do not rise")
    made = []
    for one in message.slots:
        outcomes, after = np.array(one.outcomes_kwh), np.array(one.after)
        numbers = [*outcomes.tolist(), *after.ravel().tolist(), one.import_per_kwh, one.export_per_kwh]
        if len(outcomes) < 2 or after.shape != (len(outcomes), len(levels)):
            raise ValueError(f"its values are of shape {after.shape}")
        if not np.isfinite([*numbers, message.persistence, message.trust]).all():
            raise ValueError("its values are not all numbers")
        price = Price(one.import_per_kwh, one.export_per_kwh, tuple(one.steps))
        kept = Kept(outcomes, levels, after, message.persistence, message.trust, price)
        made.append(Slot(one.start_s, kept, one.same_until_s))
    return made
