"""Beside EMHASS: that both plan the same home is checked before times are compared."""

from __future__ import annotations

import numpy as np
import pytest
from bench.beside_emhass import (
    END_PCT,
    FOUR_DIGITS,
    RUNS,
    WAYS,
    Ours,
    Theirs,
    alike,
    asked,
    bill,
    disagreement,
)
from bench.peers import interpreter

from bench import bench_plan
from ores.ems.planner import Planner


def ours(loads: str) -> Ours:
    home = alike(bench_plan.home_at(0, 40.0, 0.08), loads)
    mine = Ours()
    mine.keep(home, Planner().plan(home), 0.001)
    return mine


def theirs(mine: Ours, *, dearer: float = 0.0, end_pct: float = END_PCT) -> Theirs:
    """Our own plan in their words, a little dearer in the first interval."""
    (home,) = mine.homes
    grid_kw = Planner().plan(home).grid_kw.copy()
    grid_kw[0] += dearer / (home.terms.import_per_kwh[0] * home.terms.hours[0])
    return {"took_s": 0.1, "grid_kw": grid_kw.tolist(), "end_pct": end_pct}


def test_a_bill_that_differs_in_the_fourth_digit_is_seen() -> None:
    mine = ours("nothing")
    assert disagreement({"new": mine}, {"new": [theirs(mine)]}) < FOUR_DIGITS / 10.0
    assert (
        disagreement({"new": mine}, {"new": [theirs(mine, dearer=1e-3 * max(1.0, mine.bills[0]))]})
        > FOUR_DIGITS
    )


def test_a_battery_that_ends_elsewhere_is_no_comparison() -> None:
    mine = ours("nothing")
    with pytest.raises(ValueError, match="ends at 25"):
        disagreement({"new": mine}, {"new": [theirs(mine, end_pct=25.0)]})


@pytest.mark.parametrize("loads", WAYS)
def test_our_plan_keeps_to_what_both_were_asked(loads: str) -> None:
    home = alike(bench_plan.home_at(0, 40.0, 0.08), loads)
    plan = Planner().plan(home)
    assert not plan.violations
    assert plan.soc_pct[0, -1] == pytest.approx(END_PCT)
    energy = np.concatenate([plan.appliance_kw, plan.ev_kw]).sum(axis=1) * 0.25
    assert energy == pytest.approx([power_kw * run_h for power_kw, run_h in RUNS if loads != "nothing"])
    assert plan.interval_cost.sum() == pytest.approx(bill(home, plan.grid_kw))


@pytest.mark.peers
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("loads", "way"), [(loads, way) for loads, ways in WAYS.items() for way in ways])
def test_emhass_pays_what_we_pay(loads: str, way: str) -> None:
    mine = {"new": ours(loads), "again": ours(loads)}
    python = interpreter("emhass-0.18", "emhass==0.18.*")
    answer = asked(python, mine, () if loads == "nothing" else RUNS, way, 1)
    assert disagreement(mine, answer) <= FOUR_DIGITS
