"""History: what it takes to write and read, beside a bare sqlite3 loop doing the same rows in the same run.

20 series in four modules, made up as meters round (1 W, 0.1 V, 1 Wh, 0.1 °C, 0.01 A), 2 % of the rows with
an unknown.
Raw rows are compared with bare SQLite; roll-ups are told apart, since bare SQLite has none.
"""

from __future__ import annotations

import gc
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.figures import at_most
from ores.hub.history import History, Retention

DAY_S = 86400
START_S = 20_000 * DAY_S
MODULES = ("meter", "battery", "inverter", "heat-pump")
NAMES = ("ac.power_w", "ac.voltage_v", "energy.energy_in_wh", "thermal.temperature_c", "ac.current_a")
SERIES = [(module, name) for module in MODULES for name in NAMES]
WIDE = tuple(f"{module}.{name}" for module, name in SERIES)
BARE_INSERT = f"INSERT INTO m VALUES ({', '.join('?' * 21)})"  # noqa: S608 - question marks
ROUNDS = 5
PAIRS = 9

Row = tuple[float | None, ...]


def run(days: int = 365) -> dict[str, object]:
    """All figures; times in ms unless the name says otherwise."""
    with tempfile.TemporaryDirectory() as folder:
        return {
            "write": writing(Path(folder) / "write"),
            "seconds": a_day_of_seconds(Path(folder) / "seconds"),
            "minutes": a_year_of_minutes(Path(folder) / "minutes", days),
        }


def synthetic(ticks: int, seed: int) -> list[Row]:
    """Rows of one module that wander as a home's do."""
    rng = random.Random(seed)
    power_w, voltage_v, energy_wh, temperature_c = 500.0, 230.0, 1e6, 20.0
    rows: list[Row] = []
    for _ in range(ticks):
        power_w += rng.gauss(0, 40) - power_w * 0.01
        voltage_v += rng.gauss(0, 0.2) + (230 - voltage_v) * 0.02
        energy_wh += abs(power_w) / 3600
        temperature_c += rng.gauss(0, 0.02)
        whole = (float(round(power_w)), round(voltage_v, 1), float(round(energy_wh)))
        row: list[float | None] = [*whole, round(temperature_c, 1), round(power_w / voltage_v, 2)]
        if rng.random() < 0.02:
            row[rng.randrange(5)] = None
        rows.append(tuple(row))
    return rows


def bare(path: Path) -> sqlite3.Connection:
    """SQLite as a careful person would open it for such rows by hand."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute(f"CREATE TABLE m (t INTEGER PRIMARY KEY, {', '.join(f'c{k} REAL' for k in range(20))})")
    return db


def median_ms(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median of several runs."""
    return sorted(_timed_ms(work) for _ in range(rounds))[rounds // 2]


def beside(ours: Callable[[], object], floor: Callable[[], object], seconds: float = 2.0) -> dict[str, float]:
    """Ours and the floor in pairs, for about so long; the ratio is the median of the pairs' ratios.

    What else the machine does meets both halves of a pair, or spoils that pair alone. Who goes first changes
    from pair to pair. A turn that writes has to be long enough to move the log into the file as often as its
    rows need it, so that this is paid in every pair.
    """
    pairs: list[tuple[float, float]] = []
    while len(pairs) < PAIRS or (sum(map(sum, pairs)) < 1000 * seconds and len(pairs) < 15 * PAIRS):
        if len(pairs) % 2:
            floor_ms = _timed_ms(floor)
            pairs.append((_timed_ms(ours), floor_ms))
        else:
            ours_ms = _timed_ms(ours)
            pairs.append((ours_ms, _timed_ms(floor)))
    return {
        "ores_ms": round(median(ours_ms for ours_ms, _ in pairs), 3),
        "bare_sqlite3_ms": round(median(floor_ms for _, floor_ms in pairs), 3),
        "ratio": round(median(ours_ms / floor_ms for ours_ms, floor_ms in pairs), 2),
    }


def aimed(figures: dict[str, float]) -> dict[str, object]:
    """The same, with the goal for raw rows and whether it holds."""
    return {**figures, **at_most(figures["ratio"], 1.3)}


def writing(folder: Path) -> dict[str, object]:
    """Rows of 20 series: in batches, and committed one by one as a hub does each second."""
    folder.mkdir()
    parts = [synthetic(20_000, seed) for seed in range(4)]
    rows: list[Row] = [sum(four, ()) for four in zip(*parts, strict=True)]
    history, db = History(folder / "ores.db"), bare(folder / "bare.db")
    at = {"ores": 0, "bare": 0}

    def ours(batch: int) -> None:
        for begin in range(0, len(rows), batch):
            for row in rows[begin : begin + batch]:
                at["ores"] += 1
                history.record("m", START_S + at["ores"], WIDE, row)
            assert history.flush()

    def floor(batch: int) -> None:
        for begin in range(0, len(rows), batch):
            kept = []
            for row in rows[begin : begin + batch]:
                at["bare"] += 1
                kept.append((round((START_S + at["bare"]) * 1000), *row))
            db.execute("BEGIN")
            db.executemany(BARE_INSERT, kept)
            db.execute("COMMIT")

    record_us = _record_us(history, rows)
    # Each turn fills our log (4096 pages) at least once, so that moving it into the file is paid in each.
    batches = beside(_times(6, lambda: ours(1000)), _times(6, lambda: floor(1000)), 8.0)
    batch_rows = 6 * len(rows)
    del rows[8200:]
    singles = beside(lambda: ours(1), lambda: floor(1), 5.0)
    history.close()
    db.close()
    return {
        "batches_of_1000": {
            **aimed(batches),
            "ores_values_per_s": round(batch_rows * 20 / batches["ores_ms"] * 1000),
        },
        "commit_of_one_row": aimed(
            {k: v if k == "ratio" else round(v / len(rows), 4) for k, v in singles.items()}
        ),
        "commit_of_a_second_of_50_modules": aimed(_fifty_modules(folder)),
        "record_in_the_control_loop_us": round(record_us, 2),
        "log_mb_per_day_of_50_modules_committed_each_second": _log_mb_per_day(folder / "log.db", 50),
    }


def _times(count: int, work: Callable[[], object]) -> Callable[[], object]:
    def again() -> None:
        for _ in range(count):
            work()

    return again


def a_day_of_seconds(folder: Path) -> dict[str, object]:
    """Today at one tick per second: the chart on the page, and what packing the day costs in the worker."""
    folder.mkdir()
    history = History(folder / "ores.db")
    for seed, module in enumerate(MODULES):
        for k, row in enumerate(synthetic(DAY_S, seed)):
            history.record(module, START_S + k, NAMES, row)
        history.flush()
    noon = START_S + DAY_S
    steps = []
    while True:
        begun = time.perf_counter()
        more = history.maintain(noon + 100)
        steps.append(time.perf_counter() - begun)
        if not more:
            break
    chart_ms = median_ms(lambda: history.query(SERIES, START_S, noon, 300))
    raw_bytes = _size(history, folder / "ores.db")
    sealing = []
    while True:
        begun = time.perf_counter()
        more = history.maintain(noon + DAY_S)
        sealing.append(time.perf_counter() - begun)
        if not more:
            break
    values = DAY_S * len(SERIES)
    figures: dict[str, object] = {
        "chart_of_the_open_day_300_points_ms": round(chart_ms, 1),
        "chart_of_the_packed_day_300_points_ms": round(
            median_ms(lambda: history.query(SERIES, START_S, noon, 300)), 1
        ),
        "roll_up_an_hour_of_a_module_ms": round(sorted(steps)[len(steps) // 2] * 1000, 1),
        "pack_a_day_of_a_series_ms": round(sorted(sealing)[len(sealing) // 2] * 1000, 1),
        "longest_step_ms": round(max(steps + sealing) * 1000, 1),
        "raw_bytes_per_value": round(raw_bytes / values, 2),
        "packed_bytes_per_value": round(_packed_bytes(folder / "ores.db") / values, 2),
    }
    history.close()
    return figures


def a_year_of_minutes(folder: Path, days: int) -> dict[str, object]:
    """20 series at one tick per minute: a day, a month and a year, raw and rolled up."""
    folder.mkdir()
    parts = [synthetic(days * 1440, seed) for seed in range(4)]
    db = bare(folder / "bare.db")
    wide = (sum(four, ()) for four in zip(*parts, strict=True))
    db.execute("BEGIN")
    db.executemany(BARE_INSERT, (((START_S + k * 60) * 1000, *row) for k, row in enumerate(wide)))
    db.execute("COMMIT")
    history = History(folder / "ores.db", retention=Retention(raw_days=None))
    for k, four in enumerate(zip(*parts, strict=True)):
        history.record("m", START_S + k * 60, WIDE, sum(four, ()))
        if k % 10_000 == 0:
            history.flush()
    history.flush()
    del parts
    end = START_S + days * DAY_S
    values = days * 1440 * 20
    spans = {"day": end - DAY_S, "month": end - 30 * DAY_S, "year": START_S}

    def ours(start: int) -> Callable[[], object]:
        return lambda: history.rows("m", WIDE, start, end)

    def floor(start: int) -> Callable[[], object]:
        query = "SELECT * FROM m WHERE t >= ? AND t < ? ORDER BY t"
        return lambda: db.execute(query, (start * 1000, end * 1000)).fetchall()

    raw = {name: aimed(beside(ours(start), floor(start))) for name, start in spans.items()}
    raw_bytes = _size(history, folder / "ores.db")
    while history.maintain(end + 7 * DAY_S):
        pass
    packed = {name: beside(ours(start), floor(start)) for name, start in spans.items()}
    series = [("m", name) for name in WIDE]
    charts = {
        f"{name}_{points}_points_ms": round(median_ms(_chart(history, series, (start, end), points)), 2)
        for name, start, points in (
            ("day", spans["day"], 96),
            ("day", spans["day"], 1440),
            ("month", spans["month"], 720),
            ("year", START_S, 365),
        )
    }
    figures: dict[str, object] = {
        "raw_rows_read": raw,
        "packed_rows_read": packed,
        "rolled_up": charts,
        "raw_bytes_per_value": round(raw_bytes / values, 2),
        "bare_sqlite3_bytes_per_value": round(_file_bytes(db) / values, 2),
        "packed_bytes_per_value": round(_packed_bytes(folder / "ores.db") / values, 2),
        "packed_with_roll_ups_bytes_per_value": round(
            _packed_bytes(folder / "ores.db", rolls=True) / values, 2
        ),
    }
    history.close()
    db.close()
    return figures


def _chart(
    history: History, series: list[tuple[str, str]], span: tuple[int, int], points: int
) -> Callable[[], object]:
    return lambda: history.query(series, *span, points)


def _timed_ms(work: Callable[[], object]) -> float:
    gc.collect()
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000


def _size(history: History, path: Path) -> int:
    """Bytes of the file with an empty log."""
    assert history.flush()
    db = sqlite3.connect(path)
    size = _file_bytes(db)
    db.close()
    return size


def _file_bytes(db: sqlite3.Connection) -> int:
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    pages, size = (db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
    return int(pages * size)


def _packed_bytes(path: Path, *, rolls: bool = False) -> int:
    tables = ["packed", "sealed_day", *(["day_roll"] if rolls else [])]
    with sqlite3.connect(path) as db:
        size = 0
        for table in tables:
            (used,) = db.execute(
                "SELECT sum(pgsize) FROM dbstat WHERE name LIKE ?", (f"%{table}%",)
            ).fetchone()
            size += used
    db.close()
    return size


def _record_us(history: History, rows: list[Row]) -> float:
    """What a row costs the control loop, before any commit."""
    begun = time.perf_counter()
    for k, row in enumerate(rows):
        history.record("recorded", START_S + k, WIDE, row)
    record_us = (time.perf_counter() - begun) / len(rows) * 1e6
    assert history.flush()
    return record_us


def _fifty_modules(folder: Path) -> dict[str, float]:
    """What a hub does each second, beside SQLite with a wide table per module."""
    history, db = History(folder / "ores50.db"), bare(folder / "bare50.db")
    rows = synthetic(300, 3)
    columns = ", ".join(f"c{k} REAL" for k in range(5))
    for module in range(50):
        db.execute(f"CREATE TABLE m{module} (t INTEGER PRIMARY KEY, {columns})")
    inserts = [f"INSERT OR REPLACE INTO m{module} VALUES (?, ?, ?, ?, ?, ?)" for module in range(50)]  # noqa: S608
    ids = [f"m{module}" for module in range(50)]

    def ours() -> None:
        for k, row in enumerate(rows):
            for module_id in ids:
                history.record(module_id, START_S + k, NAMES, row)
            assert history.flush()

    def floor() -> None:
        for k, row in enumerate(rows):
            db.execute("BEGIN")
            for insert in inserts:
                db.execute(insert, (round((START_S + k) * 1000), *row))
            db.execute("COMMIT")

    figures = beside(ours, floor, 4.0)
    history.close()
    db.close()
    return {k: v if k == "ratio" else round(v / len(rows), 3) for k, v in figures.items()}


def _log_mb_per_day(path: Path, modules: int) -> float:
    """What committing each second writes to the log: a row of the journal, and each minute the tables."""
    history = History(path)
    rows = synthetic(10 + 61, 1)  # up to the commit that empties the journal
    for k, row in enumerate(rows[:10]):
        for module in range(modules):
            history.record(f"m{module}", START_S + k, NAMES, row)
    history.flush()
    before = path.with_name(path.name + "-wal").stat().st_size
    for k, row in enumerate(rows[10:]):
        for module in range(modules):
            history.record(f"m{module}", START_S + 10 + k, NAMES, row)
        history.flush()
    grown = path.with_name(path.name + "-wal").stat().st_size - before
    history.close()
    return round(grown / 61 * DAY_S / 1e6)


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
