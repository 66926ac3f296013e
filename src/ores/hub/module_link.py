"""The hub's side of one module: its task, its newest state, and whether that can still be believed.

Each module has a task of its own, with its own deadlines and back-off, so that nothing waits for a slow one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from math import inf
from typing import Protocol

import msgspec
from msgspec import UNSET

from ores.hub.flexibility import FlexibilityKeeper
from ores.hub.leases import LeaseCounts, LeaseKeeper
from ores.hub.notices import Notices
from ores.hub.persistent import PersistentKeeper
from ores.hub.promises import Promises
from ores.hub.reading import InTurn, read_description
from ores.link import codec
from ores.link.clock import Clock
from ores.link.endpoint import Session
from ores.link.errors import InvalidMessage, OresError, PeerError
from ores.model import Description, FromModule, LeaseResult, State

FRAME_MAX_BYTES = 65536
CONNECT_S = 15.0
REQUEST_S = 10.0
BACK_OFF_FIRST_S = 1.0
BACK_OFF_MAX_S = 10.0
"""A module that is back is to be known as such within 15 s [NOTE-001]; the rest is for connecting."""
GIVEN_UP_MAX_S = 30.0
"""A module that is there and floods or garbles is heard less often than one that is away is looked for."""
WORKED_S = 30.0
"""After a session of this length the next wait is short again."""
STALE_PERIODS = 3.0
GONE_PERIODS = 10.0
GONE_MIN_S = 30.0
FRAMES_PER_S_MAX = 200
"""A module speaks at most ten times a second, and answers each lease; whoever says far more is left alone."""
GARBLED_IN_A_ROW_MAX = 20
"""To explain what is wrong with a frame costs more than to read a right one."""

LATE_TOLERATED_S = 1.0
"""Uptime may be counted in whole seconds, and networks are not exact."""
PROMPT_FOR_S = 300.0
"""How long at least the promptest state is remembered; two clocks hardly drift apart in that time."""
_STORE = "storage_failed"
_CLONED = "was the hub restored from a backup, or copied?"
_FENCED = frozenset({"lease_old_epoch", "not_controller", _STORE})
"""Refusals that no later lease of this hub would escape: a person must act."""

Connect = Callable[[], Awaitable[Session]]
"""Makes a session with one module, or raises an `OresError`."""


class Events(Protocol):
    """Who learns what modules say."""

    def on_state(self, link: ModuleLink) -> None:
        """A fresh state is in `link.state`."""
        ...

    def on_result(self, link: ModuleLink, result: LeaseResult) -> None:
        """The module answered its newest lease."""
        ...

    def on_described(self, link: ModuleLink) -> None:
        """A description was read, perhaps another one than before."""
        ...


class Delay:
    """How long states were on their way, reckoned from the promptest of the last minutes.

    A connection that stalls hands over old states one after the other; that they have just come does not make
    them new.
    """

    def __init__(self) -> None:
        self._boot_id = ""
        self._since_s = 0.0
        self._least_s = inf
        self._least_before_s = inf

    def late_s(self, now_s: float, boot_id: str, uptime_s: float) -> float:
        """Take one state and say how much longer than usual it took, in s; 0 within what is usual.

        Args:
            now_s: Process time of its receipt.
            boot_id: Of the boot that it speaks of.
            uptime_s: Of the module, when it was made.
        """
        took_s = now_s - uptime_s  # but for a constant
        if boot_id != self._boot_id:
            self._boot_id, self._since_s = boot_id, now_s
            self._least_s = self._least_before_s = inf
        elif now_s - self._since_s > PROMPT_FOR_S:
            self._since_s, self._least_before_s, self._least_s = now_s, self._least_s, inf
        self._least_s = min(self._least_s, took_s)
        late_s = took_s - min(self._least_s, self._least_before_s)
        return late_s if late_s > LATE_TOLERATED_S else 0.0


class ModuleLink:
    """One module of the federation.

    Args:
        module_id: Derived from the module's key; its description must say the same.
        connect: Makes a session.
        clock: Process time.
        notices: Learns of what goes wrong.
        events: Learns what the module says.
        epoch: Of this start of the hub.
        counts: Of leases, shared by all modules.
        watch_only: Read, never write.
        promises: Remember what it keeps without a hub.
    """

    def __init__(
        self,
        module_id: str,
        connect: Connect,
        clock: Clock,
        notices: Notices,
        events: Events,
        *,
        epoch: int,
        counts: LeaseCounts,
        watch_only: bool = False,
        promises: Promises | None = None,
    ) -> None:
        self.id = module_id
        self.watch_only = watch_only
        self.description: Description | None = None
        self.state: State | None = None
        self.received_at_s = 0.0
        self.garbled = 0
        self._connect = connect
        self._clock = clock
        self._notices = notices
        self._events = events
        self._epoch = epoch
        self._counts = counts
        self._send: Callable[[bytes], None] | None = None
        self._closed = asyncio.Event()
        self._try_now = asyncio.Event()
        self._began_at_s = clock.now()
        self._delay = Delay()
        self._garbled_in_a_row = 0
        self._frames = 0
        self._frames_since_s = 0.0
        self._given_up: PeerError | None = None
        self._element_ids: frozenset[str] = frozenset()
        self._stale_s = STALE_PERIODS
        self._gone_s = GONE_MIN_S
        self.leases = LeaseKeeper(epoch, counts, self._lease_problem)
        self.persistent = PersistentKeeper(module_id, clock, notices, promises, epoch=epoch)
        self.flexibility = FlexibilityKeeper(clock)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect, and connect again whenever the connection ends."""
        self._task = asyncio.create_task(self._run(), name=f"module {self.id}")

    async def stop(self) -> None:
        """End the task and its session."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    @property
    def connected(self) -> bool:
        """Whether a stream is open."""
        return self._send is not None

    def age_s(self, now_s: float) -> float | None:
        """Since the newest state came, or should have come; None before the first."""
        return None if self.state is None else max(0.0, now_s - self.received_at_s)

    def is_fresh(self, now_s: float) -> bool:
        """Whether the newest state is younger than three periods."""
        return self.state is not None and now_s - self.received_at_s <= self._stale_s

    @property
    def fresh_until_s(self) -> float:
        """When the newest state will be three periods old; only where there is one."""
        return self.received_at_s + self._stale_s

    @property
    def known_description(self) -> Description:
        """What the module is; only where `description` is known."""
        if self.description is None:
            raise RuntimeError(f"{self.id} has not described itself yet")
        return self.description

    def status(self, now_s: float) -> str:
        """`connecting, online, stale` or `gone`: the receiver's verdict on the newest state."""
        if self.is_fresh(now_s):
            return "online"
        if self.state is None:
            return "connecting" if now_s - self._began_at_s <= self._gone_s else "gone"
        return "stale" if now_s - self.received_at_s <= self._gone_s else "gone"

    def flush_lease(self, now_s: float) -> None:
        """Send the lease if it is due; a watched module is never written."""
        if self._send is not None and self.state is not None and not self.watch_only:
            self.leases.flush(self.state, now_s - self.received_at_s, now_s, self._send)

    def try_now(self) -> None:
        """The module has just been seen: a wait before the next try is over."""
        self._try_now.set()

    def set_watch_only(self, *, watch_only: bool) -> None:
        """Only read from now on, or write too; the session begins anew so that settings follow."""
        if watch_only != self.watch_only:
            self.watch_only = watch_only
            self._closed.set()

    async def _run(self) -> None:
        back_off_s = BACK_OFF_FIRST_S
        while True:
            before_s = self._clock.now()
            try:
                await self._one_session()
            except OresError as error:
                self._notices.raise_("module_unreachable", error.detail, module=self.id)
            except Exception as error:  # noqa: BLE001  a defect met with one module must not end its task for ever
                self._notices.raise_(
                    "internal", f"{type(error).__name__}: {error}", level="error", module=self.id
                )
            if self._clock.now() - before_s > WORKED_S:
                back_off_s = BACK_OFF_FIRST_S  # it did work for a while
            wait_s = min(back_off_s, BACK_OFF_MAX_S if self._given_up is None else GIVEN_UP_MAX_S)
            await self._rest(wait_s)
            back_off_s = wait_s * 2.0

    async def _rest(self, seconds: float) -> None:
        self._try_now.clear()
        timer = self._clock.call_at(self._clock.now() + seconds, self._try_now.set)
        try:
            await self._try_now.wait()
        finally:
            timer.cancel()

    async def _one_session(self) -> None:
        self._given_up = None
        async with self._clock.timeout(CONNECT_S):
            session: Session = InTurn(await self._connect())
        keepers: list[asyncio.Task[None]] = []
        try:
            self._garbled_in_a_row, self._delay = 0, Delay()
            self.persistent.begin(watch_only=self.watch_only)
            described = await read_description(session, self.id, self._clock, REQUEST_S)
            self._take_description(described)
            closed = self._closed = asyncio.Event()
            async with self._clock.timeout(REQUEST_S):
                send = await session.open_stream(
                    self._on_frame, lambda reason: self._on_closed(closed, reason)
                )
            if not closed.is_set():
                self._send = send
            self.leases.forget_sent()
            self._notices.clear("module_unreachable", self.id)
            keepers = [
                asyncio.create_task(self.persistent.keep(session), name=f"settings {self.id}"),
                asyncio.create_task(self.flexibility.keep(session), name=f"flexibility {self.id}"),
            ]
            await closed.wait()
            if self._given_up is not None:
                raise self._given_up
        finally:
            self._closed = asyncio.Event()  # what this session still has to say no longer concerns us
            self._send = None
            for keeper in keepers:
                keeper.cancel()
            self.persistent.end()
            await session.close()

    def _take_description(self, described: Description) -> None:
        if described == self.description:
            return
        self.description = described
        self._element_ids = frozenset(element.id for element in described.elements)
        self._stale_s = STALE_PERIODS * described.report_period_s
        self._gone_s = max(GONE_MIN_S, GONE_PERIODS * described.report_period_s)
        self.leases.set_report_period(described.report_period_s)
        self.persistent.describe(described)
        self._events.on_described(self)

    def _on_closed(self, closed: asyncio.Event, reason: str) -> None:
        if closed is self._closed and not closed.is_set():
            self._send = None
            self._notices.raise_("module_unreachable", f"the stream ended: {reason}", module=self.id)
        closed.set()

    def _on_frame(self, frame: bytes) -> None:
        if self._given_up is not None or self._is_too_much():
            return
        try:
            message = codec.decode(FromModule, frame, limit_bytes=FRAME_MAX_BYTES)
        except InvalidMessage as error:
            self._garbled(error)
            return
        if message.state is not UNSET:
            self._take_state(message.state)
        if message.result is not UNSET and self.leases.take_result(message.result):
            self._judge_fence(message.result)
            self._notices.clear("lease_not_sent", self.id)
            self._events.on_result(self, message.result)
        if message.problem is not UNSET:
            self._notices.raise_(
                "module_problem", f"{message.problem.code}: {message.problem.detail}", module=self.id
            )

    def _judge_hazards(self, state: State) -> None:
        """Tell people of a danger, until its module says that a person has reset it."""
        found = [
            f"{name}: {', '.join(of.hazard.hazards)}"
            for name, of in state.elements.items()
            if of.hazard is not UNSET and of.hazard.hazards
        ]
        if not found:
            self._notices.clear("hazard", self.id)
            return
        text = f"it has cut its power ({'; '.join(found)}): look at the device, and reset it there"
        self._notices.raise_("hazard", text, level="error", module=self.id)

    def _judge_fence(self, result: LeaseResult) -> None:
        if result.code is UNSET or result.code not in _FENCED:
            self._notices.clear("module_problem", self.id)
            return
        why = result.code if result.detail is UNSET else f"{result.code}: {result.detail}"
        cause = "its own store has failed" if result.code == _STORE else _CLONED
        self._notices.raise_(
            "module_problem",
            f"it takes no lease of this hub ({why}): {cause}",
            level="error",
            module=self.id,
        )

    def _is_too_much(self) -> bool:
        """Count a frame; one module's flood must not take the time of all others."""
        now_s = self._clock.now()
        if now_s - self._frames_since_s >= 1.0:
            self._frames, self._frames_since_s = 0, now_s
        self._frames += 1
        if self._frames <= FRAMES_PER_S_MAX:
            return False
        self._give_up(f"it sends more than {FRAMES_PER_S_MAX} frames in a second")
        return True

    def _give_up(self, why: str) -> None:
        """End this session; the next one begins after the back-off."""
        self._given_up = PeerError(why)
        self._closed.set()

    def _take_state(self, state: State) -> None:
        last = self.state
        if last is not None and state.boot_id == last.boot_id and state.uptime_ms < last.uptime_ms:
            self._garbled(PeerError(f"uptime_ms went back from {last.uptime_ms} to {state.uptime_ms}"))
            return
        if not state.elements.keys() <= self._element_ids:
            known = {name: of for name, of in state.elements.items() if name in self._element_ids}
            state = msgspec.structs.replace(state, elements=known)  # what was never described means nothing
        self.state = state
        now_s = self._clock.now()
        self.received_at_s = now_s - self._delay.late_s(now_s, state.boot_id, state.uptime_ms / 1000.0)
        self._judge_hazards(state)
        self.leases.take_state(state)
        self.flexibility.look(state)
        self._garbled_in_a_row = 0
        if self.garbled:
            self.garbled = 0
            self._notices.clear("garbled_frame", self.id)
        self._events.on_state(self)

    def _garbled(self, error: PeerError) -> None:
        self.garbled += 1
        self._notices.raise_("garbled_frame", f"a frame was not understood: {error.detail}", module=self.id)
        self._garbled_in_a_row += 1
        if self._garbled_in_a_row >= GARBLED_IN_A_ROW_MAX:
            self._give_up(f"{GARBLED_IN_A_ROW_MAX} frames in a row were not understood: {error.detail}")

    def _lease_problem(self, text: str) -> None:
        self._notices.raise_("lease_not_sent", text, level="error", module=self.id)
