"""The plan as apps get it, at `/ores/v1/x-ores.energy/plan`: a resource of this hub, not of the standard."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec

from ores.hub.plan.messages import Picture
from ores.hub.times import rfc3339
from ores.link.errors import Unavailable

PATH = "/x-ores.energy/plan"


class PlanSlot(msgspec.Struct, frozen=True, kw_only=True):
    """A quarter of an hour to come; powers are means, positive into what they name, and null is unknown.

    Attributes:
        start: RFC 3339, UTC.
        import_price_per_kwh: What a kWh more from the grid costs.
        export_price_per_kwh: What a kWh more into the grid earns.
        load_w: What the house is expected to use without its stores.
        load_low_w: In one of ten futures it is less.
        load_high_w: In one of ten futures it is more.
        pv_w: Of the sun, negative while it gives.
        pv_low_w: In one of ten futures it is less: the most sun.
        pv_high_w: In one of ten futures it is more: the least sun.
        battery_w: Of all stores that the hub plans for, positive charging.
        grid_w: Positive import.
        soc_pct: Of these stores, at the end of the slot.
        does: What they do.
    """

    start: str
    import_price_per_kwh: float
    export_price_per_kwh: float
    load_w: float | None
    load_low_w: float | None
    load_high_w: float | None
    pv_w: float | None
    pv_low_w: float | None
    pv_high_w: float | None
    battery_w: float
    grid_w: float
    soc_pct: float
    does: Literal["charge", "store_sun", "feed_house", "sell", "rest"]


class PlanCost(msgspec.Struct, frozen=True, kw_only=True):
    """Money over all slots: what is bought less what is sold, less what is in store at the end beyond now.

    Attributes:
        plan: As planned.
        self_consumption: With stores that only follow the house.
        no_battery: With stores that do nothing.
    """

    plan: float
    self_consumption: float
    no_battery: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the hub expects and means to do, if things come as expected.

    Attributes:
        made: When, RFC 3339, UTC.
        by: Who made it.
        forecast_by: Who made the forecasts.
        tariff: Id of the tariff.
        currency: ISO 4217.
        time_zone: Of the tariff, IANA.
        slot_s: Length of each slot.
        soc_pct: Of the stores, when it was made.
        cost: What it comes to.
        slots: Without gaps; the first one runs, or has just run.
    """

    made: str
    by: str
    forecast_by: str
    tariff: str
    currency: str
    time_zone: str
    slot_s: int
    soc_pct: float
    cost: PlanCost
    slots: list[PlanSlot]


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A picture, and what was known when it was made.

    Attributes:
        picture: The planner's.
        made: When.
        stored_kwh: Above what is kept.
        charge_kwh: In all.
        capacity_kwh: Of all stores.
    """

    picture: Picture
    made: datetime
    stored_kwh: float
    charge_kwh: float
    capacity_kwh: float


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What stays the same from plan to plan."""

    by: str
    forecast_by: str
    tariff: str
    currency: str
    time_zone: str
    slot_s: int


def shown(head: Head, one: Made) -> Plan:
    """A plan as it is shown."""
    costs = PlanCost(**dict(zip(("plan", "self_consumption", "no_battery"), one.picture.costs, strict=True)))
    return Plan(
        **msgspec.structs.asdict(head),
        made=rfc3339(one.made),
        soc_pct=_soc_pct(one, one.stored_kwh),
        cost=costs,
        slots=[_slot(one, head.slot_s, at) for at in range(len(one.picture.battery_kw))],
    )


def none_yet(why: str) -> Unavailable:
    """That there is no plan now."""
    return Unavailable(f"there is no plan now: {why}")


def _slot(one: Made, slot_s: int, at: int) -> PlanSlot:
    picture, to_w = one.picture, 3_600_000.0 / slot_s
    load, sun = picture.load, picture.pv

    def watts(kwh: float | None) -> float | None:
        return None if kwh is None else round(kwh * to_w, 1) + 0.0

    def given(kwh: float | None) -> float | None:
        return None if kwh is None else watts(-kwh)

    return PlanSlot(
        start=rfc3339(datetime.fromtimestamp(picture.start_s + at * slot_s, UTC)),
        import_price_per_kwh=round(picture.import_per_kwh[at], 6),
        export_price_per_kwh=round(picture.export_per_kwh[at], 6),
        load_w=watts(load.mean[at]),
        load_low_w=watts(load.low[at]),
        load_high_w=watts(load.high[at]),
        pv_w=given(sun.mean[at]),
        pv_low_w=given(sun.high[at]),
        pv_high_w=given(sun.low[at]),
        battery_w=round(picture.battery_kw[at] * 1000.0, 1),
        grid_w=round(picture.net_kwh[at] * to_w + picture.battery_kw[at] * 1000.0, 1),
        soc_pct=_soc_pct(one, picture.stored_kwh[at]),
        does=picture.does[at],
    )


def _soc_pct(one: Made, stored_kwh: float) -> float:
    charge_kwh = one.charge_kwh + stored_kwh - one.stored_kwh
    return round(min(100.0, max(0.0, charge_kwh / one.capacity_kwh * 100.0)), 1)
