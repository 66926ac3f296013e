"""The task that keeps the history: in the file every second, tidied in time, the same run after run."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from ores.hub.history import History, keep
from ores.link.clock import VirtualClock

START = datetime(2025, 6, 1, tzinfo=UTC)
POWER = "battery.ac_measure.power_w"


def live(path: Path, hours: float) -> History:
    """Some hours of a hub that records every 10 s, on virtual time."""
    clock = VirtualClock(START)
    history = History(path)

    async def hub() -> None:
        task = asyncio.create_task(keep(history, clock, durable=hours < 1))
        while clock.now() < hours * 3600:
            history.record("m", clock.utc().timestamp(), (POWER,), (clock.now(),))
            await clock.sleep(10)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    loop = clock.new_loop()
    try:
        loop.run_until_complete(hub())
    finally:
        loop.close()
    return history


def test_what_is_two_seconds_old_is_in_the_file(tmp_path: Path) -> None:
    history = live(tmp_path / "history.db", 0.1)
    assert history._store is not None
    history._store.close()  # as if killed
    after = History(tmp_path / "history.db")
    kept = after.rows("m", [POWER], START.timestamp(), START.timestamp() + 3600).columns[POWER]
    assert kept == [10.0 * k for k in range(36)]
    after.close()


def test_the_same_run_gives_the_same_hash_and_an_hour_is_rolled_up(tmp_path: Path) -> None:
    hashes = set()
    for k in range(2):
        history = live(tmp_path / f"{k}.db", 1.1)
        hashes.add(history.hash())
        assert history._store is not None
        hours = history._store.db.execute("SELECT count(*) FROM rolled_hour").fetchone()
        assert hours == (1,)
        history.close()
    assert len(hashes) == 1
