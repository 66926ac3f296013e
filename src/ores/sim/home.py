"""A simulated home, put together: one world, and in it seven devices that know nothing of each other.

Its modules are reached over sockets (`on_sockets`), each with its own key, port and label, or for long
replays without any (`in_memory`); what they say is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec

from ores.link.clock import Clock
from ores.link.errors import ConfigError
from ores.link.identity import Identity, new_identity, write_private_file
from ores.module import policy
from ores.module.description import About
from ores.module.device import Device
from ores.module.module import Module
from ores.module.policy import PolicyFunction
from ores.module.run import Running, running
from ores.sim.devices import ac_battery, charger, dishwasher, gateway, heat_pump, hybrid, meter, panel
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
        phase_s: When in a period it reports; few different ones, as each costs all processes a round of
            lock-step.
        policies: What it does on its own; the first until another is chosen.
        in_home: Whether the home has it where nobody says which devices it has.
    """

    build: Callable[[Plant], Device]
    about: About
    report_period_s: float
    phase_s: float
    policies: tuple[str, ...] = ("free",)
    in_home: bool = True


_STORES: Final = ("idle", "schedule")
KINDS: Final[Mapping[str, Kind]] = {
    "hybrid": Kind(
        build=hybrid.HybridInverter, about=hybrid.ABOUT, report_period_s=1.0, phase_s=0.05, policies=_STORES
    ),
    "battery": Kind(
        build=ac_battery.AcBattery,
        about=ac_battery.ABOUT,
        report_period_s=1.0,
        phase_s=0.05,
        policies=_STORES,
    ),
    "meter": Kind(build=meter.GridMeter, about=meter.ABOUT, report_period_s=1.0, phase_s=0.1),
    "charger": Kind(build=charger.Charger, about=charger.ABOUT, report_period_s=1.0, phase_s=0.05),
    "panel": Kind(build=panel.Panel, about=panel.ABOUT, report_period_s=2.0, phase_s=0.05),
    "gateway": Kind(build=gateway.SolarGateway, about=gateway.ABOUT, report_period_s=1.0, phase_s=0.05),
    "heat_pump": Kind(
        build=heat_pump.HeatPumpDevice, about=heat_pump.ABOUT, report_period_s=5.0, phase_s=0.05
    ),
    "dishwasher": Kind(
        build=dishwasher.DishwasherDevice,
        about=dishwasher.ABOUT,
        report_period_s=5.0,
        phase_s=0.05,
        in_home=False,
    ),
}
"""By the name that `ores module NAME` knows, in the order of their beats."""


class Home:
    """A world and its devices; nothing runs yet.

    Args:
        config: Of the house.
        source: Of load and weather.
        clock: Process time.
        agreed: What the home is judged by.
        only: Names of the devices that exist; those that a home has when not given.

    Raises:
        ConfigError: There is no device of such a name.
    """

    def __init__(
        self,
        config: HouseConfig,
        source: Source,
        clock: Clock,
        *,
        agreed: Agreed | None = None,
        only: Sequence[str] | None = None,
    ) -> None:
        unknown = [name for name in only or () if name not in KINDS]
        if unknown:
            raise ConfigError("NAME", found=", ".join(unknown), allowed=", ".join(KINDS))
        self.clock = clock
        self.plant = Plant(House(config, source))
        self.devices: dict[str, Device] = {
            name: kind.build(self.plant)
            for name, kind in KINDS.items()
            if (kind.in_home if only is None else name in only)
        }
        self.world = World(self.plant, clock, agreed)


def in_memory(home: Home, seed: int = 0) -> dict[str, Module]:
    """The modules of a home without a wire, by id; they start with the world, each at its own beat.

    Args:
        home: Its world starts here.
        seed: Of the ids: the same as over sockets.
    """
    modules = {}
    home.world.start()
    for name, device in home.devices.items():
        kind = KINDS[name]
        identity = simulated_identity(name, seed)
        module = Module(
            device,
            kind.about,
            module_id=identity.id,
            clock=home.clock,
            policies=_policies(kind, device),
            report_period_s=kind.report_period_s,
            boot_id=_boot_id(name),
        )
        home.clock.call_at(home.clock.now() + kind.phase_s, module.start)
        home.world.on_site[name] = module.reset_on_site
        modules[identity.id] = module
    return modules


@asynccontextmanager
async def on_sockets(
    home: Home,
    directory: Path,
    *,
    host: str | None = "127.0.0.1",
    port: int = 0,
    announced: bool = False,
    seed: int | None = None,
) -> AsyncIterator[dict[str, Running]]:
    """The modules of a home on the network, by name; each keeps what persists in a directory of its own.

    Args:
        home: Its world starts here.
        directory: Of all modules.
        host: Address to listen on; None for all.
        port: Of the first module; 0 picks a free one for each.
        announced: Make them known by DNS-SD.
        seed: Give them the same keys in every run of this seed.

    Raises:
        ConfigError: A directory or port cannot be used.
    """
    began_s = home.clock.now()
    home.world.start()
    async with AsyncExitStack() as stack:
        modules: dict[str, Running] = {}
        for name, device in home.devices.items():
            kind = KINDS[name]
            if seed is not None:
                _keep_simulated_identity(directory / name, simulated_identity(name, seed))
            await home.clock.sleep_until(began_s + kind.phase_s)
            modules[name] = await stack.enter_async_context(
                running(
                    _already(device),
                    directory / name,
                    kind.about,
                    clock=home.clock,
                    policies=_policies(kind, device),
                    report_period_s=kind.report_period_s,
                    boot_id=None if seed is None else _boot_id(name),
                    host=host,
                    port=port + len(modules) if port else 0,
                    announced=announced,
                )
            )
            home.world.on_site[name] = modules[name].reset_on_site
        yield modules


def _boot_id(name: str) -> str:
    """Of the first boot, the same in every run."""
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _already(device: Device) -> Callable[[Clock], Device]:
    """The SDK asks for a maker; here the device stands already."""
    return lambda _clock: device


def simulated_identity(name: str, seed: int = 0) -> Identity:
    """A key made of a name and a seed: it protects nothing, and is the same in every run."""
    digest = hashlib.sha256(f"simulated {name} {seed}".encode()).digest()
    return new_identity(int.from_bytes(digest) >> 8)


def _keep_simulated_identity(directory: Path, identity: Identity) -> None:
    if not (directory / "identity.pem").exists():
        write_private_file(directory / "epoch", b"0\n")
        write_private_file(directory / "identity.pem", identity.pem)


def _policies(kind: Kind, device: Device) -> dict[str, PolicyFunction]:
    known = {
        "idle": policy.idle(device.elements),
        "schedule": policy.schedule("battery"),
        "free": policy.free,
    }
    return {chosen: known[chosen] for chosen in kind.policies}
