"""What a kW more of import costs where a month is charged for its highest."""

from __future__ import annotations

import numpy as np
import pytest

from ores.ems.inputs import Battery
from ores.ems.peaks import Steps, days_steps, line_kw, peak_steps, shaved_kw
from ores.tariff.terms import DaysTerm, PeakTerm

BATTERY = Battery(
    capacity_kwh=6.0, soc_pct=0.0, charge_max_kw=3.0, discharge_max_kw=3.0,
    charge_efficiency=1.0, discharge_efficiency=1.0,
)  # fmt: skip
HOURS = np.ones(24)
ALL = np.ones(24, dtype=np.bool_)
EVENING = np.where(np.arange(24) >= 18, np.arange(24) - 18, -1)


def test_a_day_is_held_as_low_as_energy_and_power_allow() -> None:
    days = np.array([[4.0, 4.0, 4.0, 0.0], [9.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    # 12 kWh less 6 over three hours; 9 kW less 3; nothing
    assert shaved_kw(days, 1.0, BATTERY) == pytest.approx([2.0, 6.0, 0.0], abs=1e-3)


def test_what_is_put_back_between_two_needs_counts() -> None:
    day = np.array([[5.0, 5.0, -3.0, -3.0, 5.0, 5.0]])
    assert shaved_kw(day, 1.0, BATTERY) == pytest.approx([2.0], abs=1e-3)


def total(steps: list[Steps], import_kw: float) -> float:
    return sum(one.per_kwh * max(0.0, import_kw - one.above_kw) for one in steps)


def test_below_the_peak_so_far_nothing_costs_and_far_above_all_of_it() -> None:
    term = PeakTerm(10.0, EVENING, so_far_kw=2.0)
    steps = peak_steps(term, HOURS, ALL, np.linspace(1.0, 3.0, 20), days_left=10)
    assert total(steps, 2.0) == 0.0
    assert total(steps, 9.0) - total(steps, 8.0) == pytest.approx(10.0)
    assert all(one.at.tolist() == (EVENING >= 0).tolist() for one in steps)


def test_the_last_day_of_a_month_weighs_more_than_its_first() -> None:
    term = PeakTerm(10.0, EVENING)
    days = np.linspace(1.0, 3.0, 20)
    first, last = (total(peak_steps(term, HOURS, ALL, days, left), 2.0) for left in (29, 0))
    assert first < 0.2 * last


def test_an_interval_that_is_part_of_a_stretch_costs_its_share() -> None:
    hour_of_quarters = PeakTerm(10.0, np.arange(24) // 4)
    steps = peak_steps(hour_of_quarters, np.full(24, 0.25), ALL, np.zeros(0), 0)
    assert total(steps, 1.0) == pytest.approx(10.0)  # for each kWh, whichever quarter takes it


@pytest.mark.parametrize(
    ("reached", "above", "line"),
    [
        ([], 5.0, 5.0),
        ([4.0, 3.0], 5.0, 5.0),
        ([6.5, 3.0], 5.0, 4.25),
        ([8.0, 6.0], 5.0, 1.0),
        ([9.0, 8.0], 5.0, 0.0),
        ([6.0, 6.0, 3.0], 5.0, 3.0),
    ],
)
def test_what_the_days_so_far_leave_for_those_to_come(
    reached: list[float], above: float, line: float
) -> None:
    assert line_kw(reached, above, 3) == pytest.approx(line)


def test_a_month_aims_at_no_step_that_it_cannot_hold() -> None:
    term = DaysTerm(
        3, EVENING, np.zeros(24, dtype=np.int64), steps=((2.0, 60.0), (5.0, 100.0), (10.0, 120.0))
    )
    steps = days_steps(term, HOURS, ALL, np.linspace(2.5, 4.0, 20), days_left=20)
    assert sorted({one.above_kw for one in steps}) == pytest.approx([3.5, 4.25, 5.0, 7.0, 8.5, 10.0])
    assert days_steps(term, HOURS, ALL, np.full(20, 30.0), days_left=20) == []
