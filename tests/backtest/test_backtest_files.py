"""What can be read, what is filled, and which price a day of another year gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.backtest.made_homes import TOU, recording, tariff_file

from ores import tariff
from ores.backtest.errors import BacktestError
from ores.backtest.homes import recordings
from ores.backtest.money import Source, find_tariff, lay, sources
from ores.tariff.calendar import local

HOURS = np.datetime64("2016-08-01T00:00:00", "us") + np.arange(72) * np.timedelta64(1, "h")
SERIES = {
    "id": "series", "currency": "EUR", "time_zone": "Europe/Berlin",
    "import": 0.3, "export": {"series": "prices/sold.parquet", "column": "price"},
}  # fmt: skip


def parquet(path: Path, **columns: object) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_energy_and_power_of_any_unit_are_read(tmp_path: Path) -> None:
    ones = np.ones(72)
    path = parquet(
        tmp_path / "homes.parquet", start_local=HOURS, a_load_kwh=ones, a_pv_kwh=2 * ones, b_load_w=500 * ones
    )
    a, b = recordings(str(path))
    assert (a.name, b.name) == ("a", "b")
    assert a.load_kwh.sum() == pytest.approx(72.0)
    assert a.pv_kwh.sum() == pytest.approx(144.0)
    assert b.load_kwh.sum() == pytest.approx(36.0)
    assert not b.pv_kwh.any()
    assert not a.utc


def test_only_the_homes_that_are_named(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", start_local=HOURS, a_load_kwh=np.ones(72), b_load_kwh=np.ones(72))
    assert [home.name for home in recordings(f"{path}:b")] == ["b"]
    with pytest.raises(BacktestError, match=r"found 'c', allowed is of .*: a, b"):
        recordings(f"{path}:c")


def test_a_csv_with_times_in_utc(tmp_path: Path) -> None:
    rows = "\n".join(f"{one}Z,{0.4},x" for one in HOURS.astype("datetime64[s]"))
    path = tmp_path / "home.csv"
    path.write_text(f"time,load_kw,word\n{rows}\n")
    (home,) = recordings(str(path))
    assert home.utc
    assert home.load_kwh.sum() == pytest.approx(0.4 * 72)


def test_what_is_unknown_is_what_it_was_a_day_before_and_is_counted(tmp_path: Path) -> None:
    load = np.arange(72.0)
    load[30] = np.nan
    kept = np.delete(np.arange(72), [40, 41])  # rows that are not there at all
    path = parquet(tmp_path / "x.parquet", start_local=HOURS[kept], load_kwh=load[kept])
    (home,) = recordings(str(path))
    assert home.filled == 3
    assert home.load_kwh[[30, 40, 41]].tolist() == [6.0, 16.0, 17.0]


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ({"load_kwh": np.full(72, np.nan)}, "no known load"),
        ({"load_kwh": np.where(np.arange(72) % 3 == 1, np.nan, 1.0)}, "33% of the intervals unknown"),
        ({"temperature_c": np.ones(72)}, "temperature_c"),
    ],
)
def test_a_table_without_a_load_is_refused(
    tmp_path: Path, columns: dict[str, np.ndarray], found: str
) -> None:
    path = parquet(tmp_path / "x.parquet", start_local=HOURS, **columns)
    with pytest.raises(BacktestError, match=found):
        recordings(str(path))


def test_uneven_times_are_named_by_row(tmp_path: Path) -> None:
    uneven = HOURS.copy()
    uneven[10] += np.timedelta64(7, "m")
    path = parquet(tmp_path / "x.parquet", start_local=uneven, load_kwh=np.ones(72))
    with pytest.raises(BacktestError, match=r"row 10.*4020 s after the row before"):
        recordings(str(path))


def test_what_is_no_table_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "x.parquet"
    wrong.write_text("no")
    for spec in (wrong, tmp_path / "none.csv", tmp_path):
        with pytest.raises(BacktestError, match=str(tmp_path)):
            recordings(str(spec))


def laid_with_series(tmp_path: Path, price: np.ndarray, starts: np.ndarray) -> tariff.Schedule:
    (tmp_path / "prices").mkdir()
    (tmp_path / "tariffs").mkdir()
    times = pa.array(starts.astype("datetime64[us]"), pa.timestamp("us", tz="UTC"))
    parquet(tmp_path / "prices" / "sold.parquet", start_utc=times, price=price)
    one, file = find_tariff(f"{tariff_file(tmp_path / 'tariffs', SERIES)}:series", None)
    laid, notes = lay(one, recording(40), sources(one, file, {}))
    assert "nearest day of the same month and weekday" in notes[0]
    return laid


def test_prices_of_another_year_keep_month_weekday_and_hour(tmp_path: Path) -> None:
    """A price that is made of these three is found again exactly, by the local clock."""
    starts = np.datetime64("2023-12-31T00:00", "s") + np.arange(368 * 24) * np.timedelta64(1, "h")
    clock = local("Europe/Berlin", starts.astype(np.int64))
    price = clock.month * 0.01 + (clock.day + 3) % 7 * 0.001 + clock.second / 3600 * 0.00001
    laid = laid_with_series(tmp_path, price, starts)
    at = laid.at
    expected = at.month * 0.01 + (at.day + 3) % 7 * 0.001 + at.second / 3600 * 0.00001
    assert laid.export_per_kwh == pytest.approx(expected, abs=1e-8)


def test_a_month_without_prices_is_refused(tmp_path: Path) -> None:
    starts = np.datetime64("2023-08-01T00:00", "s") + np.arange(31 * 24) * np.timedelta64(1, "h")
    with pytest.raises((BacktestError, ValueError), match="no price for 2016-09"):
        laid_with_series(tmp_path, np.ones(len(starts)), starts)


def test_a_series_that_is_nowhere_is_asked_for(tmp_path: Path) -> None:
    one, file = find_tariff(str(tariff_file(tmp_path, SERIES)), None)
    with pytest.raises(BacktestError, match=r"--prices.*export=FILE:COLUMN"):
        sources(one, file, {})
    given = {"export": Source(tmp_path / "mine.csv", None)}
    assert sources(one, file, given) == given


def test_a_tariff_that_is_not_in_the_file_is_named(tmp_path: Path) -> None:
    path = tariff_file(tmp_path, TOU, SERIES)
    for spec in (f"{path}:other", str(path), str(tmp_path / "no.json")):
        with pytest.raises(BacktestError, match="--tariff"):
            find_tariff(spec, None)
