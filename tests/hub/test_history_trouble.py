"""Kills, damaged files, full disks: nothing acknowledged is lost, nothing crashes, the cause is told."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from ores.hub.history import History, Notice
from ores.link.errors import Unavailable

START_S = 20_000 * 86400
POWER = "battery.ac_measure.power_w"

WRITE_UNTIL_KILLED = """
import sys
from pathlib import Path
from ores.hub.history import History

history, start, k = History(Path(sys.argv[1])), float(sys.argv[2]), 0
while True:
    for _ in range(20):
        for module in ("a", "b", "c"):
            history.record(module, start + k, ("x.power_w", "x.voltage_v"), (float(k), 230.0))
        history.record_event(start + k, "decision", "a", str(k))
        k += 1
    assert history.flush()
    print(k, flush=True)
    if k % 100 == 0:
        history.maintain(start + k + 86400 * 2)
"""

FILL_THE_DISK = """
import resource, sys
from pathlib import Path
from ores.hub.history import History

notices = []
history = History(Path(sys.argv[1]), on_notice=notices.append)
history.record("m", 1.0, ("x.power_w",), (1.0,))
assert history.flush()
size = 400_000
resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
k = refused = 0
while refused < 4:
    for _ in range(500):
        k += 1
        history.record("m", 1.0 + k, ("x.power_w",), (k + 0.123456789,))
    refused = 0 if history.flush() else refused + 1
    assert k < 100_000
assert len(history.rows("m", ["x.power_w"], 0, 1e9).t_utc_s) == k + 1, "all of it can be read meanwhile"
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert history.flush()
assert history.health().cause is None and history.health().dropped_rows == 0
history.close()
print(k, *[notice.code for notice in notices])
print(notices[0].text)
"""


def count_rows_of_first_module(path: Path) -> int:
    db = sqlite3.connect(path)
    try:
        there = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'm1'").fetchone()
        return int(db.execute("SELECT count(*) FROM m1").fetchone()[0]) if there else 0
    finally:
        db.close()


def test_ten_times_kill_9_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    start = float(START_S)
    for killed in range(10):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(path), str(start)], stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        acknowledged = 0
        for line in process.stdout:
            acknowledged = int(line)
            if acknowledged >= 200 + 61 * killed:
                process.send_signal(signal.SIGKILL)
                break
        rest = [int(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
        acknowledged = max([acknowledged, *rest])
        process.stdout.close()
        assert process.wait(10) == -signal.SIGKILL
        history = History(path)
        for module in ("a", "b", "c"):
            rows = history.rows(module, ["x.power_w"], start, start + acknowledged)
            assert rows.columns["x.power_w"] == [float(k) for k in range(acknowledged)]
        page = history.events(start, start + acknowledged, limit=1000)
        assert sorted(int(event.body) for event in page.events) == list(range(acknowledged))[-1000:]
        assert history.health().cause is None
        history.close()
        start += 100_000


def test_a_full_disk_is_told_and_what_was_kept_is_written_later(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    done = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    codes, text = done.stdout.splitlines()
    k, *told = codes.split()
    assert (told[0], told[-1]) == ("history_not_writable", "history_writable_again")
    assert str(path) in text
    assert "kept in memory" in text
    assert count_rows_of_first_module(path) == int(k) + 1


def test_what_only_the_journal_had_is_in_the_tables_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    history = History(path)
    for k in range(5):
        history.record("m", START_S + k, (POWER,), (float(k),))
        history.record_event(START_S + k, "decision", "m", str(k))
        assert history.flush(durable=k == 3)
    assert count_rows_of_first_module(path) == 0
    history._close_store()  # as if killed
    after = History(path)
    assert after.hash() == history.hash()
    assert count_rows_of_first_module(path) == 5
    assert [event.n for event in after.events(0, START_S * 2).events] == [5, 4, 3, 2, 1]
    after.close()
    history.close()


def test_a_lone_module_needs_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    history = History(path)
    for k in range(5):
        history.record("m", START_S + k, (POWER,), (float(k),))
        assert history.flush()
        assert count_rows_of_first_module(path) == k + 1
    history._close_store()  # as if killed
    after = History(path)
    assert after.hash() == history.hash()
    after.close()
    history.close()


def test_a_row_that_comes_while_its_day_is_packed_is_kept(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    for k in range(48):
        history.record("m", START_S + k * 3600, (POWER, "b.power_w", "c.power_w"), (1.0, 1.0, 1.0))
    assert history.flush()
    late, more = 0, True
    while more:
        more = history.maintain(START_S + 5 * 86400)
        if late < 6:
            late += 1
            history.record("m", START_S + late, (POWER,), (9.0,))
            assert history.flush()
    while history.maintain(START_S + 6 * 86400):
        pass
    kept = history.rows("m", [POWER], START_S, START_S + 3600).columns[POWER]
    assert kept == [1.0] + [9.0] * 6
    history.close()


def test_an_event_committed_before_the_disk_was_full_is_there_once(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    history.record_event(START_S, "decision", "m", "first")
    assert history.flush()
    assert history._store is not None
    history._store.db.execute("PRAGMA query_only=1")
    history.record_event(START_S, "decision", "m", "second")
    assert not history.flush()
    assert "readonly" in str(history.health().cause)
    assert history.flush()
    assert [event.body for event in history.events(0, START_S * 2).events] == ["second", "first"]
    history.close()


def fill_up(history: History, path: Path) -> None:
    """Let SQLite itself say that there is no room."""
    assert history._store is not None
    history._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages = path.stat().st_size // 4096
    history._store.db.execute(f"PRAGMA max_page_count={pages}")


def test_no_room_says_so_and_the_buffer_stays_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[Notice] = []
    path = tmp_path / "history.db"
    history = History(path, max_pending_values=1000, max_pending_events=50, on_notice=notices.append)
    history.record("m", START_S, (POWER,), (1.0,))
    assert history.flush()
    fill_up(history, path)
    for k in range(3000):
        history.record("m", START_S + k, (POWER,), (float(k),))
        history.record_event(START_S + k, "decision", "m", "x" * 3000)
        if k == 40:
            assert not history.flush()
            monkeypatch.setattr(history, "_open_store", _no_room)
    health = history.health()
    assert "full" in str(health.cause)
    assert health.pending_values <= 1000
    assert health.dropped_rows >= 2000
    assert health.dropped_events >= 2900
    assert [notice.code for notice in notices[:2]] == ["history_not_writable", "history_dropped"]
    assert not history.flush()
    monkeypatch.undo()
    assert history.flush()
    kept = history.rows("m", [POWER], START_S, START_S + 3000).columns[POWER]
    assert kept[-400:] == [float(k) for k in range(2600, 3000)]
    assert kept[0] == 1.0
    assert len(kept) == 1 + 3000 - history.health().dropped_rows
    history.close()


def _no_room() -> bool:
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise error


def make_damaged(path: Path, how: str) -> None:
    if how == "noise":
        path.write_bytes(b"this was never a database " * 400)
        return
    history = History(path)
    for k in range(3000):
        history.record("m", START_S + k, (POWER,), (k + 0.5,))
    history.close()
    data = bytearray(path.read_bytes())
    if how == "middle":
        data[8192:40960] = b"\xa5" * (40960 - 8192)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)


@pytest.mark.parametrize("how", ["noise", "middle", "cut short"])
def test_a_damaged_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, how: str) -> None:
    path = tmp_path / "history.db"
    for k in (1, 2):
        path.unlink(missing_ok=True)
        make_damaged(path, how)
        damaged = path.read_bytes()
        notices: list[Notice] = []
        history = History(path, on_notice=notices.append)
        history.record("m", START_S, (POWER,), (7.0,))
        assert history.flush()
        assert history.rows("m", [POWER], 0, START_S * 2).columns[POWER] == [7.0]
        assert history.health().cause is None
        history.close()
        assert [notice.code for notice in notices] == ["history_set_aside"]
        assert "damaged" in notices[0].text
        assert str(path) in notices[0].text
        assert (tmp_path / f"history.db.damaged-{k}").read_bytes() == damaged


def test_damage_that_shows_while_writing_costs_no_new_row(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    notices: list[Notice] = []
    history = History(path, on_notice=notices.append)
    for k in range(5000):
        history.record("m", START_S + k, (POWER,), (k + 0.5,))
    assert history.flush()
    assert history._store is not None
    history._store.db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    history._store.db.execute("PRAGMA shrink_memory")
    for k in range(3):
        history.record("new", START_S + k, (POWER,), (9.0,))
    assert history.flush()
    assert history.rows("new", [POWER], 0, START_S * 2).columns[POWER] == [9.0] * 3
    assert [notice.code for notice in notices] == ["history_set_aside"]
    history.close()


def test_a_damaged_packed_day_is_told_to_whoever_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    history = History(path)
    history.record("m", START_S, (POWER,), (1.0,))
    assert history.flush()
    while history.maintain(START_S + 10 * 86400):
        pass
    assert history._store is not None
    history._store.db.execute("UPDATE packed SET vals = x'00ff'")
    with pytest.raises(Unavailable, match="damaged"):
        history.rows("m", [POWER], START_S, START_S + 1)
    history.close()


def test_a_missing_folder_is_told_and_history_begins_when_it_is_there(tmp_path: Path) -> None:
    notices: list[Notice] = []
    path = tmp_path / "not yet" / "history.db"
    history = History(path, on_notice=notices.append)
    history.record_event(START_S, "decision", "m", "early")
    history.record("m", START_S, (POWER,), (1.0,))
    assert not history.flush()
    assert history.rows("m", [POWER], START_S, START_S + 1).columns[POWER] == [1.0]
    assert "unable to open" in notices[0].text
    path.parent.mkdir()
    assert history.flush()
    assert [notice.code for notice in notices] == ["history_not_writable", "history_writable_again"]
    history.close()
    history = History(path)
    assert [event.body for event in history.events(0, START_S * 2).events] == ["early"]
    history.close()


def test_a_question_in_the_middle_of_packing_sees_every_row(tmp_path: Path) -> None:
    history = History(tmp_path / "history.db")
    for k in range(2000):
        history.record("m", START_S + k * 60, (POWER, "b.power_w", "c.power_w"), (float(k), 1.0, 2.0))
    assert history.flush()
    answers = set()
    more = True
    while more:
        answers.add(str(history.query([("m", POWER)], START_S, START_S + 2 * 86400, 48)))
        more = history.maintain(START_S + 5 * 86400)
    assert len(answers) == 1
    history.close()
