"""What holds for one element now. Pure: descriptions, commands and readings in, numbers out.

```
limit     = rating ∧ (the lease's limit, or where it gives none, the failsafe's) ∧ what the device allows
set-point  = the lease's, or where it gives none, the policy's; cut to limits, range, least and step
```

So whatever a lease or a policy asks, the rating holds; and when a lease ends, the failsafe limits are what is
left. While an element holds up an island the loads decide its power: then only the rating and the device's
own limits are left (HOLD-008).
"""

from __future__ import annotations

from math import inf
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from ores.model import (
    Element,
    ElementCommand,
    ElementState,
    LimitCapability,
    Limits,
    Outcome,
    Rating,
    SetpointCapability,
)

_DUST: Final = 1e-9
"""Relative; what division leaves behind when a power is a whole number of steps."""


class Ceilings(msgspec.Struct, frozen=True, gc=False):
    """Unsigned limits of one element; infinite where there is none."""

    consume_max_w: float = inf
    produce_max_w: float = inf
    current_max_a: float = inf


NO_CEILINGS: Final = Ceilings()
PROTECTION: Final = "protection"
ISLAND: Final = "island"
"""What a command is cut by where the loads decide."""


class Effective(msgspec.Struct, frozen=True, gc=False):
    """What one element has to do from now on.

    Attributes:
        power_w: Set-point, positive into the element; None where it does as it likes within the limits.
        consume_max_w: Limit, >= 0; infinite where the element has none.
        produce_max_w: Limit, >= 0; infinite where the element has none.
        current_max_a: Limit per conductor, >= 0; infinite where the element has none. Only the device knows
            its voltage, so the set-point is not cut to it: the device does that.
        closed: Position of the switch; None leaves it where it is.
        mode: One of those declared; None leaves it as it is.
    """

    power_w: float | None = None
    consume_max_w: float = inf
    produce_max_w: float = inf
    current_max_a: float = inf
    closed: bool | None = None
    mode: str | None = None


class Rules(msgspec.Struct, frozen=True):
    """What a description says about commanding one element, in the form in which it is used."""

    id: str
    rating: Ceilings
    limit: LimitCapability | None
    setpoint: SetpointCapability | None
    has_switch: bool
    modes: frozenset[str]

    @property
    def commandable(self) -> bool:
        """Whether there is anything to command at all."""
        return self.limit is not None or self.setpoint is not None or self.has_switch or bool(self.modes)


class Own(msgspec.Struct, frozen=True, gc=False):
    """What the device allows itself now (temperature, state of charge, …), and for which reason.

    Attributes:
        ceilings: Limits.
        range: Of set-points.
        limited_by: Why.
        produce_by: Why less may be given than taken; the same where it is empty.
    """

    ceilings: Ceilings = NO_CEILINGS
    range: Ceilings = NO_CEILINGS
    limited_by: str = "source"
    produce_by: str = ""


FREE: Final = Own()


class Resolved(msgspec.Struct, frozen=True, gc=False):
    """What holds, and what bounds it.

    Attributes:
        effective: To be done.
        limited_by: What cuts deepest into the rating; `rating` where nothing does.
        consume_by: What gives `consume_max_w`; so for the others.
        setpoint_by: What cut the set-point; empty where it holds as asked.
    """

    effective: Effective
    limited_by: str
    consume_by: str
    produce_by: str
    current_by: str
    setpoint_by: str


def rules_of(element: Element) -> Rules:
    """Read once what a description says."""
    able = element.capabilities
    return Rules(
        id=element.id,
        rating=ceilings_of(able.rating),
        limit=None if isinstance(able.limit, UnsetType) else able.limit,
        setpoint=None if isinstance(able.setpoint, UnsetType) else able.setpoint,
        has_switch=not isinstance(able.switch, UnsetType),
        modes=frozenset() if isinstance(able.mode, UnsetType) else frozenset(able.mode.modes),
    )


def ceilings_of(given: Limits | Rating | UnsetType | None) -> Ceilings:
    """Limits of a message, infinite where they are absent."""
    if given is None or isinstance(given, UnsetType):
        return NO_CEILINGS
    consume, produce, current = given.consume_max_w, given.produce_max_w, given.current_max_a
    return Ceilings(
        inf if isinstance(consume, UnsetType) else consume,
        inf if isinstance(produce, UnsetType) else produce,
        inf if isinstance(current, UnsetType) else current,
    )


def own_of(reading: ElementState) -> Own:
    """What a reading says that the device allows itself; an unknown range bounds nothing."""
    limit, setpoint = reading.limit, reading.setpoint
    if isinstance(limit, UnsetType) and isinstance(setpoint, UnsetType):
        return FREE
    ceilings, reach, limited_by = NO_CEILINGS, NO_CEILINGS, "source"
    if not isinstance(limit, UnsetType):
        ceilings = Ceilings(
            _or_inf(limit.consume_max_w), _or_inf(limit.produce_max_w), _or_inf(limit.current_max_a)
        )
        if not isinstance(limit.limited_by, UnsetType):
            limited_by = limit.limited_by
    if not isinstance(setpoint, UnsetType):
        reach = Ceilings(_or_inf(setpoint.consume_max_w), _or_inf(setpoint.produce_max_w))
    return Own(ceilings, reach, limited_by)


def vet(rules: Rules, command: ElementCommand) -> tuple[ElementCommand, dict[str, Outcome]]:
    """Take out of a command what this element cannot do at all; what is refused counts as absent.

    Returns:
        What is left, and the refusals by capability.
    """
    refused: dict[str, Outcome] = {}
    limit = command.limit
    if not isinstance(limit, UnsetType) and (why := _unlimitable(rules, limit)) is not None:
        refused["limit"] = why
        limit = _limitable(rules, limit)
    if not isinstance(command.setpoint, UnsetType) and rules.setpoint is None:
        refused["setpoint"] = _unknown(rules, "setpoint")
    if not isinstance(command.switch, UnsetType) and not rules.has_switch:
        refused["switch"] = _unknown(rules, "switch")
    if not isinstance(command.mode, UnsetType) and command.mode.mode not in rules.modes:
        declared = f"{rules.id} declares {', '.join(sorted(rules.modes))}"
        refused["mode"] = refusal("unknown_mode", declared) if rules.modes else _unknown(rules, "mode")
    if not refused:
        return command, refused
    left = {**dict.fromkeys(refused, UNSET), "limit": limit}
    return msgspec.structs.replace(command, **left), refused


def refusal(code: str, detail: str) -> Outcome:
    """A refused outcome; the detail is shortened to what the schema takes."""
    return Outcome(result="refused", code=code, detail=detail[:512])


def resolve(
    rules: Rules,
    *,
    failsafe: Ceilings,
    leased: ElementCommand | None,
    wish: ElementCommand | None,
    own: Own,
    holds_island: bool = False,
) -> Resolved:
    """What one element has to do now.

    Args:
        rules: Of its description.
        failsafe: Persisted limits.
        leased: What the lease in force asks of it, after `vet`; None without one.
        wish: What the policy asks of it; its limits are not looked at.
        own: What the device allows itself.
        holds_island: The loads of an island decide its power. Limits and set-points, whoever gave them, would
            put out the lights.
    """
    if holds_island:
        failsafe, leased, wish = NO_CEILINGS, _unbound(leased), _unbound(wish)
    given = None if leased is None or isinstance(leased.limit, UnsetType) else leased.limit
    rating, ceilings = rules.rating, own.ceilings
    consume, consume_by = _strictest(
        rating.consume_max_w, None if given is None else given.consume_max_w, failsafe.consume_max_w,
        ceilings.consume_max_w, own.limited_by,
    )  # fmt: skip
    produce, produce_by = _strictest(
        rating.produce_max_w, None if given is None else given.produce_max_w, failsafe.produce_max_w,
        ceilings.produce_max_w, own.produce_by or own.limited_by,
    )  # fmt: skip
    current, current_by = _strictest(
        rating.current_max_a, None if given is None else given.current_max_a, failsafe.current_max_a,
        ceilings.current_max_a, own.limited_by,
    )  # fmt: skip
    power, power_by = None, ""
    if rules.setpoint is not None and (asked := _setpoint(leased, wish)) is not None:
        power, power_by = _reachable(asked, rules.setpoint, own, consume, consume_by, produce, produce_by)
    bound = Ceilings(consume, produce, current)
    return Resolved(
        Effective(power, consume, produce, current, _closed(rules, leased, wish), _mode(rules, leased, wish)),
        _deepest(rating, bound, consume_by, produce_by, current_by),
        consume_by,
        produce_by,
        current_by,
        power_by,
    )


def _unbound(command: ElementCommand | None) -> ElementCommand | None:
    """The command without what bounds or sets power."""
    return None if command is None else msgspec.structs.replace(command, limit=UNSET, setpoint=UNSET)


def _or_inf(value: float | UnsetType | None) -> float:
    return inf if value is None or isinstance(value, UnsetType) else value


def _unlimitable(rules: Rules, asked: Limits) -> Outcome | None:
    if rules.limit is None:
        return _unknown(rules, "limit")
    for field in _undeclared(rules.limit):
        if getattr(asked, field) is not UNSET:
            return refusal("unknown_capability", f"{rules.id} declares no limit for {field}")
    return None


def _limitable(rules: Rules, asked: Limits) -> Limits | UnsetType:
    """What is left of limits: each number is a command of its own (LEASE-032)."""
    if rules.limit is None:
        return UNSET
    return msgspec.structs.replace(asked, **dict.fromkeys(_undeclared(rules.limit), UNSET))


def _undeclared(limit: LimitCapability) -> list[str]:
    """Limits that an element does not know."""
    ways = (
        ("consume_max_w", limit.consume),
        ("produce_max_w", limit.produce),
        ("current_max_a", limit.current),
    )
    return [field for field, can in ways if can is not True]


def _unknown(rules: Rules, capability: str) -> Outcome:
    return refusal("unknown_capability", f"{rules.id} declares no {capability}")


def _strictest(
    rating: float, leased: float | UnsetType | None, failsafe: float, own: float, own_by: str
) -> tuple[float, str]:
    limit, by = rating, "rating"
    if leased is None or isinstance(leased, UnsetType):
        if failsafe < limit:
            limit, by = failsafe, "failsafe"
    elif leased < limit:
        limit, by = leased, "lease"
    if own < limit or (own == limit == 0.0 and own_by == PROTECTION):  # what protects is named first
        limit, by = own, own_by
    return limit, by


def _setpoint(leased: ElementCommand | None, wish: ElementCommand | None) -> float | None:
    if leased is not None and not isinstance(leased.setpoint, UnsetType):
        return leased.setpoint.power_w
    if wish is not None and not isinstance(wish.setpoint, UnsetType):
        return wish.setpoint.power_w
    return None


def _closed(rules: Rules, leased: ElementCommand | None, wish: ElementCommand | None) -> bool | None:
    if not rules.has_switch:
        return None
    if leased is not None and not isinstance(leased.switch, UnsetType):
        return leased.switch.closed
    if wish is not None and not isinstance(wish.switch, UnsetType):
        return wish.switch.closed
    return None


def _mode(rules: Rules, leased: ElementCommand | None, wish: ElementCommand | None) -> str | None:
    if not rules.modes:
        return None
    if leased is not None and not isinstance(leased.mode, UnsetType):
        return leased.mode.mode
    if wish is not None and not isinstance(wish.mode, UnsetType):
        return wish.mode.mode
    return None


def _reachable(  # noqa: PLR0917  called once, on the way that has to be fast
    asked_w: float,
    able: SetpointCapability,
    own: Own,
    consume: float,
    consume_by: str,
    produce: float,
    produce_by: str,
) -> tuple[float, str]:
    """The set-point that holds, and what cut it."""
    by = ""
    if asked_w >= 0:
        most, most_by = _least(
            consume, consume_by, able.consume_max_w, own.range.consume_max_w, own.limited_by
        )
        power, by = (most, most_by) if asked_w > most else (asked_w, "")
    else:
        most, most_by = _least(
            produce, produce_by, able.produce_max_w, own.range.produce_max_w, own.limited_by
        )
        power, by = (-most, most_by) if -asked_w > most else (asked_w, "")
    if (step := _or_zero(able.step_w)) > 0:
        # the step is how fine the device is, not a limit: rounding towards 0 is no clipping
        power = _stepped(power, step)
    # after the rounding, which must not lead to where the device cannot run
    if power > 0 and power < _or_zero(able.consume_min_w) * (1 - _DUST):
        return 0.0, by or "minimum"
    return power + 0.0, by  # + 0.0 turns -0.0 into 0.0


def _least(limit: float, by: str, able: float, reach: float, reach_by: str) -> tuple[float, str]:
    if able < limit:
        limit, by = able, "rating"
    return (reach, reach_by) if reach < limit else (limit, by)


def _or_zero(value: float | UnsetType) -> float:
    return 0.0 if isinstance(value, UnsetType) else value


def _stepped(power_w: float, step_w: float) -> float:
    stepped = round(power_w / step_w) * step_w
    if abs(stepped) <= abs(power_w):
        return stepped
    if abs(stepped) - abs(power_w) <= _DUST * abs(power_w):
        return power_w
    return stepped - step_w if power_w > 0 else stepped + step_w


def _deepest(rating: Ceilings, bound: Ceilings, consume_by: str, produce_by: str, current_by: str) -> str:
    """Which of the bounds leaves the least of its rating."""
    by, share = "rating", 1.0
    for limit, of, name in (
        (bound.consume_max_w, rating.consume_max_w, consume_by),
        (bound.produce_max_w, rating.produce_max_w, produce_by),
        (bound.current_max_a, rating.current_max_a, current_by),
    ):
        if name != "rating" and (left := limit / of if of else 0.0) < share:
            by, share = name, left
    return by
