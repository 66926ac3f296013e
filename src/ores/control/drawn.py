"""What a plan comes to if things come as expected: what the stores do, what that costs, and what it saves.

Values of stored energy are made for many futures at once; here one of them, the expected one, is gone through
as the real-time layer would. Beside it stand the two that a person compares with: stores that only follow the
house, and none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from msgspec import Struct

from ores.control.realtime import battery_kw
from ores.ems.course import Act, Course, course
from ores.ems.inputs import Battery, Floats
from ores.ems.rolling import Kept

SAME_KW: Final = 0.02
"""Powers that are so near are one: meters see no less."""

Does = Literal["charge", "store_sun", "feed_house", "sell", "rest"]
"""What stores do in a slot; `charge` is from the grid, at least in part."""


class Foresight(Struct, frozen=True):
    """What was expected of a slot before it began.

    Attributes:
        does: What the stores were expected to do.
        saves: Money, by doing so in this slot and in those after it that do the same: against stores that
            just follow the house meanwhile or, where they do just that, that rest. It may be negative.
        sun_short_kwh: What the house needs in 24 h beyond what the sun gives; None where either is unknown.
    """

    does: Does
    saves: float
    sun_short_kwh: float | None


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plan, drawn.

    Attributes:
        planned: What the stores do.
        does: The same in words, by slot.
        following_cost: Of stores that only follow the house; as `Course.cost`.
        resting_cost: Of stores that do nothing.
        saves: Of the first slots, as in `Foresight`.
    """

    planned: Course
    does: tuple[Does, ...]
    following_cost: float
    resting_cost: float
    saves: tuple[float, ...]


def does_of(power_kw: float, net_kw: float) -> Does:
    """What stores do at a power, in a house of this need; negative is surplus."""
    if abs(power_kw) < SAME_KW:
        return "rest"
    if power_kw > 0.0:
        return "store_sun" if power_kw + net_kw < SAME_KW else "charge"
    return "feed_house" if power_kw + net_kw > -SAME_KW else "sell"


class _Ways:
    """Ways to act on what is expected."""

    def __init__(self, kept: Sequence[Kept], net_kw: Floats, hours: float, battery: Battery) -> None:
        self.kept, self.net_kw, self.hours, self.battery = kept, net_kw, hours, battery
        self._net = [float(one) for one in net_kw]
        self._curves = [one.value(net * hours) for one, net in zip(kept, self._net, strict=True)]

    def plan(self, at: int, stored_kwh: float) -> float:
        battery = replace(self.battery, soc_pct=stored_kwh / self.battery.capacity_kwh * 100.0)
        return battery_kw(self._net[at], self.hours, self.kept[at].price, battery, self._curves[at])

    def follow(self, at: int, _stored_kwh: float) -> float:
        return -self._net[at]

    def rest(self, _at: int, _stored_kwh: float) -> float:
        return 0.0

    def until(self, other: Act, end: int) -> Act:
        """One way first, then as planned."""
        return lambda at, stored_kwh: (other if at < end else self.plan)(at, stored_kwh)

    def go(self, act: Act, stored_kwh: float, since: int = 0) -> Course:
        return course(
            self.kept[since:],
            self.net_kw[since:],
            self.hours,
            self.battery,
            stored_kwh=stored_kwh,
            act=lambda at, stored: act(at + since, stored),
        )


def draw(
    kept: Sequence[Kept], net_kw: Floats, hours: float, battery: Battery, *, stored_kwh: float, told: int
) -> Drawn:
    """Go through what is expected.

    Args:
        kept: What is known of each slot to come; at least one.
        net_kw: Load less PV in each, as it is expected, shape (n,).
        hours: Length of each; > 0.
        battery: All stores as one; the SoC is not asked.
        stored_kwh: At the beginning.
        told: Of so many of the first slots it is said what they save.
    """
    ways = _Ways(kept, net_kw, hours, battery)
    planned = ways.go(ways.plan, stored_kwh)
    does = tuple(
        does_of(power, net) for power, net in zip(planned.power_kw.tolist(), net_kw.tolist(), strict=True)
    )
    return Drawn(
        planned,
        does,
        ways.go(ways.follow, stored_kwh).cost,
        ways.go(ways.rest, stored_kwh).cost,
        tuple(_saves(ways, planned, does, at) for at in range(told)),
    )


def _saves(ways: _Ways, planned: Course, does: Sequence[Does], at: int) -> float:
    end = next((later for later in range(at, len(does)) if does[later] != does[at]), len(does))
    other = ways.rest if does[at] in {"store_sun", "feed_house"} else ways.follow
    stored_kwh = float(planned.stored_kwh[at])
    instead = ways.go(ways.until(other, end), stored_kwh, at)
    return instead.cost - ways.go(ways.plan, stored_kwh, at).cost
