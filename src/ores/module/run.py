"""Everything around a device that a maker should not have to write.

Key, label, pairing, mutual TLS, announcement. All that must persist is in one directory:

```
directory/
  identity.pem   the key
  label          the pairing code, as printed on the device
  pins.json      who has been paired
  sealed         it has been released, or reset with its label: unpaired, it opens by its button only
  module.json    failsafe limits, policy, settings, counters
```
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

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
ANSWER_S: Final = 0.2
"""From a request to restart until the end of its connection: for the answer."""
RETRY_S: Final = 5.0
"""Between two tries to begin again."""
Restart = Callable[[], object] | Literal["in_process", "not_offered"]
"""What the request `restart` does; see `running`."""
_log: Final = logging.getLogger("ores.module")


class _Boot(msgspec.Struct, frozen=True):
    """A module between two restarts: what was read from its directory, and how to end it in order."""

    module: Module
    identity: Identity
    pins: Pins
    desk: PairingDesk
    server: Server
    ending: AsyncExitStack


class Running:
    """A module on the network, over all its restarts; made by `running`.

    Attributes:
        module: What it does.
        identity: Its key.
        pins: Who may talk to it.
        desk: Where it is paired; `desk.code` is on the label.
        server: Where it listens.

    All of them are made anew by a restart: ask for them again.
    """

    def __init__(
        self,
        boot: Callable[[Running, int], Awaitable[_Boot]],
        clock: Clock,
        *,
        label: Path,
        label_only: bool,
        restart: Restart,
    ) -> None:
        self._boot: Final = boot
        self._clock: Final = clock
        self._label: Final = label
        self._label_only: Final = label_only
        self._restart: Final = restart
        self._now: _Boot
        self._restarting: asyncio.Task[None] | None = None
        self._asked = 0
        self.restarts = 0

    @property
    def module(self) -> Module:  # noqa: D102  see the class
        return self._now.module

    @property
    def identity(self) -> Identity:  # noqa: D102
        return self._now.identity

    @property
    def pins(self) -> Pins:  # noqa: D102
        return self._now.pins

    @property
    def desk(self) -> PairingDesk:  # noqa: D102
        return self._now.desk

    @property
    def server(self) -> Server:  # noqa: D102
        return self._now.server

    def factory_reset(self) -> str:
        """Somebody at the device wants all of the owner forgotten: pins, lease, policy, settings, limits.

        The key stays: it is what the module is. The code is a new one, for whoever has read the old one;
        unless there is nothing but a printed label. Then pairing is open for ten minutes, and later only
        after an act at the device (`desk.press_button`).

        Returns:
            The code that holds now.

        Raises:
            ConfigError: A file cannot be written; what could be forgotten by then is, and it may be tried
                again.
        """
        if self._label_only:
            self.desk.reset()
        else:
            secret = new_secret()
            # the label first: were it last, a full disk would leave an open module whose code is known
            keep_secret(self._label, secret)
            self.desk.reset(secret)
        self.module.factory_reset()
        return self.desk.code

    def reset_on_site(self) -> dict[str, list[str]]:
        """Somebody at the device has looked, and resets its hazards; see `Module.reset_on_site`."""
        return self.module.reset_on_site()

    async def restart(self) -> None:
        """End in order, read everything back from the directory, and begin with a new `boot_id`.

        The device stays as it is, as one does whose controller reboots. Whatever keeps it from beginning
        anew is logged, and tried again every few seconds.
        """
        port = self.server.port
        with self._clock.hold():
            await self._now.ending.aclose()
        if callable(self._restart):
            try:
                self._restart()
            except Exception:  # noqa: BLE001  the maker's own reboot did not come: better up again than gone
                _log.exception("the device was not restarted; its module begins anew instead")
            else:
                return
        self.restarts += 1
        while True:
            try:
                with self._clock.hold():
                    self._now = await self._boot(self, port)
            except Exception:  # noqa: BLE001  whatever it is, a module that gave up would help nobody
                _log.exception("not started again; that is tried in %s s", RETRY_S)
                await self._clock.sleep(RETRY_S)
            else:
                return

    def restart_soon(self) -> None:
        """Restart when the answer to whoever asked is out; asked again before that, it is one restart."""
        self._asked += 1
        if self._restarting is None or self._restarting.done():
            self._restarting = asyncio.create_task(self._restart_later(), name="restart")

    async def _restart_later(self) -> None:
        done = -1
        while (
            done < self._asked
        ):  # the new boot answers before its announcement is out, and may be asked anew
            await self._clock.sleep(ANSWER_S)
            done = self._asked
            await self.restart()

    async def _begin(self, port: int) -> None:
        self._now = await self._boot(self, port)

    async def _end(self) -> None:
        if self._restarting is not None:
            self._restarting.cancel()
            with suppress(asyncio.CancelledError):
                await self._restarting
        await self._now.ending.aclose()


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
    label_only: bool = False,
    restart: Restart = "in_process",
    announced: bool = True,
    interfaces: Sequence[str] | None = None,
) -> AsyncIterator[Running]:
    """A device as a module on the network, for as long as the context lasts.

    Args:
        make_device: Called with the clock; a class whose constructor takes it will do. Called once: a restart
            keeps the device.
        directory: Of this module alone; made where it is missing.
        about: For the description.
        clock: Process time.
        policies: As for `Module`, and so for the next three.
        defaults: What switches and modes do where no policy says otherwise.
        report_period_s: Between two states.
        notable_w: A change of power that is told at once.
        boot_id: For a run that is to be repeated exactly; another one for each boot. Drawn when not given.
        host: Address to listen on; None for all.
        port: TCP port; 0 picks a free one, which a restart keeps.
        allow_observers: The owner lets further hubs read.
        label_only: The code is printed on the device and cannot change (LIFE-004).
        restart: What the request `restart` does. `in_process`: the module ends and begins anew here.
            `not_offered`: nothing may ask for it. Or a function that reboots the device; it is called when
            all has ended in order, and the module stays ended unless it raises.
        announced: Make it known by DNS-SD; where that cannot be done it is logged, and the module works on.
        interfaces: Addresses to announce on; None for all.

    Raises:
        ConfigError: The directory, the description or the port cannot be used; says why.
    """
    device: Device | None = None

    async def boot(it: Running, port: int) -> _Boot:
        nonlocal device
        identity = load_or_create(directory)
        pins = Pins.load(directory / "pins.json")
        desk = PairingDesk(
            identity,
            pins,
            clock,
            secret=load_or_create_secret(directory / "label"),
            allow_observers=allow_observers,
            seal=directory / "sealed",
        )
        device = make_device(clock) if device is None else device
        module = Module(
            device,
            about,
            module_id=identity.id,
            clock=clock,
            policies=policies,
            defaults=defaults,
            store=FileStore(directory, fresh_counter_epoch=int(clock.utc().timestamp())),
            report_period_s=report_period_s,
            notable_w=notable_w,
            boot_id=_of_boot(boot_id, it.restarts),
            restart=None if restart == "not_offered" else it.restart_soon,
        )
        if pins.controller() is None and module.saved.controller and not (directory / "sealed").exists():
            desk.pins_are_lost()  # who leased, and was neither released nor reset, had a pin
        server = await serve(module, identity, pins, clock=clock, host=host, port=port, desk=desk)
        async with AsyncExitStack() as ending:  # all of it, whatever fails on the way: the lease must end
            ending.callback(module.stop)
            ending.push_async_callback(server.close)
            module.controlled_by(_controller(pins))  # who was unpinned while the power failed has gone, too
            ending.callback(pins.watch(lambda: module.controlled_by(_controller(pins))))
            module.start()
            if announced:
                # the whole street can read it: what the thing is, and not what its owner calls it
                name = f"{about.maker} {about.model}"
                announcement = await _announced(identity, server.port, name, interfaces)
                if announcement is not None:
                    ending.push_async_callback(announcement.close)
            return _Boot(module, identity, pins, desk, server, ending.pop_all())

    it = Running(boot, clock, label=directory / "label", label_only=label_only, restart=restart)
    await it._begin(port)  # noqa: SLF001  two-step start of our own class
    try:
        yield it
    finally:
        await it._end()  # noqa: SLF001


def run(
    make_device: Callable[[Clock], Device],
    directory: Path | str,
    about: About,
    *,
    policies: Mapping[str, PolicyFunction] | None = None,
    defaults: Mapping[str, ElementCommand] | None = None,
    host: str | None = None,
    port: int = 0,
    label_only: bool = False,
    restart: Restart = "in_process",
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
        label_only: As for `running`.
        restart: As for `running`.
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
            label_only=label_only,
            restart=restart,
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


def _of_boot(boot_id: str | None, restarts: int) -> str | None:
    """Each boot has its own, also in a run that is to be repeated exactly."""
    if boot_id is None or restarts == 0:
        return boot_id
    return hashlib.sha256(f"{boot_id} {restarts}".encode()).hexdigest()[:16]


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
