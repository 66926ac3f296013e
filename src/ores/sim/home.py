"""A simulated home, put together: one world, and in it seven modules that know nothing of each other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import msgspec

from ores.link.clock import Clock
from ores.link.identity import id_of
from ores.module import policy
from ores.module.description import About
from ores.module.device import Device
from ores.module.module import Module
from ores.module.policy import PolicyFunction
from ores.module.store import Store
from ores.sim.devices import ac_battery, charger, gateway, heat_pump, hybrid, meter, panel
from ores.sim.ledger import Agreed
from ores.sim.physics.config import HouseConfig
from ores.sim.physics.exogenous import Source
from ores.sim.physics.house import House
from ores.sim.plant import Plant
from ores.sim.world import World


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of device in the demo home.

    Attributes:
        build: The device, over a home's physics.
        about: What its maker says of it.
        report_period_s: Between two of its states.
        phase_s: When in a period it reports; vendors do not agree on a beat.
        policies: What it does on its own; the first until another is chosen.
    """

    build: Callable[[Plant], Device]
    about: About
    report_period_s: float
    phase_s: float
    policies: tuple[str, ...] = ("free",)


KINDS: Final[Mapping[str, Kind]] = {
    "meter": Kind(build=meter.GridMeter, about=meter.ABOUT, report_period_s=1.0, phase_s=0.05),
    "battery": Kind(
        build=ac_battery.AcBattery,
        about=ac_battery.ABOUT,
        report_period_s=1.0,
        phase_s=0.04,
        policies=("idle", "schedule"),
    ),
    "hybrid": Kind(
        build=hybrid.HybridInverter,
        about=hybrid.ABOUT,
        report_period_s=1.0,
        phase_s=0.03,
        policies=("idle", "schedule"),
    ),
    "gateway": Kind(build=gateway.SolarGateway, about=gateway.ABOUT, report_period_s=1.0, phase_s=0.6),
    "charger": Kind(build=charger.Charger, about=charger.ABOUT, report_period_s=1.0, phase_s=0.3),
    "heat_pump": Kind(
        build=heat_pump.HeatPumpDevice, about=heat_pump.ABOUT, report_period_s=5.0, phase_s=0.8
    ),
    "panel": Kind(build=panel.Panel, about=panel.ABOUT, report_period_s=2.0, phase_s=0.4),
}
"""By the name that `ores module NAME` knows."""


class HomeModule(msgspec.Struct, frozen=True):
    """One module of a home: its name, its kind, and the endpoint that answers."""

    name: str
    kind: Kind
    module: Module


class Home:
    """A world and its modules.

    Args:
        config: Of the house.
        source: Of load and weather.
        clock: Process time.
        agreed: What the home is judged by.
        ids: Module id by name; derived from the names alone when not given, as without a wire nobody shows a key.
        stores: Where each module keeps what persists; in memory when not given.
        only: Names of the modules that exist; all when not given.
    """

    def __init__(
        self,
        config: HouseConfig,
        source: Source,
        clock: Clock,
        *,
        agreed: Agreed | None = None,
        ids: Mapping[str, str] | None = None,
        stores: Mapping[str, Store] | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        self._clock = clock
        self.plant = Plant(House(config, source))
        self.modules: dict[str, HomeModule] = {}
        for name, kind in KINDS.items():
            if only is not None and name not in only:
                continue
            device = kind.build(self.plant)
            module = Module(
                device,
                kind.about,
                module_id=ids[name] if ids is not None else paper_id(name),
                clock=clock,
                policies={chosen: _policy(chosen, device) for chosen in kind.policies},
                store=None if stores is None else stores[name],
                report_period_s=kind.report_period_s,
            )
            self.modules[name] = HomeModule(name, kind, module)
        self.world = World(self.plant, clock, agreed)

    def start(self) -> None:
        """Let time begin: the physics first, then each module at its own beat."""
        self.world.start()
        for member in self.modules.values():
            self._clock.call_at(self._clock.now() + member.kind.phase_s, member.module.start)

    def stop(self) -> None:
        """End in order."""
        for member in self.modules.values():
            member.module.stop()


def paper_id(name: str) -> str:
    """A module id without a key behind it, for a home that has no wire; the same in every run."""
    return id_of(hashlib.sha256(f"simulated {name}".encode()).hexdigest())


def _policy(kind: str, device: Device) -> PolicyFunction:
    if kind == "idle":
        return policy.idle(device.elements)
    if kind == "schedule":
        return policy.schedule("battery")
    return policy.free
