"""What stores are asked to do by the value of what is in them, and the words for it."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ores.control.planned import Moment, Wanted, slope, wanted
from ores.ems.inputs import Battery
from ores.ems.rolling import Kept
from ores.ems.worth import Curve, Price

LEVELS = np.linspace(0.0, 10.0, 11)


def battery(soc_pct: float = 50.0) -> Battery:
    return Battery(capacity_kwh=10.0, soc_pct=soc_pct, charge_max_kw=3.0, discharge_max_kw=3.0)


def kept(worth: float, buying: float, selling: float = 0.0, *steps: tuple[float, float]) -> Kept:
    """A kWh in store is worth the same at each level, whatever comes."""
    after = np.tile(LEVELS * worth, (3, 1))
    return Kept(np.array([0.0, 0.5, 1.0]), LEVELS, after, 0.8, 0.5, Price(buying, selling, steps))


def moment(net_kw: float = 0.5, *, bought_kwh: float = 0.0) -> Moment:
    return Moment(
        net_kw=net_kw,
        usual_kw=net_kw,
        passed_kwh=0.0,
        bought_kwh=bought_kwh,
        left_h=0.25,
        slot_h=0.25,
        until="06:00",
        currency="EUR",
    )


def test_what_is_cheap_is_bought() -> None:
    want = wanted(kept(0.3, 0.09), moment(), battery())
    assert want.power_w == pytest.approx(3000.0)
    assert want.reason == "charging now: 0.09 EUR per kWh until 06:00, in store a kWh is worth 0.30"


def test_what_is_dear_is_met_from_store_and_the_stores_follow_the_house() -> None:
    want = wanted(kept(0.1, 0.5), moment(), battery())
    assert want == Wanted(
        None, 0.0, "the house is fed from store: 0.50 EUR per kWh until 06:00, in store a kWh is worth 0.10"
    )


def test_a_need_beyond_what_they_can_give_is_followed_as_well() -> None:
    assert wanted(kept(0.1, 0.5), moment(7.0), battery()).power_w is None


def test_surplus_that_sells_for_less_is_stored() -> None:
    want = wanted(kept(0.1, 0.5, 0.05), moment(-2.0), battery())
    assert (want.power_w, want.grid_w) == (None, 0.0)
    assert want.reason.startswith("the sun is stored")


def test_what_is_worth_more_later_is_kept() -> None:
    want = wanted(kept(0.5, 0.51), moment(), battery())
    assert want.power_w == 0.0
    assert want.reason.startswith("kept for later: 0.51 EUR per kWh until 06:00")


def test_an_empty_store_says_that_it_is_empty() -> None:
    assert wanted(kept(0.1, 0.5), moment(), battery(0.0)).reason.startswith("nothing left to give")


def test_what_sells_for_more_is_sold() -> None:
    want = wanted(kept(0.1, 0.5, 0.4), moment(), battery())
    assert want.power_w == pytest.approx(-3000.0)
    assert wanted(kept(0.1, 0.5, 0.4), moment(-1.0), battery()).reason.startswith("selling from store: 0.40")


def test_below_a_step_of_power_the_grid_is_held_there() -> None:
    want = wanted(kept(0.3, 0.3, 0.0, (2.0, 5.0)), moment(4.0), battery())
    assert (want.power_w, want.grid_w) == (None, pytest.approx(2000.0))
    assert "held at 2.0 kW" in want.reason


def test_what_has_been_bought_leaves_less_below_a_step() -> None:
    late = Moment(
        net_kw=4.0,
        usual_kw=4.0,
        passed_kwh=0.0,
        bought_kwh=0.625,
        left_h=0.125,
        slot_h=0.25,
        until="",
        currency="EUR",
    )
    want = wanted(kept(0.3, 0.3, 0.0, (4.0, 5.0)), late, battery())
    assert want.power_w is None
    assert want.grid_w == pytest.approx(4000.0 - 1000.0)


def test_the_slope_of_a_curve_is_what_a_kwh_is_worth() -> None:
    curve = Curve(np.array([0.0, 5.0, 10.0]), np.array([0.0, 1.0, 1.5]))
    assert slope(curve, 1.0) == pytest.approx(0.2)
    assert slope(curve, 10.0) == pytest.approx(0.1)


@given(
    worth=st.floats(-1, 1),
    buying=st.floats(-1, 1),
    margin=st.floats(0, 1),
    net=st.floats(-12, 12),
    soc=st.floats(0, 100),
)
def test_it_never_asks_for_more_than_they_can(
    worth: float, buying: float, margin: float, net: float, soc: float
) -> None:
    want = wanted(kept(worth, buying, buying - margin), moment(net), battery(soc))
    assert abs(want.power_w or 0.0) <= 3000.0 + 1e-6
    assert 0.0 <= want.grid_w < inf
    assert 0 < len(want.reason) <= 512
