"""Process time: what a lease, a cycle and a stamp are measured by.

A `Clock` is handed to whoever needs time. `RealClock` follows the wall. `VirtualClock` belongs to one event
loop and moves only when nothing is left to do at the present time, so an hour passes in the moment that its
work takes, and the same seed gives the same run:

- The loop's selector is ours (`IdleSelector`). When the loop is about to block, and no socket is ready, and
  nobody holds the clock (`hold()`), the process is idle. Then its *authority* decides: alone, the clock
  jumps to its next wake-up; in lock-step (`link.lockstep`) it reports, and waits to be moved.
- Wake-ups at the same time happen in the order of registration.
- Stream frames are counted per channel, by the sender and by the receiver: while one is under way, time
  stands still. `deliver()` hands frames over in turn (by channel name, then by arrival), so that the luck
  of the socket does not decide who is heard first. A name stands for one connection and is never used
  again; each end calls `close_channel()` when it is done.
- Whoever waits for something that is not counted (an HTTP answer, a thread, a child) holds the clock
  meanwhile.

Transport time (connect, TLS, ping) stays the wall's: the loop's own timers are not touched.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import selectors
import signal
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from ores.link.errors import ConfigError, OresError, TimedOut

T = TypeVar("T")
CREDIT_WALL_S = 0.05  # a process that was slow may catch up this much faster than the ceiling, not more


class Handle(Protocol):
    """A planned call."""

    def cancel(self) -> None:
        """Forget the call; after it has happened, or been cancelled, this does nothing."""
        ...


class Clock(Protocol):
    """Process time, injected; see the module's text for what holds and counts mean."""

    def now(self) -> float:
        """Monotonic process time in s; starts at 0."""
        ...

    def utc(self) -> datetime:
        """Wall time of the process, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait `seconds`; 0 or less yields once."""
        ...

    async def sleep_until(self, at_s: float) -> None:
        """Wait until `now()` is `at_s`; in the past, yield once."""
        ...

    def call_at(self, at_s: float, callback: Callable[[], None]) -> Handle:
        """Call back at `at_s`, or as soon as possible when that has passed; infinity is never."""
        ...

    def timeout(self, seconds: float) -> AbstractAsyncContextManager[None]:
        """Raise `TimedOut` from the block when it takes longer than `seconds`."""
        ...

    def hold(self) -> AbstractContextManager[None]:
        """Time does not move inside: for HTTP, planning, threads. Never wait for this clock inside."""
        ...

    def new_channel(self, base: str) -> str:
        """A name for one new connection: `base`, the process's number in lock-step, and a running number."""
        ...

    def count_sent(self, channel: str) -> None:
        """One stream message left on this channel."""
        ...

    def count_received(self, channel: str) -> None:
        """One stream message arrived on this channel; count it before its handler runs."""
        ...

    def deliver(self, channel: str, handler: Callable[[bytes], None], frame: bytes) -> None:
        """Count one arrived frame and hand it over in its turn: what `count_received` cannot promise."""
        ...

    def close_channel(self, channel: str, then: Callable[[], None] | None = None) -> None:
        """This end is closed; `then` runs in its turn, after the frames that arrived before."""
        ...


class Deadlock(OresError):
    """Nothing can ever happen again in this process; waiting would be for ever."""

    code = "internal"


class RealClock:
    """The wall's time.

    Args:
        start_utc: What `utc()` shows at the start; the wall's time when not given.
    """

    def __init__(self, start_utc: datetime | None = None) -> None:
        self._origin_s = time.monotonic()
        self._start_utc = start_utc
        self._names: Counter[str] = Counter()

    def now(self) -> float:
        """Seconds since this clock was made."""
        return time.monotonic() - self._origin_s

    def utc(self) -> datetime:
        """The wall's time, or the given start and what has passed since."""
        if self._start_utc is None:
            return datetime.now(UTC)
        return self._start_utc + timedelta(seconds=self.now())

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(max(0.0, seconds))

    async def sleep_until(self, at_s: float) -> None:
        """Wait until `now()` is `at_s`."""
        await asyncio.sleep(0)
        # a loop that counts in milliseconds may wake a little early, so look again
        while (left_s := at_s - self.now()) > 0:  # noqa: ASYNC110  time itself has no event
            await asyncio.sleep(left_s)

    def call_at(self, at_s: float, callback: Callable[[], None]) -> Handle:
        """Call back at `at_s`."""
        return _RealTimer(self, _checked(at_s), callback)

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise `TimedOut` when the block takes longer."""
        limit = asyncio.timeout(None if seconds == math.inf else max(0.0, seconds))
        try:
            async with limit:
                yield
        except TimeoutError as error:
            raise _timed_out(limit, seconds, error) from error

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Nothing to hold: the wall does not wait."""
        yield

    def new_channel(self, base: str) -> str:
        """A name that this process has not used yet."""
        self._names[base] += 1
        return f"{base}#0.{self._names[base]}"

    def count_sent(self, channel: str) -> None:
        """Nothing to count."""

    def count_received(self, channel: str) -> None:
        """Nothing to count."""

    def deliver(self, channel: str, handler: Callable[[bytes], None], frame: bytes) -> None:  # noqa: ARG002
        """Hand over at once."""
        handler(frame)

    def close_channel(self, channel: str, then: Callable[[], None] | None = None) -> None:  # noqa: ARG002
        """Run `then` at once."""
        if then is not None:
            then()


class _RealTimer:
    __slots__ = ("_at_s", "_callback", "_clock", "_handle")

    def __init__(self, clock: RealClock, at_s: float, callback: Callable[[], None]) -> None:
        self._clock = clock
        self._at_s = at_s
        self._callback = callback
        self._handle: asyncio.Handle | None = None
        if at_s != math.inf:
            self._arm()

    def _arm(self) -> None:
        left_s = max(0.0, self._at_s - self._clock.now())
        self._handle = asyncio.get_running_loop().call_later(left_s, self._fire)

    def _fire(self) -> None:
        if self._clock.now() < self._at_s:
            self._arm()  # a loop that counts in milliseconds woke us early
        else:
            self._callback()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()


class Authority(Protocol):
    """Who decides when a virtual clock moves."""

    def idle(self) -> float | None:
        """Nothing is left to do at the present time.

        Either move the clock and return 0, or return how long the loop may block, in s of the wall (None:
        until a socket has something).
        """
        ...


class Pacer:
    """Keeps simulated time below a ceiling of `speed` simulated seconds per second of the wall.

    Args:
        speed: > 0; infinity for as fast as possible.
    """

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._free_at_wall_s = time.monotonic()

    def wait_s(self, step_s: float) -> float:
        """Seconds of the wall before time may move by `step_s`; 0 books the step."""
        if self.speed == math.inf or step_s <= 0:
            return 0.0
        wall_s = time.monotonic()
        due_s = self._free_at_wall_s + step_s / self.speed
        if due_s > wall_s:
            return due_s - wall_s
        self._free_at_wall_s = max(due_s, wall_s - CREDIT_WALL_S)
        return 0.0


class ChannelCount:
    """Both counts of one end of a channel, and whether this end has closed it."""

    __slots__ = ("closed", "received", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.closed = False


class VirtualClock:
    """Time that moves only when nothing is left to do; belongs to the one loop of `new_loop()`.

    Args:
        start_utc: What `utc()` shows at 0; aware.
        speed: Ceiling in simulated seconds per second of the wall while alone; infinity for none.
    """

    def __init__(self, start_utc: datetime, speed: float = math.inf) -> None:
        self.start_utc = start_utc
        self.authority: Authority = _Alone(self, speed)
        self.holds = 0
        self.held_since_report = False
        self.channels: dict[str, ChannelCount] = {}
        self.changed: dict[str, ChannelCount] = {}
        self.member = 0
        self._names: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._now_s = 0.0
        self._order = 0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._cancelled = 0
        self._arrived: list[tuple[str, int, Callable[[], None]]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """The event loop whose idleness moves this clock."""
        if self._loop is not None:
            raise RuntimeError("a virtual clock belongs to one loop")
        self._loop = asyncio.SelectorEventLoop(IdleSelector(self))
        return self._loop

    def now(self) -> float:
        """Simulated seconds since the start."""
        return self._now_s

    def utc(self) -> datetime:
        """The start and what has passed since."""
        return self.start_utc + timedelta(seconds=self._now_s)

    async def sleep(self, seconds: float) -> None:
        """Wait in simulated time."""
        await self.sleep_until(self._now_s + seconds)

    async def sleep_until(self, at_s: float) -> None:
        """Wait until `now()` is `at_s`."""
        if at_s <= self._now_s:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = self._running_loop().create_future()
        timer = self.call_at(at_s, lambda: None if done.done() else done.set_result(None))
        try:
            await done
        finally:
            timer.cancel()

    def call_at(self, at_s: float, callback: Callable[[], None]) -> Handle:
        """Call back at `at_s`; equal times in the order of these calls."""
        timer = _Timer(self, callback)
        self._order += 1
        if _checked(at_s) != math.inf:
            heapq.heappush(self._timers, (at_s, self._order, timer))
        return timer

    @asynccontextmanager
    async def timeout(self, seconds: float) -> AsyncIterator[None]:
        """Raise `TimedOut` when the block takes longer in simulated time."""
        limit = asyncio.timeout(None)
        timer: Handle | None = None
        try:
            async with limit:
                # a wall deadline in the past: the loop's own time-out, pulled when simulated time is up
                timer = self.call_at(self._now_s + seconds, lambda: limit.reschedule(0.0))
                try:
                    yield
                finally:
                    timer.cancel()
        except TimeoutError as error:
            raise _timed_out(limit, seconds, error) from error

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Time stands still inside; to be entered and left on the loop's thread."""
        self.holds += 1
        try:
            yield
        finally:
            self.holds -= 1
            self.held_since_report = True

    def new_channel(self, base: str) -> str:
        """A name that no process of this lock-step has used yet, the same in each run."""
        self._names[base] += 1
        return f"{base}#{self.member}.{self._names[base]}"

    def count_sent(self, channel: str) -> None:
        """One stream message left."""
        if (count := self._counted(channel)) is not None:
            count.sent += 1

    def count_received(self, channel: str) -> None:
        """One stream message arrived."""
        if (count := self._counted(channel)) is not None:
            count.received += 1

    def deliver(self, channel: str, handler: Callable[[bytes], None], frame: bytes) -> None:
        """Count one arrived frame and hand it over with the next move of time."""
        self.count_received(channel)
        self._arrive(channel, lambda: handler(frame))

    def close_channel(self, channel: str, then: Callable[[], None] | None = None) -> None:
        """This end is closed; later counts on it are ignored."""
        count = self._counted(channel)
        if count is not None:
            count.closed = True
            self._closed.add(channel)
            del self.channels[channel]
        if then is not None:
            self._arrive(channel, then)

    def next_wakeup_s(self) -> float | None:
        """When something is planned next, never before `now()`; None when nothing is."""
        if self._arrived:
            return self._now_s
        while self._timers and self._timers[0][2].callback is None:
            heapq.heappop(self._timers)
            self._cancelled -= 1
        return max(self._now_s, self._timers[0][0]) if self._timers else None

    @property
    def order(self) -> int:
        """The number of the newest wake-up or arrival; each gets the next one."""
        return self._order

    def under_way(self) -> list[str]:
        """The channels with messages sent and not received, when both ends are in this process."""
        return sorted(name for name, count in self.channels.items() if count.sent != count.received)

    def advance(self, to_s: float, last_arrival: int | None = None) -> None:
        """Move to `to_s` and start what is due: frames, then wake-ups.

        Args:
            to_s: Where to; never back.
            last_arrival: The `order` up to which frames have their turn; None for all.
        """
        loop = self._running_loop()
        self._now_s = max(self._now_s, to_s)
        if self._arrived:
            turn = [a for a in self._arrived if last_arrival is None or a[1] <= last_arrival]
            self._arrived = [a for a in self._arrived if last_arrival is not None and a[1] > last_arrival]
            for _, _, handler in sorted(turn, key=lambda a: a[:2]):
                loop.call_soon(handler)
        timers = self._timers
        while timers and timers[0][0] <= self._now_s:
            loop.call_soon(heapq.heappop(timers)[2].fire)

    def follow(self, to_s: float) -> None:
        """Show `to_s` without starting anything: it is others' turn."""
        self._now_s = max(self._now_s, to_s)

    def obey(self, authority: Authority | None) -> None:
        """Let `authority` move this clock from now on; None is free running, alone."""
        self.authority = authority or _Alone(self, math.inf)
        self.changed = dict(self.channels)

    def forget_cancelled(self) -> None:
        """A cancelled timer leaves the heap when more than half of it is cancelled."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapq.heapify(self._timers)
            self._cancelled = 0

    def _counted(self, channel: str) -> ChannelCount | None:
        count = self.channels.get(channel)
        if count is None:
            if channel in self._closed:
                return None
            count = self.channels[channel] = ChannelCount()
        self.changed[channel] = count
        return count

    def _arrive(self, channel: str, handler: Callable[[], None]) -> None:
        self._order += 1
        self._arrived.append((channel, self._order, handler))

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("this virtual clock has no loop yet: use ores.link.clock.run")
        return self._loop


class _Timer:
    __slots__ = ("callback", "clock")

    def __init__(self, clock: VirtualClock, callback: Callable[[], None]) -> None:
        self.clock = clock
        self.callback: Callable[[], None] | None = callback

    def fire(self) -> None:
        callback, self.callback = self.callback, None
        if callback is not None:
            callback()

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            self.clock.forget_cancelled()


class _Alone:
    """The authority of a clock with nobody to wait for."""

    def __init__(self, clock: VirtualClock, speed: float) -> None:
        self._clock = clock
        self._pacer = Pacer(speed)

    def idle(self) -> float | None:
        clock = self._clock
        wakeup_s = clock.next_wakeup_s()
        if wakeup_s is None or clock.under_way():
            return None
        wait_s = self._pacer.wait_s(wakeup_s - clock.now())
        if wait_s == 0:
            clock.changed.clear()
            clock.advance(wakeup_s)
        return wait_s


class IdleSelector(selectors.BaseSelector):
    """The default selector, but it asks the clock's authority before it blocks."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._inner = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the default selector."""
        return self._inner.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As the default selector."""
        return self._inner.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As the default selector."""
        return self._inner.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As the default selector."""
        return self._inner.get_map()

    def close(self) -> None:
        """As the default selector."""
        self._inner.close()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As the default selector, with the clock moved where it would have blocked for nothing."""
        ready = self._inner.select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._clock.holds:
            return self._inner.select(timeout)
        wait_s = self._clock.authority.idle()
        if wait_s == 0:
            return []
        if wait_s is None and timeout is None:
            self._refuse_to_wait_for_ever()
        return self._inner.select(min((s for s in (timeout, wait_s) if s is not None), default=None))

    def _refuse_to_wait_for_ever(self) -> None:
        """Raise when neither wake-up, socket, thread nor signal handler is left that could end the wait."""
        clock = self._clock
        heard = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
        if (
            not isinstance(clock.authority, _Alone)
            or len(self._inner.get_map()) > 1  # the loop's own pipe
            or threading.active_count() > 1
            or any(callable(signal.getsignal(number)) for number in heard)
        ):
            return
        lost = clock.under_way()
        reason = (
            f"a message on {', '.join(lost)} was sent and never received" if lost else "nothing is planned"
        )
        raise Deadlock(f"the process waits for ever at {clock.now():g} s: {reason}, and no socket is open")


def run(
    main: Callable[[Clock], Coroutine[Any, Any, T]],
    *,
    start_utc: datetime | None = None,
    speed: float | None = None,
) -> T:
    """Make the clock and its loop, and run `main(clock)` to its end.

    Args:
        main: What to run.
        start_utc: Aware; what the clock shows at the start. The wall's time when not given.
        speed: Ceiling in simulated seconds per second of the wall, > 0. None is as fast as possible;
            exactly 1 is real time.

    Raises:
        ConfigError: The speed is not above 0, or the start has no time zone.
        Deadlock: Nothing can ever happen again.
    """
    if speed is not None and not speed > 0:
        raise ConfigError(
            "speed", found=speed, allowed="a number above 0; leave it out for as fast as possible"
        )
    if start_utc is not None and start_utc.tzinfo is None:
        raise ConfigError("start_utc", found=start_utc, allowed="a time with its time zone")
    if speed == 1:
        with _signals_as_before(), asyncio.Runner(loop_factory=_real_loop) as runner:
            return runner.run(main(RealClock(start_utc)))
    clock = VirtualClock(start_utc or datetime.now(UTC), speed or math.inf)
    with asyncio.Runner(loop_factory=clock.new_loop) as runner:
        return runner.run(main(clock))


@contextmanager
def _signals_as_before() -> Iterator[None]:
    """Who hears signals when a loop has ended is who heard them before it: uvloop leaves its own handlers."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            ours = threading.current_thread() is threading.main_thread()  # nobody else may set them
            if ours and handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _real_loop() -> asyncio.AbstractEventLoop:
    """The fast loop where it is installed (extras hub and sim), else the standard one."""
    try:
        import uvloop  # noqa: PLC0415  not in a plain install
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


def _checked(at_s: float) -> float:
    if math.isnan(at_s):
        raise ValueError("a time must be a number, found NaN")
    return at_s


def _timed_out(limit: asyncio.Timeout, seconds: float, error: TimeoutError) -> Exception:
    return TimedOut(f"not done within {seconds:g} s") if limit.expired() else error
