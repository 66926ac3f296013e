"""One time for many processes: nobody's clock moves until everybody is done with the present.

One process conducts (`Conductor`), in its own loop; the others join over a socket (`run_joined`). The
protocol is one JSON object per line, UTF-8, on a unix socket or a loopback TCP connection:

```
participant → conductor
  {"type":"join","version":1,"name":"hub","pid":4711}
  {"type":"idle","round":7,"report":12,"next_s":61.0,"held":false,"channels":{"hub-m1":[41,40,false]}}
conductor → participant
  {"type":"welcome","round":7,"now_s":60.0,"start_utc":"2026-06-01T00:00:00Z"}     or
  {"type":"refused","reason":"…"} {"type":"move","round":8,"now_s":61.0,"turn":true,"report":12}
  {"type":"ask","round":9}
```

- A participant is *idle* when its loop would block, no socket is ready and nobody holds its clock. Then it
  reports, once per change: its next wake-up (`null`: none; `now` while a frame waits for its turn) and, for
  each channel that changed, `[sent, received, closed]` since the channel's begin.
- Counts are kept **per channel and end**, and compared crosswise: what one end sent, the other received.
  With plain sums, an old report of one process can cancel against a newer one of another, and time would
  move with a message under way. With these, whoever became active after its report did so by a message
  which a sender had counted before.
- Time moves to the earliest wake-up once every report is in and every channel is balanced. The `move` goes
  to all, first to those who only learn the time, then to those whose `turn` it is; a turn voids the earlier
  report. In its turn a participant hands over the frames that the report named by `report` included,
  ordered by channel, then starts its wake-ups. Frames sent during this round are handed over in the next
  one, at the same time: what happens does not depend on which process was faster.
- A `hold` (HTTP, planning) is not counted, so it leaves no trace at whoever answered. A report says `held`
  when there was one since the last; then the conductor asks everybody to report again before it believes
  anybody.
- An end that closes (`close_channel`) or dies holds time until the other end has noticed and closed, so a
  death is seen at the time at which it happened. An end that does not notice within `CLOSE_WALL_S` of the
  wall is let go, with a warning. A participant whose socket closes leaves the quorum. New ones join at the
  present time.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from ores.link.clock import Clock, Pacer, VirtualClock
from ores.link.errors import ConfigError, Disconnected, TimedOut
from ores.link.lockstep_wire import (
    VERSION,
    Ask,
    Idle,
    Join,
    Lines,
    Move,
    Refused,
    Welcome,
    from_conductor,
    from_participant,
    parsed_address,
)

T = TypeVar("T")
CLOSE_WALL_S: Final = 2.0
JOIN_WALL_S: Final = 10.0

log = logging.getLogger(__name__)


class Pace(msgspec.Struct, frozen=True):
    """How the run is doing.

    Attributes:
        simulated_s: Simulated time since the conductor began.
        wall_s: The wall's time for it, pauses left out.
        achieved: `simulated_s / wall_s`.
        ceiling: What was allowed; None for as fast as possible.
        rounds: Moves, including those that stay at the same time.
        participants: The names, the conductor's own first.
        paused: Whether time stands still on request.
        waiting_for: Who is busy now, and which channels have a message under way.
    """

    simulated_s: float
    wall_s: float
    achieved: float
    ceiling: float | None
    rounds: int
    participants: tuple[str, ...]
    paused: bool
    waiting_for: tuple[str, ...]


class _Participant:
    """What the conductor knows of one process; without a link it is the conductor's own."""

    def __init__(self, name: str, link: Lines | None, pid: int) -> None:
        self.name = name
        self.link = link
        self.pid = pid
        self.is_idle = False
        self.next_s: float | None = None
        self.turn_round = 0
        self.report = 0
        self.doomed = False


class _Channels:
    """The books of all channels: who sent and received how much, and which do not balance yet."""

    def __init__(self) -> None:
        self._ends: dict[str, dict[str, tuple[int, int, bool]]] = {}
        self._gone: set[str] = set()
        self.open_since_wall_s: dict[str, float] = {}  # unbalanced, and since when one end is closed
        self.unbalanced: set[str] = set()

    def update(self, owner: str, counts: dict[str, tuple[int, int, bool]]) -> None:
        for name, count in counts.items():
            if name in self._gone:
                continue
            ends = self._ends.setdefault(name, {})
            if len(ends) == 2 and owner not in ends:
                found = f"{name} of {', '.join(ends)} and {owner}"
                raise ConfigError("channel", found=found, allowed="two ends; a name is never used again")
            ends[owner] = count
            self._judge(name, ends)

    def leave(self, owner: str) -> None:
        """The owner has died: its ends are closed."""
        for name, ends in list(self._ends.items()):
            if owner in ends:
                sent, received, _ = ends[owner]
                ends[owner] = (sent, received, True)
                self._judge(name, ends, alone=len(ends) == 1)

    def release(self, name: str) -> None:
        """Forget a channel."""
        self._ends.pop(name, None)
        self._gone.add(name)
        self.unbalanced.discard(name)
        self.open_since_wall_s.pop(name, None)

    def wait_s(self) -> float | None:
        """How long until the next half closed channel is let go; None while a live one is unbalanced."""
        wall_s = time.monotonic()
        for name in [n for n, since in self.open_since_wall_s.items() if wall_s - since >= CLOSE_WALL_S]:
            log.warning("lock-step: one end of channel %s did not notice that the other has closed", name)
            self.release(name)
        if self.unbalanced - self.open_since_wall_s.keys() or not self.unbalanced:
            return None
        return max(0.001, min(self.open_since_wall_s.values()) + CLOSE_WALL_S - wall_s)

    def _judge(self, name: str, ends: dict[str, tuple[int, int, bool]], *, alone: bool = False) -> None:
        counts = list(ends.values())
        closed = [count[2] for count in counts]
        if len(counts) == 1:
            balanced = counts[0][0] == counts[0][1]
            over = alone or (closed[0] and balanced)
        else:
            (sent, received, _), (other_sent, other_received, _) = counts
            balanced = sent == other_received and other_sent == received and not any(closed)
            over = all(closed)
        if over:
            self.release(name)
        elif balanced:
            self.unbalanced.discard(name)
        else:
            self.unbalanced.add(name)
            if any(closed):
                self.open_since_wall_s.setdefault(name, time.monotonic())


class Conductor:
    """The authority over everybody's time. Make one with `await Conductor.start(…)`.

    Args:
        clock: The clock of the process that conducts; it takes part without a socket.
        name: Its name among the participants.
        speed: Ceiling in simulated seconds per second of the wall, > 0; None for as fast as possible.
    """

    def __init__(self, clock: VirtualClock, *, name: str = "conductor", speed: float | None = None) -> None:
        self._clock = clock
        self._own = _Participant(name, None, os.getpid())
        self._participants: dict[str, _Participant] = {name: self._own}
        self._channels = _Channels()
        self._round = 0
        self._members = 0
        self._doubt = False
        self._floor_s = clock.now()
        self._plans: list[tuple[float, int, Callable[[], None]]] = []
        self._plan_order = 0
        self._pacer = Pacer(_checked_speed(speed))
        self._begin_s = clock.now()
        self._begin_wall_s = time.monotonic()
        self._paused_at_wall_s: float | None = None
        self._changed = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._links: set[_ToParticipant] = set()

    @classmethod
    async def start(
        cls, clock: Clock, address: str, *, name: str = "conductor", speed: float | None = None
    ) -> Conductor:
        """Begin to conduct.

        Args:
            clock: The clock that `ores.link.clock.run` handed to this process; not a real one.
            address: A path for a unix socket, or `host:port` on loopback.
            name: This process among the participants.
            speed: Ceiling, see `Conductor`.

        Raises:
            ConfigError: The clock runs at speed 1, or the address is not local.
        """
        if not isinstance(clock, VirtualClock):
            raise ConfigError("speed", found=1, allowed="any other: at speed 1 everybody follows the wall")
        conductor = cls(clock, name=name, speed=speed)
        loop = asyncio.get_running_loop()
        match parsed_address(address):
            case Path() as path:
                path.unlink(missing_ok=True)
                conductor._server = await loop.create_unix_server(lambda: _ToParticipant(conductor), path)
            case host, port:
                conductor._server = await loop.create_server(lambda: _ToParticipant(conductor), host, port)
        clock.obey(conductor)
        return conductor

    async def close(self) -> None:
        """Stop conducting: the others learn that nobody keeps time any more; this process runs on alone."""
        if self._server is not None:
            self._server.close()
        for link in list(self._links):
            link.hang_up()
        self._clock.obey(None)

    @property
    def port(self) -> int | None:
        """The TCP port in use; None on a unix socket."""
        name = self._server.sockets[0].getsockname() if self._server is not None else ""
        return int(name[1]) if isinstance(name, tuple) else None

    async def joined(self, *names: str) -> None:
        """Wait, with time standing still, until all of these take part."""
        with self._clock.hold():
            while not all(name in self._participants for name in names):
                self._changed.clear()
                await self._changed.wait()

    def at(self, at_s: float, callback: Callable[[], None]) -> None:
        """Call back in the moment before anything of `at_s` happens, with everything earlier done."""
        self._plan_order += 1
        heapq.heappush(self._plans, (at_s, self._plan_order, callback))

    def kill(self, name: str) -> None:
        """Kill a participant's process (SIGKILL); time stands still until it is gone.

        Raises:
            ConfigError: Nobody of this name takes part, or it is the conductor.
        """
        participant = self._participants.get(name)
        if participant is None or participant.link is None:
            others = ", ".join(sorted(self._participants.keys() - {self._own.name}))
            raise ConfigError("participant", found=name, allowed=f"one of: {others or 'nobody has joined'}")
        participant.doomed = True
        os.kill(participant.pid, signal.SIGKILL)

    def pause(self) -> None:
        """Let time stand still; sockets are still served."""
        if self._paused_at_wall_s is None:
            self._paused_at_wall_s = time.monotonic()

    def resume(self) -> None:
        """Let time move again."""
        if self._paused_at_wall_s is not None:
            self._begin_wall_s += time.monotonic() - self._paused_at_wall_s
            self._paused_at_wall_s = None

    def set_speed(self, speed: float | None) -> None:
        """Set the ceiling, > 0; None for as fast as possible. Raises `ConfigError` otherwise."""
        self._pacer = Pacer(_checked_speed(speed))

    def pace(self) -> Pace:
        """How fast the run is, and who takes part."""
        wall_s = (self._paused_at_wall_s or time.monotonic()) - self._begin_wall_s
        simulated_s = self._clock.now() - self._begin_s
        busy = (p.name for p in self._participants.values() if p.doomed or not p.is_idle)
        return Pace(
            simulated_s=simulated_s,
            wall_s=wall_s,
            achieved=simulated_s / wall_s if wall_s > 0 else 0.0,
            ceiling=None if self._pacer.speed == math.inf else self._pacer.speed,
            rounds=self._round,
            participants=tuple(self._participants),
            paused=self._paused_at_wall_s is not None,
            waiting_for=(*busy, *(f"channel {name}" for name in sorted(self._channels.unbalanced))),
        )

    def idle(self) -> float | None:
        """Own process is idle: move everybody's time when nothing is left to do anywhere."""
        self._report_own()
        everybody = self._participants.values()
        if self._paused_at_wall_s is not None or not all(p.is_idle and not p.doomed for p in everybody):
            return None
        if self._doubt:
            self._ask_again()
            if len(self._participants) > 1:
                return None
        if self._channels.unbalanced:
            wait_s = self._channels.wait_s()
            if self._channels.unbalanced:
                return wait_s
        return self._move()

    def _report_own(self) -> None:
        clock, own = self._clock, self._own
        own.is_idle = True
        own.next_s = clock.next_wakeup_s()
        self._doubt |= clock.held_since_report
        clock.held_since_report = False
        if clock.changed:
            self._channels.update(own.name, _counts(clock))

    def _ask_again(self) -> None:
        self._doubt = False
        self._round += 1
        for participant in self._participants.values():
            if participant.link is not None:
                participant.is_idle = False
                participant.turn_round = self._round
                participant.link.say(Ask(self._round))

    def _move(self) -> float | None:
        now_s = self._clock.now()
        wakeups_s = [p.next_s for p in self._participants.values() if p.next_s is not None]
        # the time of a plan that was just carried out is next, even when nothing else happens then
        to_s = self._floor_s if self._floor_s > now_s else max(min(wakeups_s, default=math.inf), now_s)
        if self._plans and self._plans[0][0] <= to_s:
            at_s, _, callback = heapq.heappop(self._plans)
            self._floor_s = max(self._floor_s, at_s)
            callback()
            return 0.0
        if to_s == math.inf:
            return None
        wait_s = self._pacer.wait_s(to_s - now_s)
        if wait_s > 0:
            return wait_s
        self._round += 1
        others = [p for p in self._participants.values() if p.link is not None]
        # those who only learn the time come first, so that no message of this round finds them in the past
        for participant in sorted(others, key=lambda p: p.next_s is not None and p.next_s <= to_s):
            self._tell(participant, to_s)
        self._clock.advance(to_s)
        return 0.0

    def _tell(self, participant: _Participant, to_s: float) -> None:
        turn = participant.next_s is not None and participant.next_s <= to_s
        if turn:
            participant.is_idle = False
            participant.turn_round = self._round
        if participant.link is not None:
            participant.link.say(Move(self._round, to_s, turn, participant.report))

    def admit(self, link: _ToParticipant, join: Join) -> _Participant | None:
        """Let a process take part from the present time on; None, and a word why, when it may not."""
        reason = None
        if join.version != VERSION:
            reason = f"lock-step version {join.version}, spoken here is {VERSION}"
        elif join.name in self._participants:
            reason = f"the name {join.name} is taken"
        if reason is not None:
            link.say(Refused(reason))
            link.hang_up()
            return None
        participant = self._participants[join.name] = _Participant(join.name, link, join.pid)
        participant.turn_round = self._round
        self._members += 1
        link.say(Welcome(self._round, self._members, self._clock.now(), self._clock.start_utc))
        self._changed.set()
        return participant

    def report(self, participant: _Participant, idle: Idle) -> None:
        """Take a report; one from before the participant's last turn counts, but is not idle."""
        participant.report = idle.report
        participant.next_s = idle.next_s
        self._doubt |= idle.held
        participant.is_idle = idle.round >= participant.turn_round
        try:
            self._channels.update(participant.name, idle.channels)
        except ConfigError as error:
            log.warning("lock-step: %s leaves: %s", participant.name, error.detail)
            if participant.link is not None:
                participant.link.hang_up()

    def remove(self, participant: _Participant) -> None:
        """A participant's socket has closed."""
        del self._participants[participant.name]
        self._channels.leave(participant.name)
        self._changed.set()

    def connected(self, link: _ToParticipant, *, alive: bool) -> None:
        """Keep count of the open sockets."""
        (self._links.add if alive else self._links.discard)(link)


class _ToParticipant(Lines):
    """The conductor's end of one socket."""

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor
        self._participant: _Participant | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._conductor.connected(self, alive=True)

    def heard(self, line: bytes) -> None:
        match from_participant.decode(line), self._participant:
            case Idle() as idle, _Participant() as participant:
                self._conductor.report(participant, idle)
            case Join() as join, None:
                self._participant = self._conductor.admit(self, join)
            case _:
                raise msgspec.DecodeError("join comes first, and once")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  however it was lost
        self._conductor.connected(self, alive=False)
        if self._participant is not None:
            self._conductor.remove(self._participant)


class _Member(Lines):
    """The participant's end: the authority of its clock."""

    def __init__(self, clock: VirtualClock, name: str) -> None:
        super().__init__()
        self._clock = clock
        self._name = name
        self._round = 0
        self._report = 0
        self._marks: dict[int, int] = {0: 0}  # up to which arrival each report reached
        self._must_report = True
        self._next_s: float | None = None
        self._over: str | None = None
        self.welcomed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.say(Join(VERSION, self._name, os.getpid()))

    def connection_lost(self, exc: Exception | None) -> None:
        self._over = f"the conductor is gone ({exc or 'closed'})"
        if not self.welcomed.done():
            self.welcomed.set_exception(Disconnected(self._over))

    def heard(self, line: bytes) -> None:
        match from_conductor.decode(line):
            case Move(number, now_s, turn, report):
                self._round = number
                if turn:
                    self._must_report = True
                    reached = self._marks[report]
                    self._marks = {key: mark for key, mark in self._marks.items() if key >= report}
                    self._clock.advance(now_s, reached)
                else:
                    self._clock.follow(now_s)
            case Ask(number):
                self._round = number
                self._must_report = True
            case Welcome(number, member, now_s, start_utc):
                self._round = number
                self._clock.member = member
                self._clock.start_utc = start_utc
                self._clock.follow(now_s)
                self.welcomed.set_result(None)
            case Refused(reason):
                self.welcomed.set_exception(
                    ConfigError("name", found=self._name, allowed=f"another: {reason}")
                )

    def idle(self) -> float | None:
        """Report, when there is something new to say, and wait."""
        if self._over is not None:
            self._clock.obey(None)  # so that what cleans up does not wait for ever
            raise Disconnected(self._over)
        clock = self._clock
        next_s = clock.next_wakeup_s()
        if self._must_report or clock.changed or clock.held_since_report or next_s != self._next_s:
            self._report += 1
            self._marks[self._report] = clock.order
            self.say(Idle(self._round, self._report, next_s, clock.held_since_report, _counts(clock)))
            self._must_report = clock.held_since_report = False
            self._next_s = next_s
        return None


def run_joined(main: Callable[[Clock], Coroutine[Any, Any, T]], *, join: str, name: str) -> T:
    """Run `main(clock)` in lock-step with a conductor; its start, time and speed are the conductor's.

    Args:
        main: What to run.
        join: The conductor's address: a path, or `host:port` on loopback.
        name: Who this process is among the participants; unique.

    Raises:
        ConfigError: The address is not local, or the name is taken.
        Disconnected: The conductor went away while `main` still needed time.
        TimedOut: No conductor answered within `JOIN_WALL_S`.
    """
    clock = VirtualClock(datetime.now(UTC))

    async def joined() -> T:
        with clock.hold():
            member = await _join(clock, join, name)
        clock.obey(member)
        try:
            return await main(clock)
        finally:
            member.hang_up()
            clock.obey(None)

    with asyncio.Runner(loop_factory=clock.new_loop) as runner:
        return runner.run(joined())


async def _join(clock: VirtualClock, address: str, name: str) -> _Member:
    """Connect; a conductor that starts in the same moment may take a while to listen."""
    loop = asyncio.get_running_loop()
    parsed = parsed_address(address)
    give_up_wall_s = time.monotonic() + JOIN_WALL_S
    while True:
        with suppress(OSError):
            member = _Member(clock, name)
            match parsed:
                case Path() as path:
                    await loop.create_unix_connection(lambda: member, str(path))  # noqa: B023  used at once
                case host, port:
                    await loop.create_connection(lambda: member, host, port)  # noqa: B023  used at once
            await member.welcomed
            return member
        if time.monotonic() > give_up_wall_s:
            raise TimedOut(f"no conductor answers at {address}")
        await asyncio.sleep(0.02)


def _counts(clock: VirtualClock) -> dict[str, tuple[int, int, bool]]:
    """What changed since the last report."""
    changed = {name: (count.sent, count.received, count.closed) for name, count in clock.changed.items()}
    clock.changed.clear()
    return changed


def _checked_speed(speed: float | None) -> float:
    if speed is not None and not speed > 0:
        raise ConfigError("speed", found=speed, allowed="a number above 0, or none for as fast as possible")
    return math.inf if speed is None else speed
