"""Everything around a device that a maker should not have to write.

Key, label, pairing, mutual TLS, announcement. All that must persist is in one directory:

```
directory/
  identity.pem   the key
  label          the pairing code, as printed on the device
  pins.json      who has been paired
  module.json    failsafe limits, policy, settings, counters
```
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from ores.link.clock import Clock, RealClock
from ores.link.desk import PairingDesk, keep_secret, load_or_create_secret
from ores.link.discovery import Announcement, announce
from ores.link.errors import ConfigError
from ores.link.identity import Identity, load_or_create
from ores.link.pairing import new_secret
from ores.link.pins import Pins
from ores.link.server import Server, serve
from ores.model import ElementCommand
from ores.module.description import About
from ores.module.device import Device
from ores.module.module import Module
from ores.module.policy import PolicyFunction
from ores.module.store import FileStore

EXIT_CONFIG: Final = 2
_log: Final = logging.getLogger("ores.module")


class Running:
    """A module on the network; made by `running`.

    Attributes:
        module: What it does.
        identity: Its key.
        pins: Who may talk to it.
        desk: Where it is paired; `desk.code` is on the label.
        server: Where it listens.
    """

    def __init__(
        self,
        module: Module,
        identity: Identity,
        pins: Pins,
        desk: PairingDesk,
        server: Server,
        *,
        label: Path,
    ) -> None:
        self.module: Final = module
        self.identity: Final = identity
        self.pins: Final = pins
        self.desk: Final = desk
        self.server: Final = server
        self._label: Final = label

    def factory_reset(self) -> str:
        """Somebody at the device wants all of the owner forgotten: pins, lease, policy, settings, limits.

        The key stays: it is what the module is. The code is a new one, for whoever has read the old one.

        Returns:
            The new code.

        Raises:
            ConfigError: A file cannot be written; what could be forgotten by then is, and it may be tried
                again.
        """
        secret = new_secret()
        # the label first: were it last, a full disk would leave an open module with the code that is known
        keep_secret(self._label, secret)
        self.desk.reset(secret)
        self.module.factory_reset()
        return self.desk.code


@asynccontextmanager
async def running(
    make_device: Callable[[Clock], Device],
    directory: Path,
    about: About,
    *,
    clock: Clock,
    policies: Mapping[str, PolicyFunction] | None = None,
    defaults: Mapping[str, ElementCommand] | None = None,
    report_period_s: float = 1.0,
    notable_w: float = 50.0,
    boot_id: str | None = None,
    host: str | None = None,
    port: int = 0,
    allow_observers: bool = False,
    announced: bool = True,
    interfaces: Sequence[str] | None = None,
) -> AsyncIterator[Running]:
    """A device as a module on the network, for as long as the context lasts.

    Args:
        make_device: Called with the clock; a class whose constructor takes it will do.
        directory: Of this module alone; made where it is missing.
        about: For the description.
        clock: Process time.
        policies: As for `Module`, and so for the next three.
        defaults: What switches and modes do where no policy says otherwise.
        report_period_s: Between two states.
        notable_w: A change of power that is told at once.
        boot_id: For a run that is to be repeated exactly; another one for each boot. Drawn when not given.
        host: Address to listen on; None for all.
        port: TCP port; 0 picks a free one.
        allow_observers: The owner lets further hubs read.
        announced: Make it known by DNS-SD; where that cannot be done it is logged, and the module works on.
        interfaces: Addresses to announce on; None for all.

    Raises:
        ConfigError: The directory, the description or the port cannot be used; says why.
    """
    identity = load_or_create(directory)
    pins = Pins.load(directory / "pins.json")
    desk = PairingDesk(
        identity,
        pins,
        clock,
        secret=load_or_create_secret(directory / "label"),
        allow_observers=allow_observers,
    )
    module = Module(
        make_device(clock),
        about,
        module_id=identity.id,
        clock=clock,
        policies=policies,
        defaults=defaults,
        store=FileStore(directory, fresh_counter_epoch=int(clock.utc().timestamp())),
        report_period_s=report_period_s,
        notable_w=notable_w,
        boot_id=boot_id,
    )
    server = await serve(module, identity, pins, clock=clock, host=host, port=port, desk=desk)
    async with AsyncExitStack() as ending:  # all of it, whatever fails on the way: the lease must end
        ending.callback(module.stop)
        ending.push_async_callback(server.close)
        ending.callback(pins.watch(lambda: module.controlled_by(_controller(pins))))
        module.start()
        if announced:
            # the whole street can read it: what the thing is, and not what its owner calls it
            name = f"{about.maker} {about.model}"
            announcement = await _announced(identity, server.port, name, interfaces)
            if announcement is not None:
                ending.push_async_callback(announcement.close)
        yield Running(module, identity, pins, desk, server, label=directory / "label")


def run(
    make_device: Callable[[Clock], Device],
    directory: Path | str,
    about: About,
    *,
    policies: Mapping[str, PolicyFunction] | None = None,
    defaults: Mapping[str, ElementCommand] | None = None,
    host: str | None = None,
    port: int = 0,
    announced: bool = True,
) -> None:
    """Run a module until it is interrupted or terminated: the last line of a maker's program.

    What a person has to mend is said in one sentence, and the process ends with status 2.

    Args:
        make_device: Called with the clock.
        directory: Of this module alone.
        about: For the description.
        policies: As for `Module`.
        defaults: As for `Module`.
        host: Address to listen on; None for all.
        port: TCP port; 0 picks a free one.
        announced: Make it known by DNS-SD.
    """

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        async with running(
            make_device,
            Path(directory),
            about,
            clock=RealClock(),
            policies=policies,
            defaults=defaults,
            host=host,
            port=port,
            announced=announced,
        ) as it:
            print(f"{about.name} ({it.identity.id}) listens on port {it.server.port}", flush=True)
            if it.pins.controller() is None:
                print(f"pairing code {it.desk.code}", flush=True)
            await stop.wait()

    try:
        asyncio.run(main())
    except ConfigError as error:
        print(f"error: {error.detail}", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG) from None


def _controller(pins: Pins) -> str | None:
    pin = pins.controller()
    return None if pin is None else pin.id


async def _announced(
    identity: Identity, port: int, name: str, interfaces: Sequence[str] | None
) -> Announcement | None:
    try:
        return await announce(identity, port, name=name, interfaces=interfaces)
    except ConfigError as error:
        # a hub that knows the address still finds it, and no hub at all is needed for the policy
        _log.warning("not announced: %s", error.detail)
        return None
