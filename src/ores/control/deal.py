"""Dealing out what may be produced: to each what it could really give now, what one cannot use to others.

What an inverter with a battery behind it can give is what its sun leaves once the battery has taken its part.
A share by rating would hold back others for the sake of what it cannot give.
"""

from __future__ import annotations

from ores.control.house import EFFICIENCY, House, given_w
from ores.control.units import ProducerUnit

# What is unlimited still has a size in a share.
MOST_W = 1e6


class Need:
    """What one producer could give at AC (>= 0).

    Attributes:
        sun_w: From its source, beyond what a battery behind the same output takes.
        store_w: From the battery behind the same output, as it is told.
        drawn_w: What it surely takes from the AC side, because that battery takes more than the sun gives.
    """

    __slots__ = ("drawn_w", "store_w", "sun_w")

    def __init__(self, sun_w: float, store_w: float = 0.0, drawn_w: float = 0.0) -> None:
        self.sun_w, self.store_w, self.drawn_w = sun_w, store_w, drawn_w


def need_of(house: House, unit: ProducerUnit) -> Need:
    """What a producer could give now if nothing were held back, at most its own limit.

    It is fed forward from what it gives: plus what is held back of its source, plus what the battery behind
    it is told to take less. What that battery is told to take more it does not take yet.
    """
    cap_w = min(unit.allowed_w, MOST_W)
    behind = house.behind(unit)
    if not unit.producer.stores and not behind:
        if unit.available_w is not None:
            return Need(min(unit.available_w, cap_w))
        return Need(min(max(0.0, -(unit.power_w or 0.0)) + unit.curtailed_w, cap_w))
    if unit.power_w is None:
        return Need(cap_w)
    sun_w = -unit.power_w + EFFICIENCY * _held_back_w(house, unit)
    store_w = 0.0
    for battery in behind:
        if battery.battery.whole_inverter:
            return _of_whole(battery.command_w, unit, sun_w, cap_w)
        now_w = battery.power_w or 0.0
        told_w = now_w if battery.command_w is None else battery.command_w
        # The sun's part is what is there without the battery's giving, and beside its certain taking.
        sun_w += now_w - max(0.0, min(now_w, told_w))
        store_w += max(0.0, -told_w)
    output_w = min(max(0.0, sun_w), cap_w)
    return Need(output_w, min(store_w, cap_w - output_w), max(0.0, -sun_w))


def _of_whole(command_w: float | None, unit: ProducerUnit, output_w: float, cap_w: float) -> Need:
    """An inverter that is told its AC power gives that: first from the sun, then from the store."""
    wanted_w = min(max(0.0, output_w if command_w is None else -command_w), cap_w)
    sun_w = wanted_w if unit.available_w is None else min(wanted_w, EFFICIENCY * unit.available_w)
    drawn_w = max(0.0, -output_w) if command_w is None else max(0.0, min(-output_w, command_w))
    return Need(sun_w, wanted_w - sun_w, drawn_w)


def _held_back_w(house: House, unit: ProducerUnit) -> float:
    given = given_w(house, unit)
    if unit.available_w is None or given is None:
        return unit.curtailed_w
    return max(0.0, unit.available_w - given)


def shares(units: list[ProducerUnit], needs: list[Need], allowed_w: float) -> list[float]:
    """Share what may be given: suns come first, then stores, then the spare goes to whom it may still reach.

    Args:
        units: Each with the limit that it has of its own.
        needs: Of the same units.
        allowed_w: Of all together (>= 0).

    Returns:
        For each unit its share in whole watts. They sum to no more than what is allowed.
    """
    given = [0.0] * len(units)
    left_w = allowed_w
    headrooms = [
        min(unit.allowed_w, MOST_W) - need.sun_w - need.store_w
        for unit, need in zip(units, needs, strict=True)
    ]
    for parts in ([need.sun_w for need in needs], [need.store_w for need in needs], headrooms):
        total_w = sum(parts)
        if total_w <= 0.0:
            continue
        part = min(1.0, left_w / total_w)
        given = [w + part * more_w for w, more_w in zip(given, parts, strict=True)]
        left_w = max(0.0, left_w - total_w)
    return [float(int(w)) for w in given]
