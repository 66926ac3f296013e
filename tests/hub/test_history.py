"""What goes in comes out: rows, buckets, counters, schema, clock set back, packing, retention."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ores.hub.history import History, Notice, Retention
from ores.link.errors import ConfigError

DAY_S = 86400
START_S = 20_000 * DAY_S  # a midnight in 2024
POWER = "battery.ac_measure.power_w"
ENERGY = "meter.energy.energy_in_wh"
EPOCH = "meter.energy.counter_epoch"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "history.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path)
    yield history
    history.close()


def tidy(history: History, now_utc_s: float) -> None:
    while history.maintain(now_utc_s):
        pass


def record_minutes(history: History, days: int, value: Callable[[int], float | None]) -> None:
    for minute in range(days * 1440):
        history.record("m", START_S + minute * 60, (POWER,), (value(minute),))
    assert history.flush()


def test_a_tick_comes_back_as_it_was_recorded(history: History) -> None:
    history.record("m", START_S + 0.25, (POWER, "battery.storage.soc_pct"), (-1234.5, 0.1 + 0.2))
    assert history.flush()
    rows = history.rows("m", [POWER, "battery.storage.soc_pct"], START_S, START_S + 1)
    assert rows.t_utc_s == [START_S + 0.25]
    assert rows.columns == {POWER: [-1234.5], "battery.storage.soc_pct": [0.1 + 0.2]}


def test_what_is_not_yet_written_is_read_too(history: History) -> None:
    history.record("m", START_S, (POWER,), (1.0,))
    history.record_event(START_S, "decision", "m", "{}")
    assert history.rows("m", [POWER], START_S, START_S + 1).columns[POWER] == [1.0]
    assert history.query([("m", POWER)], START_S, START_S + 60, 1).series[0].mean == [1.0]
    assert len(history.events(START_S, START_S + 1).events) == 1
    assert history.names() == {"m": [POWER]}


@pytest.mark.parametrize("unknown", [None, math.nan, math.inf])
@pytest.mark.parametrize("written", [True, False])
def test_unknown_stays_unknown_and_never_becomes_0(
    history: History, unknown: float | None, written: bool
) -> None:
    history.record("m", START_S, (POWER, "x.voltage_v"), (unknown, 230.0))
    history.record("m", START_S + 1, (POWER, "x.voltage_v"), (4.0, unknown))
    assert not written or history.flush()
    assert history.rows("m", [POWER], START_S, START_S + 2).columns[POWER] == [None, 4.0]
    [series] = history.query([("m", POWER)], START_S, START_S + 2, 2).series
    assert (series.n, series.min, series.mean, series.max) == ([0, 1], [None, 4.0], [None, 4.0], [None, 4.0])


def test_a_gap_stays_a_gap_at_every_resolution(history: History) -> None:
    record_minutes(history, 3, lambda minute: 5.0 if minute // 1440 != 1 else None)
    tidy(history, START_S + 10 * DAY_S)
    for points in (3, 12, 72, 288, 4320):
        [series] = history.query([("m", POWER)], START_S, START_S + 3 * DAY_S, points).series
        third = points // 3
        assert series.mean == [5.0] * third + [None] * third + [5.0] * third


def test_columns_come_and_go(history: History) -> None:
    history.record("m", START_S, ("a.power_w",), (1.0,))
    history.record("m", START_S + 1, ("b.power_w", "a.power_w"), (2.0, 3.0))
    assert history.flush()
    history.record("m", START_S + 2, ("c.power_w",), (4.0,))
    rows = history.rows("m", ["a.power_w", "b.power_w", "c.power_w"], START_S, START_S + 9)
    assert rows.columns["a.power_w"] == [1.0, 3.0, None]
    assert rows.columns["b.power_w"] == [None, 2.0, None]
    assert rows.columns["c.power_w"] == [None, None, 4.0]


def test_the_last_row_of_a_moment_wins_as_a_whole(history: History) -> None:
    history.record("m", START_S, ("a.power_w", "b.power_w"), (1.0, 2.0))
    history.record("m", START_S, ("a.power_w",), (3.0,))
    for _ in range(2):
        rows = history.rows("m", ["a.power_w", "b.power_w"], START_S, START_S + 1)
        assert rows.columns == {"a.power_w": [3.0], "b.power_w": [None]}
        assert history.flush()


def test_a_clock_set_back_into_a_packed_day_writes_over_it(history: History) -> None:
    record_minutes(history, 2, float)
    tidy(history, START_S + 5 * DAY_S)
    history.record("m", START_S + 120, (POWER,), (-7.0,))
    history.record("m", START_S + 121, (POWER,), (-9.0,))
    expected = [0.0, 1.0, -7.0, -9.0, 3.0]
    for step in range(3):
        rows = history.rows("m", [POWER], START_S, START_S + 181)
        assert rows.columns[POWER] == expected, step
        [series] = history.query([("m", POWER)], START_S, START_S + DAY_S, 24).series
        assert (series.n[0], series.min[0]) == (61, -9.0), step
        assert history.flush()
        if step == 1:
            tidy(history, START_S + 6 * DAY_S)


def test_a_late_row_changes_the_hour_that_was_rolled_up(history: History) -> None:
    record_minutes(history, 1, lambda minute: 1.0)
    tidy(history, START_S + 12 * 3600)
    history.record("m", START_S + 7200 + 1, (POWER,), (100.0,))
    for _ in range(3):
        assert history.query([("m", POWER)], START_S, START_S + DAY_S, 24).series[0].max[2] == 100.0
        assert history.flush()
        tidy(history, START_S + 13 * 3600 + 100)


def test_tidying_up_changes_no_row_and_no_hash(history: History) -> None:
    record_minutes(history, 3, lambda minute: None if minute % 7 == 0 else round(math.sin(minute) * 3000, 1))
    history.record_event(START_S, "decision", "battery", '{"why": "sun"}')
    before = history.rows("m", [POWER], START_S, START_S + 3 * DAY_S), history.hash()
    assert history.flush()
    assert (history.rows("m", [POWER], START_S, START_S + 3 * DAY_S), history.hash()) == before
    tidy(history, START_S + 4 * DAY_S)
    assert (history.rows("m", [POWER], START_S, START_S + 3 * DAY_S), history.hash()) == before


def test_another_value_is_another_hash(tmp_path: Path) -> None:
    hashes = set()
    for k, value in enumerate((1.0, 2.0, None)):
        history = History(tmp_path / f"{k}.db")
        history.record("m", START_S, (POWER,), (value,))
        hashes.add(history.hash())
        history.close()
    assert len(hashes) == 3


def test_a_counter_gives_its_last_value_and_what_it_counted(history: History) -> None:
    for k in range(8):
        history.record("m", START_S + k * 900, (ENERGY,), (1000.0 + 10 * k,))
    [series] = history.query([("m", ENERGY)], START_S, START_S + 7200, 2).series
    assert series.kind == "counter"
    assert (series.last, series.delta) == ([1030.0, 1070.0], [30.0, 40.0])
    assert series.mean == []


def test_the_first_bucket_counts_from_the_sample_before_it(history: History) -> None:
    for k in range(8):
        history.record("m", START_S + k * 900, (ENERGY,), (1000.0 + 10 * k,))
    [series] = history.query([("m", ENERGY)], START_S + 3600, START_S + 7200, 1).series
    assert series.delta == [40.0]


def test_over_a_reset_nothing_is_counted(history: History) -> None:
    for k, value in enumerate((100.0, 110.0, 3.0, 8.0)):
        history.record("m", START_S + k * 900, (ENERGY,), (value,))
    assert history.query([("m", ENERGY)], START_S, START_S + 3600, 1).series[0].delta == [15.0]
    assert history.query([("m", ENERGY)], START_S, START_S + 3600, 4).series[0].delta == [0.0, 10.0, 0.0, 5.0]


@pytest.mark.parametrize("tidied", [False, True])
@pytest.mark.parametrize("points", [1, 4, 24])
def test_a_new_epoch_is_a_reset_even_if_the_counter_stands_higher(
    history: History, tidied: bool, points: int
) -> None:
    for k, (value, epoch) in enumerate(((100.0, 1.0), (110.0, 1.0), (90000.0, 2.0), (90005.0, 2.0))):
        history.record("m", START_S + k * 900, (ENERGY, EPOCH), (value, epoch))
    assert history.flush()
    if tidied:
        tidy(history, START_S + 3 * DAY_S)
    [series] = history.query([("m", ENERGY)], START_S, START_S + DAY_S, points).series
    assert sum(delta for delta in series.delta if delta is not None) == 15.0


def test_an_epoch_that_was_not_told_before_is_no_reset(history: History) -> None:
    for k in range(4):
        history.record("m", START_S + k * 900, (ENERGY,), (100.0 + k,))
    tidy(history, START_S + 3700)
    for k in range(4, 8):
        history.record("m", START_S + k * 900, (ENERGY, EPOCH), (100.0 + k, 1.0))
    tidy(history, START_S + 7400)
    [series] = history.query([("m", ENERGY)], START_S, START_S + 7200, 2).series
    assert series.delta == [3.0, 4.0]


def test_totals_follow_the_edges_of_local_days(history: History) -> None:
    for k in range(4 * 48):
        history.record("m", START_S + k * 1800, (ENERGY,), (5.0 * k,))
    assert history.flush()
    tidy(history, START_S + 9 * DAY_S)
    midnights = [START_S - 7200 + day * DAY_S for day in (1, 2, 3)]
    answer = history.totals([("m", ENERGY)], midnights)
    assert answer.series[0].delta == [240.0, 240.0]
    assert answer.level_s == 3600


def test_a_module_or_series_never_seen_is_all_gaps(history: History) -> None:
    history.record("m", START_S, (POWER,), (1.0,))
    assert history.flush()
    answer = history.query([("m", "none.power_w"), ("other", POWER)], START_S, START_S + 60, 4)
    assert [series.n for series in answer.series] == [[0] * 4, [0] * 4]


def test_raw_rows_go_and_roll_ups_stay(path: Path) -> None:
    history = History(path, retention=Retention(raw_days=2, minute_days=4, quarter_days=6))
    record_minutes(history, 10, lambda minute: float(minute // 1440))
    tidy(history, START_S + 10 * DAY_S + 7200)
    answer = history.query([("m", POWER)], START_S, START_S + 10 * DAY_S, 10)
    assert answer.series[0].mean == [float(day) for day in range(10)]
    assert history.rows("m", [POWER], START_S, START_S + 8 * DAY_S).t_utc_s == []
    assert len(history.rows("m", [POWER], START_S + 8 * DAY_S, START_S + 10 * DAY_S).t_utc_s) == 2880
    # A chart finer than what is left gets what is left.
    old = history.query([("m", POWER)], START_S, START_S + DAY_S, 2000)
    assert old.edges_utc_s[1] - old.edges_utc_s[0] == 3600
    assert old.series[0].n == [60] * 24
    history.close()


def test_a_row_older_than_what_is_kept_does_not_hide_the_roll_ups(path: Path) -> None:
    history = History(path, retention=Retention(raw_days=2))
    record_minutes(history, 4, lambda minute: 1.0)
    tidy(history, START_S + 9 * DAY_S)
    history.record("m", START_S + 30, (POWER,), (99.0,))
    for _ in range(2):
        assert history.query([("m", POWER)], START_S, START_S + DAY_S, 1).series[0].n == [1440]
        assert history.flush()
        tidy(history, START_S + 10 * DAY_S)
    history.close()


def test_events_come_newest_first_page_by_page(history: History) -> None:
    for k in range(25):
        history.record_event(START_S + k // 2, "decision" if k % 5 else "fault", f"m{k % 2}", str(k))
        if k == 15:
            assert history.flush()
    seen, before = [], None
    while True:
        page = history.events(START_S, START_S + 100, before=before, limit=4)
        seen += [int(event.body) for event in page.events]
        before = page.next
        if before is None:
            break
    assert seen == list(range(24, -1, -1))
    assert [e.body for e in history.events(START_S, START_S + 100, kind="fault", subject="m0").events] == [
        "20",
        "10",
        "0",
    ]
    assert [e.body for e in history.events(START_S + 1, START_S + 2).events] == ["3", "2"]


def test_events_go_when_their_time_is_over(path: Path) -> None:
    history = History(path, retention=Retention(event_days=10))
    history.record_event(START_S, "decision", "m", "old")
    history.record_event(START_S + 9 * DAY_S, "decision", "m", "new")
    assert history.flush()
    tidy(history, START_S + 12 * DAY_S)
    assert [event.body for event in history.events(0, START_S * 2).events] == ["new"]
    history.close()


def test_numbers_of_events_go_on_after_a_restart(path: Path) -> None:
    for k in range(3):
        history = History(path)
        history.record_event(START_S, "decision", "m", str(k))
        history.close()
    history = History(path)
    assert [event.body for event in history.events(START_S, START_S + 1).events] == ["2", "1", "0"]
    history.close()


def test_a_module_with_endless_new_names_harms_only_itself(path: Path) -> None:
    notices: list[Notice] = []
    history = History(path, on_notice=notices.append)
    names = tuple(f"e{k}.power_w" for k in range(2000))
    history.record("many", START_S, names, [float(k) for k in range(2000)])
    history.record("few", START_S, (POWER,), (1.0,))
    assert history.flush()
    history.maintain(START_S)
    assert history.rows("few", [POWER], START_S, START_S + 1).columns[POWER] == [1.0]
    assert history.rows("many", ["e1.power_w"], START_S, START_S + 1).columns["e1.power_w"] == [1.0]
    assert {notice.code for notice in notices} == {"history_series_refused"}
    history.close()


@pytest.mark.parametrize(
    ("t", "names", "values", "told"),
    [
        (math.nan, (POWER,), (1.0,), "t_utc_s"),
        (-1.0, (POWER,), (1.0,), "t_utc_s"),
        (START_S, (POWER,), (1.0, 2.0), "values"),
        (START_S, (POWER, POWER), (1.0, 2.0), "twice"),
        (START_S, ("a\x00b",), (1.0,), "name"),
        (START_S, ("\ud800",), (1.0,), "name"),
        (START_S, (POWER,), ("much",), POWER),
        (START_S, (POWER,), (10**400,), POWER),
        (START_S, (POWER, "b.power_w"), (1.0, "2"), "b.power_w"),
    ],
)
def test_what_no_history_can_hold_is_refused_at_once(
    history: History, t: float, names: tuple[str, ...], values: tuple[float, ...], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        history.record("m", t, names, values)
    assert history.flush()
    assert history.names() == {}


@pytest.mark.parametrize("late", [True, False])
def test_a_huge_integer_is_kept_as_a_float(path: Path, late: bool) -> None:
    history = History(path)
    history.record("m", START_S, ("a.power_w", "b.power_w"), (10**30, -(10**30)))
    assert late or history.flush()
    history.close()
    history = History(path)
    assert history.rows("m", ["a.power_w"], START_S, START_S + 1).columns["a.power_w"] == [1e30]
    history.close()


def test_odd_text_in_an_event_does_not_stop_the_history(history: History) -> None:
    history.record_event(START_S, "decision", "m", "\ud800 and \x00")
    assert history.flush()
    assert len(history.events(START_S, START_S + 1).events) == 1


@pytest.mark.parametrize("ask", [{"max_points": 0}, {"end_utc_s": START_S}, {"start_utc_s": -1.0}])
def test_a_question_out_of_range_is_refused(history: History, ask: dict[str, float]) -> None:
    arguments = {"start_utc_s": START_S, "end_utc_s": START_S + 1.0, "max_points": 1, **ask}
    with pytest.raises(ValueError, match="allowed"):
        history.query([], **arguments)  # type: ignore[arg-type]


def test_a_folder_or_a_foreign_database_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="folder"):
        History(tmp_path)
    foreign = tmp_path / "photos.db"
    db = sqlite3.connect(foreign)
    db.execute("CREATE TABLE photo (n)")
    db.commit()
    db.close()
    before = foreign.read_bytes()
    with pytest.raises(ConfigError, match="another database"):
        History(foreign)
    assert foreign.read_bytes() == before
