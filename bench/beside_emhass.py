"""Our planner beside EMHASS 0.18: the same homes, the same limits, and bills that agree.

What is the same, and what it is called on either side:

- efficiencies: 0.95 into the battery and 0.95 out of it, counted alike;
- powers: ours are at the terminals; its discharge power is inside the battery, so our 5 kW are its 5 / 0.95;
- SoC at the end: our least and our most of the last interval are the same; its `soc_final`;
- limits at the connection point: finite, as it needs numbers;
- sun: all of it is kept (our `pv_curtailable`, its `compute_curtailment`), and the battery may feed in (its
  `set_nodischarge_to_grid`);
- appliances: each starts once and runs through, at any time of the day. It has two ways to say so, a sequence
  of powers and one constant power for some hours; both are tried;
- loads in parts, which is how it takes a load by default: so many quarters of an hour at one power, in any
  number of parts. Ours is a charger with nothing between off and that power;
- exactness: a plan within 5e-5 of the best will do. By default it is content with 1 %, which is another bill.

Each way is tried with one thread and with its own default, and the one with the fastest median counts. Plans
made again are of the same homes in the same states on both sides: those to which our plans led.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import TypedDict

import numpy as np

from bench.figures import at_least, at_most, percentile, spread
from bench.peers import NoPeerError, interpreter
from ores.ems.answer import Plan
from ores.ems.branch import GAP
from ores.ems.inputs import Appliance, Ev, Floats, Home
from ores.ems.planner import Planner

NEW, AGAIN = 12, 24
"""How many plans of each kind, in each way."""
STEP_H = 0.25
START_PCT, END_PCT = 40.0, 20.0
LIMIT_KW = 12.0
EXPORT_PER_KWH = 0.08
Runs = tuple[tuple[float, float], ...]
RUNS: Runs = ((3.0, 4.0), (0.75, 2.0))
"""Of each appliance the power in kW, and for how many hours."""
FOUR_DIGITS = 5e-5
WITHIN_S = 900

WAYS = {"nothing": ("parts",), "whole": ("sequence", "constant"), "parts": ("parts",)}
"""How the peer can be told of two loads that are run whole, or in parts."""

HomeAt = Callable[[int, float, float], Home]
"""A home from an interval on, with its SoC in % and the price of what it sells."""


class Theirs(TypedDict):
    """A plan of the peer."""

    took_s: float
    grid_kw: list[float]
    end_pct: float


Answer = dict[str, list[Theirs]]
"""Plans that are `new` and those made `again`."""


@dataclass(slots=True)
class Ours:
    """Homes, and of each plan what the home pays and how long it took."""

    homes: list[Home] = field(default_factory=list)
    bills: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)

    def keep(self, home: Home, plan: Plan, took_s: float) -> None:
        """One more."""
        self.homes.append(home)
        self.bills.append(bill(home, plan.grid_kw))
        self.took_s.append(took_s)


def compare(home_at: HomeAt) -> dict[str, object] | str:
    """Times of both and their ratios, without and with appliances; or why there are none."""
    try:
        python = interpreter("emhass-0.18", "emhass==0.18.*")
    except NoPeerError as error:
        return f"not measured: {error}"
    return {
        "battery": beside(python, home_at, "nothing", goals=(80.0, 80.0)),
        "two_appliances": beside(python, home_at, "whole", goals=(10.0, 3.0)),
        "two_loads_in_parts": beside(python, home_at, "parts", goals=(10.0, 3.0)),
    }


def beside(python: Path, home_at: HomeAt, loads: str, *, goals: tuple[float, float]) -> dict[str, object]:
    """Figures of one kind of home; the goals are for a new plan and for one made again."""

    def home(first: int, soc_pct: float) -> Home:
        return alike(home_at(first, soc_pct, EXPORT_PER_KWH), loads)

    ours = {"new": made_new(home), "again": made_again(home)}
    runs = () if loads == "nothing" else RUNS
    answers = [asked(python, ours, runs, way, threads) for threads, way in product((1, 0), WAYS[loads])]
    figures: dict[str, object] = {}
    for (name, mine), goal in zip(ours.items(), goals, strict=True):
        theirs_s = min(([plan["took_s"] for plan in answer[name]] for answer in answers), key=middle)
        figures[name] = {
            **spread("ours", mine.took_s),
            **spread("emhass", theirs_s),
            **at_least(middle(theirs_s) / middle(mine.took_s), goal),
        }
    apart = max(disagreement(ours, answer) for answer in answers)
    figures["bills"] = {**at_most(apart, FOUR_DIGITS), "ratio": float(f"{apart:.1e}")}
    return figures


def middle(values: list[float]) -> float:
    """The median."""
    return percentile(values, 50)


def alike(home: Home, loads: str) -> Home:
    """The home as both can have it."""
    count = len(home.terms.hours)
    least, most = np.zeros(count), np.full(count, 100.0)
    least[-1] = most[-1] = END_PCT
    (battery,) = home.batteries
    return replace(
        home,
        pv_curtailable=False,
        import_max_kw=LIMIT_KW,
        export_max_kw=LIMIT_KW,
        batteries=(replace(battery, soc_min_pct=least, soc_max_pct=most, end_value_per_kwh=0.0),),
        appliances=tuple(run_whole(count, *run) for run in RUNS) if loads == "whole" else (),
        evs=tuple(run_in_parts(count, *run) for run in RUNS) if loads == "parts" else (),
    )


def run_whole(count: int, power_kw: float, run_h: float) -> Appliance:
    """It may start in each interval."""
    profile_kw = np.full(round(run_h / STEP_H), power_kw)
    return Appliance(profile_kw=profile_kw, step_h=STEP_H, may_start=np.ones(count, dtype=np.bool_))


def run_in_parts(count: int, power_kw: float, run_h: float) -> Ev:
    """It draws nothing or all of its power, and has run long enough at the end."""
    return Ev(
        capacity_kwh=power_kw * run_h,
        soc_pct=0.0,
        connected=np.ones(count, dtype=np.bool_),
        charge_max_kw=power_kw,
        charge_min_kw=power_kw,
        charge_efficiency=1.0,
        target_pct=np.append(np.zeros(count - 1), 100.0),
    )


def made_new(home: Callable[[int, float], Home]) -> Ours:
    """Each by a planner of its own."""
    ours = Ours()
    for number in range(NEW):
        one = home(7 * number, START_PCT)
        begin = time.thread_time()
        plan = Planner().plan(one)
        ours.keep(one, plan, time.thread_time() - begin)
    return ours


def made_again(home: Callable[[int, float], Home]) -> Ours:
    """By one planner, each a quarter of an hour later and from where the plan before leads to."""
    planner, ours = Planner(), Ours()
    plan = planner.plan(home(0, START_PCT))
    for number in range(1, AGAIN + 1):
        one = home(number, float(plan.soc_pct[0, 0]))
        begin = time.thread_time()
        plan = planner.plan(one, elapsed=1)
        ours.keep(one, plan, time.thread_time() - begin)
    return ours


def asked(python: Path, ours: dict[str, Ours], runs: Runs, way: str, threads: int) -> Answer:
    """What the peer plans for the same homes, in a process of its own."""
    (battery,) = ours["new"].homes[0].batteries
    question = {
        "step_h": STEP_H,
        "threads": threads,
        "gap": GAP,
        "limit_kw": LIMIT_KW,
        "capacity_kwh": battery.capacity_kwh,
        "charge_max_kw": battery.charge_max_kw,
        "discharge_max_kw": battery.discharge_max_kw,
        "charge_efficiency": battery.charge_efficiency,
        "discharge_efficiency": battery.discharge_efficiency,
        "end_pct": END_PCT,
        "runs": runs,
        "way": way,
        **{name: [case(home) for home in mine.homes] for name, mine in ours.items()},
    }
    done = subprocess.run(
        [str(python), str(Path(__file__).with_name("peer_emhass.py"))],
        input=json.dumps(question),
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=WITHIN_S,
    )
    answer: Answer = json.loads(done.stdout.splitlines()[-1])
    return answer


def case(home: Home) -> dict[str, object]:
    """What differs from home to home."""
    series = {
        "load_kw": home.load_kw,
        "pv_available_kw": home.pv_available_kw,
        "import_per_kwh": home.terms.import_per_kwh,
        "export_per_kwh": home.terms.export_per_kwh,
    }
    return {
        "soc_pct": home.batteries[0].soc_pct,
        **{name: np.asarray(value).tolist() for name, value in series.items()},
    }


def bill(home: Home, grid_kw: Floats) -> float:
    """What a home pays."""
    price = np.where(grid_kw > 0.0, home.terms.import_per_kwh, home.terms.export_per_kwh)
    return float(np.sum(price * grid_kw * home.terms.hours))


def disagreement(ours: dict[str, Ours], answer: Answer) -> float:
    """How far bills are apart at most, as a share of ours, or as an amount where ours is below 1.

    Raises:
        ValueError: The peer's battery does not end where ours does, so that its bill is of something else.
    """
    apart = 0.0
    for name, mine in ours.items():
        for home, paid, plan in zip(mine.homes, mine.bills, answer[name], strict=True):
            if abs(plan["end_pct"] - END_PCT) > 1e-3:
                raise ValueError(f"EMHASS ends at {plan['end_pct']} % SoC; asked for: {END_PCT}")
            theirs = bill(home, np.array(plan["grid_kw"]))
            apart = max(apart, abs(theirs - paid) / max(1.0, abs(paid)))
    return apart
