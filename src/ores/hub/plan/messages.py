"""What the hub and its planner say to each other: frames of MessagePack, each after its length."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from ores.control.drawn import Does, Foresight
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
    pv_kwh: list[float | None] = []


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
        stored_kwh: Above what is kept; None where it is unknown, and the plan is not drawn.
    """

    tariff_json: str
    tariff_id: str
    stores: Stores
    sells: bool
    past: Past
    start_s: int
    count: int
    stored_kwh: float | None = None


class ToldSlot(msgspec.Struct, frozen=True):
    """A `Slot`, in plain numbers."""

    start_s: int
    same_until_s: int | None
    outcomes_kwh: list[float]
    after: list[list[float]]
    import_per_kwh: float
    export_per_kwh: float
    steps: list[tuple[float, float]]


class Band(msgspec.Struct, frozen=True):
    """A quantity that is expected, slot by slot, in kWh; None is unknown."""

    low: list[float | None]
    mean: list[float | None]
    high: list[float | None]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is drawn: what it comes to if things come as expected.

    Attributes:
        start_s: Of the first slot; the others follow without a gap.
        import_per_kwh: Of each slot.
        export_per_kwh: Of each slot.
        net_kwh: Load less PV in each slot.
        load: What the house uses.
        pv: What the sun gives, >= 0.
        battery_kw: Of all stores, positive charging.
        stored_kwh: After each slot, above what is kept.
        does: In each slot.
        costs: As planned, with stores that only follow the house, and without any.
        foresights: Of the first slots.
    """

    start_s: int
    import_per_kwh: list[float]
    export_per_kwh: list[float]
    net_kwh: list[float]
    load: Band
    pv: Band
    battery_kw: list[float]
    stored_kwh: list[float]
    does: list[Does]
    costs: tuple[float, float, float]
    foresights: list[Foresight]


class Told(msgspec.Struct, frozen=True):
    """What the planner answers; `error` alone where it could not."""

    slots: list[ToldSlot] = []
    levels_kwh: list[float] = []
    persistence: float = 0.0
    trust: float = 0.0
    picture: Picture | None = None
    error: str = ""


def told(slots: list[Slot], picture: Picture | None = None) -> Told:
    """Slots and their picture as they are sent."""
    kept = slots[0].kept
    return Told(
        [_told(slot) for slot in slots],
        kept.levels_kwh.tolist(),
        kept.persistence,
        kept.trust,
        picture,
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


def picture(message: Told, start_s: int) -> Picture | None:
    """The picture as it was sent, checked; nothing is done by it, but people see it.

    Raises:
        ValueError: Says what is not as it must be.
    """
    one = message.picture
    if one is None:
        return None
    count = len(one.does)
    columns = [one.import_per_kwh, one.export_per_kwh, one.net_kwh, one.battery_kw, one.stored_kwh]
    bands = [part for band in (one.load, one.pv) for part in (band.low, band.mean, band.high)]
    lengths = {len(column) for column in columns} | {len(part) for part in bands}
    if one.start_s != start_s or not count or lengths != {count}:
        raise ValueError("its picture is of another shape")
    numbers = [value for column in columns for value in column]
    numbers += [value for part in bands for value in part if value is not None]
    numbers += [*one.costs, *(foresight.saves for foresight in one.foresights)]
    if not np.isfinite(numbers).all():
        raise ValueError("its picture is not made of numbers")
    return one
