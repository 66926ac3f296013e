"""`python -m bench` finds every measurement; what they measure is not judged here, times are for people."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import flat, goals, names
from bench.figures import at_least, at_most, percentile

ROOT = Path(__file__).resolve().parents[2]


def test_list_names_every_file() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--list"], cwd=ROOT, check=True, capture_output=True, text=True
    )
    files = sorted(path.stem.removeprefix("bench_") for path in (ROOT / "bench").glob("bench_*.py"))
    assert done.stdout.split() == files
    assert {"control", "history", "hub", "lockstep", "modbus", "physics", "reaction"} <= set(files)


@pytest.mark.parametrize("name", names())
def test_each_can_be_run_without_being_told_anything(name: str) -> None:
    run = importlib.import_module(f"bench.bench_{name}").run
    required = [p for p in inspect.signature(run).parameters.values() if p.default is p.empty]
    assert not required


def test_an_unknown_name_is_refused_with_those_that_exist() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "kitchen"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert "kitchen" in done.stderr
    assert "control" in done.stderr


def test_figures_are_flat_and_goals_are_seen_at_a_glance() -> None:
    figures = flat({"a": {"p50_us": 3.0, **at_most(2.5, 2.0)}, "b": {"c": at_least(1.0, 1.0)}, "d": 1})
    assert figures["a.p50_us"] == 3.0
    assert figures["d"] == 1
    found = goals(figures)
    assert set(found) == {"a", "b.c"}
    assert found["a"].startswith("MISSED")
    assert found["b.c"].startswith("holds")


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert percentile(values, 50) == 51.0
    assert percentile(values, 99) == 100.0
    assert percentile([7.0], 99) == 7.0
