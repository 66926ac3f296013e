"""EMHASS on our homes, run by an interpreter that has it; the question comes on stdin as JSON.

Its configuration is its own default, but for what makes its problem ours. Powers are in W there, and a few
words mean something else: the discharge power is one inside the battery, before the losses of discharging.
What it measures is `Optimization.perform_optimization` alone, imports and a first solve behind it, once as
the first call of a new object (its problem is built) and then again and again on one object (its problem is
kept, and parameters change). A time is the lesser of wall and processor time.
"""

import json
import logging
import sys
import time
from pathlib import Path

import emhass  # type: ignore[import-not-found]  # lives in an environment of its own
import numpy as np
import pandas as pd
from emhass.optimization import Optimization  # type: ignore[import-not-found]

PRICE, REWARD = "price", "reward"


def main() -> None:
    """Print times in s and the plans: what is bought and sold in kW, and the last SoC."""
    question = json.load(sys.stdin)
    logging.disable(logging.ERROR)
    configuration = configured(question)
    kept = new(configuration)
    timed(kept, question, question["new"][0])  # builds its problem; and whatever is done at the first use
    plans = {
        "new": [timed(new(configuration), question, case) for case in question["new"]],
        "again": [timed(kept, question, case) for case in question["again"]],
    }
    print()
    print(json.dumps(plans))


def configured(question: dict) -> dict:  # type: ignore[type-arg]
    """Its defaults, and our home in its words."""
    defaults = json.loads((Path(emhass.__file__).parent / "data" / "config_defaults.json").read_text())
    inside_kw = question["discharge_max_kw"] / question["discharge_efficiency"]
    return {
        **defaults,
        "optimization_time_step": pd.Timedelta(hours=question["step_h"]),
        "time_zone": "UTC",
        "num_threads": question["threads"],
        "lp_solver_mip_rel_gap": question["gap"],
        "maximum_power_from_grid": question["limit_kw"] * 1000.0,
        "maximum_power_to_grid": question["limit_kw"] * 1000.0,
        "set_nodischarge_to_grid": False,
        "set_use_pv": True,
        "set_use_battery": True,
        "battery_nominal_energy_capacity": question["capacity_kwh"] * 1000.0,
        "battery_charge_power_max": question["charge_max_kw"] * 1000.0,
        "battery_discharge_power_max": inside_kw * 1000.0,
        "battery_charge_efficiency": question["charge_efficiency"],
        "battery_discharge_efficiency": question["discharge_efficiency"],
        "battery_minimum_state_of_charge": 0.0,
        "battery_maximum_state_of_charge": 1.0,
        **deferrable(question["runs"], question["step_h"], question["way"]),
    }


def deferrable(runs: list, step_h: float, way: str) -> dict:  # type: ignore[type-arg]
    """Loads, each with one power: as a sequence of powers, for some constant time, or in parts."""
    count = len(runs)
    powers = [power_kw * 1000.0 for power_kw, _ in runs]
    hours = [run_h for _, run_h in runs]
    if way == "sequence":
        powers = [[power] * round(run_h / step_h) for power, run_h in zip(powers, hours, strict=True)]
    return {
        "number_of_deferrable_loads": count,
        "nominal_power_of_deferrable_loads": powers,
        "operating_hours_of_each_deferrable_load": hours,
        "treat_deferrable_load_as_semi_cont": [way != "sequence"] * count,
        "set_deferrable_load_single_constant": [way == "constant"] * count,
        "minimum_power_of_deferrable_loads": [0.0] * count,
        "set_deferrable_startup_penalty": [0.0] * count,
        "deferrable_load_max_cost": [0.0] * count,
        "set_deferrable_max_startups": [0] * count,
        "def_minimum_on_time": [0] * count,
        "def_minimum_off_time": [0] * count,
        "start_timesteps_of_each_deferrable_load": [0] * count,
        "end_timesteps_of_each_deferrable_load": [0] * count,
        "cost_forecast_per_deferrable_load": [None] * count,
        "is_electric_load": [True] * count,
    }


def new(configuration: dict) -> Optimization:  # type: ignore[type-arg]
    """An optimisation without a problem, as yet; it reads one part of its configuration in each of three."""
    parts = [dict(configuration) for _ in range(3)]
    return Optimization(*parts, PRICE, REWARD, "profit", {}, logging.getLogger("emhass"))


def timed(optimization: Optimization, question: dict, case: dict) -> dict:  # type: ignore[type-arg]
    """One plan."""
    count = len(case["load_kw"])
    price, reward = np.array(case["import_per_kwh"]), np.array(case["export_per_kwh"])
    times = pd.date_range("2025-06-21", periods=count, freq=pd.Timedelta(hours=question["step_h"]), tz="UTC")
    data = pd.DataFrame({PRICE: price, REWARD: reward}, index=times)
    sun_w, load_w = (np.array(case[name]) * 1000.0 for name in ("pv_available_kw", "load_kw"))
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    plan = optimization.perform_optimization(
        data,
        sun_w,
        load_w,
        price,
        reward,
        soc_init=case["soc_pct"] / 100.0,
        soc_final=question["end_pct"] / 100.0,
    )
    took_s = min(time.perf_counter() - wall_s, time.process_time() - cpu_s)
    if optimization.optim_status != "Optimal":
        raise SystemExit(f"EMHASS ended with: {optimization.optim_status}")
    return {
        "took_s": took_s,
        "grid_kw": (plan["P_grid"] / 1000.0).tolist(),
        "end_pct": float(plan["SOC_opt"].iloc[-1]) * 100.0,
    }


if __name__ == "__main__":
    main()
