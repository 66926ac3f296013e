"""Batteries: from the wanted grid power to a set-point for each."""

from __future__ import annotations

from ores.control.bounds import NONE, Asked, limit_of, sources_below
from ores.control.house import House, available_w
from ores.control.offers import CONNECTION, GRID_OBLIGATION, ISLAND_BALANCE, POLICY, PROTECTION, Offer
from ores.control.units import BatteryUnit
from ores.control.words import kilo

# Below this a change is not worth a lease.
DEADBAND_W = 10.0
# What a battery must rise above its reserve before it gives again.
RESERVE_BAND_PCT = 1.0


def bound_batteries(house: House, asked: Asked) -> None:
    """Narrow each battery's range to what the offers leave: power, and the reserve."""
    for unit in house.batteries:
        for bounds in asked.on(unit.key, unit.place.module_id):
            unit.consume_max_w = min(unit.consume_max_w, limit_of(bounds.consume))
            unit.produce_max_w = min(unit.produce_max_w, limit_of(bounds.produce))
        _keep_reserve(house, unit, asked)
        unit.high_w = min(unit.high_w, unit.consume_max_w)
        unit.low_w = max(unit.low_w, -unit.produce_max_w)


def _keep_reserve(house: House, unit: BatteryUnit, asked: Asked) -> None:
    of_house = asked.bounds.get(CONNECTION, NONE).soc
    of_unit = asked.on(unit.key, unit.place.module_id, *_store_keys(unit))
    reserves_pct = [bound.value for bound in of_house]
    reserves_pct += [bound.value for bounds in of_unit for bound in bounds.soc]
    if not reserves_pct or _above(house, unit, max(reserves_pct)):
        return
    # At the inverter, what the sun gives may still go out.
    sun_w = 0.0
    if unit.battery.whole_inverter:
        sun_w = available_w(house, unit.place.module_id, unit.battery.suns) or 0.0
    unit.produce_max_w = min(unit.produce_max_w, sun_w)


def _above(house: House, unit: BatteryUnit, reserve_pct: float) -> bool:
    """Whether it may be discharged. Once at the reserve, it must rise a little before it gives again."""
    if unit.soc_pct is None:
        return False
    above = unit.soc_pct > reserve_pct + RESERVE_BAND_PCT or (
        unit.soc_pct > reserve_pct and unit.key in house.memory.above
    )
    if above:
        house.draft.above[unit.key] = True
    return above


def _store_keys(unit: BatteryUnit) -> tuple[str, ...]:
    if not unit.battery.whole_inverter:
        return ()
    return tuple(f"{unit.place.module_id}/{store}" for store in unit.battery.stores)


def dispatch(house: House, asked: Asked) -> None:
    """Give each battery its set-point: its own wish, or its share in keeping the grid at its target."""
    target = asked.power.get(CONNECTION)
    pool: list[BatteryUnit] = []
    for unit in house.batteries:
        if house.island and _on_island(house, unit):
            unit.say(
                "island",
                ISLAND_BALANCE,
                "hub",
                "the house is an island: its power is held by whoever forms the grid",
            )
            continue
        wish = _own_wish(unit, asked)
        if unit.power_w is None:
            unit.command_w = 0.0
            unit.say("unknown", PROTECTION, "hub", "idle: its power is unknown")
        elif wish is not None and (target is None or wish.rank <= target.rank):
            _follow(house, unit, wish, asked)
        else:
            pool.append(unit)
    if house.grid_w is None or house.rest_w is None:
        for unit in pool:
            unit.command_w = 0.0
            unit.say("unknown", PROTECTION, "hub", f"idle: {house.unknown}")
        return
    _follow_grid(house, pool, target, asked)


def _on_island(house: House, unit: BatteryUnit) -> bool:
    return unit.place.bus in house.island_buses or any(
        tie.place.module_id == unit.place.module_id for tie in house.topology.ties
    )


def _own_wish(unit: BatteryUnit, asked: Asked) -> Offer | None:
    return asked.power.get(unit.key) or asked.power.get(unit.place.module_id)


def _follow(house: House, unit: BatteryUnit, wish: Offer, asked: Asked) -> None:
    power_w = wish.power_w or 0.0
    unit.command_w = _settle(house, unit, power_w)
    unit.say(wish.rule, wish.rank, wish.source, wish.reason)
    _name_limits(unit, power_w, asked)


def _name_limits(unit: BatteryUnit, wanted_w: float, asked: Asked) -> None:
    for bounds in asked.on(unit.key, unit.place.module_id):
        direction = bounds.consume if wanted_w > 0.0 else bounds.produce
        for source in sources_below(direction, abs(wanted_w)):
            unit.limit_by(source)
    if wanted_w < -DEADBAND_W and unit.low_w == 0.0:
        for bounds in asked.on(unit.key, unit.place.module_id, CONNECTION):
            for bound in sorted(bounds.soc):
                if unit.soc_pct is None or unit.soc_pct <= bound.value:
                    unit.limit_by(bound.source)


def _follow_grid(house: House, pool: list[BatteryUnit], target: Offer | None, asked: Asked) -> None:
    rest_w = house.rest_w or 0.0
    fixed_w = sum(unit.command_w or 0.0 for unit in house.batteries if unit.command_w is not None)
    exports = asked.bounds.get(CONNECTION, NONE).produce
    export_max_w = limit_of(exports)
    # What must be taken so that the sun need not be held back; what is held back already counts as given.
    must_take_w = guard_w(export_max_w) - export_max_w - rest_w + house.curtailed_w - fixed_w
    if target is None:
        if must_take_w <= DEADBAND_W:
            return
        wanted_w = must_take_w
    else:
        wanted_w = (target.power_w or 0.0) - rest_w + house.curtailed_w - fixed_w
    total_w = min(max(wanted_w, must_take_w), _import_room_w(house, asked, fixed_w))
    shares = share(total_w, pool)
    cause = (0.0, "") if target is None else _cause(house, target)
    for unit, share_w in zip(pool, shares, strict=True):
        unit.command_w = _settle(house, unit, share_w)
        if target is None or total_w > wanted_w:
            unit.say("export_limit", GRID_OBLIGATION, exports[0].source, "takes what may not be exported")
        else:
            # What the owner usually wants says no more than these words.
            why = f"; {target.reason}" if target.rank != POLICY else ""
            unit.say(target.rule, target.rank, target.source, _words(unit, *cause) + why)
        _name_limits(unit, total_w, asked)


def _import_room_w(house: House, asked: Asked, fixed_w: float) -> float:
    """What batteries may draw before the import limit is reached, chargers at what they are told."""
    import_max_w = limit_of(asked.bounds.get(CONNECTION, NONE).consume)
    chargers_w = sum(max(0.0, (u.command_w or 0.0) - (u.power_w or 0.0)) for u in house.chargers)
    return import_max_w - (house.rest_w or 0.0) - chargers_w - fixed_w


def guard_w(export_max_w: float) -> float:
    """Distance that is kept from an export limit so that a small drop of load does not exceed it."""
    return max(50.0, 0.02 * export_max_w) if export_max_w < 1e9 else 0.0


def _cause(house: House, target: Offer) -> tuple[float, str]:
    """What batteries are to give in all (negative: to take), and why."""
    rest_w = (house.rest_w or 0.0) - (target.power_w or 0.0) - house.curtailed_w
    if rest_w <= 0.0:
        return rest_w, f"the sun gives {kilo(-rest_w)} more than the house uses"
    return rest_w, f"the house uses {kilo(rest_w)} more than the sun gives"


def _words(unit: BatteryUnit, rest_w: float, cause: str) -> str:
    power_w = unit.command_w or 0.0
    if power_w > DEADBAND_W:
        return f"charging {kilo(power_w)}: {cause}"
    if power_w < -DEADBAND_W:
        return f"discharging {kilo(-power_w)}: {cause}"
    if abs(rest_w) <= 2 * DEADBAND_W:
        return "idle: the house uses what the sun gives"
    soc = "" if unit.soc_pct is None else f" at {unit.soc_pct:.0f} %"
    return f"idle{soc}: {cause}, but it can {'take' if rest_w < 0.0 else 'give'} no more"


def share(total_w: float, units: list[BatteryUnit]) -> list[float]:
    """Share a power among batteries by the room that each has left; all of them charge, or all discharge.

    Args:
        total_w: Wanted of all together; positive charges.
        units: Each with its range and state of charge.

    Returns:
        For each unit its share, within its range. What no unit can take is left over.
    """
    charge = total_w > 0.0
    room = [max(0.0, unit.high_w if charge else -unit.low_w) for unit in units]
    weights = [_weight(unit, r, charge) for unit, r in zip(units, room, strict=True)]
    given = [0.0] * len(units)
    left_w = abs(total_w)
    open_ = [i for i, r in enumerate(room) if r > 0.0]
    while open_ and left_w > 1e-6:
        weight = sum(weights[i] for i in open_)
        if weight <= 0.0:
            break
        full = [i for i in open_ if given[i] + left_w * weights[i] / weight >= room[i]]
        for i in full or open_:
            part = room[i] - given[i] if full else left_w * weights[i] / weight
            given[i] += part
        left_w = abs(total_w) - sum(given)
        open_ = [i for i in open_ if i not in full] if full else []
    return given if charge else [-g for g in given]


def _weight(unit: BatteryUnit, room_w: float, charge: bool) -> float:
    if unit.soc_pct is None:
        part = 0.5
    else:
        part = (
            unit.battery.soc_max_pct - unit.soc_pct if charge else unit.soc_pct - unit.battery.soc_min_pct
        ) / 100.0
    # A floor keeps a nearly full battery in the game until its own range says that it is full.
    return room_w * max(part, 0.05)


def _settle(house: House, unit: BatteryUnit, wanted_w: float) -> float:
    """The set-point that the device can take: in its range, on its steps, not before its hold has passed."""
    battery = unit.battery
    power_w = min(max(wanted_w, unit.low_w), unit.high_w)
    last = unit.last
    if last is not None:
        held = house.now_s - last.at_s < battery.hold_s
        if held or abs(power_w - last.power_w) < max(DEADBAND_W, battery.step_w / 2.0):
            power_w = min(max(last.power_w, unit.low_w), unit.high_w)
    return on_steps(unit, power_w)


def on_steps(unit: BatteryUnit, power_w: float) -> float:
    """The nearest set-point on the device's steps that lies within its range."""
    battery = unit.battery
    step_w = battery.step_w or 1.0
    power_w = round(power_w / step_w) * step_w
    if power_w > unit.high_w or power_w < unit.low_w:
        power_w = int((unit.high_w if power_w > 0.0 else unit.low_w) / step_w) * step_w
    if 0.0 < power_w < battery.consume_min_w:
        return 0.0
    return power_w + 0.0
