"""The real-time layer follows what stored energy is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.control.realtime import battery_kw
from ores.ems.inputs import Battery
from ores.ems.worth import Curve, Price

BATTERY = Battery(capacity_kwh=10.0, soc_pct=50.0, charge_max_kw=4.0, discharge_max_kw=3.0)
LEVELS = np.linspace(0.0, 10.0, 41)


def curve(per_kwh: float) -> Curve:
    return Curve(LEVELS, LEVELS * per_kwh)


def kinked(at_kwh: float, left: float, right: float) -> Curve:
    return Curve(LEVELS, (LEVELS - at_kwh) * np.where(at_kwh > LEVELS, left, right))


def test_a_kettle_at_a_high_price_is_met_from_the_store() -> None:
    assert battery_kw(2.5, 0.2, Price(0.5, 0.0), BATTERY, curve(0.3)) == pytest.approx(-2.5)


def test_a_kettle_at_a_low_price_is_bought() -> None:
    assert battery_kw(2.5, 0.2, Price(0.3, 0.0), BATTERY, curve(0.3)) == 0.0


def test_a_cloud_stops_the_charging_that_the_sun_paid_for() -> None:
    sun, cloud = (battery_kw(net, 0.2, Price(0.31, 0.05), BATTERY, curve(0.3)) for net in (-3.0, 0.4))
    assert sun == pytest.approx(3.0)
    assert cloud == 0.0


def test_sun_that_sells_for_more_than_it_is_worth_is_sold() -> None:
    assert battery_kw(-3.0, 0.2, Price(0.6, 0.3), BATTERY, curve(0.3)) == 0.0


def test_it_charges_from_the_grid_where_that_pays() -> None:
    assert battery_kw(1.0, 0.2, Price(0.1, 0.0), BATTERY, curve(0.3)) == 4.0


def test_between_left_and_right_value_the_store_is_held() -> None:
    """Both values lie about the price: neither more nor less in store, whatever the home does."""
    for net in (-2.0, 0.0, 2.0):
        held = battery_kw(net, 0.5, Price(0.3, 0.29), BATTERY, kinked(5.0, 0.5, 0.1))
        assert held == 0.0
    below = replace(BATTERY, soc_pct=48.0)
    assert battery_kw(2.0, 0.5, Price(0.3, 0.29), below, kinked(5.0, 0.5, 0.1)) == pytest.approx(
        0.2 / 0.95 / 0.5
    )


def test_a_peak_of_the_month_is_not_passed() -> None:
    price = Price(0.2, 0.0, steps=((2.0, 10.0),))
    assert battery_kw(3.5, 0.25, price, BATTERY, curve(0.3)) == pytest.approx(-1.5)


@given(
    net=st.floats(-8.0, 8.0),
    soc_pct=st.floats(0.0, 100.0),
    hours=st.floats(0.01, 1.0),
    buy=st.floats(-0.5, 1.0),
    sell=st.floats(-0.5, 1.0),
    slopes=st.lists(st.floats(-0.2, 1.0), min_size=40, max_size=40),
)
def test_it_asks_for_nothing_that_the_battery_cannot_do(
    *, net: float, soc_pct: float, hours: float, buy: float, sell: float, slopes: list[float]
) -> None:
    value = np.concatenate([[0.0], np.cumsum(slopes) * 0.25])
    battery = replace(BATTERY, soc_pct=soc_pct)
    power = battery_kw(net, hours, Price(buy, sell), battery, Curve(LEVELS, value))
    assert -3.0 <= power <= 4.0
    energy = power * hours
    after = soc_pct / 10.0 + (energy * 0.95 if energy > 0.0 else energy / 0.95)
    assert -1e-6 <= after <= 10.0 + 1e-6
