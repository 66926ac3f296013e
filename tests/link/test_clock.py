"""Time that moves only when nothing is left to do."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ores.link.clock import Clock, Deadlock, Pacer, RealClock, VirtualClock, run
from ores.link.errors import ConfigError, TimedOut

START = datetime(2026, 6, 1, tzinfo=UTC)
T = TypeVar("T")


def virtually(main: Callable[[Clock], Coroutine[Any, Any, T]], speed: float | None = None) -> T:
    return run(main, start_utc=START, speed=speed)


def test_a_day_passes_in_a_moment_and_the_clock_shows_it() -> None:
    async def main(clock: Clock) -> tuple[float, datetime]:
        await clock.sleep(86_400)
        return clock.now(), clock.utc()

    begin_s = time.monotonic()
    assert virtually(main) == (86_400.0, START + timedelta(days=1))
    assert time.monotonic() - begin_s < 1


def test_wake_ups_at_the_same_time_happen_in_the_order_of_registration() -> None:
    async def main(clock: Clock) -> list[int]:
        heard: list[int] = []
        for index in range(100):
            clock.call_at(5.0 if index % 2 else 4.0, partial(heard.append, index))
        await clock.sleep(5)
        return heard

    assert virtually(main) == [*range(0, 100, 2), *range(1, 100, 2)]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 100), st.booleans(), st.floats(0, 50)),
        max_size=200,
    )
)
def test_every_live_timer_fires_once_and_no_cancelled_one(plan: list[tuple[float, bool, float]]) -> None:
    """Some timers are cancelled at once, and each that fires plans another one."""

    async def main(clock: Clock) -> None:
        fired: list[tuple[float, int]] = []
        wanted: list[tuple[float, int]] = []

        def fire(number: int, at_s: float, then_s: float) -> None:
            assert clock.now() == at_s
            fired.append((at_s, number))
            clock.call_at(at_s + then_s, lambda: fired.append((clock.now(), number)))

        for number, (at_s, cancelled, then_s) in enumerate(plan):
            handle = clock.call_at(at_s, partial(fire, number, at_s, then_s))
            if cancelled:
                handle.cancel()
                handle.cancel()
            else:
                wanted += [(at_s, number), (at_s + then_s, number)]
        await clock.sleep(200)
        assert sorted(fired) == sorted(wanted)
        assert [at_s for at_s, _ in fired] == sorted(at_s for at_s, _ in fired)

    virtually(main)


def test_cancelled_timers_do_not_pile_up() -> None:
    async def main(clock: Clock) -> int:
        assert isinstance(clock, VirtualClock)
        for _ in range(10_000):
            clock.call_at(1000.0, lambda: None).cancel()
        return len(clock._timers)

    assert virtually(main) < 200


def test_a_timer_may_be_cancelled_by_another_of_the_same_time() -> None:
    async def main(clock: Clock) -> list[str]:
        heard: list[str] = []

        def cancel_second() -> None:
            second.cancel()

        clock.call_at(1.0, cancel_second)
        second = clock.call_at(1.0, lambda: heard.append("never"))
        await clock.sleep(2)
        return heard

    assert virtually(main) == []


def test_what_is_planned_for_the_past_happens_now() -> None:
    async def main(clock: Clock) -> list[float]:
        heard: list[float] = []
        await clock.sleep(10)
        clock.call_at(3.0, lambda: heard.append(clock.now()))
        await clock.sleep_until(2.0)
        await clock.sleep(-1)
        assert clock.now() == 10
        await clock.sleep(1)
        return heard

    assert virtually(main) == [10.0]


def test_a_time_that_is_no_number_is_refused() -> None:
    async def main(clock: Clock) -> None:
        with pytest.raises(ValueError, match="NaN"):
            clock.call_at(math.nan, lambda: None)
        clock.call_at(math.inf, lambda: None)  # never
        await clock.sleep(1)

    virtually(main)


@pytest.mark.parametrize("speed", [None, 1.0])
def test_a_timeout_says_timed_out_and_lets_the_quick_pass(speed: float | None) -> None:
    async def main(clock: Clock) -> None:
        with pytest.raises(TimedOut, match=r"0\.05 s"):
            async with clock.timeout(0.05):
                await clock.sleep(1)
        assert 0.05 <= clock.now() < 1
        async with clock.timeout(10):
            await clock.sleep(0.01)
        with pytest.raises(TimeoutError, match="its own"):
            async with clock.timeout(10):
                raise TimeoutError("its own")
        with pytest.raises(TimedOut):
            async with clock.timeout(0):
                await clock.sleep(1)

    virtually(main, speed)


def test_the_inner_of_two_timeouts_ends_the_inner_block_only() -> None:
    async def main(clock: Clock) -> None:
        async with clock.timeout(10):
            with pytest.raises(TimedOut, match="2 s"):
                async with clock.timeout(2):
                    await clock.sleep(100)
            await clock.sleep(7)
        assert clock.now() == 9

    virtually(main)


def test_a_cancelled_sleeper_leaves_nothing_behind() -> None:
    async def main(clock: Clock) -> None:
        assert isinstance(clock, VirtualClock)
        task = asyncio.create_task(clock.sleep(50))
        await clock.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert clock.next_wakeup_s() is None

    virtually(main)


def test_cancelling_from_outside_is_not_mistaken_for_a_timeout() -> None:
    async def main(clock: Clock) -> None:
        async def body() -> None:
            async with clock.timeout(50):
                await clock.sleep(100)

        task = asyncio.create_task(body())
        await clock.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtually(main)


def test_a_hold_keeps_time_still_while_a_thread_works() -> None:
    async def main(clock: Clock) -> None:
        ticks: list[float] = []

        async def tick() -> None:
            while True:
                await clock.sleep(1)
                ticks.append(clock.now())

        task = asyncio.create_task(tick())
        await clock.sleep(3.5)
        with clock.hold(), clock.hold():
            await asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.1)
        assert clock.now() == 3.5
        assert ticks == [1, 2, 3]
        await clock.sleep(1)
        assert ticks == [1, 2, 3, 4]
        task.cancel()

    virtually(main)


def test_a_frame_under_way_between_two_sockets_of_one_process_holds_time() -> None:
    """Without the counts the clock would run ahead while the bytes are in the kernel's hands."""

    async def main(clock: Clock) -> list[tuple[float, bytes]]:
        heard: list[tuple[float, bytes]] = []
        ours, theirs = socket.socketpair()
        loop = asyncio.get_running_loop()
        reader, writer = await asyncio.open_connection(sock=theirs)
        ours.setblocking(False)

        async def listen() -> None:
            while frame := await reader.read(5):
                clock.deliver("pair", lambda f: heard.append((clock.now(), f)), frame)

        listener = asyncio.create_task(listen())

        def send_late(frame: bytes) -> None:
            clock.count_sent("pair")
            loop.call_later(0.05, ours.send, frame)  # the wall's delay, as of a slow network

        for _ in range(3):
            await clock.sleep(1)
            send_late(b"frame")
        await clock.sleep(0.5)
        listener.cancel()
        writer.close()
        await writer.wait_closed()
        ours.close()
        return heard

    assert virtually(main) == [(1.0, b"frame"), (2.0, b"frame"), (3.0, b"frame")]


def test_frames_of_one_instant_are_heard_by_channel_and_not_by_luck() -> None:
    async def main(clock: Clock) -> list[bytes]:
        heard: list[bytes] = []
        for channel, frame in (("b", b"b1"), ("a", b"a1"), ("b", b"b2"), ("a", b"a2")):
            clock.count_sent(channel)
            clock.deliver(channel, heard.append, frame)
        clock.close_channel("a", lambda: heard.append(b"a closed"))
        clock.count_sent("a")  # too late to count
        assert heard == []
        await clock.sleep(1)
        return heard

    assert virtually(main) == [b"a1", b"a2", b"a closed", b"b1", b"b2"]


def test_names_of_channels_are_never_used_twice() -> None:
    async def main(clock: Clock) -> list[str]:
        return [clock.new_channel("m1"), clock.new_channel("m1"), clock.new_channel("m2")]

    assert virtually(main) == run(main, speed=1) == ["m1#0.1", "m1#0.2", "m2#0.1"]


def test_waiting_for_nothing_is_said_and_does_not_hang() -> None:
    async def main(clock: Clock) -> None:
        await clock.sleep(3)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="for ever at 3 s: nothing is planned"):
        virtually(main)


def test_a_lost_frame_is_named_when_nothing_else_is_left() -> None:
    async def main(clock: Clock) -> None:
        clock.count_sent("hub-m1")
        await clock.sleep(1)

    with pytest.raises(Deadlock, match="hub-m1"):
        virtually(main)


def test_a_process_that_waits_for_a_signal_is_not_called_dead() -> None:
    async def main(clock: Clock) -> str:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, done.set)
        child = os.fork()
        if child == 0:
            time.sleep(0.1)
            os.kill(os.getppid(), signal.SIGUSR1)
            os._exit(0)
        await done.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        os.waitpid(child, 0)
        return "heard"

    assert virtually(main) == "heard"


def test_speed_is_a_ceiling() -> None:
    async def main(clock: Clock) -> None:
        for _ in range(60):
            await clock.sleep(1)

    begin_s = time.monotonic()
    virtually(main, speed=200)
    assert time.monotonic() - begin_s >= 0.29


def test_a_slow_spell_is_not_made_up_for_by_a_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    wall_s = [100.0]
    monkeypatch.setattr("ores.link.clock.time.monotonic", lambda: wall_s[0])
    pacer = Pacer(10.0)
    assert pacer.wait_s(1.0) == pytest.approx(0.1)
    wall_s[0] += 60  # the machine slept
    assert pacer.wait_s(1.0) == 0
    assert pacer.wait_s(1.0) == pytest.approx(0.05)


@pytest.mark.parametrize("speed", [0, -1, math.nan])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    async def main(clock: Clock) -> None: ...

    with pytest.raises(ConfigError, match="speed"):
        run(main, speed=speed)


def test_a_start_without_time_zone_is_refused() -> None:
    async def main(clock: Clock) -> None: ...

    with pytest.raises(ConfigError, match="start_utc"):
        run(main, start_utc=datetime(2026, 6, 1))  # noqa: DTZ001


def test_at_speed_one_the_wall_rules() -> None:
    async def main(clock: Clock) -> None:
        assert isinstance(clock, RealClock)
        heard: list[float] = []
        clock.call_at(0.05, lambda: heard.append(clock.now()))
        clock.call_at(0.06, lambda: heard.append(-1.0)).cancel()
        clock.call_at(math.inf, lambda: heard.append(-2.0)).cancel()
        with clock.hold():
            await clock.sleep_until(0.1)
        assert clock.now() >= 0.1
        assert len(heard) == 1
        assert heard[0] >= 0.05
        assert START + timedelta(seconds=0.1) <= clock.utc() < START + timedelta(seconds=5)
        frames: list[bytes] = []
        clock.deliver("any", frames.append, b"now")
        clock.close_channel("any", lambda: frames.append(b"closed"))
        assert frames == [b"now", b"closed"]

    virtually(main, speed=1)


def test_the_same_program_has_the_same_history_run_after_run() -> None:
    async def main(clock: Clock) -> list[tuple[float, int]]:
        history: list[tuple[float, int]] = []

        async def actor(number: int) -> None:
            for step in range(50):
                await clock.sleep(((number * 7 + step * 3) % 5) / 4)
                history.append((clock.now(), number))

        await asyncio.gather(*(actor(number) for number in range(20)))
        return history

    assert virtually(main) == virtually(main)


def test_a_loop_that_has_ended_hears_no_signals_any_more() -> None:
    async def main(_: Clock) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)

    before = signal.getsignal(signal.SIGTERM)
    run(main, speed=1)
    assert signal.getsignal(signal.SIGTERM) is before
