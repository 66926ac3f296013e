"""A battery and a clock that is moved by hand: what most sentences about modules need."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import msgspec
import pytest

from ores.link import codec
from ores.link.clock import RealClock
from ores.link.endpoint import Peer, Reply, Stream
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Element,
    ElementCommand,
    ElementSettings,
    ElementState,
    EnergyCapability,
    FromModule,
    IsolateCapability,
    Lease,
    LeaseResult,
    LimitCapability,
    Limits,
    ModeCapability,
    ModeRange,
    Rating,
    SetpointCapability,
    State,
    Storage,
    StorageCapability,
    SwitchCapability,
    ToModule,
)
from ores.module import About, Answer, Effective, Module, Refused, element

HUB = Peer(id="a" * 26, role="controller")
OTHER_HUB = Peer(id="c" * 26, role="controller")
OBSERVER = Peer(id="b" * 26, role="observer")
STRANGER = Peer(id="", role="stranger")


class HandClock(RealClock):
    """Time that stands still until a test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._timers: list[tuple[float, int, HandTimer]] = []
        self._order = count()

    def now(self) -> float:
        return self.now_s

    def utc(self) -> datetime:
        return datetime(2026, 6, 1, tzinfo=UTC) + timedelta(seconds=self.now_s)

    def call_at(self, at_s: float, callback: Callable[[], None]) -> HandTimer:
        timer = HandTimer(callback)
        heapq.heappush(self._timers, (at_s, next(self._order), timer))
        return timer

    def move(self, to_s: float) -> None:
        while self._timers and self._timers[0][0] <= to_s:
            at_s, _, timer = heapq.heappop(self._timers)
            self.now_s = max(self.now_s, at_s)
            if timer.callback is not None:
                timer.callback()
        self.now_s = to_s

    def wakeups(self) -> list[float]:
        return sorted(at_s for at_s, _, timer in self._timers if timer.callback is not None)


class HandTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


def battery_element(name: str = "battery") -> Element:
    return element(
        name,
        "battery",
        bus="grid",
        ac_measure=AcMeasureCapability(),
        energy=EnergyCapability(),
        rating=Rating(consume_max_w=5000.0, produce_max_w=4000.0),
        limit=LimitCapability(consume=True, produce=True),
        setpoint=SetpointCapability(consume_max_w=5000.0, produce_max_w=4000.0, response_s=0.5),
        storage=StorageCapability(capacity_wh=10_000.0, reserve_setting=True),
    )


class Battery:
    """Follows its set-point at once; its readings and its failures are a test's to choose."""

    def __init__(self, *elements: Element) -> None:
        self.elements = list(elements) or [battery_element()]
        self.readings: dict[str, ElementState] = {}
        self.applied: list[tuple[str, Effective]] = []
        self.answer: Answer = None
        self.fail_read: Exception | None = None
        self.fail_apply: Exception | None = None
        self.soc_pct: float | None = 50.0
        self.power_w: float | None = 0.0

    def read(self, element: str) -> ElementState:
        if self.fail_read is not None and element == self.elements[0].id:
            raise self.fail_read
        if element in self.readings:
            return self.readings[element]
        return ElementState(ac_measure=AcMeasure(power_w=self.power_w), storage=Storage(soc_pct=self.soc_pct))

    def apply(self, element: str, command: Effective) -> Answer:
        if self.fail_apply is not None:
            raise self.fail_apply
        self.applied.append((element, command))
        if command.power_w is not None and self.answer is None:
            self.power_w = command.power_w
        return self.answer

    @property
    def told(self) -> Effective:
        return self.applied[-1][1]


class Panel:
    """A switch, a heat pump's modes and a tie, in one."""

    def __init__(self) -> None:
        self.elements = [
            element("circuit", "circuit", bus="grid", switch=SwitchCapability()),
            element(
                "pump",
                "heat",
                bus="backup",
                mode=ModeCapability(modes={"off": ModeRange(), "normal": ModeRange(), "boost": ModeRange()}),
            ),
            element("tie", "tie", isolate=IsolateCapability(upstream_bus="grid", downstream_bus="backup")),
        ]
        self.told: dict[str, Effective] = {}
        self.requests: list[tuple[str, str]] = []
        self.interlock: Refused | None = None

    def read(self, element: str) -> ElementState:
        return ElementState()

    def apply(self, element: str, command: Effective) -> Answer:
        self.told[element] = command
        return None

    def request(self, element: str, request: str) -> Refused | None:
        self.requests.append((element, request))
        return self.interlock

    def configure(self, element: str, settings: ElementSettings) -> Refused | None:
        return None


class Bench:
    """A module on a bench: a hub's side of it, without a loop."""

    def __init__(
        self, device: object, clock: HandClock | None = None, *, start: bool = True, **how: object
    ) -> None:
        self.clock = clock or HandClock()
        about = About(name="Battery", maker="Maker", model="One", serial="1", profiles=("storage",))
        made = {"module_id": "m" * 26, "clock": self.clock, "boot_id": "00000001"} | how
        self.module = Module(device, about, **made)
        if start:
            self.module.start()
        self.frames: list[FromModule] = []
        self.seq = 0
        self.stream = self.open(HUB)

    def open(self, peer: Peer) -> Stream:
        return self.module.open_stream(peer, self._on_frame)

    def _on_frame(self, frame: bytes) -> None:
        self.frames.append(codec.decode(FromModule, frame))

    def lease(self, elements: dict[str, ElementCommand] | None = None, **how: object) -> Lease:
        self.seq += 1
        uptime_ms = int(self.clock.now() * 1000)
        fields = {"epoch": 1, "seq": self.seq, "boot_id": "00000001", "uptime_ms": uptime_ms, "ttl_s": 10.0}
        return Lease(**(fields | {"elements": elements or {}} | how))

    def send(self, elements: dict[str, ElementCommand] | None = None, **how: object) -> LeaseResult:
        self.stream.receive(msgspec.json.encode(ToModule(lease=self.lease(elements, **how))))
        result = self.frames[-1].result
        assert isinstance(result, LeaseResult), self.frames[-1]
        return result

    def ask(self, method: str, path: str, message: object = None, peer: Peer = HUB) -> Reply:
        body = b"" if message is None else msgspec.json.encode(message)
        return self.module.request(peer, method, path, body)

    def states(self) -> list[State]:
        return [frame.state for frame in self.frames if isinstance(frame.state, State)]

    @property
    def state(self) -> State:
        return self.states()[-1]


@pytest.fixture(scope="session")
def things() -> type:
    """The classes of this file, for tests cannot import each other."""

    class Things:
        hub, other_hub, observer, stranger = HUB, OTHER_HUB, OBSERVER, STRANGER

    for thing in (Battery, Bench, HandClock, Panel):
        setattr(Things, thing.__name__, thing)
    Things.battery_element = staticmethod(battery_element)
    Things.limits = staticmethod(lambda **limits: ElementCommand(limit=Limits(**limits)))
    return Things
