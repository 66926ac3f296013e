"""A small house for the hub's tests: modules made with the SDK, joined without a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ores.hub.config import HubConfig
from ores.hub.run import RunningHub, open_hub
from ores.link.clock import Clock
from ores.link.endpoint import Peer, Session
from ores.link.errors import Disconnected
from ores.link.memory import MemorySession, connect
from ores.model import (
    AcMeasure,
    AcMeasureCapability,
    Element,
    ElementSettings,
    ElementState,
    LimitCapability,
    Preferences,
    Rating,
    SetpointCapability,
    Storage,
    StorageCapability,
)
from ores.module import About, Effective, Module, Refused, element, idle, setpoint

START = datetime(2025, 6, 1, 12, 0, 0, tzinfo=UTC)
BATTERY, METER = "b" * 26, "m" * 26
CONTROLLER = Peer(id="h" * 26, role="controller")


@dataclass
class World:
    """What happens in the house, in W."""

    load_w: float = 500.0
    battery_w: float = 0.0
    meter_known: bool = True

    @property
    def grid_w(self) -> float:
        return self.load_w + self.battery_w


@dataclass
class Battery:
    world: World
    soc_pct: float = 50.0
    commands: list[Effective] = field(default_factory=list)
    elements: Sequence[Element] = (
        element(
            "battery",
            "battery",
            bus="grid",
            terminals=["L1", "N"],
            ac_measure=AcMeasureCapability(),
            rating=Rating(consume_max_w=3000.0, produce_max_w=3000.0),
            limit=LimitCapability(consume=True, produce=True),
            setpoint=SetpointCapability(consume_max_w=3000.0, produce_max_w=3000.0, response_s=1.0),
            storage=StorageCapability(capacity_wh=10_000.0, reserve_setting=True),
        ),
    )

    def read(self, element: str) -> ElementState:
        return ElementState(
            ac_measure=AcMeasure(power_w=self.world.battery_w), storage=Storage(soc_pct=self.soc_pct)
        )

    def apply(self, element: str, command: Effective) -> None:
        self.commands.append(command)
        self.world.battery_w = command.power_w or 0.0

    def configure(self, element: str, settings: ElementSettings) -> Refused | None:
        return None


@dataclass
class Meter:
    world: World
    elements: Sequence[Element] = (
        element(
            "meter",
            "meter",
            bus="grid",
            terminals=["L1", "N"],
            ac_measure=AcMeasureCapability(connection_point=True),
        ),
    )

    def read(self, element: str) -> ElementState:
        known = self.world.meter_known
        return ElementState(ac_measure=AcMeasure(power_w=self.world.grid_w if known else None))


class House:
    """A battery and a meter, and how a hub reaches them."""

    def __init__(self, clock: Clock, data: Path | None = None, **config: object) -> None:
        self.clock = clock
        self.world = World()
        self.battery = Battery(self.world)
        self.modules: dict[str, Module] = {}
        self.sessions: dict[str, list[MemorySession]] = {}
        self.wrap: dict[str, Callable[[MemorySession], Session]] = {}
        self.dead: set[str] = set()
        self.config = HubConfig(data=data, discover=False, **{"port": None, **config})  # type: ignore[arg-type]
        self.add(BATTERY, self.battery, "battery")
        self.add(METER, Meter(self.world), "meter")

    def add(self, module_id: str, device: Battery | Meter, name: str) -> Module:
        about = About(name=name, maker="Test", model=name, serial="1")
        elements = list(device.elements)
        policies = {"idle": idle(elements)}
        if isinstance(device, Battery):
            policies["self_consumption"] = lambda _situation: {"battery": setpoint(-100.0)}
        module = Module(
            device,
            about,
            module_id=module_id,
            clock=self.clock,
            policies=policies,
            boot_id=module_id[:1] * 8 if module_id[:1] in "abcdef" else "12345678",
        )
        module.start()
        self.modules[module_id] = module
        return module

    def connector(self, module_id: str) -> Callable[[], object]:
        async def make() -> Session:
            if module_id in self.dead:
                raise Disconnected("nobody answers")
            session = connect(self.modules[module_id], CONTROLLER, self.clock)
            self.sessions.setdefault(module_id, []).append(session)
            wrap = self.wrap.get(module_id)
            return session if wrap is None else wrap(session)

        return make

    def hub(self, preferences: Preferences | None = None) -> AbstractAsyncContextManager[RunningHub]:
        sessions = {module_id: self.connector(module_id) for module_id in self.modules}
        return open_hub(self.config, self.clock, sessions=sessions)  # type: ignore[arg-type]

    def kill(self, module_id: str) -> None:
        """The module dies: nothing comes from it any more, and nobody says so."""
        self.dead.add(module_id)
        self.modules[module_id].stop()
        for session in self.sessions.get(module_id, []):
            session.cut("the other side is gone")
