"""What a person asks of a demonstration, checked before anything starts."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from math import inf
from pathlib import Path

import msgspec
from msgspec import UNSET

from ores.cli.preferences import changed
from ores.link.errors import ConfigError
from ores.model import Preferences
from ores.sim.home import KINDS, simulated_identity
from ores.sim.ledger import Agreed
from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.exogenous import Source
from ores.sim.sources.household import Household
from ores.sim.sources.replay import Replay, homes_in, starting, without_car_and_heat

DEFAULT_PREFERENCES = Preferences(
    self_consumption=True, ev_mode="surplus", reserve_pct=10.0, price_per_kwh=0.30, export_price_per_kwh=0.08
)
MORNING_HOUR = 10.0


class DemoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """One demonstration.

    Attributes:
        headless: No page.
        speed: Ceiling in simulated seconds per second, > 0; exactly 1 is real time.
        hours: Simulated; until it is stopped when None.
        seed: The same seed gives the same run.
        link: `sockets`, as in a house; or `memory`, everything in one process, for long replays.
        replay: A recorded home instead of the generator.
        home: Which of the file's homes.
        start_hour: Of the scene, or hours after the first recorded interval. Without it a headless run begins
            at the start, and one that people watch in the morning, when the sun is up.
        data: Where hub and devices keep what persists; a directory that is removed at the end when None.
        port: Of the page; 0 picks a free one.
        world_port: Of the world.
        prefer: The owner's preferences, NAME=VALUE.
        tariff: By which the hub plans, `FILE.json:ID`; None where it does not plan.
    """

    headless: bool = False
    speed: float = 1.0
    hours: float | None = None
    seed: int = 1
    link: str = "sockets"
    replay: Path | None = None
    home: str | None = None
    start_hour: float | None = None
    data: Path | None = None
    port: int = 8080
    world_port: int = 8090
    prefer: tuple[str, ...] = ()
    tariff: str | None = None

    def check(self) -> None:
        """Refuse what cannot be; see `ConfigError`."""
        if not (math.isfinite(self.speed) and self.speed > 0):
            raise ConfigError("--speed", found=self.speed, allowed="a number above 0; 1 is real time")
        if self.hours is not None and not 0 < self.hours <= 24 * 366:
            raise ConfigError("--hours", found=self.hours, allowed="above 0, at most a year (8784)")
        if self.headless and self.hours is None:
            raise ConfigError("--headless", found="no --hours", allowed="together with --hours")
        if self.link not in {"sockets", "memory"}:
            raise ConfigError("--link", found=self.link, allowed="sockets or memory")
        if self.link == "memory" and not self.headless:
            raise ConfigError("--link", found="memory", allowed="together with --headless")
        if self.home is not None and self.replay is None:
            raise ConfigError("--home", found=self.home, allowed="together with --replay FILE")

    def preferences(self) -> Preferences:
        """The usual ones of a demonstration, and what was asked for."""
        return changed(DEFAULT_PREFERENCES, [self._with_ids(typed) for typed in self.prefer])

    def _with_ids(self, typed: str) -> str:
        """A simulated module's name stands for its id, which nobody can know beforehand: `"panel/oven"`."""
        for name in KINDS:
            typed = typed.replace(f'"{name}/', f'"{simulated_identity(name, self.seed).id}/')
        return typed

    def agreed(self, config: HouseConfig) -> Agreed:
        """What the home is judged by: what its owner has agreed to."""
        wants = self.preferences()
        usual = Agreed()
        circuits = {} if wants.circuit_max_a is UNSET else wants.circuit_max_a
        return Agreed(
            import_max_w=_or(wants.import_max_w, inf),
            export_max_w=_or(wants.export_max_w, inf),
            fuse_a=_or(wants.main_fuse_a, config.wiring.fuse_a),
            circuit_max_a={name.rpartition("/")[2]: limit for name, limit in circuits.items()},
            price_per_kwh=_or(wants.price_per_kwh, usual.price_per_kwh),
            export_price_per_kwh=_or(wants.export_price_per_kwh, usual.export_price_per_kwh),
        )

    def scene(self) -> tuple[HouseConfig, Source]:
        """The house, and where its load and weather come from.

        Raises:
            ConfigError: The file or the home in it cannot be used; says why.
        """
        config = HouseConfig()
        hour = (0.0 if self.headless else MORNING_HOUR) if self.start_hour is None else self.start_hour
        after = timedelta(hours=hour)
        try:
            if self.replay is None:
                site = replace(config.site, start=config.site.start + after)
                config = replace(config, site=site)
                return config, Household(config, self.seed, 1)
            known = homes_in(self.replay)
            home = self.home or known[0]
            config = starting(without_car_and_heat(config), self.replay, after=after)
            return config, Replay(config, self.replay, [home], seed=self.seed, gaps="fill")
        except ScenarioError as error:
            raise ConfigError("--replay, --home", found=str(self.replay), allowed=str(error)) from error


def _or(value: float | msgspec.UnsetType, default: float) -> float:
    return default if isinstance(value, msgspec.UnsetType) else value
