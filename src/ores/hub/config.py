"""What a hub is told at its start."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path

from ores.link.errors import ConfigError
from ores.model import Preferences

DEFAULT_PORT = 8080
DEFAULT_HTTPS_PORT = 8443


@dataclass(frozen=True, slots=True)
class HubConfig:
    """Settings of one hub.

    Attributes:
        data: Where it keeps its state; None for a directory that is removed at the end.
        name: What people call it, 1 to 64 characters.
        port: Of the page on 127.0.0.1, plain HTTP; 0 picks a free one; None serves no page at all.
        listen: Address on which the page is also served over HTTPS once an owner exists; None for none.
        https_port: Of that.
        allowed_hosts: Further names by which browsers may reach the page, such as `home.example.org`.
        discover: Look for modules with DNS-SD.
        interfaces: Addresses of the interfaces to look on; None for all.
        simulated: This is a demonstration, and says so.
        speed: Simulated seconds per second; None where time is real.
        commit_every_s: Between two commits of the history, in process time: what a kill may cost.
        live_per_s: Pictures of the house per second of the wall that a page gets at most.
        preferences: Before the owner has said anything; None for the usual ones.
        mqtt: Address of a broker to which the house is shown, `mqtt://user:password@host:1883`; or None.
        sunspec: Where the house is shown as a SunSpec device, `[ADDRESS:]PORT[?control=yes]`; or None.
        tariff: By which it plans, `FILE.json:ID`; None where it does not plan.
    """

    data: Path | None = None
    name: str = "ORES hub"
    port: int | None = DEFAULT_PORT
    listen: str | None = None
    https_port: int = DEFAULT_HTTPS_PORT
    allowed_hosts: tuple[str, ...] = field(default=())
    discover: bool = True
    interfaces: tuple[str, ...] | None = None
    simulated: bool = False
    speed: float | None = None
    commit_every_s: float = 1.0
    live_per_s: float = 1.0
    preferences: Preferences | None = None
    mqtt: str | None = field(default=None, repr=False)  # it may hold a password
    sunspec: str | None = None
    tariff: str | None = None

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: Names the setting, what was found and what is allowed.
        """
        if not 1 <= len(self.name) <= 64:
            raise ConfigError("--name", found=self.name, allowed="1 to 64 characters")
        for setting, port in (("--port", self.port), ("--https-port", self.https_port)):
            if port is not None and not 0 <= port <= 65535:
                raise ConfigError(setting, found=port, allowed="0 to 65535")
        if self.listen is not None and not _is_address(self.listen):
            raise ConfigError(
                "--listen", found=self.listen, allowed="an address of this machine, such as 0.0.0.0 or ::"
            )
        for setting, told in (("--mqtt", self.mqtt), ("--sunspec", self.sunspec)):
            if told is not None and self.speed is not None:
                raise ConfigError(setting, found=f"a speed of {self.speed:g}", allowed="only in real time")
        if not 0 < self.live_per_s <= 20:
            raise ConfigError("live_per_s", found=self.live_per_s, allowed="above 0, at most 20")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
