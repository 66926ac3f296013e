"""Plans by a tariff: the local clock decides, on all days of the year."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ores import tariff
from ores.ems.answer import Plan
from ores.ems.inputs import Battery, Floats, Home
from ores.ems.planner import Planner

CHANGES = {
    "Europe/Berlin": ("2025-03-30", "2025-10-26"),
    "America/Los_Angeles": ("2025-03-09", "2025-11-02"),
    "Australia/Lord_Howe": ("2025-10-05", "2025-04-06"),  # by half an hour
}
"""Days on which the clock goes forward, and back."""
ZONES = (*CHANGES, "UTC", "Asia/Kolkata")
BATTERY = Battery(capacity_kwh=6.0, soc_pct=0.0, charge_max_kw=3.0, discharge_max_kw=3.0)


def one(zone: str) -> tariff.Tariff:
    """Cheap at night, dear in the evening."""
    rates = [
        {"from": "00:00", "to": "06:00", "import": 0.1},
        {"from": "06:00", "to": "17:00", "import": 0.25},
        {"from": "17:00", "to": "21:00", "import": 0.5},
        {"from": "21:00", "to": "24:00", "import": 0.25},
    ]
    return tariff.tariff({"id": "a", "currency": "EUR", "time_zone": zone, "rates": rates, "export": 0.05})


def day_of(zone: str, day: str) -> list[datetime]:
    """The quarter hours of a local day, as instants."""
    midnight = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = (midnight + timedelta(days=1)).astimezone(UTC)
    first = midnight.astimezone(UTC)
    return [first + timedelta(minutes=15 * at) for at in range(int((end - first) / timedelta(minutes=15)))]


def home_on(starts: list[datetime], zone: str, seed: int) -> Home:
    """Some load and sun."""
    noise = np.random.default_rng(seed)
    count = len(starts)
    return Home(
        terms=tariff.terms(one(zone), starts, hours=0.25),
        load_kw=noise.uniform(0.1, 2.5, count),
        pv_available_kw=noise.uniform(0.0, 1.0, count),
        batteries=(BATTERY,),
    )


def metered(plan: Plan) -> tuple[Floats, Floats]:
    """What the meter would count, bought and sold, in kWh."""
    energy = plan.grid_kw * plan.hours
    return np.maximum(energy, 0.0), np.maximum(-energy, 0.0)


@given(zone=st.sampled_from(tuple(CHANGES)), back=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_plan_costs_what_is_billed_where_the_clock_changes(zone: str, back: bool, seed: int) -> None:
    starts = day_of(zone, CHANGES[zone][back])
    change = 2 if "Howe" in zone else 4
    assert len(starts) == (96 + change if back else 96 - change)
    plan = Planner().plan(home_on(starts, zone, seed))
    billed = tariff.bill(one(zone), starts, *metered(plan), hours=0.25)
    assert plan.cost == pytest.approx(float(billed.exact), abs=1e-6)


@pytest.mark.parametrize("zone", CHANGES)
@pytest.mark.parametrize("back", [False, True])
def test_the_battery_works_by_the_clock_on_the_wall_where_it_changes(zone: str, back: bool) -> None:
    starts = day_of(zone, CHANGES[zone][back])
    steady = replace(home_on(starts, zone, 0), load_kw=1.5, pv_available_kw=0.0)
    power = Planner().plan(steady).battery_kw[0]
    hour = np.array([start.astimezone(ZoneInfo(zone)).hour for start in starts])
    night, evening = hour < 6, (hour >= 17) & (hour < 21)
    assert power[night].sum() * 0.25 == pytest.approx(BATTERY.capacity_kwh / 0.95)
    assert power[evening].sum() * 0.25 == pytest.approx(-BATTERY.capacity_kwh * 0.95)
    assert power[~night & ~evening] == pytest.approx(0.0)


@given(
    zone=st.sampled_from(ZONES), other=st.sampled_from(ZONES), day=st.integers(1, 28), seed=st.integers(0, 99)
)
@settings(max_examples=20, deadline=None)
def test_a_home_elsewhere_with_the_same_clock_has_the_same_plan(
    zone: str, other: str, day: int, seed: int
) -> None:
    plans = [
        Planner().plan(home_on(day_of(where, f"2025-07-{day:02d}"), where, seed)) for where in (zone, other)
    ]
    assert np.array_equal(plans[0].battery_kw, plans[1].battery_kw)
    assert plans[0].cost == plans[1].cost


@given(zone=st.sampled_from(ZONES), shown=st.sampled_from(ZONES), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_how_an_instant_is_written_changes_no_plan(zone: str, shown: str, seed: int) -> None:
    starts = day_of(zone, "2025-11-02")
    written = [start.astimezone(ZoneInfo(shown)) for start in starts]
    plans = [Planner().plan(home_on(times, zone, seed)) for times in (starts, written)]
    assert np.array_equal(plans[0].battery_kw, plans[1].battery_kw)
