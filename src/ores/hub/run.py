"""A hub, put together and running."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from ores.hub.alerts import Alerts
from ores.hub.arbiter import Arbiter
from ores.hub.config import HubConfig
from ores.hub.cycle import Cycle
from ores.hub.decisions import Decisions
from ores.hub.fanout import Fanout
from ores.hub.federation import Federation
from ores.hub.history import History, keep
from ores.hub.history import Notice as HistoryNotice
from ores.hub.hub import Hub, Summary
from ores.hub.live import Picture
from ores.hub.membership import Membership
from ores.hub.module_link import Connect
from ores.hub.notices import Notices
from ores.hub.owner import Owner
from ores.hub.people import People
from ores.hub.preferences import PreferencesStore
from ores.hub.promises import Promises
from ores.hub.proposals import Proposals
from ores.hub.record import Recorder
from ores.hub.state_dir import StateDir
from ores.link.clock import Clock
from ores.link.identity import Identity, load_or_create, next_epoch
from ores.link.pins import Pins

Sessions = Mapping[str, Connect]
"""Modules that are reached without a socket: how to make a session, by module id."""


class RunningHub:
    """A hub that runs.

    Attributes:
        hub: Its parts.
        port: Of the page on this machine; 0 where there is none.
        sunspec_port: Where it is a SunSpec device; 0 where it is none.
    """

    def __init__(self, hub: Hub, port: int, sunspec_port: int = 0) -> None:
        self.hub = hub
        self.port = port
        self.sunspec_port = sunspec_port

    @property
    def url(self) -> str:
        """Address of the page on this machine."""
        return f"http://127.0.0.1:{self.port}/"


async def run_hub(
    config: HubConfig,
    clock: Clock,
    *,
    sessions: Sessions | None = None,
    on_ready: Callable[[RunningHub], None] = lambda _running: None,
    stop: asyncio.Event | None = None,
) -> Summary:
    """Run a hub until it is cancelled or told to stop.

    Args:
        config: What it is told at its start.
        clock: Process time.
        sessions: Modules in this process; those of the network come on top.
        on_ready: Called once the page is served.
        stop: Ends the hub when set.

    Returns:
        Numbers of the run.

    Raises:
        ConfigError: A person must act; says what.
    """
    async with open_hub(config, clock, sessions=sessions) as running:
        on_ready(running)
        await (stop or asyncio.Event()).wait()
        return running.hub.summary()


@asynccontextmanager
async def open_hub(
    config: HubConfig, clock: Clock, *, sessions: Sessions | None = None
) -> AsyncIterator[RunningHub]:
    """A hub that runs inside the block; see `run_hub`."""
    config.check()
    async with AsyncExitStack() as stack:
        data = config.data
        if data is None:
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ores-hub-")))
        directory = StateDir(data)
        stack.callback(directory.close)
        identity = load_or_create(directory.path)
        hub = _assemble(config, clock, directory, identity, stack)
        stack.push_async_callback(hub.federation.stop)
        for module_id, connect in sorted((sessions or {}).items()):
            hub.federation.join(module_id, connect, watch_only=hub.membership.watch_only(module_id))
        hub.membership.join_paired()
        _run_beside(stack, hub.cycle.run(), "cycle")
        _run_beside(
            stack,
            keep(hub.history, clock, every_s=config.commit_every_s, durable=config.speed is None),
            "history",
        )
        _open_mqtt(hub, directory, stack)
        sunspec_port = await _open_sunspec(hub, directory, stack)
        _open_planner(hub, stack)
        port = await _open_doors(hub, directory, stack)
        if config.discover:
            from ores.hub.discovery import discover  # noqa: PLC0415  after the page

            _run_beside(stack, discover(hub.membership, hub.notices, clock, config.interfaces), "discovery")
        yield RunningHub(hub, port, sunspec_port)


def _assemble(
    config: HubConfig, clock: Clock, directory: StateDir, identity: Identity, stack: AsyncExitStack
) -> Hub:
    """All parts, joined; nothing runs yet but the history's file is open."""
    notices = Notices(clock)
    history = History(directory.file("history.sqlite"), on_notice=_from_thread(notices))
    stack.callback(history.close)
    preferences = PreferencesStore(directory, notices, config.preferences)
    proposals = Proposals(clock)
    decisions = Decisions(clock, history)
    federation = Federation(
        clock, notices, epoch=next_epoch(directory.path), promises=Promises(directory, notices)
    )
    arbiter = Arbiter(clock, federation, preferences, proposals, notices)
    recorder = Recorder(clock, history, federation, arbiter, notices)
    fanout = Fanout(config.live_per_s)
    stack.callback(fanout.stop)

    alerts = Alerts(federation, notices)

    def after_cycle() -> None:
        alerts.look(clock.now())
        recorder.record()
        hub.show_live()

    def membership_changed(module_id: str) -> None:
        arbiter.tell_again(module_id)
        arbiter.modules_changed()

    cycle = Cycle(clock, federation, arbiter, decisions, notices, witness=after_cycle)
    federation.events = cycle
    federation.on_changed = membership_changed
    preferences.watch(lambda _now: arbiter.preferences_changed())
    owner = Owner(directory, notices, asyncio.get_running_loop().time)
    pins = Pins.load(directory.file("pins.json"))
    hub = Hub(
        config=config,
        clock=clock,
        id=identity.id,
        notices=notices,
        preferences=preferences,
        proposals=proposals,
        decisions=decisions,
        federation=federation,
        membership=Membership(
            directory, identity, pins, federation, clock, notices=notices, name=config.name
        ),
        arbiter=arbiter,
        cycle=cycle,
        picture=Picture(clock, federation, arbiter, decisions, notices),
        fanout=fanout,
        history=history,
        owner=owner,
        people=People(directory, notices, clock, owner, proposals.remove_source),
        owner_created=_nothing,
    )
    notices.on_changed = hub.show_notice
    decisions.on_decision = hub.show_decision
    return hub


async def _open_doors(hub: Hub, directory: StateDir, stack: AsyncExitStack) -> int:
    if hub.config.port is None:
        return 0
    from ores.hub.api.serve import Doors  # noqa: PLC0415  a long replay without a page needs no HTTP

    doors = Doors(hub, directory.file("identity.pem"))
    stack.push_async_callback(doors.close)
    await doors.open()
    hub.owner_created = doors.open_network
    return doors.port


def _open_mqtt(hub: Hub, directory: StateDir, stack: AsyncExitStack) -> None:
    if hub.config.mqtt is None:
        return
    from ores.hub.doors.mqtt import door_of  # noqa: PLC0415  memory: most hubs have no broker

    _run_beside(stack, door_of(hub, directory, hub.config.mqtt).run(), "MQTT")


async def _open_sunspec(hub: Hub, directory: StateDir, stack: AsyncExitStack) -> int:
    if hub.config.sunspec is None:
        return 0
    from ores.hub.doors.sunspec import door_of  # noqa: PLC0415  memory: most hubs are no such device

    door = door_of(hub, directory, hub.config.sunspec)
    await door.open()
    _run_beside(stack, door.run(), "SunSpec")
    return door.port


def _open_planner(hub: Hub, stack: AsyncExitStack) -> None:
    if hub.config.tariff is None:
        return
    from ores.hub.plan.planning import planning_of  # noqa: PLC0415  memory: a hub without a tariff plans nothing

    _run_beside(stack, planning_of(hub, hub.config.tariff).run(), "planning")


def _run_beside(stack: AsyncExitStack, work: Coroutine[None, None, None], name: str) -> None:
    task = asyncio.create_task(work, name=name)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def _from_thread(notices: Notices) -> Callable[[HistoryNotice], None]:
    """The history speaks from whatever thread found it."""
    loop = asyncio.get_running_loop()

    def tell(notice: HistoryNotice) -> None:
        if notice.code == "history_writable_again":
            loop.call_soon_threadsafe(notices.clear, "history_not_writable")
        else:
            loop.call_soon_threadsafe(notices.raise_, notice.code, notice.text)

    return tell


async def _nothing() -> None:
    """No door on the network to open."""
