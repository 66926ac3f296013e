"""`ores backtest`, as a person and a program meet it; and the goals, on recorded homes."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.backtest.made_homes import TOU, recording, tariff_file

from ores.backtest.homes import recordings
from ores.backtest.ladder import Question, climb
from ores.backtest.money import find_tariff, sources
from ores.cli import backtest as command
from ores.link.errors import ConfigError

DATA = Path(os.environ.get("ORES_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
FONTANA = DATA / "homes" / "fontana10_1h.parquet"
needs_data = pytest.mark.skipif(not FONTANA.is_file(), reason=f"no recorded homes in {DATA} (set ORES_DATA)")


def wanted(folder: Path, **changes: object) -> command.Wanted:
    home = recording(4)
    starts = home.start_s.astype("datetime64[s]").astype("datetime64[us]")
    table = pa.table({"start_local": starts, "a_load_kwh": home.load_kwh, "a_pv_kwh": home.pv_kwh})
    pq.write_table(table, folder / "homes.parquet")
    options: dict[str, object] = {
        "homes": (str(folder / "homes.parquet"),),
        "tariff": f"{tariff_file(folder, TOU)}:tou",
        "battery": "10kWh,4kW,0.95",
        "policy": "none,rule,timer,plan,oracle",
        "prices": (),
        "zone": None,
        "soc_pct": 0.0,
        "jobs": 1,
        "html": None,
        "as_json": True,
    }
    return command.Wanted(**(options | changes))  # type: ignore[arg-type]


def test_json_is_one_line_with_the_ladder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(wanted(tmp_path))
    (line,) = capsys.readouterr().out.splitlines()
    home = json.loads(line)["homes"]["a"]
    assert set(home["cost"]) == {"none", "rule", "timer", "plan", "oracle"}
    assert home["shares"]["oracle"] == 1.0
    assert home["share_of_oracle"] == home["shares"]["plan"]
    assert home["share_of_oracle"] == pytest.approx(
        (home["cost"]["none"] - home["cost"]["plan"]) / (home["cost"]["none"] - home["cost"]["oracle"]),
        abs=1e-4,
    )


def test_a_person_gets_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.run(wanted(tmp_path, as_json=False, policy="none,rule"))
    said = capsys.readouterr().out
    assert "tou, EUR" in said
    assert "rule" in said


def test_the_page_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    command.run(wanted(tmp_path, html=tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text()
    assert page.count("<svg") == 2
    assert page.count("<polyline") == 5
    assert "http" not in page
    assert "nan" not in page


def test_homes_in_parallel_come_out_as_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twice = {"homes": (str(tmp_path / "homes.parquet"),) * 2, "policy": "none,plan"}
    said = []
    for jobs in (1, 2):
        command.run(wanted(tmp_path, **twice, jobs=jobs))
        homes = json.loads(capsys.readouterr().out)["homes"]
        said.append({name: home["cost"] for name, home in homes.items()})
    assert said[0] == said[1]
    assert said[0]["a"] == said[0]["a#2"]  # homes of one name from two files stay apart


@pytest.mark.parametrize(
    ("change", "setting"),
    [
        ({"battery": "big"}, "--battery"),
        ({"battery": "0kWh,5kW"}, "--battery"),
        ({"policy": "none,magic"}, "--policy"),
        ({"prices": ("spot",)}, "--prices"),
        ({"tariff": "nothing.json:x"}, "--tariff"),
        ({"homes": ("nothing.parquet",)}, "nothing.parquet"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: dict[str, object], setting: str) -> None:
    with pytest.raises(ConfigError, match=setting):
        command.run(wanted(tmp_path, **change))


@needs_data
@pytest.mark.parametrize(
    ("tariff", "days", "least"),
    [("us-ca-sce-tou-d-prime-citylearn2022", 120, 0.93), ("us-ca-pge-ev2a-2024+nbt24", 365, 0.96)],
)
def test_a_recorded_home_reaches_its_share_of_perfect_foresight(tariff: str, days: int, least: float) -> None:
    """The whole year, all homes and the goals as they are set are measured by bench/bench_backtest.py."""
    (home,) = recordings(f"{FONTANA}:h08")
    count = days * 24
    home = replace(
        home, start_s=home.start_s[:count], load_kwh=home.load_kwh[:count], pv_kwh=home.pv_kwh[:count]
    )
    one, file = find_tariff(f"{DATA / 'tariffs' / 'tariffs.json'}:{tariff}", None)
    battery = command.battery("13.5kWh,5kW,0.95", 0.0)
    asked = Question(one, sources(one, file, {}), None, battery, ("none", "plan", "oracle"))
    ladder = climb(home, asked)
    share = ladder.share("plan")
    assert share is not None
    assert least <= share <= 1.0
    ends = [ladder.rungs[policy].end_soc_pct for policy in ("plan", "oracle")]
    assert ends[0] == pytest.approx(ends[1], abs=2.0)
