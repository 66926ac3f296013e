"""The steered things of one cycle: what each does now, and what it is told."""

from __future__ import annotations

from typing import NamedTuple

from ores.control.memory import Sent
from ores.control.offers import POLICY
from ores.control.snapshot import power_w
from ores.control.topology import Battery, Charger, Heat, Place, Producer
from ores.model import ElementState


class BatterySeen(NamedTuple):
    """What a battery's state says by itself; see `Unit` for the words."""

    battery: Battery
    state: ElementState | None
    power_w: float | None
    soc_pct: float | None
    low_w: float
    high_w: float


class ChargerSeen(NamedTuple):
    """What a charger's state says by itself; see `Unit` for the words."""

    charger: Charger
    state: ElementState | None
    power_w: float | None
    connected: bool | None
    watt_per_a: float


class Unit:
    """A steered thing during one cycle. Power into it is positive.

    Attributes:
        power_w: Measured, None is unknown.
        seen_low_w: Least power that the meter may have seen of it, given the commands on their way.
        seen_high_w: Most power likewise.
        low_w: Most negative command that is allowed (<= 0).
        high_w: Largest command that is allowed (>= 0).
        command_w: What it is told; None leaves it to its policy.
        consume_max_w: The limit on consuming that it is told; likewise the other.
        amps_per_w: What each W of it adds to the current of each of its conductors.
        absent: Whether it draws nothing, whatever it is told: a charger without a vehicle.
    """

    __slots__ = (
        "absent",
        "amps_per_w",
        "command_w",
        "consume_max_w",
        "high_w",
        "key",
        "last",
        "limited",
        "low_w",
        "place",
        "power_w",
        "produce_max_w",
        "rank",
        "reason",
        "rule",
        "seen_high_w",
        "seen_low_w",
        "soc_pct",
        "source",
        "state",
    )

    def __init__(self, place: Place, state: ElementState | None) -> None:
        self.place = place
        self.key = place.key
        self.state = state
        self.power_w = power_w(state)
        self.seen_low_w = self.seen_high_w = self.power_w or 0.0
        self.low_w = -place.produce_max_w
        self.high_w = place.consume_max_w
        self.consume_max_w = place.consume_max_w
        self.produce_max_w = place.produce_max_w
        self.command_w: float | None = None
        self.absent = False
        self.amps_per_w = place.amps_per_w
        self.soc_pct: float | None = None
        self.rank = POLICY
        self.rule = ""
        self.source = ""
        self.reason = ""
        self.limited: list[str] = []
        self.last: Sent | None = None

    def limit_by(self, source: str) -> None:
        """Remember who narrowed the wish; each source once."""
        if source not in self.limited:
            self.limited.append(source)

    def say(self, rule: str, rank: int, source: str, reason: str) -> None:
        """Say why it is told what it is told."""
        self.rule, self.rank, self.source, self.reason = rule, rank, source, reason


class BatteryUnit(Unit):
    """A battery during one cycle."""

    __slots__ = ("battery",)

    def __init__(self, seen: BatterySeen) -> None:
        super().__init__(seen.battery.place, None)
        self.battery = seen.battery
        self.state = seen.state
        self.power_w = seen.power_w
        self.seen_low_w = self.seen_high_w = seen.power_w or 0.0
        self.soc_pct = seen.soc_pct
        self.low_w = seen.low_w
        self.high_w = seen.high_w


class ChargerUnit(Unit):
    """A charger during one cycle; `watt_per_a` counts the conductors that the vehicle really uses."""

    __slots__ = ("charger", "connected", "watt_per_a")

    def __init__(self, seen: ChargerSeen) -> None:
        super().__init__(seen.charger.place, None)
        self.charger = charger = seen.charger
        self.state = seen.state
        self.power_w = seen.power_w
        self.seen_low_w = self.seen_high_w = seen.power_w or 0.0
        self.connected = seen.connected
        self.absent = seen.connected is False
        self.watt_per_a = seen.watt_per_a
        self.amps_per_w = 1.0 / seen.watt_per_a
        self.low_w = 0.0
        self.high_w = min(self.high_w, charger.current_max_a * charger.place.watt_per_a)


class ProducerUnit(Unit):
    """A producer during one cycle. Its readings and the meter's are not of one instant: while it moves at our
    word, the meter may have seen any of what lies between.

    Attributes:
        available_w: What the source could give (>= 0), None is unknown.
        allowed_w: The limit on producing that it is told (>= 0).
        curtailed_w: What the limit in force holds back (>= 0).
    """

    __slots__ = ("allowed_w", "available_w", "curtailed_w", "producer")

    def __init__(self, producer: Producer, state: ElementState | None) -> None:
        super().__init__(producer.place, state)
        self.producer = producer
        self.available_w: float | None = None
        self.curtailed_w = 0.0
        self.allowed_w = producer.place.produce_max_w


class HeatUnit(Unit):
    """A heat pump during one cycle; `mode` is what it is told, None leaves it alone."""

    __slots__ = ("heat", "mode")

    def __init__(self, heat: Heat, state: ElementState | None) -> None:
        super().__init__(heat.place, state)
        self.heat = heat
        self.mode: str | None = None
