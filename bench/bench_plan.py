"""A plan of 96 quarter hours with one battery: made new, and made again as the day goes on.

The floor is HiGHS alone, on the same programs as plain arrays: passed and solved for a new plan, changed in
place and solved for a plan made again. Times are the thread's own processor time.

The peer is EMHASS 0.18 (`bench.beside_emhass`), on the same homes. Aim: 80 times as fast with a battery
alone, be the plan new or made again; with two loads, run whole or in parts, 10 times as fast when new and
3 times when made again. And a year of a recorded home, planned anew in every quarter of an hour, in 120 s.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from highspy._core import _Highs as Highs

from bench import bench_backtest, beside_emhass
from bench.figures import at_most, spread
from ores.backtest.homes import coarser, recordings
from ores.ems.inputs import Battery, Home
from ores.ems.planner import Planner
from ores.ems.sheet import Matrix, Numbers
from ores.tariff.terms import Terms

INTERVALS = 96
CYCLES = 200


def run() -> dict[str, object]:
    """Times of new plans and of plans made again, with their floors."""
    figures: dict[str, object] = {}
    for name, export_per_kwh in (("export_0", 0.0), ("export_paid", 0.08)):
        gc.collect()
        first_s, first_floor_s = new_plans(export_per_kwh)
        again_s, again_floor_s = plans_again(export_per_kwh)
        new = spread("new", first_s) | spread("floor_new", first_floor_s)
        again = spread("again", again_s) | spread("floor_again", again_floor_s)
        figures[name] = {
            "new": {**new, **at_most(new["new_p50_us"] / new["floor_new_p50_us"], 2.0)},
            "again": {**again, **at_most(again["again_p50_us"] / again["floor_again_p50_us"], 2.0)},
        }
    figures["emhass"] = beside_emhass.compare(home_at)
    figures["home_year"] = home_year()
    return figures


def home_at(first: int, soc_pct: float, export_per_kwh: float) -> Home:
    """A made-up home: sun at noon, a peak in the evening, a forecast that changes a little each time."""
    t = np.arange(first, first + INTERVALS)
    hour = t / 4.0 % 24.0
    noise = np.random.default_rng(first)
    sun = np.maximum(0.0, 5.0 * np.sin((hour - 6.0) / 12.0 * np.pi)) * noise.uniform(0.8, 1.0)
    load = (
        0.4
        + 0.3 * (hour > 7.0)
        + 1.5 * np.exp(-((hour - 19.0) ** 2) / 4.0)
        + noise.uniform(0, 0.1, INTERVALS)
    )
    price = np.where((hour >= 16.0) & (hour < 21.0), 0.5, np.where(hour < 6.0, 0.15, 0.21))
    return Home(
        terms=Terms(np.full(INTERVALS, 0.25), price, np.full(INTERVALS, export_per_kwh)),
        load_kw=load,
        pv_available_kw=sun,
        batteries=(
            Battery(
                capacity_kwh=13.5,
                soc_pct=soc_pct,
                charge_max_kw=5.0,
                discharge_max_kw=5.0,
                end_value_per_kwh=0.18,
            ),
        ),
    )


def new_plans(export_per_kwh: float) -> tuple[list[float], list[float]]:
    """Building and first solve, and the same arrays in HiGHS alone."""
    times, floor = [], []
    for cycle in range(30):
        home = home_at(7 * cycle, 40.0, export_per_kwh)
        planner = Planner()
        times.append(timed(lambda planner=planner, home=home: planner.plan(home)))  # type: ignore[misc]
        matrix, numbers = planner.program()
        floor.append(timed(lambda matrix=matrix, numbers=numbers: solved(bare(matrix, numbers))))  # type: ignore[misc]
    return times, floor


def plans_again(export_per_kwh: float) -> tuple[list[float], list[float]]:
    """Each a quarter of an hour later, from the state that the plan before leads to."""
    planner, soc_pct = Planner(), 40.0
    plan = planner.plan(home_at(0, soc_pct, export_per_kwh))
    highs = bare(*planner.program())
    solved(highs)
    times, floor = [], []
    for cycle in range(1, CYCLES):
        home = home_at(cycle, float(plan.soc_pct[0, 0]), export_per_kwh)
        begin = time.thread_time()
        plan = planner.plan(home, elapsed=1)
        times.append(time.thread_time() - begin)
        _, numbers = planner.program()
        floor.append(timed(lambda numbers=numbers: changed(highs, numbers)))  # type: ignore[misc]
    return times, floor


def home_year() -> dict[str, object] | str:
    """Processor time of a year with forecasts and a new plan every quarter of an hour, battery only."""
    file = bench_backtest.DATA / "homes" / "uci_1min_2008.parquet"
    if not file.exists():
        return f"not measured: there is no {file}"
    (minutes,) = recordings(str(file))
    quarters = coarser(replace(minutes, pv_kwh=bench_backtest.sun_kwh(minutes, 4.5)), 15)
    rung = bench_backtest.ladder(bench_backtest.SCE, quarters, ("plan",)).rungs["plan"]
    days = len(quarters.load_kwh) * quarters.hours / 24.0
    return {"days": round(days, 1), "cpu_s": round(rung.cpu_s, 1), **at_most(rung.cpu_s, 120.0)}


def timed(work: Callable[[], object]) -> float:
    """Processor time of this thread, in s."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin


def bare(matrix: Matrix, numbers: Numbers) -> Highs:
    """The program in a solver of its own."""
    highs = Highs()
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("threads", 1)
    highs.passModel(
        matrix.columns, matrix.rows, len(matrix.value), 1, 1, 0.0, numbers.cost, numbers.lower, numbers.upper,
        matrix.row_lower, np.zeros(matrix.rows), matrix.start, matrix.index, matrix.value,
        np.zeros(matrix.columns, dtype=np.int32),
    )  # fmt: skip
    return highs


def changed(highs: Highs, numbers: Numbers) -> None:
    """Everything anew in the same model."""
    columns = np.arange(len(numbers.cost), dtype=np.int32)
    highs.changeColsBounds(len(columns), columns, numbers.lower, numbers.upper)
    highs.changeColsCost(len(columns), columns, numbers.cost)
    solved(highs)


def solved(highs: Highs) -> None:
    """Solve and fetch."""
    highs.run()
    solution = highs.getSolution()
    np.array(solution.col_value), np.array(solution.row_dual)


if __name__ == "__main__":
    import json

    print(json.dumps(run(), indent=2))
