"""A recorded home plays back what was recorded, and says clearly what it cannot play."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ores.sim.physics.config import HouseConfig, ScenarioError
from ores.sim.physics.house import House
from ores.sim.sources.replay import Replay, homes_in, starting, without_car_and_heat

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("ORES_DATA", ROOT.parent / "shared" / "data")) / "homes"
FONTANA = DATA / "fontana10_1h.parquet"
needs_data = pytest.mark.skipif(not FONTANA.is_file(), reason=f"no recorded homes in {DATA} (set ORES_DATA)")


def write(path: Path, **columns: object) -> Path:
    rows = len(next(iter(columns.values())))  # type: ignore[arg-type]
    if "start_utc" not in columns and "start_local" not in columns:
        begin = datetime(2024, 1, 1, tzinfo=UTC)
        columns["start_utc"] = pa.array(
            [begin + timedelta(hours=i) for i in range(rows)], pa.timestamp("s", "UTC")
        )
    pq.write_table(pa.table(columns), path)
    return path


def play(path: Path, **options: object) -> Replay:
    return Replay(starting(HouseConfig(), path), path, **options)  # type: ignore[arg-type]


@needs_data
@pytest.mark.parametrize("period_s", [10.0, 60.0, 900.0, 2520.0, 7200.0])
def test_the_energy_of_every_interval_is_kept(period_s: float) -> None:
    source = Replay(starting(HouseConfig(), FONTANA), FONTANA, ("h03", "h01"))
    periods = round(7 * 7200.0 / period_s)
    block = source.block(0.0, period_s, periods)
    table = pq.read_table(FONTANA)
    for home, name in enumerate(("h03", "h01")):
        wanted = table.column(f"{name}_load_kwh").to_numpy()[:14].sum(dtype=np.float64)
        assert block.load_w[:, :, home].sum() * period_s / 3.6e6 == pytest.approx(wanted, rel=1e-9)
        wanted = table.column(f"{name}_pv_kwh").to_numpy()[:14].sum(dtype=np.float64)
        assert block.pv_dc_w[:, :, home].sum() * period_s / 3.6e6 == pytest.approx(wanted, rel=1e-9)


@needs_data
def test_a_replayed_home_consumes_what_was_metered_and_sees_its_weather() -> None:
    config = without_car_and_heat(starting(HouseConfig(), FONTANA, timedelta(hours=36)))
    house = House(config, Replay(config, FONTANA, ("h03",)), step_s=10.0)
    actions = house.actions()
    for _ in range(3 * 360):
        house.step(actions)
    names = [c.name for c in (*config.circuits, config.unmetered)]
    wanted = pq.read_table(FONTANA).column("h03_load_kwh").to_numpy()[36:39].sum(dtype=np.float64)
    assert sum(house.energy_in_wh(n) for n in names) == pytest.approx(1000.0 * wanted, rel=1e-6)
    weather = pq.read_table(DATA / "fontana_weather_price_co2_1h.parquet").column("temp_c").to_numpy()
    assert house.outdoor_c[0] == pytest.approx(weather[38])


@needs_data
def test_other_recordings_speak_too() -> None:
    assert homes_in(DATA / "uci_1min_2008.parquet") == ("home",)
    assert homes_in(DATA / "ausgrid12_30min.parquet") == ("home",)
    assert len(homes_in(DATA / "sgsc_first6_30min.parquet")) == 6
    assert homes_in(DATA / "cossmic6_1h_to2016.parquet") == ()
    minute = play(DATA / "uci_1min_2008.parquet").block(0.0, 60.0, 2)
    assert minute.load_w.sum(axis=1).ravel().tolist() == pytest.approx([1620.0, 1626.0])
    with pytest.raises(ScenarioError, match="nothing recorded at"):
        play(DATA / "emhass_fr1_30min_to2024-09.parquet").block(0.0, 1800.0, 5000)
    filled = play(DATA / "emhass_fr1_30min_to2024-09.parquet", gaps="fill").block(0.0, 1800.0, 5000)
    assert np.isfinite(filled.pv_dc_w).all()


def test_a_gap_is_refused_or_filled_from_the_day_before(tmp_path: Path) -> None:
    load = [float(i) for i in range(48)]
    load[30] = float("nan")
    path = write(tmp_path / "gap.parquet", load_w=load, pv_w=[None, *([5.0] * 47)])
    with pytest.raises(ScenarioError, match="pv_w: nothing recorded at 2024-01-01 00:00"):
        play(path).block(0.0, 3600.0, 1)
    with pytest.raises(ScenarioError, match="load_w: nothing recorded at 2024-01-02 06:00"):
        play(path).block(3600.0, 3600.0, 40)
    block = play(path, gaps="fill").block(0.0, 3600.0, 48)
    assert block.load_w[30].sum() == pytest.approx(6.0)
    assert block.pv_dc_w[0].sum() == 0.0


def test_rows_left_out_are_gaps(tmp_path: Path) -> None:
    hours = [0, 1, 3, 4]
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    clock = pa.array([begin + timedelta(hours=h) for h in hours], pa.timestamp("s", "UTC"))
    path = write(tmp_path / "hole.parquet", load_kw=[1.0, 1.0, 1.0, 1.0], start_utc=clock)
    with pytest.raises(ScenarioError, match="nothing recorded at 2024-01-01 02:00"):
        play(path).block(0.0, 3600.0, 5)


def test_what_cannot_be_played_is_said(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="found no file"):
        homes_in(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_text("not parquet")
    with pytest.raises(ScenarioError, match="cannot be read as Parquet"):
        homes_in(tmp_path / "bad.parquet")
    path = write(tmp_path / "two.parquet", h01_load_kwh=[1.0, 2.0], h02_load_kwh=[1.0, 2.0])
    with pytest.raises(ScenarioError, match=r"home: found h03 for two.parquet, allowed: h01, h02"):
        play(path, homes=("h03",))
    odd = write(tmp_path / "odd.parquet", power=[1.0, 2.0])
    with pytest.raises(ScenarioError, match="no column is named like"):
        play(odd)
    pq.write_table(pa.table({"load_w": [1.0, 2.0]}), tmp_path / "clockless.parquet")
    with pytest.raises(ScenarioError, match="needed: start_utc or start_local"):
        homes_in(tmp_path / "clockless.parquet")
    with pytest.raises(ScenarioError, match="negative load"):
        play(write(tmp_path / "minus.parquet", load_w=[1.0, -2.0]))
    config = replace(HouseConfig(), site=replace(HouseConfig().site, start=datetime(2030, 1, 1, tzinfo=UTC)))
    with pytest.raises(ScenarioError, match="recorded: 2024-01-01 00:00 to 2024-01-01 02:00"):
        Replay(config, path, ("h01",))


def test_a_run_ends_with_its_recording(tmp_path: Path) -> None:
    path = write(tmp_path / "short.parquet", load_w=[100.0, 200.0])
    config = starting(HouseConfig(), path)
    source = Replay(config, path)
    house = House(config, source, step_s=60.0)
    actions = house.actions()
    for _ in range(round(source.duration_s / 60.0)):
        house.step(actions)
    with pytest.raises(ScenarioError, match="asked for 2024-01-01 02:00"):
        house.step(actions)
