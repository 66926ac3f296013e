"""What the control cycle remembers: only evidence that permits more. Without it everything is narrower."""

from __future__ import annotations

from msgspec import Struct, field


class Sent(Struct, frozen=True, array_like=True):
    """A set-point that was commanded, in W into the element."""

    at_s: float
    power_w: float


class ChargerMemory(Struct, frozen=True, array_like=True):
    """Since when there is room for more, or too little for what it draws; None where neither.

    And since when no limit has lowered it; None where it is not known.
    """

    room_since_s: float | None = None
    short_since_s: float | None = None
    calm_since_s: float | None = None


class HeatMemory(Struct, frozen=True, array_like=True):
    """Since when there is surplus for the boost, or none; when the mode last changed, and to what."""

    room_since_s: float | None = None
    short_since_s: float | None = None
    changed_at_s: float | None = None
    boosting: bool = False


class Shed(Struct, frozen=True, array_like=True):
    """A circuit opened to hold a limit: when, what it drew, and since when there is room for it again."""

    at_s: float
    power_w: float
    room_since_s: float | None = None


class Told(Struct, frozen=True, array_like=True):
    """The decision that was last recorded for an element: what must change before another one is."""

    rule: str
    limited_by: tuple[str, ...]
    number: float
    at_s: float


class Memory(Struct, frozen=True, kw_only=True):
    """Passed from cycle to cycle; JSON, so that a hub may keep it over a restart.

    Attributes:
        sent: Commands that may still be on their way, oldest first, by `module/element`.
        rest_w: What the house would have drawn at the last cycle without its batteries and with all its sun.
        fixed: What was not steered at each limit, in the limit's own unit, at the last cycle.
        readings: Of the producers under an export limit, at the last cycle.
        over_since_s: Since when a limit is exceeded that only opening circuits can hold, by limit.
        above: Batteries that have been above their reserve since they last reached it.
        time_s: Of the last cycle.
    """

    sent: dict[str, tuple[Sent, ...]] = field(default_factory=dict)
    rest_w: float | None = None
    fixed: dict[str, float] = field(default_factory=dict)
    readings: dict[str, float] = field(default_factory=dict)
    chargers: dict[str, ChargerMemory] = field(default_factory=dict)
    heats: dict[str, HeatMemory] = field(default_factory=dict)
    shed: dict[str, Shed] = field(default_factory=dict)
    over_since_s: dict[str, float] = field(default_factory=dict)
    above: dict[str, bool] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    time_s: float | None = None
